//! Statistics: how many deliveries ended how, and how long that took.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::members::Members;
use super::moment::Moment;

/// An hour or a day of `GET /v1/stats`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "StatisticsPart"))]
pub(crate) struct Part {
    /// Its beginning.
    pub(crate) at: Moment,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// How many attempts ended so: by the class of the status, or of the failure.
    pub(crate) attempts: Members<u64, Cow<'static, str>>,
    /// Of an attempt in milliseconds; null: there was none.
    pub(crate) p50: Option<Decimal>,
    pub(crate) p99: Option<Decimal>,
    pub(crate) average: Option<Decimal>,
}

/// What a webhook's deliveries came to: `GET /v1/webhooks/{id}/stats`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WebhookStatistics"))]
#[serde(rename_all = "camelCase")]
pub(crate) struct OfWebhook {
    /// Deliveries that have ended.
    pub(crate) total: u64,
    pub(crate) successful: u64,
    pub(crate) failed: u64,
    /// In percent; 0 when none has ended.
    pub(crate) success_rate: Decimal,
    /// Of an attempt in milliseconds; null: there was none.
    pub(crate) average_response_time: Option<Decimal>,
    pub(crate) p50: Option<Decimal>,
    pub(crate) p99: Option<Decimal>,
}

/// A number that is printed with at most three decimals.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Decimal(pub(crate) f64);

impl Decimal {
    pub(crate) fn millis(duration: Duration) -> Self {
        Self(duration.as_secs_f64() * 1e3)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rounded = (self.0 * 1e3).round() / 1e3;
        // A whole number has no point behind it.
        if rounded.fract() == 0.0 && (0.0..WHOLE_MAX).contains(&rounded) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and in the range")]
            return serializer.serialize_u64(rounded as u64);
        }
        serializer.serialize_f64(rounded)
    }
}

/// 2^53: every whole number below has a value of its own.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_has_three_places_at_most() {
        let printed = |number| serde_json::to_string(&Decimal(number)).unwrap();
        let expected = ["0", "7", "66.667", "1.535", "0.001", "1234567.5"];
        assert_eq!([0.0, 7.0, 200.0 / 3.0, 1.535, 0.001, 1_234_567.5].map(printed), expected);
        assert_eq!(printed(Decimal::millis(Duration::from_micros(1_500)).0), "1.5");
    }
}

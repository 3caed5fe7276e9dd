//! What a webhook's deliveries came to over a window of time.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::api::document::stats::{Decimal, OfWebhook};
use crate::api::request::context::{self, Context};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::delivery::tally::{Hour, Tally};
use crate::domain::id::EndpointNo;
use crate::domain::units::parse_duration;
use crate::store::{STATISTICS_KEPT, Store};

/// `GET /v1/webhooks/{id}/stats`: deliveries that finished within `window`, 24 h unless given. It is counted by the hour, so the
/// hour in which the window begins counts whole.
pub(crate) async fn stats(context: &Context<'_>) -> Result<Reply, Problem> {
    let endpoint = context.webhook()?;
    let dialect = &*context.dialect_of(&endpoint);
    let mut query = context.query(&["window"]);
    let window = query.read_with("window", "is not a duration from 1s to 90d, like 24h", window).unwrap_or(WINDOW);
    query.finish()?;
    let now = context.api.store.now();
    let hours = Hour::from_time(now - window)..=Hour::from_time(now);
    let sum = context.api.store.tally(Arc::new([endpoint.no].into()), hours).await?;
    Ok(context::document(StatusCode::OK, dialect, &document(&sum)))
}

/// What a webhook's deliveries came to in the last 24 h.
pub(in crate::api) async fn of_day(store: &Store, no: EndpointNo) -> Result<OfWebhook, Problem> {
    let now = store.now();
    let sum = store.tally(Arc::new([no].into()), Hour::from_time(now - WINDOW)..=Hour::from_time(now)).await?;
    Ok(document(&sum))
}

fn document(tally: &Tally) -> OfWebhook {
    OfWebhook {
        total: tally.total(),
        successful: tally.succeeded,
        failed: tally.failed,
        success_rate: Decimal(percent(tally.succeeded, tally.total())),
        average_response_time: tally.times.average().map(Decimal::millis),
        p50: tally.times.quantile(50).map(Decimal::millis),
        p99: tally.times.quantile(99).map(Decimal::millis),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of deliveries are far below 2^53")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}

fn window(text: &str) -> Option<Duration> {
    parse_duration(text).ok().filter(|window| (WINDOW_MIN..=WINDOW_MAX).contains(window))
}

/// Unless the query says otherwise: a day.
const WINDOW: Duration = Duration::from_secs(24 * 3600);

const WINDOW_MIN: Duration = Duration::from_secs(1);
const WINDOW_MAX: Duration = STATISTICS_KEPT;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::tally::{Brought, Mark};

    fn printed(ends: &[(bool, u32)]) -> String {
        let mut tally = Tally::default();
        for (succeeded, micros) in ends {
            let attempt = Some(Brought::status(2));
            let ended = Some(*succeeded);
            tally.count(&Mark { hour: Hour(1), endpoint: EndpointNo(1), attempt, ended, micros: *micros });
        }
        serde_json::to_string(&document(&tally)).unwrap()
    }

    #[test]
    fn nothing_has_no_times_and_a_rate_of_0() {
        let expected =
            r#"{"total":0,"successful":0,"failed":0,"successRate":0,"averageResponseTime":null,"p50":null,"p99":null}"#;
        assert_eq!(printed(&[]), expected);
    }

    #[test]
    fn times_are_milliseconds_and_the_rate_is_in_percent() {
        let expected =
            r#"{"total":3,"successful":2,"failed":1,"successRate":66.667,"averageResponseTime":2.167,"p50":1.535,"p99":4}"#;
        assert_eq!(printed(&[(true, 1_000), (false, 1_500), (true, 4_000)]), expected);
        assert!(printed(&[(true, 7_000)]).contains(r#""averageResponseTime":7,"p50":7,"p99":7"#));
    }
}

//! Times in documents: RFC 3339 UTC, in whole seconds, or of events, deliveries and attempts in microseconds.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::time::Timestamp;

/// A moment as the API shows it. What is behind the second is left out when it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.rfc3339_secs())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse_rfc3339(&text).map(Self).map_err(de::Error::custom)
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.rfc3339_secs())
    }
}

/// A moment of an event, a delivery or an attempt. A person is shown it in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Exact(pub(crate) Timestamp);

impl From<Timestamp> for Exact {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.rfc3339_micros())
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Moment::deserialize(deserializer).map(|Moment(at)| Self(at))
    }
}

impl std::fmt::Display for Exact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Moment(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_it_is_printed() {
        let at = Moment(Timestamp::from_micros(1_776_695_520_999_999));
        let printed = serde_json::to_string(&at).unwrap();
        assert_eq!(printed, r#""2026-04-20T14:32:00Z""#);
        assert_eq!(serde_json::from_str::<Moment>(&printed).unwrap().to_string(), "2026-04-20T14:32:00Z");
        assert!(serde_json::from_str::<Moment>(r#""today""#).is_err());
    }

    #[test]
    fn an_exact_moment_loses_nothing() {
        let at = Exact(Timestamp::from_micros(1_776_695_520_000_009));
        let printed = serde_json::to_string(&at).unwrap();
        assert_eq!(printed, r#""2026-04-20T14:32:00.000009Z""#);
        assert_eq!(serde_json::from_str::<Exact>(&printed).unwrap(), at);
        assert_eq!(serde_json::from_str::<Exact>(r#""2026-04-20T14:32:00Z""#).unwrap().to_string(), at.to_string());
    }
}

//! What a measurement is about besides its load, and what the config says for its sake.

use std::time::Duration;

use serde::Serialize;

use crate::domain::units::duration_text;

/// One of these at a time: each changes what the others would measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Special {
    /// The load alone.
    #[default]
    Nothing,
    /// The store holds so many finished deliveries before the load.
    Rows(u64),
    /// No load: a start on so many deliveries that wait for their second attempt.
    Pending(u64),
    /// So many first attempts fail, evenly over one second; their retries are timed.
    Late(u64),
    /// Finished deliveries are removed after so long.
    Retention(Duration),
}

impl Special {
    /// Whether the load is run at all.
    pub(super) fn has_load(self) -> bool {
        !matches!(self, Self::Pending(_))
    }

    /// Whether another relay, or another load, is something to compare with.
    pub(super) fn compares(self) -> bool {
        !matches!(self, Self::Pending(_) | Self::Late(_))
    }

    /// Finished deliveries that the store holds before the load.
    pub(super) fn rows(self) -> Option<u64> {
        if let Self::Rows(rows) = self { Some(rows) } else { None }
    }

    /// Whether first attempts are refused, so that each has a retry.
    pub(super) fn is_late(self) -> bool {
        matches!(self, Self::Late(_))
    }

    /// A line of `[storage]`.
    pub(super) fn storage(self) -> Option<String> {
        match self {
            Self::Rows(_) | Self::Pending(_) => Some(format!("max_bytes = \"{FILLED_MAX}\"")),
            Self::Retention(time) => Some(format!("retention = \"{}\"", duration_text(time))),
            Self::Nothing | Self::Late(_) => None,
        }
    }

    /// What the provider speaks.
    pub(super) fn dialect(self) -> &'static str {
        if self.is_late() { DIALECT } else { STANDARD }
    }

    /// The table of a dialect of our own.
    pub(super) fn dialect_table(self) -> String {
        let own = || format!("[dialect.{DIALECT}]\nextends = \"{STANDARD}\"\n[dialect.{DIALECT}.retry]\n{}\n", retry_lines("\n"));
        self.is_late().then(own).unwrap_or_default()
    }

    /// All of this as it is printed.
    pub(super) fn difference(self) -> Option<String> {
        if self.is_late() { Some(format!("retry: {}", retry_lines(", "))) } else { self.storage() }
    }
}

fn retry_lines(between: &str) -> String {
    format!("schedule = [\"{}\"]{between}jitter = 0.0", duration_text(RETRY_AFTER))
}

/// From a first attempt to its retry, where retries are timed.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What a filled store may take: far more than the bound that a config without the setting has.
const FILLED_MAX: &str = "64GiB";

const DIALECT: &str = "bench";
const STANDARD: &str = "standard";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_load_changes_nothing() {
        let plain = Special::Nothing;
        assert_eq!(
            (plain.storage(), plain.dialect(), plain.dialect_table(), plain.difference()),
            (None, "standard", "".into(), None)
        );
    }

    #[test]
    fn what_the_config_says_is_what_is_printed() {
        for special in [Special::Rows(1), Special::Pending(1), Special::Retention(Duration::from_secs(90))] {
            assert!(special.storage().is_some());
            assert_eq!(special.storage(), special.difference());
        }
        assert_eq!(Special::Retention(Duration::from_secs(60)).difference().as_deref(), Some("retention = \"1m\""));
    }

    #[test]
    fn timed_retries_come_after_exactly_five_seconds() {
        let late = Special::Late(1);
        assert_eq!(late.difference().as_deref(), Some("retry: schedule = [\"5s\"], jitter = 0.0"));
        assert!(late.dialect_table().ends_with("[dialect.bench.retry]\nschedule = [\"5s\"]\njitter = 0.0\n"));
    }
}

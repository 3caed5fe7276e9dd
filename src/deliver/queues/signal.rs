//! What an attempt says about its endpoint's health, which decides how many slots the endpoint gets.

use crate::domain::delivery::outcome::{Class, Outcome};
use crate::domain::dialect::Dialect;

/// What an attempt says about the health of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HealthSignal {
    /// The attempt succeeded: the endpoint gets all its slots.
    Good,
    /// The attempt, or the gateway in front of the endpoint, timed out or did not connect, or no access token could be had: the
    /// endpoint gets one slot.
    Slow,
    /// The attempt ended in another way: the endpoint keeps the slots that it has.
    Neutral,
    /// No attempt was made: the endpoint keeps its slots, and gets the permit of its rate limit back.
    Unsent,
}

impl HealthSignal {
    /// The signal that follows from an outcome by the dialect's rules.
    pub(crate) fn from_outcome(outcome: &Outcome, dialect: &Dialect) -> Self {
        match &outcome.result {
            Ok(response) if dialect.is_success(response.status) => Self::Good,
            Ok(response) if dialect.leaves_one_slot(response.status) => Self::Slow,
            Ok(_) => Self::Neutral,
            Err(failure) => match failure.class {
                Class::Dns | Class::Connect | Class::Tls | Class::Timeout | Class::Auth => Self::Slow,
                _ => Self::Neutral,
            },
        }
    }
}

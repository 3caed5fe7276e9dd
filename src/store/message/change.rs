//! Changes of deliveries, as they were committed, for whoever follows them.

use std::sync::Arc;

use crate::domain::delivery::Delivery;
use crate::domain::delivery::outcome::Class;
use crate::domain::id::{AttemptKey, DeliveryKey};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::message::view::{Attempt, View};

/// How far the log has come: everything up to here is on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// The number of the newest attempt in the order of commits, from 1. It counts on through restarts.
    pub(crate) attempts: u64,
    /// The service's time of the commit.
    pub(crate) at: Timestamp,
}

/// A delivery that was made, that ended, that is held, that waits for another attempt, or of which an attempt ended.
#[derive(Clone, Debug)]
pub(in crate::store) struct Change {
    /// The delivery as the change left it.
    pub(in crate::store) delivery: Delivery,
    /// Why its newest attempt was no success.
    pub(in crate::store) error: Option<Class>,
    /// The webhook as it was then.
    pub(in crate::store) endpoint: Arc<Endpoint>,
    /// The attempt that ended, where that is the change.
    pub(in crate::store) attempt: Option<AttemptKey>,
    pub(in crate::store) reached: Reached,
}

impl Change {
    /// How many rows a reader is shown: one for the delivery, and one for the attempt.
    pub(in crate::store) fn rows(&self) -> u64 {
        1 + u64::from(self.attempt.is_some())
    }
}

/// A change with all that is shown of it.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    pub(crate) view: View,
    /// The attempt that ended. `None` where something else changed, and where the log does not hold the attempt any more.
    pub(crate) attempt: Option<(AttemptKey, Attempt)>,
    pub(crate) reached: Reached,
}

impl Passed {
    /// How many rows a reader is shown.
    pub(crate) fn rows(&self) -> u64 {
        1 + u64::from(self.attempt.is_some())
    }

    /// How many bytes the attempt takes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.attempt.as_ref().map_or(0, |(_, attempt)| attempt.request_headers.bytes() + attempt.outcome.bytes())
    }
}

/// What followed in the order of commits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Advance {
    pub(crate) passed: Vec<Passed>,
    /// Rows that will never come: nobody took them in time, or the log does not hold what they show any more.
    pub(crate) missed: Vec<Missed>,
    /// How far the log had come with the last change. `None`: there was no change.
    pub(crate) reached: Option<Reached>,
}

/// Rows of one tenant that will never come.
#[derive(Clone, Debug)]
pub(crate) struct Missed {
    /// One of the tenant's webhooks.
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) rows: u64,
}

/// A piece of what ended since a reader was here last, in the order of commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Attempts with their numbers.
    pub(crate) attempts: Vec<(u64, AttemptKey)>,
    /// The number of the last attempt that was looked at.
    pub(crate) looked_to: u64,
}

/// A place among the deliveries that ended without an attempt: when one ended, to the millisecond, and which.
pub(crate) type EndedAt = (Timestamp, DeliveryKey);

/// A piece of the deliveries that ended without an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unsent {
    pub(crate) deliveries: Vec<DeliveryKey>,
    /// The last one that was looked at. `None`: there are no more.
    pub(crate) looked_to: Option<EndedAt>,
}

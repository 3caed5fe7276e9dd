//! What a webhook's finished deliveries came to, read in one pass over its log.

use std::time::Duration;

use super::Error;
use super::handle::Store;
use super::read::{LOOK, Snapshot};
use super::tables::Scope;
use super::view::Filter;
use crate::domain::delivery::State;
use crate::domain::id::EndpointNo;
use crate::domain::time::Timestamp;

/// Deliveries that ended within a window, tests aside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended {
    pub(crate) successful: u64,
    pub(crate) failed: u64,
    /// Of the last attempt of each that had one; rising.
    pub(crate) durations: Vec<Duration>,
}

impl Store {
    /// The deliveries of a webhook that ended at `since` or later. Events published before `published_since` are not looked at.
    ///
    /// Reads a row for each delivery in the window, so it belongs on a thread that may block.
    pub(crate) fn ended(&self, no: EndpointNo, since: Timestamp, published_since: Timestamp) -> Result<Ended, Error> {
        let snapshot = Snapshot::of(self, &[Scope::Endpoint(no)])?;
        let filter = Filter { since: Some(published_since), ..Filter::default() };
        let (mut ended, mut before) = (Ended::default(), None);
        loop {
            let keys = snapshot.delivery_keys(Scope::Endpoint(no), &filter, before, LOOK)?;
            for key in &keys {
                let Some((delivery, attempt)) = snapshot.row(*key)? else { continue };
                let success = match delivery.state {
                    State::Succeeded { at } if at >= since => true,
                    State::Failed { at, .. } if at >= since => false,
                    _ => continue,
                };
                if !delivery.is_test() {
                    ended.count(success, attempt.map(|attempt| attempt.outcome.duration));
                }
            }
            let Some(last) = keys.last() else { break };
            before = Some(*last);
        }
        ended.durations.sort_unstable();
        Ok(ended)
    }
}

impl Ended {
    pub(crate) fn total(&self) -> u64 {
        self.successful + self.failed
    }

    fn count(&mut self, success: bool, duration: Option<Duration>) {
        if success {
            self.successful += 1
        } else {
            self.failed += 1
        }
        self.durations.extend(duration);
    }
}

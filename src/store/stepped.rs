//! A store whose writer takes one turn at a time, when it is told to: what a simulation drives in place of the writer's thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::message::command::{Op, Recovered};
use super::redb::journal::checkpoint::by_hand;
use super::redb::read::Reader;
use super::redb::read::recover::Walk;
use super::redb::thread::Writer;
use super::writer::inbox::Rest;
use super::writer::random;
use super::{Committed, Denied, Error, Options, Store};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};

/// An open store with its writer. Its checkpoints wait until they are made, or until the writer can wait no longer.
pub(crate) struct Stepped {
    pub(crate) store: Store,
    writer: Writer,
    ops: Vec<Op>,
    committed: Arc<Mutex<Vec<Committed>>>,
}

impl Stepped {
    /// Opens a store. From here on the draws of this thread follow from `seed`.
    pub(crate) fn open(options: &Options, seed: u64) -> Result<Self, Error> {
        random::seed(Some(seed));
        by_hand::set(true);
        let (store, unstarted) = Store::open(options)?;
        let committed = Arc::new(Mutex::new(Vec::new()));
        let told = committed.clone();
        let tell = move |commit| told.lock().unwrap_or_else(PoisonError::into_inner).push(commit);
        let writer = store.writer(unstarted, Box::new(tell));
        Ok(Self { store, writer, ops: Vec::new(), committed })
    }

    /// Reads without a runtime.
    pub(crate) fn reader(&self) -> &Reader {
        &self.store.reader
    }

    /// One turn of the writer with all that waits for it; what its commit means for those who deliver.
    pub(crate) fn turn(&mut self) -> Result<Vec<Committed>, Error> {
        self.take();
        self.writer.turn(&mut self.ops)?;
        Ok(std::mem::take(&mut *self.committed.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The first deliveries that a recovery finds in a window of events, which begins behind its first key: those that failed, or
    /// those of events that the webhook never got.
    pub(crate) fn to_recover(&self, no: EndpointNo, what: Lost, window: (EventKey, EventKey)) -> Result<Vec<DeliveryKey>, Error> {
        let walk = if what == Lost::Failed { Walk::Failed } else { Walk::Missed };
        let piece = self.reader().to_recover(no, walk, window)?;
        Ok(piece.found.into_iter().map(|found| found.key(no)).collect())
    }

    /// Brings back in one commit what [`Self::to_recover`] found.
    pub(crate) fn recover(
        &self,
        no: EndpointNo,
        what: Lost,
        found: Vec<DeliveryKey>,
    ) -> impl Future<Output = Result<u64, Denied>> + use<> {
        let of = |key: DeliveryKey| if what == Lost::Failed { Recovered::Failed(key) } else { Recovered::Missed(key.event) };
        let (store, found) = (self.store.clone(), found.into_iter().map(of).collect());
        async move { store.by_test().recover_slice(no, found, None).await }
    }

    /// Lets the disk be nearly full, or have room again.
    pub(crate) fn set_disk_low(&self, is_low: bool) {
        self.store.shared.space.set_low(is_low);
    }

    /// When the writer has something to do, though nobody asks for anything.
    pub(crate) fn wake_at(&self) -> Instant {
        self.writer.wake_at()
    }

    /// Whether anybody waits for the next turn.
    pub(crate) fn is_asked(&self) -> bool {
        self.store.inbox.len() > 0
    }

    /// Whether a checkpoint waits to be made.
    pub(crate) fn has_checkpoint() -> bool {
        by_hand::is_kept()
    }

    /// Makes the checkpoint that waits.
    pub(crate) fn make_checkpoint() {
        by_hand::make_kept();
    }

    /// Whether a fan-out or a job of a webhook is under way.
    pub(crate) fn is_at_work(&self) -> bool {
        !self.writer.memory.fanouts.is_empty() || !self.writer.memory.jobs.is_empty()
    }

    /// Ends it as a stop of the service does.
    pub(crate) fn close(mut self) -> Result<(), Error> {
        self.store.inbox.close();
        loop {
            self.take();
            if self.ops.is_empty() && self.writer.is_finished()? {
                return self.writer.end();
            }
            self.writer.turn(&mut self.ops)?;
        }
    }

    fn take(&mut self) {
        let now = self.store.shared.clock.steady();
        self.store.inbox.take(&mut self.ops, now, Rest { until: now, quiet: Duration::ZERO });
    }
}

/// What a recovery looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    Failed,
    Missed,
}

impl Recovered {
    fn key(self, endpoint: EndpointNo) -> DeliveryKey {
        match self {
            Self::Failed(key) => key,
            Self::Missed(event) => DeliveryKey { event, endpoint },
        }
    }
}

impl Drop for Stepped {
    fn drop(&mut self) {
        by_hand::set(false);
        random::seed(None);
    }
}

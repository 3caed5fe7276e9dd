//! A checkpoint as the writer hands it over, and as it waits for it.

use std::sync::mpsc;

use super::unflushed::Unflushed;
use crate::store::error::Error;
use crate::store::redb::tables::index::Rows;

/// Journaled changes on their way into the tables.
pub(in crate::store) struct Job {
    pub(in crate::store) unflushed: Unflushed,
    /// The flush of the index under way, and how many of its rows are brought in besides.
    pub(in crate::store) index: Option<(Rows, usize)>,
    pub(in crate::store) done: mpsc::Sender<Result<u64, Error>>,
}

/// A checkpoint under way. Yields the bytes of all rows.
pub(in crate::store) struct UnderWay(mpsc::Receiver<Result<u64, Error>>);

impl Job {
    pub(in crate::store) fn of(unflushed: Unflushed) -> (Self, UnderWay) {
        let (done, ended) = mpsc::channel();
        (Self { unflushed, index: None, done }, UnderWay(ended))
    }
}

impl UnderWay {
    /// What it yielded, once it has ended. With `waits` it waits for that.
    pub(in crate::store) fn ended(&self, waits: bool) -> Option<Result<u64, Error>> {
        match if waits { self.wait() } else { self.0.try_recv() } {
            Ok(made) => Some(made),
            Err(mpsc::TryRecvError::Empty) => None,
            Err(mpsc::TryRecvError::Disconnected) => unreachable!("the thread ends with the process"),
        }
    }

    fn wait(&self) -> Result<Result<u64, Error>, mpsc::TryRecvError> {
        #[cfg(test)]
        super::checkpoint::by_hand::make_kept();
        Ok(self.0.recv()?)
    }
}

//! What a batch adds to the tables of the hot path, kept back until it is written in the order of the keys.

use super::tables::{DueKey, LogKey};

/// New events, the due entries of their deliveries, and rows of the log.
#[derive(Default)]
pub(super) struct Appended {
    /// In order; beside each key stands where its record ends.
    pub(super) events: Vec<(u64, usize)>,
    /// In order.
    pub(super) due: Vec<(DueKey, ())>,
    /// As they came; beside each key stands where its record begins and ends.
    pub(super) log: Vec<(LogKey, (usize, usize))>,
    pub(super) event_records: Vec<u8>,
    pub(super) log_records: Vec<u8>,
    /// Bytes of keys and values in the log that were written over.
    pub(super) freed: u64,
}

impl Appended {
    /// For the next batch: without the room that a large one needed.
    pub(super) fn emptied(mut self) -> Self {
        self.event_records.shrink_to(KEPT_BYTES);
        self.log_records.shrink_to(KEPT_BYTES);
        self
    }

    /// What was written over since it was last asked.
    pub(super) fn take_freed(&mut self) -> u64 {
        std::mem::take(&mut self.freed)
    }

    /// The log's rows in order, of two with one key the newer.
    pub(super) fn log_rows(&mut self) -> Vec<(LogKey, &[u8])> {
        self.log.sort_by_key(|(key, _)| *key);
        let newest = self.log.chunk_by(|a, b| a.0 == b.0).filter_map(<[_]>::last);
        newest.map(|(key, (begin, end))| (*key, &self.log_records[*begin..*end])).collect()
    }
}

/// Room for records that stays between batches.
const KEPT_BYTES: usize = 1 << 20;

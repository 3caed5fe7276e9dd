//! `PATH.journal`: what was committed and is not in the tables yet.
//!
//! ```text
//!   batch ──▶ journal, fsync ──▶ answers          (each batch of the hot path: one write, at the file's end)
//!                │
//!                └── many of them ──▶ tables       (one redb transaction: a checkpoint)
//!                                        │
//!                                        └──▶ the journal begins anew, over what it held
//! ```
//!
//! A redb commit writes the path to every leaf that it touches and the state of its allocator, however little is new; the
//! journal writes what is new. Changes carry ascending numbers, and each redb transaction says up to which number it holds
//! them (`state`, row `JOURNALED`). So after a crash the next start takes in those behind that number, and a checkpoint that did
//! not come to its end has changed nothing: its changes still stand here. What is torn at the end was answered to nobody.
//!
//! Each batch begins on a block of its own, so that no write touches a block that holds what was answered already.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::changes::{Changes, Head};
use super::error::Error;
use super::files::{failed, sync_folder, with_suffix};
use crate::domain::id::Node;

/// The journal of an open store.
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    /// Of what was written last.
    head: Head,
    end: u64,
}

impl Journal {
    /// Begins a journal behind the changes with `number`, all of which are in the tables.
    pub(super) fn begin(store: &Path, node: Node, number: u64) -> Result<Self, Error> {
        let path = with_suffix(store, SUFFIX);
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = opened.map_err(|cause| failed("open", &path, cause))?;
        sync_folder(&path)?;
        Ok(Self { file, path, head: Head { store: node.0, run: getrandom::u64()?, number }, end: 0 })
    }

    /// Seals the changes of one batch and writes them; when this returns, they are on disk.
    pub(super) fn write(&mut self, changes: &mut Changes, counters: &[u8]) -> Result<(), Error> {
        self.head.number += 1;
        changes.seal(self.head, counters);
        let written = self.file.write_all_at(changes.bytes(), self.end).and_then(|()| self.file.sync_data());
        written.map_err(|cause| failed("write", &self.path, cause))?;
        self.end += changes.bytes().len().next_multiple_of(BLOCK_BYTES) as u64;
        Ok(())
    }

    /// The number of what was written last.
    pub(super) fn number(&self) -> u64 {
        self.head.number
    }

    /// Begins anew, once the tables hold all of it on disk.
    pub(super) fn restart(&mut self) {
        self.end = 0;
    }
}

/// What a store's journal holds behind the changes with `number`, in order.
pub(super) fn read(store: &Path, node: Node, number: u64) -> Result<Vec<Changes>, Error> {
    let path = with_suffix(store, SUFFIX);
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(READ_BYTES).read_to_end(&mut bytes)) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed("read", &path, cause)),
        Ok(_) => {}
    }
    let mut found: Vec<(Head, Changes)> = Vec::new();
    let mut rest = &*bytes;
    while let Some((head, changes)) = Changes::read(rest) {
        let last = found.last().map_or(Head { store: node.0, number, ..head }, |(last, _)| *last);
        if head != (Head { number: last.number + 1, ..last }) {
            break;
        }
        let end = changes.bytes().len().next_multiple_of(BLOCK_BYTES);
        rest = rest.get(end..).unwrap_or_default();
        found.push((head, changes));
    }
    Ok(found.into_iter().map(|(_, changes)| changes).collect())
}

const SUFFIX: &str = ".journal";

/// What a disk writes at least.
const BLOCK_BYTES: usize = 4096;

/// More than a journal ever holds: see `CHECKPOINT_BYTES` of the writer.
const READ_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NODE: Node = Node(7);

    fn changes(size: usize) -> Changes {
        let mut changes = Changes::default();
        changes.put_event(1, &vec![b'x'; size]);
        changes
    }

    /// How large the events were that a journal holds behind `number`.
    fn sizes(store: &Path, node: Node, number: u64) -> Vec<usize> {
        let found = read(store, node, number).unwrap();
        found.iter().map(|changes| changes.record(changes.events()[0].1).len()).collect()
    }

    proptest! {
        /// Whatever happens to the last one, which a crash may have torn, those before it stand.
        #[test]
        fn what_was_written_behind_the_last_checkpoint_is_read_again(
            sizes_written in proptest::collection::vec((1..9_000_usize, any::<bool>()), 1..12),
            torn: Option<(prop::sample::Index, u8)>,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let store = folder.path().join("store");
            let mut journal = Journal::begin(&store, NODE, 100).unwrap();
            let (mut expected, mut checkpoint, mut last) = (Vec::new(), 100, 0);
            for (size, checkpointed) in sizes_written {
                last = journal.end;
                journal.write(&mut changes(size), b"counters").unwrap();
                expected.push(size);
                if checkpointed {
                    (last, checkpoint) = (0, journal.number());
                    journal.restart();
                    expected.clear();
                }
            }
            if let (Some((at, other)), false) = (torn, expected.is_empty()) {
                let len = changes(expected.pop().unwrap()).bytes().len() as u64;
                let at = last + at.index(usize::try_from(len).unwrap()) as u64;
                let file = OpenOptions::new().read(true).write(true).open(with_suffix(&store, SUFFIX)).unwrap();
                let mut byte = [0];
                file.read_exact_at(&mut byte, at).unwrap();
                file.write_all_at(&[byte[0] ^ other.max(1)], at).unwrap();
            }
            prop_assert_eq!(sizes(&store, NODE, checkpoint), expected);
        }
    }

    #[test]
    fn no_other_store_and_no_later_state_takes_it_in() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        assert!(sizes(&store, NODE, 0).is_empty());
        let mut journal = Journal::begin(&store, NODE, 5).unwrap();
        journal.write(&mut changes(10), b"").unwrap();
        journal.write(&mut changes(20), b"").unwrap();
        assert_eq!(sizes(&store, NODE, 5), [10, 20]);
        for (node, number) in [(Node(8), 5), (NODE, 4), (NODE, 6), (NODE, 7)] {
            assert!(sizes(&store, node, number).is_empty(), "{number}");
        }
    }

    /// As after a restored backup: the numbers go on, but what stands behind is another run's.
    #[test]
    fn what_another_run_left_behind_is_not_taken_in() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let mut earlier = Journal::begin(&store, NODE, 5).unwrap();
        (0..3).for_each(|_| earlier.write(&mut changes(10), b"").unwrap());
        let left = std::fs::read(with_suffix(&store, SUFFIX)).unwrap();
        let mut later = Journal::begin(&store, NODE, 5).unwrap();
        later.write(&mut changes(30), b"").unwrap();
        let mut mixed = std::fs::read(with_suffix(&store, SUFFIX)).unwrap();
        mixed.resize(BLOCK_BYTES, 0);
        mixed.extend_from_slice(&left[BLOCK_BYTES..]);
        std::fs::write(with_suffix(&store, SUFFIX), mixed).unwrap();
        assert_eq!(sizes(&store, NODE, 5), [30]);
    }

    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        Journal::begin(&store, NODE, 0).unwrap();
        assert_eq!(std::fs::metadata(with_suffix(&store, SUFFIX)).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

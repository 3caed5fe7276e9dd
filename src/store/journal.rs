//! `PATH.journal`: what was committed and is not in the tables yet.
//!
//! ```text
//!   batch ──▶ journal, fsync ──▶ answers          (each batch of the hot path: one write)
//!                │
//!                └── many of them ──▶ tables       (one redb transaction: a checkpoint)
//! ```
//!
//! The file has two halves. While a checkpoint brings one into the tables, the other is written; then they change places.
//!
//! A redb commit writes the path to every leaf that it touches and the state of its allocator, however little is new; the
//! journal writes what is new. Each commit has a number, one more than the last, to the journal or to the tables, and the tables
//! say up to which number they go (`state`, row `JOURNALED`). So after a crash the next start takes in what goes on from there, and
//! a checkpoint that did not come to its end has changed nothing: its changes still stand here. What is torn at the end was
//! answered to nobody. Whole changes that do not go on from there are another state's, as after a restored backup, or those
//! before them are damaged: the file is put aside then, and the log says so.
//!
//! Each batch begins on a block of its own, so that no write touches a block that holds what was answered already.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::changes::{Changes, Head};
use super::error::Error;
use super::files::{failed, sync_folder, with_suffix};

/// The journal of an open store.
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    /// Of what was written last.
    head: Head,
    /// Where the half begins that is written, and where the next batch goes in it.
    half: u64,
    end: u64,
    /// Bytes of the changes in it, without what fills their last blocks up.
    changed: u64,
}

impl Journal {
    /// Begins a journal behind the commit with `number`; the tables have all up to it. What the file takes already it keeps: on a
    /// full disk there may be no more.
    pub(super) fn begin(store: &Path, id: u64, number: u64) -> Result<Self, Error> {
        let path = with_suffix(store, SUFFIX);
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = opened.map_err(|cause| failed("open", &path, cause))?;
        sync_folder(&path)?;
        Ok(Self { file, path, head: Head { store: id, run: getrandom::u64()?, number }, half: 0, end: 0, changed: 0 })
    }

    /// Seals the changes of one batch and writes them; when this returns, they are on disk.
    pub(super) fn write(&mut self, changes: &mut Changes, counters: &[u8]) -> Result<(), Error> {
        self.skip();
        changes.seal(self.head, counters);
        debug_assert!(self.end + (changes.bytes().len() as u64) < HALF_BYTES, "a checkpoint comes long before");
        let written = self.file.write_all_at(changes.bytes(), self.half + self.end).and_then(|()| self.file.sync_data());
        written.map_err(|cause| failed("write", &self.path, cause))?;
        self.end += changes.bytes().len().next_multiple_of(BLOCK_BYTES) as u64;
        self.changed += changes.bytes().len() as u64;
        Ok(())
    }

    /// The number of the last commit.
    pub(super) fn number(&self) -> u64 {
        self.head.number
    }

    /// The number of a commit to the tables, which is the last now.
    pub(super) fn skip(&mut self) -> u64 {
        self.head.number += 1;
        self.head.number
    }

    /// Bytes of the file that the half takes which is written.
    pub(super) fn half_bytes(&self) -> u64 {
        self.end
    }

    /// Bytes of the changes in that half.
    pub(super) fn changed_bytes(&self) -> u64 {
        self.changed
    }

    /// Leaves nothing behind; the tables have all of it.
    pub(super) fn clear(&self) -> Result<(), Error> {
        self.file.set_len(0).map_err(|cause| failed("empty", &self.path, cause))
    }

    /// Begins the other half, of which the tables hold all on disk.
    pub(super) fn turn_over(&mut self) {
        self.half = HALF_BYTES - self.half;
        (self.end, self.changed) = (0, 0);
    }
}

/// What a journal holds for the tables.
#[derive(Default)]
pub(super) struct Found {
    /// What goes on from the tables, in order.
    pub(super) changes: Vec<Changes>,
    /// Whether there is more, which does not follow.
    pub(super) stray: bool,
}

/// What the journal of a store with this id holds behind the commit with `number`.
pub(super) fn read(store: &Path, id: u64, number: u64) -> Result<Found, Error> {
    let path = with_suffix(store, SUFFIX);
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(2 * HALF_BYTES).read_to_end(&mut bytes)) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Found::default()),
        Err(cause) => return Err(failed("read", &path, cause)),
        Ok(_) => {}
    }
    let mut whole = BTreeMap::new();
    let mut rest = &*bytes;
    while !rest.is_empty() {
        let mut len = BLOCK_BYTES;
        if let Some((head, changes)) = Changes::read(rest).filter(|(head, _)| head.store == id) {
            len = changes.bytes().len().next_multiple_of(BLOCK_BYTES);
            if head.number > number {
                whole.insert(head.number, (head.run, changes));
            }
        }
        rest = rest.get(len..).unwrap_or_default();
    }
    Ok(following(whole, number))
}

/// Of whole changes by their numbers those that go on from `number`, all of one run.
fn following(mut whole: BTreeMap<u64, (u64, Changes)>, number: u64) -> Found {
    let mut found = Found::default();
    let first_run = whole.get(&(number + 1)).map(|(run, _)| *run);
    for next in number + 1.. {
        match whole.remove(&next) {
            Some((run, changes)) if Some(run) == first_run => found.changes.push(changes),
            other => {
                found.stray = other.is_some() || !whole.is_empty();
                break;
            }
        }
    }
    found
}

/// Removes a journal, if there is one.
pub(super) fn remove(store: &Path) -> Result<(), Error> {
    let path = with_suffix(store, SUFFIX);
    match std::fs::remove_file(&path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(failed("remove", &path, cause)),
        _ => Ok(()),
    }
}

/// Moves a journal out of the way of a store that stands at the commit with `number`; where it is now. The same backup may be
/// restored twice, so that one may lie there already.
pub(super) fn put_aside(store: &Path, number: u64) -> Result<PathBuf, Error> {
    let (path, mut aside) = (with_suffix(store, SUFFIX), with_suffix(store, &format!("{ASIDE}{number}")));
    let mut count = 1;
    while aside.exists() {
        count += 1;
        aside = with_suffix(store, &format!("{ASIDE}{number}.{count}"));
    }
    std::fs::rename(&path, &aside).map_err(|cause| failed("move aside", &path, cause))?;
    sync_folder(&path)?;
    Ok(aside)
}

const ASIDE: &str = ".journal.aside-";
const SUFFIX: &str = ".journal";

/// What a disk writes at least.
const BLOCK_BYTES: usize = 4096;

/// More than a half ever holds: see `JOURNAL_BYTES` of the writer.
const HALF_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: u64 = 7;

    fn changes(size: usize) -> Changes {
        let mut changes = Changes::default();
        changes.put_event(1, &vec![b'x'; size]);
        changes
    }

    /// How large the events were that a journal holds behind `number`, and whether there is more.
    fn held(store: &Path, id: u64, number: u64) -> (Vec<usize>, bool) {
        let found = read(store, id, number).unwrap();
        (found.changes.iter().map(|changes| changes.record(changes.events()[0].1).len()).collect(), found.stray)
    }

    fn flip(store: &Path, at: u64) {
        let file = OpenOptions::new().read(true).write(true).open(with_suffix(store, SUFFIX)).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    }

    /// What happens to a journal.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Write(usize),
        /// Of a checkpoint.
        Begin,
        End,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![4 => (1..9_000_usize).prop_map(Step::Write), 1 => Just(Step::Begin), 1 => Just(Step::End)]
    }

    proptest! {
        /// Whatever happens to the last one, which a crash may have torn, those before it stand.
        #[test]
        fn what_was_written_behind_the_last_checkpoint_is_read_again(
            steps in proptest::collection::vec(step(), 1..40),
            torn: Option<prop::sample::Index>,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let store = folder.path().join("store");
            let mut journal = Journal::begin(&store, ID, 100).unwrap();
            let (mut expected, mut checkpoint, mut under_way, mut last) = (Vec::new(), 100, None, 0);
            for step in steps {
                match (step, under_way) {
                    (Step::Write(size), _) => {
                        last = journal.half + journal.end;
                        journal.write(&mut changes(size), b"counters").unwrap();
                        expected.push(size);
                    }
                    (Step::Begin, None) => {
                        under_way = Some((journal.number(), expected.len()));
                        journal.turn_over();
                    }
                    (Step::End, Some((number, held))) => {
                        (checkpoint, under_way) = (number, None);
                        expected.drain(..held);
                    }
                    _ => {}
                }
            }
            if let (Some(at), false) = (torn, expected.is_empty()) {
                let len = changes(expected.pop().unwrap()).bytes().len() as u64;
                flip(&store, last + at.index(usize::try_from(len).unwrap()) as u64);
            }
            prop_assert_eq!(held(&store, ID, checkpoint), (expected, false));
        }
    }

    #[test]
    fn no_other_store_and_no_other_state_takes_it_in() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        assert_eq!(held(&store, ID, 0), (vec![], false));
        let mut journal = Journal::begin(&store, ID, 5).unwrap();
        journal.write(&mut changes(10), b"").unwrap();
        journal.write(&mut changes(20), b"").unwrap();
        // A commit to the tables, which a copy of the store from before does not have.
        journal.skip();
        journal.write(&mut changes(30), b"").unwrap();
        assert_eq!(held(&store, ID, 5), (vec![10, 20], true));
        assert_eq!(held(&store, ID, 8), (vec![30], false));
        assert_eq!(held(&store, ID, 4), (vec![], true));
        assert_eq!((held(&store, ID, 9), held(&store, 8, 5)), ((vec![], false), (vec![], false)));
        let aside = put_aside(&store, 8).unwrap();
        assert!(aside.exists() && held(&store, ID, 8).0.is_empty());
    }

    #[test]
    fn damage_before_whole_changes_is_no_torn_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let mut journal = Journal::begin(&store, ID, 5).unwrap();
        (1..4).for_each(|size| journal.write(&mut changes(size), b"").unwrap());
        flip(&store, BLOCK_BYTES as u64 + 50);
        assert_eq!(held(&store, ID, 5), (vec![1], true));
    }

    /// The numbers go on, but what stands behind is another run's.
    #[test]
    fn what_another_run_left_behind_is_not_taken_in() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let mut earlier = Journal::begin(&store, ID, 5).unwrap();
        (0..3).for_each(|_| earlier.write(&mut changes(10), b"").unwrap());
        let mut later = Journal::begin(&store, ID, 5).unwrap();
        later.write(&mut changes(30), b"").unwrap();
        assert_eq!(held(&store, ID, 5), (vec![30], true));
    }

    #[test]
    fn one_that_is_cleared_takes_no_room_and_nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let mut journal = Journal::begin(&store, ID, 0).unwrap();
        journal.write(&mut changes(9_000), b"").unwrap();
        let found = || std::fs::metadata(with_suffix(&store, SUFFIX)).unwrap();
        assert_eq!((found().permissions().mode() & 0o777, found().len() > 9_000), (0o600, true));
        journal.clear().unwrap();
        assert_eq!(found().len(), 0);
    }
}

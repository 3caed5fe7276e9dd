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
//! say up to which number they go and which run of the service writes the journal (`state`). After a crash the next start takes in
//! what that run wrote behind there (see `following`), and a checkpoint that did not come to its end has changed nothing: its
//! changes still stand here. What is torn at the end was answered to nobody. `ON-DISK.md` argues it step by step.
//!
//! Each batch begins on a block of its own, so that no write touches a block that holds what was answered already, and what stands
//! behind a damaged one is found again at the next block.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::entry::{Changes, Head, Upon};
use crate::store::error::Error;
use crate::store::files::{failed, folder, sync_folder, with_suffix};
use crate::store::redb::medium::{Medium, Track};

/// The journal of an open store.
pub(in crate::store) struct Journal {
    file: File,
    track: Track,
    path: PathBuf,
    /// Of what was written last.
    head: Head,
    /// What the next changes are made on.
    upon: Upon,
    /// Where the half begins that is written, and where the next batch goes in it.
    half: u64,
    end: u64,
    /// Bytes of the changes in it, without what fills their last blocks up.
    changed: u64,
}

/// Who writes a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Writes {
    /// The number by which the store knows its journal.
    pub(in crate::store) store: u64,
    pub(in crate::store) run: u64,
}

impl Journal {
    /// Begins a journal behind the commit with `number`; the tables have all up to it. It shows whose it is: when this returns, that
    /// is on disk. What the file takes already it keeps: on a full disk there may be no more.
    pub(in crate::store) fn begin(store: &Path, medium: &Medium, writes: Writes, number: u64) -> Result<Self, Error> {
        let path = with_suffix(store, SUFFIX);
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = opened.map_err(|cause| failed("open", &path, cause))?;
        let track = medium.follow(&file).map_err(|cause| failed("open", &path, cause))?;
        sync_folder(&path)?;
        let head = Head { store: writes.store, run: writes.run, number, upon: None };
        let mut journal = Self { file, track, path, head, upon: Upon { base: number, before: 0 }, half: 0, end: 0, changed: 0 };
        journal.append(&mut Changes::default(), &[])?;
        Ok(journal)
    }

    /// Seals the changes of one batch and writes them; when this returns, they are on disk.
    pub(in crate::store) fn write(&mut self, changes: &mut Changes, counters: &[u8]) -> Result<(), Error> {
        self.head.number += 1;
        self.append(changes, counters)
    }

    fn append(&mut self, changes: &mut Changes, counters: &[u8]) -> Result<(), Error> {
        self.upon.before = changes.seal(Head { upon: Some(self.upon), ..self.head }, counters);
        debug_assert!(self.end + (changes.bytes().len() as u64) < HALF_BYTES, "a checkpoint comes long before");
        let (bytes, offset) = (changes.bytes(), self.half + self.end);
        let written = self.track.write(offset, bytes, || self.file.write_all_at(bytes, offset));
        let synced = written.and_then(|()| self.track.sync(|| self.file.sync_data()));
        synced.map_err(|cause| failed("write", &self.path, cause))?;
        self.end += changes.bytes().len().next_multiple_of(BLOCK_BYTES) as u64;
        self.changed += changes.bytes().len() as u64;
        Ok(())
    }

    /// The number of the last commit.
    pub(in crate::store) fn number(&self) -> u64 {
        self.head.number
    }

    /// The number of a commit to the tables, which is the last now.
    pub(in crate::store) fn skip(&mut self) -> u64 {
        self.head.number += 1;
        self.upon.base = self.head.number;
        self.head.number
    }

    /// Bytes of the file that the half takes which is written.
    pub(in crate::store) fn half_bytes(&self) -> u64 {
        self.end
    }

    /// Bytes of the changes in that half.
    pub(in crate::store) fn changed_bytes(&self) -> u64 {
        self.changed
    }

    /// Leaves nothing behind; the tables have all of it, and say that there is nothing.
    pub(in crate::store) fn clear(&self) -> Result<(), Error> {
        self.track.set_len(0, || self.file.set_len(0)).map_err(|cause| failed("empty", &self.path, cause))
    }

    /// Begins the other half, of which the tables hold all on disk.
    pub(in crate::store) fn turn_over(&mut self) {
        self.half = HALF_BYTES - self.half;
        // The first block shows whose the file is, whatever becomes of a write: it stays.
        self.end = if self.half == 0 { BLOCK_BYTES as u64 } else { 0 };
        self.changed = 0;
    }
}

/// What stands in a journal's file.
#[derive(Default)]
pub(in crate::store) struct Contents {
    pub(in crate::store) file: Bytes,
    /// All whole changes, as they stand.
    pub(in crate::store) whole: Vec<(Head, Changes)>,
}

/// What a journal's file is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) enum Bytes {
    #[default]
    NoFile,
    /// Its length is 0.
    None,
    Zeros,
    Some,
}

impl Bytes {
    fn of(bytes: &[u8]) -> Self {
        match bytes {
            [] => Self::None,
            _ if bytes.iter().all(|byte| *byte == 0) => Self::Zeros,
            _ => Self::Some,
        }
    }
}

/// Where a store's journal is.
pub(in crate::store) fn path(store: &Path) -> PathBuf {
    with_suffix(store, SUFFIX)
}

/// Reads a journal, or one that was put aside.
pub(in crate::store) fn read(path: &Path) -> Result<Contents, Error> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(2 * HALF_BYTES).read_to_end(&mut bytes)) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Contents::default()),
        Err(cause) => return Err(failed("read", path, cause)),
        Ok(_) => {}
    }
    let mut found = Contents { file: Bytes::of(&bytes), whole: Vec::new() };
    let mut rest = &*bytes;
    while !rest.is_empty() {
        let mut len = BLOCK_BYTES;
        if let Some((head, changes)) = Changes::read(rest) {
            len = changes.bytes().len().next_multiple_of(BLOCK_BYTES);
            found.whole.push((head, changes));
        }
        rest = rest.get(len..).unwrap_or_default();
    }
    Ok(found)
}

/// Removes a journal, if there is one.
pub(in crate::store) fn remove(store: &Path) -> Result<(), Error> {
    let path = with_suffix(store, SUFFIX);
    match std::fs::remove_file(&path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(failed("remove", &path, cause)),
        _ => Ok(()),
    }
}

/// Where a journal goes that is moved out of the way of a store that stands at the commit with `number`. The same backup may be
/// restored twice, so that one may lie there already.
pub(in crate::store) fn place_aside(store: &Path, number: u64) -> PathBuf {
    let first = with_suffix(store, &format!("{ASIDE}{number}"));
    let mut later = (2..).map(|count: u32| with_suffix(store, &format!("{ASIDE}{number}.{count}")));
    if first.exists() { later.find(|place| !place.exists()).unwrap_or(first) } else { first }
}

/// Moves a journal there.
pub(in crate::store) fn put_aside(store: &Path, aside: &Path) -> Result<(), Error> {
    let path = path(store);
    std::fs::rename(&path, aside).map_err(|cause| failed("move aside", &path, cause))?;
    sync_folder(&path)
}

/// The journals of a store that were put aside, by their names.
pub(in crate::store) fn asides(store: &Path) -> Result<Vec<PathBuf>, Error> {
    let Some(name) = store.file_name() else { return Ok(Vec::new()) };
    let beginning = format!("{}{ASIDE}", name.to_string_lossy());
    let folder = folder(store);
    let listed = std::fs::read_dir(folder).map_err(|cause| failed("read", folder, cause))?;
    let names = listed.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let is_one = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&beginning));
    let mut found: Vec<PathBuf> = names.filter(is_one).collect();
    found.sort_unstable();
    Ok(found)
}

const ASIDE: &str = ".journal.aside-";
const SUFFIX: &str = ".journal";

/// What a disk writes at least.
pub(in crate::store) const BLOCK_BYTES: usize = 4096;

/// More than a half ever holds: see `JOURNAL_BYTES` of the writer.
const HALF_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redb::journal::item::Table;

    const WRITES: Writes = Writes { store: 7, run: 8 };

    fn changes(size: usize) -> Changes {
        let mut changes = Changes::default();
        changes.change(Table::Event, (&[1; 8], Some(&vec![b'x'; size])));
        changes
    }

    #[test]
    fn the_first_thing_in_a_journal_shows_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let journal = Journal::begin(&store, &Medium::default(), WRITES, 5).unwrap();
        let found = read(&path(&store)).unwrap();
        let (head, none) = &found.whole[0];
        assert_eq!((head.store, head.run, head.number, none.are_none(), found.whole.len()), (7, 8, 5, true, 1));
        assert_eq!(journal.number(), 5);
    }

    /// A write that is torn there would leave a file that shows nothing of the run.
    #[test]
    fn a_run_never_writes_over_its_first_entry() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let mut journal = Journal::begin(&store, &Medium::default(), WRITES, 5).unwrap();
        for _ in 0..4 {
            journal.turn_over();
            journal.write(&mut changes(10), b"c").unwrap();
        }
        let numbers: Vec<u64> = read(&path(&store)).unwrap().whole.iter().map(|(head, _)| head.number).collect();
        assert_eq!(numbers, [5, 9, 8], "the first entry, and the last of each half");
    }

    #[test]
    fn each_of_its_changes_names_what_it_was_made_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let mut journal = Journal::begin(&store, &Medium::default(), WRITES, 5).unwrap();
        journal.write(&mut changes(10), b"c").unwrap();
        journal.skip();
        journal.write(&mut changes(9_000), b"c").unwrap();
        let whole = read(&path(&store)).unwrap().whole;
        let upon: Vec<_> = whole.iter().map(|(head, _)| (head.number, head.upon.unwrap().base)).collect();
        assert_eq!(upon, [(5, 5), (6, 5), (8, 7)]);
        for (earlier, later) in whole.iter().zip(&whole[1..]) {
            assert_eq!(later.0.upon.unwrap().before, earlier.1.checksum());
        }
    }

    #[test]
    fn what_a_file_is_made_of_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let file = || read(&path(&store)).unwrap().file;
        assert_eq!(file(), Bytes::NoFile);
        for (bytes, expected) in [(vec![], Bytes::None), (vec![0; 10_000], Bytes::Zeros), (vec![1], Bytes::Some)] {
            std::fs::write(path(&store), bytes).unwrap();
            assert_eq!(file(), expected);
        }
    }

    #[test]
    fn what_is_put_aside_lies_beside_what_was_put_aside_before() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let aside = || {
            std::fs::write(path(&store), "x").unwrap();
            let place = place_aside(&store, 8);
            put_aside(&store, &place).unwrap();
            place
        };
        let both = [aside(), aside()];
        assert_eq!(asides(&store).unwrap(), both);
        assert!(!path(&store).exists());
    }

    #[test]
    fn one_that_is_cleared_takes_no_room_and_nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let mut journal = Journal::begin(&store, &Medium::default(), WRITES, 0).unwrap();
        journal.write(&mut changes(9_000), b"").unwrap();
        let found = || std::fs::metadata(with_suffix(&store, SUFFIX)).unwrap();
        assert_eq!((found().permissions().mode() & 0o777, found().len() > 9_000), (0o600, true));
        journal.clear().unwrap();
        assert_eq!(found().len(), 0);
    }
}

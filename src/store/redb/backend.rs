//! The store's file as redb sees it, with fewer bytes written.
//!
//! With quick repair redb writes the whole state of its allocator in every commit: 128 KiB for each GiB of the file, of which a
//! commit changes next to nothing. It writes that state as one large page, to one of a few places by turns. Here a copy of the
//! page at each such place is kept. When redb writes a large page to a place again, only the blocks that differ from the copy go to
//! the file, which then holds all that redb wrote. Everything else goes to the file as it comes.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{DatabaseError, StorageBackend};

use super::medium::{Medium, Track};

/// The file of one store.
#[derive(Debug)]
pub(in crate::store) struct Disk {
    file: FileBackend,
    track: Track,
    copies: Mutex<Copies>,
}

impl Disk {
    pub(in crate::store) fn new(file: File, medium: &Medium) -> Result<Self, DatabaseError> {
        let track = medium.follow(&file)?;
        Ok(Self { file: FileBackend::new(file)?, track, copies: Mutex::default() })
    }

    fn write_through(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.track.write(offset, data, || self.file.write(offset, data))
    }

    fn copies(&self) -> MutexGuard<'_, Copies> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what differs from the copy. One that is half written is taken out, so that nothing is compared with it.
    fn write_changed(&self, offset: u64, data: &[u8], mut copy: Vec<u8>) -> io::Result<Vec<u8>> {
        for run in changed(&copy, data) {
            self.write_through(offset + run.start as u64, &data[run.clone()])?;
            copy[run.clone()].copy_from_slice(&data[run]);
        }
        Ok(copy)
    }
}

/// The locks of a [`StorageBackend`] whose field `file` is the file: those of that file.
macro_rules! locks_of_its_file {
    () => {
        fn try_lock_range(&self, start: std::ops::Bound<u64>, end: std::ops::Bound<u64>) -> Result<bool, redb::BackendError> {
            self.file.try_lock_range(start, end)
        }

        fn try_lock_shared_range(
            &self,
            start: std::ops::Bound<u64>,
            end: std::ops::Bound<u64>,
        ) -> Result<bool, redb::BackendError> {
            self.file.try_lock_shared_range(start, end)
        }

        fn lock_range(&self, start: std::ops::Bound<u64>, end: std::ops::Bound<u64>) -> Result<(), redb::BackendError> {
            self.file.lock_range(start, end)
        }

        fn lock_shared_range(&self, start: std::ops::Bound<u64>, end: std::ops::Bound<u64>) -> Result<(), redb::BackendError> {
            self.file.lock_shared_range(start, end)
        }

        fn unlock_range(&self, start: std::ops::Bound<u64>, end: std::ops::Bound<u64>) -> Result<(), redb::BackendError> {
            self.file.unlock_range(start, end)
        }

        fn query_lock_range(&self, start: std::ops::Bound<u64>, end: std::ops::Bound<u64>) -> Result<bool, redb::BackendError> {
            self.file.query_lock_range(start, end)
        }
    };
}

pub(super) use locks_of_its_file;

impl StorageBackend for Disk {
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut copies = self.copies();
        if data.len() < LARGE_BYTES {
            copies.forget(offset, data.len());
            return self.write_through(offset, data);
        }
        match copies.take(offset, data.len()) {
            Some(copy) => copies.keep(offset, self.write_changed(offset, data, copy)?),
            None => {
                copies.forget(offset, data.len());
                self.write_through(offset, data)?;
                if copies.is_known(offset, data.len()) {
                    copies.keep(offset, data.to_vec());
                }
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        *self.copies() = Copies::default();
        self.track.set_len(len, || self.file.set_len(len))
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.track.sync(|| self.file.sync_data())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    locks_of_its_file!();
}

/// Large pages as they stand in the file.
#[derive(Default)]
struct Copies {
    /// By offset, none over another.
    kept: BTreeMap<u64, Vec<u8>>,
    /// Offsets of `kept`, the one that was longest not written first.
    turns: VecDeque<u64>,
    bytes: usize,
    /// Where large pages without a copy were written last, and how long they are: an event's body seldom comes back, the
    /// allocator's state does.
    places: VecDeque<(u64, usize)>,
}

impl Copies {
    /// The copy of a page of this length, which is then no longer kept.
    fn take(&mut self, offset: u64, len: usize) -> Option<Vec<u8>> {
        let same = self.kept.get(&offset).is_some_and(|copy| copy.len() == len);
        same.then(|| self.remove(offset)).flatten()
    }

    /// Takes out every copy of these bytes of the file.
    fn forget(&mut self, offset: u64, len: usize) {
        while let Some((at, copy)) = self.kept.range(..offset + len as u64).next_back() {
            if at + copy.len() as u64 <= offset {
                return;
            }
            let at = *at;
            self.remove(at);
        }
    }

    fn remove(&mut self, offset: u64) -> Option<Vec<u8>> {
        let copy = self.kept.remove(&offset)?;
        self.turns.retain(|at| *at != offset);
        self.bytes -= copy.len();
        Some(copy)
    }

    /// Keeps a copy, and of all of them the newest that have room.
    fn keep(&mut self, offset: u64, copy: Vec<u8>) {
        self.bytes += copy.len();
        self.kept.insert(offset, copy);
        self.turns.push_back(offset);
        while self.bytes > COPIES_BYTES
            && let Some(oldest) = self.turns.front().copied()
        {
            self.remove(oldest);
        }
    }

    /// Whether a page was written to this place lately; notes that one was.
    fn is_known(&mut self, offset: u64, len: usize) -> bool {
        let place = (offset, len);
        if let Some(known) = self.places.iter().position(|known| *known == place) {
            self.places.remove(known);
            return true;
        }
        if self.places.len() == PLACES {
            self.places.pop_front();
        }
        self.places.push_back(place);
        false
    }
}

/// What it holds are events.
impl std::fmt::Debug for Copies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Copies({} pages, {} bytes)", self.kept.len(), self.bytes)
    }
}

/// The runs of blocks of `new` that differ from `old`, which is as long.
fn changed(old: &[u8], new: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (number, (was, is)) in old.chunks(BLOCK_BYTES).zip(new.chunks(BLOCK_BYTES)).enumerate() {
        let start = number * BLOCK_BYTES;
        match runs.last_mut() {
            _ if was == is => {}
            Some(run) if run.end == start => run.end += is.len(),
            _ => runs.push(start..start + is.len()),
        }
    }
    runs
}

/// From this size on a page may be one of the allocator's that is worth a copy: it stands for half a GiB of the file.
const LARGE_BYTES: usize = 64 * 1024;

/// What the system writes at least.
const BLOCK_BYTES: usize = 4096;

/// Room for all copies: a file of some 64 GiB.
const COPIES_BYTES: usize = 32 << 20;

/// Places that are remembered.
const PLACES: usize = 64;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use proptest::prelude::*;

    use super::*;

    /// What may be asked of a file.
    #[derive(Clone, Debug)]
    enum Call {
        Write(usize, Vec<u8>),
        SetLen(usize),
    }

    const PAGE: usize = 4096;

    fn call() -> impl Strategy<Value = Call> {
        let small =
            (0..96_usize, 1..3_usize, any::<u8>()).prop_map(|(at, pages, byte)| Call::Write(at * PAGE, vec![byte; pages * PAGE]));
        let large = (0..3_usize, 1..3_usize, any::<u8>(), 0..16_usize).prop_map(|(at, double, byte, spot)| {
            let mut data = vec![7; double * LARGE_BYTES];
            data[spot * PAGE + 5] = byte;
            Call::Write(at * LARGE_BYTES, data)
        });
        let length = (0..96_usize).prop_map(|pages| Call::SetLen(pages * PAGE));
        prop_oneof![4 => small, 8 => large, 1 => length]
    }

    proptest! {
        #[test]
        fn the_file_holds_what_was_written(calls in proptest::collection::vec(call(), 1..60)) {
            let file = tempfile::tempfile().unwrap();
            let disk = Disk::new(file.try_clone().unwrap(), &Medium::default()).unwrap();
            let mut model = Vec::new();
            for call in calls {
                match call {
                    Call::Write(at, data) => {
                        disk.write(at as u64, &data).unwrap();
                        let end = at + data.len();
                        model.resize(model.len().max(end), 0);
                        model[at..end].copy_from_slice(&data);
                    }
                    Call::SetLen(len) => {
                        disk.set_len(len as u64).unwrap();
                        model.resize(len, 0);
                    }
                }
                let mut found = vec![0; model.len()];
                disk.read(0, &mut found).unwrap();
                prop_assert!(found == model && disk.len().unwrap() == model.len() as u64, "the file holds something else");
            }
        }
    }

    /// What is not written is seen by what somebody else wrote there.
    #[test]
    fn of_a_page_that_stood_there_only_the_changed_blocks_are_written() {
        let file = tempfile::tempfile().unwrap();
        let disk = Disk::new(file.try_clone().unwrap(), &Medium::default()).unwrap();
        let mut page = vec![1; LARGE_BYTES];
        disk.write(0, &page).unwrap();
        disk.write(0, &page).unwrap();
        file.write_all_at(b"xxxx", 0).unwrap();
        page[PAGE] = 2;
        disk.write(0, &page).unwrap();
        let mut found = vec![0; LARGE_BYTES];
        file.read_exact_at(&mut found, 0).unwrap();
        assert_eq!((&found[..4], found[PAGE]), (&b"xxxx"[..], 2));
    }

    #[test]
    fn copies_have_a_bound_and_the_oldest_goes() {
        let mut copies = Copies::default();
        let many = COPIES_BYTES / (1 << 20) + 2;
        (0..many as u64).for_each(|at| copies.keep(at << 20, vec![0; 1 << 20]));
        assert_eq!((copies.bytes, copies.kept.len()), (COPIES_BYTES, many - 2));
        assert_eq!((copies.take(1 << 20, 1 << 20), copies.take(2 << 20, 5)), (None, None));
        assert!(copies.take(2 << 20, 1 << 20).is_some());
        assert_eq!((copies.turns.len(), copies.bytes), (many - 3, COPIES_BYTES - (1 << 20)));
    }

    #[test]
    fn a_place_is_known_once_it_was_written() {
        let mut copies = Copies::default();
        assert!(!copies.is_known(0, 5) && copies.is_known(0, 5) && !copies.is_known(0, 5));
        (1..=PLACES as u64).for_each(|at| assert!(!copies.is_known(at, 5)));
        assert!(!copies.is_known(0, 5));
    }

    #[test]
    fn runs_of_changed_blocks_are_found() {
        let old = vec![0; 5 * BLOCK_BYTES + 10];
        let mut new = old.clone();
        assert!(changed(&old, &new).is_empty());
        for at in [0, 2 * BLOCK_BYTES, 3 * BLOCK_BYTES + 1, 5 * BLOCK_BYTES + 9] {
            new[at] = 1;
        }
        let expected = [0..BLOCK_BYTES, 2 * BLOCK_BYTES..4 * BLOCK_BYTES, 5 * BLOCK_BYTES..5 * BLOCK_BYTES + 10];
        assert_eq!(changed(&old, &new), expected);
    }
}

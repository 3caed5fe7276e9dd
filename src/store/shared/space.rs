//! How much room there is on the store's disk, so that writes are refused before one fails.
//!
//! A look counts what is free on the disk and what the store's own files hold in vain: pages that retention emptied, the journal,
//! which is written over and over, and the ballast. Between two looks, what is taken in is subtracted.

pub(in crate::store) mod ballast;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use super::space::ballast::{BALLAST_BYTES, Ballast};
use crate::store::error::Error;
use crate::store::files::{failed, folder, with_suffix};
use crate::store::rules::retention::pages;

/// The room that is left, in bytes.
#[derive(Debug)]
pub(in crate::store) struct Space {
    store: PathBuf,
    ballast: Ballast,
    /// What may still be taken in; below 0: nothing.
    left: AtomicI64,
    /// Whether it was low at the last look.
    was_low: AtomicBool,
    /// What the journal took at the last look.
    journal: AtomicU64,
    /// What was free on the disk at the last look.
    free: AtomicU64,
}

/// What a look found, in bytes of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    free: u64,
    ballast: u64,
    journal: u64,
    store: u64,
    /// What the store's live rows need of its own file.
    live: u64,
}

impl Space {
    /// Beside a store; before the first look there is any room.
    pub(in crate::store) fn beside(store: &Path) -> Self {
        Self {
            store: store.into(),
            ballast: Ballast::beside(store),
            left: AtomicI64::new(i64::MAX),
            was_low: AtomicBool::new(false),
            journal: AtomicU64::new(0),
            free: AtomicU64::new(0),
        }
    }

    /// Looks at the disk, where the live rows take so many bytes, and takes or gives back the ballast.
    pub(in crate::store) fn look(&self, live_bytes: u64) -> Result<(), Error> {
        let found = self.find(live_bytes)?;
        let was_low = self.was_low.load(Relaxed);
        let left = found.left().saturating_sub(if was_low { STEP } else { 0 });
        self.left.store(left, Relaxed);
        self.was_low.store(left < 0, Relaxed);
        self.journal.store(found.journal, Relaxed);
        self.free.store(found.free, Relaxed);
        say(was_low, left < 0, &found);
        self.trim(&found)
    }

    /// Notes that so many bytes of records were taken in.
    pub(in crate::store) fn admit(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(COST);
        self.left.fetch_sub(bytes.min(MOST), Relaxed);
    }

    /// What the journal takes of the disk, as of the last look.
    pub(in crate::store) fn journal_bytes(&self) -> u64 {
        self.journal.load(Relaxed)
    }

    /// What is free on the disk, as of the last look.
    pub(in crate::store) fn free_bytes(&self) -> u64 {
        self.free.load(Relaxed)
    }

    /// Whether nothing may be taken in that need not be.
    pub(in crate::store) fn is_low(&self) -> bool {
        self.left.load(Relaxed) < 0
    }

    /// Gives the ballast's room back when an error says that the disk is full; whether that helps.
    pub(in crate::store) fn make_room_for(&self, error: &Error) -> bool {
        error.is_disk_full() && self.release("the disk is full")
    }

    /// Lets the disk be nearly full, or have any room again, until the next look.
    #[cfg(test)]
    pub(in crate::store) fn set_low(&self, is_low: bool) {
        self.left.store(if is_low { -1 } else { i64::MAX }, Relaxed);
    }

    fn find(&self, live_bytes: u64) -> Result<Found, Error> {
        let folder = folder(&self.store);
        let disk = rustix::fs::statvfs(folder).map_err(|cause| failed("ask for the free space of", folder, cause.into()))?;
        let blocks = |path: &Path| fs::metadata(path).map_or(0, |found| found.blocks() * 512);
        Ok(Found {
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            ballast: self.ballast.bytes(),
            journal: blocks(&with_suffix(&self.store, ".journal")),
            store: blocks(&self.store),
            live: pages(live_bytes),
        })
    }

    /// The ballast is there while there is room for it, and gives way before writes fail.
    fn trim(&self, found: &Found) -> Result<(), Error> {
        if found.ballast == 0 && found.free >= RESERVE {
            return self.ballast.hold();
        }
        if found.ballast > 0 && found.free < FULL {
            self.release("the disk is nearly full");
        }
        Ok(())
    }

    fn release(&self, why: &str) -> bool {
        let released = self.ballast.release();
        match &released {
            Ok(true) => tracing::warn!("{why}: the ballast file gives its {} MiB back", BALLAST_BYTES >> 20),
            Ok(false) => {}
            Err(error) => tracing::error!("{why}, and the ballast file cannot help: {error}"),
        }
        released.unwrap_or(false)
    }
}

impl Found {
    /// What may be taken in before only the reserve is left.
    fn left(&self) -> i64 {
        let emptied = self.store.saturating_sub(self.live);
        let room = self.free.saturating_add(self.ballast).saturating_add(self.journal).saturating_add(emptied);
        i64::try_from(room).unwrap_or(i64::MAX).saturating_sub(i64::try_from(RESERVE).unwrap_or(i64::MAX))
    }
}

fn say(was_low: bool, is_low: bool, found: &Found) {
    let free = found.free >> 20;
    match (was_low, is_low) {
        (false, true) => {
            tracing::warn!("the store's disk is nearly full ({free} MiB free): nothing new is taken until there is more")
        }
        (true, false) => tracing::info!("the store's disk has room again ({free} MiB free)"),
        _ => {}
    }
}

/// Enough for every commit under way, for the outcomes of all that was taken in, and for retention to delete with.
const RESERVE: u64 = 64 << 20;

/// With less the ballast goes.
const FULL: u64 = 8 << 20;

/// There must be so much more than the reserve before a disk that was low is not low any more.
const STEP: i64 = 1 << 20;

/// What a byte of a record may take of the disk until the next look: its copy in the journal, and a page of a power of two.
const COST: i64 = 3;

/// More than any batch brings.
const MOST: i64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn found(free: u64) -> Found {
        Found { free, ballast: 0, journal: 0, store: 0, live: 0 }
    }

    #[test]
    fn pages_that_were_emptied_are_room() {
        let full = Found { store: 30 * MIB, live: 30 * MIB, ..found(63 * MIB) };
        assert!(full.left() < 0);
        assert_eq!(Found { live: 10 * MIB, ..full }.left(), 19 * MIB as i64);
        assert_eq!(Found { live: 90 * MIB, ..full }.left(), -(MIB as i64), "what is held to be live is only an estimate");
    }

    #[test]
    fn our_own_files_are_room() {
        assert_eq!(Found { ballast: 16 * MIB, journal: 10 * MIB, ..found(40 * MIB) }.left(), 2 * MIB as i64);
    }

    #[test]
    fn what_is_taken_in_between_two_looks_is_subtracted() {
        let space = Space::beside(Path::new("store"));
        space.left.store(10 * MIB as i64, Relaxed);
        space.admit(3 << 20);
        assert!(!space.is_low());
        space.admit(1 << 20);
        assert!(space.is_low());
    }

    #[test]
    fn no_count_runs_over() {
        let space = Space::beside(Path::new("store"));
        (0..3).for_each(|_| space.admit(usize::MAX));
        assert!(!space.is_low(), "there was any room");
        assert_eq!(found(u64::MAX).left(), i64::MAX - RESERVE as i64);
    }

    #[test]
    fn a_look_takes_the_ballast_and_a_full_disk_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let space = Space::beside(&folder.path().join("store"));
        space.look(0).unwrap();
        assert!(!space.is_low(), "the folder of temporary files has room");
        assert_eq!(space.ballast.bytes(), BALLAST_BYTES);
        space.trim(&Found { ballast: BALLAST_BYTES, ..found(FULL) }).unwrap();
        assert_eq!(space.ballast.bytes(), BALLAST_BYTES);
        space.trim(&Found { ballast: BALLAST_BYTES, ..found(FULL - 1) }).unwrap();
        assert_eq!(space.ballast.bytes(), 0);
        space.trim(&found(RESERVE - 1)).unwrap();
        assert_eq!(space.ballast.bytes(), 0);
    }
}

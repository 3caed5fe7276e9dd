//! A stopped store written anew, in a file as small as its rows allow.
//!
//! The new file is written beside the old one from a snapshot, and takes its place by one rename while the old one is still locked.

use std::fs;
use std::path::Path;

use redb::ReadableDatabase;

use super::place::Fresh;
use super::room::Room;
use super::take::{Journaling, Watch, counters, write};
use crate::clock;
use crate::store::error::Error;
use crate::store::files::failed;
use crate::store::redb::boot::check::must_be_there;
use crate::store::redb::boot::opening::identity;
use crate::store::redb::boot::recovery::{Journals, recover};
use crate::store::redb::boot::trial::{pages_of, trial};
use crate::store::redb::medium::Medium;
use crate::store::redb::schema::STORE_VERSION;
use crate::store::redb::site::{CACHE_BYTES, check_version, open_known};
use crate::store::rules::retention::pages;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// The length of the file before.
    pub(crate) before: u64,
    /// The length of the file now.
    pub(crate) after: u64,
}

/// Writes the store at `path`, which nobody may have open, anew. `tell` hears how many rows of how many are written. On an error the
/// store is as it was.
pub(crate) fn compact(path: &Path, tell: &mut dyn FnMut(u64, u64)) -> Result<Compacted, Error> {
    must_be_there(path)?;
    judge(path)?;
    let before = length(path)?;
    let database = open_known(path, &Medium::default())?;
    recover(&database, path, Journals::PutAside, clock::now())?;
    let fresh = Fresh::beside(path, COMPACTING)?;
    let snapshot = database.begin_read()?;
    let room = Room::exactly(pages(counters(&snapshot)?.live_bytes));
    room.before(&fresh.path)?;
    // The tables have all of the journal, and the new file says so as the old one does.
    write(&snapshot, &fresh.path, Journaling::AsItIs, room, &mut Telling { tell, done: 0, total: 0 })?;
    pages_of(&fresh.path, CACHE_BYTES)?.demand_whole(&fresh.path)?;
    trial(&fresh.path, |copy| identity(&copy.begin_read()?, &fresh.path))?;
    drop(snapshot);
    fresh.replace_kept(path)?;
    drop(database);
    Ok(Compacted { before, after: length(path)? })
}

/// Refuses a store of another version, and one whose pages or journal are not as they should be: those are for a start to see to.
fn judge(path: &Path) -> Result<(), Error> {
    match check_version(path)? {
        Some(found) if found < STORE_VERSION => return Err(Error::Older { path: path.into(), found, known: STORE_VERSION }),
        _ => {}
    }
    pages_of(path, CACHE_BYTES)?.demand_whole(path)?;
    let wrong = trial(path, |database| {
        identity(&database.begin_read()?, path)?;
        Ok(recover(database, path, Journals::Leave, clock::now())?.wrong)
    })?;
    if wrong.is_empty() { Ok(()) } else { Err(Error::NotAsLeft(path.into())) }
}

fn length(path: &Path) -> Result<u64, Error> {
    fs::metadata(path).map(|found| found.len()).map_err(|cause| failed("look at", path, cause))
}

struct Telling<'a> {
    tell: &'a mut dyn FnMut(u64, u64),
    done: u64,
    total: u64,
}

impl Watch for Telling<'_> {
    fn expect(&mut self, rows: u64) {
        self.total = rows;
    }

    fn copied(&mut self, rows: u64) -> Result<(), Error> {
        self.done += rows;
        (self.tell)(self.done, self.total);
        Ok(())
    }
}

/// Behind the path of a store, while it is written anew.
const COMPACTING: &str = ".compacting";

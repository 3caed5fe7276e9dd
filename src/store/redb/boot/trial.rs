//! Opens a store on trial: whatever redb writes stays in memory, whatever it panics about is an error, and the file stays as it is.
//!
//! redb recovers from a crash when it opens a file, and trusts the pages of one that was closed; on damaged ones it may panic. So
//! what can be refused is refused here, before the file is opened to be written.

use std::fs::OpenOptions;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;
use std::thread;

use redb::{Builder, Database};

use super::overlay::Overlay;
use crate::store::error::Error;
use crate::store::files::failed;
use crate::store::redb::site::{CACHE_BYTES, refuse_empty, refused};

/// What `look` finds in the store at `path`, which must exist and which nobody may have open.
pub(in crate::store) fn trial<T: Send>(path: &Path, look: impl FnOnce(&Database) -> Result<T, Error> + Send) -> Result<T, Error> {
    refuse_empty(path)?;
    unharmed(path, || looked(path, look))
}

/// The same, once redb has compared every page with its checksum. Reads all of the file.
pub(in crate::store) fn thorough_trial<T: Send>(
    path: &Path,
    look: impl FnOnce(&Database, Pages) -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let pages = pages_of(path, CACHE_BYTES)?;
    unharmed(path, || looked(path, |database| look(database, pages)))
}

/// Compares every page of the store at `path` with its checksum. Reads all of the file, through a cache of `cache_bytes`.
pub(in crate::store) fn pages_of(path: &Path, cache_bytes: usize) -> Result<Pages, Error> {
    refuse_empty(path)?;
    match unharmed(path, || Ok(open(path, cache_bytes)?.check_integrity())) {
        Ok(Ok(true)) => Ok(Pages::Whole),
        Ok(Ok(false)) => Ok(Pages::Damaged("some pages do not have their checksum".into())),
        Ok(Err(fault)) => Ok(Pages::Damaged(fault.to_string())),
        Err(Error::Unreadable { why, .. }) => Ok(Pages::Damaged(why)),
        Err(other) => Err(other),
    }
}

/// Whether the pages of a file are those that redb wrote.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) enum Pages {
    /// Nobody looked.
    Unknown,
    Whole,
    Damaged(String),
}

impl Pages {
    /// An error about the file at `path` unless every page was compared and is whole.
    pub(in crate::store) fn demand_whole(self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Whole => Ok(()),
            Self::Damaged(why) => Err(Error::Pages { path: path.into(), why }),
            Self::Unknown => Err(Error::Pages { path: path.into(), why: "nobody compared its pages".into() }),
        }
    }
}

/// What `look` finds. redb writes when it closes too, and may panic then: that comes too late to matter.
fn looked<T>(path: &Path, look: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, Error> {
    let database = open(path, CACHE_BYTES)?;
    let found = look(&database);
    drop(panic::catch_unwind(AssertUnwindSafe(move || drop(database))));
    found
}

fn open(path: &Path, cache_bytes: usize) -> Result<Database, Error> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|cause| failed("open", path, cause))?;
    let overlay = Overlay::new(file).map_err(|cause| refused(path, cause))?;
    let opened = Builder::new().set_cache_size(cache_bytes).create_with_backend(overlay);
    opened.map_err(|cause| refused(path, cause))
}

/// Runs something that may panic in a thread of its own, and makes an error of that.
fn unharmed<T: Send>(path: &Path, run: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    keep_quiet();
    let panicked = || Error::Unreadable { path: path.into(), why: "its pages are damaged".into() };
    thread::scope(|scope| {
        let started = thread::Builder::new().name(TRIAL.into()).spawn_scoped(scope, run);
        let thread = started.map_err(|cause| failed("start a thread to open", path, cause))?;
        thread.join().unwrap_or_else(|_| Err(panicked()))
    })
}

/// A panic on trial is told as the error that it means, not as a fault of this program.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() != Some(TRIAL) {
                usual(info);
            }
        }));
    });
}

const TRIAL: &str = "store-trial";

//! Opens a store on trial: whatever redb writes stays in memory, whatever it panics about is an error, and the file stays as it is.
//!
//! redb recovers from a crash when it opens a file, and trusts the pages of one that was closed; on damaged ones it may panic. So
//! what can be refused is refused here, before the file is opened to be written.

use std::fs::OpenOptions;
use std::panic;
use std::path::Path;
use std::sync::Once;
use std::thread;

use redb::{Builder, Database, DatabaseError};

use super::error::Error;
use super::files::failed;
use super::opening::{CACHE_BYTES, refuse_empty, refused};
use super::overlay::Overlay;

/// What `look` finds in the store at `path`, which must exist and which nobody may have open.
pub(super) fn trial<T: Send>(path: &Path, look: impl FnOnce(&Database) -> Result<T, Error> + Send) -> Result<T, Error> {
    refuse_empty(path)?;
    unharmed(path, || look(&open(path, Check::Quick)?))
}

/// The same, once redb has compared every page with its checksum. Reads all of the file.
pub(super) fn thorough_trial<T: Send>(
    path: &Path,
    look: impl FnOnce(&Database, Pages) -> Result<T, Error> + Send,
) -> Result<T, Error> {
    refuse_empty(path)?;
    let pages = match unharmed(path, || open(path, Check::EveryPage).map(drop)) {
        Ok(()) => Pages::Whole,
        Err(Error::Foreign { why, .. } | Error::Unreadable { why, .. }) => Pages::Damaged(why),
        Err(other) => return Err(other),
    };
    unharmed(path, || look(&open(path, Check::Quick)?, pages))
}

/// Whether the pages of a file are those that redb wrote.
pub(super) enum Pages {
    Whole,
    Damaged(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    Quick,
    EveryPage,
}

fn open(path: &Path, check: Check) -> Result<Database, Error> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|cause| failed("open", path, cause))?;
    let overlay = Overlay::new(file).map_err(|cause| refused(path, cause))?;
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(check == Check::EveryPage);
    builder.create_with_backend(overlay).map_err(|cause: DatabaseError| refused(path, cause))
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

//! Where a store lies: its file, the file beside it that tells its version, and how both are opened.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Instant;

use redb::{Builder, Database, DatabaseError};

use super::backend::Disk;
use super::medium::Medium;
use super::schema::STORE_VERSION;
use crate::clock::Clock;
use crate::domain::time::timekeeper::Reading;
use crate::store::error::Error;
use crate::store::files::{failed, sync_folder, with_suffix};

/// Where a store lies, and what opens its secrets.
#[derive(Clone, Copy)]
pub(in crate::store) struct Site<'a> {
    pub(in crate::store) path: &'a Path,
    /// systemd's `$CREDENTIALS_DIRECTORY`, which may hold the master key.
    pub(in crate::store) credentials: Option<&'a Path>,
    pub(in crate::store) medium: &'a Medium,
}

/// When a store is opened, by each clock.
#[derive(Clone, Copy)]
pub(in crate::store) struct Moment {
    pub(in crate::store) steady: Instant,
    pub(in crate::store) reading: Reading,
    /// Of the boot that the reading counts from.
    pub(in crate::store) boot_id: u64,
}

impl Moment {
    pub(in crate::store) fn of(clock: &Clock) -> Self {
        Self { steady: clock.steady(), reading: clock.reading(), boot_id: clock.boot_id() }
    }
}

/// Opens a file that exists, and makes none.
pub(in crate::store) fn open_known(path: &Path, medium: &Medium) -> Result<Database, Error> {
    refuse_empty(path)?;
    database(path, medium, &mut OpenOptions::new())
}

pub(in crate::store) fn database(path: &Path, medium: &Medium, options: &mut OpenOptions) -> Result<Database, Error> {
    let file = options.read(true).write(true).open(path).map_err(|cause| failed("open", path, cause))?;
    let disk = Disk::new(file, medium).map_err(|cause| refused(path, cause))?;
    let opened = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(disk);
    opened.map_err(|cause| refused(path, cause))
}

/// Reads `PATH.version` before anything opens the store, since opening changes the file; `None` when there is none.
pub(in crate::store) fn check_version(path: &Path) -> Result<Option<u32>, Error> {
    let beside = with_suffix(path, VERSION);
    let text = match fs::read_to_string(&beside) {
        Ok(text) => text,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(failed("read", &beside, cause)),
    };
    match text.trim().parse() {
        Ok(found) if found > STORE_VERSION => Err(Error::Newer { path: path.into(), found, known: STORE_VERSION }),
        Ok(found) => Ok(Some(found)),
        Err(_) => Err(Error::Foreign { path: beside, why: "it holds no version number".into() }),
    }
}

pub(in crate::store) fn write_version(path: &Path) -> Result<(), Error> {
    let beside = with_suffix(path, VERSION);
    let written = || -> std::io::Result<()> {
        let fresh = with_suffix(path, ".version.new");
        let mut file = fs::File::create(&fresh)?;
        file.write_all(format!("{STORE_VERSION}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, &beside)
    };
    written().map_err(|cause| failed("write", &beside, cause))?;
    sync_folder(path)
}

/// redb would make a new store of an empty file, and somebody's events may have stood in it.
pub(in crate::store) fn refuse_empty(path: &Path) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(found) if found.len() == 0 => {
            let why = "it is empty; move it away to start with a new store".into();
            Err(Error::Foreign { path: path.into(), why })
        }
        _ => Ok(()),
    }
}

pub(in crate::store) fn refused(path: &Path, cause: DatabaseError) -> Error {
    match cause {
        DatabaseError::DatabaseAlreadyOpen => Error::InUse(path.into()),
        DatabaseError::Storage(redb::StorageError::Io(cause)) if cause.kind() == ErrorKind::InvalidData => {
            Error::Foreign { path: path.into(), why: cause.to_string() }
        }
        DatabaseError::Storage(redb::StorageError::Io(cause)) => failed("open", path, cause),
        other => Error::Unreadable { path: path.into(), why: other.to_string() },
    }
}

/// Sealed with the master key, by which a store knows it.
pub(in crate::store) const SEAL_TEXT: &str = "hookwheel";

/// Behind the store's path.
pub(in crate::store) const VERSION: &str = ".version";
pub(in crate::store) const KEY: &str = ".key";

/// redb's default is 1 GiB.
pub(in crate::store) const CACHE_BYTES: usize = 64 << 20;

//! A backup in the place of a stopped store.
//!
//! The copy is made beside the store, compared with the manifest, checked, and its secrets opened, before anything of the store is
//! touched. Then it takes the store's place by one rename. What stood there keeps a second name.

use std::io::Write;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase};

use super::manifest::{self, hashed};
use super::place::{Fresh, Stopped, keep_aside, put, standing};
use super::room::Room;
use crate::clock;
use crate::domain::id::EndpointNo;
use crate::store::error::Error;
use crate::store::files::{failed, private};
use crate::store::message::backup::{Manifest, SealingKey};
use crate::store::record;
use crate::store::record::seal::Sealer;
use crate::store::redb::boot::check::{Report, report};
use crate::store::redb::boot::opening::identify;
use crate::store::redb::boot::trial::thorough_trial;
use crate::store::redb::schema::{self, ENDPOINT, STORE_VERSION};
use crate::store::redb::site::check_version;

/// What is to be restored, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restoring<'a> {
    pub(crate) backup: &'a Path,
    pub(crate) store: &'a Path,
    /// systemd's `$CREDENTIALS_DIRECTORY`, which may hold the master key.
    pub(crate) credentials: Option<&'a Path>,
    /// Whether a store that stands there may be replaced.
    pub(crate) force: bool,
    /// Whether a backup is taken in which the check finds faults.
    pub(crate) accept_faults: bool,
}

/// What was restored.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) manifest: Manifest,
    /// The faults that were accepted.
    pub(crate) report: Report,
    /// Where the store is that stood there before.
    pub(crate) aside: Option<PathBuf>,
}

/// Puts a backup in the place of a store that nobody has open. `tell` hears how many bytes of how many are copied. On an error the
/// store is as it was.
pub(crate) fn restore(plan: Restoring<'_>, tell: &mut dyn FnMut(u64, u64)) -> Result<Restored, Error> {
    let manifest = manifest::read(plan.backup)?;
    if manifest.store_version != STORE_VERSION {
        return Err(of_another_version(plan.backup, manifest.store_version));
    }
    check_version(plan.store)?;
    let stopped = Stopped::lock(plan.store)?;
    let standing = standing(plan.store);
    if let Some(standing) = standing.as_ref().filter(|_| !plan.force) {
        return Err(Error::Stands(standing.clone()));
    }
    let sealer = right_key(plan, &manifest)?;
    let fresh = Fresh::beside(plan.store, RESTORING)?;
    Room::exactly(manifest.bytes).before(&fresh.path)?;
    copy(plan.backup, &fresh.path, &manifest, tell)?;
    let report = checked(plan, &fresh.path, &sealer)?;
    let aside = standing.map(|_| keep_aside(plan.store, clock::now().as_millis())).transpose()?;
    put(fresh, plan.store)?;
    drop(stopped);
    Ok(Restored { manifest, report, aside })
}

fn of_another_version(path: &Path, found: u32) -> Error {
    let (path, known) = (path.into(), STORE_VERSION);
    if found > known { Error::Newer { path, found, known } } else { Error::Older { path, found, known } }
}

/// The master key that the backup's secrets were sealed with.
fn right_key(plan: Restoring<'_>, manifest: &Manifest) -> Result<Sealer, Error> {
    let SealingKey { fingerprint, file, .. } = manifest.sealing_key.clone();
    match Sealer::load(plan.store, plan.credentials, false) {
        Ok(sealer) if sealer.fingerprint() == fingerprint => Ok(sealer),
        Ok(other) => {
            let found = Some(other.fingerprint().to_owned());
            Err(Error::KeyNeeded { path: other.source().into(), fingerprint, file, found })
        }
        Err(Error::WrongKey(path)) => Err(Error::KeyNeeded { path, fingerprint, file, found: None }),
        Err(other) => Err(other),
    }
}

/// Copies the backup, and compares what was copied with its manifest.
fn copy(backup: &Path, to: &Path, manifest: &Manifest, tell: &mut dyn FnMut(u64, u64)) -> Result<(), Error> {
    let mut file = private().write(true).open(to).map_err(|cause| failed("write", to, cause))?;
    let mut done = 0;
    let (bytes, sha256) = hashed(backup, &mut |piece| {
        file.write_all(piece).map_err(|cause| failed("write", to, cause))?;
        done += piece.len() as u64;
        tell(done, manifest.bytes);
        Ok(())
    })?;
    file.sync_all().map_err(|cause| failed("sync", to, cause))?;
    let broken = |why: String| Err(Error::Backup { path: backup.into(), why });
    if bytes != manifest.bytes {
        return broken(format!("it has {bytes} bytes, and its manifest says {}", manifest.bytes));
    }
    if sha256 != manifest.sha256 {
        return broken(format!("its SHA-256 is {sha256}, and its manifest says {}", manifest.sha256));
    }
    Ok(())
}

/// Checks the copy as a closed store, and opens all its secrets.
fn checked(plan: Restoring<'_>, copy: &Path, sealer: &Sealer) -> Result<Report, Error> {
    let report = thorough_trial(copy, |database, pages| {
        identify(&database.begin_read()?, copy, sealer)?;
        open_secrets(database, sealer)?;
        report(database, copy, pages)
    })?;
    match report.faults.first() {
        Some(first) if !plan.accept_faults => {
            let why = format!("the check of its store finds {} faults, the first: {first}", report.faults.len());
            Err(Error::Faults { path: plan.backup.into(), why })
        }
        _ => Ok(report),
    }
}

/// Opens each webhook's secrets. A damaged row is told by the check.
fn open_secrets(database: &Database, sealer: &Sealer) -> Result<(), Error> {
    let txn = database.begin_read()?;
    for row in schema::read(&txn, ENDPOINT)?.range::<u32>(..)? {
        let (no, value) = row?;
        match record::read_endpoint(EndpointNo(no.value()), sealer, value.value()) {
            Ok(_) | Err(Error::Damaged { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// Behind the path of a store, while a backup is copied to take its place.
const RESTORING: &str = ".restoring";

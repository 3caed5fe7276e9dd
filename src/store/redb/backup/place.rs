//! One store in the place of another, by one step: a kill before it leaves the old one, a kill behind it the new one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::manifest::{remove, rename};
use crate::store::error::Error;
use crate::store::files::{failed, sync_folder, unlinked, with_suffix};
use crate::store::redb::journal::file;
use crate::store::redb::site::{KEY, VERSION, write_version};

/// A store that no service has open, and that none can open until this is dropped.
#[derive(Debug)]
pub(in crate::store) struct Stopped {
    _lock: Option<File>,
}

impl Stopped {
    /// Fails when somebody has the store open. Where none stands nothing is locked.
    pub(in crate::store) fn lock(path: &Path) -> Result<Self, Error> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Self { _lock: None }),
            Err(cause) => return Err(failed("open", path, cause)),
        };
        // The lock of the whole file, which redb takes too.
        match file.try_lock() {
            Ok(()) => Ok(Self { _lock: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(path.into())),
            Err(TryLockError::Error(cause)) => Err(failed("lock", path, cause)),
        }
    }
}

/// A new store beside another, until it takes its place. Dropping it before removes the file.
#[derive(Debug)]
pub(in crate::store) struct Fresh {
    pub(in crate::store) path: PathBuf,
    in_place: bool,
}

impl Fresh {
    /// Makes the file beside the store, empty.
    pub(in crate::store) fn beside(store: &Path, suffix: &str) -> Result<Self, Error> {
        let path = with_suffix(store, suffix);
        let made = unlinked().write(true).create(true).truncate(true).open(&path);
        made.map_err(|cause| failed("write", &path, cause))?;
        Ok(Self { path, in_place: false })
    }

    /// Takes the place of the store that stands there.
    pub(in crate::store) fn replace(mut self, store: &Path) -> Result<(), Error> {
        sync_folder(store)?;
        rename(&self.path, store)?;
        self.in_place = true;
        sync_folder(store)
    }

    /// Takes the place of the store that stands there, which keeps a second name until the new one stands. On an error the old one
    /// stands, or keeps that name.
    pub(in crate::store) fn replace_kept(self, store: &Path) -> Result<(), Error> {
        let kept = second_name(store)?;
        if let Err(why) = self.replace(store) {
            // The link may be the old store's last name, so that it is removed only when the old store has its own.
            drop(fs::rename(&kept, store).and_then(|()| fs::remove_file(&kept)));
            return Err(why);
        }
        remove(&kept)?;
        sync_folder(store)
    }

    /// Takes a place where nothing stands; fails when a service has made a store there meanwhile.
    pub(in crate::store) fn settle(self, store: &Path) -> Result<(), Error> {
        sync_folder(store)?;
        match fs::hard_link(&self.path, store) {
            Ok(()) => sync_folder(store),
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Err(Error::Stands(store.into())),
            Err(cause) => Err(failed("move into place", &self.path, cause)),
        }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if !self.in_place {
            // What cannot be removed is written over by the next try.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Gives the file of a store another name, which a kill may have left to an older one. Returns its path.
fn second_name(store: &Path) -> Result<PathBuf, Error> {
    let kept = with_suffix(store, KEPT);
    remove(&kept)?;
    fs::hard_link(store, &kept).map_err(|cause| failed("keep beside it", store, cause))?;
    Ok(kept)
}

/// The store that stands there, or a journal that may hold what no store has.
pub(in crate::store) fn standing(store: &Path) -> Option<PathBuf> {
    let holds = |path: &PathBuf| fs::metadata(path).is_ok_and(|found| found.len() > 0);
    [store.to_owned(), file::path(store)].into_iter().find(holds)
}

/// Gives the files of a store a second name, under which they are a store of their own. Returns its path.
pub(in crate::store) fn keep_aside(store: &Path, millis: u64) -> Result<PathBuf, Error> {
    let aside = with_suffix(store, &format!("{ASIDE}{millis}"));
    for suffix in ["", JOURNAL, VERSION, KEY] {
        let from = with_suffix(store, suffix);
        if from.exists() {
            fs::hard_link(&from, with_suffix(&aside, suffix)).map_err(|cause| failed("keep beside it", &from, cause))?;
        }
    }
    sync_folder(store)?;
    Ok(aside)
}

/// Puts a store that needs no journal in its place.
pub(in crate::store) fn put(fresh: Fresh, store: &Path) -> Result<(), Error> {
    if store.exists() {
        fresh.replace(store)?
    } else {
        fresh.settle(store)?
    }
    // A start that finds the old journal beside the new store puts it aside and says so.
    remove(&file::path(store))?;
    write_version(store)
}

/// Behind the path of a store that a new file is about to replace.
const KEPT: &str = ".before-compact";

const JOURNAL: &str = ".journal";

/// Behind the path of a store that a restored one replaced, before the time of that.
const ASIDE: &str = ".replaced-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_in_use_is_known_by_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        assert!(Stopped::lock(&path).is_ok(), "none stands there");
        let database = redb::Database::create(&path).unwrap();
        assert!(matches!(Stopped::lock(&path), Err(Error::InUse(_))));
        drop(database);
        let stopped = Stopped::lock(&path).unwrap();
        assert!(redb::Database::create(&path).is_err(), "nobody opens it now");
        drop(stopped);
        redb::Database::create(&path).unwrap();
    }

    #[test]
    fn a_new_store_replaces_none_that_was_made_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let fresh = Fresh::beside(&path, ".x").unwrap();
        fs::write(&path, "made meanwhile").unwrap();
        assert!(matches!(fresh.settle(&path), Err(Error::Stands(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        Fresh::beside(&path, ".x").unwrap().replace(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_old_store_has_a_second_name_until_the_new_one_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        fs::write(&path, "old").unwrap();
        fs::write(with_suffix(&path, KEPT), "left by a kill").unwrap();
        let lost = Fresh::beside(&path, ".x").unwrap();
        fs::remove_file(&lost.path).unwrap();
        lost.replace_kept(&path).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the second name is gone");
        let kept = second_name(&path).unwrap();
        Fresh::beside(&path, ".x").unwrap().replace(&path).unwrap();
        assert_eq!(fs::read_to_string(kept).unwrap(), "old");
        Fresh::beside(&path, ".x").unwrap().replace_kept(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_kept_aside_is_a_store_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        ["", ".journal", ".key"].iter().for_each(|suffix| fs::write(with_suffix(&path, suffix), suffix).unwrap());
        assert_eq!(standing(&path), Some(file::path(&path)), "an empty file is no store");
        let aside = keep_aside(&path, 7).unwrap();
        assert_eq!(aside, folder.path().join("store.replaced-7"));
        ["", ".journal", ".key"]
            .iter()
            .for_each(|suffix| assert_eq!(fs::read_to_string(with_suffix(&aside, suffix)).unwrap(), *suffix));
    }
}

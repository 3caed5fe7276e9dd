//! Where a backup may be written: a file that is none of the store's own, in a folder that is there, in place of nothing or of
//! another backup.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::manifest::{self, beside};
use crate::store::error::Error;
use crate::store::files::{failed, private};

/// The file of a backup that is being made. Dropping it removes what was written, unless that has taken its place.
#[derive(Debug)]
pub(in crate::store) struct Target {
    pub(in crate::store) path: PathBuf,
    /// What is written until the backup is whole.
    pub(in crate::store) fresh: PathBuf,
    in_place: bool,
}

impl Target {
    /// Judges the path of a backup of `store`, and makes the file that is written first. A swap that a kill cut short is brought to
    /// its end before.
    pub(in crate::store) fn new(path: &Path, store: &Path) -> Result<Self, Error> {
        judge(path, store)?;
        manifest::finish_swap(path)?;
        let target = Self { path: path.into(), fresh: beside(path, manifest::FRESH), in_place: false };
        let created = private().write(true).create(true).truncate(true).open(&target.fresh);
        created.map_err(|cause| failed("write", &target.fresh, cause))?;
        Ok(target)
    }

    /// What was written has taken its place.
    pub(in crate::store) fn keep(mut self) {
        self.in_place = true;
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.in_place && self.fresh.exists() {
            // In the order in which a kill between the two is understood. What cannot be removed is written over by the next backup.
            drop(manifest::take_back(&self.path));
        }
    }
}

fn judge(path: &Path, store: &Path) -> Result<(), Error> {
    let refused = |why: &'static str| Err(Error::Target { path: path.into(), why });
    if !path.is_absolute() {
        return refused("it must begin with `/`: the service does not know your folder");
    }
    let (Some(name), Some(folder)) = (path.file_name(), path.parent()) else {
        return refused("it names no file");
    };
    match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => return refused("what should be its folder is a file"),
        Ok(_) => {}
        Err(cause) if cause.kind() == ErrorKind::NotFound => return refused("its folder does not exist"),
        Err(cause) => return Err(failed("look at", folder, cause)),
    }
    if belongs_to(name, folder, store) {
        return refused("it is the store, or would be taken for a file that belongs to the store");
    }
    match fs::symlink_metadata(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(failed("look at", path, cause)),
        Ok(found) if found.is_dir() => refused("it is a folder"),
        Ok(found) if !found.is_file() => refused("it is no ordinary file"),
        Ok(_) if is_store_file(path)? => Ok(()),
        Ok(_) => refused("a file is there that is no backup, and it is left alone"),
    }
}

/// Whether a name in a folder is the store's or begins as those of the files beside it do.
fn belongs_to(name: &OsStr, folder: &Path, store: &Path) -> bool {
    let (Ok(folder), Ok(store)) = (fs::canonicalize(folder), fs::canonicalize(store)) else { return false };
    let own = store.file_name().unwrap_or_default().as_bytes();
    let rest = name.as_bytes().strip_prefix(own);
    store.parent() == Some(&*folder) && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
}

/// Whether a file is empty or begins as redb's files do.
fn is_store_file(path: &Path) -> Result<bool, Error> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut head = Vec::new();
        File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut head)?;
        Ok(head)
    };
    let head = read().map_err(|cause| failed("read", path, cause))?;
    Ok(head.is_empty() || head == MAGIC)
}

/// The first bytes of every file of redb.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path, store: &Path) -> String {
        let told = Target::new(path, store).unwrap_err().to_string();
        assert!(told.contains(&path.display().to_string()), "{told}");
        told
    }

    #[test]
    fn a_path_that_no_backup_may_take_is_told_why() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let store = at("hookwheel.redb");
        fs::write(&store, MAGIC).unwrap();
        fs::write(at("letter"), "Dear Ada").unwrap();
        fs::create_dir(at("folder")).unwrap();
        std::os::unix::fs::symlink(at("folder"), at("link")).unwrap();
        for (path, why) in [
            (PathBuf::from("backup"), "must begin with `/`"),
            (PathBuf::from("/"), "names no file"),
            (at("none/backup"), "its folder does not exist"),
            (at("letter/backup"), "is a file"),
            (store.clone(), "it is the store"),
            (at("hookwheel.redb.journal"), "belongs to the store"),
            (at("folder/../hookwheel.redb"), "it is the store"),
            (at("folder"), "it is a folder"),
            (at("link"), "no ordinary file"),
            (at("letter"), "no backup"),
        ] {
            let told = refused(&path, &store);
            assert!(told.contains(why), "{told}");
        }
        assert_eq!(fs::read(at("letter")).unwrap(), b"Dear Ada");
    }

    #[test]
    fn what_was_begun_and_not_kept_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, store) = (folder.path().join("backup"), folder.path().join("store"));
        let target = Target::new(&path, &store).unwrap();
        assert!(target.fresh.exists());
        drop(target);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::write(&path, MAGIC).unwrap();
        Target::new(&path, &store).unwrap().keep();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

//! Where a backup may be written: a file that is none of the store's own, in a folder that is there, in place of nothing or of
//! another backup.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::manifest::{self, beside};
use crate::store::error::Error;
use crate::store::files::{failed, folder, unlinked, with_suffix};
use crate::store::redb::site::VERSION;

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
        let created = unlinked().write(true).create_new(true).open(&target.fresh);
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

/// Judges the path and all that stands where a backup writes, renames or removes a file. Nothing is changed.
fn judge(path: &Path, store: &Path) -> Result<(), Error> {
    judge_folder(path)?;
    let own = own_files(store)?;
    for suffix in ["", manifest::DOCUMENT, manifest::FRESH, manifest::DOCUMENT_FRESH] {
        let path = beside(path, suffix);
        let Some(found) = ordinary(&path, store)? else { continue };
        if own.contains(&(found.dev(), found.ino())) {
            return refused(&path, OWN);
        }
    }
    judge_backup(path)?;
    judge_document(&beside(path, manifest::DOCUMENT))?;
    judge_left(path)
}

fn refused<T>(path: &Path, why: &'static str) -> Result<T, Error> {
    Err(Error::Target { path: path.into(), why })
}

fn judge_folder(path: &Path) -> Result<(), Error> {
    if !path.is_absolute() {
        return refused(path, "it must begin with `/`: the service does not know your folder");
    }
    let (Some(_), Some(folder)) = (path.file_name(), path.parent()) else {
        return refused(path, "it names no file");
    };
    match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => refused(path, "what should be its folder is a file"),
        Ok(_) => Ok(()),
        Err(cause) if cause.kind() == ErrorKind::NotFound => refused(path, "its folder does not exist"),
        Err(cause) => Err(failed("look at", folder, cause)),
    }
}

/// The ordinary file at a path that is none of the store's; `None`: nothing is there.
fn ordinary(path: &Path, store: &Path) -> Result<Option<Metadata>, Error> {
    if belongs_to(path.file_name().unwrap_or_default(), folder(path), store) {
        return refused(path, OWN);
    }
    match fs::symlink_metadata(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(failed("look at", path, cause)),
        Ok(found) if found.is_dir() => refused(path, "it is a folder"),
        Ok(found) if !found.is_file() => refused(path, "it is no ordinary file"),
        Ok(found) => Ok(Some(found)),
    }
}

/// Refuses a file in the place of the backup that no manifest says to be a backup, or that somebody uses as a store.
fn judge_backup(path: &Path) -> Result<(), Error> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !manifest::read(path).is_ok_and(|manifest| manifest.bytes == found.len()) {
        return refused(path, "a file is there that is no backup with its manifest, and it is left alone");
    }
    judge_use(path)
}

fn judge_document(path: &Path) -> Result<(), Error> {
    if !path.exists() || manifest::read_document(path).is_ok() {
        return Ok(());
    }
    refused(path, "a file is there that is no manifest of a backup, and it is left alone")
}

/// Refuses files that a backup which was killed cannot have left.
fn judge_left(path: &Path) -> Result<(), Error> {
    let (fresh, document) = (beside(path, manifest::FRESH), beside(path, manifest::DOCUMENT_FRESH));
    for (path, start) in [(&fresh, MAGIC), (&document, DOCUMENT_START)] {
        if path.exists() && !begins_as(path, start)? {
            return refused(path, "a file is there that no backup left, and it is left alone");
        }
    }
    if with_suffix(&fresh, VERSION).exists() {
        return refused(&fresh, "it is a store");
    }
    judge_use(&fresh)
}

/// Refuses a store that somebody has open.
fn judge_use(path: &Path) -> Result<(), Error> {
    // Some network file systems lock only files that are open to be written.
    let file = match unlinked().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(failed("open", path, cause)),
    };
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => refused(path, "it is in use"),
        Err(TryLockError::Error(cause)) if cause.kind() == ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(cause)) => Err(failed("lock", path, cause)),
    }
}

/// Device and inode of the store and of each file beside it that begins with its name.
fn own_files(store: &Path) -> Result<Vec<(u64, u64)>, Error> {
    let Ok(store) = fs::canonicalize(store) else { return Ok(Vec::new()) };
    let folder = folder(&store);
    let entries = fs::read_dir(folder).map_err(|cause| failed("read", folder, cause))?;
    let own = entries.flatten().filter(|entry| belongs_to(&entry.file_name(), folder, &store));
    Ok(own.filter_map(|entry| fs::metadata(entry.path()).ok()).map(|found| (found.dev(), found.ino())).collect())
}

/// Whether a name in a folder is the store's or begins as those of the files beside it do.
fn belongs_to(name: &OsStr, folder: &Path, store: &Path) -> bool {
    let (Ok(folder), Ok(store)) = (fs::canonicalize(folder), fs::canonicalize(store)) else { return false };
    let own = store.file_name().unwrap_or_default().as_bytes();
    let rest = name.as_bytes().strip_prefix(own);
    store.parent() == Some(&*folder) && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
}

/// Whether a file begins with these bytes, or is cut among them. Zeros stand where a crash kept them from the disk.
fn begins_as(path: &Path, start: &[u8]) -> Result<bool, Error> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(start.len() as u64).read_to_end(&mut head));
    read.map_err(|cause| failed("read", path, cause))?;
    Ok(start.starts_with(&head) || head.iter().all(|byte| *byte == 0))
}

const OWN: &str = "it is the store, or would be taken for a file that belongs to the store";

/// The first bytes of every file of redb.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// The first bytes of every manifest.
const DOCUMENT_START: &[u8] = b"{\n  \"format\":";

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

    /// A file of three bytes with the manifest that fits it.
    fn put_backup(path: &Path) {
        fs::write(path, "abc").unwrap();
        fs::write(beside(path, ".json"), document()).unwrap();
    }

    fn document() -> Vec<u8> {
        serde_json::to_vec_pretty(&manifest::tests::manifest("00")).unwrap()
    }

    /// What stands in a folder, by name.
    fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut all: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        all.sort();
        all
    }

    #[test]
    fn a_file_that_no_backup_wrote_is_left_alone() {
        for (suffix, bytes) in
            [("", MAGIC), ("", b""), (".json", b"{\"port\": 80}"), (".new", b"Dear Ada"), (".json.new", b"Dear Ada")]
        {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("app");
            fs::write(beside(&path, suffix), bytes).unwrap();
            let before = contents(folder.path());
            refused(&path, &folder.path().join("store"));
            assert_eq!(contents(folder.path()), before, "{suffix:?}");
        }
    }

    #[test]
    fn a_file_that_its_manifest_does_not_fit_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        put_backup(&path);
        fs::write(&path, "abcd").unwrap();
        assert!(refused(&path, &folder.path().join("store")).contains("no backup"));
        assert_eq!(fs::read(&path).unwrap(), b"abcd");
    }

    #[test]
    fn no_file_beside_a_backup_is_a_link_or_the_store() {
        for suffix in ["", ".json", ".new", ".json.new"] {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            let own = beside(&at("db"), suffix);
            fs::write(&own, MAGIC).unwrap();
            assert!(refused(&at("db"), &own).contains("it is the store"), "{suffix:?}");
            std::os::unix::fs::symlink(&own, beside(&at("link"), suffix)).unwrap();
            assert!(refused(&at("link"), &at("store")).contains("no ordinary file"), "{suffix:?}");
            fs::hard_link(&own, beside(&at("twin"), suffix)).unwrap();
            assert!(refused(&at("twin"), &own).contains("it is the store"), "{suffix:?}");
            assert_eq!(fs::read(&own).unwrap(), MAGIC);
        }
    }

    #[test]
    fn the_store_of_another_service_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        put_backup(&at("used"));
        fs::write(at("b.new"), MAGIC).unwrap();
        let used = ["used", "b.new"].map(|name| File::open(at(name)).unwrap());
        used.iter().for_each(|file| file.lock().unwrap());
        assert!(refused(&at("used"), &at("store")).contains("it is in use"));
        assert!(refused(&at("b"), &at("store")).contains("it is in use"));
        drop(used);
        fs::write(at("b.new.version"), "4").unwrap();
        assert!(refused(&at("b"), &at("store")).contains("it is a store"));
        assert_eq!(fs::read(at("b.new")).unwrap(), MAGIC);
    }

    #[test]
    fn what_a_killed_backup_left_is_written_over() {
        for (fresh, half) in [(MAGIC, document()), (b"", document()[..5].to_vec()), (&[0; 20], vec![0; 20])] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("backup");
            put_backup(&path);
            fs::write(beside(&path, ".new"), fresh).unwrap();
            fs::write(beside(&path, ".json.new"), half).unwrap();
            drop(Target::new(&path, &folder.path().join("store")).unwrap());
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        }
    }

    #[test]
    fn what_was_begun_and_not_kept_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, store) = (folder.path().join("backup"), folder.path().join("store"));
        let target = Target::new(&path, &store).unwrap();
        assert!(target.fresh.exists());
        drop(target);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        put_backup(&path);
        Target::new(&path, &store).unwrap().keep();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}

//! The store's file and those beside it.

use std::fs;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::store::error::Error;

/// `PATH.key`, `PATH.version`: files that belong to a store.
pub(in crate::store) fn with_suffix(store: &Path, suffix: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes what was renamed or created beside the store last.
pub(in crate::store) fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = folder(path);
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|cause| failed("sync", folder, cause))
}

/// The folder that a file lies in.
pub(in crate::store) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Opens or makes files that are readable and writable by their owner alone: a store and its copies hold events.
pub(in crate::store) fn private() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.mode(0o600);
    options
}

/// The same, and fails where the last part of the path is a symbolic link: what is written there must not go to another file.
pub(in crate::store) fn unlinked() -> fs::OpenOptions {
    let mut options = private();
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// A file that must stay where it is as long as the store is open.
#[derive(Debug)]
pub(in crate::store) struct WatchedFile {
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
}

impl WatchedFile {
    /// As the file stands now.
    pub(in crate::store) fn of(path: PathBuf) -> Result<Self, Error> {
        match fs::metadata(&path) {
            Ok(found) => Ok(Self { file: (found.dev(), found.ino()), path }),
            Err(cause) => Err(failed("look at", &path, cause)),
        }
    }

    /// An error once the file is gone, or another one stands in its place.
    pub(in crate::store) fn look(&self) -> Result<(), Error> {
        let same = fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.file);
        if same { Ok(()) } else { Err(Error::Gone(self.path.clone())) }
    }
}

pub(in crate::store) fn failed(action: &'static str, path: &Path, cause: std::io::Error) -> Error {
    Error::File { action, path: PathBuf::from(path), cause }
}

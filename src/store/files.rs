//! The store's file and those beside it.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::Error;

/// `PATH.key`, `PATH.version`: files that belong to a store.
pub(super) fn with_suffix(store: &Path, suffix: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes what was renamed or created beside the store last.
pub(super) fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|cause| failed("sync", folder, cause))
}

pub(super) fn failed(action: &'static str, path: &Path, cause: std::io::Error) -> Error {
    Error::File { action, path: PathBuf::from(path), cause }
}

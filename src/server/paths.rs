//! Looks at the paths of the config before anything is made there. A path that leads nowhere is a fault of the config, which no
//! later try mends, and no fault of the store.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::Error;
use crate::config::checked::Config;

/// Refuses a config whose store or admin socket cannot be where it says.
pub(super) fn check(config: &Config) -> Result<(), Error> {
    let (store, socket) = (&config.storage.path, &config.server.admin_socket);
    place_of_file(store).map_err(Error::path("storage.path", store))?;
    place_of_socket(socket).map_err(Error::path("the admin socket", socket))
}

/// Whether a file is at the path, or could be made there.
fn place_of_file(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    match fs::metadata(folder(path)) {
        Ok(folder) if folder.is_dir() => Ok(()),
        Ok(_) => Err(io::ErrorKind::NotADirectory.into()),
        Err(cause) => Err(cause),
    }
}

/// Whether the path is free or has a socket, in a folder that is there or can be made.
fn place_of_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => Ok(()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else than a socket stands there")),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(cause),
    }
}

/// The folder that a path is in.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_and_a_socket_need_a_place_that_is_free_for_them() {
        let root = tempfile::tempdir().expect("a folder");
        let kind = |path: &str| place_of_file(&root.path().join(path)).err().map(|cause| cause.kind());
        fs::write(root.path().join("file"), "").expect("written");
        fs::create_dir(root.path().join("folder")).expect("made");
        assert_eq!(kind("new"), None);
        assert_eq!(kind("file"), None);
        assert_eq!(kind("folder"), Some(io::ErrorKind::IsADirectory));
        assert_eq!(kind("none/new"), Some(io::ErrorKind::NotFound));
        assert_eq!(kind("file/new"), Some(io::ErrorKind::NotADirectory));
        assert_eq!(folder(Path::new("a.redb")), Path::new("."));
        let socket = |path: &str| place_of_socket(&root.path().join(path)).err().map(|cause| cause.kind());
        assert_eq!((socket("new"), socket("none/new")), (None, None));
        assert_eq!((socket("file"), socket("folder")), (Some(io::ErrorKind::AlreadyExists), Some(io::ErrorKind::AlreadyExists)));
        assert_eq!(socket("file/new"), Some(io::ErrorKind::NotADirectory));
    }
}

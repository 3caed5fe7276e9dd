//! `PATH.ballast`: room on the disk that is ours. A disk that is full takes not even what would empty it, since a deletion writes
//! too; then this file goes, and retention and outcomes have its room.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use crate::store::error::Error;
use crate::store::files::{failed, with_suffix};

/// The file, whether it is there or not.
#[derive(Debug)]
pub(in crate::store) struct Ballast {
    path: PathBuf,
}

impl Ballast {
    pub(in crate::store) fn beside(store: &Path) -> Self {
        Self { path: with_suffix(store, ".ballast") }
    }

    /// What it takes of the disk now, in bytes.
    pub(in crate::store) fn bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |found| found.len())
    }

    /// Takes its room, so that a power cut leaves it. One that finds no room leaves nothing behind.
    pub(in crate::store) fn hold(&self) -> Result<(), Error> {
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path);
        let held = opened.and_then(|file| take_room(&file).and_then(|()| file.sync_all()));
        if held.is_err() {
            drop(self.release());
        }
        held.map_err(|cause| failed("take the room of", &self.path, cause))
    }

    /// Gives its room back; false when it had none.
    pub(in crate::store) fn release(&self) -> Result<bool, Error> {
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(failed("remove", &self.path, cause)),
        }
    }
}

/// A length alone takes no room: the blocks are asked for, or where the file system knows no such call, written.
fn take_room(file: &File) -> std::io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, BALLAST_BYTES) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file),
        asked => asked.map_err(Into::into),
    }
}

fn write_zeros(mut file: &File) -> std::io::Result<()> {
    let zeros = [0; 64 << 10];
    (0..BALLAST_BYTES / zeros.len() as u64).try_for_each(|_| file.write_all(&zeros))
}

/// Room for some thousand outcomes, and for the pages that a deletion of as many writes anew.
pub(in crate::store) const BALLAST_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn it_takes_real_room_and_gives_it_back_once() {
        let folder = tempfile::tempdir().unwrap();
        let ballast = Ballast::beside(&folder.path().join("store"));
        assert_eq!((ballast.bytes(), ballast.release().unwrap()), (0, false));
        ballast.hold().unwrap();
        ballast.hold().unwrap();
        let found = fs::metadata(folder.path().join("store.ballast")).unwrap();
        assert!(found.blocks() * 512 >= BALLAST_BYTES && found.mode() & 0o077 == 0, "{found:?}");
        assert_eq!((ballast.bytes(), ballast.release().unwrap(), ballast.bytes()), (BALLAST_BYTES, true, 0));
    }

    #[test]
    fn where_no_room_can_be_asked_for_it_is_written() {
        let file = tempfile::tempfile().unwrap();
        write_zeros(&file).unwrap();
        assert!(file.metadata().unwrap().blocks() * 512 >= BALLAST_BYTES);
    }

    #[test]
    fn one_that_cannot_be_made_says_where() {
        let ballast = Ballast::beside(Path::new("/nonexistent/store"));
        assert!(ballast.hold().unwrap_err().to_string().contains("/nonexistent/store.ballast"));
    }
}

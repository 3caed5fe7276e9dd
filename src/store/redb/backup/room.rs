//! How much room a copy of the store needs on its disk, and how much it leaves there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::store::error::Error;
use crate::store::files::{failed, folder};
use crate::store::rules::retention::pages;

/// The room for one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Room {
    /// Bytes that the copy may take.
    needs: u64,
    /// Bytes that must stay free on its disk.
    leaves: u64,
}

impl Room {
    /// For a copy at `path` of a store whose rows have so many bytes.
    pub(in crate::store) fn new(path: &Path, store: &Path, live_bytes: u64) -> Self {
        let device = |path: &Path| fs::metadata(folder(path)).map(|found| found.dev()).ok();
        let shares = device(path) == device(store);
        Self { needs: pages(live_bytes), leaves: if shares { LEFT_TO_THE_STORE } else { LEFT } }
    }

    /// For a copy of so many bytes, which no service runs beside.
    pub(in crate::store) fn exactly(needs: u64) -> Self {
        Self { needs, leaves: LEFT }
    }

    /// An error when the disk of `path` has no room for all of the copy.
    pub(in crate::store) fn before(self, path: &Path) -> Result<(), Error> {
        self.judge(path, free(path)?, self.needs)
    }

    /// An error when the disk of `path` has no more room than must stay free.
    pub(in crate::store) fn during(self, path: &Path) -> Result<(), Error> {
        self.judge(path, free(path)?, 0)
    }

    fn judge(self, path: &Path, free: u64, more: u64) -> Result<(), Error> {
        let needs = more.saturating_add(self.leaves);
        if free >= needs { Ok(()) } else { Err(Error::NoRoom { path: path.into(), needs, free }) }
    }
}

/// What is free for this user on the disk of a file.
fn free(path: &Path) -> Result<u64, Error> {
    let folder = folder(path);
    let disk = rustix::fs::statvfs(folder).map_err(|cause| failed("ask for the free space of", folder, cause.into()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// On the store's own disk a copy must not bring the service near the bound at which it takes no events, which is 64 MiB.
const LEFT_TO_THE_STORE: u64 = 128 << 20;

/// For the file system itself.
const LEFT: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_copy_must_fit_before_and_the_rest_stay_free_during_it() {
        let (room, path) = (Room { needs: 1_000, leaves: 50 }, Path::new("/x"));
        assert!(room.judge(path, 1_050, room.needs).is_ok());
        assert!(matches!(room.judge(path, 1_049, room.needs), Err(Error::NoRoom { needs: 1_050, free: 1_049, .. })));
        assert!(room.judge(path, 50, 0).is_ok() && room.judge(path, 49, 0).is_err());
    }

    #[test]
    fn a_copy_beside_the_store_leaves_room_for_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let beside = Room::new(&folder.path().join("copy"), &folder.path().join("store"), 1 << 20);
        assert_eq!((beside.leaves, beside.needs > 1 << 20), (LEFT_TO_THE_STORE, true));
        assert_eq!(Room::new(Path::new("/proc/copy"), &folder.path().join("store"), 0).leaves, LEFT);
    }
}

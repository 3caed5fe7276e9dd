//! Stores with a damaged page, through which rows are hidden from whoever copies them.

use super::*;
use crate::store::redb::backup::room::Room;
use crate::store::redb::backup::take::{Journaling, Watch, compare_pages, write};

struct Idle;

impl Watch for Idle {
    fn expect(&mut self, _: u64) {}

    fn copied(&mut self, _: u64) -> Result<(), Error> {
        Ok(())
    }
}

/// A stopped store in which each branch page names its last child in the place of every other.
fn hiding_rows() -> Image {
    let mut image = many_rows();
    hide_rows(image.file(""));
    image
}

/// A stopped store whose events take more than one page.
fn many_rows() -> Image {
    let lab = Lab::new();
    lab.publish_each(40);
    lab.settle();
    lab.stopped()
}

fn hide_rows(file: &mut [u8]) {
    let changed = file.chunks_exact_mut(4_096).skip(1).filter_map(hide_children).count();
    assert!(changed > 0, "there is a branch page");
}

/// A branch page of redb: type 2, the number of its keys in bytes 2 and 3, from byte 8 on 16 bytes of checksum for each child, then 8
/// bytes of page number for each child. There is a child more than keys.
fn hide_children(page: &mut [u8]) -> Option<()> {
    let children = usize::from(u16::from_le_bytes([page[2], page[3]])) + 1;
    let numbers = 8 + 16 * children;
    if page[0] != 2 || children < 2 || numbers + 8 * children > page.len() {
        return None;
    }
    let last = numbers + 8 * (children - 1);
    (0..children - 1).for_each(|child| page.copy_within(last..last + 8, numbers + 8 * child));
    Some(())
}

#[test]
fn a_store_with_damaged_pages_is_not_written_anew() {
    let image = hiding_rows();
    let folder = image.write();
    let told = compact(&path(folder.path()), &mut |_, _| {}).unwrap_err();
    assert!(matches!(told, Error::Pages { .. }), "{told}");
    assert!(image.is_still(folder.path()), "every file is as it was");
}

/// The pages are damaged once the database is open, since redb looks at all of them when it opens a file in a test.
#[test]
fn a_copy_that_lacks_rows_is_not_whole() {
    let folder = many_rows().write();
    let (store, fresh) = (path(folder.path()), path(folder.path()).with_extension("copy"));
    let database = ::redb::Builder::new().set_cache_size(0).open(&store).unwrap();
    let mut file = fs::read(&store).unwrap();
    hide_rows(&mut file);
    fs::OpenOptions::new().write(true).open(&store).unwrap().write_all(&file).unwrap();
    fs::write(&fresh, "").unwrap();
    let snapshot = ::redb::ReadableDatabase::begin_read(&database).unwrap();
    let told = write(&snapshot, &fresh, Journaling::None, Room::exactly(0), &mut Idle).unwrap_err();
    assert!(matches!(told, Error::Short { counted, copied, .. } if copied < counted), "{told}");
}

#[test]
fn a_copy_with_damaged_pages_is_not_whole() {
    let (_lab, _shelf, backup, _) = backed_up();
    compare_pages(&backup, &mut Idle).unwrap();
    let folder = hiding_rows().write();
    let told = compare_pages(&path(folder.path()), &mut Idle).unwrap_err();
    assert!(matches!(told, Error::Pages { .. }), "{told}");
}

//! Backups of an open store, what is restored of them, and stores that are written anew.

mod salvage;
mod short;
mod sizes;

use super::*;
use crate::store::files::with_suffix;
use crate::store::redb::backup::manifest;
use crate::store::redb::journal::file;

fn back_up(lab: &Lab, to: &Path) -> Result<Manifest, Error> {
    let begun = lab.runtime.block_on(lab.store.by_test().begin_backup(to.into()));
    match begun {
        Ok(begun) => lab.runtime.block_on(lab.store.run_backup(begun)),
        Err(NotBegun::Refused(why)) => Err(why),
        Err(NotBegun::Busy(path)) => panic!("a backup to {} is under way", path.display()),
    }
}

fn restoring<'a>(backup: &'a Path, store: &'a Path) -> Restoring<'a> {
    Restoring { backup, store, credentials: None, force: false, accept_faults: false }
}

fn restored(plan: Restoring<'_>) -> Result<Restored, Error> {
    restore(plan, &mut |_, _| {})
}

/// A folder with nothing but the key of a lab's store.
fn folder_with_key(lab: &Lab) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(with_suffix(&path(lab.folder.path()), ".key"), with_suffix(&path(folder.path()), ".key")).unwrap();
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A lab with events that ended, wait and are held, and a backup of it in a folder of its own.
fn backed_up() -> (Lab, TempDir, PathBuf, Vec<Published>) {
    let lab = Lab::new();
    lab.add_more();
    let mut published = lab.publish_each(20);
    lab.deliver();
    lab.told();
    published.extend(lab.publish_each(5));
    let shelf = tempfile::tempdir().unwrap();
    let backup = shelf.path().join("backup.redb");
    back_up(&lab, &backup).unwrap();
    (lab, shelf, backup, published)
}

#[test]
fn a_restored_backup_is_the_store_as_it_was() {
    let (lab, _shelf, backup, published) = backed_up();
    let before = deliveries(&lab.store);
    lab.publish_each(3);
    let folder = folder_with_key(&lab);
    let restored = restored(restoring(&backup, &path(folder.path()))).unwrap();
    assert_eq!((restored.report.faults.len(), restored.aside), (0, None));
    assert_eq!(restored.manifest.events, published.len() as u64);
    assert_eq!(names(folder.path()), ["store", "store.key", "store.version"]);
    let (store, _) = look(&folder).unwrap();
    assert_eq!((events(&store), deliveries(&store)), (published, before));
    assert!(store.findings().is_empty(), "{:?}", store.findings());
    assert_eq!(store.keys().len(), lab.store.keys().len());
}

#[test]
fn a_manifest_says_what_is_in_the_file() {
    let (lab, shelf, backup, published) = backed_up();
    let written = manifest::read(&backup).unwrap();
    let (bytes, sha256) = manifest::hashed(&backup, &mut |_| Ok(())).unwrap();
    assert_eq!((written.bytes, written.sha256), (bytes, sha256));
    assert_eq!((written.events, written.damaged), (published.len() as u64, 0));
    assert_eq!(written.tables.len(), schema::NAMES.len());
    assert_eq!(written.pending, lab.store.health().pending);
    assert!(!written.sealing_key.included && written.sealing_key.file.ends_with("store.key"), "{:?}", written.sealing_key);
    assert_eq!(names(shelf.path()), ["backup.redb", "backup.redb.json"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&backup), mode(&with_suffix(&backup, ".json"))), (0o600, 0o600));
    let key = fs::read(with_suffix(&path(lab.folder.path()), ".key")).unwrap();
    let holds = |file: &Path| fs::read(file).unwrap().windows(key.len() - 1).any(|window| *window == key[..key.len() - 1]);
    assert!(!holds(&backup) && !holds(&with_suffix(&backup, ".json")), "the key is not in it");
}

/// Publishers go on while the copy is made: all that was answered before it began is there, and the copy is one state of the store.
#[test]
fn a_backup_beside_publishers_is_one_whole_state() {
    let lab = Lab::new();
    let published = lab.publish_each(40);
    let shelf = tempfile::tempdir().unwrap();
    let backup = shelf.path().join("backup.redb");
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| lab.publish_each(60));
        back_up(&lab, &backup).unwrap();
        publishing.join().unwrap();
    });
    let folder = folder_with_key(&lab);
    let restored = restored(restoring(&backup, &path(folder.path()))).unwrap();
    assert_eq!(restored.report.faults, Vec::<String>::new());
    let (store, _) = look(&folder).unwrap();
    let there = events(&store);
    assert!(there.starts_with(&published), "{} of {} events", there.len(), published.len());
}

#[test]
fn one_backup_is_made_at_a_time_and_the_place_is_given_back() {
    let lab = Lab::new();
    let shelf = tempfile::tempdir().unwrap();
    let path = shelf.path().join("first");
    let first = lab.runtime.block_on(lab.store.by_test().begin_backup(path.clone()));
    let second = lab.runtime.block_on(lab.store.by_test().begin_backup(shelf.path().join("second")));
    assert!(matches!(second, Err(NotBegun::Busy(busy)) if busy == path));
    drop(first);
    assert_eq!(names(shelf.path()), Vec::<String>::new(), "nothing is left of the first");
    back_up(&lab, &path).unwrap();
    assert!(lab.store.backups().1.unwrap().result.is_ok());
}

#[test]
fn a_backup_that_fails_leaves_the_one_before() {
    let (lab, shelf, backup, _) = backed_up();
    let before = Image::of(shelf.path());
    lab.publish_each(2);
    lab.store.stop_backups();
    assert!(matches!(back_up(&lab, &backup), Err(Error::Stopping)));
    assert!(before.is_still(shelf.path()));
    let (running, last, success) = lab.store.backups();
    assert!(running.is_none() && success.is_some());
    assert_eq!(last.unwrap().result.unwrap_err(), "the service is stopping");
}

#[test]
fn scheduled_backups_go_to_their_folder_and_the_oldest_goes() {
    let lab = Lab::new();
    let parent = tempfile::tempdir().unwrap();
    let shelf = Shelf { folder: parent.path().join("backups"), keep: 1 };
    assert_eq!(lab.runtime.block_on(lab.store.newest_backup(shelf.clone())).unwrap(), None);
    fs::create_dir(&shelf.folder).unwrap();
    let old = shelf.folder.join("hookwheel-20200101T000000Z.redb");
    [old.clone(), with_suffix(&old, ".json")].iter().for_each(|path| fs::write(path, "").unwrap());
    assert!(lab.runtime.block_on(lab.store.backup_to(shelf.clone())));
    let left = names(&shelf.folder);
    assert!(left.len() == 2 && !old.exists(), "{left:?}");
    assert!(lab.runtime.block_on(lab.store.newest_backup(shelf)).unwrap().is_some());
    let nowhere = Shelf { folder: "/none/such".into(), keep: 1 };
    assert!(!lab.runtime.block_on(lab.store.backup_to(nowhere)));
    let told = lab.store.backups().1.unwrap().result.unwrap_err();
    assert!(told.contains("/none"), "{told}");
}

#[test]
fn a_backup_that_is_not_as_it_was_written_is_refused() {
    let (lab, _shelf, backup, _) = backed_up();
    let refused = |why: &str| {
        let folder = folder_with_key(&lab);
        let told = restored(restoring(&backup, &path(folder.path()))).unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
        assert_eq!(names(folder.path()), ["store.key"], "nothing is made");
    };
    let mut bytes = fs::read(&backup).unwrap();
    bytes[20_000] ^= 1;
    fs::write(&backup, &bytes).unwrap();
    refused("its SHA-256 is");
    bytes.truncate(bytes.len() - 1);
    fs::write(&backup, &bytes).unwrap();
    refused("bytes, and its manifest says");
    fs::remove_file(with_suffix(&backup, ".json")).unwrap();
    refused("backup.redb.json: ");
}

#[test]
fn a_backup_needs_the_key_that_its_secrets_were_sealed_with() {
    let (lab, _shelf, backup, _) = backed_up();
    let folder = tempfile::tempdir().unwrap();
    let store = path(folder.path());
    let told = restored(restoring(&backup, &store)).unwrap_err().to_string();
    let fingerprint = manifest::read(&backup).unwrap().sealing_key.fingerprint;
    assert!(told.contains(&fingerprint) && told.ends_with("store.key is not there"), "{told}");
    fs::write(with_suffix(&store, ".key"), "00".repeat(32)).unwrap();
    fs::set_permissions(with_suffix(&store, ".key"), fs::Permissions::from_mode(0o600)).unwrap();
    let told = restored(restoring(&backup, &store)).unwrap_err().to_string();
    assert!(told.contains(&fingerprint) && told.contains("is another key"), "{told}");
    assert_eq!(names(folder.path()), ["store.key"]);
    drop(lab);
}

#[test]
fn a_store_that_stands_is_replaced_by_force_alone_and_kept_whole_aside() {
    let (lab, _shelf, backup, published) = backed_up();
    let more = lab.publish_each(2);
    let folder = lab.killed().write();
    let (store, before) = (path(folder.path()), Image::of(folder.path()));
    assert!(matches!(restored(restoring(&backup, &store)), Err(Error::Stands(_))));
    assert!(before.is_still(folder.path()));
    let restored = restored(Restoring { force: true, ..restoring(&backup, &store) }).unwrap();
    let aside = restored.aside.unwrap();
    let (open, _) = look(&folder).unwrap();
    assert_eq!(events(&open), published);
    assert!(open.findings().is_empty(), "{:?}", open.findings());
    assert!(check(&aside).unwrap().is_clean());
    let (old, _) = Store::open(&options(&aside)).unwrap();
    assert_eq!(events(&old), [published, more].concat(), "with what its journal held");
}

/// A kill between the two steps of a restore leaves the old journal beside the new store.
#[test]
fn the_old_journal_beside_a_restored_store_is_put_aside() {
    let (lab, _shelf, backup, published) = backed_up();
    lab.publish_each(2);
    let folder = lab.killed().write();
    let (store, journal) = (path(folder.path()), fs::read(file::path(&path(folder.path()))).unwrap());
    restored(Restoring { force: true, ..restoring(&backup, &store) }).unwrap();
    fs::write(file::path(&store), journal).unwrap();
    let (open, _) = look(&folder).unwrap();
    assert_eq!(events(&open), published);
    assert!(!open.findings().iter().any(|finding| finding.kind.holds_back()), "{:?}", open.findings());
    assert_eq!(file::asides(&store).unwrap().len(), 1);
}

#[test]
fn nothing_is_restored_over_a_store_in_use() {
    let (lab, _shelf, backup, _) = backed_up();
    let store = path(lab.folder.path());
    let told = restored(Restoring { force: true, ..restoring(&backup, &store) });
    assert!(matches!(told, Err(Error::InUse(_))));
    lab.publish_each(1);
    assert!(!with_suffix(&store, ".restoring").exists());
}

/// An event that was damaged when the backup was made is in it as it was.
#[test]
fn a_backup_with_faults_is_restored_when_that_is_accepted() {
    let (lab, _shelf, _, published) = backed_up();
    lab.settle();
    let mut image = lab.stopped();
    let file = image.file("");
    let starts: Vec<usize> = (0..file.len() - 11).filter(|at| &file[*at..at + 11] == br#"{"number":7"#).collect();
    // Two bits, of which no checksum tells where they were.
    starts.iter().for_each(|at| (file[at + 2], file[at + 4]) = (file[at + 2] ^ 0x20, file[at + 4] ^ 0x20));
    let lab = Lab::open(image.write()).unwrap();
    let shelf = tempfile::tempdir().unwrap();
    let backup = shelf.path().join("backup.redb");
    let written = back_up(&lab, &backup).unwrap();
    assert_eq!((written.damaged, written.events), (3, published.len() as u64), "one event of each kind");
    let folder = folder_with_key(&lab);
    let store = path(folder.path());
    let plan = restoring(&backup, &store);
    assert!(matches!(restored(plan), Err(Error::Faults { .. })));
    assert_eq!(names(folder.path()), ["store.key"]);
    let taken = restored(Restoring { accept_faults: true, ..plan }).unwrap();
    assert!(!taken.report.faults.is_empty());
    look(&folder).unwrap();
}

#[test]
fn a_store_written_anew_is_the_same_and_no_larger() {
    let (lab, _shelf, _, published) = backed_up();
    let before = deliveries(&lab.store);
    let more = lab.publish_each(4);
    let folder = lab.killed().write();
    let compacted = compact(&path(folder.path()), &mut |_, _| {}).unwrap();
    assert!(compacted.after <= compacted.before, "{compacted:?}");
    assert_eq!(compacted.after, fs::metadata(path(folder.path())).unwrap().len());
    assert!(check(&path(folder.path())).unwrap().is_clean());
    let (store, _) = look(&folder).unwrap();
    assert_eq!(events(&store), [published, more].concat(), "with what the journal held");
    assert!(deliveries(&store)[0] > before[0]);
    assert!(store.findings().is_empty(), "{:?}", store.findings());
}

#[test]
fn a_store_in_use_or_with_a_strange_journal_is_not_written_anew() {
    let (lab, _shelf, _, _) = backed_up();
    assert!(matches!(compact(&path(lab.folder.path()), &mut |_, _| {}), Err(Error::InUse(_))));
    let folder = lab.killed().without(".journal").write();
    let before = Image::of(folder.path());
    assert!(matches!(compact(&path(folder.path()), &mut |_, _| {}), Err(Error::NotAsLeft(_))));
    assert!(before.is_still(folder.path()));
    let none = tempfile::tempdir().unwrap();
    assert!(compact(&path(none.path()), &mut |_, _| {}).unwrap_err().to_string().contains("does not exist"));
}

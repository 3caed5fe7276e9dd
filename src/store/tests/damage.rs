//! Damage to a journal and to single rows: what is lost, what is not, and what is told.

use ::redb::{ReadableTable, TableDefinition};

use super::*;
use crate::store::message::finding::Kind;
use crate::store::record::key::DueKey;
use crate::store::redb::journal::file as journal;
use crate::store::redb::journal::item::Table;
use crate::store::redb::journaled_table::TableKey;

/// 27 events in the journal alone, of which the ones in the middle are damaged.
#[test]
fn of_a_damaged_journal_only_the_damaged_commits_are_lost() {
    let (mut image, published) = journaled();
    let lost = flip_commits(&mut image, &[10, 11, 17]);
    let folder = image.write();
    let (store, _unstarted) = look(&folder).unwrap();
    let left: Vec<Published> = published.iter().filter(|event| !lost.contains(&event.id)).cloned().collect();
    assert_eq!(events(&store), left);
    let [finding, ..] = store.findings() else { panic!("nothing is told") };
    assert_eq!((finding.kind, finding.batches, finding.events), (Kind::Lost, 3, 3));
    assert!(finding.what.as_ref().is_some_and(|aside| Path::new(&**aside).exists()), "{finding:?}");
    drop((store, _unstarted));
    is_sound_when_acknowledged(&folder);
}

/// Outcomes whose deliveries' events, or whose earlier outcomes, were in the lost commits leave nothing half done.
#[test]
fn what_builds_on_lost_commits_breaks_no_invariant() {
    let (image, _) = journaled_outcomes();
    let commits = commits(&mut image.clone()).len();
    for first in 1..commits - 1 {
        let mut image = image.clone();
        flip_commits(&mut image, &[first, (first + 3).min(commits - 2)]);
        let folder = image.write();
        drop(look(&folder).unwrap());
        // On a busy machine the tables may have had those commits already.
        acknowledge(&path(folder.path())).unwrap();
        is_sound(&folder);
    }
}

/// A store that was stopped and copied; the copy ran and was killed, and the original was put back beside its journal.
#[test]
fn the_journal_of_a_copy_is_put_aside_and_can_be_read() {
    let lab = Lab::new();
    let kept = vec![lab.publish("order.paid", "1")];
    let mut original = lab.stopped();
    let copy = Lab::open(original.write()).unwrap();
    // The first turn looks through tables for what is old, and what comes in it is committed to them instead of the journal.
    copy.told();
    let foreign = copy.publish("order.paid", "2");
    *original.file(".journal") = copy.killed().file(".journal").clone();
    let folder = original.write();
    let (store, unstarted) = look(&folder).unwrap();
    assert_eq!(events(&store), kept);
    assert_eq!(store.findings().iter().map(|finding| finding.kind).collect::<Vec<_>>(), [Kind::Stray]);
    drop((store, unstarted));
    let diagnosis = examine(&path(folder.path())).unwrap();
    let [aside] = &diagnosis.asides[..] else { panic!("{diagnosis:?}") };
    let [held] = &aside.events[..] else { panic!("{aside:?}") };
    assert_eq!((&*held.id, &*held.kind, held.is_kept), (&*foreign.id, "order.paid", false));
    is_sound_when_acknowledged(&folder);
}

#[test]
fn a_killed_store_whose_journal_is_gone_takes_no_events_until_somebody_has_seen_that() {
    type Change = fn(Image) -> Image;
    let changes: [(Change, Kind); 4] = [
        (|image| image.without(".journal"), Kind::Missing),
        (|mut image| (image.file(".journal").clear(), image).1, Kind::Emptied),
        (|mut image| (image.file(".journal").fill(0), image).1, Kind::Zeroed),
        (|mut image| (*image.file(".journal") = b"Dear Ada,\n".repeat(900), image).1, Kind::Replaced),
    ];
    let lab = Lab::new();
    lab.publish("order.paid", "1");
    for (change, kind) in changes {
        let mut changed = change(lab.killed());
        let folder = changed.write();
        let lab = Lab::open(folder).unwrap();
        assert_eq!(lab.store.findings().iter().map(|finding| finding.kind).collect::<Vec<_>>(), [kind]);
        let publication = Publication::of_type_and_data("shop".into(), "acme".into(), standard(), "order.paid", "2".into());
        assert_eq!(lab.runtime.block_on(lab.store.accept_one(publication)), Err(Refusal::JournalLost));
        if kind == Kind::Replaced {
            let asides = journal::asides(&path(lab.folder.path())).unwrap();
            assert!(fs::read(&asides[0]).unwrap() == *changed.file(".journal"), "it was changed");
        }
        let folder = lab.stopped().write();
        is_sound_when_acknowledged(&folder);
        Lab::open(folder).unwrap().publish("order.paid", "3");
    }
}

#[test]
fn a_journal_that_nobody_waits_for_may_be_gone() {
    let lab = Lab::new();
    lab.publish("order.paid", "1");
    let folder = lab.stopped().without(".journal").write();
    assert_eq!(look(&folder).unwrap().0.findings(), []);
}

#[test]
fn a_store_that_is_missing_beside_its_files_is_not_made_anew() {
    let image = Lab::new().stopped().without("");
    for alone in [".journal", ".key", ".version"] {
        let image =
            [".journal", ".key", ".version"].into_iter().filter(|other| *other != alone).fold(image.clone(), Image::without);
        let folder = image.write();
        assert!(matches!(look(&folder), Err(Error::StoreMissing { .. })), "{alone}");
        assert!(image.is_still(folder.path()), "{alone}");
    }
}

/// Whatever step a crash comes after while a store is made, the next start makes it.
#[test]
fn a_store_that_was_being_made_is_made_by_the_next_start() {
    let whole = Lab::new().stopped();
    let fresh = |bytes: Vec<u8>| (format!("{STORE}.new"), bytes);
    let store = whole.clone().file("").clone();
    for (without, bytes) in
        [(&[".key", ".version"][..], vec![]), (&[".version"], vec![]), (&[], store[..8_192].to_vec()), (&[], store)]
    {
        let mut image = without.iter().copied().chain(["", ".journal"]).fold(whole.clone(), Image::without);
        image.0.push(fresh(bytes));
        let (store, _) = look(&image.write()).unwrap();
        assert_eq!((store.findings(), events(&store)), (&[][..], vec![]));
    }
}

#[test]
fn a_wrong_key_changes_nothing() {
    let lab = Lab::new();
    lab.publish("order.paid", "1");
    for mut image in [lab.killed(), lab.stopped()] {
        *image.file(".key") = "00".repeat(32).into_bytes();
        let folder = image.write();
        assert!(matches!(look(&folder), Err(Error::WrongKey(_))));
        assert!(image.is_still(folder.path()));
    }
}

#[test]
fn a_file_that_is_gone_or_replaced_is_an_error() {
    let lab = Lab::new();
    lab.store.files_stand().unwrap();
    for suffix in ["", ".journal", ".key", ".version"] {
        let (file, aside) = (lab.folder.path().join(format!("{STORE}{suffix}")), lab.folder.path().join("aside"));
        fs::rename(&file, &aside).unwrap();
        assert!(matches!(lab.store.files_stand(), Err(Error::Gone(gone)) if gone == file));
        fs::copy(&aside, &file).unwrap();
        assert!(matches!(lab.store.files_stand(), Err(Error::Gone(_))), "another file stands there");
        fs::rename(&aside, &file).unwrap();
        lab.store.files_stand().unwrap();
    }
}

/// Rows whose value is damaged beyond one bit, in every table that a start reads.
#[test]
fn a_damaged_row_goes_into_quarantine_and_everything_else_runs() {
    let damaged = [
        ("endpoint", damage::<u32> as fn(&Path, &'static str)),
        ("tenant", damage::<u32>),
        ("key", damage::<&'static [u8; 32]>),
        ("event_type", damage::<&'static [u8]>),
        ("state", damage::<u8>),
        ("meta", damage::<u8>),
    ];
    let (image, published) = stopped();
    for (table, damage) in damaged {
        let folder = image.write();
        damage(&path(folder.path()), table);
        assert!(!check(&path(folder.path())).unwrap().is_clean(), "{table}");
        let lab = Lab::open(folder).unwrap();
        assert_eq!((lab.store.quarantined(), events(&lab.store)), (1, published.clone()), "{table}");
        assert!(lab.store.findings().iter().any(|finding| finding.what.as_deref() == Some(table)), "{table}");
        lab.publish("order.paid", "new");
        let folder = lab.stopped().write();
        assert!(!check(&path(folder.path())).unwrap().is_clean(), "{table}: it is told until it is acknowledged");
        let diagnosis = examine(&path(folder.path())).unwrap();
        assert_eq!(diagnosis.quarantine.iter().map(|row| &*row.table).collect::<Vec<_>>(), [table]);
    }
}

/// One bit in the time or the event of an entry hides its neighbours from every look-up. A lower bit of
/// the event may name another one that stands, published milliseconds before or after, which is not told apart.
#[test]
fn due_entries_are_derived_again_wherever_one_is_flipped_or_gone() {
    let (image, published) = stopped();
    let before = look(&image.write()).map(|(store, _)| deliveries(&store)).unwrap();
    for bit in [0, 7, 30, 63, 64, 90, 100] {
        let folder = image.write();
        change_due(&path(folder.path()), |key| key[bit / 8] ^= 1 << (7 - bit % 8));
        assert!(!check(&path(folder.path())).unwrap().is_clean(), "bit {bit}");
        let (store, unstarted) = look(&folder).unwrap();
        assert!((deliveries(&store), events(&store)) == (before, published.clone()), "bit {bit}");
        assert!(!store.findings().is_empty(), "bit {bit}");
        drop((store, unstarted));
        is_sound_when_acknowledged(&folder);
    }
}

/// A store of which everything is in the tables, with deliveries that ended, wait and are held.
fn stopped() -> (Image, Vec<Published>) {
    let lab = Lab::new();
    lab.add_more();
    let mut published = lab.publish_each(10);
    lab.deliver();
    lab.settle();
    published.extend(lab.publish_each(20));
    (lab.stopped(), published)
}

/// A killed store whose last 27 events stand in its journal alone.
fn journaled() -> (Image, Vec<Published>) {
    loop {
        let lab = Lab::new();
        let before = lab.publish_each(3);
        lab.settle();
        let more = lab.publish_each(9);
        let mut image = lab.killed();
        // On a busy machine a checkpoint may come in between.
        if commits(&mut image).len() >= 27 && held_in_tables(&image) == before.len() {
            return (image, [before, more].concat());
        }
    }
}

/// A killed store whose journal holds events and outcomes by turns.
fn journaled_outcomes() -> (Image, Vec<Published>) {
    let lab = Lab::new();
    lab.settle();
    let mut published = Vec::new();
    for _ in 0..4 {
        published.extend(lab.publish_each(2));
        lab.deliver();
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(20));
    (lab.killed(), published)
}

fn held_in_tables(image: &Image) -> usize {
    let folder = image.clone().without(".journal").write();
    look(&folder).map_or(0, |(store, _)| events(&store).len())
}

/// Where the journal's commits stand, in the order of their numbers; what is in the tables already is not among them.
fn commits(image: &mut Image) -> Vec<(usize, u64)> {
    let journal = image.file(".journal");
    let number = |at: usize| u64::from_le_bytes(journal[at + 28..at + 36].try_into().unwrap());
    let starts = (0..journal.len()).step_by(journal::BLOCK_BYTES).filter(|at| journal[at + 8..].starts_with(b"hwj2"));
    let mut found: Vec<(usize, u64)> = starts.map(|at| (at, number(at))).collect();
    found.sort_by_key(|(_, number)| *number);
    let len = found.len();
    found.split_off(len.saturating_sub(27))
}

/// Flips a bit in each of these commits, and gives the ids of their events.
fn flip_commits(image: &mut Image, which: &[usize]) -> Vec<String> {
    let (places, folder) = (commits(image), image.write());
    let journal = journal::read(&journal::path(&path(folder.path()))).unwrap();
    let node = look(&folder).map(|(store, _)| store.node()).unwrap();
    let mut ids = Vec::new();
    for which in which {
        let (at, number) = places[*which];
        let of = journal.whole.iter().find(|(head, _)| head.number == number).unwrap();
        ids.extend(of.1.rows(Table::Event).map(|(key, _)| node.event_id(EventKey(u64::of(key)))));
        image.file(".journal")[at + 60] ^= 4;
    }
    ids
}

/// What was found is told, and once that is acknowledged, the store is sound.
pub(super) fn is_sound_when_acknowledged(folder: &TempDir) {
    assert!(acknowledge(&path(folder.path())).unwrap() > 0);
    is_sound(folder);
}

fn is_sound(folder: &TempDir) {
    let report = check(&path(folder.path())).unwrap();
    assert!(report.is_clean(), "{report}");
}

/// Damages the first row of a table, past what its checksum could put right.
pub(super) fn damage<K: ::redb::Key + 'static>(path: &Path, table: &'static str) {
    change(path, |txn| {
        let definition: TableDefinition<'_, K, &'static [u8]> = TableDefinition::new(table);
        let mut table = txn.open_table(definition).unwrap();
        let row = table.first().unwrap().unwrap();
        let (key, mut value) = (K::as_bytes(&row.0.value()).as_ref().to_vec(), row.1.value().to_vec());
        drop(row);
        value[1..4].iter_mut().for_each(|byte| *byte ^= 0x55);
        table.insert(K::from_bytes(&key), &*value).unwrap();
    });
}

/// Changes one key in the midst of the due table, which stands where it stood.
fn change_due(path: &Path, change_key: impl FnOnce(&mut [u8; 20])) {
    let wanted = {
        let database = ::redb::Database::open(path).unwrap();
        let txn = ::redb::ReadableDatabase::begin_read(&database).unwrap();
        let table = schema::read(&txn, schema::DUE).unwrap();
        let keys: Vec<_> = table.range::<&DueKey>(..).unwrap().map(|row| *row.unwrap().0.value()).collect();
        keys[keys.len() / 2]
    };
    let mut bytes = fs::read(path).unwrap();
    let mut changed = wanted;
    change_key(&mut changed);
    let places: Vec<usize> = (0..bytes.len() - 20).filter(|at| bytes[*at..*at + 20] == wanted).collect();
    places.iter().for_each(|at| bytes[*at..*at + 20].copy_from_slice(&changed));
    assert!(!places.is_empty());
    fs::write(path, bytes).unwrap();
}

fn change(path: &Path, change: impl FnOnce(&::redb::WriteTransaction)) {
    let database = ::redb::Database::open(path).unwrap();
    let mut txn = database.begin_write().unwrap();
    txn.set_quick_repair(true);
    change(&txn);
    txn.commit().unwrap();
}

//! Power cuts: of what was written, in the journal and in the tables, only what was synced is left.

use std::collections::HashSet;
use std::fs;

use super::actor::{Clients, Until};
use super::book::Book;
use super::count;
use super::settle::{all_is_there, settle, stands};
use super::stage::{self, Stage};
use super::strace::{self, Fault, PRETEND};
use crate::harness::config;
use crate::harness::disk::medium::{Medium, wait_until_all_stand};
use crate::harness::ran::{self, Ran};
use crate::harness::seed::Random;
use crate::harness::service::Service;
use crate::harness::turn;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cuts_leave_all_that_was_answered() {
    let (cuts, mut random) = (count(12, 100), Random::new());
    let (mut cut, mut answered, mut unsynced) = (0, 0, 0);
    while cut < cuts {
        let Some(disk) = Medium::new(DISK_MIB) else { return };
        let mut stage = Stage::on(&disk, TENANTS, &[], random.split()).await;
        let acting = stage.act(Until::default());
        for _ in 0..CUTS_OF_ONE.min(cuts - cut) {
            cut += 1;
            tokio::time::sleep(random.millis(20, 300)).await;
            fs::write(disk.seen_from_outside().join(format!("unsynced-{cut}")), [b'x'; 9_000]).expect("there is room");
            let (left, books) = cut_power(&stage, &disk);
            unsynced += usize::from(
                fs::read(left.seen_from_outside().join(format!("unsynced-{cut}"))).is_ok_and(|bytes| bytes.len() == 9_000),
            );
            let journal = fs::metadata(left.seen_from_outside().join(format!("{}.journal", config::STORE)));
            assert!(journal.is_ok_and(|journal| journal.len() > 0), "nothing stands in the journal");
            answered += books.iter().map(|book| book.kept().count()).sum::<usize>();
            is_whole(&left, books, &stage.taken()).await;
        }
        acting.stop().await;
        stage.end().await;
    }
    assert!(answered > 20 * cuts, "too little was published to show anything: {answered}");
    assert!(unsynced * 10 <= cuts, "{unsynced} of {cuts} files that nobody had synced were there: this cuts no power");
    eprintln!("{cuts} power cuts, {answered} answered events looked for, {unsynced} files found that nobody had synced");
}

/// The disk says that syncs are done and does nothing, so the service answers too early. This test shows that the check would see
/// it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_takes_what_was_not_synced() {
    let (cuts, mut random) = (count(3, 20), Random::new());
    let Some(disk) = Medium::new(DISK_MIB) else { return };
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let pretend = Fault { call: "fdatasync", nth: 1, what: PRETEND, lasting: true };
    let mut stage = Stage::on(&disk, TENANTS, &strace::words(Some(pretend), log.path()), random.split()).await;
    let acting = stage.act(Until::default());
    let mut losses = 0;
    for _ in 0..cuts {
        tokio::time::sleep(random.millis(100, 300)).await;
        let (left, books) = cut_power(&stage, &disk);
        let answered: usize = books.iter().map(|book| book.kept().count()).sum();
        losses += usize::from(events(&check(&left)) < answered);
    }
    acting.stop().await;
    assert!(losses * 10 >= cuts * 9, "{losses} of {cuts} power cuts took something");
    eprintln!("without syncs {losses} of {cuts} power cuts took something that was answered");
}

/// Cuts the power at this moment. Returns the disk that is left, and the books as they were then.
fn cut_power(stage: &Stage, disk: &Medium) -> (Medium, Vec<Book>) {
    stage.service.signal("STOP");
    wait_until_all_stand(stage.service.pid());
    let left = disk.after_power_cut();
    let books = stage.actors.iter().map(|actor| actor.book().clone()).collect();
    stage.service.signal("CONT");
    (left, books)
}

/// Starts a service that can reach no receiver, to see what is left.
pub(super) async fn is_whole(left: &Medium, books: Vec<Book>, taken: &HashSet<(String, String)>) {
    check(left).expect(0);
    let config = stage::config(books.len()).allow_private(&[]);
    let service = Service::start_on(left, &config, &[], turn::shared().await).await;
    for mut book in books {
        let clients = Clients::of(&service, &book.tenant);
        settle(&mut book, &clients).await;
        stands(&book, &clients).await;
        all_is_there(&book, &clients, taken).await;
    }
}

fn check(disk: &Medium) -> Ran {
    let store = disk.folder().join(config::STORE);
    ran::finish(ran::command_behind(&disk.inside()).args(["check", "--store"]).arg(store))
}

/// How many events a check has found. None in a store that it refuses.
fn events(checked: &Ran) -> usize {
    let words: Vec<&str> = checked.stdout.split_whitespace().collect();
    let count = words.windows(2).find(|words| words[1] == "events,").and_then(|words| words[0].parse().ok());
    count.filter(|_| checked.code == 0).unwrap_or_default()
}

const TENANTS: usize = 4;

/// The size of the disk. The service does not find it low, and hardly any of it is ever written.
pub(super) const DISK_MIB: u32 = 256;

/// How often the power of one service is cut, before its disk gets full.
const CUTS_OF_ONE: usize = 25;

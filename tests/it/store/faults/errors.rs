//! A disk that fails: a sync that ends with EIO, and writes for which there is no room.

use std::os::unix::process::ExitStatusExt as _;

use super::count;
use super::power::{DISK_MIB, is_whole};
use super::site::{Hit, Site};
use super::stage::Stage;
use super::strace::{EIO, ENOSPC, Fault};
use crate::harness::disk::medium::Medium;
use crate::harness::seed::Random;

/// The events of a batch whose sync fails are not answered, so a power cut at that moment takes no event that was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_ends_the_service_and_answers_nothing_that_it_was_for() {
    let mut random = Random::new();
    for (site, few, all) in [(Site::Opening, 1, 8), (Site::Writer, 3, 24), (Site::Checkpoint, 1, 8)] {
        let Some(disk) = Medium::new(DISK_MIB) else { return };
        let mut stage = Stage::on(&disk, TENANTS, &[], random.split()).await;
        let calls = site.calls(&mut stage, "fdatasync").await;
        stage.start_again().await;
        let (points, mut hits) = (count(few, all), 0);
        while hits < points {
            let nth = 1 + random.below(calls as u64) as usize;
            let hit = site.hit(&mut stage, Fault { call: "fdatasync", nth, what: EIO, lasting: false }).await;
            eprintln!("EIO at {site:?} fdatasync {nth} of {calls}: {hit:?}");
            if hit.injected {
                hits += 1;
                ended_with_74(hit);
                let books = stage.actors.iter().map(|actor| actor.book().clone()).collect();
                is_whole(&disk.after_power_cut(), books, &stage.taken()).await;
            }
            stage.service.kill9();
            stage.start_again().await;
        }
        eprintln!("{site:?}: {hits} failed syncs, {:?}", stage.end().await);
    }
}

/// Either one write fails, or every write from there on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_room_takes_nothing_that_was_answered() {
    let mut random = Random::new();
    for (site, call, few, all) in WRITES {
        let mut stage = Stage::new(TENANTS, random.split()).await;
        let calls = site.calls(&mut stage, call).await.max(1);
        stage.start_again().await;
        let (points, mut hits, mut tries) = (count(few, all), 0, 0);
        while hits < points && tries < 3 * points {
            tries += 1;
            if call == "ftruncate" {
                // A file that has grown does not grow again at the same place, so each case needs a store of its own.
                stage = Stage::new(TENANTS, random.split()).await;
            }
            let (nth, lasting) = (1 + random.below(calls as u64) as usize, tries % 2 == 0);
            let hit = site.hit(&mut stage, Fault { call, nth, what: ENOSPC, lasting }).await;
            eprintln!("ENOSPC at {site:?} {call} {nth} of {calls}, lasting: {lasting}: {hit:?}");
            hits += usize::from(hit.injected);
            if hit.ended.is_some() {
                ended_with_74(hit);
            }
            stage.service.kill9();
            stage.service.check_store();
            stage.start_again().await;
        }
        eprintln!("{site:?} {call}: no room {hits} times, {:?}", stage.end().await);
        assert!(hits >= points || call != "pwrite64", "{hits} of {points}");
    }
}

fn ended_with_74(hit: Hit) {
    let ended = hit.ended.expect("the service ends");
    assert_eq!((ended.code(), ended.signal()), (Some(STORE_IO), None), "{ended:?}");
}

/// The writes that find no room: the site, the call, the number of points in a usual run, and their number in a full one.
const WRITES: [(Site, &str, usize, usize); 4] = [
    (Site::Opening, "pwrite64", 1, 8),
    (Site::Writer, "pwrite64", 3, 20),
    (Site::Checkpoint, "pwrite64", 1, 8),
    (Site::Writer, "ftruncate", 1, 5),
];

const TENANTS: usize = 3;

/// EX_IOERR of sysexits.h.
const STORE_IO: i32 = 74;

//! A kill at each call that writes or syncs: during 300 events, during the start after it, and during a stop.

use std::fs;
use std::process::ExitStatus;

use tempfile::NamedTempFile;

use super::site::Site;
use super::stage::Stage;
use super::strace::{self, Fault, KILL};
use super::{count, every_one};
use crate::harness::config::{Config, STORE};
use crate::harness::receiver::Receiver;
use crate::harness::seed::Random;
use crate::harness::service::Service;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_write_or_sync_leaves_all_that_was_answered() {
    let mut random = Random::new();
    let (mut reached, mut planned) = (0, 0);
    for site in Site::ALL {
        for call in ["pwrite64", "fdatasync", "ftruncate"] {
            let mut stage = Stage::new(TENANTS, random.split()).await;
            let calls = site.calls(&mut stage, call).await;
            let points = points(calls, &mut random);
            let mut killed = 0;
            // A file that has grown does not grow again at the same place, so each of these points needs a store of its own.
            let of_one = if call == "ftruncate" { 1 } else { POINTS_OF_ONE };
            for part in points.chunks(of_one) {
                stage = Stage::new(TENANTS, random.split()).await;
                killed += kill_at(&mut stage, site, call, part).await;
            }
            eprintln!("{site:?} {call}: {calls} calls, killed at {killed} of {} points", points.len());
            reached += killed;
            planned += points.len();
        }
    }
    assert!(reached * 2 >= planned, "{reached} of {planned} calls came again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_a_store_is_made_leaves_none_or_a_whole_one() {
    let (mut random, receiver) = (Random::new(), Receiver::start().await);
    let mut service = Service::start(&Config::quick().webhook("w", &receiver.url("/a"), &["*"])).await;
    for call in ["write", "fsync", "rename", "pwrite64", "fdatasync", "ftruncate"] {
        let log = NamedTempFile::new().expect("a temporary file");
        found_again(&mut service, &strace::words(None, log.path())).await;
        let points = points(strace::calls(log.path(), call), &mut random);
        for nth in &points {
            let kill = Fault { call, nth: *nth, what: KILL, lasting: false };
            let ended = found_again(&mut service, &strace::words(Some(kill), log.path())).await;
            eprintln!("a kill at {call} {nth}: {ended:?}");
            service.kill9();
            service.start_again().await;
            let event = service.acme().publish_new("order.paid").await;
            service.acme().delivery_when(&event, "succeeded").await;
        }
        eprintln!("{call}: killed at {} points", points.len());
    }
    service.stop_and_check().await;
}

/// Removes the store's files, and starts the service, which makes a new store.
async fn found_again(service: &mut Service, tracer: &[String]) -> Option<ExitStatus> {
    service.kill9();
    let files = fs::read_dir(service.folder()).expect("it is there").flatten();
    for file in files.filter(|file| file.file_name().to_string_lossy().starts_with(STORE)) {
        fs::remove_file(file.path()).expect("it is ours");
    }
    service.try_to_start_again(tracer).await
}

/// Kills the service at each point. Returns how many of the points were reached.
async fn kill_at(stage: &mut Stage, site: Site, call: &'static str, points: &[usize]) -> usize {
    let mut killed = 0;
    for nth in points {
        let mut injected = false;
        for _ in 0..TRIES {
            let hit = site.hit(stage, Fault { call, nth: *nth, what: KILL, lasting: false }).await;
            injected = hit.injected;
            eprintln!("a kill at {site:?} {call} {nth}: {injected}");
            stage.service.kill9();
            if nth % CHECKED == 0 {
                stage.service.check_store();
            }
            stage.start_again().await;
            if injected {
                break;
            }
        }
        killed += usize::from(injected);
    }
    let verdict = stage.end().await;
    eprintln!("{verdict:?}");
    killed
}

/// All of the calls, or a few of them.
fn points(calls: usize, random: &mut Random) -> Vec<usize> {
    let few = count(FEW, calls).min(calls);
    if every_one() {
        return (1..=calls).collect();
    }
    (0..few).map(|_| 1 + random.below(calls as u64) as usize).collect()
}

const TENANTS: usize = 3;

/// The points of each kind of call at each site, in a usual run.
const FEW: usize = 3;

/// How often a point is tried. A run may make fewer calls than the run in which they were counted.
const TRIES: usize = 2;

/// After so many points a new store is made.
const POINTS_OF_ONE: usize = 40;

/// After so many points, `check --store` looks at the store before the next start.
const CHECKED: usize = 3;

//! A kill at many points of a backup, a restore and a compaction: what stood there before is whole, or what takes its place is.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::strace::{self, Fault, KILL, Tracer};
use crate::harness::config::{self, Config};
use crate::harness::ran;
use crate::harness::service::Service;

/// The calls that are killed, and at how many points.
const OF_A_BACKUP: [(&str, usize); 5] = [("pwrite64", 10), ("fdatasync", 4), ("fsync", 6), ("write", 2), ("rename", 2)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_killed_at_twenty_points_leaves_the_old_one_whole() {
    let mut service = filled().await;
    service.cli(&["backup", "b.redb"]).expect(0);
    let log = NamedTempFile::new().expect("a temporary file");
    {
        let _tracer = attach(&service, None, log.path()).await;
        service.cli(&["backup", "b.redb"]).expect(0);
    }
    let (mut killed, mut new) = (0, 0);
    for (call, most) in OF_A_BACKUP {
        for nth in points(strace::calls(log.path(), call), most) {
            let before = sha256(&service);
            service.acme().publish_new("order.paid").await;
            let fault = Fault { call, nth, what: KILL, lasting: false };
            let tracer = attach(&service, Some(fault), NamedTempFile::new().expect("a temporary file").path()).await;
            let said = service.run(&["backup", &path(&service).display().to_string()]);
            drop(tracer);
            killed += usize::from(!said.status.success());
            let after = sha256(&service);
            assert_eq!(after, described(&service), "killed at {call} {nth}");
            new += usize::from(before != after);
            service.kill9();
            service.start_again().await;
        }
    }
    eprintln!("{killed} kills, after {new} of which the new backup stood");
    assert!(killed >= 20, "{killed} kills");
    service.cli(&["backup", "b.redb"]).expect(0);
    service.kill9();
    service.cli(&["restore", "b.redb", "-c", config::FILE, "--force"]).expect(0);
    service.check_store();
}

/// A service with events that wait, and some that are large.
async fn filled() -> Service {
    let service = Service::start(&Config::quick()).await;
    for number in 0..40 {
        let data = "x".repeat(1 << (number % 17));
        let event = serde_json::json!({ "tenant": "acme", "type": "order.paid", "data": data });
        service.provider("shop").publish(&event).await.expect(202);
    }
    service
}

fn path(service: &Service) -> PathBuf {
    service.folder().join("b.redb")
}

/// Traces what the service does with the files of the backup.
async fn attach(service: &Service, fault: Option<Fault>, log: &Path) -> Tracer {
    let files = ["b.redb.new", "b.redb.json.new", "b.redb"].map(|name| service.folder().join(name));
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).chain([service.folder()]).collect();
    Tracer::attach_to_files(service.pid(), &files, fault, log).await
}

fn sha256(service: &Service) -> String {
    hex::encode(Sha256::digest(fs::read(path(service)).expect("a backup stands there")))
}

/// The SHA-256 that the backup's manifest says: that of a swap which was cut, where there is one.
fn described(service: &Service) -> String {
    let at = |name: &str| service.folder().join(name);
    let is_cut = at("b.redb.json.new").exists() && !at("b.redb.new").exists();
    let manifest = fs::read(at(if is_cut { "b.redb.json.new" } else { "b.redb.json" })).expect("a manifest stands there");
    let manifest: Value = serde_json::from_slice(&manifest).expect("it is whole");
    manifest["sha256"].as_str().expect("a text").to_owned()
}

/// At most so many numbers from 1 to `calls`, the first and the last among them.
fn points(calls: usize, most: usize) -> Vec<usize> {
    let mut points: Vec<usize> = (0..most).map(|point| 1 + point * calls.saturating_sub(1) / (most - 1)).collect();
    points.dedup();
    points.retain(|point| *point <= calls);
    points
}

/// The calls of a command that is killed.
const OF_A_COMMAND: [(&str, usize); 5] = [("pwrite64", 4), ("fdatasync", 2), ("fsync", 4), ("write", 2), ("rename", 2)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_killed_at_any_step_leaves_the_old_store_or_the_new_one() {
    let mut service = filled().await;
    service.cli(&["backup", "b.redb"]).expect(0);
    let old = 3 + events_when_stopped(&mut service, 3).await;
    let kept = Kept::new(service.folder());
    let restore = ["restore", "b.redb", "-c", config::FILE, "--force"];
    kill_everywhere(&kept, &restore, &[old - 3, old]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compaction_killed_at_any_step_leaves_a_whole_store() {
    let mut service = filled().await;
    let all = 3 + events_when_stopped(&mut service, 3).await;
    let kept = Kept::new(service.folder());
    kill_everywhere(&kept, &["compact", "-c", config::FILE], &[all]).await;
}

/// Publishes some more, which stand in the journal, and kills the service. Returns how many events there were before.
async fn events_when_stopped(service: &mut Service, more: usize) -> u64 {
    let before = service.cli(&["status", "--json"]).json()["events"].as_u64().expect("a count");
    for _ in 0..more {
        service.acme().publish_new("order.paid").await;
    }
    service.kill9();
    before
}

/// The files of a folder, so that each point begins with the same ones.
struct Kept<'a> {
    folder: &'a Path,
    files: Vec<(PathBuf, Vec<u8>, fs::Permissions)>,
}

impl<'a> Kept<'a> {
    fn new(folder: &'a Path) -> Self {
        let files = fs::read_dir(folder).expect("there").flatten().filter(|entry| entry.path().is_file());
        let file = |entry: fs::DirEntry| {
            let (path, mode) = (entry.path(), entry.metadata().expect("there").permissions());
            (path.clone(), fs::read(path).expect("there"), mode)
        };
        Self { folder, files: files.map(file).collect() }
    }

    fn put_back(&self) {
        let now = fs::read_dir(self.folder).expect("there").flatten().filter(|entry| entry.path().is_file());
        now.for_each(|entry| fs::remove_file(entry.path()).expect("it is ours"));
        for (path, bytes, mode) in &self.files {
            fs::write(path, bytes).expect("written");
            fs::set_permissions(path, mode.clone()).expect("it is ours");
        }
    }
}

async fn kill_everywhere(kept: &Kept<'_>, command: &[&str], events: &[u64]) {
    let log = NamedTempFile::new().expect("a temporary file");
    kept.put_back();
    let ran = traced(kept.folder, None, log.path(), command);
    assert!(ran.code == 0, "{ran:?}");
    let mut found: Vec<u64> = Vec::new();
    let mut killed = 0;
    for (call, most) in OF_A_COMMAND {
        for nth in points(strace::calls(log.path(), call), most) {
            kept.put_back();
            let faulty = NamedTempFile::new().expect("a temporary file");
            let fault = Fault { call, nth, what: KILL, lasting: false };
            killed += usize::from(traced(kept.folder, Some(fault), faulty.path(), command).code != 0);
            let check = ran::run(kept.folder, &[], &["check", "--store", config::STORE, "--json"]);
            let report = check.json();
            let there = report["events"].as_u64().expect("a count");
            // Behind the step a restored store may have the old journal beside it, which a check tells.
            let only_the_journal =
                report["faults"].as_array().expect("a list").iter().all(|fault| fault.to_string().contains("journal"));
            assert!(events.contains(&there) && only_the_journal, "killed at {call} {nth}: {report}");
            found.push(there);
            let again = ran::run(kept.folder, &[], command);
            assert!(again.code == 0, "killed at {call} {nth}: {again:?}");
        }
    }
    eprintln!("{killed} kills; events after them: {found:?}");
    assert!(killed >= 8, "{killed} kills");
}

fn traced(folder: &Path, fault: Option<Fault>, log: &Path, command: &[&str]) -> ran::Ran {
    let mut traced = ran::command_behind(&strace::words(fault, log));
    ran::finish(traced.args(command).current_dir(folder).stdin(std::process::Stdio::null()))
}

//! Backups of a running service, and what is restored of them, through the command line and the API.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::ack::{Books, Load};
use crate::harness::api::text;
use crate::harness::config::{self, Config};
use crate::harness::eventually;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;
use crate::store::faults::count;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_holds_every_event_answered_before_it() {
    let (books, receiver) = (Arc::<Books>::default(), Receiver::start().await);
    let config = Config::quick().webhook("w", &receiver.url("/w"), &["load.*"]);
    let mut service = Service::start(&config).await;
    let period = Duration::from_micros(1_000_000 / count(200, 1_000) as u64);
    let load = Load::paced(&service.provider("shop"), &books, 8, period, |_| "load.made".into()).await;
    let enough = || async { (books.acknowledged().len() > count(150, 10_000)).then_some(()) };
    eventually("there is something to back up", Duration::from_secs(60), enough).await;
    let before: Vec<String> = books.acknowledged().into_iter().map(|event| event.id).collect();
    let made = service.cli(&["backup", "b.redb", "--json"]).expect(0).json();
    load.stop().await;
    let total = books.acknowledged().len();
    assert!(made["backup"]["events"].as_u64().expect("a count") >= before.len() as u64, "{made}");
    service.kill9();
    let restored = service.cli(&["restore", "b.redb", "-c", config::FILE, "--force", "--json"]).expect(0).json();
    assert_eq!(restored["events"], made["backup"]["events"]);
    service.start_again().await;
    let there = listed(&service).await;
    let missing: Vec<&String> = before.iter().filter(|id| !there.contains(*id)).collect();
    assert!(missing.is_empty(), "{missing:?} of {} are gone", before.len());
    eprintln!("{} answered before the backup, {} in it, {total} in all", before.len(), there.len());
    service.stop_and_check().await;
    check(&service, &text(&restored["replaced"]));
}

/// The ids of all events that the tenant lists.
async fn listed(service: &Service) -> HashSet<String> {
    let (mut there, mut cursor) = (HashSet::new(), String::new());
    loop {
        let page = service.acme().get(&format!("/v1/events?limit=250&cursor={cursor}")).await.expect(200);
        let rows = page["data"].as_array().expect("a list");
        there.extend(rows.iter().map(|row| text(&row["id"])));
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return there,
        }
    }
}

fn check(service: &Service, store: &str) -> Value {
    service.cli(&["check", "--store", store, "--json"]).expect(0).json()
}

#[tokio::test]
async fn a_backup_is_told_with_the_key_that_is_not_in_it() {
    let service = Service::start(&Config::quick()).await;
    service.acme().publish_new("order.paid").await;
    let said = service.cli(&["backup", "b.redb"]).expect(0);
    assert!(said.stdout.starts_with("ok  ") && said.stdout.contains("b.redb: 1 event,"), "{said:?}");
    said.complains(&["hookwheel.redb.key", "not in it"]);
    let manifest: Value = serde_json::from_slice(&fs::read(service.folder().join("b.redb.json")).expect("there")).expect("JSON");
    assert_eq!(manifest["sealing_key"]["included"], false);
    let status = service.cli(&["status", "--json"]).expect(0).json();
    assert_eq!(status["backups"]["last"]["backup"]["sha256"], manifest["sha256"]);
    assert!(service.cli(&["status"]).expect(0).stdout.contains("  backup    of 20"));
    let metrics = service.admin().get("/metrics").await.text();
    assert!(metrics.contains("hookwheel_backups_total{result=\"succeeded\"} 1"), "{metrics}");
    assert!(!metrics.contains("hookwheel_backup_last_success_timestamp_seconds 0"), "{metrics}");
}

#[tokio::test]
async fn a_path_that_no_backup_may_take_is_refused_with_why() {
    let service = Service::start(&Config::quick()).await;
    let whole = |name: &str| service.folder().join(name).display().to_string();
    fs::write(service.folder().join("letter"), "Dear Ada").expect("written");
    for (path, why) in [
        ("b.redb".into(), "must begin with `/`"),
        (whole(config::STORE), "it is the store"),
        (whole("hookwheel.redb.journal"), "belongs to the store"),
        (whole("none/b.redb"), "its folder does not exist"),
        (service.folder().display().to_string(), "it is a folder"),
        (whole("letter"), "no backup"),
    ] {
        service.admin().post("/v1/admin/backup", &json!({ "path": path })).await.problem(422, &[why]);
    }
    service.admin().post("/v1/admin/backup", &json!({})).await.problem(422, &["path"]);
    service.operator().post("/v1/admin/backup", &json!({ "path": whole("b") })).await.problem(403, &["admin socket"]);
    service.operator().get("/v1/admin/backup").await.expect(200);
    service.cli(&["backup", config::STORE]).expect(1).complains(&["it is the store"]);
    service.cli(&["backup", ""]).expect(2).complains(&["needs a value"]);
    assert_eq!(fs::read(service.folder().join("letter")).expect("there"), b"Dear Ada");
}

#[tokio::test]
async fn nothing_is_restored_or_compacted_under_a_running_service() {
    let service = Service::start(&Config::quick()).await;
    service.cli(&["backup", "b.redb"]).expect(0);
    for command in [&["restore", "b.redb", "-c", config::FILE, "--force"][..], &["compact", "-c", config::FILE]] {
        service.cli(command).expect(74).complains(&["in use by another hookwheel"]);
    }
    service.acme().publish_new("order.paid").await;
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_restore_is_told_with_what_to_do() {
    let mut service = Service::start(&Config::quick()).await;
    service.acme().publish_new("order.paid").await;
    service.cli(&["backup", "b.redb"]).expect(0);
    service.kill9();
    let restore = ["restore", "b.redb", "-c", config::FILE];
    service.cli(&restore).expect(1).complains(&["is there already", "--force"]);
    let key = service.folder().join("hookwheel.redb.key");
    fs::rename(&key, service.folder().join("away")).expect("moved");
    let forced = [&restore[..], &["--force"]].concat();
    service.cli(&forced).expect(1).complains(&["open with the master key", "is not there", "install -m 0600"]);
    fs::rename(service.folder().join("away"), &key).expect("moved");
    let backup = service.folder().join("b.redb");
    let whole = fs::read(&backup).expect("there");
    let mut damaged = whole.clone();
    damaged[9_000] ^= 4;
    fs::write(&backup, damaged).expect("written");
    service.cli(&forced).expect(1).complains(&["no whole backup", "SHA-256"]);
    fs::write(&backup, whole).expect("written");
    service.check_store();
    service.cli(&forced).expect(0);
    service.start_again().await;
    assert_eq!(listed(&service).await.len(), 1);
}

#[tokio::test]
async fn a_compacted_store_is_smaller_and_the_same() {
    let mut service = Service::start(&Config::quick().storage("retention = \"1s\"")).await;
    let large = json!({ "tenant": "acme", "type": "a", "data": "x".repeat(200_000) });
    for _ in 0..30 {
        service.provider("shop").publish(&large).await.expect(202);
    }
    service.terminate().await;
    service.start_again_with(&Config::quick()).await;
    let kept = service.acme().publish_new("order.paid").await;
    service.terminate().await;
    let before = fs::metadata(service.folder().join(config::STORE)).expect("there").len();
    let events = check(&service, config::STORE)["events"].clone();
    let said = service.cli(&["compact", "-c", config::FILE, "--json"]).expect(0).json();
    assert_eq!((said["bytes_before"].as_u64(), check(&service, config::STORE)["events"].clone()), (Some(before), events));
    assert!(said["bytes"].as_u64() <= Some(before), "{said}");
    service.start_again().await;
    assert!(listed(&service).await.contains(&kept));
}

#[tokio::test]
async fn status_tells_what_each_table_takes() {
    let service = Service::start(&Config::quick()).await;
    service.acme().publish_new("order.paid").await;
    // A backup brings all that was answered into the tables.
    service.cli(&["backup", "b.redb"]).expect(0);
    let said = service.cli(&["status", "--tables"]).expect(0).stdout;
    assert!(said.starts_with("TABLE") && said.lines().any(|line| line.starts_with("event ")), "{said}");
    let tables = service.cli(&["status", "--tables", "--json"]).expect(0).json()["tables"].clone();
    let event = tables.as_array().expect("a list").iter().find(|table| table["name"] == "event").expect("it is told").clone();
    assert_eq!(event["rows"], 1);
    assert!(event["file_bytes"].as_u64() >= event["bytes"].as_u64(), "{event}");
}

#[tokio::test]
async fn what_is_salvaged_of_a_stopped_store_is_told_by_table() {
    let mut service = Service::start(&Config::quick().webhook("w", "https://example.com/", &["order.*"])).await;
    let event = service.acme().publish_new("order.paid").await;
    let salvage = ["doctor", "-c", config::FILE, "--salvage", "out.ndjson"];
    service.cli(&salvage).expect(74).complains(&["in use by another hookwheel"]);
    service.kill9();
    let said = service.cli(&salvage).expect(0);
    assert!(said.stdout.contains("  event: 1\n") && said.stdout.contains("  endpoint: 1\n"), "{said:?}");
    let saved = fs::read_to_string(service.folder().join("out.ndjson")).expect("it was written");
    let lines: Vec<Value> = saved.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let line = lines.iter().find(|line| line["table"] == "event").expect("the event");
    assert_eq!((&line["id"], &line["data"], &line["tenant"]), (&json!(event), &json!({ "a": 1 }), &json!("acme")));
    service.cli(&salvage).expect(74).complains(&["out.ndjson", "exists"]);
}

#[tokio::test]
async fn scheduled_backups_come_by_themselves_and_a_reload_changes_their_folder() {
    let config =
        |folder: &str| Config::quick().storage(&format!("backup = {{ every = \"1h\", folder = \"{folder}\", keep = 2 }}"));
    let mut service = Service::start(&config("backups")).await;
    let backups = |service: &Service, folder: &str| names(&service.folder().join(folder));
    let one = |folder: &'static str| eventually_backup(&service, folder);
    one("backups").await;
    service.terminate().await;
    service.start_again().await;
    let last = service.admin().get("/v1/admin/backup").await.expect(200);
    let known =
        || async { service.admin().get("/v1/admin/backup").await.expect(200)["last_success_at"].as_str().map(str::to_owned) };
    eventually("the backup before is known", Duration::from_secs(10), known).await;
    assert_eq!(last["last"], Value::Null, "none is due within the hour");
    assert_eq!(backups(&service, "backups").len(), 2, "a backup and its manifest");
    config("other").write(service.folder());
    service.cli(&["reload"]).expect(0);
    eventually_backup(&service, "other").await;
    fs::write(service.folder().join("file"), "").expect("written");
    config("file/x").write(service.folder());
    service.cli(&["reload"]).expect(0);
    let failed = || async { service.cli(&["status"]).stdout.contains("the last one failed").then_some(()) };
    eventually("the failure is told", Duration::from_secs(10), failed).await;
    assert!(service.stderr().contains("was not written"), "{}", service.stderr());
}

async fn eventually_backup(service: &Service, folder: &str) {
    let folder = service.folder().join(folder);
    let there = || async { names(&folder).iter().any(|name| name.ends_with(".json")).then_some(()) };
    eventually("a backup is made", Duration::from_secs(20), there).await;
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn a_backup_for_which_there_is_no_room_leaves_the_service_its_own() {
    let Some(service) = Service::start_on_disk(&Config::quick(), 120).await else { return };
    service.acme().publish_new("order.paid").await;
    let path = service.folder().join("disk/b.redb").display().to_string();
    service.admin().post("/v1/admin/backup", &json!({ "path": path })).await.problem(507, &["not enough room"]);
    assert!(!service.disk().has("b.redb.new") && !service.disk().has("b.redb"));
    service.acme().publish_new("order.paid").await;
}

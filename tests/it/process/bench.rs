//! `bench` counts every event once, whatever the load is.

use std::process::Command;

use serde_json::Value;

use crate::harness::service::binary;
use crate::harness::turn;

#[tokio::test]
async fn a_closed_loop_counts_every_event_once() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = bench(folder.path(), &["--events", "2000", "--connections", "16"]);
    let runs = report["runs"].as_array().expect("runs");
    let names: Vec<&str> = runs.iter().filter_map(|run| run["run"].as_str()).collect();
    assert_eq!(names, ["forward", "store"]);
    for run in runs {
        assert_eq!(run["events"], 2_000, "{run}");
        assert_eq!(run["deliveries"], 2_000, "{run}");
        assert!(run["rate"].as_f64().is_some_and(|rate| rate > 0.0), "{run}");
        assert_eq!(run["lap_rates"].as_array().map(Vec::len), Some(8), "{run}");
        assert_eq!((run["end_to_end"]["count"].as_u64(), run["publish"]["count"].as_u64()), (Some(2_000), Some(2_000)), "{run}");
    }
    let store = &runs[1]["relay"];
    assert!(store["commits_per_event"].as_f64().is_some_and(|commits| commits > 0.0), "{store}");
    assert!(store["resident_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{store}");
    assert!(store["start_to_ready_ms"].as_f64() > Some(0.0) && store["idle_bytes"].as_u64() > Some(1 << 20), "{store}");
    assert!(report["binary_bytes"].as_u64() > Some(1 << 20), "{report}");
    let ratio = report["ratios"].as_array().and_then(|ratios| ratios.iter().find(|ratio| ratio["figure"] == "rate"));
    assert!(ratio.is_some_and(|ratio| ratio["by"] == "forward" && ratio["ratio"].as_f64() > Some(0.0)), "{report}");
    assert!(std::fs::read_dir(folder.path()).expect("still there").next().is_none(), "the store was left behind");
}

#[tokio::test]
async fn batches_at_a_rate_reach_every_healthy_endpoint() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let more = ["--rate", "1000", "--batch", "10", "--endpoints", "20", "--hang", "1", "--reset", "1", "--only", "base,store"];
    let report = bench(folder.path(), &[&["--events", "1000", "--connections", "16"], &more[..]].concat());
    let deliveries: Vec<_> = report["runs"].as_array().expect("runs").iter().map(|run| run["deliveries"].as_u64()).collect();
    assert_eq!(deliveries, [Some(1_000), Some(900)], "{report}");
}

#[tokio::test]
async fn runs_that_alternate_count_each_its_own() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let more = ["--rate", "500", "--events", "1400", "--connections", "8", "--endpoints", "10", "--reset", "1"];
    let report = bench(folder.path(), &[&["--alternate", "--only", "base,store"], &more[..]].concat());
    let runs = report["runs"].as_array().expect("runs");
    let counted: Vec<_> = runs.iter().map(|run| (run["run"].as_str(), run["deliveries"].as_u64())).collect();
    assert_eq!(counted, [(Some("base"), Some(1_400)), (Some("store"), Some(1_260))], "{report}");
    assert_eq!(report["load"]["alternate"], true, "{report}");
    assert!(std::fs::read_dir(folder.path()).expect("still there").next().is_none(), "a store was left behind");
}

#[tokio::test]
async fn one_event_for_all_reaches_each_endpoint_once() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = bench(folder.path(), &["--fan-out", "--endpoints", "50", "--events", "4", "--connections", "2"]);
    let runs = report["runs"].as_array().expect("runs");
    for run in runs.iter().filter(|run| run["run"] != "base") {
        assert_eq!((run["events"].as_u64(), run["deliveries"].as_u64()), (Some(4), Some(200)), "{run}");
    }
    assert_eq!(runs.len(), 3, "{report}");
}

#[tokio::test]
async fn a_filled_store_is_measured_beside_an_empty_one() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let more = ["--rows", "300000", "--endpoints", "3", "--only", "base,store"];
    let report = bench(folder.path(), &[&["--events", "600", "--connections", "8"], &more[..]].concat());
    let runs = report["runs"].as_array().expect("runs");
    let deliveries: Vec<_> = runs.iter().map(|run| run["deliveries"].as_u64()).collect();
    assert_eq!(deliveries, [Some(600), Some(600)], "{report}");
    assert_eq!((&runs[0]["filled"], &runs[1]["filled"]["deliveries"]), (&Value::Null, &300_000.into()), "{report}");
    assert_eq!(runs[1]["listing"]["count"], 20, "{report}");
    assert_eq!(report["ratios"][0]["by"], "base", "{report}");
    let said = report["differences"].as_array().is_some_and(|said| said.contains(&"max_bytes = \"64GiB\"".into()));
    assert!(said, "{report}");
}

#[tokio::test]
async fn a_start_after_a_kill_finds_all_that_waits() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = bench(folder.path(), &["--pending", "11000", "--endpoints", "2"]);
    let restart = &report["restart"];
    assert_eq!(restart["pending"], 11_000, "{report}");
    assert!(restart["start_to_ready_ms"].as_f64() > Some(0.0), "{report}");
    assert!(restart["resident_later_bytes"].as_u64() > Some(1 << 20), "{report}");
    assert_eq!(report["runs"].as_array().map(Vec::len), Some(0), "{report}");
    assert!(std::fs::read_dir(folder.path()).expect("still there").next().is_none(), "the store was left behind");
}

#[tokio::test]
async fn every_refused_delivery_has_a_timed_retry() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = bench(folder.path(), &["--late", "300", "--connections", "8"]);
    let run = &report["runs"][0];
    assert_eq!((run["events"].as_u64(), run["deliveries"].as_u64()), (Some(300), Some(300)), "{report}");
    let retried = &run["retried"];
    assert_eq!(retried["lateness"]["count"], 300, "{report}");
    assert!(retried["lateness"]["max_us"].as_u64() < Some(4_000_000), "{report}");
    assert!(retried["due_within_us"].as_u64() > Some(500_000), "{report}");
}

#[tokio::test]
async fn under_retention_the_store_is_shared_by_what_is_kept() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = bench(folder.path(), &["--retention", "1h", "--events", "500", "--connections", "4", "--only", "store"]);
    let kept = &report["runs"][0]["kept"];
    assert_eq!((kept["deliveries"].as_u64(), kept["removed"].as_u64()), (Some(500), Some(0)), "{report}");
    assert!(kept["bytes_per_delivery"].as_f64() > Some(500.0), "{report}");
    let noisy =
        report["noisy"].as_array().is_some_and(|noisy| noisy.contains(&"hookwheel: retention has removed nothing yet".into()));
    assert!(noisy, "{report}");
}

/// Runs it, and reads a report without faults.
fn bench(folder: &std::path::Path, arguments: &[&str]) -> Value {
    let mut command = Command::new(binary());
    let output = command.args(["bench", "--json"]).args(arguments).current_dir(folder).output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{said}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_str(&said).expect("one JSON object");
    assert_eq!(report["faults"], Value::Array(Vec::new()), "{report}");
    report
}

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
    assert_eq!(names, ["forward", "store", "forward"]);
    for run in runs {
        assert_eq!(run["events"], 2_000, "{run}");
        assert_eq!(run["deliveries"], 2_000, "{run}");
        assert!(run["rate"].as_f64().is_some_and(|rate| rate > 0.0), "{run}");
        assert_eq!((run["end_to_end"]["count"].as_u64(), run["publish"]["count"].as_u64()), (Some(2_000), Some(2_000)), "{run}");
    }
    let store = &runs[1]["relay"];
    assert!(store["commits_per_event"].as_f64().is_some_and(|commits| commits > 0.0), "{store}");
    assert!(store["resident_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{store}");
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
async fn one_event_for_all_reaches_each_endpoint_once() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = bench(folder.path(), &["--fan-out", "--endpoints", "50", "--events", "4", "--connections", "2"]);
    let runs = report["runs"].as_array().expect("runs");
    for run in runs.iter().filter(|run| run["run"] != "base") {
        assert_eq!((run["events"].as_u64(), run["deliveries"].as_u64()), (Some(4), Some(200)), "{run}");
    }
    assert_eq!(runs.len(), 4, "{report}");
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

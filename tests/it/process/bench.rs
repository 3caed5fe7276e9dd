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
        assert_eq!((run["events"].as_u64(), run["deliveries"].as_u64()), (Some(2_000), Some(2_000)), "{run}");
        assert_eq!((run["end_to_end"]["count"].as_u64(), run["publish"]["count"].as_u64()), (Some(2_000), Some(2_000)), "{run}");
        for figure in ["rate", "seconds", "start_to_ready_ms", "cpu_us_per_delivery", "load_cpu_us_per_delivery"] {
            assert!(run[figure].as_f64() > Some(0.0), "{figure}: {run}");
        }
        assert!(run["idle_bytes"].as_u64() > Some(1 << 20) && run["resident_bytes"].as_u64() > Some(1 << 20), "{run}");
    }
    assert!(runs[1]["store_bytes_per_delivery"].as_f64() > Some(500.0), "{report}");
    assert_eq!(report["differences"][1], "in_flight_per_endpoint = 256", "{report}");
    assert!(std::fs::read_dir(folder.path()).expect("still there").next().is_none(), "the store was left behind");
}

#[tokio::test]
async fn batches_at_a_rate_reach_every_healthy_endpoint() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let more = ["--rate", "1000", "--batch", "10", "--endpoints", "20", "--hang", "1", "--reset", "1", "--only", "store"];
    let report = bench(folder.path(), &[&["--events", "1000", "--connections", "16"], &more[..]].concat());
    let deliveries: Vec<_> = report["runs"].as_array().expect("runs").iter().map(|run| run["deliveries"].as_u64()).collect();
    assert_eq!(deliveries, [Some(900)], "{report}");
    assert!(report["runs"][0]["seconds"].as_f64() > Some(0.9), "the rate was not kept: {report}");
}

#[tokio::test]
async fn one_event_for_all_reaches_each_endpoint_once() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = bench(folder.path(), &["--fan-out", "--endpoints", "50", "--events", "4", "--connections", "2"]);
    let runs = report["runs"].as_array().expect("runs");
    for run in runs {
        assert_eq!((run["events"].as_u64(), run["deliveries"].as_u64()), (Some(4), Some(200)), "{run}");
    }
    assert_eq!(runs.len(), 2, "{report}");
}

#[test]
fn a_report_for_a_person_compares_the_two() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let arguments = ["bench", "--events", "300", "--connections", "4", "--failing", "0.3", "--endpoints", "10"];
    let output = Command::new(binary()).args(arguments).current_dir(folder.path()).output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stdout);
    for expected in [
        "closed loop, 4 connections, 300 events, 700 B of data, 10 endpoints of which 3 fail",
        "forward-only",
        "CPU of publisher and receiver",
        "of the deliveries/s of forward-only",
        "every event came exactly once",
    ] {
        assert!(said.contains(expected), "{expected}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Runs `bench`, and reads a report without faults.
fn bench(folder: &std::path::Path, arguments: &[&str]) -> Value {
    let mut command = Command::new(binary());
    let output = command.args(["bench", "--json"]).args(arguments).current_dir(folder).output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{said}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_str(&said).expect("one JSON object");
    assert_eq!(report["faults"], Value::Array(Vec::new()), "{report}");
    report
}

//! `GET /metrics`: what it counts, who may read it, and that Prometheus takes it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::client::{Answer, Client};
use crate::harness::config::Config;
use crate::harness::receiver::{Receiver, Reply, refusing_url};
use crate::harness::service::Service;

#[tokio::test]
async fn metrics_count_what_the_relay_did_and_promtool_takes_them() {
    let receiver = Receiver::start().await;
    receiver.script("/broken", [Reply::status(500)]);
    let config = Config::quick()
        .webhook("fine", &receiver.url("/fine"), &["a.*"])
        .webhook("broken", &receiver.url("/broken"), &["b.*"])
        .webhook("refusing", &refusing_url().await, &["c.*"])
        .webhook("gone", &receiver.url("/gone"), &["g.*"]);
    let service = Service::start(&config).await;
    receiver.script("/gone", [Reply::status(410)]);
    let publisher = service.provider("shop");
    publish_all(&publisher).await;
    let off = service.acme().subscribe(&receiver.url("/off"), &["h.*"]).await;
    service.acme().do_to_webhook(&off, "disable").await;
    for kind in ["h.one", "h.two"] {
        publisher.publish(&event(kind)).await.expect(202);
    }

    let expected = [
        ("hookwheel_events_accepted_total", "shop", 12.0),
        ("hookwheel_events_refused_total", "invalid", 2.0),
        ("hookwheel_events_refused_total", "too_large", 1.0),
        ("hookwheel_events_refused_total", "conflict", 1.0),
        ("hookwheel_events_refused_total", "full", 0.0),
        ("hookwheel_deliveries_total", "succeeded", 7.0),
        ("hookwheel_deliveries_total", "failed", 3.0),
        ("hookwheel_attempts_total", "2xx", 7.0),
        ("hookwheel_attempts_total", "4xx", 1.0),
        ("hookwheel_attempts_total", "5xx", 3.0),
        ("hookwheel_attempts_total", "connect", 3.0),
        ("hookwheel_attempts_total", "timeout", 0.0),
        ("hookwheel_attempt_duration_seconds_count", "shop", 14.0),
        ("hookwheel_publish_to_first_attempt_seconds_count", "shop", 10.0),
        ("hookwheel_publish_to_success_seconds_count", "shop", 7.0),
        ("hookwheel_deliveries_pending", "", 2.0),
        ("hookwheel_attempts_in_flight", "", 0.0),
        ("hookwheel_endpoints", "active", 3.0),
        ("hookwheel_endpoints", "disabled", 2.0),
        ("hookwheel_webhooks_disabled_total", "gone", 1.0),
        ("hookwheel_webhooks_disabled_total", "by_hand", 1.0),
        ("hookwheel_api_requests_total", "call=\"POST /v1/events\",status=\"202\"", 12.0),
        ("hookwheel_api_requests_total", "call=\"POST /v1/events\",status=\"409\"", 1.0),
        ("hookwheel_api_requests_total", "call=\"POST /v1/webhooks\",status=\"201\"", 1.0),
        ("hookwheel_connections_open", "admin_socket", 1.0),
        ("hookwheel_config_last_reload_success", "", 1.0),
        ("hookwheel_build_info", env!("CARGO_PKG_VERSION"), 1.0),
    ];
    let counted = Counted::when_all_hold(&service.admin(), &expected).await;
    for (name, label) in [
        ("hookwheel_connections_reused_total", ""),
        ("hookwheel_commit_duration_seconds_count", ""),
        ("hookwheel_commit_operations_count", ""),
        ("hookwheel_store_bytes", ""),
        ("hookwheel_store_limit_bytes", ""),
        ("hookwheel_disk_free_bytes", ""),
        ("hookwheel_api_request_duration_seconds_count", "GET /metrics"),
        ("process_resident_memory_bytes", ""),
        ("process_open_fds", ""),
        ("process_start_time_seconds", ""),
    ] {
        assert!(counted.get(name, label) > 0.0, "{name} {label}\n{}", counted.text);
    }
    promtool(&["check", "metrics"], &counted.text);
}

/// Ten events for webhooks that are on, and four that are refused.
async fn publish_all(publisher: &Client) {
    for kind in ["a.1", "a.2", "a.3", "a.4", "a.5", "b.1", "c.1"] {
        publisher.publish(&event(kind)).await.expect(202);
    }
    let mut named = event("a.6");
    named["id"] = json!("one");
    publisher.publish(&named).await.expect(202);
    named["data"] = json!("another");
    publisher.publish(&named).await.problem(409, &["one"]);
    publisher.publish(&json!({ "tenant": "acme", "data": 1 })).await.problem(422, &["type"]);
    let mut large = event("a.7");
    large["data"] = json!("x".repeat(1 << 20));
    publisher.publish(&large).await.problem(413, &[]);
    let lines = format!("{}\n{{\"type\": 5}}\n", event("a.8"));
    let (_, results) = publisher.publish_lines(&lines).await;
    assert_eq!(results.iter().map(|result| result["status"].as_u64()).collect::<Vec<_>>(), [Some(202), Some(422)]);
    publisher.publish(&event("g.1")).await.expect(202);
}

fn event(kind: &str) -> Value {
    json!({ "type": kind, "tenant": "acme", "data": { "n": 1 } })
}

#[tokio::test]
async fn metrics_are_for_operators_the_socket_and_networks_that_the_config_names() {
    let service = Service::start(&Config::quick().server("metrics_allow = [\"10.0.0.0/8\"]\n")).await;
    service.stranger().get("/metrics").await.problem(401, &[]);
    service.acme().get("/metrics").await.problem(403, &["operator"]);
    service.provider("shop").get("/metrics").await.problem(403, &["operator"]);
    for client in [service.operator(), service.admin()] {
        let answer = client.get("/metrics").await;
        assert_eq!(
            (answer.status, &answer.headers["content-type"]),
            (200, &"text/plain; version=0.0.4; charset=utf-8".parse().unwrap())
        );
    }
    let open = service.operator().with_header("accept", "application/openmetrics-text; version=1.0.0").get("/metrics").await;
    assert_eq!(open.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.text().ends_with("# EOF\n") && open.text().contains("# TYPE hookwheel_events_accepted counter\n"));
    assert!(open.text().contains("hookwheel_events_accepted_total{provider=\"shop\"} 0.0\n"), "{}", open.text());

    let service = Service::start(&Config::quick().server("metrics_allow = [\"10.0.0.0/8\", \"127.0.0.1/32\"]\n")).await;
    assert_eq!(service.stranger().get("/metrics").await.status, 200);
    service.stranger().get("/v1/admin/status").await.problem(401, &[]);
}

#[tokio::test]
async fn alerts_and_dashboard_name_metrics_that_there_are() {
    let alerts = package("prometheus/alerts.yml");
    promtool(&["check", "rules", "/dev/stdin"], &alerts);
    let board: Value = serde_json::from_str(&package("grafana/hookwheel.json")).expect("the dashboard is JSON");
    let service = Service::start(&Config::quick()).await;
    let known = Counted::of(&service.admin().get("/metrics").await);
    let mut named = names(&alerts);
    let before = named.len();
    named.extend(names(&board.to_string()));
    assert!(before > 8 && named.len() > before + 20, "{named:?}");
    for name in named {
        assert!(known.has(&name), "there is no metric {name}");
    }
}

/// The words of a text that look like names of metrics.
fn names(text: &str) -> Vec<String> {
    let words = text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    words.filter(|word| word.starts_with("hookwheel_") || word.starts_with("process_")).map(str::to_owned).collect()
}

fn package(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Panics unless promtool, which `tests/install` brings, takes the text without a word.
fn promtool(arguments: &[&str], text: &str) {
    let mut command = Command::new("promtool");
    let child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().expect("promtool is there: see tests/install");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && (said.is_empty() || said.contains("SUCCESS")), "{said}\n{text}");
}

/// The samples of an answer, by name and labels as they are printed.
struct Counted {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl Counted {
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        let samples = lines.map(|(name, value)| (name.to_owned(), value.parse().expect(name))).collect();
        Self { text, samples }
    }

    /// Reads the metrics until each of these has its value. The samples of one answer are taken one after the other
    /// while the relay goes on, so that the counters of a single answer need not agree.
    async fn when_all_hold(admin: &Client, expected: &[(&str, &str, f64)]) -> Self {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let counted = Self::of(&admin.get("/metrics").await);
            let wrong = expected.iter().find(|(name, label, value)| counted.get(name, label) != *value);
            let Some((name, label, value)) = wrong else { return counted };
            assert!(Instant::now() < deadline, "{name} {label} is not {value}\n{}", counted.text);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The sum of the samples of that name in whose labels the text stands.
    #[track_caller]
    fn get(&self, name: &str, label: &str) -> f64 {
        let is_of = |sample: &str| sample.split('{').next() == Some(name) && (sample.contains(label) || label.is_empty());
        let found: Vec<f64> = self.samples.iter().filter(|(sample, _)| is_of(sample)).map(|(_, value)| *value).collect();
        assert!(!found.is_empty(), "no {name} {label} in\n{}", self.text);
        found.iter().sum()
    }

    fn has(&self, name: &str) -> bool {
        self.text.contains(&format!("# TYPE {name} ")) || self.samples.keys().any(|sample| sample.split('{').next() == Some(name))
    }
}

//! `hookwheel verify` and `hookwheel dialects`, which need no service.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::config::Config;
use crate::harness::receiver::Receiver;
use crate::harness::sent::{Sent, accepted, subscribe_for_all};
use crate::harness::service::Service;

/// Dialect, type, and its signature's header.
const SIGNING: [(&str, &str, &str); 5] = [
    ("decisio", "decision.created", "X-Decisio-Signature"),
    ("dcisionai", "project.created", "X-DcisionAI-Signature"),
    ("aioka", "verdict.new", "X-AIOKA-Signature"),
    ("resistant", "documents.adaptive_decision.finished", "webhook-signature"),
    ("standard", "invoice.paid", "webhook-signature"),
];

#[tokio::test]
async fn a_captured_delivery_of_every_dialect_verifies_and_failures_are_explained() {
    for (dialect, kind, header) in SIGNING {
        let (service, receiver) =
            (Service::start(&Config::bare().provider("p", dialect).tenant("t")).await, Receiver::start().await);
        let tenant = service.tenant("p", "t");
        let secret = subscribe_for_all(&tenant, &receiver.url("/a"), json!({})).await;
        let sent = accepted(&tenant, json!({ "type": kind, "data": { "a": "x y", "n": 1 } })).await;
        let verify = Verify { service: &service, dialect };

        verify.says(&secret, &sent, &[], 0, "ok");
        verify.says("whsec_ICcuNTxDSlFYX2ZtdHuCiZCXnqWss7rByM/W3eTr8vk=", &sent, &[], 1, "another secret");
        let spaced = Sent { body: sent.body.replace("\":", "\": "), ..sent.clone() };
        verify.says(&secret, &spaced, &[], 1, "verify the bytes as they came");
        let ended = Sent { body: format!("{}\n", sent.body), ..sent.clone() };
        verify.says(&secret, &ended, &[], 1, "without the line end");
        let changed = Sent { body: sent.body.replace("x y", "x z"), ..sent.clone() };
        verify.says(&secret, &changed, &[], 1, "over another body");
        let bare = Sent { headers: without(&sent, header), ..sent.clone() };
        verify.says(&secret, &bare, &[], 1, &format!("the header {header} is missing"));
        if let Some((_, digest)) =
            sent.header(header).split_once(['=', ',']).filter(|_| dialect != "dcisionai" && dialect != "aioka")
        {
            verify.says(&secret, &sent.with(header, digest), &[], 1, "does not begin with");
        }
        if let Some(time) = sent.headers.iter().find(|(name, _)| name.ends_with("imestamp") && dialect != "decisio") {
            // The same delivery, looked at by somebody who allows no age at all; a clock never stands still for so long.
            tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
            verify.says(&secret, &sent, &["--tolerance", "0s"], 1, "behind this clock");
            verify.says(&secret, &sent, &["--ignore-timestamp"], 0, "ok");
            let missing = Sent { headers: without(&sent, &time.0), ..sent.clone() };
            verify.says(&secret, &missing, &[], 1, "timestamp is missing");
        }
    }
}

#[tokio::test]
async fn a_dialect_without_signatures_has_nothing_to_verify() {
    let service = Service::start(&Config::bare()).await;
    let sent = Sent { headers: Vec::new(), body: "{}".into() };
    Verify { service: &service, dialect: "deck" }.says("k", &sent, &[], 2, "signs nothing");
}

#[tokio::test]
async fn dialects_are_listed_and_shown_as_they_work() {
    let service = Service::start(&Config::bare().dialect("own", "extends = \"decisio\"\n", &["3s"])).await;
    let said = |arguments: &[&str]| {
        let output = service.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), String::from_utf8(output.stdout).expect("text") + &error)
    };
    let (code, listed) = said(&["dialects", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let names: Vec<_> =
        listed["data"].as_array().expect("a list").iter().map(|one| one["name"].as_str().expect("a name")).collect();
    assert_eq!((code, &names[..]), (Some(0), &["aioka", "dcisionai", "decisio", "deck", "resistant", "standard"][..]));
    assert_eq!(listed["data"][1]["event_types"].as_array().map(Vec::len), Some(16));
    let config = service.folder().join("hookwheel.toml");
    let config = config.to_str().expect("a plain path");
    let (code, shown) = said(&["dialects", "show", "own", "-c", config]);
    assert_eq!(code, Some(0), "{shown}");
    for line in ["name = \"own\"", "schedule = [\"3s\"]", "header = \"X-Decisio-Signature\"", "schemes = [\"https\"]"] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    let (code, unknown) = said(&["dialects", "show", "decisoi"]);
    assert!(code == Some(2) && unknown.contains("aioka, dcisionai"), "{unknown}");
}

fn without(sent: &Sent, header: &str) -> Vec<(String, String)> {
    sent.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(header)).cloned().collect()
}

struct Verify<'a> {
    service: &'a Service,
    dialect: &'a str,
}

impl Verify<'_> {
    /// Runs `verify --explain`, which must end so and say this.
    #[track_caller]
    fn says(&self, secret: &str, sent: &Sent, more: &[&str], code: i32, words: &str) {
        let (key, body) = (self.file("captured-secret", secret), self.file("captured-body", &sent.body));
        let body = format!("@{body}");
        let mut arguments = vec!["verify", "--explain", "--dialect", self.dialect, "--secret-file", &key, "--body", &body];
        let headers: Vec<String> = sent.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        headers.iter().for_each(|header| arguments.extend(["-H", header.as_str()]));
        arguments.extend(more);
        let output = self.service.run(&arguments);
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert_eq!(output.status.code(), Some(code), "{} {more:?}: {said}", self.dialect);
        assert!(said.contains(words), "{}: no {words:?} in {said}", self.dialect);
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path: &Path = &self.service.folder().join(name);
        fs::write(path, text).expect("written");
        path.to_str().expect("a plain path").to_owned()
    }
}

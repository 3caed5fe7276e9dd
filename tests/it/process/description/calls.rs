//! Every call of the API is made by some test, and every answer that a test sees is held against the description of the API.
//!
//! The sources of the tests are read, not run: a call is found by its method and its path, as `.get("/v1/events")`,
//! `Method::PUT, "/v1/webhooks/…"`, `do_to_webhook(id, "enable")`, or the first line of a request that is written by hand.

use std::fs;
use std::path::Path;

use http::Method;
use serde_json::{Value, json};

use crate::harness::config::Config;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

#[test]
fn every_call_is_made_by_a_test() {
    let made = made();
    assert!(made.len() > 200, "only {} calls were found in the tests", made.len());
    let all = described();
    assert!(all.len() > 50, "only {} calls are described", all.len());
    let unmade = |(method, path): &&(String, String)| !is_made(method, path, &all, &made);
    let unmade: Vec<String> = all.iter().filter(unmade).map(|(method, path)| format!("{method} {path}")).collect();
    assert!(unmade.is_empty(), "no test makes these calls: {unmade:#?}");
    let soup = (&"GET".to_owned(), &"/v1/soup/{id}".to_owned());
    assert!(!is_made(soup.0, soup.1, &all, &made), "a call that nobody makes is told");
}

/// Whether one of the calls that were found is this one. A path that another call has to the letter is that call's.
fn is_made(method: &str, path: &str, all: &[(String, String)], made: &[(String, String)]) -> bool {
    let is_other = |found: &str| found != path && all.iter().any(|(_, other)| other == found);
    made.iter().any(|(how, found)| how == method && fits(path, found) && !is_other(found))
}

fn fits(path: &str, found: &str) -> bool {
    let (known, found): (Vec<&str>, Vec<&str>) = (path.split('/').collect(), found.split('/').collect());
    let same = |(known, found): (&&str, &&str)| known == found || known.starts_with('{') && !found.is_empty();
    known.len() == found.len() && known.iter().zip(&found).all(same)
}

/// The calls of the description, each with its method and path.
fn described() -> Vec<(String, String)> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/openapi.json"));
    let document: Value = serde_json::from_str(text).expect("JSON");
    let paths = document["paths"].as_object().expect("paths").iter();
    let calls = paths.flat_map(|(path, methods)| {
        methods.as_object().expect("methods").keys().map(move |method| (method.to_uppercase(), path.clone()))
    });
    calls.collect()
}

/// The calls that the sources of the tests make.
fn made() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for text in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")) {
        let mut before = "";
        for (index, part) in text.split('"').enumerate() {
            if index % 2 == 0 {
                before = part;
                continue;
            }
            found.extend(by_hand(part));
            found.extend(call(before, part));
        }
    }
    found
}

/// A request that a test writes itself: `GET /v1/events HTTP/1.1`.
fn by_hand(literal: &str) -> Option<(String, String)> {
    let (method, rest) = literal.split_once(' ')?;
    let path = rest.split([' ', '?']).next()?;
    (METHODS.iter().any(|(_, known)| *known == method) && path.starts_with('/')).then(|| (method.into(), path.into()))
}

/// A path with what stands before it, back to the literal before.
fn call(before: &str, literal: &str) -> Option<(String, String)> {
    if before.contains("do_to_webhook(") && !literal.contains('/') {
        return Some(("POST".into(), format!("/v1/webhooks/{{id}}/{literal}")));
    }
    let path = literal.split('?').next().filter(|path| path.starts_with('/'))?;
    let (_, method) = METHODS.iter().filter_map(|(word, method)| Some((before.rfind(word)?, *method))).max()?;
    Some((method.into(), path.into()))
}

fn sources(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            // An escaped quote ends no literal.
            found.push(fs::read_to_string(&path).expect("a source").replace("\\\"", "'").replace("'\"'", ""));
        }
    }
    found
}

/// By which words a test makes a call of which method.
const METHODS: [(&str, &str); 10] = [
    (".get(", "GET"),
    ("Method::GET", "GET"),
    (".post(", "POST"),
    ("Method::POST", "POST"),
    ("Method::PUT", "PUT"),
    (".patch(", "PATCH"),
    ("Method::PATCH", "PATCH"),
    (".delete(", "DELETE"),
    ("Method::DELETE", "DELETE"),
    // A stream has no end, so it is asked for by a client of its own, which names it once.
    ("const STREAM: &str =", "GET"),
];

/// Calls that other tests make only through the command line.
#[tokio::test]
async fn calls_of_the_command_line_are_answered_as_described() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let (admin, acme) = (service.admin(), service.acme());
    let webhook = acme.subscribe(&receiver.url("/"), &["*"]).await;
    let event = acme.publish_new("a.b").await;
    let delivery = acme.delivery_when(&event, "succeeded").await;
    acme.post(&format!("/v1/events/{event}/replay"), &json!({})).await.expect(202);
    for path in ["", "/api/admin", "/problems/store-full"] {
        assert_eq!(service.stranger().get(&format!("/docs{path}")).await.status, 200, "{path}");
    }
    assert_eq!(service.stranger().get("/docs").await.status, 200);
    assert_eq!(service.stranger().get("/docs/api/admin").await.status, 200);
    assert_eq!(service.stranger().get("/docs/problems/store-full").await.status, 200);
    acme.post("/v1/webhooks/test", &json!({})).await.expect(200);
    let definition = json!({ "url": receiver.url("/"), "events": ["a.*"] }).to_string();
    let put = acme.send(Method::PUT, &format!("/v1/webhooks/{webhook}"), "application/json", definition.into()).await;
    assert_eq!(put.expect(200)["events"], json!(["a.*"]));
    let tested = acme.post(&format!("/v1/webhooks/{webhook}/filter-test"), &json!({ "filter": {}, "event_id": event })).await;
    assert_eq!(tested.expect(200)["matches"], true);
    let of_webhook = acme.get(&format!("/v1/webhooks/{webhook}/deliveries?event={event}")).await.expect(200);
    assert_eq!(of_webhook["data"][0]["id"], delivery["id"]);
    acme.do_to_webhook(&webhook, "disable").await;
    let held = acme.publish_new("a.c").await;
    let held = acme.delivery_when(&held, "held").await;
    acme.delete(&format!("/v1/deliveries/{}", held["id"].as_str().expect("an id"))).await.expect(204);
    acme.post(&format!("/v1/webhooks/{webhook}/purge"), &json!({ "status": "held" })).await.expect(202);
    let replay = acme.post("/v1/replays", &json!({ "filter": { "since": "1h" }, "rate": "1/h" })).await.expect(202);
    let replay = replay["id"].as_str().expect("an id");
    for status in [
        acme.post(&format!("/v1/replays/{replay}/pause"), &json!({})).await.status,
        acme.post(&format!("/v1/replays/{replay}/resume"), &json!({})).await.status,
    ] {
        // A replay of little may have ended by then.
        assert!([200, 409].contains(&status), "{status}");
    }
    admin.post("/v1/admin/clock/accept", &json!({})).await.expect(200);
    admin.get("/v1/admin/tables").await.expect(200);
    assert_eq!(admin.get("/v1/admin/providers/shop").await.expect(200)["name"], "shop");
    let piece = admin.get("/v1/admin/export?cursor=events-").await;
    assert_eq!(piece.status, 200);
    assert_eq!(piece.headers["content-type"], "application/x-ndjson");
    let tenant = json!({ "kind": "tenant", "provider": "shop", "id": "new", "profile": {} });
    assert_eq!(admin.post("/v1/admin/import", &tenant).await.expect(200)["status"], "added");
    service.operator().get("/v1/admin/export").await.problem(403, &["admin socket"]);
}

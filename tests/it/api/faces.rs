//! The management APIs as the providers' documents print them. Each request is sent by curl as printed (method, path, headers,
//! body). The answer is compared with the printed answer or, where none is printed, with the dialect's own fields.
//!
//! A test replaces what must differ: the host, the key where the document leaves it out, and the id of the webhook that was made.
//! It does not compare what differs in each run: ids, times and made secrets.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::config::{self, Config};
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

#[tokio::test]
async fn decisio_registers_a_webhook_as_printed() {
    let service = Service::start(&strict("decisio")).await;
    for path in ["/v1/webhooks", "/webhooks"] {
        let answer = curl(&service, &request("POST", path, BEARER, Some(DECISIO_CREATE)));
        answer.is(
            201,
            json!({
                "id": "wh_", "url": "https://yourserver.com/webhooks/decisio",
                "events": ["decision.created", "alert.created"], "description": "Production webhook",
                "secret": "whsec_", "status": "active", "created_at": "Z"
            }),
        );
    }
    let over_http = DECISIO_CREATE.replace("https://", "http://");
    let refused = curl(&service, &request("POST", "/v1/webhooks", BEARER, Some(&over_http)));
    assert_eq!(refused.status, 422, "must be HTTPS");
    assert_eq!(refused.json()["errors"][0]["pointer"], "/url");
}

#[tokio::test]
async fn aioka_registers_a_webhook_as_printed() {
    let service = Service::start(&strict("aioka")).await;
    for path in ["/v1/webhooks", "/webhooks"] {
        let answer = curl(&service, &request("POST", path, API_KEY, Some(AIOKA_CREATE)));
        answer.is(
            201,
            json!({
                "id": "wh_", "url": "https://yourserver.com/aioka-webhook", "events": ["verdict.new", "regime.change"],
                "secret": "whsec_", "is_active": true, "created_at": "Z"
            }),
        );
    }
    let over_http = AIOKA_CREATE.replace("https://", "http://");
    assert_eq!(curl(&service, &request("POST", "/v1/webhooks", API_KEY, Some(&over_http))).status, 422, "HTTPS only");
}

#[tokio::test]
async fn aioka_lists_and_deletes_as_printed() {
    let service = Service::start(&strict("aioka")).await;
    let made = curl(&service, &request("POST", "/v1/webhooks", API_KEY, Some(AIOKA_CREATE))).json();
    let shown = json!({
        "id": "wh_", "url": "https://yourserver.com/aioka-webhook", "events": ["verdict.new", "regime.change"],
        "is_active": true, "created_at": "Z"
    });
    for path in ["/v1/webhooks", "/webhooks"] {
        curl(&service, &request("GET", path, API_KEY, None)).is(200, json!({ "data": [shown], "next": null }));
    }
    let one = format!("/v1/webhooks/{}", text(&made["id"]));
    curl(&service, &request("GET", &one, API_KEY, None)).is(200, shown);
    let deleted = curl(&service, &request("DELETE", &one, API_KEY, None));
    assert_eq!((deleted.status, &*deleted.body), (204, ""));
    assert_eq!(curl(&service, &request("GET", &one, API_KEY, None)).status, 404);
}

// The test needs several threads: one waits for curl while another answers the delivery.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aioka_sends_a_test_event_as_printed() {
    let (service, receiver) = (Service::start(&open("aioka")).await, Receiver::start().await);
    let create = AIOKA_CREATE.replace("https://yourserver.com", receiver.url("").trim_end_matches('/'));
    let made = curl(&service, &request("POST", "/v1/webhooks", API_KEY, Some(&create))).json();
    let answer = curl(&service, &request("POST", "/v1/webhooks/test", API_KEY, None));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let test = answer.json()["data"][0].clone();
    assert_eq!((&test["webhook_id"], &test["event_type"]), (&made["id"], &json!("verdict.new")));
    assert_eq!((&test["test"], &test["attempts"][0]["response"]["status"]), (&json!(true), &json!(200)), "{test}");
    let request = receiver.wait_for("/aioka-webhook", 1, WITHIN).await.remove(0);
    assert_eq!(text(&test["request"]["body"]).as_bytes(), request.body);
    assert_eq!(request.json()["data"]["ruling"], "STRONG_BUY", "the document's example");
}

#[tokio::test]
async fn a_sixth_webhook_of_an_aioka_key_is_refused_and_the_limit_named() {
    let service = Service::start(&strict("aioka")).await;
    let (tenant, operator) = (service.tenant("p", "t"), service.operator().with_header("hookwheel-tenant", "p/t"));
    let hook: Value = serde_json::from_str(AIOKA_CREATE).expect("JSON");
    operator.post("/v1/webhooks", &hook).await.expect(201);
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(text(&tenant.post("/v1/webhooks", &hook).await.expect(201)["id"]));
    }
    let refused = curl(&service, &request("POST", "/v1/webhooks", API_KEY, Some(AIOKA_CREATE)));
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert!(text(&refused.json()["detail"]).contains('5'), "{}", refused.body);
    // Another key of the tenant has a limit of its own, and deleted webhooks do not count.
    let other = json!({ "name": "other", "provider": "p", "tenant": "t" });
    let other = text(&service.operator().post("/v1/admin/keys", &other).await.expect(201)["key"]);
    service.stranger().with_key(&other).post("/v1/webhooks", &hook).await.expect(201);
    tenant.delete(&format!("/v1/webhooks/{}", made[0])).await.expect(204);
    tenant.post("/v1/webhooks", &hook).await.expect(201);
    tenant.post("/v1/webhooks", &hook).await.problem(409, &["5"]);
    // Webhooks made by a key that was revoked count for each key that is left.
    let revoked = service.operator().get("/v1/admin/keys").await.expect(200);
    let revoked =
        revoked["data"].as_array().expect("a list").iter().find(|key| key["name"] == "other").expect("listed")["id"].clone();
    service.operator().delete(&format!("/v1/admin/keys/{}", text(&revoked))).await.expect(204);
    let third = json!({ "name": "third", "provider": "p", "tenant": "t" });
    let third = text(&service.operator().post("/v1/admin/keys", &third).await.expect(201)["key"]);
    let third = service.stranger().with_key(&third);
    for _ in 0..4 {
        third.post("/v1/webhooks", &hook).await.expect(201);
    }
    third.post("/v1/webhooks", &hook).await.problem(409, &["revoked", "5"]);
}

#[tokio::test]
async fn dcisionai_creates_and_lists_as_printed() {
    let service = Service::start(&strict("dcisionai")).await;
    let printed = dcisionai("Production Webhook", "Webhook for production environment", "", DCISIONAI_EVENTS);
    let answer = curl(&service, &request("POST", "/webhooks", BEARER, Some(DCISIONAI_CREATE)));
    let mut created = printed.clone();
    created["secret"] = json!("webhook_secret_1234567890");
    answer.is(201, json!({ "data": created }));
    // The order of the members counts too.
    let order = ["id", "name", "description", "url", "events", "secret", "created_at", "last_delivery_at", "status"];
    let places: Vec<_> = order.iter().map(|name| answer.body.find(&format!("\"{name}\":")).expect("a member")).collect();
    assert!(places.is_sorted(), "{}", answer.body);

    curl(&service, &request("GET", "/webhooks", BEARER, None)).is(200, json!({ "data": [printed] }));
}

#[tokio::test]
async fn dcisionai_retrieves_updates_and_deletes_as_printed() {
    let service = Service::start(&strict("dcisionai")).await;
    let made = curl(&service, &request("POST", "/webhooks", BEARER, Some(DCISIONAI_CREATE))).json();
    let one = format!("/webhooks/{}", text(&made["data"]["id"]));
    let printed = dcisionai("Production Webhook", "Webhook for production environment", "", DCISIONAI_EVENTS);
    curl(&service, &request("GET", &one, BEARER, None)).is(200, json!({ "data": printed }));

    let events = [DCISIONAI_EVENTS, &["dataset.processed"]].concat();
    let updated = dcisionai("Updated Webhook", "Updated description", "/updated", &events);
    let put = curl(&service, &request("PUT", &one, BEARER, Some(DCISIONAI_UPDATE)));
    put.is(200, json!({ "data": updated }));
    assert_eq!(put.json()["data"]["id"], made["data"]["id"]);
    curl(&service, &request("GET", &format!("/v1{one}"), BEARER, None)).is(200, json!({ "data": updated }));

    let deleted = curl(&service, &request("DELETE", &one, BEARER, None));
    assert_eq!((deleted.status, &*deleted.body), (204, ""));
    assert_eq!(curl(&service, &request("GET", &one, BEARER, None)).status, 404);
}

#[tokio::test]
async fn dcisionai_shows_its_last_delivery_and_statistics() {
    let (service, receiver) = (Service::start(&open("dcisionai")).await, Receiver::start().await);
    let create = DCISIONAI_CREATE.replace("https://api.example.com", receiver.url("").trim_end_matches('/'));
    let made = curl(&service, &request("POST", "/webhooks", BEARER, Some(&create))).json();
    let (tenant, one) = (service.tenant("p", "t"), format!("/webhooks/{}", text(&made["data"]["id"])));
    let none = json!({
        "total": 0, "successful": 0, "failed": 0, "successRate": 0, "averageResponseTime": null, "p50": null, "p99": null
    });
    assert_eq!(tenant.get(&format!("{one}/stats")).await.expect(200), json!({ "data": none }));

    let id = tenant.publish_new("project.created").await;
    tenant.delivery_when(&id, "succeeded").await;
    let shown = tenant.get(&one).await.expect(200);
    assert!(shown["data"]["last_delivery_at"].is_string(), "{shown}");
    assert!(shown["data"].get("secret").is_none(), "{shown}");
    let stats = tenant.get(&format!("{one}/stats?window=1h")).await.expect(200)["data"].clone();
    assert_eq!((&stats["total"], &stats["successful"], &stats["failed"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(stats["successRate"], 100);
    for time in ["averageResponseTime", "p50", "p99"] {
        assert!(stats[time].is_number(), "{stats}");
    }
    tenant.get(&format!("{one}/stats?window=soon")).await.problem(422, &["window"]);
}

#[tokio::test]
async fn deck_and_the_standard_dialects_show_their_own_fields() {
    for (dialect, kind, expected) in [
        (
            "deck",
            "MakePayment",
            json!({ "id": "wh_", "name": "n", "url": "https://a.example/", "events": ["MakePayment"],
            "description": "d", "status": "active", "created_at": "Z" }),
        ),
        (
            "resistant",
            "documents.adaptive_decision.finished",
            json!({ "id": "wh_", "name": "n", "url": "https://a.example/",
            "events": ["documents.adaptive_decision.finished"], "description": "d", "secret": "whsec_", "status": "active",
            "created_at": "Z", "updated_at": "Z", "effective": effective() }),
        ),
        (
            "standard",
            "a.b",
            json!({ "id": "wh_", "name": "n", "url": "https://a.example/", "events": ["a.b"], "description": "d",
            "secret": "whsec_", "status": "active", "created_at": "Z", "updated_at": "Z", "failures": 0, "last_code": null,
            "last_error": null, "effective": effective() }),
        ),
    ] {
        let service = Service::start(&strict(dialect)).await;
        let hook = json!({ "name": "n", "description": "d", "url": "https://a.example/", "events": [kind] }).to_string();
        curl(&service, &request("POST", "/v1/webhooks", BEARER, Some(&hook))).is(201, expected);
    }
}

/// What counts for a webhook without settings in a dialect with the attempts of `standard`.
fn effective() -> Value {
    let schedule = ["5s", "5m", "30m", "2h", "5h", "10h", "10h"];
    json!({
        "timeout": { "value": "15s", "origin": "dialect" },
        "retry": { "value": { "schedule": schedule, "jitter": 0.2 }, "origin": "dialect" },
        "disable": { "value": { "consecutive": 10, "count": "deliveries" }, "origin": "dialect" },
        "concurrency": { "value": 16, "origin": "default" },
        "rate_limit": { "value": null, "origin": "default" },
        "sample": { "value": 1, "origin": "default" },
        "ordered": { "value": false, "origin": "default" },
        "proxy": { "value": null, "origin": "default" },
        "on_failure": { "value": "next", "origin": "default" }
    })
}

/// A config with provider `p` and tenant `t` that allows only what production allows.
fn strict(dialect: &str) -> Config {
    Config::production().provider("p", dialect).tenant("t")
}

/// Like `strict`, but a receiver on this machine can be reached.
fn open(dialect: &str) -> Config {
    Config::bare().provider("p", dialect).tenant("t")
}

fn dcisionai(name: &str, description: &str, path: &str, events: &[&str]) -> Value {
    json!({
        "id": "wh_", "name": name, "description": description,
        "url": format!("https://api.example.com/webhooks/dcisionai{path}"), "events": events,
        "created_at": "Z", "last_delivery_at": null, "status": "active"
    })
}

/// The arguments of curl for a request, with headers as the documents write them.
fn request(method: &str, path: &str, key: &str, body: Option<&str>) -> Vec<String> {
    let key = key.replace("KEY", &config::secret("p-t"));
    let mut arguments = vec!["-X".into(), method.into(), format!("HOST{path}"), "-H".into(), key];
    if let Some(body) = body {
        arguments.extend(["-H".into(), "Content-Type: application/json".into(), "-d".into(), body.into()]);
    }
    arguments
}

struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Checks the status, and that the members are exactly the expected ones. An expected `wh_` or `whsec_` stands for any made
    /// value, and `Z` for any time.
    #[track_caller]
    fn is(&self, status: u16, expected: Value) {
        assert_eq!(self.status, status, "{}", self.body);
        let mut given = self.json();
        alike(&mut given, &expected);
        assert_eq!(given, expected, "{}", self.body);
    }
}

/// Replaces made values by the expected stand-ins, where they have the right form.
fn alike(given: &mut Value, expected: &Value) {
    match (&mut *given, expected) {
        (Value::Object(given), Value::Object(expected)) => {
            given.iter_mut().for_each(|(name, value)| alike(value, expected.get(name).unwrap_or(&Value::Null)));
        }
        (Value::Array(given), Value::Array(expected)) => {
            given.iter_mut().zip(expected).for_each(|(one, other)| alike(one, other));
        }
        (Value::String(text), Value::String(like)) => {
            let made = match like.as_str() {
                prefix @ ("wh_" | "whsec_") => text.starts_with(prefix) && text.len() >= prefix.len() + 26,
                "Z" => text.len() == "2023-01-01T00:00:00Z".len() && text.ends_with('Z'),
                _ => false,
            };
            if made {
                text.clone_from(like);
            }
        }
        _ => {}
    }
}

fn curl(service: &Service, arguments: &[String]) -> Answer {
    let arguments = arguments.iter().map(|one| one.replace("HOST", &service.base_url()));
    let output = Command::new("curl").args(["-s", "-w", "\n%{http_code}"]).args(arguments).output().expect("curl is installed");
    let said = String::from_utf8(output.stdout).expect("text");
    let (body, status) = said.rsplit_once('\n').expect("the status comes last");
    Answer { status: status.parse().expect("a status"), body: body.to_owned() }
}

const BEARER: &str = "Authorization: Bearer KEY";
const API_KEY: &str = "X-API-Key: KEY";

const DECISIO_CREATE: &str = r#"{
  "url": "https://yourserver.com/webhooks/decisio",
  "events": ["decision.created", "alert.created"],
  "description": "Production webhook"
}"#;

const AIOKA_CREATE: &str = r#"{
    "url": "https://yourserver.com/aioka-webhook",
    "events": ["verdict.new", "regime.change"]
  }"#;

const DCISIONAI_CREATE: &str = r#"{
  "name": "Production Webhook",
  "description": "Webhook for production environment",
  "url": "https://api.example.com/webhooks/dcisionai",
  "events": [
    "project.created",
    "model.trained",
    "prediction.completed"
  ],
  "secret": "webhook_secret_1234567890"
}"#;

const DCISIONAI_UPDATE: &str = r#"{
  "name": "Updated Webhook",
  "description": "Updated description",
  "url": "https://api.example.com/webhooks/dcisionai/updated",
  "events": [
    "project.created",
    "model.trained",
    "prediction.completed",
    "dataset.processed"
  ]
}"#;

const DCISIONAI_EVENTS: &[&str] = &["project.created", "model.trained", "prediction.completed"];

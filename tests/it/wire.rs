//! The documents' own examples, published to a subscriber that is not ours and judged by tools that are not ours.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::config::Config;
use crate::harness::service::Service;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisios_example_arrives_as_documented_and_openssl_verifies_it() {
    let example: Value = serde_json::from_str(include_str!("../vectors/decisio-decision.json")).expect("JSON");
    let service = Service::start(&Config::bare().provider("decide", "decisio").tenant("tenant_xyz")).await;
    let subscriber = Subscriber::start();
    let tenant = service.tenant("decide", "tenant_xyz");
    let hook = json!({ "url": subscriber.url("/decisio"), "events": ["decision.created"], "description": "Production webhook" });
    let made = tenant.post("/v1/webhooks", &hook).await.expect(201);
    let event =
        json!({ "id": "evt_abc123", "type": "decision.created", "data": example["data"], "occurred_at": "2025-01-15T10:30:00Z" });
    tenant.publish(&event).await.expect(202);

    let request = subscriber.request();
    let body = BASE64_STANDARD.decode(text(&request["body"])).expect("base64");
    assert_eq!(serde_json::from_slice::<Value>(&body).expect("JSON"), example);
    let file = service.folder().join("body");
    std::fs::write(&file, &body).expect("written");
    let digest = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", &text(&made["secret"])])
        .arg(&file)
        .output()
        .expect("openssl is installed");
    let digest = String::from_utf8(digest.stdout).expect("text");
    let digest = digest.trim().rsplit(' ').next().expect("a digest");
    assert_eq!(header(&request, "x-decisio-signature"), format!("sha256={digest}"));
    assert_eq!(header(&request, "x-decisio-event"), "decision.created");
    assert_eq!(header(&request, "x-decisio-timestamp"), "1736937000");
    let delivery = tenant.delivery_when("evt_abc123", "succeeded").await;
    assert_eq!(header(&request, "x-decisio-delivery"), text(&delivery["id"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resistants_example_is_verified_by_two_published_packages() {
    let example: Value = serde_json::from_str(include_str!("../vectors/resistant-decision.json")).expect("JSON");
    let service = Service::start(&Config::bare().provider("resist", "resistant").tenant("string")).await;
    let mut subscriber = Subscriber::start();
    let tenant = service.tenant("resist", "string");
    let hook = json!({ "url": subscriber.url("/resistant"), "events": ["documents.adaptive_decision.finished"] });
    let made = tenant.post("/v1/webhooks", &hook).await.expect(201);
    let secret = text(&made["secret"]);
    subscriber.knows("/resistant", &secret);
    let event = json!({ "type": "documents.adaptive_decision.finished", "data": example["payload"] });
    let id = text(&tenant.publish(&event).await.expect(202)["id"]);

    let request = subscriber.request();
    assert_eq!(request["refused"], Value::Null, "the Python package refused it");
    let body = BASE64_STANDARD.decode(text(&request["body"])).expect("base64");
    assert_eq!(serde_json::from_slice::<Value>(&body).expect("JSON"), example);
    assert_eq!(header(&request, "webhook-id"), id);
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, header(&request, name).parse().expect("a header"));
    }
    let judge = standardwebhooks::Webhook::new(&secret).expect("a valid secret");
    judge.verify(&body, &headers).expect("the crate verifies it");
    tenant.delivery_when(&id, "succeeded").await;
}

/// A web server in Python that knows nothing of this crate.
struct Subscriber {
    child: Child,
    says: Receiver<String>,
    hears: ChildStdin,
    port: u16,
}

impl Subscriber {
    fn start() -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let mut command = Command::new(format!("{root}/target/venv/bin/python"));
        command.arg(format!("{root}/tests/sdk/receive.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"));
        let hears = child.stdin.take().expect("piped");
        let (sender, says) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        std::thread::spawn(move || lines.for_each(|line| drop(sender.send(line))));
        let line = says.recv_timeout(WITHIN).expect("it says where it listens");
        let port = line.trim_start_matches("listening ").parse().unwrap_or_else(|_| panic!("{line:?}"));
        Self { child, says, hears, port }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// From now on requests to this path must be signed with the secret.
    fn knows(&mut self, path: &str, secret: &str) {
        writeln!(self.hears, "{path} {secret}").expect("it listens");
        assert_eq!(self.request()["knows"], path);
    }

    /// The next line it says.
    fn request(&self) -> Value {
        let line = tokio::task::block_in_place(|| self.says.recv_timeout(WITHIN)).expect("the subscriber says what came");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn header(request: &Value, name: &str) -> String {
    let headers = request["headers"].as_object().expect("headers");
    let found = headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
    text(found.unwrap_or_else(|| panic!("no {name} in {headers:?}")).1)
}

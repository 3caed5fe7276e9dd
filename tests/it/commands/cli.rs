//! The command line against a running service: what it prints, and how it ends.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::config::{self, Config};
use crate::harness::ran::{self, Ran, run};
use crate::harness::receiver::{Received, Receiver, Reply};
use crate::harness::service::{Service, binary};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_webhooks_life_on_the_command_line() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let none = acme(&service, &["webhooks", "list"]).expect(0);
    assert_eq!(none.stdout, "");
    none.complains(&["shop/acme has no webhooks", "webhooks add https://example.com/hooks", "--tenant shop/acme"]);

    let url = receiver.url("/a");
    let added = acme(&service, &["webhooks", "add", &url, "--events", "order.*,invoice.paid", "--name", "billing"]).expect(0);
    let secret = added.stdout.lines().find_map(|line| line.strip_prefix("secret")).expect("shown once").trim().to_owned();
    added.complains(&["shown once"]);
    let listed = acme(&service, &["webhooks", "list"]).expect(0);
    let lines: Vec<_> = listed.stdout.lines().collect();
    assert!(lines[0].starts_with("ID") && lines[1].starts_with("wh_") && lines.len() == 2, "{listed:?}");
    assert!(["billing", "active", "order.*,invoice.paid", &url].iter().all(|word| lines[1].contains(word)), "{listed:?}");
    let shown = acme(&service, &["webhooks", "show", "billing", "--json"]).expect(0).json();
    assert_eq!((&shown["name"], &shown["status"], shown.get("secret")), (&json!("billing"), &json!("active"), None));
    let id = text(&shown["id"]);
    assert_eq!(acme(&service, &["webhooks", "secret", &id]).expect(0).stdout.trim_end(), secret);

    acme(&service, &["webhooks", "disable", "billing"]).expect(0);
    assert_eq!(service.acme().webhook(&id).await["status"], "disabled");
    acme(&service, &["send", "order.paid", "--wait"]).expect(1);
    acme(&service, &["webhooks", "enable", &id]).expect(0);
    receiver.wait_for("/a", 1, WITHIN).await;

    let rotated = acme(&service, &["webhooks", "rotate-secret", "billing", "--overlap", "1h", "--json"]).expect(0).json();
    assert_ne!(rotated["secret"], *secret);
    assert!(rotated["previous_secret_until"].is_string(), "{rotated}");

    receiver.script("/a", [Reply::status(418).body("a teapot"), Reply::OK]);
    let tested = acme(&service, &["webhooks", "test", "billing", "--type", "order.paid", "-d", r#"{"b":2}"#]).expect(1);
    assert!(tested.stdout.contains("[418] status") && tested.stdout.contains("< a teapot"), "{tested:?}");
    acme(&service, &["webhooks", "test", "billing"]).expect(0);

    acme(&service, &["webhooks", "delete", "billing"]).expect(0);
    acme(&service, &["webhooks", "show", "billing"]).expect(1).complains(&["no webhook is named `billing`", "webhooks list"]);
    acme(&service, &["webhooks", "show", &id]).expect(1).complains(&["(404)", "try: "]);
    let refused = acme(&service, &["webhooks", "add", "http://10.0.0.1/"]).expect(1);
    refused.complains(&["/url", "(422)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_log_on_the_command_line() {
    let (service, receiver) = (Service::start(&Config::retrying(&[])).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500).body("\u{1b}[2Jnot yet"), Reply::OK]);
    service.acme().subscribe(&receiver.url("/a"), &["*"]).await;
    acme(&service, &["deliveries", "list"]).expect(0).complains(&["shop/acme has no deliveries"]);
    let event = service.acme().publish_new("order.paid").await;
    let delivery = text(&service.acme().delivery_when(&event, "failed").await["id"]);

    let listed = acme(&service, &["deliveries", "list", "--status", "failed", "--code", "500", "--event", &event]).expect(0);
    let line = listed.stdout.lines().nth(1).unwrap_or_else(|| panic!("{listed:?}"));
    assert!(line.starts_with(&delivery) && line.contains("order.paid") && line.contains("failed"), "{listed:?}");
    acme(&service, &["deliveries", "list", "--status", "succeeded"]).expect(0).complains(&["no deliveries match"]);
    let shown = acme(&service, &["deliveries", "show", &delivery]).expect(0);
    assert!(shown.stdout.contains("attempt 1") && shown.stdout.contains("[500] status"), "{shown:?}");
    assert!(shown.stdout.contains("> {\"type\":\"order.paid\"") && shown.stdout.contains("webhook-signature"), "{shown:?}");
    assert!(shown.stdout.contains("not yet") && !shown.stdout.contains('\u{1b}'), "a response cannot move the cursor: {shown:?}");

    acme(&service, &["deliveries", "retry", &delivery]).expect(0);
    service.acme().delivery_when(&event, "succeeded").await;
    let whole = acme(&service, &["deliveries", "show", &delivery, "--json"]).expect(0).json();
    assert_eq!(whole["attempts"].as_array().map(Vec::len), Some(2));
    acme(&service, &["deliveries", "show", "dlv_none"]).expect(1).complains(&["(404)", "deliveries list"]);
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_and_the_file_keeps_its_own() {
    let service = Service::start(&Config::quick()).await;
    let made = service.cli(&["keys", "new", "reader", "--tenant", "shop/acme", "--scopes", "read"]).expect(0);
    let key = made.stdout.trim_end();
    assert!(key.starts_with("hwk_") && key.len() == 47 && made.stdout.lines().count() == 1, "{made:?}");
    let reader = service.stranger().with_key(key);
    reader.get("/v1/events").await.expect(200);
    service.stranger().with_header("x-api-key", key).get("/v1/events").await.expect(200);
    reader.publish(&json!({ "type": "order.paid", "data": {} })).await.problem(403, &["publish"]);

    let listed = service.cli(&["keys", "list"]).expect(0);
    assert!(
        listed.stdout.contains("reader") && listed.stdout.contains(config::OPERATOR) && !listed.stdout.contains(key),
        "{listed:?}"
    );
    let from =
        |name: &str| listed.stdout.lines().find(|line| line.contains(name)).and_then(|line| line.split_whitespace().last());
    assert_eq!((from("reader"), from(config::OPERATOR)), (Some("operator"), Some("file")), "{listed:?}");
    let all = service.cli(&["keys", "list", "--json"]).expect(0).json();
    let id =
        |name: &str| text(&all["data"].as_array().and_then(|all| all.iter().find(|key| key["name"] == name)).expect(name)["id"]);
    let operator = service.operator();
    let first = operator.get("/v1/admin/keys?limit=1").await.expect(200);
    assert_eq!(first["data"], json!([all["data"][0]]));
    let rest = operator.get(&format!("/v1/admin/keys?limit=250&cursor={}", text(&first["next"]))).await.expect(200);
    let rest_of_all = all["data"].as_array().expect("a list")[1..].to_vec();
    assert_eq!((&rest["data"], &rest["next"]), (&json!(rest_of_all), &json!(null)));
    operator.get("/v1/admin/keys?limit=251").await.problem(422, &["limit"]);
    service.cli(&["keys", "revoke", &id("reader")]).expect(0);
    reader.get("/v1/events").await.problem(401, &[]);
    service.cli(&["keys", "revoke", &id(config::OPERATOR)]).expect(1).complains(&["belongs to the config file", "(409)"]);
    service.cli(&["keys", "revoke", "key_none"]).expect(1).complains(&["no key is named `key_none`"]);

    let provider = service.cli(&["keys", "new", "backend", "--provider", "shop"]).expect(0);
    let event = json!({ "type": "order.paid", "data": {}, "tenant": "*" });
    service.stranger().with_key(provider.stdout.trim_end()).publish(&event).await.expect(202);
    service.cli(&["keys", "new", "x", "--provider", "shpo"]).expect(1).complains(&["shop", "(422)"]);
}

#[tokio::test]
async fn an_operators_key_is_made_on_the_command_line() {
    let service = Service::start(&Config::quick()).await;
    let made = service.cli(&["keys", "new", "ops2", "--operator"]).expect(0);
    service.stranger().with_key(made.stdout.trim_end()).get("/v1/admin/status").await.expect(200);
}

#[tokio::test]
async fn without_any_key_the_network_is_told_how_to_make_one_and_the_socket_works() {
    let service = Service::start(&Config::bare()).await;
    let file = service.folder().join(config::FILE);
    let text = fs::read_to_string(&file).expect("read");
    let without: Vec<_> = text.lines().filter(|line| !line.starts_with("keys = ")).collect();
    fs::write(&file, without.join("\n")).expect("written");
    service.cli(&["reload"]).expect(0);
    for client in [service.stranger(), service.operator()] {
        client.get("/v1/webhooks").await.problem(401, &["hookwheel keys new"]);
        client.publish(&json!({ "type": "a", "data": {} })).await.problem(401, &["hookwheel keys new"]);
    }
    service.cli(&["webhooks", "add", "https://example.com/"]).expect(0);
    let key = service.cli(&["keys", "new", "first"]).expect(0).stdout;
    let listed = service.stranger().with_key(key.trim_end()).get("/v1/webhooks").await.expect(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_revoked_key_and_its_kept_connection_stop_at_once_also_after_a_kill() {
    let mut service = Service::start(&Config::quick()).await;
    let made = service.cli(&["keys", "new", "k", "--tenant", "shop/acme", "--json"]).expect(0).json();
    let client = service.stranger().with_key(&text(&made["key"]));
    let mut kept = client.connect().await.expect("connected");
    let event = json!({ "type": "order.paid", "data": {} });
    assert_eq!(kept.publish(&event).await.expect("answered").status, 202);
    service.cli(&["keys", "revoke", &text(&made["id"])]).expect(0);
    assert_eq!(kept.publish(&event).await.expect("answered").status, 401);
    service.kill9();
    service.start_again().await;
    service.stranger().with_key(&text(&made["key"])).get("/v1/events").await.problem(401, &[]);
}

#[tokio::test]
async fn status_shows_how_the_service_is() {
    let service = Service::start(&Config::quick()).await;
    let webhook = service.acme().subscribe("https://example.com/", &["*"]).await;
    service.acme().do_to_webhook(&webhook, "disable").await;
    let said = service.cli(&["status", "--wait", "--json"]).expect(0).json();
    assert_eq!((&said["ready"], &said["version"]), (&json!(true), &json!(env!("CARGO_PKG_VERSION"))));
    assert!(said["warnings"][0].as_str().is_some_and(|warning| warning.contains("danger_allow_http")), "{said}");
    let ran = service.cli(&["status"]).expect(0);
    assert!(ran.stdout.contains("  warning   [delivery] danger_allow_http"), "{ran:?}");
    assert!(ran.stdout.starts_with(&format!("hookwheel {}  ready", env!("CARGO_PKG_VERSION"))), "{ran:?}");
    assert!(!ran.stdout.contains('\u{1b}'), "no colour off a terminal: {ran:?}");
}

#[tokio::test]
async fn status_counts_webhooks_queue_and_store_for_a_person() {
    let service = Service::start(&Config::quick()).await;
    for _ in 0..2 {
        service.acme().subscribe("https://example.com/", &["none"]).await;
    }
    let disabled = service.acme().subscribe("https://example.com/", &["*"]).await;
    service.acme().do_to_webhook(&disabled, "disable").await;
    service.acme().publish_new("order.paid").await;
    let ran = service.cli(&["status"]).expect(0);
    assert!(ran.stdout.contains("2 active, 1 disabled") && ran.stdout.contains(", at most 10.0 GiB"), "{ran:?}");
    assert!(["  up ", "  queue ", "1 pending", "  store "].iter().all(|word| ran.stdout.contains(word)), "{ran:?}");
    assert!(!ran.stdout.contains("up \n"), "{ran:?}");
}

#[tokio::test]
async fn verify_judges_a_captured_delivery_without_a_service() {
    let config = Config::quick().provider("decide", "decisio").tenant("acme");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    for (provider, dialect, kind) in [("shop", "standard", "order.paid"), ("decide", "decisio", "decision.created")] {
        let (client, path) = (service.tenant(provider, "acme"), format!("/{provider}"));
        let made = client.post("/v1/webhooks", &json!({ "url": receiver.url(&path), "events": ["*"] })).await.expect(201);
        client.publish_new(kind).await;
        let request = receiver.wait_for(&path, 1, WITHIN).await.remove(0);
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("secret"), text(&made["secret"]) + "\n").expect("written");
        fs::write(folder.path().join("body"), &request.body).expect("written");
        fs::write(folder.path().join("other"), [&request.body[..], b" "].concat()).expect("written");
        let verify = |body: &str, more: &[&str]| run(folder.path(), &[], &verify(dialect, body, &request, more));
        assert!(verify("@body", &[]).expect(0).stdout.starts_with("ok"));
        verify("@other", &[]).expect(1).complains(&["not right", "--explain"]);
        let why = verify("@other", &["--explain", "--json"]).expect(1).json();
        assert!(why["valid"] == false && why["why"].as_str().is_some_and(|why| !why.is_empty()), "{why}");
        verify("@none", &[]).expect(2);
    }
    let unknown = ["verify", "--dialect", "decisoi", "--secret-file", "s", "--body", "x"];
    service.cli(&unknown).expect(2).complains(&["decisoi", "decisio"]);
}

#[tokio::test]
async fn without_a_service_every_socket_tried_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path().to_str().expect("plain");
    let environment = [("HOME", home), ("XDG_RUNTIME_DIR", home), ("XDG_DATA_HOME", home)];
    for arguments in [&["status"][..], &["send", "a"], &["webhooks", "list"], &["reload"], &["keys", "list"]] {
        let ran = run(folder.path(), &[&environment[..], &[("HOOKWHEEL_SOCKET", "none.sock")]].concat(), arguments).expect(69);
        ran.complains(&["no hookwheel service answers", "none.sock (no such socket)", "try: "]);
    }
    let ran = run(folder.path(), &environment, &["status"]).expect(69);
    ran.complains(&["/run/hookwheel/admin.sock", "dev.sock"]);
    let ran = run(folder.path(), &environment, &["status", "--json"]).expect(69);
    let said: Value = serde_json::from_str(&ran.stderr).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert_eq!((&said["error"]["code"], ran.stdout.as_str()), (&json!("unreachable"), ""));
}

#[tokio::test]
async fn wrong_usage_is_2_and_help_is_0() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for arguments in [&["nonsense"][..], &["send"], &["webhooks", "add", "ftp://x"], &["deliveries", "list", "--limit", "251"]] {
        let ran = run(folder.path(), &[], arguments).expect(2);
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{ran:?}");
    }
    let ran = run(folder.path(), &[], &["send", "--json"]).expect(2);
    let said: Value = serde_json::from_str(&ran.stderr).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert_eq!(said["error"]["code"], "usage");
    let help = run(folder.path(), &[], &["--help"]).expect(0);
    assert!(help.stdout.contains("Exit codes") && help.stderr.is_empty(), "{help:?}");
    let version = run(folder.path(), &[], &["version"]).expect(0);
    assert_eq!(version.stdout.trim_end(), format!("hookwheel {}", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_reader_that_went_away_is_no_reason_to_complain() {
    let service = Service::start(&Config::quick()).await;
    service.acme().subscribe("https://example.com/", &["*"]).await;
    for arguments in [&["webhooks", "list", "--tenant", "shop/acme"][..], &["status"], &["keys", "list", "--json"], &["--help"]] {
        let mut command = ran::command();
        command.args(arguments).env("HOOKWHEEL_SOCKET", service.folder().join(config::SOCKET));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("ended");
        assert!(output.stderr.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
}

#[tokio::test]
async fn what_a_command_says_to_try_works_as_pasted() {
    let service = Service::start(&Config::quick()).await;
    let folder = service.folder();
    let (socket, tenant) = (["--socket", config::SOCKET], ["--tenant", "shop/acme"]);
    fs::write(folder.join("secret"), "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").expect("written");
    let named = |arguments: &[&'static str]| [arguments, &socket, &tenant].concat();
    let mut pasted_lines = 0;
    for (arguments, code, tried) in [
        (named(&["webhooks", "show", "nobody"]), 1, 0),
        (named(&["webhooks", "list"]), 0, 0),
        (named(&["send", "order.paid"]), 0, 0),
        (named(&["webhooks", "show", "wh_none"]), 1, 0),
        (named(&["deliveries", "show", "dlv_none"]), 1, 0),
        (named(&["deliveries", "list", "--status", "failed"]), 0, 0),
        (named(&["send", "it's-paid"]), 0, 0),
        ([&["keys", "revoke", "key_none"][..], &socket].concat(), 1, 0),
        (vec!["verify", "--dialect", "standart", "--secret-file", "secret", "--body", "x"], 2, 0),
        (vec!["verify", "--dialect", "standard", "--secret-file", "secret", "--body", "x"], 1, 1),
        (vec!["check", "-c", "none.toml"], 78, 0),
        (vec!["status", "--socket", "no such"], 69, 0),
    ] {
        let ran = run(folder, &[], &arguments).expect(code);
        let hints: Vec<_> = ran.stderr.lines().filter_map(|line| line.strip_prefix("  try: ")).collect();
        for hint in &hints {
            // Where the program is on the path, as for whoever typed its bare name.
            let path = format!("{}:/usr/bin:/bin", binary().parent().expect("in a folder").display());
            let mut command = std::process::Command::new("sh");
            let pasted = ran::finish(command.args(["-c", hint]).current_dir(folder).env("PATH", path).stdin(Stdio::null()));
            pasted_lines += 1;
            assert_eq!(pasted.code, tried, "{arguments:?} says {hint:?}: {pasted:?}");
            assert!(!hint.contains("webhooks") || (hint.contains("shop/acme") && hint.contains(config::SOCKET)), "{hint}");
        }
    }
    assert_eq!(pasted_lines, 10);
}

/// A command for tenant `acme` of provider `shop`.
fn acme(service: &Service, arguments: &[&str]) -> Ran {
    service.cli(&[arguments, &["--tenant", "shop/acme"]].concat())
}

fn verify<'a>(dialect: &'a str, body: &'a str, request: &'a Received, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["verify", "--dialect", dialect, "--secret-file", "secret", "--body", body];
    for (name, value) in &request.headers {
        arguments.extend(["-H", Box::leak(format!("{name}: {value}").into_boxed_str())]);
    }
    arguments.extend(more);
    arguments
}

#[test]
fn the_default_config_checks_and_shows_where_each_value_comes_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("hookwheel.toml");
    let hookwheel = |environment: &[(&str, &str)], arguments: &[&str]| run(folder.path(), environment, arguments).expect(0);
    let printed = hookwheel(&[], &["config", "default"]).stdout;
    fs::write(&file, printed.replace("# in_flight = 4096", "in_flight = 7")).expect("written");
    hookwheel(&[], &["check", "-c", "hookwheel.toml"]);

    let shown = hookwheel(&[], &["config", "show", "-c", "hookwheel.toml"]).stdout;
    let line = |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {shown}"));
    assert!(line("delivery.in_flight = 7").contains("hookwheel.toml:"), "{shown}");
    assert!(line("storage.retention = ").ends_with("# default"), "{shown}");
    let set = [("HOOKWHEEL_STORAGE_RETENTION", "3d")];
    let said = hookwheel(&set, &["config", "show", "--json", "-c", "hookwheel.toml"]).json();
    let retention = json!({ "value": "3d", "from": "environment HOOKWHEEL_STORAGE_RETENTION" });
    assert_eq!(said["settings"]["storage.retention"], retention);
    assert_eq!(said["settings"]["delivery.in_flight"]["value"], 7);
}

/// A user would have looked for the line that sets a value of a webhook, and found none.
#[test]
fn config_show_tells_the_origin_of_every_value() {
    let folder = tempfile::tempdir().expect("a folder");
    let config =
        Config::quick().notify("https://ops.example.com/hooks").webhook("billing", "https://example.com/hooks", &["a.*"]);
    let config = config.file("keys/w", config::NOTIFY_SECRET).webhook_line("secret_file = \"keys/w\"");
    config.webhook_line("timeout = \"10s\"").write(folder.path());
    let set = [("HOOKWHEEL_STORAGE_RETENTION", "3d")];
    let ran = run(folder.path(), &set, &["config", "show", "-c", config::FILE, "--listen", "127.0.0.1:1"]).expect(0);
    let text = fs::read_to_string(folder.path().join(config::FILE)).expect("written");
    let number = |setting: &str| 1 + text.lines().position(|line| line.starts_with(setting)).expect("it is set");
    let of_webhook = "provider.shop.tenant.acme.webhook.billing";
    for (start, end) in [
        ("server.listen = ".to_owned(), "# flag --listen".to_owned()),
        ("storage.retention = ".to_owned(), "# environment HOOKWHEEL_STORAGE_RETENTION".to_owned()),
        ("operator.notify_url = ".to_owned(), format!("# {}:{}:14", config::FILE, number("notify_url"))),
        (format!("{of_webhook}.timeout = \"10s\""), format!("# {}:{}:11", config::FILE, number("timeout"))),
        (format!("{of_webhook}.secret_file = (not shown)"), format!("# {}:{}:15", config::FILE, number("secret_file"))),
        ("provider.shop.create_tenants = false".to_owned(), "# default".to_owned()),
    ] {
        let line = ran.stdout.lines().find(|line| line.starts_with(&start));
        assert!(line.is_some_and(|line| line.ends_with(&end)), "{start} … {end}:\n{}", ran.stdout);
    }
    for secret in [config::NOTIFY_SECRET, &config::secret(config::OPERATOR), &config::secret("shop-acme")] {
        assert!(!ran.stdout.contains(secret), "{ran:?}");
    }
    let json = run(folder.path(), &[], &["config", "show", "--json", "-c", config::FILE]).expect(0).json();
    let webhook = &json["providers"][0]["tenants"][0]["webhooks"][0];
    let place = format!("{}:{}:11", config::FILE, number("timeout"));
    assert_eq!((&webhook["origins"]["timeout"], &webhook["origins"]["description"]), (&json!(place), &json!("default")));
}

#[test]
fn a_whole_config_is_shown_as_json_without_its_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let config =
        Config::quick().notify("https://ops.example.com/hooks").webhook("billing", "https://example.com/hooks", &["a.*"]);
    config.file("keys/w", config::NOTIFY_SECRET).webhook_line("secret_file = \"keys/w\"").write(folder.path());
    let ran = run(folder.path(), &[], &["config", "show", "--json", "-c", config::FILE]).expect(0);
    let said = ran.json();
    assert_eq!(said["operator"]["keys"][0]["name"], config::OPERATOR);
    let provider = &said["providers"][0];
    assert_eq!((&provider["name"], &provider["dialect"]), (&json!("shop"), &json!("quick")));
    let webhook = &provider["tenants"][0]["webhooks"][0];
    assert_eq!((&webhook["events"], &webhook["secret_file"]), (&json!(["a.*"]), &json!(true)));
    assert_eq!(said["dialects"]["quick"]["retry"]["schedule"], json!(["200ms", "400ms"]));
    assert_eq!(said["settings"]["delivery.allow_private"]["value"], json!(["127.0.0.0/8", "::1/128"]));
    for secret in [config::NOTIFY_SECRET, &config::secret(config::OPERATOR), &config::secret("shop-acme")] {
        assert!(!ran.stdout.contains(secret), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_operator_finds_what_fails_among_all_tenants() {
    let config = Config::retrying(&[]).tenant("other").provider("more", "quick").tenant("third");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    receiver.script("/bad", [Reply::status(503)]);
    let bad = service.acme().subscribe(&receiver.url("/bad"), &["*"]).await;
    let good = service.tenant("shop", "other").subscribe(&receiver.url("/good"), &["*"]).await;
    let far = service.tenant("more", "third").subscribe(&receiver.url("/good"), &["*"]).await;
    let mut events = Vec::new();
    for (provider, tenant) in [("shop", "acme"), ("shop", "other"), ("more", "third")] {
        let client = service.tenant(provider, tenant);
        let event = client.publish_new("order.paid").await;
        client.delivery_when(&event, if tenant == "acme" { "failed" } else { "succeeded" }).await;
        events.push(event);
    }
    let ids = |arguments: &[&str]| {
        let ran = service.cli(&[arguments, &["--json"]].concat()).expect(0).json();
        let rows = ran["data"].as_array().expect("a list").iter();
        rows.map(|row| text(row.get("webhook_id").unwrap_or(&row["id"]))).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["webhooks", "list", "--all"]), [bad.clone(), good.clone(), far.clone()]);
    assert_eq!(ids(&["webhooks", "list", "--all", "--failing"]), std::slice::from_ref(&bad));
    assert_eq!(ids(&["webhooks", "list", "--tenant", "shop/*"]), [bad.clone(), good.clone()]);
    assert_eq!(ids(&["webhooks", "list", "--tenant", "shop/other", "--failing"]), [""; 0]);
    assert_eq!(ids(&["deliveries", "list", "--all"]), [far.clone(), good.clone(), bad.clone()], "the newest first");
    assert_eq!(ids(&["deliveries", "list", "--tenant", "shop/*"]), [good.clone(), bad.clone()]);
    assert_eq!(ids(&["deliveries", "list", "--all", "--event", &events[2]]), [far]);
    assert_eq!(ids(&["deliveries", "list", "--all", "--webhook", &good]), [good]);

    let listed = service.cli(&["webhooks", "list", "--all", "--failing"]).expect(0).stdout;
    let words: Vec<_> = listed.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(words[..5], [&bad, "active", "503", "1", "shop/acme"], "{listed}");
    let listed = service.cli(&["deliveries", "list", "--all", "--status", "failed"]).expect(0).stdout;
    let words: Vec<_> = listed.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!((listed.lines().count(), &words[1..5]), (2, &["order.paid", "failed", "503", "1"][..]), "{listed}");
    let first = service.operator().get("/v1/admin/deliveries?limit=2").await.expect(200);
    let rest = service.operator().get(&format!("/v1/admin/deliveries?cursor={}", text(&first["next"]))).await.expect(200);
    assert_eq!(rest["data"].as_array().map(Vec::len), Some(1));
    service.cli(&["webhooks", "list", "--tenant", "nobody/*"]).expect(1).complains(&["there is no provider `nobody`"]);
    service.acme().get("/v1/admin/deliveries").await.problem(403, &[]);
}

#[tokio::test]
async fn a_key_is_revoked_by_the_name_that_a_list_shows() {
    let service = Service::start(&Config::quick()).await;
    for name in ["ci", "twice", "twice"] {
        service.cli(&["keys", "new", name]).expect(0);
    }
    service.cli(&["keys", "revoke", "ci"]).expect(0);
    service.cli(&["keys", "revoke", "ci"]).expect(1).complains(&["no key is named `ci`", "keys list"]);
    service.cli(&["keys", "revoke", "twice"]).expect(2).complains(&["2 keys are named `twice`: key_"]);
}

#[tokio::test]
async fn every_answer_ends_its_line_and_commands_no_terminal() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let hook = json!({ "url": "https://example.com/", "events": ["*"], "name": "n", "description": "a\u{202e}b" });
    acme.post("/v1/webhooks", &hook).await.expect(201);
    for (client, path) in
        [(&acme, "/v1/webhooks"), (&acme, "/v1/none"), (&service.operator(), "/v1/admin/status"), (&acme, "/v1/events")]
    {
        let answer = client.get(path).await;
        assert!(answer.body.ends_with(b"}\n") && !answer.body.ends_with(b"\n\n"), "{path}: {:?}", answer.body);
    }
    for arguments in
        [&["webhooks", "list", "--json", "--tenant", "shop/acme"][..], &["webhooks", "show", "n", "--tenant", "shop/acme"]]
    {
        let ran = service.cli(arguments).expect(0);
        assert!(ran.stdout.ends_with('\n') && !ran.stdout.ends_with("\n\n"), "{ran:?}");
        assert!(!ran.stdout.contains('\u{202e}') && ran.stdout.contains("202e"), "{ran:?}");
    }
}

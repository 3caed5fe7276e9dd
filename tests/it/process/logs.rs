//! The log: what it says and what it must never say, in each of its forms.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::config::{self, Config};
use crate::harness::eventually;
use crate::harness::ran;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;
use crate::harness::turn;

#[tokio::test]
async fn the_log_tells_what_an_operator_must_know_and_no_secret() {
    let dialect = "extends = \"standard\"\ndisable = { consecutive = 3 }\n";
    let config = Config::bare().dialect("touchy", dialect, &[]).provider("shop", "touchy").tenant("acme");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    receiver.script("/hooks/private-path", [Reply::status(500)]);
    let acme = service.acme();
    let hook = json!({ "url": receiver.url("/hooks/private-path"), "events": ["*"], "name": "billing" });
    let made = acme.post("/v1/webhooks", &hook).await.expect(201);
    for _ in 0..3 {
        acme.publish(&json!({ "type": "order.paid", "data": { "private": "body" } })).await.expect(202);
    }
    let id = text(&made["id"]);
    let disabled = || async { (acme.webhook(&id).await["status"] == "disabled").then_some(()) };
    eventually("three failures disable", WITHIN, disabled).await;
    let key = service.cli(&["keys", "new", "reader", "--tenant", "shop/acme", "--json"]).expect(0).json();
    service.cli(&["keys", "revoke", &text(&key["id"])]).expect(0);
    acme.delete(&format!("/v1/webhooks/{id}")).await.expect(204);

    let said = service.stderr();
    let line = |words: &str| said.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("no {words:?}: {said}"));
    assert!(line("a webhook was made").contains(&id) && line("a webhook was made").contains("name=\"billing\""), "{said}");
    assert_eq!(said.matches("attempts fail").count(), 1, "once a minute: {said}");
    let failing = line("attempts fail");
    assert!(failing.contains(" INFO ") && failing.contains("count=1") && failing.contains("why=\"500\""), "{failing}");
    let fell = line("a webhook was disabled");
    assert!(fell.contains(" WARN ") && fell.contains("3 consecutive failures") && fell.contains("shop/acme"), "{fell}");
    assert!(
        line("a key was made").contains(&text(&key["id"])) && line("a key was made").contains("by=\"admin socket\""),
        "{said}"
    );
    assert!(line("a key was revoked").contains(&text(&key["id"])), "{said}");
    assert!(line("a webhook was deleted").contains(&id), "{said}");
    for secret in [&text(&made["secret"]), &text(&key["key"]), "private-path", "\"body\"", &config::secret("shop-acme")] {
        assert!(!said.contains(secret), "{secret} is in the log: {said}");
    }
}

#[tokio::test]
async fn a_reload_changes_the_form_and_the_level_of_the_log() {
    let service = Service::start(&Config::quick()).await;
    Config::quick().server("log_format = \"json\"").write(service.folder());
    service.cli(&["reload"]).expect(0);
    service.cli(&["keys", "new", "a\u{9b}2J\u{202e}b"]).expect(1);
    service.cli(&["keys", "new", "two words"]).expect(0);
    let said = service.stderr();
    let made: Value =
        serde_json::from_str(said.lines().last().expect("a line")).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(
        (&made["level"], &made["message"], &made["name"]),
        (&json!("INFO"), &json!("a key was made"), &json!("two words"))
    );
    Config::quick().server("log_level = \"warn\"").write(service.folder());
    service.cli(&["reload"]).expect(0);
    let before = service.stderr();
    service.cli(&["keys", "new", "silent"]).expect(0);
    assert_eq!(service.stderr(), before, "text again, and warnings alone");
}

#[tokio::test]
async fn an_unknown_level_is_a_fault_with_its_place() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    Config::quick().write(folder.path());
    let loud = [("HOOKWHEEL_LOG", "loud")];
    let refused = ran::run(folder.path(), &loud, &["serve", "-c", config::FILE]).expect(78);
    refused.complains(&["`log_level` is `loud`", "environment HOOKWHEEL_LOG", "\"error\", \"warn\", \"info\""]);
    ran::run(folder.path(), &loud, &["dev", "--ephemeral"]).expect(2).complains(&["HOOKWHEEL_LOG is `loud`"]);
}

#[tokio::test]
async fn to_journald_each_line_has_its_priority_and_no_time() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    Config::quick().write(folder.path());
    for (off, expected) in [(0, "<6>ready"), (1, "  INFO ready")] {
        let path = folder.path().join(format!("journal-{off}"));
        let journal = File::create(&path).expect("made");
        let about = journal.metadata().expect("there");
        let stream = format!("{}:{}", about.dev(), about.ino() + off);
        let mut command = ran::command();
        command.args(["serve", "-c", config::FILE]).current_dir(folder.path()).env("JOURNAL_STREAM", stream);
        let mut child = command.stdin(Stdio::null()).stderr(journal).spawn().expect("the binary starts");
        let said = || fs::read_to_string(&path).expect("text");
        eventually("it is ready", WITHIN, || async { said().contains("ready").then_some(()) }).await;
        drop(Command::new("kill").arg(child.id().to_string()).status());
        child.wait().expect("a child of ours");
        assert!(said().lines().any(|line| line.ends_with(expected)), "{}", said());
        let prefixed = |line: &str| line.starts_with("<4>") || line.starts_with("<6>");
        assert!(said().lines().all(|line| prefixed(line) == (off == 0)), "{}", said());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

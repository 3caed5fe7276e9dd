//! What is said when something is wrong: of a config, a store, a signature. What is to be tried works as pasted.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::api::WITHIN;
use crate::harness::config::{self, Config};
use crate::harness::ran::{self, Ran, run};
use crate::harness::service::{Service, binary};

/// Runs what a command says to try, in the shell of its folder.
fn pasted(folder: &std::path::Path, said: &Ran) -> Option<i32> {
    let line = said.stderr.lines().find_map(|line| line.trim().strip_prefix("try: ")).unwrap_or_else(|| panic!("{said:?}"));
    let mut shell = ran::undisturbed(Command::new("sh"));
    shell.args(["-c", line]).current_dir(folder).output().expect("run").status.code()
}

#[test]
fn a_missing_config_is_made_as_it_is_told_and_its_folder_with_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = run(folder.path(), &[], &["check", "-c", "new folder/h.toml"]).expect(78);
    assert_eq!(pasted(folder.path(), &said), Some(0), "{said:?}");
    run(folder.path(), &[], &["check", "-c", "new folder/h.toml"]).expect(0);
}

#[test]
fn a_missing_key_is_made_as_it_is_told_and_its_folder_with_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("h.toml"), "[operator]\nkeys = [{ name = \"ops\", secret_file = \"keys/ops\" }]\n")
        .expect("written");
    let said = run(folder.path(), &[], &["check", "-c", "h.toml"]).expect(78);
    assert_eq!(pasted(folder.path(), &said), Some(0), "{said:?}");
    run(folder.path(), &[], &["check", "-c", "h.toml"]).expect(0);
}

#[test]
fn a_wrong_variable_and_a_wrong_flag_are_told_as_they_are_set() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("h.toml"), "").expect("written");
    let check = |name: &str, value: &str| run(folder.path(), &[(name, value)], &["check", "-c", "h.toml"]);
    let wrong = check("HOOKWHEEL_DELIVERY_CONNECT_TIMEOUT", "2m").expect(78);
    wrong.complains(&["`connect_timeout` is 2m, outside 10ms to 1m", "try: export HOOKWHEEL_DELIVERY_CONNECT_TIMEOUT=1m"]);
    check("HOOKWHEEL_DELIVERY_CONNECT_TIMEOUT", "1m").expect(0);
    let wrong = run(folder.path(), &[], &["serve", "-c", "h.toml", "--listen", "here"]).expect(78);
    wrong.complains(&["`listen` is `here`", "serve -c h.toml --listen 127.0.0.1:8080"]);
}

#[tokio::test]
async fn a_reload_tells_what_changed_and_what_is_wrong_as_data() {
    let service = Service::start(&Config::bare()).await;
    let write = |more: &str| {
        let file = service.folder().join(config::FILE);
        Config::bare().write(service.folder());
        let text = fs::read_to_string(&file).expect("read") + more;
        fs::write(file, text).expect("written");
    };
    write("[[webhook]]\nname = \"a\"\nurl = \"https://example.com/\"\nevents = [\"*\"]\n");
    let said = service.cli(&["reload", "--json"]).expect(0).json();
    assert_eq!(said["added"], json!([{ "kind": "webhook", "name": "a" }]), "{said}");
    assert_eq!((&said["changed"], &said["removed"]), (&json!([]), &json!([])));
    write("");
    let gone = service.cli(&["reload"]).expect(0);
    assert_eq!(gone.stdout, "reload: +0, ~0, -1 webhook (a)\n", "the default tenant stays: {gone:?}");

    write("[deliveri]\n[[webhok]]\n");
    let refused = service.cli(&["reload", "--json"]).expect(78);
    let said: Value = serde_json::from_str(&refused.stderr).unwrap_or_else(|error| panic!("{error}: {refused:?}"));
    let errors = said["error"]["errors"].as_array().expect("a list");
    let told = |at: usize, member: &str| errors[at][member].as_str().unwrap_or_default().to_owned();
    assert_eq!((told(0, "message"), told(0, "hint")), ("unknown key `deliveri`".into(), "[delivery]".into()), "{said}");
    assert_eq!((told(1, "message"), told(1, "hint")), ("unknown key `webhok`".into(), "[[webhook]]".into()), "{said}");
    let refused = service.cli(&["reload"]).expect(78);
    refused.complains(&["the new config was not taken, and the old one stays", "error: unknown key `deliveri`   "]);
}

#[tokio::test]
async fn doctor_says_what_to_run_and_that_ends_the_telling() {
    let mut service = Service::start(&Config::quick()).await;
    service.acme().publish_new("order.paid").await;
    service.kill9();
    fs::remove_file(service.folder().join("hookwheel.redb.journal")).expect("removed");
    let before = service.cli(&["doctor", "-c", config::FILE]).expect(1);
    assert!(before.stdout.contains("next: start and stop the service") && before.stderr.is_empty(), "{before:?}");
    noted(&service);
    let check = service.cli(&["check", "--store", config::STORE]).expect(1);
    check.complains(&["hookwheel.redb is not whole", "doctor --store hookwheel.redb"]);
    let found = service.cli(&["doctor", "-c", config::FILE]).expect(1);
    assert!(found.stdout.starts_with("not ok  "), "{found:?}");
    assert_eq!(found.stdout.matches("the journal was missing").count(), 1, "it is told once: {found:?}");
    assert!(found.stdout.lines().all(|line| !line.contains("try: ")), "words are no command: {found:?}");
    let data = service.cli(&["doctor", "-c", config::FILE, "--json"]).expect(1).json();
    let line = format!("{} doctor -c hookwheel.toml --json --acknowledge", binary().display());
    assert_eq!((&data["ok"], &data["try"]), (&json!(false), &json!(line)), "{data}");
    let report = service.cli(&["check", "--store", config::STORE, "--json"]).expect(1).json();
    assert_eq!((&report["events"], report["faults"].as_array().map(Vec::len)), (&json!(0), Some(1)), "{report}");
    assert_eq!(pasted(service.folder(), &found), Some(0), "{found:?}");
    assert!(service.cli(&["doctor", "-c", config::FILE]).expect(0).stdout.starts_with("ok  "));
}

/// Starts the service on a store that makes it unready, and kills it when it has kept note of that.
fn noted(service: &Service) {
    let mut serve = ran::command();
    serve.args(["serve", "-c", config::FILE]).current_dir(service.folder()).stderr(Stdio::null());
    let mut serve = serve.spawn().expect("started");
    let since = Instant::now();
    while service.cli(&["status"]).code != 1 {
        assert!(since.elapsed() < WITHIN, "it does not say that it is not ready");
        thread::sleep(Duration::from_millis(50));
    }
    serve.kill().and_then(|()| serve.wait()).expect("killed");
}

#[test]
fn an_old_delivery_is_told_from_a_wrong_signature() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("body"), "{\"test\": 2432232314}").expect("written");
    fs::write(folder.path().join("secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("written");
    let captured = [
        "verify",
        "--dialect",
        "standard",
        "--secret-file",
        "secret",
        "--body",
        "@body",
        "-H",
        "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek",
        "-H",
        "webhook-timestamp: 1614265330",
        "-H",
        "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ];
    let old = run(folder.path(), &[], &captured).expect(1);
    old.complains(&["the signature is right, but its timestamp is", "allowed are 5 m"]);
    assert_eq!(pasted(folder.path(), &old), Some(0), "{old:?}");
    let explained = run(folder.path(), &[], &[&captured[..], &["--explain"]].concat()).expect(1);
    assert!(explained.stdout.starts_with("no  the timestamp is not within the tolerance\n"), "{explained:?}");
}

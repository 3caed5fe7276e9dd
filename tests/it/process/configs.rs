//! Bad configs given to the binary: exit 78, with the place and the remedy, within a second, and nothing is made.
//!
//! The last lines of each file in `tests/vectors/bad-configs` say what is expected: `# wants: LINE:COLUMN | message | remedy`.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::config::{self, Config};
use crate::harness::ran::{Ran, run};
use crate::harness::service::Service;
use crate::harness::turn;

#[tokio::test]
async fn every_bad_config_is_refused_at_its_place_with_its_remedy() {
    let _turn = turn::shared().await;
    let mut complaints = Vec::new();
    let files: Vec<PathBuf> = fs::read_dir(BAD_CONFIGS).expect("there").map(|entry| entry.expect("readable").path()).collect();
    assert!(files.len() >= 40, "only {} bad configs were found", files.len());
    for file in files {
        let text = fs::read_to_string(&file).expect("text");
        let folder = folder(&text);
        let environment = elsewhere(&text);
        for (command, environment) in [("check", &[][..]), ("serve", &environment[..])] {
            if let Err(complaint) = judge(&folder, &text, command, environment) {
                complaints.push(format!("{command} {}: {complaint}", file.display()));
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[tokio::test]
async fn all_faults_come_at_once_also_as_json() {
    let _turn = turn::shared().await;
    let folder = folder(&fs::read_to_string(format!("{BAD_CONFIGS}/many-at-once.toml")).expect("there"));
    let ran = run(folder.path(), &[], &["check", "-c", FILE, "--json"]).expect(78);
    let said: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let errors = said["error"]["errors"].as_array().expect("a list");
    assert!(errors.len() >= 5, "{said}");
    for error in errors {
        assert!(
            ["message", "place", "hint"].iter().all(|part| error[*part].as_str().is_some_and(|text| !text.is_empty())),
            "{error}"
        );
    }
    assert_eq!((&said["error"]["code"], ran.stdout.as_str()), (&serde_json::json!("config"), ""));
}

#[tokio::test]
async fn an_unreadable_file_is_named() {
    let _turn = turn::shared().await;
    let folder = folder("");
    fs::create_dir(folder.path().join("a-folder")).expect("made");
    fs::write(folder.path().join("latin1.toml"), b"# caf\xe9\n").expect("written");
    symlink("nowhere.toml", folder.path().join("dangling.toml")).expect("made");
    for (file, why) in [
        ("a-folder", "directory"),
        ("none.toml", "does not exist"),
        ("dangling.toml", "does not exist"),
        ("latin1.toml", "UTF-8"),
    ] {
        let before = listing(folder.path());
        for command in ["check", "serve"] {
            let ran = run(folder.path(), &[], &[command, "-c", file]).expect(78);
            ran.complains(&[file, why, "try: "]);
            assert!(ran.took < WITHIN, "{ran:?}");
        }
        assert_eq!(listing(folder.path()), before, "{file}");
    }
}

#[tokio::test]
async fn a_fault_names_its_place_in_conf_d_or_the_environment() {
    let _turn = turn::shared().await;
    let folder = folder("[storage]\nretention = \"7d\"\n");
    fs::create_dir(folder.path().join("conf.d")).expect("made");
    fs::write(folder.path().join("conf.d/10-more.toml"), "[storage]\nretention = \"8d\"\n").expect("written");
    let environment = [("HOOKWHEEL_DELIVERY_IN_FLIGHT", "many"), ("HOOKWHEEL_STORAGE_RETENTON", "7d")];
    for command in ["check", "serve"] {
        let ran = run(folder.path(), &environment, &[command, "-c", FILE]).expect(78);
        ran.complains(&["10-more.toml:2:", "hookwheel.toml:2:", "`in_flight`", "environment HOOKWHEEL_DELIVERY_IN_FLIGHT"]);
        ran.complains(&["unknown variable `HOOKWHEEL_STORAGE_RETENTON`", "HOOKWHEEL_STORAGE_RETENTION"]);
    }
    run(folder.path(), &environment, &["check", "--no-environment", "-c", FILE]).expect(78).complains(&["10-more.toml:2:"]);
}

#[tokio::test]
async fn a_flag_that_makes_no_sense_is_named() {
    let _turn = turn::shared().await;
    let folder = folder("");
    let before = listing(folder.path());
    run(folder.path(), &[], &["serve", "-c", FILE, "--listen", "nowhere"]).expect(78).complains(&[
        "--listen",
        "nowhere",
        "127.0.0.1:8080",
    ]);
    assert_eq!(listing(folder.path()), before);
}

#[tokio::test]
async fn a_port_in_use_may_be_tried_again_and_nothing_is_made() {
    let _turn = turn::shared().await;
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let folder = folder(&whole(&address));
    let before = listing(folder.path());
    let ran = run(folder.path(), &[], &["serve", "-c", FILE]).expect(75);
    ran.complains(&[&address, "try: ss -lnp"]);
    assert!(ran.took < WITHIN, "{ran:?}");
    assert_eq!(listing(folder.path()), before);
}

#[tokio::test]
async fn an_admin_socket_in_use_may_be_tried_again_and_nothing_is_made() {
    let service = Service::start(&Config::quick()).await;
    let socket = service.folder().join(config::SOCKET);
    let folder = folder(&whole("127.0.0.1:0").replace("\"a.sock\"", &format!("{socket:?}")));
    let before = listing(folder.path());
    let ran = run(folder.path(), &[], &["serve", "-c", FILE]).expect(75);
    ran.complains(&[socket.to_str().expect("plain"), "another service answers there"]);
    service.admin().get("/v1/admin/status").await.expect(200);
    assert_eq!(listing(folder.path()), before);
}

#[tokio::test]
async fn an_absent_path_is_a_fault_of_the_config() {
    let _turn = turn::shared().await;
    for (was, path, word) in [
        ("\"a.redb\"", "none/a.redb", "storage.path"),
        ("\"a.redb\"", "keys", "storage.path"),
        ("\"a.redb\"", "keys/one/a.redb", "storage.path"),
        ("\"a.sock\"", "keys/one/a.sock", "admin socket"),
        ("\"a.sock\"", "keys/one", "admin socket"),
    ] {
        let folder = folder(&whole("127.0.0.1:0").replace(was, &format!("{path:?}")));
        let before = listing(folder.path());
        let ran = run(folder.path(), &[], &["serve", "-c", FILE]).expect(78);
        ran.complains(&[word, path, "try: "]);
        assert_eq!(listing(folder.path()), before, "{path}");
    }
}

#[tokio::test]
async fn without_certificates_nothing_is_made() {
    let _turn = turn::shared().await;
    let folder = folder(&whole("127.0.0.1:0"));
    fs::write(folder.path().join("none.pem"), "").expect("written");
    fs::create_dir(folder.path().join("none")).expect("made");
    let before = listing(folder.path());
    let environment = [("SSL_CERT_FILE", "none.pem"), ("SSL_CERT_DIR", "none")];
    let ran = run(folder.path(), &environment, &["serve", "-c", FILE]).expect(78);
    ran.complains(&["certificate", "ca_file"]);
    assert!(ran.took < WITHIN, "{ran:?}");
    assert_eq!(listing(folder.path()), before);
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_its_key_is_refused() {
    let _turn = turn::shared().await;
    let folder =
        folder(&whole("127.0.0.1:0").replace("[server]\n", "[server]\ntls_cert = \"tls/cert.pem\"\ntls_key = \"tls/key.pem\"\n"));
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let other = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    for (file, text) in [("tls/cert.pem", certificate.cert.pem()), ("tls/key.pem", other)] {
        fs::write(folder.path().join(file), text).expect("written");
        fs::set_permissions(folder.path().join(file), fs::Permissions::from_mode(0o600)).expect("set");
    }
    let before = listing(folder.path());
    let ran = run(folder.path(), &[], &["serve", "-c", FILE]).expect(78);
    ran.complains(&["tls/"]);
    assert_eq!(listing(folder.path()), before);
}

#[tokio::test]
async fn a_good_config_is_checked_without_a_trace() {
    let _turn = turn::shared().await;
    let folder = folder(&whole("127.0.0.1:0"));
    let before = listing(folder.path());
    let ran = run(folder.path(), &[], &["check", "-c", FILE]).expect(0);
    assert!(ran.stdout.starts_with("ok  1 file, 1 webhook"), "{ran:?}");
    let text = whole("127.0.0.1:0") + "[delivery]\ndanger_allow_http = true\n";
    fs::write(folder.path().join(FILE), text).expect("written");
    run(folder.path(), &[], &["check", "-c", FILE]).expect(0).complains(&["warning: ", "danger_allow_http"]);
    let denied = run(folder.path(), &[], &["check", "-c", FILE, "--deny-warnings", "--json"]).expect(3);
    assert_eq!(denied.json()["warnings"].as_array().expect("a list").len(), 1);
    assert_eq!(listing(folder.path()), before);
}

fn judge(folder: &TempDir, text: &str, command: &str, environment: &[(&str, &str)]) -> Result<(), String> {
    let before = listing(folder.path());
    let ran = run(folder.path(), environment, &[command, "-c", FILE]);
    let wanted: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# wants: ")).collect();
    if ran.code != 78 || ran.took >= WITHIN || !ran.stdout.is_empty() {
        return Err(format!("{ran:?}"));
    }
    if let Some(missing) = wanted.iter().find(|wanted| !says(&ran, wanted)) {
        return Err(format!("wanted {missing}\n{}", ran.stderr));
    }
    if ran.stderr.matches("error: ").count() != wanted.len() {
        return Err(format!("wanted {} faults\n{}", wanted.len(), ran.stderr));
    }
    let after = listing(folder.path());
    if before == after { Ok(()) } else { Err(format!("it made {:?}", after.difference(&before))) }
}

/// Whether the output has the message and the place on one line. The remedy must follow on that line in words, or on the next as
/// text to paste.
fn says(ran: &Ran, wanted: &str) -> bool {
    let parts: Vec<&str> = wanted.splitn(3, " | ").collect();
    let [place, message, remedy] = parts[..] else { return false };
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let placed = |line: &str| {
        let at = line.rsplit_once(&format!("{FILE}:")).map(|(_, at)| at);
        at.is_some_and(|at| at == place || (place.ends_with(':') && at.starts_with(place)))
    };
    let told = |line: &str| placed(line) && line.contains(message);
    let by_a_line = |pair: &[&str]| told(pair[0]) && pair[1].starts_with("  try: ") && pair[1].contains(remedy);
    lines.iter().any(|line| told(line) && line.contains(remedy)) || lines.windows(2).any(by_a_line)
}

/// Environment that moves the store and the socket into the folder, unless the file sets them. A bad config that was accepted
/// would leave its traces there.
fn elsewhere(text: &str) -> Vec<(&'static str, &'static str)> {
    let all = [("admin_socket", "HOOKWHEEL_SERVER_ADMIN_SOCKET", "a.sock"), ("path", "HOOKWHEEL_STORAGE_PATH", "a.redb")];
    all.into_iter().filter(|(key, _, _)| !text.contains(key)).map(|(_, name, value)| (name, value)).collect()
}

/// A folder with the files that the bad configs name.
fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text, mode) in FILES.iter().chain(&[(FILE, text, 0o644)]) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).expect("set");
    }
    folder
}

/// A config without faults, with its store and socket in the folder.
fn whole(listen: &str) -> String {
    format!(
        "[server]\nlisten = {listen:?}\nadmin_socket = \"a.sock\"\n[storage]\npath = \"a.redb\"\n\
         [[webhook]]\nname = \"a\"\nurl = \"https://example.com/\"\nevents = [\"*\"]\n"
    )
}

/// The path of every file and folder below a folder.
fn listing(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(listing(&path));
        }
        found.insert(path);
    }
    found
}

const FILE: &str = "hookwheel.toml";
const BAD_CONFIGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/bad-configs");

/// The promised time for a bad config.
const WITHIN: Duration = Duration::from_secs(1);

const FILES: &[(&str, &str, u32)] = &[
    ("keys/one", "hwk_0123456789abcdefghijklmnop\n", 0o600),
    ("keys/two", "hwk_abcdefghijklmnop0123456789\n", 0o640),
    ("keys/signing", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n", 0o600),
    ("keys/open", "hwk_0123456789abcdefghijklmnop\n", 0o644),
    ("keys/short", "hwk_0123456789\n", 0o600),
    ("keys/empty", "\n", 0o600),
    ("tls/text.pem", "this is no certificate\n", 0o600),
];

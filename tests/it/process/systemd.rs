//! The unit, and the user that it runs as, judged by systemd's own tools.

use std::fs;
use std::process::{Command, Output};

#[test]
fn the_unit_is_exposed_by_at_most_1_2() {
    let output = run(Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=12", "--no-pager", UNIT]));
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn the_unit_verifies_without_a_word() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let unit = dir.path().join("hookwheel.service");
    // The tool looks for the binary, which a test does not install.
    let installed = fs::read_to_string(UNIT).expect("the unit is there");
    fs::write(&unit, installed.replace("/usr/bin/hookwheel", env!("CARGO_BIN_EXE_hookwheel"))).expect("written");
    let output = run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit));
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output));
}

#[test]
fn passing_faults_are_tried_again_without_end() {
    let unit = fs::read_to_string(UNIT).expect("the unit is there");
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let section = |key: &str| unit.lines().take_while(|line| !line.starts_with(key)).filter(|line| line.starts_with('[')).last();
    assert_eq!((value("StartLimitIntervalSec"), section("StartLimitIntervalSec")), (Some("0"), Some("[Unit]")));
    assert_eq!((value("Restart"), value("RestartSec")), (Some("on-failure"), Some("2")));
    // These are wrong usage, a missing permission and an invalid config, but neither the store (74) nor a taken address (75).
    assert_eq!(value("RestartPreventExitStatus"), Some("2 77 78"));
}

#[test]
fn a_reload_checks_before_it_signals() {
    let unit = fs::read_to_string(UNIT).expect("the unit is there");
    let lines: Vec<_> = unit.lines().filter(|line| line.starts_with("ExecReload=")).collect();
    assert!(matches!(lines[..], [check, signal] if check.contains(" check ") && signal.ends_with("-HUP $MAINPID")), "{lines:?}");
    let config = |line: &str| line.split(" -c ").nth(1).map(str::to_owned);
    let start = unit.lines().find(|line| line.starts_with("ExecStart=")).expect("the unit starts something");
    assert_eq!(config(lines[0]), config(start), "the check must read the file that the service reads");
}

#[test]
fn the_user_is_made_once_and_owns_its_state_folder() {
    let root = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(root.path().join("etc")).expect("made");
    for _ in 0..2 {
        let output = run(Command::new("systemd-sysusers").arg("--root").arg(root.path()).arg(SYSUSERS));
        assert!(output.status.success(), "{}", text(&output));
    }
    let passwd = fs::read_to_string(root.path().join("etc/passwd")).expect("written by systemd-sysusers");
    let users: Vec<_> = passwd.lines().filter(|line| line.starts_with("hookwheel:")).collect();
    assert!(matches!(users[..], [user] if user.ends_with(":/var/lib/hookwheel:/usr/sbin/nologin")), "{passwd}");
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs systemd's tools"))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/hookwheel.service");
const SYSUSERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/hookwheel.sysusers");

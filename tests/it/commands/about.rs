//! What the command line says of itself: scripts for shells, manual pages, the schema of the config.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::ran::{Ran, run};

fn hookwheel(arguments: &[&str]) -> Ran {
    run(Path::new("/"), &[], arguments)
}

#[test]
fn completions_know_every_command_and_bash_reads_them() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = hookwheel(&["completions", shell]).expect(0).stdout;
        for word in ["rotate-secret", "event-types", "completions", "idempotency-key"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
        assert_eq!(hookwheel(&["completions", shell, "--json"]).expect(0).json()["shell"], shell);
    }
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().expect("bash");
    let script = hookwheel(&["completions", "bash"]).stdout;
    bash.stdin.take().expect("piped").write_all(script.as_bytes()).expect("it reads");
    assert!(bash.wait().expect("it ends").success());
    hookwheel(&["completions", "tcsh"]).expect(2).complains(&["tcsh", "bash, elvish, fish, powershell, zsh"]);
    hookwheel(&["completions"]).expect(2).complains(&["SHELL"]);
}

#[test]
fn man_prints_the_page_of_any_command() {
    let whole = hookwheel(&["man"]).expect(0).stdout;
    assert!(whole.contains(".TH HOOKWHEEL 1") && whole.contains(r"hookwheel\-webhooks(1)"), "{whole}");
    let page = hookwheel(&["man", "webhook", "add"]).expect(0).stdout;
    assert!(page.contains(".TH HOOKWHEEL-WEBHOOKS-ADD 1") && page.contains(r"\-\-secret\-file"), "{page}");
    let json = hookwheel(&["man", "webhooks", "add", "--json"]).expect(0).json();
    assert_eq!((json["name"].as_str(), json["page"].as_str()), (Some("hookwheel-webhooks-add"), Some(&*page)));
    hookwheel(&["man", "webhok"]).expect(2).complains(&["`hookwheel` has no command `webhok`", "man webhooks"]);
    hookwheel(&["man", "send", "more"]).expect(2).complains(&["`hookwheel send` has no command `more`"]);
}

#[test]
fn the_schema_is_printed_for_people_and_for_programs() {
    let (lines, line) = (hookwheel(&["config", "schema"]).expect(0), hookwheel(&["config", "schema", "--json"]).expect(0));
    assert_eq!(lines.json(), line.json());
    assert!(lines.stdout.lines().count() > 500 && line.stdout.lines().count() == 1);
    assert_eq!(lines.json()["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

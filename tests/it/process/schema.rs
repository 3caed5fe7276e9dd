//! `config schema`: what it takes is what the reader takes, as far as a schema can tell.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::config::Config;
use crate::harness::ran::run;

#[test]
fn the_schema_takes_good_configs_and_refuses_bad_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut good = vec![root("packaging/hookwheel.toml")];
    let written = [Config::bare(), Config::production(), Config::quick().notify("https://ops.example.com/"), rich()];
    for (number, config) in written.iter().enumerate() {
        let own = folder.path().join(number.to_string());
        fs::create_dir(&own).expect("made");
        config.write(&own);
        run(&own, &[], &["check", "-c", "hookwheel.toml", "--no-environment"]).expect(0);
        good.push(own.join("hookwheel.toml"));
    }
    for name in ["standard", "aioka", "deck", "decisio", "dcisionai", "resistant"] {
        let path = folder.path().join(format!("dialect-{name}.toml"));
        fs::write(&path, run(folder.path(), &[], &["dialects", "show", name]).expect(0).stdout).expect("written");
        good.push(path);
    }
    for (file, faults) in validated(folder.path(), &good) {
        assert!(faults.is_empty(), "{file}: {faults:?}");
    }
    let bad: Vec<PathBuf> = BAD.iter().map(|name| root(&format!("tests/vectors/bad-configs/{name}.toml"))).collect();
    for (file, faults) in validated(folder.path(), &bad) {
        assert!(!faults.is_empty(), "{file} is taken");
    }
}

/// With what the others lack.
fn rich() -> Config {
    let url = "https://hooks.example.com/a";
    let config = Config::retrying(&["1s", "1h30m"]).webhook("a", url, &["a.*"]).webhook_line("description = \"text\"");
    let config = config.server("metrics_allow = [\"10.0.0.0/8\", \"::1\"]\nlog_format = \"json\"\n");
    config.storage("retention = \"2w\"\nmax_bytes = \"64MiB\"\n").delivery("in_flight = 9\nin_flight_per_endpoint = 3\n")
}

/// The faults of each file by the schema that the binary prints.
fn validated(folder: &Path, files: &[PathBuf]) -> Vec<(String, Vec<Value>)> {
    let schema = folder.join("schema.json");
    fs::write(&schema, run(folder, &[], &["config", "schema"]).expect(0).stdout).expect("written");
    let mut command = Command::new(root("target/venv/bin/python"));
    let output = command.arg(root("tests/sdk/schema.py")).arg(&schema).args(files).output().expect("tests/install brings it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Value> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(lines.len(), files.len());
    let faults = |line: &Value| line["faults"].as_array().expect("a list").clone();
    lines.iter().map(|line| (line["file"].to_string(), faults(line))).collect()
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Bad configs in which a key or the type or form of a value is wrong.
const BAD: &[&str] = &[
    "unknown-key-far",
    "unknown-key-near",
    "unknown-key-of-key",
    "unknown-key-of-webhook",
    "unknown-list-of-tables",
    "unknown-table",
    "unknown-scope",
    "wrong-case",
    "string-for-boolean",
    "string-for-integer",
    "integer-for-duration",
    "integer-outside",
    "duration-without-unit",
    "duration-of-unknown-unit",
    "size-without-unit",
    "size-of-unknown-unit",
    "table-for-value",
    "value-for-table",
    "table-for-list-of-tables",
    "cidr-not-a-list",
    "provider-without-name",
    "webhook-without-anything",
    "bad-tenant-id",
    "scopes-of-the-operator",
    "secret-in-the-file",
];

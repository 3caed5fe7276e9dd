//! How a command ends: the exit codes, and the one place that gives every error its code, its words and its remedy.

use std::io;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::client;
use super::words::plain;
use crate::config::fault::{Fault, Faults, Place};
use crate::{bench, server, store};

/// The exit codes; the numbers above 2 are those of sysexits.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok = 0,
    /// The answer is no: a delivery failed, a signature does not match, the service refused.
    Negative = 1,
    Usage = 2,
    WarningsDenied = 3,
    Unreachable = 69,
    Internal = 70,
    StoreIo = 74,
    Permission = 77,
    InvalidConfig = 78,
}

impl Exit {
    /// As `--json` names an error.
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Negative => "negative",
            Self::Usage => "usage",
            Self::WarningsDenied => "warnings",
            Self::Unreachable => "unreachable",
            Self::Internal => "internal",
            Self::StoreIo => "store",
            Self::Permission => "permission",
            Self::InvalidConfig => "config",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Empty when there is nothing more to say, as for a closed pipe.
    faults: Vec<Said>,
}

/// One thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    message: String,
    place: Option<String>,
    hint: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit, faults: vec![Said { message: message.into(), place: None, hint: hint.into() }] }
    }

    /// What was typed makes no sense.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message, hint)
    }

    /// The answer is no.
    pub(crate) fn negative(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Negative, message, hint)
    }

    /// The reader of stdout went away, which is its right.
    pub(crate) fn closed_pipe() -> Self {
        Self { exit: Exit::Ok, faults: Vec::new() }
    }

    /// For a person: each thing that is wrong, its place, and what to try.
    pub(crate) fn human(&self) -> String {
        let lines: Vec<String> = self.faults.iter().map(Said::human).collect();
        lines.join("\n")
    }

    /// One object: the first thing that is wrong, and all of them where there are several.
    pub(crate) fn json(&self) -> String {
        let Some(first) = self.faults.first() else { return String::new() };
        let mut error = json!({ "code": self.exit.name(), "message": first.message, "hint": first.hint });
        if self.faults.len() > 1 || first.place.is_some() {
            error["errors"] = self.faults.iter().map(Said::json).collect();
        }
        json!({ "error": error }).to_string()
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.faults.is_empty()
    }
}

impl Said {
    fn human(&self) -> String {
        let place = self.place.as_ref().map_or_else(String::new, |place| format!("   {place}"));
        plain(&format!("error: {}{place}\n  try: {}", self.message, self.hint))
    }

    fn json(&self) -> Value {
        json!({ "message": self.message, "place": self.place, "hint": self.hint })
    }
}

impl From<&Fault> for Said {
    fn from(fault: &Fault) -> Self {
        let place = (fault.place != Place::Default).then(|| fault.place.to_string());
        Self { message: fault.message.clone(), place, hint: fault.remedy.clone() }
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self { exit: Exit::InvalidConfig, faults: faults.iter().map(Said::from).collect() }
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        use client::Error;
        let (exit, hint) = match &error {
            Error::NoService { .. } => (
                Exit::Unreachable,
                "systemctl start hookwheel, or hookwheel dev; --socket PATH names the socket of a service elsewhere".into(),
            ),
            Error::Denied(_) => (Exit::Permission, "sudo hookwheel …, or join the group that owns the socket".into()),
            Error::Silent { .. } | Error::Broken { .. } => {
                (Exit::Unreachable, "systemctl status hookwheel, and journalctl -u hookwheel -n 50".into())
            }
            Error::TooLarge(_) => (Exit::Internal, "ask for less, as with --limit 10".into()),
            Error::NotJson { .. } => (Exit::Internal, "hookwheel version, and the version in hookwheel status".into()),
            Error::Runtime(_) => (Exit::Internal, "ulimit -n, and close what holds many files open".into()),
            Error::Refused(problem) => refused(problem),
        };
        Self::new(exit, error.to_string(), hint)
    }
}

/// What an answer of the service means to the shell.
fn refused(problem: &client::Problem) -> (Exit, String) {
    let (exit, hint) = match problem.status {
        401 | 403 => (Exit::Permission, "use the admin socket: leave --socket out, or name the service's own"),
        404 => (Exit::Negative, what_there_is(&problem.detail)),
        503 => (Exit::Unreachable, "again in a second"),
        507 => (Exit::StoreIo, "raise [storage] max_bytes, shorten its retention, or free disk space"),
        500..=599 => (Exit::Internal, "journalctl -u hookwheel -n 50"),
        _ => (Exit::Negative, "set right what is named above, and run it again"),
    };
    (exit, hint.into())
}

/// Where to look for a name that exists.
fn what_there_is(detail: &str) -> &'static str {
    let lists = [
        ("webhook", "hookwheel webhooks list"),
        ("delivery", "hookwheel deliveries list"),
        ("key", "hookwheel keys list"),
        ("provider", "--tenant with a [[provider]] of the config file, or without --tenant"),
    ];
    let named = lists.iter().find(|(noun, _)| detail.contains(noun));
    named.map_or("check what was named for typing errors", |(_, list)| list)
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        use store::Error;
        let (exit, hint) = match &error {
            Error::File { cause, .. } if is_denied(cause) => (Exit::Permission, "sudo -u hookwheel hookwheel …"),
            Error::File { .. } => (Exit::StoreIo, "check that the path and its folder are what was meant"),
            Error::InUse(_) => (Exit::StoreIo, "systemctl stop hookwheel first"),
            Error::Newer { .. } => (Exit::StoreIo, "install the newer hookwheel again"),
            Error::Older { .. } => {
                (Exit::StoreIo, "start and stop the service, which brings the store up to date, and check again")
            }
            Error::Foreign { .. } => (Exit::StoreIo, "check that the path is what was meant"),
            Error::Unreadable { .. } => {
                (Exit::StoreIo, "keep a copy of the file, and restore the newest backup that hookwheel check --store finds clean")
            }
            Error::StoreMissing { .. } => {
                (Exit::StoreIo, "mount its disk or restore a backup; for a new store move the files away that stand beside it")
            }
            Error::Gone(_) => (Exit::StoreIo, "put the file back where it was, and start the service again"),
            Error::WrongKey(_) | Error::Sealed => (Exit::StoreIo, "put the master key back from your backup"),
            Error::Random(_) => (Exit::Internal, "again when the system has started fully"),
            _ => (Exit::StoreIo, "stop the service, then hookwheel check --store FILE; if it is damaged, restore a backup"),
        };
        Self::new(exit, error.to_string(), hint)
    }
}

impl From<server::Error> for Failure {
    fn from(error: server::Error) -> Self {
        use server::Error;
        match error {
            Error::Config(faults) => faults.into(),
            Error::Store(error) => error.into(),
            Error::Io { cause, .. } if cause.kind() == io::ErrorKind::BrokenPipe => Self::closed_pipe(),
            Error::Io { ref cause, .. } => {
                let (exit, hint) = io_fate(cause);
                Self::new(exit, error.to_string(), hint)
            }
            Error::Connector(_) => {
                Self::new(Exit::InvalidConfig, error.to_string(), "apt-get install ca-certificates, or set ca_file")
            }
        }
    }
}

impl From<bench::Error> for Failure {
    fn from(error: bench::Error) -> Self {
        let hint = match &error {
            bench::Error::Files { needed, .. } => return Self::usage(error.to_string(), format!("ulimit -n {needed}")),
            bench::Error::Io { .. } => "df -h and ls -ld on the folder that --dir names",
            bench::Error::Part { .. } => "the same with fewer connections and endpoints",
            bench::Error::Service(_) => "the same with fewer endpoints, or another --dir",
        };
        Self::new(Exit::Internal, error.to_string(), hint)
    }
}

/// What an operating system's error at start means.
fn io_fate(cause: &io::Error) -> (Exit, &'static str) {
    match cause.kind() {
        io::ErrorKind::PermissionDenied => {
            (Exit::Permission, "run as the service's user, and take a port above 1023 and a folder that it owns")
        }
        io::ErrorKind::AddrInUse => {
            (Exit::InvalidConfig, "--listen 127.0.0.1:0 takes a free port; ss -ltnp shows who has this one")
        }
        io::ErrorKind::AddrNotAvailable => (Exit::InvalidConfig, "ip address shows the addresses that this machine has"),
        _ => (Exit::Internal, "journalctl -u hookwheel -n 50"),
    }
}

/// A file that the command line names cannot be read or written.
pub(crate) fn file_failure(action: &str, path: &std::path::Path, cause: &io::Error) -> Failure {
    let exit = if is_denied(cause) { Exit::Permission } else { Exit::Usage };
    let hint = format!("ls -l {}", path.display());
    Failure::new(exit, format!("cannot {action} {}: {cause}", path.display()), hint)
}

fn is_denied(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::PermissionDenied
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::cli::client::Problem;

    fn problem(status: u16) -> Failure {
        client::Error::Refused(Problem { status, detail: "x".into(), errors: Vec::new() }).into()
    }

    #[test]
    fn the_numbers_are_those_that_scripts_rely_on() {
        let all = [
            (Exit::Ok, 0),
            (Exit::Negative, 1),
            (Exit::Usage, 2),
            (Exit::WarningsDenied, 3),
            (Exit::Unreachable, 69),
            (Exit::Internal, 70),
            (Exit::StoreIo, 74),
            (Exit::Permission, 77),
            (Exit::InvalidConfig, 78),
        ];
        for (exit, number) in all {
            assert_eq!(exit as u8, number);
        }
    }

    #[test]
    fn an_answer_of_the_service_has_its_code() {
        let expected = [(400, 1), (401, 77), (403, 77), (404, 1), (409, 1), (422, 1), (500, 70), (503, 69), (507, 74)];
        for (status, code) in expected {
            assert_eq!(problem(status).exit as u8, code, "{status}");
        }
    }

    #[test]
    fn what_is_not_found_is_looked_for_in_its_own_list() {
        assert_eq!(what_there_is("no such delivery"), "hookwheel deliveries list");
        assert!(what_there_is("no such provider").starts_with("--tenant"));
        assert_eq!(what_there_is("no such event"), "check what was named for typing errors");
    }

    #[test]
    fn trouble_with_the_socket_has_its_code() {
        let path = || PathBuf::from("/x/admin.sock");
        assert_eq!(Failure::from(client::Error::NoService { tried: vec![] }).exit, Exit::Unreachable);
        assert_eq!(Failure::from(client::Error::Denied(path())).exit, Exit::Permission);
        assert_eq!(Failure::from(client::Error::TooLarge(path())).exit, Exit::Internal);
    }

    #[test]
    fn trouble_with_the_store_has_its_code() {
        let file = |kind: io::ErrorKind| store::Error::File { action: "open", path: "/x".into(), cause: kind.into() };
        assert_eq!(Failure::from(file(io::ErrorKind::PermissionDenied)).exit, Exit::Permission);
        assert_eq!(Failure::from(file(io::ErrorKind::NotFound)).exit, Exit::StoreIo);
        assert_eq!(Failure::from(store::Error::InUse("/x".into())).exit, Exit::StoreIo);
    }

    #[test]
    fn a_config_shows_every_fault_and_exits_78() {
        let mut faults = Faults::default();
        let place = |line| Place::File { path: "a.toml".into(), line, column: 1 };
        faults.add(&place(5), "unknown key `timout`", "timeout = \"10s\"");
        faults.add(&place(9), "`listen` is no address", "listen = \"127.0.0.1:8080\"");
        let failure = Failure::from(faults);
        assert_eq!(failure.exit, Exit::InvalidConfig);
        let expected = "error: unknown key `timout`   a.toml:5:1\n  try: timeout = \"10s\"\n\
                        error: `listen` is no address   a.toml:9:1\n  try: listen = \"127.0.0.1:8080\"";
        assert_eq!(failure.human(), expected);
        let read: Value = serde_json::from_str(&failure.json()).expect("JSON");
        assert_eq!(read["error"]["code"], "config");
        assert_eq!(read["error"]["errors"][1]["place"], "a.toml:9:1");
    }

    #[test]
    fn a_human_error_ends_with_what_to_try() {
        let failure = Failure::negative("no such webhook", "hookwheel webhooks list");
        assert_eq!(failure.human(), "error: no such webhook\n  try: hookwheel webhooks list");
        let expected = r#"{"error":{"code":"negative","hint":"hookwheel webhooks list","message":"no such webhook"}}"#;
        assert_eq!(failure.json(), expected);
    }

    #[test]
    fn a_file_that_may_not_be_read_is_a_matter_of_permission() {
        let denied = file_failure("read", Path::new("/x"), &io::ErrorKind::PermissionDenied.into());
        assert_eq!(denied.exit, Exit::Permission);
        assert_eq!(file_failure("read", Path::new("/x"), &io::ErrorKind::NotFound.into()).exit, Exit::Usage);
    }
}

//! The one place that gives every error its exit code and what to try.

use std::io;
use std::path::Path;

use super::exit::{Exit, Failure, Said};
use super::hint::{Hint, quoted};
use crate::cli::client;
use crate::config::fault::{Fault, Faults, Location, Remedy};
use crate::domain::resource::Resource;
use crate::domain::text::system::words;
use crate::{bench, server, store};

impl From<&Fault> for Said {
    fn from(fault: &Fault) -> Self {
        Self { message: fault.told(), location: fault.place(), hint: hint_of(fault) }
    }
}

/// The hint for a fault. A variable or a flag is mended by its own syntax, not by a line of a file.
fn hint_of(fault: &Fault) -> Option<Hint> {
    match (&fault.remedy, &fault.location) {
        (Remedy::Write(line), Location::Environment(name)) => {
            Some(Hint::text(format!("export {name}={}", quoted(&value_in(line)?))))
        }
        (Remedy::Write(line), Location::Flag(name)) => Some(Hint::again_with_value(name.to_string(), value_in(line)?)),
        (Remedy::Write(text) | Remedy::Run(text), _) => Some(Hint::text(text)),
        (Remedy::Ours { before, words, after }, _) => {
            let (before, words, after) = (before.clone(), words.clone(), after.clone());
            Some(Hint::Within { before, words, after })
        }
        (Remedy::Advice(_) | Remedy::None, _) => None,
    }
}

/// The value in a line of TOML as an environment variable writes it: strings without quotes, lists with commas.
fn value_in(line: &str) -> Option<String> {
    let table: toml::Table = line.parse().ok()?;
    match table.into_iter().next()?.1 {
        toml::Value::String(text) => Some(text),
        toml::Value::Array(items) => {
            let texts = items.into_iter().filter_map(|item| item.as_str().map(str::to_owned));
            Some(texts.collect::<Vec<_>>().join(","))
        }
        other => Some(other.to_string()),
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::from_faults(Exit::InvalidConfig, faults.iter().map(Said::from).collect())
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        use client::Error;
        let (exit, hint) = match &error {
            Error::NoService { tried } => (Exit::Unreachable, Some(start(tried))),
            Error::Denied(socket) => (Exit::Permission, Some(Hint::AsRoot(socket.clone()))),
            Error::Silent { .. } | Error::Broken { .. } => (Exit::Unreachable, log()),
            Error::NotJson { .. } => (Exit::Internal, Some(Hint::service("status"))),
            Error::Runtime(_) => (Exit::Internal, Some(Hint::text("ulimit -n"))),
            Error::TooLarge(_) => (Exit::Internal, None),
            Error::Refused(problem) => refused(problem),
        };
        Self::new(exit, error.to_string(), hint)
    }
}

/// The command for somebody whom no service answers: a look at the socket that was named, else the start of a service.
fn start(tried: &[(std::path::PathBuf, io::Error)]) -> Hint {
    match tried {
        [(socket, _)] => look(socket),
        _ if is_installed() => Hint::text("systemctl start hookwheel"),
        _ => Hint::plain("dev"),
    }
}

/// The command that shows the log of the installed service; `None` where none is installed.
fn log() -> Option<Hint> {
    is_installed().then(|| Hint::text("journalctl -u hookwheel -n 50"))
}

fn is_installed() -> bool {
    UNITS.iter().any(|unit| Path::new(unit).exists())
}

/// The exit code and the hint of an answer that is a problem. A service that answers 503 was reached, so it is not unreachable, and
/// its status says why it is not ready.
fn refused(problem: &client::Problem) -> (Exit, Option<Hint>) {
    match problem.status {
        401 | 403 => (Exit::Permission, None),
        503 => (Exit::Negative, Some(Hint::service("status"))),
        507 => (Exit::StoreIo, Some(Hint::service("status"))),
        500..=599 => (Exit::Internal, log()),
        _ => (Exit::Negative, problem.missing.and_then(list_of)),
    }
}

/// The command that lists all things of a kind. Webhooks and deliveries are listed over all tenants, since ids are looked up there.
fn list_of(missing: Resource) -> Option<Hint> {
    match missing {
        Resource::Tenant | Resource::Webhook => Some(Hint::service("webhooks list --all")),
        Resource::Delivery | Resource::Attempt => Some(Hint::service("deliveries list --all")),
        Resource::EventType => Some(Hint::tenants("event-types list")),
        Resource::Key => Some(Hint::service("keys list")),
        Resource::Replay => Some(Hint::service("replay list --all")),
        Resource::Provider | Resource::Event | Resource::Connection | Resource::Secret | Resource::Path => None,
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        use store::Error;
        let at = |path: &Path| Some(look(path));
        let (exit, hint) = match &error {
            Error::File { cause, .. } if is_denied(cause) => (Exit::Permission, Some(Hint::Before("sudo -u hookwheel"))),
            Error::File { path, .. } | Error::Foreign { path, .. } | Error::Unreadable { path, .. } => (Exit::StoreIo, at(path)),
            Error::InUse(_) => (Exit::StoreIo, is_installed().then(|| Hint::text("systemctl stop hookwheel"))),
            Error::Open { remedy, .. } => (Exit::InvalidConfig, Some(Hint::text(remedy))),
            Error::StoreMissing { beside, .. } => (Exit::StoreIo, at(beside)),
            Error::WrongKey(key) => (Exit::StoreIo, at(key)),
            Error::Target { .. } => (Exit::Usage, None),
            Error::NoRoom { path, .. } => (Exit::StoreIo, Some(Hint::text(format!("df -h {}", quoted(&parent(path)))))),
            Error::Backup { path, .. } => (Exit::Negative, at(path)),
            Error::Faults { .. } => (Exit::Negative, Some(Hint::again_with("--accept-faults"))),
            Error::KeyNeeded { path, file, .. } => (Exit::Negative, Some(Hint::text(key_copied(file, path)))),
            Error::Stands(_) => (Exit::Negative, Some(Hint::again_with("--force"))),
            Error::NotAsLeft(path) | Error::Pages { path, .. } => {
                (Exit::Negative, Some(Hint::plain(format!("doctor --store {}", quoted(&path.to_string_lossy())))))
            }
            Error::Random(_) => (Exit::Internal, None),
            _ => (Exit::StoreIo, None),
        };
        Self::new(exit, format!("{error}{}", remedy(&error)), hint)
    }
}

fn parent(path: &Path) -> String {
    named(path.parent().unwrap_or(path)).to_string_lossy().into_owned()
}

/// The command that puts a copy of a key where it is looked for.
fn key_copied(from: &str, to: &Path) -> String {
    format!("install -m 0600 {} {}", quoted(from), quoted(&to.to_string_lossy()))
}

/// What a person does about an error of the store where no command does it.
fn remedy(error: &store::Error) -> &'static str {
    use store::Error;
    match error {
        Error::Older { .. } => "; start and stop the service, which brings it up to date, and check again",
        Error::Unreadable { .. } => "; keep a copy of it, and restore the newest backup that is whole",
        Error::StoreMissing { .. } => {
            "; mount its disk or restore a backup; for a new store move the files away that stand beside it"
        }
        Error::Gone(_) => "; put the file back where it was, and start the service again",
        _ => "",
    }
}

impl From<server::Error> for Failure {
    fn from(error: server::Error) -> Self {
        use server::Error;
        let message = error.to_string();
        match error {
            Error::Config(faults) => faults.into(),
            Error::Store(error) => error.into(),
            Error::Io { cause, .. } if cause.kind() == io::ErrorKind::BrokenPipe => Self::closed_pipe(),
            Error::Io { cause, .. } if is_denied(&cause) => Self::new(Exit::Permission, message, None),
            Error::Io { .. } => Self::new(Exit::Internal, message, log()),
            Error::Bind { cause, .. } => Self::new(bind_exit(&cause), message, bind_hint(&cause)),
            Error::Taken(socket) => {
                let hint = Hint::plain(format!("status --socket {}", quoted(&socket.to_string_lossy())));
                Self::new(Exit::Bind, message, hint)
            }
            Error::Path { path, cause, .. } => {
                let exit = if is_denied(&cause) { Exit::Permission } else { Exit::InvalidConfig };
                Self::new(exit, message, look(path.parent().unwrap_or(&path)))
            }
            Error::Connector(_) => Self::new(Exit::InvalidConfig, message, None),
        }
    }
}

impl From<bench::Error> for Failure {
    fn from(error: bench::Error) -> Self {
        let hint = matches!(error, bench::Error::Io { .. }).then(|| Hint::text("df -h"));
        Self::new(Exit::Internal, error.to_string(), hint)
    }
}

/// A port below 1024 without the capability for it is never allowed; a taken one may be free in a moment.
fn bind_exit(cause: &io::Error) -> Exit {
    if is_denied(cause) { Exit::Permission } else { Exit::Bind }
}

/// For a port that needs a privilege, the command with one that needs none; else a look at who listens or at the addresses.
fn bind_hint(cause: &io::Error) -> Hint {
    match cause.kind() {
        io::ErrorKind::PermissionDenied => Hint::again_with_value("--listen", "127.0.0.1:8080"),
        io::ErrorKind::AddrNotAvailable => Hint::text("ip address"),
        _ => Hint::text("ss -lnp"),
    }
}

/// The failure for a file of the command line that cannot be read or written.
pub(crate) fn file_failure(action: &str, path: &Path, cause: &io::Error) -> Failure {
    let exit = if is_denied(cause) { Exit::Permission } else { Exit::Usage };
    Failure::new(exit, format!("cannot {action} {}: {}", path.display(), why(cause)), look(path))
}

/// The cause in words, without the system's number.
fn why(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::NotFound => "it does not exist".into(),
        io::ErrorKind::IsADirectory => "it is a directory".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => words(cause),
    }
}

/// The command that lists a path, or where nothing is there, the nearest folder above it.
fn look(path: &Path) -> Hint {
    let shown = |path: &Path| quoted(&named(path).to_string_lossy());
    match path.ancestors().find(|above| named(above).exists()) {
        Some(above) if above != path => Hint::text(format!("ls -la {}", shown(above))),
        _ => Hint::text(format!("ls -ld {}", shown(path))),
    }
}

/// An empty path stands for the working directory, which is the folder of a bare file name.
fn named(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn is_denied(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::PermissionDenied
}

/// The files of which one is there when the service is installed as a systemd unit.
const UNITS: [&str; 3] = [
    "/etc/systemd/system/hookwheel.service",
    "/usr/lib/systemd/system/hookwheel.service",
    "/lib/systemd/system/hookwheel.service",
];

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cli::client::Problem;
    use crate::cli::output::hint::Called;

    fn problem(status: u16, missing: Option<Resource>) -> Failure {
        client::Error::Refused(Problem { status, detail: "x".into(), missing, errors: Vec::new(), faults: Vec::new() }).into()
    }

    fn hint(failure: &Failure) -> Option<String> {
        failure.human(&Called::default()).split_once("  try: ").map(|(_, hint)| hint.to_owned())
    }

    #[test]
    fn each_status_of_an_answer_has_its_exit_code() {
        let expected = [(400, 1), (401, 77), (403, 77), (404, 1), (409, 1), (422, 1), (429, 1), (500, 70), (503, 1), (507, 74)];
        for (status, code) in expected {
            assert_eq!(problem(status, None).exit as u8, code, "{status}");
        }
    }

    #[test]
    fn a_missing_thing_is_looked_for_in_the_list_of_its_kind() {
        let looked = |missing| hint(&problem(404, Some(missing)));
        assert_eq!(looked(Resource::Delivery).as_deref(), Some("hookwheel deliveries list --all"));
        assert_eq!(looked(Resource::Key).as_deref(), Some("hookwheel keys list"));
        assert_eq!(looked(Resource::Provider), None);
    }

    #[test]
    fn a_service_that_is_not_ready_is_asked_for_its_status_and_not_the_same_again() {
        assert_eq!(hint(&problem(503, None)).as_deref(), Some("hookwheel status"));
        assert_eq!(hint(&problem(429, None)), None);
    }

    #[test]
    fn each_error_of_the_socket_has_its_exit_code() {
        let path = || PathBuf::from("/x/admin.sock");
        assert_eq!(Failure::from(client::Error::NoService { tried: vec![] }).exit, Exit::Unreachable);
        assert_eq!(Failure::from(client::Error::Denied(path())).exit, Exit::Permission);
        assert_eq!(Failure::from(client::Error::TooLarge(path())).exit, Exit::Internal);
    }

    #[test]
    fn each_error_of_the_store_has_its_exit_code() {
        let file = |kind: io::ErrorKind| store::Error::File { action: "open", path: "/x".into(), cause: kind.into() };
        assert_eq!(Failure::from(file(io::ErrorKind::PermissionDenied)).exit, Exit::Permission);
        assert_eq!(Failure::from(file(io::ErrorKind::NotFound)).exit, Exit::StoreIo);
        assert_eq!(Failure::from(store::Error::InUse("/x".into())).exit, Exit::StoreIo);
    }

    #[test]
    fn errors_that_another_try_may_mend_exit_with_75() {
        let bind = |kind: io::ErrorKind| server::Error::Bind { at: "127.0.0.1:8080".into(), cause: kind.into() };
        assert_eq!(Failure::from(bind(io::ErrorKind::AddrInUse)).exit, Exit::Bind);
        assert_eq!(Failure::from(bind(io::ErrorKind::AddrNotAvailable)).exit, Exit::Bind);
        assert_eq!(Failure::from(server::Error::Taken("/x".into())).exit, Exit::Bind);
        assert_eq!(Failure::from(bind(io::ErrorKind::PermissionDenied)).exit, Exit::Permission);
        let path = |kind: io::ErrorKind| server::Error::Path { what: "storage.path", path: "/x/y".into(), cause: kind.into() };
        assert_eq!(Failure::from(path(io::ErrorKind::NotFound)).exit, Exit::InvalidConfig);
        assert_eq!(Failure::from(path(io::ErrorKind::PermissionDenied)).exit, Exit::Permission);
    }

    #[test]
    fn a_config_shows_every_fault_and_exits_78() {
        let mut faults = Faults::default();
        let location = |line| Location::File { path: "a.toml".into(), line, column: 1 };
        faults.add(&location(5), "unknown key `timout`", "timeout = \"10s\"");
        faults.add(&location(9), "unknown type", Remedy::ours("dialects show aioka"));
        let failure = Failure::from(faults);
        assert_eq!(failure.exit, Exit::InvalidConfig);
        let expected = "error: unknown key `timout`   a.toml:5:1\n  try: timeout = \"10s\"\n\
                        error: unknown type   a.toml:9:1\n  try: hookwheel dialects show aioka";
        assert_eq!(failure.human(&Called::default()), expected);
        let read: serde_json::Value = serde_json::from_str(&failure.json(&Called::default())).expect("JSON");
        assert_eq!(read["error"]["code"], "config");
        assert_eq!(read["error"]["errors"][1]["place"], "a.toml:9:1");
    }

    #[test]
    fn a_hint_lists_a_folder_that_is_there() {
        let looked = |path: &Path| look(path).line(&Called::default());
        assert_eq!(looked(Path::new("a.redb").parent().expect("a folder")), "ls -ld .");
        assert_eq!(looked(Path::new("none.redb")), "ls -la .", "what is not there cannot be listed");
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(looked(&folder.path().join("no/such/file")), format!("ls -la {}", folder.path().display()));
    }

    #[test]
    fn a_file_that_may_not_be_read_is_a_matter_of_permission() {
        let denied = file_failure("read", Path::new("/x"), &io::ErrorKind::PermissionDenied.into());
        assert_eq!(denied.exit, Exit::Permission);
        assert!(denied.human(&Called::default()).contains("cannot read /x: permission denied\n  try: ls -la /"), "{denied:?}");
        assert_eq!(file_failure("read", Path::new("/x"), &io::ErrorKind::NotFound.into()).exit, Exit::Usage);
    }
}

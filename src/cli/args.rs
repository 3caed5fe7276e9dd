//! Arguments that several commands share, and how their text becomes typed.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::client::{Error, Service};
use super::output::exit::Failure;
use super::output::fate::file_failure;
use super::output::hint::Hint;
use crate::clock;
use crate::config::Flag;
use crate::config::moment::parse_moment;
use crate::domain::event::check_idempotency_key;
use crate::domain::id::is_name;
use crate::domain::id::uid::{Uid, is_id_or_uid};
use crate::domain::rate::{NoRate, Rate};
use crate::domain::time::Timestamp;
use crate::domain::units::parse_duration;
use crate::domain::webhook::pattern::{Pattern, check_type_name};

/// Which service is asked.
#[derive(Args, Clone, Debug)]
pub(crate) struct Reach {
    /// The service's admin socket [default: $HOOKWHEEL_SOCKET, else /run/hookwheel/admin.sock, else that of `dev`]
    #[arg(long, value_name = "PATH", help_heading = SERVICE)]
    pub(crate) socket: Option<OsString>,
}

impl Reach {
    pub(crate) fn service(&self) -> Result<Service, Error> {
        self.service_for(None)
    }

    pub(crate) fn service_for(&self, tenant: Option<&str>) -> Result<Service, Error> {
        // An empty variable is as good as none.
        let named = self.socket.clone().or_else(|| env::var_os(SOCKET_VARIABLE)).filter(|path| !path.is_empty());
        Service::new(named.map(PathBuf::from), tenant)
    }
}

/// Which service is asked, and for which tenant.
#[derive(Args, Clone, Debug)]
pub(crate) struct Target {
    #[command(flatten)]
    pub(crate) reach: Reach,

    /// The tenant; to publish and to list, PROVIDER/* is all of a provider's. Ids of webhooks and deliveries are found in every tenant [default: default/default]
    #[arg(long, value_name = "PROVIDER/TENANT", value_parser = tenant, help_heading = SERVICE)]
    pub(crate) tenant: Option<String>,
}

impl Target {
    /// The tenant that was named, else the default one. It may be `PROVIDER/*`.
    pub(crate) fn tenant(&self) -> &str {
        self.tenant.as_deref().unwrap_or(DEFAULT_TENANT)
    }

    /// Whether all tenants of a provider were named.
    pub(crate) fn is_many(&self) -> bool {
        self.tenant().ends_with("/*")
    }

    pub(crate) fn service(&self) -> Result<Service, Error> {
        self.reach.service_for(self.tenant.as_deref())
    }

    /// As [`Self::service`], for a command about one tenant. Where all tenants of a provider were named, it is a usage error.
    pub(crate) fn service_of_one(&self) -> Result<Service, Failure> {
        if self.is_many() {
            let message = format!("`--tenant {}` names all tenants of a provider, and this is for one of them", self.tenant());
            return Err(Failure::usage(message, Hint::tenants("webhooks list")));
        }
        Ok(self.service()?)
    }
}

/// Checks `PROVIDER/TENANT` or `PROVIDER/*`.
pub(crate) fn tenant(text: &str) -> Result<String, String> {
    match text.split_once('/') {
        Some((provider, tenant)) if is_name(provider) && (tenant == "*" || is_id_or_uid(tenant)) => Ok(text.to_owned()),
        _ => {
            Err("a tenant is PROVIDER/TENANT, as in acme/customer-1: a name of 1 to 64 of A-Za-z0-9_-, and an id or a uid".into())
        }
    }
}

/// Reads `PROVIDER/TENANT`.
pub(crate) fn one_tenant(text: &str) -> Result<(String, String), String> {
    match tenant(text)?.split_once('/') {
        Some((provider, tenant)) if tenant != "*" => Ok((provider.into(), tenant.into())),
        _ => Err("this is about one tenant, as in acme/customer-1".into()),
    }
}

/// Checks an id or a provider's name, which a path or a header can hold without escapes.
pub(crate) fn id(text: &str) -> Result<String, String> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("an id is 1 to 64 of A-Za-z0-9_-".into()) }
}

/// Checks an id or a uid.
pub(crate) fn id_or_uid(text: &str) -> Result<String, String> {
    if is_id_or_uid(text) { Ok(text.to_owned()) } else { Err("an id or a uid is 1 to 256 of A-Za-z0-9-_.".into()) }
}

/// Checks a uid.
pub(crate) fn uid(text: &str) -> Result<String, String> {
    Uid::parse(text).map(|uid| uid.to_string()).map_err(|reason| format!("a uid {reason}"))
}

/// Checks the name of an event type.
pub(crate) fn event_type(text: &str) -> Result<String, &'static str> {
    check_type_name(text).map(|()| text.to_owned())
}

/// Checks a pattern of event types: a name, `prefix.*` or `*`.
pub(crate) fn event_types(text: &str) -> Result<String, &'static str> {
    Pattern::parse(text).map(|_| text.to_owned())
}

/// Checks an idempotency key, by which a publication can be repeated without doubling it.
pub(crate) fn idempotency_key(text: &str) -> Result<String, &'static str> {
    check_idempotency_key(text).map(|()| text.to_owned())
}

/// Reads a duration, as in `10m`, `30s` or `1h30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|wrong| format!("{wrong}; a duration is written as in 30s, 5m or 1h30m"))
}

/// Reads a time in RFC 3339, and prints it as the API reads it.
pub(crate) fn time(text: &str) -> Result<String, String> {
    Timestamp::parse_rfc3339(text).map(Timestamp::rfc3339_micros).map_err(|wrong| format!("it {wrong}"))
}

/// Reads a rate, as in `1000/s`.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    text.parse().map_err(|wrong: NoRate| format!("it {wrong}"))
}

/// Reads a time in RFC 3339, or how long from now it is, as in `30d`, and prints it as the API reads it.
pub(crate) fn to_come(text: &str) -> Result<String, String> {
    match parse_duration(text) {
        Ok(wait) => Ok((clock::now() + wait).rfc3339_micros()),
        Err(_) => time(text).map_err(|wrong| format!("{wrong}, nor how long from now, like 30d")),
    }
}

/// Checks a time, or how long ago it was, as in `10m`. The text stays as it is, so that the service counts from its own time.
pub(crate) fn when(text: &str) -> Result<String, String> {
    match text.strip_prefix('-').filter(|ago| parse_duration(ago).is_ok()) {
        Some(ago) => Err(format!("how long ago it was is written without a sign: {ago}")),
        None => parse_moment(text, Timestamp::EPOCH).map(|_| text.to_owned()).map_err(|wrong| format!("it {wrong}")),
    }
}

/// The bytes of an argument that is `@FILE`, `-` for stdin, or the text itself.
pub(crate) fn bytes(argument: &str) -> Result<Vec<u8>, Failure> {
    match (argument, argument.strip_prefix('@')) {
        ("-" | "@-", _) => stdin(),
        (_, Some(path)) => file(Path::new(path)),
        (text, None) => Ok(text.as_bytes().to_vec()),
    }
}

/// JSON given as `@FILE`, `-` or itself: the bytes stay as they are, white space at the ends aside.
pub(crate) fn json(argument: &str) -> Result<Box<RawValue>, Failure> {
    json_of("-d", argument)
}

/// The same for the value of another option, which an error names.
pub(crate) fn json_of(option: &str, argument: &str) -> Result<Box<RawValue>, Failure> {
    let source = if argument == "-" || argument.starts_with('@') { argument } else { "the argument" };
    let text = String::from_utf8(bytes(argument)?).map_err(|_| Failure::usage(format!("{source} is not UTF-8"), None))?;
    let forms = format!("  JSON is given as {option} '{{\"id\":\"in_1\"}}', as {option} @body.json, or as {option} - from stdin");
    let wrong = |error| Failure::usage(format!("{source} is not JSON: {error}\n{forms}"), None);
    serde_json::from_str(&text).map_err(wrong)
}

/// The bytes of a file, `-` for stdin.
pub(crate) fn document(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new("-") { stdin() } else { file(path) }
}

/// A secret from a file, `-` for stdin; one line end is cut.
pub(crate) fn secret(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let read = document(path)?;
    let not_text = |_| Failure::usage(format!("{} is not text; it should hold the secret alone", path.display()), None);
    let mut text = Zeroizing::new(String::from_utf8(read).map_err(not_text)?);
    for end in ["\n", "\r"] {
        if text.ends_with(end) {
            text.pop();
        }
    }
    match text.is_empty() {
        true => Err(Failure::usage(format!("{} is empty; it should hold the secret, on one line", path.display()), None)),
        false => Ok(text),
    }
}

fn file(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| file_failure("read", path, &error))
}

fn stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.map(|_| bytes).map_err(|error| file_failure("read", Path::new("stdin"), &error))
}

/// The tenant of top-level webhooks in the config file, and of `dev`.
pub(crate) const DEFAULT_TENANT: &str = "default/default";

/// The variable that names the admin socket for all commands of a shell.
pub(crate) const SOCKET_VARIABLE: &str = "HOOKWHEEL_SOCKET";

const SERVICE: &str = "Service";

/// Values of the config that are given on the command line, and win over environment and files.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    /// Where to listen, instead of at server.listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,

    /// The admin socket, instead of server.admin_socket
    #[arg(long, value_name = "PATH")]
    admin_socket: Option<String>,

    /// The store's file, instead of storage.path
    #[arg(long, value_name = "FILE")]
    storage: Option<String>,
}

impl Flags {
    /// The flags that were given, as the keys they stand for.
    pub(crate) fn given(&self) -> Vec<Flag> {
        let all = [
            ("--listen", "server", "listen", &self.listen),
            ("--admin-socket", "server", "admin_socket", &self.admin_socket),
            ("--storage", "storage", "path", &self.storage),
        ];
        let given = all.into_iter().filter_map(|(name, section, key, value)| Some((name, section, key, value.clone()?)));
        given.map(|(name, section, key, value)| Flag { name, section, key, value }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::exit::Exit;
    use crate::cli::output::hint::Called;

    #[test]
    fn a_tenant_has_a_provider() {
        for good in ["default/default", "acme/*", "a-1/B_2"] {
            assert_eq!(tenant(good).as_deref(), Ok(good));
        }
        for bad in ["", "acme", "acme/", "/x", "*/x", "a/b/c", "a b/c"] {
            assert!(tenant(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_a_path() {
        assert!(id("dlv_01J").is_ok());
        for bad in ["", "..", "a/b", "a?b", "a b"] {
            assert!(id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_event_types_and_keys_are_never_blank() {
        assert!(event_type("invoice.paid").is_ok() && event_types("invoice.*").is_ok() && idempotency_key("a b").is_ok());
        for bad in ["", " "] {
            assert!(event_type(bad).is_err() && event_types(bad).is_err() && idempotency_key(bad).is_err(), "{bad:?}");
        }
        assert!(event_type("invoice.*").is_err() && event_types("invoice*").is_err());
        assert!(idempotency_key("ä").is_err() && idempotency_key(&"k".repeat(256)).is_err());
    }

    #[test]
    fn a_time_is_a_moment_or_how_long_ago() {
        assert_eq!(when("2026-03-01T10:02:11Z").as_deref(), Ok("2026-03-01T10:02:11Z"));
        assert_eq!(when("10m").as_deref(), Ok("10m"));
        assert_eq!(time("2026-03-01T12:02:11+02:00").as_deref(), Ok("2026-03-01T10:02:11.000000Z"));
        let told = |wrong: Result<String, String>, word: &str| wrong.is_err_and(|wrong| wrong.contains(word));
        assert!(told(when("-10m"), "without a sign: 10m"));
        assert!(told(when("yesterday"), "nor how long ago, like 10m") && told(when("30"), "it has no unit"));
        assert!(told(time("10m"), "an RFC 3339 time like") && told(time("1969-12-31T23:59:59Z"), "9999-12-30T22:00:00Z"));
    }

    #[test]
    fn a_time_to_come_is_a_moment_or_how_long_from_now() {
        assert_eq!(to_come("2100-01-01T00:00:00Z").as_deref(), Ok("2100-01-01T00:00:00.000000Z"));
        let in_a_day = Timestamp::parse_rfc3339(&to_come("24h").expect("a duration")).expect("a time");
        assert!(in_a_day > clock::now() + Duration::from_secs(86_000));
        assert!(to_come("soon").is_err_and(|wrong| wrong.contains("like 30d")));
    }

    #[test]
    fn a_wrong_duration_is_told_with_its_reason_and_form() {
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("30"), Err("it has no unit; a duration is written as in 30s, 5m or 1h30m".into()));
    }

    #[test]
    fn json_stays_byte_for_byte() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("body.json");
        let text = r#"{"n": 1e999, "s": "\ud800", "d": 0.10000000000000000000000000001}"#;
        fs::write(&path, format!("{text}\n")).expect("written");
        assert_eq!(json(&format!("@{}", path.display())).expect("JSON").get(), text);
        assert_eq!(json("[1]").expect("JSON").get(), "[1]");
    }

    #[test]
    fn data_that_is_not_json_is_wrong_usage() {
        let failure = json("{id:1}").expect_err("no JSON");
        assert_eq!(failure.exit, Exit::Usage);
        let said = failure.human(&Called::default());
        assert!(said.starts_with("error: the argument is not JSON: key must be a string at line 1 column 2\n"), "{said}");
        assert_eq!(json("@/nowhere/x").expect_err("no file").exit, Exit::Usage);
    }

    #[test]
    fn one_line_end_of_a_secret_is_cut() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        for (written, expected) in
            [("whsec_1\n", "whsec_1"), ("whsec_1\r\n", "whsec_1"), ("whsec_1", "whsec_1"), (" a \n\n", " a \n")]
        {
            fs::write(&path, written).expect("written");
            assert_eq!(secret(&path).expect("a secret").as_str(), expected);
        }
        fs::write(&path, "\n").expect("written");
        assert_eq!(secret(&path).expect_err("empty").exit, Exit::Usage);
    }
}

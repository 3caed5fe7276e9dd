//! Reads `[server]`, `[storage]` and `[delivery]`: their keys, defaults and bounds.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::section::{Section, quoted, quoted_list};
use super::value::{Wrong, string};
use crate::budget::{BYTES_DEFAULT, BYTES_LEAST, BYTES_MOST};
use crate::config::checked::{Backup, Delivery, Log, LogFormat, LogLevel, Server, Storage, Tls};
use crate::config::fault::{Faults, Location, Placed};
use crate::config::site::{Host, Site};
use crate::config::source::document::Table;
use crate::config::source::pem;
use crate::config::source::shape::Shape;
use crate::domain::units::{Size, duration_text};
use crate::domain::webhook::egress::{ByProxy, Proxy};

/// Every key of the three tables, in the order of the documentation. The environment variables are named after them.
pub(crate) const KEYS: [(&str, &[&str]); 3] = [
    (
        "server",
        &[
            "listen",
            "public_url",
            "hosts",
            "tls_cert",
            "tls_key",
            "admin_socket",
            "log_format",
            "log_level",
            "metrics_allow",
            "audit_retention",
        ],
    ),
    ("storage", &["path", "retention", "max_bytes", "backup"]),
    (
        "delivery",
        &[
            "in_flight",
            "in_flight_per_endpoint",
            "memory",
            "connect_timeout",
            "response_capture",
            "allow_private",
            "ca_file",
            "resolvers",
            "proxy",
            "danger_allow_http",
            "connection_idle",
            "rotation_overlap",
        ],
    ),
];

/// Reads `[server]`.
pub(crate) fn server(mut section: Section<'_>) -> Server {
    let listen = section.table.address("listen", section.faults);
    let listen = section.note("listen", listen, LISTEN, |listen| quoted(listen)).value;
    let (public_url, hosts) = (public_url(&mut section), hosts(&mut section));
    let tls = tls(&mut section);
    let admin_socket = section.path("admin_socket", ADMIN_SOCKET);
    check_socket(&mut section, &admin_socket);
    let format = section.choice("log_format", &LogFormat::NAMES);
    let level = section.choice("log_level", &LogLevel::NAMES);
    let metrics_allow = networks(&mut section, "metrics_allow");
    let audit_retention = section.duration("audit_retention", 90 * DAY, DAY..=3_650 * DAY);
    section.finish();
    let log = Log { format, level };
    Server { listen, tls, admin_socket: admin_socket.value, log, audit_retention, metrics_allow, public_url, hosts }
}

fn public_url(section: &mut Section<'_>) -> Option<Site> {
    section.faults.record(&section.table.path, "public_url", || Shape::Text);
    let taken = section.table.take("public_url", section.faults, |value, _| {
        let text = string(value, PUBLIC_URL_EXAMPLE)?;
        Site::parse(&text).map_err(|why| Wrong::new(format!("holds `{text}`, which {why}"), PUBLIC_URL_EXAMPLE))
    });
    let placed = taken.map(|site| site.map(Some));
    section.note("public_url", placed, None, |site| site.as_ref().map_or_else(String::new, quoted)).value
}

fn hosts(section: &mut Section<'_>) -> Vec<Host> {
    section.faults.record(&section.table.path, "hosts", || Shape::list(Shape::Text));
    let hosts = section.table.list("hosts", section.faults, HOSTS_EXAMPLE, |value| {
        let text = string(value, format!("hosts = {HOSTS_EXAMPLE}"))?;
        Host::parse(&text).map_err(|why| Wrong::new(format!("holds `{text}`, which {why}"), format!("hosts = {HOSTS_EXAMPLE}")))
    });
    let hosts = hosts.map(|list| list.map(|items| items.into_iter().map(|item| item.value).collect()));
    section.note("hosts", hosts, Vec::new(), |hosts| quoted_list(hosts)).value
}

fn tls(section: &mut Section<'_>) -> Option<Tls> {
    let cert = section.optional_path("tls_cert");
    let key = section.optional_path("tls_key");
    let chain = cert.as_ref().and_then(|cert| pem::certificates(cert, section.faults));
    let private = key.as_ref().and_then(|key| pem::private_key(key, section.faults));
    match (cert, key) {
        (Some(cert), Some(key)) => pem::tls((&cert, chain?), (&key, private?), section.faults),
        (Some(cert), None) => half_tls(section, &cert.location, "tls_cert", "tls_key"),
        (None, Some(key)) => half_tls(section, &key.location, "tls_key", "tls_cert"),
        (None, None) => None,
    }
}

fn half_tls(section: &mut Section<'_>, location: &Location, given: &str, missing: &str) -> Option<Tls> {
    section.faults.add(location, format!("`{given}` is given without `{missing}`"), format!("{missing} = \"tls/{missing}.pem\""));
    None
}

fn check_socket(section: &mut Section<'_>, socket: &Placed<PathBuf>) {
    let bytes = socket.value.as_os_str().len();
    if bytes > SOCKET_PATH_BYTES_MAX {
        let message = format!("`admin_socket` has {bytes} bytes; a socket's path has at most {SOCKET_PATH_BYTES_MAX}");
        section.faults.add(&socket.location, message, format!("admin_socket = \"{ADMIN_SOCKET}\""));
    }
}

/// Reads `[storage]`.
pub(crate) fn storage(mut section: Section<'_>) -> Storage {
    let storage = Storage {
        path: section.path("path", STORE).value,
        retention: section.duration("retention", 7 * DAY, SECOND..=3_650 * DAY),
        max_bytes: section.size("max_bytes", MAX_BYTES, MAX_BYTES_LEAST..=MAX_BYTES_MOST),
        backup: backup(&mut section),
    };
    section.finish();
    storage
}

fn backup(section: &mut Section<'_>) -> Option<Backup> {
    let table = section.table.table("backup", section.faults);
    let location = table.as_ref().map_or(Location::Default, |table| table.location.clone());
    let read = table.and_then(|table| backup_table(table, section.faults));
    let placed = read.map(|backup| Placed::new(Some(backup), location));
    section.note("backup", placed, None, |backup| backup.as_ref().map_or_else(String::new, backup_text)).value
}

fn backup_table(mut table: Table, faults: &mut Faults) -> Option<Backup> {
    if !table.has("folder") {
        table.missing("folder", "\"/var/lib/hookwheel/backups\"", faults);
    }
    let folder = table.path("folder", faults);
    let every = table.duration("every", BACKUP_EVERY_LEAST..=30 * DAY, faults);
    let keep = table.integer("keep", 1..=BACKUPS_KEPT_MOST, faults);
    table.finish(faults);
    Some(Backup {
        every: every.map_or(DAY, |every| every.value),
        folder: folder?.value,
        keep: usize_of(keep.map_or(BACKUPS_KEPT, |keep| keep.value)),
    })
}

/// The table as TOML writes it.
fn backup_text(backup: &Backup) -> String {
    let (every, folder) = (quoted(duration_text(backup.every)), quoted(backup.folder.display()));
    format!("{{ every = {every}, folder = {folder}, keep = {} }}", backup.keep)
}

/// Reads `[delivery]`.
pub(crate) fn delivery(mut section: Section<'_>) -> Delivery {
    let (in_flight, in_flight_per_endpoint) = in_flight(&mut section);
    let delivery = Delivery {
        in_flight,
        in_flight_per_endpoint,
        memory: section.size("memory", Size(BYTES_DEFAULT), Size(BYTES_LEAST)..=Size(BYTES_MOST)),
        connect_timeout: section.duration("connect_timeout", 5 * SECOND, CONNECT_TIMEOUT_LEAST..=60 * SECOND),
        response_capture: section.size("response_capture", Size::kib(16), Size(0)..=RESPONSE_CAPTURE_MOST),
        allow_private: networks(&mut section, "allow_private"),
        ca_file: ca_file(&mut section),
        resolvers: resolvers(&mut section),
        proxy: proxy(&mut section),
        danger_allow_http: section.boolean("danger_allow_http", false),
        connection_idle: section.duration("connection_idle", DAY, SECOND..=30 * DAY),
        rotation_overlap: section.duration("rotation_overlap", DAY, Duration::ZERO..=30 * DAY),
    };
    section.finish();
    delivery
}

/// The limits of attempts at once: over all endpoints, and for one endpoint, which is never higher.
fn in_flight(section: &mut Section<'_>) -> (usize, usize) {
    let all = section.count("in_flight", IN_FLIGHT, 1..=IN_FLIGHT_MOST).value;
    let one = section.count("in_flight_per_endpoint", IN_FLIGHT_PER_ENDPOINT.min(all), 1..=IN_FLIGHT_MOST);
    if one.value > all {
        let message = format!("`in_flight_per_endpoint` is {}, more than `in_flight`, which is {all}", one.value);
        section.faults.add(&one.location, message, format!("in_flight_per_endpoint = {}", IN_FLIGHT_PER_ENDPOINT.min(all)));
    }
    (usize_of(all), usize_of(one.value))
}

fn usize_of(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn networks(section: &mut Section<'_>, key: &str) -> Vec<IpNet> {
    let networks = section.table.networks(key, section.faults);
    section.note(key, networks, Vec::new(), |networks| quoted_list(networks)).value
}

fn ca_file(section: &mut Section<'_>) -> Option<PathBuf> {
    let file = section.optional_path("ca_file")?;
    pem::trusted_certificates(&file, section.faults);
    Some(file.value)
}

/// The proxy for all webhooks. It is shown with a masked password.
fn proxy(section: &mut Section<'_>) -> Option<Arc<ByProxy>> {
    let taken = section.table.take("proxy", section.faults, |value, _| {
        let text = string(value, PROXY_EXAMPLE)?;
        Proxy::parse(&text).map_err(|why| Wrong::new(why, PROXY_EXAMPLE))
    });
    let placed = taken.map(|proxy| proxy.map(|proxy| Some(Arc::new(ByProxy::Through(proxy.of_operator())))));
    let masked = |by: &Option<Arc<ByProxy>>| match by.as_deref() {
        Some(ByProxy::Through(proxy)) => quoted(proxy.masked()),
        Some(ByProxy::Straight) | None => String::new(),
    };
    section.note("proxy", placed, None, masked).value
}

fn resolvers(section: &mut Section<'_>) -> Vec<SocketAddr> {
    let addresses = section.table.addresses("resolvers", DNS_PORT, section.faults);
    section.note("resolvers", addresses, Vec::new(), |addresses| quoted_list(addresses)).value
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// The default address is on loopback, so that nobody outside reaches a relay that was not opened to them.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

const ADMIN_SOCKET: &str = "/run/hookwheel/admin.sock";

/// The longest path of a socket: `sun_path` holds 108 bytes with the zero behind it (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

const STORE: &str = "/var/lib/hookwheel/hookwheel.redb";

/// The least time between two scheduled backups: each reads the whole store.
const BACKUP_EVERY_LEAST: Duration = Duration::from_secs(60);

/// How many scheduled backups stay: a week of daily ones.
const BACKUPS_KEPT: u64 = 7;

const BACKUPS_KEPT_MOST: u64 = 1_000;

const MAX_BYTES: Size = Size::gib(10);

/// The least bound of the store: one batch of 16 MiB, the largest request, must fit.
const MAX_BYTES_LEAST: Size = Size::mib(16);

const MAX_BYTES_MOST: Size = Size::gib(64 * 1024);

/// Attempts at once over all endpoints. At some 16 KiB each they take 64 MiB.
const IN_FLIGHT: u64 = 4096;

/// The highest bound of attempts at once: each needs a port and a file descriptor.
const IN_FLIGHT_MOST: u64 = 65_535;

/// Attempts at once to one endpoint: 160 deliveries a second where an endpoint answers in 100 ms, and too few to hurt one.
pub(crate) const IN_FLIGHT_PER_ENDPOINT: u64 = 16;

/// The least time limit for connecting: less fails over any distance.
const CONNECT_TIMEOUT_LEAST: Duration = Duration::from_millis(10);

/// The highest bound of a response's body that is kept. It is in memory for each attempt under way, and then in the log.
const RESPONSE_CAPTURE_MOST: Size = Size::mib(1);

const DNS_PORT: u16 = 53;

const PUBLIC_URL_EXAMPLE: &str = "public_url = \"https://hooks.example.com\"";

const HOSTS_EXAMPLE: &str = "[\"hooks.internal\"]";

const PROXY_EXAMPLE: &str = "proxy = \"http://proxy.internal:3128\"";

//! The config as it is meant: plain data, every value within its bounds, every secret read.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rustls::sign::CertifiedKey;

use crate::config::site::{Host, Site};
use crate::domain::access::{KeyHash, Scopes};
use crate::domain::dialect::{Dialect, UnknownTypes};
use crate::domain::schema::Validate;
use crate::domain::webhook::egress::ByProxy;
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::WebhookSettings;

use super::fault::Location;
use super::source::places::Places;
use crate::domain::rate::Rate;
use crate::domain::units::Size;

/// Everything that one set of files, environment and flags says.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) storage: Storage,
    pub(crate) delivery: Delivery,
    pub(crate) operator: Operator,
    /// The providers in the order of the files. Where there are top-level webhooks, the provider `default` is among them.
    pub(crate) providers: Vec<Provider>,
    /// The dialects by name: those that are built in, and those of the files.
    pub(crate) dialects: BTreeMap<String, Arc<Dialect>>,
    /// Every single value of `[server]`, `[storage]`, `[delivery]` and where it comes from, for `config show` and reload.
    pub(crate) settings: Vec<Setting>,
    /// Where each key of the files stands, for `config show`.
    pub(crate) places: Places,
    /// The files that were read, in their order.
    pub(crate) files: Vec<PathBuf>,
    /// Those of the files that hold credentials and that everyone can read.
    pub(crate) exposed: Vec<PathBuf>,
}

/// `[server]`: where the relay is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) listen: SocketAddr,
    pub(crate) tls: Option<Tls>,
    pub(crate) admin_socket: PathBuf,
    pub(crate) log: Log,
    /// How long a row of the audit log is kept.
    pub(crate) audit_retention: Duration,
    /// From where `/metrics` is answered without a key.
    pub(crate) metrics_allow: Vec<IpNet>,
    /// The URL of the dashboard as people type it. `None`: the address that is listened on.
    pub(crate) public_url: Option<Site>,
    /// Further hosts that the dashboard answers to.
    pub(crate) hosts: Vec<Host>,
}

/// Which events the log holds, and in which form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) level: LogLevel,
}

/// The form of the log's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Text, without time and level where it goes to journald, which adds them itself.
    #[default]
    Auto,
    /// Text with time and level, wherever it goes.
    Text,
    /// JSON, one object a line.
    Json,
}

/// The lowest level of events that are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl LogFormat {
    pub(crate) const NAMES: [(&'static str, Self); 3] = [("auto", Self::Auto), ("text", Self::Text), ("json", Self::Json)];
}

impl LogLevel {
    pub(crate) const NAMES: [(&'static str, Self); 5] =
        [("error", Self::Error), ("warn", Self::Warn), ("info", Self::Info), ("debug", Self::Debug), ("trace", Self::Trace)];

    /// Finds a level by its name, as `HOOKWHEEL_LOG` names it.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, level)| level)
    }
}

/// A certificate chain and the private key that fits its first certificate.
#[derive(Clone)]
pub(crate) struct Tls(pub(crate) Arc<CertifiedKey>);

/// Two are equal when their chains are: a key fits one certificate alone.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.0.cert == other.0.cert
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({} certificates)", self.0.cert.len())
    }
}

/// `[storage]`: where the events are and how long they stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Storage {
    pub(crate) path: PathBuf,
    /// How long a finished delivery is kept, counted from its end.
    pub(crate) retention: Duration,
    /// The most bytes of allocated pages that the store may have.
    pub(crate) max_bytes: Size,
    /// When backups are made by themselves. `None`: only when asked for.
    pub(crate) backup: Option<Backup>,
}

/// `backup` of `[storage]`: backups that are made by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backup {
    /// The time from the begin of one to the begin of the next.
    pub(crate) every: Duration,
    /// The folder that they are written to.
    pub(crate) folder: PathBuf,
    /// How many stay; the oldest goes when there are more. At least 1.
    pub(crate) keep: usize,
}

/// `[delivery]`: how the relay reaches others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Delivery {
    /// The most attempts at once, over all endpoints.
    pub(crate) in_flight: usize,
    /// The most attempts at once to one endpoint; never above `in_flight`.
    pub(crate) in_flight_per_endpoint: usize,
    /// The most bytes of events, requests and answers that are in memory at once.
    pub(crate) memory: Size,
    /// The time limit for each of DNS, TCP and TLS.
    pub(crate) connect_timeout: Duration,
    /// The most bytes of a response's body that are read and kept.
    pub(crate) response_capture: Size,
    /// Networks that may be reached besides public addresses.
    pub(crate) allow_private: Vec<IpNet>,
    /// A file of PEM certificates that are trusted besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Name servers; empty: those of the system.
    pub(crate) resolvers: Vec<SocketAddr>,
    /// What attempts go through, unless their webhook says otherwise.
    pub(crate) proxy: Option<Arc<ByProxy>>,
    pub(crate) danger_allow_http: bool,
    /// How long a connection of the API stays open without an event.
    pub(crate) connection_idle: Duration,
    /// How long an old secret signs beside a new one.
    pub(crate) rotation_overlap: Duration,
}

/// `[operator]`: who runs the relay, and where it tells them of trouble.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operator {
    pub(crate) keys: Vec<Key>,
    pub(crate) notify_url: Option<String>,
    pub(crate) notify_secret: Option<Secret>,
}

/// `[[provider]]`: a system that emits events and speaks one dialect.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) dialect: String,
    /// What becomes of event types that the catalogue does not have; absent: the dialect says it.
    pub(crate) unknown_types: Option<UnknownTypes>,
    /// What becomes of an event whose data does not match the schema of its type.
    pub(crate) validate: Validate,
    /// Whether an event for a tenant that does not exist makes it.
    pub(crate) create_tenants: bool,
    /// Which of the last three the file sets. The API may not change those.
    pub(crate) sets: Vec<&'static str>,
    pub(crate) keys: Vec<Key>,
    pub(crate) tenants: Vec<Tenant>,
}

/// `[[provider.tenant]]`: a customer of a provider.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) environment: String,
    /// How long its events and deliveries are kept; absent: as long as those of others.
    pub(crate) retention: Option<Duration>,
    /// How often an event may be published for it; absent: as often as the service takes them.
    pub(crate) rate_limit: Option<Rate>,
    pub(crate) keys: Vec<Key>,
    pub(crate) webhooks: Vec<Webhook>,
}

/// `[[provider.tenant.webhook]]`: a subscribed endpoint that the file owns.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) name: String,
    /// The URL in its canonical form.
    pub(crate) url: String,
    pub(crate) events: Vec<Pattern>,
    pub(crate) description: String,
    /// The secret; absent: the relay makes it.
    pub(crate) secret: Option<Secret>,
    pub(crate) settings: Arc<WebhookSettings>,
    /// Where its table begins, for the error that refuses a change.
    pub(crate) location: Location,
}

impl Webhook {
    /// The webhook's name for a person: `NAME` where provider and tenant are `default`, else `PROVIDER/TENANT/NAME`.
    pub(crate) fn full_name(&self, provider: &Provider, tenant: &Tenant) -> String {
        match (provider.name.as_str(), tenant.id.as_str()) {
            (DEFAULT_OWNER, DEFAULT_OWNER) => self.name.clone(),
            (provider, tenant) => format!("{provider}/{tenant}/{}", self.name),
        }
    }
}

/// A key from a file, as its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) hash: KeyHash,
    /// What a tenant's or a provider's key may do. An operator's key has [`Scopes::ALL`] and may do more than those.
    pub(crate) scopes: Scopes,
    /// How often a call may be made with it; absent: as often as the service takes them.
    pub(crate) rate_limit: Option<Rate>,
}

/// One value of the file's first three tables, as it is printed, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Section and key, as in `delivery.in_flight`.
    pub(crate) name: String,
    /// The value as TOML; empty when there is none.
    pub(crate) value: String,
    pub(crate) location: Location,
}

impl Config {
    /// All webhooks of the files, each with its provider and tenant.
    pub(crate) fn webhooks(&self) -> impl Iterator<Item = (&Provider, &Tenant, &Webhook)> {
        self.providers.iter().flat_map(|provider| {
            provider.tenants.iter().flat_map(move |tenant| tenant.webhooks.iter().map(move |webhook| (provider, tenant, webhook)))
        })
    }
}

/// Provider and tenant of the top-level `[[webhook]]` tables.
pub(crate) const DEFAULT_OWNER: &str = "default";

/// The dialect of top-level webhooks, and of a provider that names none.
pub(crate) const DEFAULT_DIALECT: &str = "standard";

/// The words of `unknown_types`: what becomes of event types that a provider's catalogue does not have.
pub(crate) const UNKNOWN_TYPES: [(&str, UnknownTypes); 2] = [("allow", UnknownTypes::Pass), ("refuse", UnknownTypes::Refuse)];

/// The words of `validate`: what becomes of an event whose data does not match the schema of its type.
pub(crate) const VALIDATE: [(&str, Validate); 3] =
    [("off", Validate::Off), ("warn", Validate::Warn), ("refuse", Validate::Refuse)];

//! `dev`: the relay on a laptop. It is the same service with a config of its own: loopback, no key, quick retries, one webhook.

use std::fs;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use url::Url;

use super::receiver::{self, Manners};
use super::run::{self, Bound, Plan, Running};
use super::signals::Signals;
use super::{Error, listen, logging, runtime};
use crate::api::Entrance;
use crate::clock;
use crate::config::checked::{Config, DEFAULT_DIALECT, DEFAULT_OWNER, Log, LogLevel, Provider, Tenant, Webhook};
use crate::config::fault::Location;
use crate::config::{self, Sources};
use crate::domain::delivery::retry::{Policy, Retry};
use crate::domain::dialect::Dialect;
use crate::domain::schema::Validate;
use crate::domain::time::Timestamp;
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::settings::WebhookSettings;
use crate::domain::webhook::target::{Guard, Schemes, Target};
use crate::store::{Fact, Owned};

/// The options of `dev`.
#[derive(Clone, Debug)]
pub(crate) struct DevOptions {
    pub(crate) listen: SocketAddr,
    /// The URL that deliveries go to; `None`: they go to the receiver inside.
    pub(crate) forward_to: Option<String>,
    /// The folder of the store; `None`: a folder that is removed at the end.
    pub(crate) data: Option<PathBuf>,
    /// The path of the admin socket; `None`: it lies in the data folder.
    pub(crate) socket: Option<PathBuf>,
    pub(crate) print_secret: bool,
    pub(crate) fail_rate: f64,
    pub(crate) latency: Duration,
    /// The level of the log, which goes to stderr beside what is shown.
    pub(crate) log_level: LogLevel,
}

/// Something to show to the person who runs `dev`.
#[derive(Debug)]
pub(crate) enum Seen {
    Ready(Ready),
    Fact(Fact),
    /// So many facts were left out, since they came faster than they were shown.
    Missed(u64),
}

/// A relay that is ready, as it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// The URL that it listens at, as in `http://127.0.0.1:8080`.
    pub(crate) address: String,
    pub(crate) forward: Forward,
    /// The folder of the store; `None`: the store is removed at the end.
    pub(crate) data: Option<String>,
    pub(crate) socket: String,
    /// The webhook's secret; `None`: nobody asked for it.
    pub(crate) secret: Option<String>,
    /// The name of the one webhook.
    pub(crate) webhook: &'static str,
    pub(crate) at: Timestamp,
    pub(crate) took: Duration,
}

/// Where deliveries go.
#[derive(Clone, Debug)]
pub(crate) enum Forward {
    /// Deliveries go to the receiver inside, at this URL.
    Inside(String),
    To {
        url: String,
        listening: bool,
    },
}

/// Runs until SIGINT or SIGTERM, or until `show` breaks.
pub(crate) fn dev(options: DevOptions, show: impl FnMut(Seen) -> ControlFlow<()> + Send + 'static) -> Result<(), Error> {
    let started = clock::steady();
    logging::set(Log { level: options.log_level, ..Log::default() });
    runtime()?.block_on(run_dev(options, started, show))
}

async fn run_dev(
    options: DevOptions,
    started: Instant,
    show: impl FnMut(Seen) -> ControlFlow<()> + Send + 'static,
) -> Result<(), Error> {
    // Signals are heard before a folder is made, so that a signal at any moment leaves no folder behind.
    let signals = Signals::new()?;
    let folder = DataFolder::make(options.data.clone())?;
    let mut inside = JoinSet::new();
    let forward = match &options.forward_to {
        Some(url) => Forward::To { url: url.clone(), listening: is_listening(url).await },
        None => Forward::Inside(start_receiver(&options, &mut inside).await?),
    };
    let socket = options.socket.clone().unwrap_or_else(|| folder.path().join("dev.sock"));
    let config = config(&options, folder.path(), &socket, &forward)?;
    let listener = listen::tcp(options.listen).await?;
    let address = listener.local_addr().map_err(Error::io("read the address of the listener"))?;
    let ready = Ready {
        address: format!("http://{address}"),
        forward,
        data: options.data.map(|data| data.display().to_string()),
        socket: socket.display().to_string(),
        secret: None,
        webhook: WEBHOOK,
        at: clock::now(),
        took: Duration::ZERO,
    };
    let plan = Plan { config, loader: None, entrance: Entrance::Dev };
    let told = Told { ready, started, print_secret: options.print_secret };
    run::run(plan, signals, Bound { listener, address }, move |running| tell(running, told, show)).await
}

struct Told {
    ready: Ready,
    started: Instant,
    print_secret: bool,
}

/// Shows what happens until `show` breaks.
fn tell(
    running: Running,
    told: Told,
    mut show: impl FnMut(Seen) -> ControlFlow<()> + Send + 'static,
) -> impl Future<Output = ()> + Send + 'static {
    let mut facts = running.store.facts();
    let Told { mut ready, started, print_secret } = told;
    ready.secret = print_secret.then(|| secret(&running)).flatten();
    ready.took = clock::steady().saturating_duration_since(started);
    async move {
        let mut seen = Seen::Ready(ready);
        while show(seen).is_continue() {
            seen = match facts.recv().await {
                Ok(fact) => Seen::Fact(fact),
                Err(RecvError::Lagged(count)) => Seen::Missed(count),
                Err(RecvError::Closed) => return,
            };
        }
    }
}

fn secret(running: &Running) -> Option<String> {
    let owned = Owned { provider: DEFAULT_OWNER.into(), tenant: DEFAULT_OWNER.into() };
    let webhook = running.store.webhooks_named(&owned, WEBHOOK).pop()?;
    webhook.signing(running.store.now()).first().map(|secret| secret.expose().to_owned())
}

/// The config that `dev` runs with: that of `serve`, but for a few settings.
fn config(options: &DevOptions, folder: &Path, socket: &Path, forward: &Forward) -> Result<Config, Error> {
    let nothing: [(String, String); 0] = [];
    let loaded = config::load(Sources { file: None, environment: nothing, flags: Vec::new() });
    let mut config = loaded.map_err(Error::Config)?;
    config.server.listen = options.listen;
    config.server.admin_socket = socket.into();
    config.storage.path = folder.join("hookwheel.redb");
    config.delivery.danger_allow_http = true;
    config.delivery.allow_private = LOOPBACK.iter().filter_map(|net| net.parse().ok()).collect();
    let url = match forward {
        Forward::Inside(url) | Forward::To { url, .. } => url,
    };
    allow_literal(&mut config, url);
    let standard = config.dialects.get(DEFAULT_DIALECT).map(|standard| Arc::new(hurried(standard)));
    config.dialects.extend(standard.map(|standard| (DEFAULT_DIALECT.to_owned(), standard)));
    config.providers = vec![provider(url)];
    Ok(config)
}

/// The networks that may be reached. `--forward-to http://192.168.1.5/` names an address, so that address is among them.
fn allow_literal(config: &mut Config, url: &str) {
    let host = Url::parse(url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    let literal = match host {
        Some(url::Host::Ipv4(ip)) => Some(ip.into()),
        Some(url::Host::Ipv6(ip)) => Some(ip.into()),
        _ => None,
    };
    config.delivery.allow_private.extend(literal.map(|ip: std::net::IpAddr| ipnet::IpNet::from(ip)));
}

/// The standard dialect with retries that come within minutes, so that a developer sees each of them.
fn hurried(standard: &Dialect) -> Dialect {
    let mut dialect = standard.clone();
    dialect.retry = Retry { policy: Policy::Schedule(SCHEDULE.to_vec()), jitter: 0.0 };
    dialect
}

fn provider(url: &str) -> Provider {
    let url = Target::parse(url, Schemes { http: true }, &Guard { allow: Vec::new(), own: Vec::new() })
        .map_or_else(|_| url.to_owned(), |target| target.url().to_owned());
    let webhook = Webhook {
        name: WEBHOOK.into(),
        url,
        events: vec![Pattern::All],
        description: "everything, made by hookwheel dev".into(),
        secret: None,
        settings: WebhookSettings::none(),
        location: Location::Default,
    };
    let (id, environment) = (DEFAULT_OWNER.into(), "Production".into());
    let tenant = Tenant { id, environment, retention: None, rate_limit: None, keys: Vec::new(), webhooks: vec![webhook] };
    let (name, dialect) = (DEFAULT_OWNER.into(), DEFAULT_DIALECT.into());
    Provider {
        name,
        dialect,
        unknown_types: None,
        validate: Validate::Off,
        create_tenants: false,
        sets: Vec::new(),
        keys: Vec::new(),
        tenants: vec![tenant],
    }
}

async fn start_receiver(options: &DevOptions, inside: &mut JoinSet<()>) -> Result<String, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::io("start the receiver inside"))?;
    let address = listener.local_addr().map_err(Error::io("start the receiver inside"))?;
    inside.spawn(receiver::serve(listener, Manners { fail_rate: options.fail_rate, latency: options.latency }));
    Ok(format!("http://{address}/"))
}

/// Whether anything answers at a URL's address now. It is shown at the start and decides nothing.
async fn is_listening(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let Some(port) = url.port_or_known_default() else { return false };
    let hosts: Vec<String> = match url.host_str() {
        Some("localhost") | None => vec!["127.0.0.1".into(), "[::1]".into()],
        Some(host) => vec![host.into()],
    };
    for host in hosts {
        let tried = tokio::net::TcpStream::connect(format!("{host}:{port}"));
        if matches!(tokio::time::timeout(LOOK, tried).await, Ok(Ok(_))) {
            return true;
        }
    }
    false
}

/// The folder of the store.
enum DataFolder {
    Kept(PathBuf),
    /// A folder that was made for this run, under a random name that nobody knew before. It is removed with the value.
    Ephemeral(TempDir),
}

impl DataFolder {
    fn make(kept: Option<PathBuf>) -> Result<Self, Error> {
        let Some(path) = kept else { return Self::ephemeral(&std::env::temp_dir()) };
        fs::create_dir_all(&path).map_err(Error::path("the data folder", &path))?;
        Ok(Self::Kept(path))
    }

    fn ephemeral(within: &Path) -> Result<Self, Error> {
        let private = fs::Permissions::from_mode(0o700);
        let made = tempfile::Builder::new().prefix("hookwheel-dev-").permissions(private).tempdir_in(within);
        made.map(Self::Ephemeral).map_err(Error::path("the folder for temporary files", within))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Ephemeral(folder) => folder.path(),
        }
    }
}

/// The one webhook of `dev`.
const WEBHOOK: &str = "dev";

const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

const SCHEDULE: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120), Duration::from_secs(300)];

const LOOK: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ephemeral_folder_is_private_new_and_gone_at_the_end() {
        let within = tempfile::tempdir().expect("a folder");
        let [one, other] = [(); 2].map(|()| DataFolder::ephemeral(within.path()).expect("made"));
        assert_ne!(one.path(), other.path());
        let mode = fs::metadata(one.path()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        fs::write(one.path().join("a"), "").expect("written");
        drop((one, other));
        assert_eq!(fs::read_dir(within.path()).expect("read").count(), 0);
    }
}

//! One life of the service, from the opened store to the closed one.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{error, info, warn};

use super::loader::Loader;
use super::reload::{Reloader, warn_of_dangers};
use super::signals::Signals;
use super::watch::{backup, disk, files, lateness};
use super::{Error, descriptors, dump, listen, notify, paths, wiring};
use crate::api::{self, Api, Entrance, Listener, ReloadAsk, Stage, Stop};
use crate::clock;
use crate::config::checked::Config;
use crate::deliver::pump::Pump;
use crate::domain::exit::STORE_IO;
use crate::store::{self, Actor, Origin, Store};

/// A service to run.
pub(super) struct Plan {
    pub(super) config: Config,
    /// The sources that a reload reads; `None`: there is nothing to reload.
    pub(super) loader: Option<Loader>,
    /// How callers at the TCP listener are told apart.
    pub(super) entrance: Entrance,
}

/// A running service, as it is given to whoever waits until it is ready.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) store: Store,
}

type ReloadAsks = mpsc::Receiver<ReloadAsk>;

/// Runs a service until SIGTERM, SIGINT, or the end of `ready`, which is called when deliveries flow.
pub(super) async fn until_signal<R, F>(plan: Plan, ready: R) -> Result<(), Error>
where
    R: FnOnce(Running) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let signals = Signals::new()?;
    let listener = listen::tcp(plan.config.server.listen).await?;
    let address = listener.local_addr().map_err(Error::io("read the address of the listener"))?;
    run(plan, signals, Bound { listener, address }, ready).await
}

/// A listener and its address.
pub(super) struct Bound {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
}

/// Runs a service like [`until_signal`], at a listener that is bound already and with signals that are heard already.
pub(super) async fn run<R, F>(plan: Plan, mut signals: Signals, bound: Bound, ready: R) -> Result<(), Error>
where
    R: FnOnce(Running) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let Bound { listener, address } = bound;
    descriptors::raise();
    let config = &plan.config;
    descriptors::warn_if_few(config.delivery.in_flight);
    warn_of_dangers(config);
    // Checks that leave no trace come before those that make files.
    paths::check(config)?;
    let attempts = wiring::pump(config, &[address])?;
    listen::look_at_admin(&config.server.admin_socket)?;
    let (store, unstarted) = Store::open(&options(config))?;
    store.metrics().gauges.reloaded(Some(clock::now()));
    let socket = listen::admin(&config.server.admin_socket)?;
    let pump = Pump::new(store.clone(), attempts, tokio::runtime::Handle::current());
    let committed = pump.clone();
    let file = wiring::file(config)?;
    let by = Origin { actor: Actor::file(&file.file), address: "".into(), call: "start".into() };
    // The store hears of the config before its writer starts, so that nothing is delivered by the config of the run before.
    let start = async { store.start(unstarted, Box::new(move |what| committed.committed(what)), broken) };
    let (synced, ()) = tokio::join!(biased; store.by(by).sync(file), start);
    synced.map_err(|denied| Error::io("write the config's webhooks")(std::io::Error::other(denied)))?;

    let settings = wiring::api(config, &[address]).expect("a checked config names known dialects alone");
    let (settings, seen) = watch::channel(Arc::new(settings));
    let (stop, stopped) = watch::channel(Stage::Serving);
    let (ask, asks) = mpsc::channel(4);
    let network = api::Limits::new(descriptors::plan(config.delivery.in_flight).connections);
    let api = Arc::new(Api::new(store.clone(), seen, ask, Stop::new(stopped.clone()), network));
    let mut serving = JoinSet::new();
    let (tls, tls_seen) = watch::channel(listen::tls(config));
    serving.spawn(api::serve(Listener::Tcp(listener, tls_seen), api.clone(), plan.entrance, Stop::new(stopped.clone())));
    serving.spawn(api::serve(Listener::Unix(socket), api.clone(), Entrance::Admin, Stop::new(stopped)));
    info!("listening on {}://{address}", if config.server.tls.is_some() { "https" } else { "http" });

    let mut watching = JoinSet::new();
    watching.spawn(files::watch(store.clone(), broken));
    watching.spawn(disk::watch(store.clone()));
    watching.spawn(lateness::watch(store.clone(), pump.clone()));
    watching.spawn(api::tell(api.clone()));
    let (backups, backups_seen) = watch::channel(config.storage.backup.clone());
    until_loaded(&store).await;
    notify::ready("ready");
    info!("ready");
    watching.spawn(store.clone().drive_replays());
    watching.spawn(backup::watch(store.clone(), backups_seen));
    let watcher = watching.spawn(ready(Running { store: store.clone() }));
    let admin_socket = config.server.admin_socket.clone();
    let reloader = Reloader {
        loader: plan.loader,
        config: Mutex::new(plan.config),
        store: store.clone(),
        pump: pump.clone(),
        settings,
        tls,
        backup: backups,
        own: vec![address],
    };
    attend(&mut signals, asks, &reloader, &watcher).await;
    drop(watching);
    shut_down(Parts { stop, serving, api, pump, store, admin_socket }, &mut signals).await;
    Ok(())
}

struct Parts {
    stop: watch::Sender<Stage>,
    serving: JoinSet<()>,
    api: Arc<Api>,
    pump: Arc<Pump>,
    store: Store,
    admin_socket: PathBuf,
}

/// Reloads when asked, until it is time to stop.
async fn attend(signals: &mut Signals, mut asks: ReloadAsks, reloader: &Reloader, watcher: &AbortHandle) {
    let mut look = tokio::time::interval(WATCHER_LOOK);
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => drop(reloader.reload_by_signal().await),
            Some(ReloadAsk { by, answer }) = asks.recv() => drop(answer.send(reloader.reload(by).await)),
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            _ = signals.user1.recv() => dump::log(&reloader.store, &reloader.pump),
            _ = look.tick() => {
                if watcher.is_finished() {
                    return;
                }
            }
        }
    }
}

/// Stops a service in less than 10 s. Publishing ends first, then attempts get their time, which a second signal cuts short.
async fn shut_down(mut parts: Parts, signals: &mut Signals) {
    notify::stopping();
    info!(in_flight = parts.pump.in_flight(), "stopping: no events are taken any more, attempts get 8 s");
    parts.stop.send_replace(Stage::Draining);
    parts.store.stop_backups();
    let all_left = tokio::time::timeout(PUBLISHERS_GET, parts.api.all_left());
    parts.pump.stop();
    tokio::select! {
        _ = async { tokio::join!(parts.pump.ended_within(ATTEMPTS_GET), all_left) } => {}
        () = signals.end() => warn!("asked twice: attempts are cut off and made again after the next start"),
    }
    let left = parts.pump.cut().await;
    parts.stop.send_replace(Stage::Closing);
    let all_served = async { while parts.serving.join_next().await.is_some() {} };
    if tokio::time::timeout(ANSWERS_GET, all_served).await.is_err() {
        parts.serving.abort_all();
    }
    let store = parts.store.clone();
    // This task cannot have panicked: a panic of the writer ends the process.
    drop(tokio::task::spawn_blocking(move || store.close()).await);
    drop(std::fs::remove_file(&parts.admin_socket));
    info!(attempts_again_later = left, "stopped");
}

/// Waits until all deliveries that are due are loaded: only then the service is ready.
async fn until_loaded(store: &Store) {
    while store.health().behind {
        tokio::time::sleep(LOADING_LOOK).await;
    }
}

/// Ends the process at once, since the store cannot be written: nothing more may be answered, and the next start recovers.
fn broken(cause: store::Error) {
    error!("the store cannot be written any more and the service ends at once: {cause}");
    std::process::exit(STORE_IO.into());
}

fn options(config: &Config) -> store::Options {
    store::Options {
        path: config.storage.path.clone(),
        credentials: credentials(),
        limits: wiring::limits(config),
        standard: wiring::standard(config),
        machine: store::Machine::default(),
    }
}

/// The folder of secrets that systemd gives the service, if it does.
pub(crate) fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// How long attempts under way may go on at a stop. Then they are cut, and those without an answer are made again after the next
/// start.
const ATTEMPTS_GET: Duration = Duration::from_secs(8);

/// How long publishers with an open connection get to ask once more and hear that the service stops. Without connections no time
/// passes.
const PUBLISHERS_GET: Duration = Duration::from_millis(500);

/// How long the answers under way get at a stop. They need no endpoint.
const ANSWERS_GET: Duration = Duration::from_millis(800);

/// The time between two looks at how far the due table is loaded.
const LOADING_LOOK: Duration = Duration::from_millis(2);

/// The time between two looks whether the reader of `dev` is gone, as in `dev | head`, which ends the service.
const WATCHER_LOOK: Duration = Duration::from_millis(500);

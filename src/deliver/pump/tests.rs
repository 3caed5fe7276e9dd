//! The pump with a store of its own and an endpoint on this machine.

use std::collections::HashSet;
use std::path::Path;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::config::dialect::read_all;
use crate::config::fault::Faults;
use crate::deliver::attempt::tests::PANICS_ONCE;
use crate::deliver::connect::{Connector, Options};
use crate::deliver::queues::Limits;
use crate::domain::delivery::outcome::Class;
use crate::domain::delivery::retry::{Policy, Retry};
use crate::domain::dialect::Dialect;
use crate::domain::webhook::endpoint::Definition;
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::settings::WebhookSettings;
use crate::domain::webhook::target::Guard;
use crate::store::{self, DesiredState, FileWebhook, Filter, Fit, Of, Owned, Publication, Space, View};

/// An endpoint that answers every request with 200.
async fn endpoint() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    port
}

fn dialect() -> Arc<Dialect> {
    let standard = read_all(Vec::new(), &mut Faults::default()).remove("standard").expect("compiled in");
    let retry = Retry { policy: Policy::Schedule(vec![Duration::from_millis(20)]), jitter: 0.0 };
    Arc::new(Dialect { retry, ..Dialect::clone(&standard) })
}

fn settings() -> Settings {
    let guard = Guard { allow: vec!["127.0.0.0/8".parse().unwrap()], own: Vec::new() };
    let options = Options { guard: guard.clone(), connect_timeout: PAUSE, resolvers: Vec::new(), ca_file: None };
    Settings {
        proxy: None,
        connector: Connector::new(options).unwrap(),
        guard,
        limits: Limits { in_flight: 8, per_endpoint: 4, kept: 4 },
        response_capture: 1_024,
        danger_allow_http: true,
    }
}

fn owned() -> Owned {
    Owned { provider: "acme".into(), tenant: "t1".into() }
}

/// Opens a store with one webhook, and starts a pump that delivers to it.
async fn start(folder: &Path, url: &str) -> (Store, Arc<Pump>) {
    let limits = store::Limits {
        retention: LOOK * 1_000,
        max_bytes: 1 << 30,
        connection_idle: LOOK,
        audit_retention: LOOK * 1_000,
        memory: 64 << 20,
    };
    let options = store::Options {
        path: folder.join("store.redb"),
        credentials: None,
        limits,
        standard: dialect(),
        machine: store::Machine::default(),
    };
    let (store, unstarted) = Store::open(&options).unwrap();
    let pump = Pump::new(store.clone(), settings(), Handle::current());
    let committed = pump.clone();
    let definition = Definition {
        name: "w".into(),
        description: "".into(),
        url: url.into(),
        events: vec![Pattern::All],
        settings: WebhookSettings::none(),
    };
    let fresh_secret = Some(dialect().api.secret_format.generate(&[7; crate::domain::webhook::secret::RANDOM_BYTES]));
    let webhook = FileWebhook { owned: owned(), definition, secret: None, fresh_secret, overlap: Duration::ZERO };
    let says = DesiredState {
        dialects: vec![("acme".into(), dialect())],
        tenants: vec![owned()],
        keys: HashSet::new(),
        webhooks: vec![webhook],
        ..DesiredState::default()
    };
    let broken = |cause| panic!("{cause}");
    let begin = async { store.start(unstarted, Box::new(move |what| committed.committed(what)), broken) };
    let (synced, ()) = tokio::join!(biased; store.by_test().sync(says), begin);
    synced.unwrap();
    (store, pump)
}

async fn publish(store: &Store) {
    let event = Publication::of_type_and_data("acme".into(), "t1".into(), dialect(), "a.b", Bytes::from_static(b"{}"));
    store.accept_one(event).await.unwrap();
}

/// Waits until the only delivery has ended, and returns it.
async fn ended(store: &Store) -> View {
    loop {
        let page = store.deliveries(Of::Tenant(owned()), Filter::default(), None, 10).await.unwrap();
        if let Some(view) = page.views.first().filter(|view| !view.delivery.is_pending()) {
            return store.delivery_by_key(view.delivery.key).await.unwrap().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// If the attempt were not recorded, the delivery would wait for a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_attempt_fails_and_the_delivery_goes_on() {
    let (folder, port) = (tempfile::tempdir().unwrap(), endpoint().await);
    let (store, pump) = start(folder.path(), &format!("http://127.0.0.1:{port}{PANICS_ONCE}")).await;
    publish(&store).await;
    let view = tokio::time::timeout(PAUSE * 10, ended(&store)).await.expect("it goes on");
    let attempts = store.attempts(view.delivery.key, 1..=2, Space { room: 1 << 20, printed: 1 }).await.unwrap();
    let Fit::Fits(attempts) = attempts else { panic!("there is room") };
    let classes: Vec<Option<Class>> = attempts.into_iter().map(|attempt| attempt.expect("it is kept").error).collect();
    assert_eq!((view.delivery.attempts, classes), (2, vec![Some(Class::Internal), None]));
    assert!(view.delivery.succeeded_at.is_some() && pump.in_flight() == 0);
    tokio::task::spawn_blocking(move || store.close()).await.unwrap();
}

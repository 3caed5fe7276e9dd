//! A store in a folder of its own, filled through its front, and its files as an image that a test may damage.

mod attempts;
mod audit;
mod backup;
mod cancel;
mod catalogue;
mod cut;
mod damage;
mod flips;
mod index;
mod keys;
mod lost;
mod reads;
mod statistics;
mod tombstones;
mod turns;
mod webhooks;

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::handle::Unstarted;
use super::*;
use crate::clock;
use crate::config::dialect;
use crate::config::fault::Faults;
use crate::domain::access::{Key, Maker, Role, Terms};
use crate::domain::delivery::Trigger;
use crate::domain::delivery::outcome::{Outcome, Response};
use crate::domain::dialect::{Dialect, EventType};
use crate::domain::headers::Headers;
use crate::domain::id::EventKey;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Definition, Owner};
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::WebhookSettings;
use crate::store::redb::schema;

/// An open store.
struct Lab {
    folder: TempDir,
    runtime: Runtime,
    store: Store,
    ready: Mutex<mpsc::Receiver<Ready>>,
}

/// An event that was published, by its id on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Published {
    id: String,
    kind: String,
    data: String,
}

/// The files of a store.
#[derive(Clone)]
struct Image(Vec<(String, Vec<u8>)>);

impl Lab {
    /// A new store with webhooks `ledger` (`order.*`), `till` (`sale.*`), `vault` (`vault.*`, disabled) and `all` (`*`).
    fn new() -> Self {
        let lab = Self::open(tempfile::tempdir().unwrap()).unwrap();
        let webhooks = [("ledger", "order.*"), ("till", "sale.*")].map(from_file).to_vec();
        let file = DesiredState {
            dialects: vec![("shop".into(), standard())],
            tenants: vec![owned()],
            keys: HashSet::new(),
            webhooks,
            ..DesiredState::default()
        };
        lab.runtime.block_on(lab.store.by_test().sync(file)).unwrap();
        let vault = lab.create("vault", "vault.*");
        lab.create("all", "*");
        lab.runtime.block_on(lab.store.by_test().disable_webhook(vault)).unwrap();
        lab
    }

    fn open(folder: TempDir) -> Result<Self, Error> {
        Self::open_watched(folder, |_| {})
    }

    /// `watch` sees each commit before those who wait for it are answered; the next one begins when it returns.
    fn open_watched(folder: TempDir, watch: impl FnMut(&Committed) + Send + 'static) -> Result<Self, Error> {
        let options = options(&path(folder.path()));
        Self::open_as(folder, &options, watch)
    }

    fn open_as(folder: TempDir, options: &Options, mut watch: impl FnMut(&Committed) + Send + 'static) -> Result<Self, Error> {
        let (store, unstarted) = Store::open(options)?;
        let (told, ready) = mpsc::channel();
        store.start(
            unstarted,
            Box::new(move |committed| {
                watch(&committed);
                committed.ready.into_iter().for_each(|one| drop(told.send(one)));
            }),
            |fault| {
                drop(writeln!(std::io::stderr(), "the store broke: {fault}"));
            },
        );
        Ok(Self { folder, runtime: Runtime::new().unwrap(), store, ready: Mutex::new(ready) })
    }

    fn create(&self, name: &str, events: &str) -> crate::domain::id::EndpointNo {
        self.create_for(owned(), name, events)
    }

    fn create_for(&self, owned: Owned, name: &str, events: &str) -> crate::domain::id::EndpointNo {
        self.runtime.block_on(self.store.by_test().create_webhook(self.new_webhook(owned, name, events))).unwrap().no
    }

    fn new_webhook(&self, owned: Owned, name: &str, events: &str) -> NewWebhook {
        NewWebhook {
            owned,
            definition: definition(name, events),
            owner: Owner::Operator,
            secret: Some(Secret::new("whsec_made")),
            limit: 0,
            file_keys: Vec::new(),
            restores: true,
        }
    }

    /// A key, an event type and a connection.
    fn add_more(&self) {
        let key = Key {
            id: "key_1".into(),
            name: "k".into(),
            role: Role::Operator,
            hash: [5; 32],
            created_at: clock::now(),
            maker: Maker::NOT_KEPT,
            terms: Terms::default(),
        };
        self.runtime.block_on(self.store.by_test().add_key(NewKey { key, by: None, is_imported: false })).unwrap();
        let event_type = EventType {
            name: "order.paid".into(),
            description: "paid".into(),
            example: "{}".into(),
            ours: false,
            version: 1,
            ..EventType::default()
        };
        self.runtime.block_on(self.store.by_test().put_event_type("shop", event_type)).unwrap();
        let connection = NewConnection { owned: owned(), id: "c1".into(), link: None };
        self.runtime.block_on(self.store.open_connection(connection)).unwrap();
    }

    fn publish(&self, kind: &str, data: &str) -> Published {
        let text = data.to_owned();
        let publication = Publication::of_type_and_data("shop".into(), "acme".into(), standard(), kind, text.into());
        let accepted = self.runtime.block_on(self.store.accept_one(publication)).unwrap();
        Published { id: accepted.id.into(), kind: kind.into(), data: data.into() }
    }

    /// The id of an event for a tenant.
    fn publish_to(&self, owned: &Owned, kind: &str) -> String {
        let publication = Publication::of_type_and_data(
            (&*owned.provider).into(),
            owned.tenant.clone(),
            standard(),
            kind,
            "1".to_owned().into(),
        );
        self.runtime.block_on(self.store.accept_one(publication)).unwrap().id.into()
    }

    /// Publishes so many events of each kind, one commit after the other.
    fn publish_each(&self, count: usize) -> Vec<Published> {
        let kinds = ["order.paid", "sale.made", "vault.closed"];
        let data = |number: usize| format!(r#"{{"number":{number},"text":"{}"}}"#, "x".repeat(number * 37 % 900));
        (0..count).flat_map(|number| kinds.map(|kind| self.publish(kind, &data(number)))).collect()
    }

    /// Ends every delivery that became ready by now as delivered.
    fn deliver(&self) {
        self.ready().into_iter().for_each(|one| self.finish(&one, 200));
    }

    /// What became ready by now and was not taken yet.
    fn ready(&self) -> Vec<Ready> {
        self.ready.lock().unwrap().try_iter().collect()
    }

    /// Ends an attempt with a response of this status.
    fn finish(&self, ready: &Ready, status: u16) {
        self.finish_at(ready, status, clock::now());
    }

    fn finish_at(&self, ready: &Ready, status: u16, at: Timestamp) {
        let response = Response { status, headers: Headers::default(), body: "done".into(), truncated: false, body_error: None };
        self.store.finish(Finished {
            key: ready.key,
            position: ready.position,
            first: ready.known.is_some(),
            trigger: Trigger::Schedule,
            started_at: at,
            ended_at: at,
            url: "https://example.com/".into(),
            request_headers: Headers::default(),
            outcome: Outcome { result: Ok(response), duration: Duration::from_millis(5) },
            _room: None,
        });
    }

    /// Waits for a whole turn of the writer: outcomes that were told are on disk.
    fn told(&self) {
        self.runtime.block_on(self.store.by_test().accept_clock()).unwrap();
    }

    /// Waits until the tables have all that the journal holds.
    fn settle(&self) {
        let deadline = clock::steady() + Duration::from_secs(10);
        while !self.store.reader.views.unflushed().is_empty() {
            assert!(clock::steady() < deadline, "a checkpoint comes within a second");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The files as `kill -9` would leave them now. Nothing may be written meanwhile.
    fn killed(&self) -> Image {
        Image::of(self.folder.path())
    }

    /// The files after a clean stop.
    fn stopped(self) -> Image {
        self.store.close();
        let Self { folder, store, .. } = self;
        drop(store);
        Image::of(folder.path())
    }
}

impl Image {
    fn of(folder: &Path) -> Self {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let file = |path: PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap());
        let mut files: Vec<_> = entries.map(file).collect();
        files.sort();
        Self(files)
    }

    fn write(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &self.0 {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            // The key must be its owner's alone.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        folder
    }

    fn file(&mut self, suffix: &str) -> &mut Vec<u8> {
        let name = format!("{STORE}{suffix}");
        &mut self.0.iter_mut().find(|(known, _)| *known == name).expect("it is there").1
    }

    fn without(mut self, suffix: &str) -> Self {
        let name = format!("{STORE}{suffix}");
        self.0.retain(|(known, _)| *known != name);
        self
    }

    /// Whether a folder holds the very same.
    fn is_still(&self, folder: &Path) -> bool {
        Self::of(folder).0 == self.0
    }
}

/// Opens what stands in a folder, without a writer.
fn look(folder: &TempDir) -> Result<(Store, Unstarted), Error> {
    Store::open(&options(&path(folder.path())))
}

/// An event that a store keeps whole.
fn event(store: &Store, key: EventKey) -> Option<Event> {
    match store.reader.events(&[key], Space { room: usize::MAX, printed: 0 }).unwrap() {
        Fit::Fits(mut events) => events.pop().flatten(),
        Fit::Needs(_) => None,
    }
}

/// The events that a store lists.
fn events(store: &Store) -> Vec<Published> {
    let keys = store.reader.event_keys(&owned(), EventKey::MIN, usize::MAX).unwrap();
    let all: Vec<Event> = keys.into_iter().filter_map(|key| event(store, key)).collect();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    all.iter()
        .map(|event| Published { id: event.id.to_string(), kind: event.kind.to_string(), data: text(&event.content.data()) })
        .collect()
}

/// How many deliveries a store lists, by status.
fn deliveries(store: &Store) -> [usize; 4] {
    let page = store.reader.deliveries(&Of::Tenant(owned()), &Filter::default(), None, 10_000).unwrap();
    Status::ALL.map(|status| page.views.iter().filter(|view| view.status == status).count())
}

fn path(folder: &Path) -> PathBuf {
    folder.join(STORE)
}

fn options(path: &Path) -> Options {
    let limits = Limits { retention: YEARS, max_bytes: 1 << 40, memory: 1 << 28, audit_retention: YEARS, connection_idle: YEARS };
    Options { path: path.into(), credentials: None, limits, standard: standard(), machine: Machine::default() }
}

fn standard() -> Arc<Dialect> {
    dialect::read_all(Vec::new(), &mut Faults::default())["standard"].clone()
}

fn owned() -> Owned {
    Owned { provider: "shop".into(), tenant: "acme".into() }
}

fn definition(name: &str, events: &str) -> Definition {
    let events = vec![Pattern::parse(events).unwrap()];
    let settings = WebhookSettings::none();
    Definition { name: name.into(), description: "".into(), url: "https://example.com/".into(), events, settings }
}

fn from_file((name, events): (&str, &str)) -> FileWebhook {
    FileWebhook {
        owned: owned(),
        definition: definition(name, events),
        secret: None,
        fresh_secret: Some(Secret::new("whsec_drawn")),
        overlap: Duration::ZERO,
    }
}

const STORE: &str = "store";
const YEARS: Duration = Duration::from_secs(3_650 * 24 * 3_600);

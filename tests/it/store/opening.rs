//! Which stores are opened, and which are refused without a change to them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use redb::{Database, ReadableTable as _, TableDefinition};

use crate::harness::api::{WITHIN, text};
use crate::harness::config::{self, Config};
use crate::harness::eventually;
use crate::harness::ran::{Ran, run};
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn a_second_service_on_the_same_store_is_refused_at_once() {
    let service = Service::start(&Config::quick()).await;
    let second = service.cli(&["serve", "-c", config::FILE, "--admin-socket", "other.sock"]).expect(74);
    second.complains(&[config::STORE, "in use by another hookwheel", "hookwheel status"]);
    assert!(second.took < Duration::from_secs(2), "{second:?}");
    assert!(!service.folder().join("other.sock").exists());
    service.cli(&["check", "--store", config::STORE]).expect(74).complains(&["in use by another hookwheel"]);
    service.acme().publish_new("order.paid").await;
    service.cli(&["status"]).expect(0);
}

#[tokio::test]
async fn a_newer_store_is_refused_and_not_touched() {
    let service = stopped_with_an_event().await;
    fs::write(beside(&service, ".version"), "99\n").expect("written");
    let untouched = Untouched::new(service.folder());
    for arguments in [SERVE, CHECK] {
        let refused = service.cli(arguments).expect(74);
        refused.complains(&[config::STORE, "newer hookwheel", "99"]);
        untouched.assert(&refused);
    }
}

/// In the first version a tenant's record is its two names; the second version adds what the config file says of it. Tables of
/// keys alone had empty values.
#[tokio::test]
async fn a_store_of_the_first_version_opens_whole_and_is_upgraded() {
    let mut service = stopped_with_a_pending_delivery().await;
    fs::write(beside(&service, ".version"), "1\n").expect("written");
    change(&service, |txn| {
        let mut tenants = txn.open_table(TENANT).expect("opened");
        // Each name stands behind its length.
        let shortened = |record: &[u8]| {
            let tenant = 2 + usize::from(record[1]);
            sealed([&[1], &record[1..=tenant + usize::from(record[tenant])]].concat())
        };
        let rows: Vec<_> = tenants.iter().expect("read").map(|row| row.expect("read")).collect();
        let rows: Vec<_> = rows.into_iter().map(|(no, record)| (no.value(), shortened(record.value()))).collect();
        assert!(!rows.is_empty());
        rows.iter().for_each(|(no, record)| drop(tenants.insert(no, &**record).expect("put")));
        let mut meta = txn.open_table(META).expect("opened");
        let old = meta.get(0).expect("read").expect("there").value().to_vec();
        meta.insert(0, &*sealed([&[1, 1], &old[2..old.len() - 4]].concat())).expect("put");
        assert!(txn.delete_table(TableDefinition::<&[u8], &[u8]>::new("event_type")).expect("deleted"));
        assert_eq!(with_values::<20>(txn, "due"), 1);
        with_values::<16>(txn, "revisit");
        with_values::<17>(txn, "index");
    });
    let untouched = Untouched::new(service.folder());
    let older = service.cli(CHECK).expect(74);
    older.complains(&["an older hookwheel", "start and stop the service"]);
    untouched.assert(&older);
    service.start_again().await;
    assert_eq!(service.acme().get("/v1/events").await.expect(200)["data"].as_array().map(Vec::len), Some(1));
    let pending = service.acme().get("/v1/deliveries?status=pending").await.expect(200);
    assert_eq!(pending["data"].as_array().map(Vec::len), Some(1), "{pending}");
    let key = service.cli(&["keys", "new", "k", "--tenant", "shop/acme"]).expect(0).stdout;
    assert_ne!(fs::read_to_string(beside(&service, ".version")).expect("read"), "1\n");
    service.stop_and_check().await;
    service.start_again_with(&Config::bare().provider("shop", "standard")).await;
    service.stranger().with_key(key.trim_end()).get("/v1/events").await.problem(401, &[]);
}

/// Gives a table of keys alone the empty values of the first version. Returns how many rows it has.
fn with_values<const N: usize>(txn: &redb::WriteTransaction, name: &str) -> usize {
    let keys: Vec<[u8; N]> = {
        let table = txn.open_table(TableDefinition::<&[u8; N], ()>::new(name)).expect("opened");
        table.iter().expect("read").map(|row| *row.expect("read").0.value()).collect()
    };
    assert!(txn.delete_table(TableDefinition::<&[u8; N], ()>::new(name)).expect("deleted"));
    let mut table = txn.open_table(TableDefinition::<&[u8; N], &[u8]>::new(name)).expect("made");
    keys.iter().for_each(|key| drop(table.insert(key, &[][..]).expect("put")));
    keys.len()
}

/// A record with its right checksum.
fn sealed(mut record: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c(&record);
    record.extend(checksum.to_le_bytes());
    record
}

#[tokio::test]
async fn a_version_that_is_no_number_is_refused() {
    let service = stopped_with_an_event().await;
    fs::write(beside(&service, ".version"), "one\n").expect("written");
    let untouched = Untouched::new(service.folder());
    let refused = service.cli(SERVE).expect(74);
    refused.complains(&["hookwheel.redb.version", "no version number"]);
    untouched.assert(&refused);
}

#[tokio::test]
async fn another_programs_file_is_refused_and_not_touched() {
    for text in ["Dear Ada,\n".repeat(1_000), "x".into()] {
        for arguments in [SERVE, CHECK] {
            refuses_foreign(&text, arguments);
        }
    }
}

#[tokio::test]
async fn an_empty_file_is_refused_and_stays_empty() {
    refuses_foreign("", SERVE);
}

#[tokio::test]
async fn a_check_of_an_empty_file_leaves_it_empty() {
    refuses_foreign("", CHECK);
}

#[tokio::test]
async fn another_programs_file_gets_no_files_beside_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Config::quick().write(folder.path());
    fs::write(folder.path().join(config::STORE), "Dear Ada,\n".repeat(1_000)).expect("written");
    let untouched = Untouched::new(folder.path());
    for arguments in [CHECK, SERVE] {
        untouched.assert(&run(folder.path(), &[], arguments).expect(74));
    }
}

#[tokio::test]
async fn a_redb_file_of_another_program_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Config::quick().write(folder.path());
    let database = Database::create(folder.path().join(config::STORE)).expect("made");
    let txn = database.begin_write().expect("begun");
    txn.open_table(TableDefinition::<u8, &[u8]>::new("theirs")).expect("opened").insert(1, &b"x"[..]).expect("put");
    txn.commit().expect("written");
    drop(database);
    let refused = run(folder.path(), &[], SERVE);
    let database = Database::open(folder.path().join(config::STORE)).expect("still theirs");
    let names: Vec<_> = redb::ReadableDatabase::begin_read(&database).expect("begun").list_tables().expect("listed").collect();
    assert_eq!(names.len(), 1, "our tables are in their file");
    refused.expect(74).complains(&["not a hookwheel store"]);
}

#[tokio::test]
async fn a_truncated_store_is_refused_and_not_touched() {
    let service = stopped_with_an_event().await;
    let store = service.folder().join(config::STORE);
    let whole = fs::read(&store).expect("read");
    for kept in [100, 512, 4_096, 8_192, whole.len() / 2, whole.len() - 4_096] {
        fs::write(&store, &whole[..kept]).expect("written");
        let untouched = Untouched::new(service.folder());
        for arguments in [SERVE, CHECK] {
            let refused = service.cli(arguments).expect(74);
            refused.complains(&["error: ", config::STORE, "try: "]);
            assert!(!refused.stderr.contains("panicked"), "{refused:?}");
            untouched.assert(&refused);
        }
    }
    fs::write(&store, &whole).expect("written");
    service.cli(CHECK).expect(0);
}

#[tokio::test]
async fn a_folder_in_place_of_the_store_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Config::quick().write(folder.path());
    fs::create_dir(folder.path().join(config::STORE)).expect("made");
    for arguments in [SERVE, CHECK] {
        let refused = run(folder.path(), &[], arguments);
        assert!(matches!(refused.code, 74 | 78), "{refused:?}");
        refused.complains(&[config::STORE, "try: "]);
    }
}

#[tokio::test]
async fn the_wrong_master_key_is_refused_without_harm() {
    let mut service = stopped_with_an_event().await;
    let key = beside(&service, ".key");
    let right = fs::read(&key).expect("read");
    fs::write(&key, "00".repeat(32) + "\n").expect("written");
    service.cli(SERVE).expect(74).complains(&["master key", "hookwheel.redb.key", "try: "]);
    fs::write(&key, "not hex\n").expect("written");
    let refused = service.cli(SERVE).expect(74);
    refused.complains(&["master key", "hookwheel.redb.key", "hex digits"]);
    assert!(!refused.stderr.contains("not hex"), "{refused:?}");
    fs::write(&key, right).expect("written");
    service.start_again().await;
    assert_eq!(service.acme().get("/v1/events").await.expect(200)["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_lost_master_key_is_refused_and_none_is_made() {
    let service = stopped_with_an_event().await;
    fs::remove_file(beside(&service, ".key")).expect("removed");
    service.cli(SERVE).expect(74).complains(&["master key", "hookwheel.redb.key"]);
    assert!(!beside(&service, ".key").exists(), "a new key hides that the old one is lost");
}

#[tokio::test]
async fn the_master_key_of_a_systemd_credential_is_used_and_written_nowhere() {
    let credentials = tempfile::tempdir().expect("a temporary folder");
    fs::write(credentials.path().join("master-key"), "5a".repeat(32)).expect("written");
    let path = credentials.path().to_str().expect("plain");
    let mut service = Service::start_with(&Config::quick(), &[("CREDENTIALS_DIRECTORY", path)]).await;
    let id = service.acme().subscribe("https://example.com/", &["*"]).await;
    assert!(!beside(&service, ".key").exists());
    service.stop_and_check().await;
    service.start_again().await;
    service.acme().webhook(&id).await;
    service.stop_and_check().await;
    service.cli(SERVE).expect(74).complains(&["master key"]);
}

#[tokio::test]
async fn new_files_are_private_and_hold_no_secret_in_the_clear() {
    let mut service = Service::start(&Config::quick()).await;
    let made = service.acme().post("/v1/webhooks", &serde_json::json!({ "url": "https://example.com/", "events": ["*"] })).await;
    let secret = made.expect(201)["secret"].as_str().expect("shown once").to_owned();
    service.cli(&["keys", "new", "k", "--tenant", "shop/acme", "--json"]).expect(0);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&service.folder().join(config::STORE)), 0o600);
    assert_eq!(mode(&beside(&service, ".key")), 0o600);
    assert_eq!(mode(&service.folder().join(config::SOCKET)), 0o660);
    service.stop_and_check().await;
    let store = fs::read(service.folder().join(config::STORE)).expect("read");
    let holds = |text: &str| store.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!holds(&secret) && !holds(secret.trim_start_matches("whsec_")) && !holds(&config::secret("shop-acme")));
    assert!(holds("example.com"), "this would be found");
}

#[tokio::test]
async fn a_check_finds_a_delivery_that_nothing_will_make() {
    let service = stopped_with_a_pending_delivery().await;
    service.cli(CHECK).expect(0);
    change(&service, |txn| {
        let mut due = txn.open_table(DUE).expect("opened");
        assert!(due.pop_first().expect("read").is_some(), "the delivery was due");
    });
    let found = service.cli(CHECK).expect(1);
    assert!(found.stdout.contains("fault: "), "{found:?}");
    found.complains(&["not whole", "doctor --store"]);
    assert_eq!(service.cli(&["check", "--json", "--store", config::STORE]).expect(1).json()["ok"], false);
}

#[tokio::test]
async fn a_check_finds_a_flipped_bit_in_an_event() {
    let service = stopped_with_a_pending_delivery().await;
    change(&service, flip_an_event);
    let found = service.cli(CHECK);
    assert!(matches!(found.code, 1 | 74) && (found.stdout.clone() + &found.stderr).contains("event"), "{found:?}");
}

#[tokio::test]
async fn a_flipped_bit_in_an_event_fails_its_delivery_alone() {
    let mut service = stopped_with_a_pending_delivery().await;
    change(&service, flip_an_event);
    service.start_again().await;
    let acme = service.acme();
    let damaged = text(&acme.get("/v1/deliveries").await.expect(200)["data"][0]["id"]);
    acme.post(&format!("/v1/deliveries/{damaged}/retry"), &serde_json::Value::Null).await.expect(200);
    let ended = || async {
        let delivery = acme.get(&format!("/v1/deliveries/{damaged}")).await.expect(200);
        (delivery["status"] == "failed").then_some(delivery)
    };
    let delivery = eventually("the damaged one ended", WITHIN, ended).await;
    assert!(text(&delivery["attempts"][1]["detail"]).contains("damaged record in table `event`"), "{delivery}");
    let receiver = Receiver::start().await;
    acme.subscribe(&receiver.url("/b"), &["order.shipped"]).await;
    let event = acme.publish_new("order.shipped").await;
    receiver.wait_for("/b", 1, WITHIN).await;
    assert_eq!(acme.get("/v1/events").await.expect(200)["data"].as_array().map(Vec::len), Some(1), "{event}");
}

/// Flips one bit of the oldest event.
fn flip_an_event(txn: &redb::WriteTransaction) {
    let mut events = txn.open_table(TableDefinition::<u64, &[u8]>::new("event")).expect("opened");
    let (key, mut bytes) = events.first().expect("read").map(|(key, value)| (key.value(), value.value().to_vec())).expect("one");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    events.insert(key, &*bytes).expect("put");
}

#[tokio::test]
async fn a_check_of_no_store_makes_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    run(folder.path(), &[], &["check", "--store", "none.redb"]).expect(74).complains(&["none.redb", "try: "]);
    assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 0);
}

#[tokio::test]
async fn a_key_that_others_can_read_is_refused() {
    let service = stopped_with_an_event().await;
    let key = beside(&service, ".key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("set");
    service.cli(SERVE).expect(78).complains(&["hookwheel.redb.key has mode 0644: everyone can read it", "try: chmod 0640 "]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).expect("set");
    service.cli(CHECK).expect(0);
}

#[track_caller]
fn refuses_foreign(text: &str, arguments: &[&str]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Config::quick().write(folder.path());
    let store = folder.path().join(config::STORE);
    fs::write(&store, text).expect("written");
    let refused = run(folder.path(), &[], arguments).expect(74);
    refused.complains(&[config::STORE, "not a hookwheel store"]);
    assert!(fs::read(&store).expect("read") == text.as_bytes(), "it was changed: {refused:?}");
}

async fn stopped_with_an_event() -> Service {
    let mut service = Service::start(&Config::quick()).await;
    service.acme().publish_new("order.paid").await;
    service.stop_and_check().await;
    service
}

async fn stopped_with_a_pending_delivery() -> Service {
    let (mut service, receiver) = (Service::start(&Config::retrying(&["1h"])).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500)]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    acme.delivery_that(&event, "one attempt was made", |delivery| delivery["attempts"].as_array().map(Vec::len) == Some(1)).await;
    service.stop_and_check().await;
    service
}

/// Changes a closed store behind the service's back.
fn change(service: &Service, act: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(service.folder().join(config::STORE)).expect("opened");
    let mut txn = database.begin_write().expect("begun");
    txn.set_quick_repair(true);
    act(&txn);
    txn.commit().expect("written");
}

fn beside(service: &Service, suffix: &str) -> PathBuf {
    service.folder().join(format!("{}{suffix}", config::STORE))
}

/// A folder as it was: the names in it, and the bytes of its files.
struct Untouched {
    folder: PathBuf,
    was: Vec<(PathBuf, Vec<u8>)>,
}

impl Untouched {
    fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), was: files(folder) }
    }

    #[track_caller]
    fn assert(&self, after: &Ran) {
        let is = files(&self.folder);
        let names =
            |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(path, bytes)| (path.clone(), bytes.len())).collect::<Vec<_>>();
        assert_eq!(names(&is), names(&self.was), "{after:?}");
        for ((path, is), (_, was)) in is.iter().zip(&self.was) {
            assert!(is == was, "{} was changed: {after:?}", path.display());
        }
    }
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path());
    let mut files: Vec<_> =
        paths.filter(|path| path.is_file()).map(|path| (path.clone(), fs::read(path).expect("read"))).collect();
    files.sort();
    files
}

const META: TableDefinition<'_, u8, &[u8]> = TableDefinition::new("meta");
const TENANT: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("tenant");
const DUE: TableDefinition<'_, &[u8; 20], ()> = TableDefinition::new("due");
const SERVE: &[&str] = &["serve", "-c", config::FILE];
const CHECK: &[&str] = &["check", "--store", config::STORE];

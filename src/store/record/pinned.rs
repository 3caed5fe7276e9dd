//! Each form as existing stores hold it, in `tests/vectors/records.txt`. A test that fails here says that such records could not
//! be read any more: give the record a new version, and keep the code that reads the old one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::audit::{actor_kind, actor_kind_code, object_kind, object_kind_code};
use super::counters::{why, why_code};
use super::job::{task, task_code};
use super::log::{cause, cause_code, class, class_code, end, end_code, trigger, trigger_code};
use super::tally::{brought, brought_code};
use super::tenant::{listing, listing_code};
use super::*;
use crate::domain::access::{Key, Maker, Role, Scopes, Terms};
use crate::domain::channels::Channels;
use crate::domain::delivery::outcome::{Class, Failure, Outcome, Response};
use crate::domain::delivery::tally::{Brought, Hour, Mark, Tally};
use crate::domain::delivery::{Cause, Delivery, End, QueuePosition, Replayed, Run, State, Trigger};
use crate::domain::dialect::{EventType, UnknownTypes};
use crate::domain::event::{Attributes, Content, Event, Links};
use crate::domain::id::uid::Uid;
use crate::domain::id::{AttemptKey, AuditKey, DeliveryKey, EndpointNo, EventKey, Node, ReplayNo, TenantNo};
use crate::domain::provider::ProviderSettings;
use crate::domain::schema::{Schema, Validate};
use crate::domain::tenant::Profile;
use crate::domain::time::Timestamp;
use crate::domain::time::timekeeper::{self, Doubt, Kept, Reading};
use crate::domain::webhook::endpoint::{Definition, Endpoint, Owner, WebhookState, Why};
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::settings::{Setting, WebhookSettings};
use crate::store::message::audit::{Actor, ActorKind, Object, ObjectKind, Origin, Row};
use crate::store::message::finding::{Finding, Kind};
use crate::store::message::replay::walk::Walk;
use crate::store::message::replay::{Ids, NewIds, Replay, ReplayFilter, ReplayReason, ReplayState};
use crate::store::message::session::Connection;
use crate::store::message::tenant::{Deletion, Tenant};
use crate::store::record::Listing;
use crate::store::record::key::{hour_key, log_key};
use crate::store::record::seal::Sealer;
use crate::store::{Attempt, Owned};

const AT: Timestamp = Timestamp::from_micros(1_776_695_520_123_456);
const LATER: Timestamp = Timestamp::from_micros(1_776_695_580_654_321);
const KEY: DeliveryKey = DeliveryKey { event: EventKey(0x0650_1234_5678_9abc), endpoint: EndpointNo(7) };
const TENANT: TenantNo = TenantNo(4);
const NODE: Node = Node(0x0102_0304_0506_0708);

/// Checks that a record is written as always, and that reading loses nothing of it.
#[track_caller]
fn pinned(name: &str, written: impl Fn(&mut Vec<u8>), again: impl Fn(&[u8], &mut Vec<u8>)) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    written(&mut first);
    assert_eq!(hex::encode(&first), hex::encode(stored(name)), "{name}");
    again(&first, &mut second);
    assert_eq!(hex::encode(&second), hex::encode(&first), "{name}: something was lost");
    // Before version 4 the checksum did not cover the key.
    if let Some(unkeyed) = vector(&format!("{name}/3")) {
        again(&unkeyed, &mut second);
        assert_eq!(hex::encode(&second), hex::encode(&first), "{name}: something of an older one was lost");
    }
}

fn stored(name: &str) -> Vec<u8> {
    vector(name).expect("it is among the vectors")
}

fn vector(name: &str) -> Option<Vec<u8>> {
    let mut lines = include_str!("../../../tests/vectors/records.txt").lines().filter_map(|line| line.split_once(' '));
    lines.find(|(of, _)| *of == name).map(|(_, hex)| hex::decode(hex).expect("hex digits"))
}

fn event() -> StoredEvent {
    let content = Content::from_parts(Bytes::from_static(br#"{"data":{"n":1}}"#), 16, 8..15).expect("it is as long as that");
    let event = Event {
        key: KEY.event,
        id: "order-1".into(),
        uid: None,
        provider: "decisio".into(),
        tenant: Some("t1".into()),
        kind: "order.made".into(),
        time: AT,
        occurred_at: Some(LATER),
        attributes: [("version".to_owned(), "2".into())].into(),
        connection: Some("conn_1".into()),
        channels: Channels::default(),
        test: true,
        schema_errors: "".into(),
        links: None,
        content,
    };
    StoredEvent { event, deliveries: 300, removed: 2 }
}

fn response() -> Attempt {
    let headers = [("content-type", "text/plain")].into_iter().collect();
    let response = Response {
        status: 503,
        headers,
        body: Bytes::from_static(b"later"),
        truncated: true,
        body_error: Some("it broke off".into()),
    };
    Attempt {
        number: 3,
        trigger: Trigger::Manual,
        started_at: AT,
        url: "https://example.com/hook".into(),
        request_headers: [("webhook-id", "evt_1")].into_iter().collect(),
        outcome: Outcome { result: Ok(response), duration: Duration::from_micros(1_234_567) },
        error: Some(Class::Status),
    }
}

fn delivery(state: State) -> Delivery {
    Delivery {
        key: KEY,
        state,
        attempts: 3,
        run: Run { cause: Cause::Manual, before: 2, draw: Some(0.25) },
        by_hand: true,
        url: Some("https://example.com/pinned".into()),
        succeeded_at: Some(LATER),
        code: Some(503),
        recovered: true,
        replay: None,
    }
}

#[test]
fn small_records_are_pinned() {
    pinned(
        "meta",
        |out| write_meta(&[0], &Meta { store_version: 3, node: NODE.0 }, out),
        |was, out| write_meta(&[0], &read_meta(&[0], was).unwrap(), out),
    );
    let counters = Counters {
        last_key: KEY.event.0,
        last_endpoint: 7,
        last_tenant: 300,
        live_bytes: 70_000,
        events: 5,
        pending: 6,
        swept: 8,
        indexed: 9,
        time: None,
        waiting: None,
        attempts: 0,
        attempts_indexed: 0,
        unlisted: Some(Unlisted { after: DeliveryKey { event: EventKey(0), endpoint: EndpointNo(0) }, until: KEY.event }),
    };
    assert_eq!(read_counters(&[0], &stored("counters-1")).unwrap(), counters, "of the first version");
    let doubt = Some(Doubt { why: timekeeper::Why::Behind, off: Duration::from_secs(3_600), held: Duration::from_secs(60) });
    let last = Reading { wall: AT, boot: Duration::from_micros(987_654_321) };
    let time = Some(Kept { boot_id: NODE.0, last, now: LATER, lead: Duration::from_millis(5), doubt });
    let counters = Counters { time, waiting: Some(10), ..counters };
    assert_eq!(read_counters(&[0], &stored("counters-2")).unwrap(), counters, "of the second version");
    let unlisted = Some(Unlisted { after: KEY, until: EventKey(u64::MAX) });
    let counters = Counters { attempts: 70_000, attempts_indexed: 300, unlisted, ..counters };
    pinned(
        "counters",
        |out| write_counters(&[0], &counters, out),
        |was, out| write_counters(&[0], &read_counters(&[0], was).unwrap(), out),
    );
    let follows = Follows { run: 1 << 63, before: 5, open: true };
    pinned(
        "follows",
        |out| write_follows(&[2], &follows, out),
        |was, out| write_follows(&[2], &read_follows(&[2], was).unwrap(), out),
    );
    let kept = Quarantined { table: "due".into(), key: vec![1, 2], value: vec![3], why: "it is late".into(), at: AT.as_micros() };
    pinned(
        "quarantined",
        |out| write_quarantined(b"q", &kept, out),
        |was, out| write_quarantined(b"q", &read_quarantined(b"q", was).unwrap(), out),
    );
    let what = Some("hookwheel.redb.journal.aside-9".into());
    let finding = Finding { kind: Kind::Lost, at: AT, batches: 2, events: 300, rows: 0, what };
    pinned("finding", |out| write_finding(7, &finding, out), |was, out| write_finding(7, &read_finding(7, was).unwrap(), out));
    let attempt = AttemptKey { started_at: AT, delivery: KEY, number: 3 };
    let ended = |out: &mut Vec<u8>| write_ended(9, attempt, TENANT, out);
    pinned("ended", ended, |was, out| {
        let read = read_ended(9, was).unwrap();
        assert_eq!(read, (attempt, TENANT));
        write_ended(9, read.0, read.1, out);
    });
    let named = Named { event: KEY.event.0, deliveries: 2, content: [9; 32], until: AT.as_millis() };
    pinned("named", |out| write_named(b"n", &named, out), |was, out| write_named(b"n", &read_named(b"n", was).unwrap(), out));
    let fanout = Fanout { after: 1_000, until: 10_000, made: 999 };
    pinned(
        "fanout",
        |out| write_fanout(b"f", &fanout, out),
        |was, out| write_fanout(b"f", &read_fanout(b"f", was).unwrap(), out),
    );
    let first = Job { task: Task::End, after: [3; 20], until: KEY.event.0, ..Job::default() };
    for of_first_version in ["job-1", "job-1/3"] {
        assert_eq!(read_job(b"j", &stored(of_first_version)).unwrap(), first, "{of_first_version}");
    }
    let job = Job { task: Task::Park, purged: 5, after_number: 300, cancelled: 70_000, ..first };
    pinned("job", |out| write_job(b"j", &job, out), |was, out| write_job(b"j", &read_job(b"j", was).unwrap(), out));
    pinned(
        "bytes",
        |out| write_bytes(&[1], &vec![1, 2, 3], out),
        |was, out| write_bytes(&[1], &read_bytes(&[1], was).unwrap(), out),
    );
    pinned(
        "number",
        |out| write_number(&[2], &KEY.event.0, out),
        |was, out| write_number(&[2], &read_number(&[2], was).unwrap(), out),
    );
}

#[test]
fn statistics() {
    let key = hour_key(Hour(490_000), EndpointNo(7));
    let mut tally = Tally::default();
    let mark = |attempt, ended, micros| Mark { hour: Hour(490_000), endpoint: EndpointNo(7), attempt, ended, micros };
    let marks = [
        mark(Some(Brought::Status(2)), Some(true), 12_345),
        mark(Some(Brought::Failure(Class::Internal)), Some(false), u32::MAX),
        mark(Some(Brought::Status(0)), None, 7),
        mark(None, Some(false), 0),
    ];
    for (number, mark) in marks.iter().enumerate() {
        assert_eq!(hex::encode(write_mark(mark)), hex::encode(stored(&format!("mark-{number}"))));
        assert_eq!(read_mark(&write_mark(mark)).unwrap(), *mark);
        tally.count(mark);
    }
    pinned("tally", |out| write_tally(&key, &tally, out), |was, out| write_tally(&key, &read_tally(&key, was).unwrap(), out));
}

#[test]
fn events() {
    let again = |was: &[u8], out: &mut Vec<u8>| write_event(&read_event(KEY.event, NODE, was).unwrap(), NODE, out);
    pinned("event", |out| write_event(&event(), NODE, out), again);
    let mut with_channels = event();
    with_channels.event.channels = Channels::new(["b", "a"]);
    pinned("event-channels", |out| write_event(&with_channels, NODE, out), again);
    let mut plain = event();
    plain.event = Event {
        id: NODE.event_id(KEY.event).into(),
        tenant: None,
        occurred_at: None,
        attributes: Attributes::default(),
        connection: None,
        test: false,
        ..plain.event
    };
    pinned("event-plain", |out| write_event(&plain, NODE, out), again);
    plain.event.schema_errors = r#"[{"pointer":"/data/n","detail":"it is not of type \"string\""}]"#.into();
    pinned("event-judged", |out| write_event(&plain, NODE, out), again);
    assert_eq!(read_event(KEY.event, NODE, &stored("event-judged")).unwrap().event.schema_errors, plain.event.schema_errors);
    with_channels.event.uid = Uid::parse("order.7").ok();
    pinned("event-uid", |out| write_event(&with_channels, NODE, out), again);
    assert_eq!(read_event(KEY.event, NODE, &stored("event-uid")).unwrap().event.uid, with_channels.event.uid);
    let links = Links { replay_of: Some("order-1".into()), replays: vec!["evt_1".into(), "evt_2".into()] };
    with_channels.event.links = Some(links.into());
    pinned("event-linked", |out| write_event(&with_channels, NODE, out), again);
    assert_eq!(read_event(KEY.event, NODE, &stored("event-linked")).unwrap().event.links, with_channels.event.links);
}

#[test]
fn the_log() {
    let again = |was: &[u8], out: &mut Vec<u8>| {
        let (delivery, newest) = read_delivery(KEY, was).unwrap();
        write_delivery(&delivery, newest.as_ref(), out);
    };
    let due = delivery(State::Pending(QueuePosition::Due(Timestamp::from_millis(AT.as_millis()))));
    pinned("delivery-due", |out| write_delivery(&due, Some(&response()), out), again);
    let failed = delivery(State::Failed { at: AT, end: End::Expired });
    pinned("delivery-failed", |out| write_delivery(&failed, None, out), again);
    let plain = Delivery { succeeded_at: Some(AT), ..Delivery::published(KEY, QueuePosition::Backlog(5)) };
    pinned("delivery-parked", |out| write_delivery(&plain, None, out), again);
    let succeeded = Delivery { state: State::Succeeded { at: AT }, ..plain };
    let replay = Some(Replayed { no: ReplayNo(KEY.event.0), waits: true });
    let replayed = Delivery { replay, ..due };
    pinned("delivery-replayed", |out| write_delivery(&replayed, Some(&response()), out), again);
    assert_eq!(read_delivery(KEY, &stored("delivery-replayed")).unwrap().0, replayed);
    pinned("delivery-succeeded", |out| write_delivery(&succeeded, None, out), again);

    let again = |was: &[u8], out: &mut Vec<u8>| write_attempt(KEY, &read_attempt(&log_key(KEY, 3), was).unwrap(), out);
    pinned("attempt-response", |out| write_attempt(KEY, &response(), out), again);
    let failure = Err(Failure::new(Class::Tls, "the certificate is expired"));
    let attempt = Attempt { error: Some(Class::Tls), outcome: Outcome { result: failure, ..response().outcome }, ..response() };
    pinned("attempt-failure", |out| write_attempt(KEY, &attempt, out), again);
}

/// In the first version a response did not say what was wrong with its body.
#[test]
fn a_log_of_the_first_version_is_read() {
    let mut without = response().outcome;
    without.result = without.result.map(|response| Response { body_error: None, ..response });
    assert_eq!(read_attempt(&log_key(KEY, 3), &stored("attempt-response-1")).unwrap().outcome, without);
    let (due, newest) = read_delivery(KEY, &stored("delivery-due-1")).unwrap();
    assert_eq!((due.attempts, newest.map(|newest| newest.outcome)), (3, Some(without)));
}

#[test]
fn records_of_replays_are_pinned() {
    let filter = ReplayFilter {
        webhook: Some((EndpointNo(7), "wh_1".into())),
        kind: Some(Pattern::parse("order.*").unwrap()),
        succeeded: Some(false),
        code: Some(503),
        since: AT,
        until: LATER,
    };
    let behind = [(EndpointNo(9), EventKey(KEY.event.0 - 5))].into();
    let walk = Walk { after: KEY, last: EventKey(KEY.event.0 + 9), is_through: false, behind };
    let no = ReplayNo(KEY.event.0 + 10);
    let replay = Replay {
        no,
        owned: Owned { provider: "decisio".into(), tenant: "t1".into() },
        tenant: TENANT,
        filter,
        ids: Ids::Same,
        rate: Some("100/s".parse().unwrap()),
        state: ReplayState::Paused,
        reason: Some(ReplayReason::WebhookInactive),
        matched: 70_000,
        sent: 300,
        done: 290,
        failed: 7,
        asked_at: LATER,
        walk,
        waiting: [(EndpointNo(7), 10)].into_iter().collect(),
        ended_at: Some(LATER),
    };
    pinned("replay", |out| write_replay(&replay, out), |was, out| write_replay(&read_replay(no, was).unwrap(), out));
    assert_eq!(read_replay(no, &stored("replay")).unwrap(), replay);
    let ids = Ids::New(NewIds { environment: "Sandbox".into(), newest: Some((KEY.event, EventKey(KEY.event.0 + 11))) });
    let anew = Replay { ids, ..replay };
    pinned("replay-new-ids", |out| write_replay(&anew, out), |was, out| write_replay(&read_replay(no, was).unwrap(), out));
    assert_eq!(read_replay(no, &stored("replay-new-ids")).unwrap(), anew);
}

#[test]
fn records_of_tenants_and_providers_are_pinned() {
    let owned = Owned { provider: "decisio".into(), tenant: "t1".into() };
    let again = |was: &[u8], out: &mut Vec<u8>| {
        write_tenant(TENANT, &read_tenant(TENANT, was).unwrap(), out);
    };
    let profile = Profile {
        environment: Some("Sandbox".into()),
        name: "Customer 1".into(),
        metadata: [("plan".into(), "gold".into())].into(),
        uid: None,
        retention: None,
        rate_limit: Some("600/m".parse().unwrap()),
    };
    let bare = Tenant::new(owned, None);
    let gone = Tenant { listing: Listing::Gone, ..bare.clone() };
    let tenant = Tenant { created_at: Some(AT), updated_at: Some(LATER), profile, ..gone.clone() };
    pinned("tenant", |out| write_tenant(TENANT, &tenant, out), again);
    let deletion = Some(Deletion { since: LATER, events: 7, deliveries: 300 });
    let deleted = Tenant { listing: Listing::Deleting, deletion, ..tenant.clone() };
    pinned("tenant-deleted", |out| write_tenant(TENANT, &deleted, out), again);
    let profile =
        Profile { uid: Uid::parse("crm.17").ok(), retention: Some(Duration::from_secs(300)), ..deleted.profile.clone() };
    let called = Tenant { profile, aged: Some(EventKey(70_000)), ..deleted };
    pinned("tenant-called", |out| write_tenant(TENANT, &called, out), again);
    let called = Tenant { deletion: None, aged: None, ..called };
    pinned("tenant-called-plain", |out| write_tenant(TENANT, &called, out), again);
    for of_second in ["tenant-2", "tenant-2/3"] {
        assert_eq!(read_tenant(TENANT, &stored(of_second)).unwrap(), gone, "{of_second}");
    }
    assert_eq!(read_tenant(TENANT, &stored("tenant-1")).unwrap(), bare, "of the first version");

    let settings =
        ProviderSettings { validate: Some(Validate::Warn), unknown_types: Some(UnknownTypes::Refuse), create_tenants: None };
    let again = |was: &[u8], out: &mut Vec<u8>| write_provider(b"deck", &read_provider(b"deck", was).unwrap(), out);
    pinned("provider", |out| write_provider(b"deck", &settings, out), again);

    let scopes = Scopes { publish: true, read: false, manage: true };
    let roles = [
        (Role::Operator, "key-operator"),
        (Role::Provider { provider: "deck".into(), scopes }, "key-provider"),
        (Role::Tenant { provider: "deck".into(), tenant: "t1".into(), scopes }, "key-tenant"),
    ];
    for (role, name) in roles {
        let maker = match role {
            Role::Tenant { .. } => Maker::Provider("key_0".into()),
            _ => Maker::Operator(Some("key_0".into())),
        };
        let terms =
            Terms { description: "For the build".into(), expires_at: Some(LATER), rate_limit: Some("1000/s".parse().unwrap()) };
        let key = Key { id: "key_1".into(), name: "ci".into(), role, hash: [5; 32], created_at: AT, maker, terms };
        let again = |was: &[u8], out: &mut Vec<u8>| {
            let (key, used) = read_key([5; 32], was).unwrap();
            write_key(&key, used, out);
        };
        pinned(name, |out| write_key(&key, Some(LATER), out), again);
        let key = Key { terms: Terms::default(), ..key };
        assert_eq!(read_key([5; 32], &stored(&format!("{name}-3"))).unwrap(), (key.clone(), None), "{name} of the third version");
        let key = Key { maker: Maker::NOT_KEPT, ..key };
        assert_eq!(read_key([5; 32], &stored(&format!("{name}-2"))).unwrap().0, key, "{name} of the second version");
        let role = match key.role.clone() {
            Role::Provider { provider, .. } => Role::Provider { provider, scopes: Scopes::PUBLISH },
            role => role,
        };
        for of_first in [format!("{name}-1"), format!("{name}-1/3")] {
            assert_eq!(read_key([5; 32], &stored(&of_first)).unwrap().0, Key { role: role.clone(), ..key.clone() }, "{of_first}");
        }
    }

    let connection = Connection {
        opened_at: AT,
        used_at: LATER,
        link: Some("link".into()),
        urls: vec![(EndpointNo(7), "https://example.com".into())],
    };
    let again = |was: &[u8], out: &mut Vec<u8>| write_connection(b"c", &read_connection(b"c", was).unwrap(), out);
    pinned("connection", |out| write_connection(b"c", &connection, out), again);

    let event_type = EventType {
        name: "order.made".into(),
        description: "An order".into(),
        example: "{}".into(),
        ours: false,
        version: -2,
        ..EventType::default()
    };
    pinned(
        "event-type",
        |out| write_event_type(b"e", &event_type, out),
        |was, out| write_event_type(b"e", &read_event_type(b"e", was).unwrap(), out),
    );
    let schema = Some(Arc::new(Schema::from_stored("{\"type\":\"object\"}".into())));
    let judged = EventType { schema, deprecated: true, ..event_type };
    pinned(
        "event-type-judged",
        |out| write_event_type(b"e", &judged, out),
        |was, out| write_event_type(b"e", &read_event_type(b"e", was).unwrap(), out),
    );
    assert_eq!(read_event_type(b"e", &stored("event-type-judged")).unwrap(), judged);
}

#[test]
fn webhooks() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("master-key"), "07".repeat(32)).unwrap();
    let sealer = Sealer::load(folder.path(), Some(folder.path()), false).unwrap();
    let with_settings = |owner, state, settings: Arc<WebhookSettings>| Endpoint {
        no: EndpointNo(7),
        id: "wh_1".into(),
        provider: "decisio".into(),
        tenant: "t1".into(),
        tenant_no: TenantNo(4),
        definition: Definition {
            name: "orders".into(),
            description: "All orders".into(),
            url: "https://example.com/hook".into(),
            events: vec![Pattern::parse("order.*").unwrap()],
            settings: settings.clone(),
        },
        owner,
        created_at: AT,
        changed_at: LATER,
        state,
        failures: 9,
        secrets: Vec::new(),
        pins_from: AT,
    };
    let endpoint = |owner, state| with_settings(owner, state, WebhookSettings::none());
    let forms = [
        (Owner::File, WebhookState::Active, "endpoint-active"),
        (Owner::Operator, WebhookState::Disabled { at: LATER, why: Why::Failures(10) }, "endpoint-disabled"),
        (Owner::Operator, WebhookState::Disabled { at: LATER, why: Why::Held }, "endpoint-held"),
        (Owner::Key("key_1".into()), WebhookState::Deleted { at: LATER }, "endpoint-deleted"),
        (Owner::File, WebhookState::Removed { at: LATER, disabled: None }, "endpoint-removed"),
        (Owner::File, WebhookState::Removed { at: LATER, disabled: Some((AT, Why::Gone)) }, "endpoint-removed-disabled"),
    ];
    for (owner, state, name) in forms {
        let again = |was: &[u8], out: &mut Vec<u8>| {
            write_endpoint(&read_endpoint(EndpointNo(7), &sealer, was).unwrap(), &sealer, out).unwrap();
        };
        pinned(name, |out| write_endpoint(&endpoint(owner.clone(), state), &sealer, out).unwrap(), again);
    }
    let settings = WebhookSettings::none().with(&[Setting::read("filter", r#"{"data": {"n": 1e400}}"#).unwrap()]);
    pinned(
        "endpoint-filter",
        |out| write_endpoint(&with_settings(Owner::File, WebhookState::Active, settings.clone()), &sealer, out).unwrap(),
        |was, out| write_endpoint(&read_endpoint(EndpointNo(7), &sealer, was).unwrap(), &sealer, out).unwrap(),
    );
    let read = |name: &str| read_endpoint(EndpointNo(7), &sealer, &stored(name)).unwrap();
    for (state, name) in [
        (WebhookState::Active, "endpoint-active-1"),
        (WebhookState::Active, "endpoint-active-1/3"),
        (WebhookState::Disabled { at: LATER, why: Why::Failures(10) }, "endpoint-disabled-1"),
        (WebhookState::Deleted { at: LATER }, "endpoint-deleted-1"),
    ] {
        assert_eq!((read(name).state, read(name).pins_from), (state, Timestamp::EPOCH), "{name}, of the first version");
    }
    let was_out = read("endpoint-not-in-file-1/3");
    assert_eq!((was_out.state, was_out.pins_from), (WebhookState::Removed { at: LATER, disabled: None }, LATER));
    // Sealing gives other bytes each time, so the record is only read.
    let read = read_endpoint(EndpointNo(7), &sealer, &stored("endpoint-sealed")).unwrap();
    let secrets: Vec<_> = read.secrets.iter().map(|held| (held.secret.expose(), held.until)).collect();
    assert_eq!(secrets, [("whsec_new", None), ("whsec_old", Some(LATER))]);
    sealed_settings(&sealer);
}

/// Sealing gives other bytes each time, so the stored record is only read.
fn sealed_settings(sealer: &Sealer) {
    let authorization = r#"{"Authorization":"Bearer a-token-of-a-test"}"#;
    let given = [Setting::read("timeout", "\"10s\"").unwrap(), Setting::read("headers", authorization).unwrap()];
    let read = read_endpoint(EndpointNo(7), sealer, &stored("endpoint-sealed-setting")).unwrap();
    assert_eq!(read.definition.settings, WebhookSettings::none().with(&given));
    let mut again = Vec::new();
    write_endpoint(&read, sealer, &mut again).unwrap();
    assert!(!again.windows(8).any(|bytes| bytes == b"a-token-"), "the record holds the value in the open");
    assert_eq!(read_endpoint(EndpointNo(7), sealer, &again).unwrap().definition, read.definition);
    // Without the key the record is judged and shown, as a check of a closed store does.
    assert!(check_endpoint(EndpointNo(7), &again).is_ok());
}

#[test]
fn the_audit_log_is_pinned() {
    let owner = Some(Owned { provider: "decisio".into(), tenant: "t1".into() });
    let actor = Actor { kind: ActorKind::Key, id: "key_1".into(), name: "ci".into() };
    let row = Row {
        key: AuditKey(0x0650_1234_5678_9abc),
        at: AT,
        origin: Origin { actor, address: "192.0.2.1".into(), call: "PATCH /v1/webhooks/{id}".into() },
        object: Object { kind: ObjectKind::Webhook, id: "wh_1".into(), name: "billing".into(), owner },
        before: Some(r#"{"url":"https://a.example/"}"#.into()),
        after: None,
        previous: [7; 32],
    };
    pinned("audit", |out| write_audit(&row, out), |was, out| write_audit(&read_audit(row.key, was).unwrap(), out));
    assert_eq!(
        hex::encode(audit_hash(row.key, &stored("audit"))),
        "5e12f292b2f8876ae6fa1495f382832b2091301d7fc01237aa292199802e1f78"
    );
    let chain = Chain { anchor: [1; 32], head: [2; 32], newest: 3, bytes: 4 };
    pinned("chain", |out| write_chain(&[3], &chain, out), |was, out| write_chain(&[3], &read_chain(&[3], was).unwrap(), out));
}

#[test]
fn codes() {
    use Class::{Connect, Dns, Policy, Reset, Status, Timeout, Tls};
    assert_eq!([Dns, Connect, Tls, Timeout, Reset, Status, Policy].map(class_code), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!([Class::Response, Class::Internal, Class::Auth].map(class_code), [7, 8, 9]);
    assert_eq!(End::ALL.map(end_code), [0, 1, 2, 3, 4, 5]);
    assert_eq!([Cause::Publish, Cause::Manual, Cause::Test].map(cause_code), [0, 1, 2]);
    let failures = [Dns, Class::Internal].map(|class| brought_code(Brought::Failure(class)));
    assert_eq!((failures, brought_code(Brought::Status(4))), ([16, 24], 4));
    assert_eq!([Trigger::Schedule, Trigger::Manual, Trigger::Test].map(trigger_code), [0, 1, 2]);
    assert_eq!([Task::None, Task::Park, Task::End].map(task_code), [0, 1, 2]);
    assert_eq!([Listing::Never, Listing::Listed, Listing::Gone, Listing::Deleting].map(listing_code), [0, 1, 2, 3]);
    assert_eq!([ActorKind::Key, ActorKind::Socket, ActorKind::File].map(actor_kind_code), [0, 1, 2]);
    use ObjectKind::{Backup, Clock, Config, Event, EventType, History, Provider, Replay};
    assert_eq!(
        [ObjectKind::Webhook, ObjectKind::Delivery, ObjectKind::Key, ObjectKind::Tenant].map(object_kind_code),
        [0, 1, 2, 3]
    );
    assert_eq!(
        [EventType, Config, Clock, Backup, Provider, Replay, Event, History].map(object_kind_code),
        [4, 5, 6, 7, 8, 9, 10, 11]
    );
    assert!(actor_kind(3).is_err() && object_kind(12).is_err());
    use timekeeper::Why::{Ahead, Away, Behind, Early};
    assert_eq!([Ahead, Behind, Early, Away].map(why_code), [0, 1, 2, 3]);
    assert!(
        why(4).is_err()
            && class(10).is_err()
            && end(6).is_err()
            && cause(3).is_err()
            && trigger(3).is_err()
            && listing(4).is_err()
            && task(3).is_err()
            && brought(26).is_err()
    );
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let mut bytes = Vec::new();
    write_event(&event(), NODE, &mut bytes);
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(read_event(KEY.event, NODE, &bytes).is_err(), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    for bit in 0..64 {
        assert!(read_event(EventKey(KEY.event.0 ^ (1 << bit)), NODE, &bytes).is_err(), "bit {bit} of the key");
    }
    assert!(read_event(KEY.event, NODE, &bytes).is_ok());
    assert!(read_event(KEY.event, NODE, &bytes[..bytes.len() - 1]).is_err());
    assert!(read_event(KEY.event, NODE, &[]).is_err());
}

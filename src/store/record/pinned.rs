//! Each form as stores that exist hold it, in `tests/vectors/records.txt`. A test that fails here says that they would not be read
//! any more: give the record a new version, and keep an arm that reads this one.

use std::time::Duration;

use bytes::Bytes;

use super::counters::{why, why_code};
use super::log::{cause, cause_code, class, class_code, end, end_code, trigger, trigger_code};
use super::tenant::{listing, listing_code};
use super::*;
use crate::domain::access::{Key, Role, Scopes};
use crate::domain::delivery::{Cause, Delivery, End, Place, Run, State, Trigger};
use crate::domain::dialect::EventType;
use crate::domain::endpoint::{Definition, Endpoint, Owner, Standing, Why};
use crate::domain::event::{Attributes, Content, Event};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, Node, TenantNo};
use crate::domain::outcome::{Class, Failure, Outcome, Response};
use crate::domain::pattern::Pattern;
use crate::domain::time::Timestamp;
use crate::domain::timekeeper::{self, Doubt, Kept, Reading};
use crate::store::pins::Connection;
use crate::store::registry::Listing;
use crate::store::seal::Sealer;
use crate::store::{Attempt, Owned};

const AT: Timestamp = Timestamp::from_micros(1_776_695_520_123_456);
const LATER: Timestamp = Timestamp::from_micros(1_776_695_580_654_321);
const KEY: DeliveryKey = DeliveryKey { event: EventKey(0x0650_1234_5678_9abc), endpoint: EndpointNo(7) };
const NODE: Node = Node(0x0102_0304_0506_0708);

/// A record is written as it always was, and what is read of it is all that there was.
#[track_caller]
fn pinned(name: &str, written: impl Fn(&mut Vec<u8>), again: impl Fn(&[u8], &mut Vec<u8>)) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    written(&mut first);
    assert_eq!(hex::encode(&first), hex::encode(stored(name)), "{name}");
    again(&first, &mut second);
    assert_eq!(hex::encode(&second), hex::encode(&first), "{name}: something was lost");
}

fn stored(name: &str) -> Vec<u8> {
    let lines = include_str!("../../../tests/vectors/records.txt").lines();
    let hex = lines.filter_map(|line| line.split_once(' ')).find(|(of, _)| *of == name).expect("it is among the vectors").1;
    hex::decode(hex).expect("hex digits")
}

fn event() -> StoredEvent {
    let content = Content::from_parts(Bytes::from_static(br#"{"data":{"n":1}}"#), 16, 8..15).expect("it is as long as that");
    let event = Event {
        key: KEY.event,
        id: "order-1".into(),
        provider: "decisio".into(),
        tenant: Some("t1".into()),
        kind: "order.made".into(),
        time: AT,
        occurred_at: Some(LATER),
        attributes: [("version".to_owned(), "2".into())].into(),
        connection: Some("conn_1".into()),
        test: true,
        content,
    };
    StoredEvent { event, deliveries: 300, removed: 2 }
}

fn response() -> Attempt {
    let headers = [("content-type", "text/plain")].into_iter().collect();
    let response = Response { status: 503, headers, body: Bytes::from_static(b"later"), truncated: true };
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
        run: Run { cause: Cause::Hand, before: 2, draw: Some(0.25) },
        by_hand: true,
        url: Some("https://example.com/pinned".into()),
        succeeded_at: Some(LATER),
        code: Some(503),
        recovered: true,
    }
}

#[test]
fn small_records() {
    pinned(
        "meta",
        |out| write_meta(&Meta { store_version: 3, node: NODE.0 }, out),
        |was, out| write_meta(&read_meta(was).unwrap(), out),
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
    };
    assert_eq!(read_counters(&stored("counters")).unwrap(), counters, "of the first version");
    let doubt = Some(Doubt { why: timekeeper::Why::Behind, off: Duration::from_secs(3_600), held: Duration::from_secs(60) });
    let last = Reading { wall: AT, boot: Duration::from_micros(987_654_321) };
    let time = Some(Kept { boot_id: NODE.0, last, now: LATER, lead: Duration::from_millis(5), doubt });
    let counters = Counters { time, ..counters };
    pinned("counters-2", |out| write_counters(&counters, out), |was, out| write_counters(&read_counters(was).unwrap(), out));
    let named = Named { event: KEY.event.0, deliveries: 2, content: [9; 32], until: AT.as_millis() };
    pinned("named", |out| write_named(&named, out), |was, out| write_named(&read_named(was).unwrap(), out));
    let fanout = Fanout { after: 1_000, until: 10_000, made: 999 };
    pinned("fanout", |out| write_fanout(&fanout, out), |was, out| write_fanout(&read_fanout(was).unwrap(), out));
    let job = Job { ends: true, after: [3; 20], until: KEY.event.0 };
    pinned("job", |out| write_job(&job, out), |was, out| write_job(&read_job(was).unwrap(), out));
    pinned("bytes", |out| write_bytes(&vec![1, 2, 3], out), |was, out| write_bytes(&read_bytes(was).unwrap(), out));
    pinned("number", |out| write_number(&KEY.event.0, out), |was, out| write_number(&read_number(was).unwrap(), out));
}

#[test]
fn events() {
    let again = |was: &[u8], out: &mut Vec<u8>| write_event(&read_event(KEY.event, NODE, was).unwrap(), NODE, out);
    pinned("event", |out| write_event(&event(), NODE, out), again);
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
}

#[test]
fn the_log() {
    let again = |was: &[u8], out: &mut Vec<u8>| {
        let (delivery, newest) = read_delivery(KEY, was).unwrap();
        write_delivery(&delivery, newest.as_ref(), out);
    };
    let due = delivery(State::Pending(Place::Due(Timestamp::from_millis(AT.as_millis()))));
    pinned("delivery-due", |out| write_delivery(&due, Some(&response()), out), again);
    let failed = delivery(State::Failed { at: AT, end: End::Expired });
    pinned("delivery-failed", |out| write_delivery(&failed, None, out), again);
    let plain = Delivery { succeeded_at: Some(AT), ..Delivery::published(KEY, Place::Backlog(5)) };
    pinned("delivery-parked", |out| write_delivery(&plain, None, out), again);
    let succeeded = Delivery { state: State::Succeeded { at: AT }, ..plain };
    pinned("delivery-succeeded", |out| write_delivery(&succeeded, None, out), again);

    let again = |was: &[u8], out: &mut Vec<u8>| write_attempt(&read_attempt(was).unwrap(), out);
    pinned("attempt-response", |out| write_attempt(&response(), out), again);
    let failure = Err(Failure::new(Class::Tls, "the certificate is expired"));
    let attempt = Attempt { error: Some(Class::Tls), outcome: Outcome { result: failure, ..response().outcome }, ..response() };
    pinned("attempt-failure", |out| write_attempt(&attempt, out), again);
}

#[test]
fn what_belongs_to_tenants_and_providers() {
    let owned = Owned { provider: "decisio".into(), tenant: "t1".into() };
    let again = |was: &[u8], out: &mut Vec<u8>| {
        let (owned, listing) = read_tenant(was).unwrap();
        write_tenant(&owned, listing, out);
    };
    pinned("tenant", |out| write_tenant(&owned, Listing::Gone, out), again);
    assert_eq!(read_tenant(&stored("tenant-1")).unwrap(), (owned, Listing::Never), "of the first version");

    let scopes = Scopes { publish: true, read: false, manage: true };
    let roles = [
        (Role::Operator, "key-operator"),
        (Role::Provider { provider: "deck".into() }, "key-provider"),
        (Role::Tenant { provider: "deck".into(), tenant: "t1".into(), scopes }, "key-tenant"),
    ];
    for (role, name) in roles {
        let key = Key { id: "key_1".into(), name: "ci".into(), role, hash: [5; 32], created_at: AT };
        pinned(name, |out| write_key(&key, out), |was, out| write_key(&read_key([5; 32], was).unwrap(), out));
    }

    let connection = Connection {
        opened_at: AT,
        used_at: LATER,
        link: Some("link".into()),
        urls: vec![(EndpointNo(7), "https://example.com".into())],
    };
    let again = |was: &[u8], out: &mut Vec<u8>| write_connection(&read_connection(was).unwrap(), out);
    pinned("connection", |out| write_connection(&connection, out), again);

    let event_type =
        EventType { name: "order.made".into(), description: "An order".into(), example: "{}".into(), ours: false, version: -2 };
    pinned(
        "event-type",
        |out| write_event_type(&event_type, out),
        |was, out| write_event_type(&read_event_type(was).unwrap(), out),
    );
}

#[test]
fn webhooks() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("master-key"), "07".repeat(32)).unwrap();
    let sealer = Sealer::load(folder.path(), Some(folder.path()), false).unwrap();
    let endpoint = |owner, standing| Endpoint {
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
        },
        owner,
        created_at: AT,
        changed_at: LATER,
        standing,
        failures: 9,
        secrets: Vec::new(),
    };
    let forms = [
        (Owner::File, Standing::Active, "endpoint-active"),
        (Owner::Operator, Standing::Disabled { at: LATER, why: Why::Failures(10) }, "endpoint-disabled"),
        (Owner::Key("key_1".into()), Standing::Deleted { at: LATER }, "endpoint-deleted"),
    ];
    for (owner, standing, name) in forms {
        let again = |was: &[u8], out: &mut Vec<u8>| {
            write_endpoint(&read_endpoint(EndpointNo(7), &sealer, was).unwrap(), &sealer, out).unwrap();
        };
        pinned(name, |out| write_endpoint(&endpoint(owner.clone(), standing), &sealer, out).unwrap(), again);
    }
    // Sealed anew each time, so it is only read.
    let read = read_endpoint(EndpointNo(7), &sealer, &stored("endpoint-sealed")).unwrap();
    let secrets: Vec<_> = read.secrets.iter().map(|held| (held.secret.expose(), held.until)).collect();
    assert_eq!(secrets, [("whsec_new", None), ("whsec_old", Some(LATER))]);
}

#[test]
fn codes() {
    use Class::{Connect, Dns, Policy, Reset, Status, Timeout, Tls};
    assert_eq!([Dns, Connect, Tls, Timeout, Reset, Status, Policy, Class::Response].map(class_code), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!([End::Exhausted, End::Gone, End::WebhookDeleted, End::Expired].map(end_code), [0, 1, 2, 3]);
    assert_eq!([Cause::Publish, Cause::Hand, Cause::Test].map(cause_code), [0, 1, 2]);
    assert_eq!([Trigger::Schedule, Trigger::Manual, Trigger::Test].map(trigger_code), [0, 1, 2]);
    assert_eq!([Listing::Never, Listing::Listed, Listing::Gone].map(listing_code), [0, 1, 2]);
    use timekeeper::Why::{Ahead, Away, Behind, Early};
    assert_eq!([Ahead, Behind, Early, Away].map(why_code), [0, 1, 2, 3]);
    assert!(
        why(4).is_err()
            && class(8).is_err()
            && end(4).is_err()
            && cause(3).is_err()
            && trigger(3).is_err()
            && listing(3).is_err()
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
    assert!(read_event(KEY.event, NODE, &bytes[..bytes.len() - 1]).is_err());
    assert!(read_event(KEY.event, NODE, &[]).is_err());
}

//! The on-disk forms of everything, and the only file that names bincode.
//!
//! A record is `VERSION`, the bincode of one of the structs below, and a CRC32C over both: redb does not check pages on a plain
//! read, so a flipped bit must be found here and not sent to a customer. The structs mirror the domain and are not the domain:
//! a change of one is a new version of the record, read by its own arm in [`open`].
//!
//! bincode is pinned to 2.0.1: 3.0.0 does not compile by design and the crate is unmaintained (RUSTSEC-2025-0141). Whoever
//! replaces it does so here, behind a new version byte.

use std::time::Duration;

use bincode::{BorrowDecode, Decode, Encode, config};
use bytes::Bytes;

use super::error::Error;
use super::pins::Connection;
use super::registry::Listing;
use super::seal::Sealer;
use super::{Attempt, Owned};
use crate::domain::access::{Key, Role, Scopes};
use crate::domain::delivery::{Cause, Delivery, End, Place, Run, State, Trigger};
use crate::domain::dialect::EventType;
use crate::domain::endpoint::{Definition, Endpoint, LiveSecret, Owner, Standing, Why};
use crate::domain::event::{Content, Event};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, Node, TenantNo};
use crate::domain::outcome::{Class, Failure, Outcome, Response};
use crate::domain::pattern::Pattern;
use crate::domain::time::Timestamp;

/// The version that a record begins with, unless its form has a newer one.
const VERSION: u8 = 1;

/// A tenant with what the config file says of it; before, it was the two names.
const TENANT_VERSION: u8 = 2;

const CRC_BYTES: usize = 4;
const CONFIG: config::Configuration = config::standard();

/// Writes one record into `out`, which is emptied first so that it can be used again.
fn close(value: &impl Encode, out: &mut Vec<u8>) {
    close_as(VERSION, value, out);
}

fn close_as(version: u8, value: &impl Encode, out: &mut Vec<u8>) {
    out.clear();
    out.push(version);
    let written = bincode::encode_into_std_write(value, out, CONFIG);
    debug_assert!(written.is_ok(), "encoding into memory has nothing that can fail");
    let crc = crc32c::crc32c(out);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Reads one record of the first version; `table` names it in the error.
fn open<'a, T: BorrowDecode<'a, ()>>(table: &'static str, bytes: &'a [u8]) -> Result<T, Error> {
    match intact(table, bytes)? {
        (VERSION, content) => decode(table, content),
        _ => Err(unknown_version(table)),
    }
}

/// A record's version and its content, once its checksum was found right.
fn intact<'a>(table: &'static str, bytes: &'a [u8]) -> Result<(u8, &'a [u8]), Error> {
    let damaged = |why| Error::Damaged { table, why };
    let end = bytes.len().checked_sub(CRC_BYTES).filter(|end| *end > 0).ok_or(damaged("it is too short"))?;
    let (content, crc) = bytes.split_at(end);
    if crc32c::crc32c(content).to_le_bytes() != crc {
        return Err(damaged("its checksum does not match"));
    }
    Ok((content[0], &content[1..]))
}

fn decode<'a, T: BorrowDecode<'a, ()>>(table: &'static str, content: &'a [u8]) -> Result<T, Error> {
    let read = bincode::borrow_decode_from_slice(content, CONFIG).ok();
    let whole = read.and_then(|(value, used)| (used == content.len()).then_some(value));
    whole.ok_or(Error::Damaged { table, why: "it cannot be decoded" })
}

fn unknown_version(table: &'static str) -> Error {
    Error::Damaged { table, why: "its version is unknown" }
}

/// What the store is.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(super) struct Meta {
    pub(super) store_version: u32,
    pub(super) node: u64,
}

/// Counters that every commit may move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct Counters {
    /// The newest event key, or backlog number, that was given.
    pub(super) last_key: u64,
    pub(super) last_endpoint: u32,
    pub(super) last_tenant: u32,
    /// Bytes of keys and values in all tables.
    pub(super) live_bytes: u64,
    /// Events that are kept.
    pub(super) events: u64,
    /// Deliveries that are not finished.
    pub(super) pending: u64,
    /// Retention has looked at every event up to here.
    pub(super) swept: u64,
    /// Every event up to here is in the index table.
    pub(super) indexed: u64,
}

impl Counters {
    /// Notes that keys and values of so many bytes are gone.
    pub(super) fn free(&mut self, bytes: u64) {
        self.live_bytes = self.live_bytes.saturating_sub(bytes);
    }
}

/// An event with the number of deliveries it was given.
#[derive(Clone, Debug)]
pub(super) struct StoredEvent {
    pub(super) event: Event,
    /// Those that match at publishing; while its fan-out runs, all that will be.
    pub(super) deliveries: u32,
    /// Of those, how many retention has taken already.
    pub(super) removed: u32,
}

/// What was answered for an id or an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(super) struct Named {
    pub(super) event: u64,
    pub(super) deliveries: u32,
    pub(super) content: [u8; 32],
    /// Milliseconds; an idempotency key is forgotten at this time, an id goes with its event.
    pub(super) until: u64,
}

/// How far a wide fan-out has come.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(super) struct Fanout {
    /// The last endpoint that was looked at.
    pub(super) after: u32,
    /// Endpoints made later do not get the event.
    pub(super) until: u32,
    /// Deliveries made so far.
    pub(super) made: u32,
}

/// What is done to the deliveries that were pending when a webhook was disabled or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(super) struct Job {
    /// Ends them as failed; else parks them in the backlog.
    pub(super) ends: bool,
    /// Milliseconds, event, endpoint: the last due entry that was looked at.
    pub(super) after: [u8; 20],
    /// Events up to here; later ones know how the webhook stands.
    pub(super) until: u64,
}

#[derive(Encode, BorrowDecode)]
struct EventForm<'a> {
    /// `None`: made of the key.
    id: Option<&'a str>,
    provider: &'a str,
    tenant: Option<&'a str>,
    kind: &'a str,
    time: u64,
    occurred_at: Option<u64>,
    attributes: Vec<(&'a str, &'a str)>,
    connection: Option<&'a str>,
    test: bool,
    deliveries: u32,
    removed: u32,
    body_end: u32,
    data: (u32, u32),
    bytes: &'a [u8],
}

#[derive(Encode, BorrowDecode)]
struct DeliveryForm<'a> {
    state: StateForm,
    attempts: u16,
    cause: u8,
    before: u16,
    draw: Option<f64>,
    by_hand: bool,
    url: Option<&'a str>,
    succeeded_at: Option<u64>,
    code: Option<u16>,
    recovered: bool,
    newest: Option<AttemptForm<'a>>,
}

#[derive(Clone, Copy, Encode, Decode)]
enum StateForm {
    Due(u64),
    Backlog(u64),
    Succeeded(u64),
    Failed(u64, u8),
}

#[derive(Encode, BorrowDecode)]
struct AttemptForm<'a> {
    number: u16,
    trigger: u8,
    started_at: u64,
    micros: u64,
    url: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    error: Option<u8>,
    result: ResultForm<'a>,
}

#[derive(Encode, BorrowDecode)]
enum ResultForm<'a> {
    Response { status: u16, headers: Vec<(&'a str, &'a str)>, body: &'a [u8], truncated: bool },
    Failure { class: u8, detail: &'a str },
}

#[derive(Encode, Decode)]
struct EndpointForm {
    id: String,
    provider: String,
    tenant: String,
    tenant_no: u32,
    name: String,
    description: String,
    url: String,
    events: Vec<String>,
    /// `None`: the config file; empty: the operator; else a key's id.
    owner: Option<String>,
    created_at: u64,
    changed_at: u64,
    standing: StandingForm,
    failures: u32,
    secrets: Vec<SecretForm>,
}

#[derive(Encode, Decode)]
enum StandingForm {
    Active,
    Disabled { at: u64, why: u8, count: u32 },
    Deleted { at: u64 },
}

#[derive(Encode, Decode)]
struct SecretForm {
    sealed: Vec<u8>,
    until: Option<u64>,
}

#[derive(Encode, Decode)]
struct KeyForm {
    id: String,
    name: String,
    provider: Option<String>,
    tenant: Option<String>,
    scopes: u8,
    created_at: u64,
}

#[derive(Encode, BorrowDecode)]
struct ConnectionForm<'a> {
    opened_at: u64,
    used_at: u64,
    link: Option<&'a str>,
    urls: Vec<(u32, &'a str)>,
}

#[derive(Encode, BorrowDecode)]
struct EventTypeForm<'a> {
    name: &'a str,
    description: &'a str,
    example: &'a str,
    version: i64,
}

macro_rules! plain {
    ($($write:ident, $read:ident: $form:ty = $table:literal;)*) => {
        $(
            pub(super) fn $write(value: &$form, out: &mut Vec<u8>) {
                close(value, out);
            }

            pub(super) fn $read(bytes: &[u8]) -> Result<$form, Error> {
                open($table, bytes)
            }
        )*
    };
}

plain! {
    write_meta, read_meta: Meta = "meta";
    write_counters, read_counters: Counters = "state";
    write_named, read_named: Named = "name";
    write_fanout, read_fanout: Fanout = "fanout";
    write_job, read_job: Job = "job";
    write_bytes, read_bytes: Vec<u8> = "meta";
    write_number, read_number: u64 = "number";
}

pub(super) fn write_tenant(owned: &Owned, listing: Listing, out: &mut Vec<u8>) {
    close_as(TENANT_VERSION, &(&*owned.provider, &*owned.tenant, listing_code(listing)), out);
}

pub(super) fn read_tenant(bytes: &[u8]) -> Result<(Owned, Listing), Error> {
    let (provider, tenant, code): (&str, &str, u8) = match intact("tenant", bytes)? {
        (TENANT_VERSION, content) => decode("tenant", content)?,
        (VERSION, content) => {
            let (provider, tenant) = decode("tenant", content)?;
            (provider, tenant, listing_code(Listing::Never))
        }
        _ => return Err(unknown_version("tenant")),
    };
    Ok((Owned { provider: provider.into(), tenant: tenant.into() }, listing(code)?))
}

pub(super) fn write_event(stored: &StoredEvent, node: Node, out: &mut Vec<u8>) {
    let event = &stored.event;
    let (bytes, body_end, data) = event.content.parts();
    let made = node.event_key(&event.id) == Some(event.key);
    let form = EventForm {
        id: (!made).then_some(&*event.id),
        provider: &event.provider,
        tenant: event.tenant.as_deref(),
        kind: &event.kind,
        time: event.time.as_micros(),
        occurred_at: event.occurred_at.map(Timestamp::as_micros),
        attributes: event.attributes.iter().map(|(name, value)| (&**name, &**value)).collect(),
        connection: event.connection.as_deref(),
        test: event.test,
        deliveries: stored.deliveries,
        removed: stored.removed,
        body_end: narrow(body_end),
        data: (narrow(data.start), narrow(data.end)),
        bytes,
    };
    close(&form, out);
}

pub(super) fn read_event(key: EventKey, node: Node, bytes: &[u8]) -> Result<StoredEvent, Error> {
    let form: EventForm<'_> = open("event", bytes)?;
    let places = (form.body_end as usize, form.data.0 as usize..form.data.1 as usize);
    let content = Content::from_parts(Bytes::copy_from_slice(form.bytes), places.0, places.1)
        .ok_or(Error::Damaged { table: "event", why: "its body is shorter than it says" })?;
    let event = Event {
        key,
        id: form.id.map_or_else(|| node.event_id(key).into(), Into::into),
        provider: form.provider.into(),
        tenant: form.tenant.map(Into::into),
        kind: form.kind.into(),
        time: Timestamp::from_micros(form.time),
        occurred_at: form.occurred_at.map(Timestamp::from_micros),
        attributes: form.attributes.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        connection: form.connection.map(Into::into),
        test: form.test,
        content,
    };
    Ok(StoredEvent { event, deliveries: form.deliveries, removed: form.removed })
}

pub(super) fn write_delivery(delivery: &Delivery, newest: Option<&Attempt>, out: &mut Vec<u8>) {
    let form = DeliveryForm {
        state: state_form(delivery.state),
        attempts: delivery.attempts,
        cause: cause_code(delivery.run.cause),
        before: delivery.run.before,
        draw: delivery.run.draw,
        by_hand: delivery.by_hand,
        url: delivery.url.as_deref(),
        succeeded_at: delivery.succeeded_at.map(Timestamp::as_micros),
        code: delivery.code,
        recovered: delivery.recovered,
        newest: newest.map(attempt_form),
    };
    close(&form, out);
}

pub(super) fn read_delivery(key: DeliveryKey, bytes: &[u8]) -> Result<(Delivery, Option<Attempt>), Error> {
    let form: DeliveryForm<'_> = open("log", bytes)?;
    let delivery = Delivery {
        key,
        state: state(form.state)?,
        attempts: form.attempts,
        run: Run { cause: cause(form.cause)?, before: form.before, draw: form.draw },
        by_hand: form.by_hand,
        url: form.url.map(Into::into),
        succeeded_at: form.succeeded_at.map(Timestamp::from_micros),
        code: form.code,
        recovered: form.recovered,
    };
    Ok((delivery, form.newest.map(attempt).transpose()?))
}

pub(super) fn write_attempt(value: &Attempt, out: &mut Vec<u8>) {
    close(&attempt_form(value), out);
}

pub(super) fn read_attempt(bytes: &[u8]) -> Result<Attempt, Error> {
    attempt(open("log", bytes)?)
}

/// The webhook's secrets are sealed with what they belong to, so that a sealed secret moved to another row does not open.
pub(super) fn write_endpoint(endpoint: &Endpoint, sealer: &Sealer, out: &mut Vec<u8>) -> Result<(), Error> {
    let secrets = endpoint.secrets.iter().map(|held| sealed(held, endpoint, sealer)).collect::<Result<_, Error>>()?;
    let definition = &endpoint.definition;
    let form = EndpointForm {
        id: endpoint.id.to_string(),
        provider: endpoint.provider.to_string(),
        tenant: endpoint.tenant.to_string(),
        tenant_no: endpoint.tenant_no.0,
        name: definition.name.to_string(),
        description: definition.description.to_string(),
        url: definition.url.to_string(),
        events: definition.events.iter().map(ToString::to_string).collect(),
        owner: owner_form(&endpoint.owner),
        created_at: endpoint.created_at.as_micros(),
        changed_at: endpoint.changed_at.as_micros(),
        standing: standing_form(endpoint.standing),
        failures: endpoint.failures,
        secrets,
    };
    close(&form, out);
    Ok(())
}

pub(super) fn read_endpoint(no: EndpointNo, sealer: &Sealer, bytes: &[u8]) -> Result<Endpoint, Error> {
    let form: EndpointForm = open("endpoint", bytes)?;
    let label = seal_label(&form.provider, &form.tenant, &form.id);
    let secrets = form.secrets.iter().map(|kept| opened(kept, &label, sealer)).collect::<Result<_, Error>>()?;
    let unreadable = Error::Damaged { table: "endpoint", why: "an event pattern cannot be read" };
    let events: Option<Vec<Pattern>> = form.events.iter().map(|text| Pattern::parse(text).ok()).collect();
    Ok(Endpoint {
        no,
        id: form.id.into(),
        provider: form.provider.into(),
        tenant: form.tenant.into(),
        tenant_no: TenantNo(form.tenant_no),
        definition: Definition {
            name: form.name.into(),
            description: form.description.into(),
            url: form.url.into(),
            events: events.ok_or(unreadable)?,
        },
        owner: owner(form.owner),
        created_at: Timestamp::from_micros(form.created_at),
        changed_at: Timestamp::from_micros(form.changed_at),
        standing: standing(&form.standing)?,
        failures: form.failures,
        secrets,
    })
}

pub(super) fn write_key(key: &Key, out: &mut Vec<u8>) {
    let (provider, tenant, scopes) = match &key.role {
        Role::Operator => (None, None, Scopes::ALL),
        Role::Provider { provider } => (Some(provider), None, Scopes::ALL),
        Role::Tenant { provider, tenant, scopes } => (Some(provider), Some(tenant), *scopes),
    };
    let form = KeyForm {
        id: key.id.to_string(),
        name: key.name.to_string(),
        provider: provider.map(ToString::to_string),
        tenant: tenant.map(ToString::to_string),
        scopes: u8::from(scopes.publish) | u8::from(scopes.read) << 1 | u8::from(scopes.manage) << 2,
        created_at: key.created_at.as_micros(),
    };
    close(&form, out);
}

pub(super) fn read_key(hash: [u8; 32], bytes: &[u8]) -> Result<Key, Error> {
    let form: KeyForm = open("key", bytes)?;
    let scopes = Scopes { publish: form.scopes & 1 != 0, read: form.scopes & 2 != 0, manage: form.scopes & 4 != 0 };
    let role = match (form.provider, form.tenant) {
        (None, _) => Role::Operator,
        (Some(provider), None) => Role::Provider { provider: provider.into() },
        (Some(provider), Some(tenant)) => Role::Tenant { provider: provider.into(), tenant: tenant.into(), scopes },
    };
    let created_at = Timestamp::from_micros(form.created_at);
    Ok(Key { id: form.id.into(), name: form.name.into(), role, hash, created_at })
}

pub(super) fn write_connection(connection: &Connection, out: &mut Vec<u8>) {
    let form = ConnectionForm {
        opened_at: connection.opened_at.as_micros(),
        used_at: connection.used_at.as_micros(),
        link: connection.link.as_deref(),
        urls: connection.urls.iter().map(|(no, url)| (no.0, &**url)).collect(),
    };
    close(&form, out);
}

pub(super) fn read_connection(bytes: &[u8]) -> Result<Connection, Error> {
    let form: ConnectionForm<'_> = open("connection", bytes)?;
    Ok(Connection {
        opened_at: Timestamp::from_micros(form.opened_at),
        used_at: Timestamp::from_micros(form.used_at),
        link: form.link.map(Into::into),
        urls: form.urls.into_iter().map(|(no, url)| (EndpointNo(no), url.into())).collect(),
    })
}

pub(super) fn write_event_type(event_type: &EventType, out: &mut Vec<u8>) {
    let EventType { name, description, example, version, .. } = event_type;
    close(&EventTypeForm { name, description, example, version: *version }, out);
}

/// What a provider gives is its own, never an example of ours.
pub(super) fn read_event_type(bytes: &[u8]) -> Result<EventType, Error> {
    let EventTypeForm { name, description, example, version } = open("event_type", bytes)?;
    Ok(EventType { name: name.into(), description: description.into(), example: example.into(), ours: false, version })
}

fn attempt_form(value: &Attempt) -> AttemptForm<'_> {
    AttemptForm {
        number: value.number,
        trigger: trigger_code(value.trigger),
        started_at: value.started_at.as_micros(),
        micros: u64::try_from(value.outcome.duration.as_micros()).unwrap_or(u64::MAX),
        url: &value.url,
        headers: value.request_headers.iter().collect(),
        error: value.error.map(class_code),
        result: match &value.outcome.result {
            Ok(response) => ResultForm::Response {
                status: response.status,
                headers: response.headers.iter().collect(),
                body: &response.body,
                truncated: response.truncated,
            },
            Err(failure) => ResultForm::Failure { class: class_code(failure.class), detail: &failure.detail },
        },
    }
}

fn attempt(form: AttemptForm<'_>) -> Result<Attempt, Error> {
    let result = match form.result {
        ResultForm::Response { status, headers, body, truncated } => {
            let headers = headers.into_iter().collect();
            Ok(Response { status, headers, body: Bytes::copy_from_slice(body), truncated })
        }
        ResultForm::Failure { class: code, detail } => Err(Failure { class: class(code)?, detail: detail.to_owned() }),
    };
    Ok(Attempt {
        number: form.number,
        trigger: trigger(form.trigger)?,
        started_at: Timestamp::from_micros(form.started_at),
        url: form.url.into(),
        request_headers: form.headers.into_iter().collect(),
        error: form.error.map(class).transpose()?,
        outcome: Outcome { result, duration: Duration::from_micros(form.micros) },
    })
}

fn seal_label(provider: &str, tenant: &str, webhook: &str) -> String {
    format!("{provider}/{tenant}/{webhook}")
}

fn sealed(held: &LiveSecret, endpoint: &Endpoint, sealer: &Sealer) -> Result<SecretForm, Error> {
    let label = seal_label(&endpoint.provider, &endpoint.tenant, &endpoint.id);
    let sealed = sealer.seal(held.secret.expose().as_bytes(), &label)?;
    Ok(SecretForm { sealed, until: held.until.map(Timestamp::as_micros) })
}

fn opened(kept: &SecretForm, label: &str, sealer: &Sealer) -> Result<LiveSecret, Error> {
    let secret = sealer.open(&kept.sealed, label)?;
    Ok(LiveSecret { secret, until: kept.until.map(Timestamp::from_micros) })
}

fn owner_form(owner: &Owner) -> Option<String> {
    match owner {
        Owner::File => None,
        Owner::Operator => Some(String::new()),
        Owner::Key(id) => Some(id.to_string()),
    }
}

fn owner(form: Option<String>) -> Owner {
    match form {
        None => Owner::File,
        Some(id) if id.is_empty() => Owner::Operator,
        Some(id) => Owner::Key(id.into()),
    }
}

fn standing_form(standing: Standing) -> StandingForm {
    match standing {
        Standing::Active => StandingForm::Active,
        Standing::Deleted { at } => StandingForm::Deleted { at: at.as_micros() },
        Standing::Disabled { at, why } => {
            let (why, count) = match why {
                Why::Failures(count) => (0, count),
                Why::Gone => (1, 0),
                Why::ByHand => (2, 0),
                Why::NotInFile => (3, 0),
            };
            StandingForm::Disabled { at: at.as_micros(), why, count }
        }
    }
}

fn standing(form: &StandingForm) -> Result<Standing, Error> {
    Ok(match *form {
        StandingForm::Active => Standing::Active,
        StandingForm::Deleted { at } => Standing::Deleted { at: Timestamp::from_micros(at) },
        StandingForm::Disabled { at, why, count } => {
            let why = match why {
                0 => Why::Failures(count),
                1 => Why::Gone,
                2 => Why::ByHand,
                3 => Why::NotInFile,
                _ => return Err(unknown("endpoint")),
            };
            Standing::Disabled { at: Timestamp::from_micros(at), why }
        }
    })
}

fn state_form(state: State) -> StateForm {
    match state {
        State::Pending(Place::Due(at)) => StateForm::Due(at.as_millis()),
        State::Pending(Place::Backlog(number)) => StateForm::Backlog(number),
        State::Succeeded { at } => StateForm::Succeeded(at.as_micros()),
        State::Failed { at, end } => StateForm::Failed(at.as_micros(), end_code(end)),
    }
}

fn state(form: StateForm) -> Result<State, Error> {
    Ok(match form {
        StateForm::Due(at) => State::Pending(Place::Due(Timestamp::from_millis(at))),
        StateForm::Backlog(number) => State::Pending(Place::Backlog(number)),
        StateForm::Succeeded(at) => State::Succeeded { at: Timestamp::from_micros(at) },
        StateForm::Failed(at, code) => State::Failed { at: Timestamp::from_micros(at), end: end(code)? },
    })
}

macro_rules! coded {
    ($write:ident, $read:ident: $kind:ident in $table:literal { $($code:literal = $variant:ident),* $(,)? }) => {
        fn $write(value: $kind) -> u8 {
            match value {
                $($kind::$variant => $code),*
            }
        }

        fn $read(code: u8) -> Result<$kind, Error> {
            match code {
                $($code => Ok($kind::$variant),)*
                _ => Err(unknown($table)),
            }
        }
    };
}

coded!(listing_code, listing: Listing in "tenant" { 0 = Never, 1 = Listed, 2 = Gone });
coded!(end_code, end: End in "log" { 0 = Exhausted, 1 = Gone, 2 = WebhookDeleted, 3 = Expired });
coded!(cause_code, cause: Cause in "log" { 0 = Publish, 1 = Hand, 2 = Test });
coded!(trigger_code, trigger: Trigger in "log" { 0 = Schedule, 1 = Manual, 2 = Test });
coded!(class_code, class: Class in "log" {
    0 = Dns, 1 = Connect, 2 = Tls, 3 = Timeout, 4 = Reset, 5 = Status, 6 = Policy, 7 = Response,
});

fn unknown(table: &'static str) -> Error {
    Error::Damaged { table, why: "it holds an unknown code" }
}

/// A body is at most 16 MiB, so its places fit.
fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod pinned;

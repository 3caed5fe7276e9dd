//! The records of events.

use bincode::{BorrowDecode, Encode};
use bytes::Bytes;

use super::codec::{VERSION, close, close_as, decode, intact, unknown_version};
use crate::domain::channels::Channels;
use crate::domain::event::{Content, Event, Links};
use crate::domain::id::uid::Uid;
use crate::domain::id::{EventKey, Node};
use crate::domain::time::Timestamp;
use crate::store::error::Error;

/// An event, with the number of deliveries that it has.
#[derive(Clone, Debug)]
pub(in crate::store) struct StoredEvent {
    pub(in crate::store) event: Event,
    /// How many deliveries it has had in all. While its fan-out runs, this includes those still to be made.
    pub(in crate::store) deliveries: u32,
    /// How many of those deliveries retention has deleted.
    pub(in crate::store) removed: u32,
}

#[derive(Encode, BorrowDecode)]
struct EventForm<'a> {
    /// The event's id. `None` when it is made of the key.
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

/// The field that the second version adds at the end.
type ChannelsForm<'a> = Vec<&'a str>;

/// What the fifth version adds at the end: the id of the event that it is a replay of, and those of its own replays.
type LinkedForm<'a> = (Option<&'a str>, Vec<&'a str>);

/// The fields that the third version adds at the end: the channels, and what was wrong by the schema of the event's type.
type JudgedForm<'a> = (ChannelsForm<'a>, &'a str);

pub(in crate::store) fn write_event(stored: &StoredEvent, node: Node, out: &mut Vec<u8>) {
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
    let key = event.key.0.to_be_bytes();
    let channels: ChannelsForm<'_> = event.channels.iter().collect();
    if let Some(links) = &event.links {
        let linked: LinkedForm<'_> = (links.replay_of.as_deref(), links.replays.iter().map(|id| &**id).collect());
        let uid = event.uid.as_ref().map(Uid::as_str);
        return close_as(LINKED, &key, &(form, (channels, &*event.schema_errors), uid, linked), out);
    }
    if let Some(uid) = &event.uid {
        return close_as(WITH_UID, &key, &(form, (channels, &*event.schema_errors), uid.as_str()), out);
    }
    match (&*event.schema_errors, channels.is_empty()) {
        ("", true) => close(&key, &form, out),
        ("", false) => close_as(WITH_CHANNELS, &key, &(form, channels), out),
        (errors, _) => close_as(JUDGED, &key, &(form, (channels, errors)), out),
    }
}

pub(in crate::store) fn read_event(key: EventKey, node: Node, bytes: &[u8]) -> Result<StoredEvent, Error> {
    let Forms { event: form, channels, schema_errors, uid, linked } = forms(key, bytes)?;
    let uid = uid.map(|uid| Uid::parse(uid).map_err(|why| Error::Damaged { table: "event", why })).transpose()?;
    let places = (form.body_end as usize, form.data.0 as usize..form.data.1 as usize);
    let content = Content::from_parts(Bytes::copy_from_slice(form.bytes), places.0, places.1)
        .ok_or(Error::Damaged { table: "event", why: "its body is shorter than it says" })?;
    let event = Event {
        key,
        id: form.id.map_or_else(|| node.event_id(key).into(), Into::into),
        uid,
        provider: form.provider.into(),
        tenant: form.tenant.map(Into::into),
        kind: form.kind.into(),
        time: Timestamp::from_micros(form.time),
        occurred_at: form.occurred_at.map(Timestamp::from_micros),
        attributes: form.attributes.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        connection: form.connection.map(Into::into),
        channels: Channels::new(channels),
        test: form.test,
        schema_errors: schema_errors.into(),
        links: linked.map(links),
        content,
    };
    Ok(StoredEvent { event, deliveries: form.deliveries, removed: form.removed })
}

/// What is read of a record of any version.
struct Forms<'a> {
    event: EventForm<'a>,
    channels: ChannelsForm<'a>,
    schema_errors: &'a str,
    uid: Option<&'a str>,
    linked: Option<LinkedForm<'a>>,
}

impl<'a> Forms<'a> {
    fn of(event: EventForm<'a>, (channels, schema_errors): JudgedForm<'a>, uid: Option<&'a str>) -> Self {
        Self { event, channels, schema_errors, uid, linked: None }
    }
}

fn forms(key: EventKey, bytes: &[u8]) -> Result<Forms<'_>, Error> {
    match intact("event", &key.0.to_be_bytes(), bytes)? {
        (LINKED, content) => decode("event", content)
            .map(|(event, judged, uid, linked)| Forms { linked: Some(linked), ..Forms::of(event, judged, uid) }),
        (WITH_UID, content) => decode("event", content).map(|(event, judged, uid)| Forms::of(event, judged, Some(uid))),
        (JUDGED, content) => decode("event", content).map(|(event, judged)| Forms::of(event, judged, None)),
        (WITH_CHANNELS, content) => decode("event", content).map(|(event, channels)| Forms::of(event, (channels, ""), None)),
        (VERSION, content) => decode("event", content).map(|event| Forms::of(event, (Vec::new(), ""), None)),
        _ => Err(unknown_version("event")),
    }
}

/// The version that has channels. An event without channels is written in the version before, which an earlier release reads.
const WITH_CHANNELS: u8 = 2;

/// The version of an event that did not match the schema of its type. Other events are written in the versions before.
const JUDGED: u8 = 3;

/// The version of an event that has a uid, with the fields of the version before. Other events are written in the versions before.
const WITH_UID: u8 = 4;

/// The version of an event that is a replay of another, or has replays. Other events are written in the versions before.
const LINKED: u8 = 5;

fn links((replay_of, replays): LinkedForm<'_>) -> Box<Links> {
    Box::new(Links { replay_of: replay_of.map(Into::into), replays: replays.into_iter().map(Into::into).collect() })
}

/// A place in a body as 32 bits. A body is at most 16 MiB, so every place fits.
fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

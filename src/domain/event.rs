//! An event: it is published once and rendered to bytes once, and every endpoint and attempt gets the same bytes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::channels::{CHANNEL_BYTES, Channels, OF_EVENT_MAX};
use super::id::EventKey;
use super::id::uid::Uid;
use super::time::Timestamp;

/// What a publisher says about an event besides its data: names with JSON scalars (string, number, true, false, null). The
/// scalars are kept as they were written, so that `7` and `"7"` stay different.
pub(crate) type Attributes = BTreeMap<String, Box<str>>;

/// Checks an idempotency key: 1 to 255 visible ASCII characters, with blanks only between others, since HTTP cuts blanks at the
/// ends (RFC 9110 section 5.5).
pub(crate) fn check_idempotency_key(key: &str) -> Result<(), &'static str> {
    let is_visible = key.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let fits = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) && is_visible && key.trim_ascii() == key;
    if fits { Ok(()) } else { Err("an Idempotency-Key is 1 to 255 visible ASCII characters") }
}

const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// An event as the store keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) key: EventKey,
    /// The id on the wire: the publisher's own, or `evt_` and a ULID.
    pub(crate) id: Box<str>,
    /// The publisher's second name for it, which goes into no request.
    pub(crate) uid: Option<Uid>,
    pub(crate) provider: Arc<str>,
    /// The tenant that the event is for. `None` for all tenants of the provider.
    pub(crate) tenant: Option<Box<str>>,
    pub(crate) kind: Box<str>,
    /// The time that `$event.time` prints: `occurred_at` where it was given, else the time of publishing.
    pub(crate) time: Timestamp,
    pub(crate) occurred_at: Option<Timestamp>,
    pub(crate) attributes: Attributes,
    pub(crate) connection: Option<Box<str>>,
    /// The channels that the publisher named. Empty: none, so that only webhooks without channels get the event.
    pub(crate) channels: Channels,
    /// Whether a test call made the event. It stands in the log of its webhook, but not among the events that subscribers poll.
    pub(crate) test: bool,
    /// What was wrong with the data by the schema of its type, as a JSON array of objects with `pointer` and `detail`. Empty when
    /// nothing was, or when no schema was asked.
    pub(crate) schema_errors: Box<str>,
    /// The events that it was made of, and that were made of it. `None`, as for nearly every event: there is none.
    pub(crate) links: Option<Box<Links>>,
    pub(crate) content: Content,
}

/// How an event belongs to others, since it was published again, perhaps with other data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links {
    /// The id of the event that it is a replay of.
    pub(crate) replay_of: Option<Box<str>>,
    /// The ids of its own replays, oldest first: the newest [`REPLAYS_KEPT`].
    pub(crate) replays: Vec<Box<str>>,
}

impl Links {
    /// Notes one more replay of the event.
    pub(crate) fn add_replay(&mut self, id: Box<str>) {
        if self.replays.len() >= REPLAYS_KEPT {
            self.replays.remove(0);
        }
        self.replays.push(id);
    }
}

/// How many replays an event names.
pub(crate) const REPLAYS_KEPT: usize = 20;

impl Event {
    /// The most bytes of memory that an event takes whose record has `length` bytes.
    pub(crate) fn bytes_of_record(length: usize) -> usize {
        length + ATTRIBUTES_MAX * ATTRIBUTE_BYTES + OF_EVENT_MAX * CHANNEL_BYTES + EVENT_BYTES
    }

    /// How many bytes of memory the event takes: its content, attributes and channels, and a flat amount for everything else.
    pub(crate) fn bytes(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(attribute_bytes).sum();
        let uid = self.uid.as_ref().map_or(0, |uid| uid.as_str().len());
        self.content.bytes.len() + attributes + self.channels.bytes() + self.schema_errors.len() + uid + EVENT_BYTES
    }
}

/// How many bytes of memory an attribute takes.
pub(crate) fn attribute_bytes((name, value): (impl AsRef<str>, impl AsRef<str>)) -> usize {
    name.as_ref().len() + value.as_ref().len() + ATTRIBUTE_BYTES
}

/// The rendered body of an event, and where the published `data` stands.
///
/// Both are in one buffer: first the body and, where the dialect's template has no `$data`, the data behind it.
#[derive(Clone, Default)]
pub(crate) struct Content {
    bytes: Bytes,
    body_end: usize,
    data: Range<usize>,
}

impl Content {
    /// Makes the content of a rendered body. `data_in_body` is where the template put the data, `None` when it has no `$data`.
    pub(crate) fn new(mut body: Vec<u8>, data_in_body: Option<Range<usize>>, data: &[u8]) -> Self {
        let body_end = body.len();
        let data = data_in_body.unwrap_or_else(|| {
            body.extend_from_slice(data);
            body_end..body.len()
        });
        Self { bytes: body.into(), body_end, data }
    }

    /// Makes the content of the values that [`Self::parts`] returned. `None` when the ranges lie outside the bytes.
    pub(crate) fn from_parts(bytes: Bytes, body_end: usize, data: Range<usize>) -> Option<Self> {
        let fits = body_end <= bytes.len() && data.start <= data.end && data.end <= bytes.len();
        fits.then_some(Self { bytes, body_end, data })
    }

    pub(crate) fn parts(&self) -> (&Bytes, usize, Range<usize>) {
        (&self.bytes, self.body_end, self.data.clone())
    }

    /// The bytes that every attempt sends.
    pub(crate) fn body(&self) -> Bytes {
        self.bytes.slice(..self.body_end)
    }

    pub(crate) fn data(&self) -> Bytes {
        self.bytes.slice(self.data.clone())
    }
}

/// Bodies never reach a log.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({} bytes)", self.body_end)
    }
}

/// The most attributes of one event.
pub(crate) const ATTRIBUTES_MAX: usize = 64;

/// The most bytes of all names and values of an event's attributes.
pub(crate) const ATTRIBUTES_BYTES_MAX: usize = 16 << 10;

/// What an attribute takes besides its text: its part of a node of the map, and two allocations.
const ATTRIBUTE_BYTES: usize = 96;

/// What an event takes besides its content and attributes.
const EVENT_BYTES: usize = 512;

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;

    /// An event with a body of `bytes` bytes.
    pub(crate) fn event(key: u64, bytes: usize) -> Event {
        Event {
            key: EventKey(key),
            id: "evt_1".into(),
            uid: None,
            provider: "acme".into(),
            tenant: None,
            kind: "a.b".into(),
            time: Timestamp::EPOCH,
            occurred_at: None,
            attributes: Attributes::new(),
            connection: None,
            channels: Channels::default(),
            test: false,
            schema_errors: "".into(),
            links: None,
            content: Content::new(vec![b'x'; bytes], Some(0..bytes), b""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_is_1_to_255_visible_characters() {
        for key in ["a", "order 4711 / retry", "~!#", &"x".repeat(255)] {
            assert_eq!(check_idempotency_key(key), Ok(()), "{key}");
        }
        for key in ["", " ", " a", "a ", "a\tb", "a\nb", "é", "\u{7f}", &"x".repeat(256)] {
            assert!(check_idempotency_key(key).is_err(), "{key:?}");
        }
    }

    #[test]
    fn an_event_names_its_newest_replays() {
        let mut links = Links::default();
        (0..=REPLAYS_KEPT).for_each(|number| links.add_replay(number.to_string().into()));
        assert_eq!(
            (links.replays.len(), &*links.replays[0], links.replays.last().map(|last| &**last)),
            (REPLAYS_KEPT, "1", Some("20"))
        );
    }

    #[test]
    fn data_that_the_body_holds_is_kept_once() {
        let content = Content::new(b"{\"data\":[1]}".to_vec(), Some(8..11), b"[1]");
        assert_eq!((&content.body()[..], &content.data()[..]), (&b"{\"data\":[1]}"[..], &b"[1]"[..]));
        assert_eq!(content.parts().0.len(), content.body().len());
    }

    #[test]
    fn data_that_the_body_lacks_stands_behind_it() {
        let content = Content::new(b"{}".to_vec(), None, b"[1]");
        assert_eq!((&content.body()[..], &content.data()[..]), (&b"{}"[..], &b"[1]"[..]));
        assert_eq!(&content.parts().0[..], b"{}[1]");
    }

    #[test]
    fn a_content_is_made_of_its_parts_again() {
        let content = Content::new(b"{}".to_vec(), None, b"[1]");
        let (bytes, body_end, data) = content.parts();
        let again = Content::from_parts(bytes.clone(), body_end, data).expect("the parts fit");
        assert_eq!((again.body(), again.data()), (content.body(), content.data()));
    }

    #[test]
    fn parts_outside_of_the_bytes_make_no_content() {
        let from = |body_end, data| Content::from_parts(Bytes::from_static(b"{}[1]"), body_end, data).is_some();
        assert!(from(5, 0..5) && from(0, 5..5));
        let backwards = Range { start: 3, end: 2 };
        assert!(!from(6, 0..2) && !from(2, 2..6) && !from(2, backwards));
    }

    #[test]
    fn the_memory_of_an_event_counts_content_and_attributes() {
        let plain = fixture::event(1, 1_000);
        let attributes = Attributes::from([("ab".to_owned(), "\"cde\"".into()), ("f".to_owned(), "7".into())]);
        let more = Event { attributes, ..plain.clone() };
        assert_eq!(more.bytes() - plain.bytes(), 2 + 5 + 1 + 1 + 2 * ATTRIBUTE_BYTES);
        assert_eq!(plain.bytes() - fixture::event(1, 0).bytes(), 1_000);
        let judged = Event { schema_errors: "[{}]".into(), ..plain.clone() };
        assert_eq!(judged.bytes() - plain.bytes(), 4);
        let called = Event { uid: Uid::parse("order").ok(), ..plain.clone() };
        assert_eq!(called.bytes() - plain.bytes(), 5);
    }

    #[test]
    fn an_event_takes_no_more_memory_than_its_record_promises() {
        let attributes: Attributes = (0..ATTRIBUTES_MAX).map(|number| (format!("{number:02}"), "1".into())).collect();
        let channels = Channels::new((0..OF_EVENT_MAX).map(|number| number.to_string()));
        let event = Event { attributes, channels, ..fixture::event(1, 100) };
        let record = 100 + ATTRIBUTES_MAX * 3 + OF_EVENT_MAX;
        assert_eq!(event.bytes(), Event::bytes_of_record(record));
    }

    #[test]
    fn debug_shows_no_body() {
        assert_eq!(format!("{:?}", Content::new(b"sesame".to_vec(), None, b"open")), "Content(6 bytes)");
    }
}

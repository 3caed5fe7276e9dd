//! Where the next page begins: opaque to the caller, and refused when it was changed.
//!
//! A version byte with the list's kind, the place, and a CRC32C over both, in base64url. It grants nothing: a list is always cut
//! to what its caller may see, wherever it begins.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::params::Query;
use crate::domain::id::{AttemptKey, AuditKey, DeliveryKey, EndpointNo, EventKey, ReplayNo, TenantNo};
use crate::domain::time::Timestamp;

/// A place in a list.
pub(crate) trait Cursor: Sized {
    /// Version and kind: a cursor of one list is none of another.
    const TAG: u8;

    fn put(&self, into: &mut Vec<u8>);

    /// `None`: not this list's.
    fn take(bytes: &[u8]) -> Option<Self>;
}

/// As the caller gets it.
pub(crate) fn encode<C: Cursor>(place: &C) -> String {
    let mut bytes = vec![C::TAG];
    place.put(&mut bytes);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// As the caller gave it back; `None` when it is no cursor of this list.
pub(crate) fn decode<C: Cursor>(text: &str) -> Option<C> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (body, sum) = bytes.split_last_chunk()?;
    let (tag, place) = body.split_first()?;
    let whole = crc32c::crc32c(body).to_be_bytes() == *sum && *tag == C::TAG;
    whole.then(|| C::take(place))?
}

/// The `cursor` of a query; none, and an empty one, is that of the first page.
pub(crate) fn from_query<C: Cursor>(query: &mut Query) -> Option<C> {
    read_from(query, decode)
}

/// As [`from_query`], for a list whose places are written otherwise.
pub(crate) fn read_from<T>(query: &mut Query, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    match query.text("cursor") {
        None | Some("") => None,
        Some(_) => query.read_with("cursor", "is not a cursor of this list; take the one that the last page gave", read),
    }
}

impl Cursor for EventKey {
    const TAG: u8 = 0x11;

    fn put(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.0.to_be_bytes());
    }

    fn take(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(u64::from_be_bytes(bytes)))
    }
}

impl Cursor for EndpointNo {
    const TAG: u8 = 0x12;

    fn put(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.0.to_be_bytes());
    }

    fn take(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(u32::from_be_bytes(bytes)))
    }
}

impl Cursor for DeliveryKey {
    const TAG: u8 = 0x13;

    fn put(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.event.0.to_be_bytes());
        into.extend_from_slice(&self.endpoint.0.to_be_bytes());
    }

    fn take(bytes: &[u8]) -> Option<Self> {
        let (event, endpoint) = bytes.split_first_chunk()?;
        let endpoint = EndpointNo(u32::from_be_bytes(endpoint.try_into().ok()?));
        Some(Self { event: EventKey(u64::from_be_bytes(*event)), endpoint })
    }
}

impl Cursor for ReplayNo {
    const TAG: u8 = 0x1a;

    fn put(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.0.to_be_bytes());
    }

    fn take(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(u64::from_be_bytes(bytes)))
    }
}

impl Cursor for AttemptKey {
    const TAG: u8 = 0x17;

    fn put(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.started_at.as_micros().to_be_bytes());
        into.extend_from_slice(&self.number.to_be_bytes());
        self.delivery.put(into);
    }

    fn take(bytes: &[u8]) -> Option<Self> {
        let (started_at, rest) = bytes.split_first_chunk()?;
        let (number, delivery) = rest.split_first_chunk()?;
        let started_at = Timestamp::from_micros(u64::from_be_bytes(*started_at));
        Some(Self { started_at, number: u16::from_be_bytes(*number), delivery: DeliveryKey::take(delivery)? })
    }
}

/// Of a key: its id, which is a name of the caller's where the file has it.
impl Cursor for Box<str> {
    const TAG: u8 = 0x14;

    fn put(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self.as_bytes());
    }

    fn take(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(Into::into)
    }
}

impl Cursor for TenantNo {
    const TAG: u8 = 0x15;

    fn put(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.0.to_be_bytes());
    }

    fn take(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(u32::from_be_bytes(bytes)))
    }
}

impl Cursor for AuditKey {
    const TAG: u8 = 0x16;

    fn put(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.0.to_be_bytes());
    }

    fn take(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(u64::from_be_bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back(event: u64, endpoint: u32, micros: u64, number: u16) {
            let key = DeliveryKey { event: EventKey(event), endpoint: EndpointNo(endpoint) };
            let attempt = AttemptKey { started_at: Timestamp::from_micros(micros), delivery: key, number };
            prop_assert_eq!(decode(&encode(&attempt)), Some(attempt));
            prop_assert_eq!(decode(&encode(&key)), Some(key));
            prop_assert_eq!(decode(&encode(&key.event)), Some(key.event));
            prop_assert_eq!(decode(&encode(&key.endpoint)), Some(key.endpoint));
        }

        #[test]
        fn a_text_comes_back(text: Box<str>) {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }

        #[test]
        fn a_changed_cursor_is_refused(event: u64, place in 0..17usize, other in "[A-Za-z0-9_-]") {
            let text = encode(&EventKey(event));
            let mut changed = text.clone();
            changed.replace_range(place..=place, &other);
            prop_assume!(changed != text);
            prop_assert_eq!(decode::<EventKey>(&changed), None);
        }

        #[test]
        fn no_text_breaks_the_reader(text: String) {
            let _ = (decode::<EventKey>(&text), decode::<DeliveryKey>(&text));
        }
    }

    #[test]
    fn an_empty_cursor_is_that_of_the_first_page() {
        for (given, is_fine) in [("cursor=", true), ("", true), ("cursor=x", false)] {
            let mut query = Query::read(Some(given), &["cursor"]);
            assert_eq!(from_query::<EventKey>(&mut query), None);
            assert_eq!(query.finish().is_ok(), is_fine, "{given}");
        }
    }

    #[test]
    fn a_cursor_of_one_list_is_none_of_another() {
        assert_eq!(decode::<EndpointNo>(&encode(&EventKey(7))), None);
        assert_eq!(decode::<DeliveryKey>(&encode(&EventKey(7))), None);
    }
}

//! A place in the stream, as `id:` gives it to the reader and `Last-Event-ID` brings it back.

use http::HeaderMap;

use crate::api::request::cursor::{Cursor, decode};
use crate::api::response::problem::Problem;
use crate::domain::time::Timestamp;
use crate::store::Reached;

/// A place in the ring, and in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Which ring: a number drawn at its begin, and 0 for a place in the log alone.
    pub(super) ring: u32,
    /// The row of the ring, from 1.
    pub(super) row: u64,
    /// Every attempt that ended up to here has passed.
    pub(super) reached: Reached,
    /// Every delivery that ended without an attempt up to this time has passed.
    pub(super) unsent: Timestamp,
}

impl Place {
    /// A place in the log alone, up to which everything has passed.
    pub(super) fn in_log(reached: Reached) -> Self {
        Self { reached, unsent: reached.at, ..Self::default() }
    }

    /// The place of the row behind this one in the ring.
    pub(super) fn next(self, reached: Reached) -> Self {
        Self { ring: self.ring, row: self.row + 1, ..Self::in_log(reached) }
    }
}

impl Cursor for Place {
    const TAG: u8 = 0x21;

    fn put(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.ring.to_be_bytes());
        into.extend_from_slice(&self.row.to_be_bytes());
        into.extend_from_slice(&self.reached.attempts.to_be_bytes());
        into.extend_from_slice(&self.reached.at.as_micros().to_be_bytes());
        into.extend_from_slice(&self.unsent.as_micros().to_be_bytes());
    }

    fn take(bytes: &[u8]) -> Option<Self> {
        let (ring, rest) = bytes.split_first_chunk()?;
        let (row, rest) = rest.split_first_chunk()?;
        let (attempts, rest) = rest.split_first_chunk()?;
        let (at, unsent) = rest.split_first_chunk()?;
        let [at, unsent] = [*at, unsent.try_into().ok()?].map(|micros| Timestamp::from_micros(u64::from_be_bytes(micros)));
        let reached = Reached { attempts: u64::from_be_bytes(*attempts), at };
        Some(Self { ring: u32::from_be_bytes(*ring), row: u64::from_be_bytes(*row), reached, unsent })
    }
}

/// Where a reader was that comes back. `None` without the header, and with an empty one, as a browser sends it before the first
/// event.
pub(super) fn last_seen(headers: &HeaderMap) -> Result<Option<Place>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else { return Ok(None) };
    let place = value.to_str().ok().and_then(decode);
    let unread = || Problem::field("Last-Event-ID", "is no id of this stream; take the last `id` that it gave, or none");
    place.map(Some).ok_or_else(unread)
}

const LAST_EVENT_ID: &str = "last-event-id";

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::api::request::cursor::encode;

    proptest! {
        #[test]
        fn a_place_comes_back(ring: u32, row: u64, attempts: u64, micros: [u64; 2]) {
            let [at, unsent] = micros.map(Timestamp::from_micros);
            let place = Place { ring, row, reached: Reached { attempts, at }, unsent };
            prop_assert_eq!(decode(&encode(&place)), Some(place));
        }
    }

    #[test]
    fn an_id_that_cannot_be_read_is_refused() {
        let seen = |text: &'static str| {
            last_seen(&HeaderMap::from_iter([(LAST_EVENT_ID.parse().unwrap(), HeaderValue::from_static(text))]))
        };
        assert!(matches!(last_seen(&HeaderMap::new()), Ok(None)) && matches!(seen(""), Ok(None)));
        let refused = seen("dlv_1").expect_err("no id of a stream");
        assert_eq!(refused.status(), 422);
        let given: &'static str = encode(&Place { ring: 7, ..Place::default() }).leak();
        assert!(matches!(seen(given), Ok(Some(Place { ring: 7, .. }))));
    }
}

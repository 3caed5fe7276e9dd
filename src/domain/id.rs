//! Keys inside the store, ids on the wire, and how they are made of each other.
//!
//! The writer gives each event a key of 64 bits in the order of time. When the publisher chose no id, the event's id is `evt_`
//! and a ULID made of the key and the store's [`Node`]. A delivery's id is made of the event's key, the endpoint's number and
//! half the node. An attempt's id is made of its start, the lower bits of its event's key, and its endpoint's number. So ids need no
//! index, sort by their time, and differ between stores.

pub(crate) mod uid;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use super::time::Timestamp;

/// An event's place in the order of publishing: 48 bits of Unix milliseconds and 16 bits of a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EventKey(pub(crate) u64);

impl EventKey {
    pub(crate) const MIN: Self = Self(0);
    pub(crate) const MAX: Self = Self(u64::MAX);

    /// The first key of a time's millisecond.
    pub(crate) fn at(time: Timestamp) -> Self {
        Self(time.as_millis() << COUNTER_BITS)
    }

    /// The last key of a time's millisecond.
    pub(crate) fn up_to(time: Timestamp) -> Self {
        Self(Self::at(time).0 | ((1 << COUNTER_BITS) - 1))
    }

    /// The next key to give: later than `last`, even when the clock stands still or goes back.
    pub(crate) fn next(last: Self, now: Timestamp) -> Self {
        Self::at(now).max(Self(last.0.saturating_add(1)))
    }

    /// Which of its millisecond's keys it is.
    #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits")]
    pub(crate) fn number(self) -> u16 {
        self.0 as u16
    }

    /// The key of a millisecond with this number.
    pub(crate) fn numbered(ms: u64, number: u16) -> Self {
        Self((ms << COUNTER_BITS) | u64::from(number))
    }

    /// When the event was published, to the millisecond.
    pub(crate) fn time(self) -> Timestamp {
        Timestamp::from_millis(self.0 >> COUNTER_BITS)
    }
}

/// A row's place in the audit log: 48 bits of Unix milliseconds and 16 bits of a counter, as in an [`EventKey`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AuditKey(pub(crate) u64);

impl AuditKey {
    /// The first key of a time's millisecond.
    pub(crate) fn at(time: Timestamp) -> Self {
        Self(EventKey::at(time).0)
    }

    /// The next key to give: later than `last`, even when the clock stands still or goes back.
    pub(crate) fn next(last: Self, now: Timestamp) -> Self {
        Self(EventKey::next(EventKey(last.0), now).0)
    }
}

/// A replay's place in the order in which replays were asked for. It is drawn from the keys of events, so every event with a smaller
/// key was published before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ReplayNo(pub(crate) u64);

impl ReplayNo {
    /// When the replay was asked for, to the millisecond.
    pub(crate) fn time(self) -> Timestamp {
        EventKey(self.0).time()
    }
}

/// A webhook's number in this store. A number is given once and never again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EndpointNo(pub(crate) u32);

/// A map by webhook.
pub(crate) type ByEndpoint<T> = HashMap<EndpointNo, T, BuildHasherDefault<Spread>>;

/// A hasher for numbers that this store gave itself, so nobody can choose them to collide.
#[derive(Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        // Multiplies by the golden ratio (Knuth, The Art of Computer Programming, 6.4).
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A tenant's number in this store. 0 stands for all tenants of a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TenantNo(pub(crate) u32);

/// The delivery of one event to one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DeliveryKey {
    pub(crate) event: EventKey,
    pub(crate) endpoint: EndpointNo,
}

/// An attempt of a delivery, in the order of starts. The writer sees to it that no two attempts of a delivery start in the same
/// millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AttemptKey {
    pub(crate) started_at: Timestamp,
    pub(crate) delivery: DeliveryKey,
    /// The number of the attempt, from 1.
    pub(crate) number: u16,
}

impl AttemptKey {
    /// The place before all attempts that started at this time.
    pub(crate) const fn first_at(started_at: Timestamp) -> Self {
        Self { started_at, delivery: DeliveryKey { event: EventKey::MIN, endpoint: EndpointNo(0) }, number: 0 }
    }
}

/// What the id of an attempt says. The event's key is known but for its upper bits, of which few can be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttemptId {
    started_ms: u64,
    event_low: u64,
    endpoint: EndpointNo,
}

impl AttemptId {
    /// The deliveries that the attempt may be of, the newest first, of events from `oldest` to `newest`. Their events lie 49.7 days
    /// apart, so there are as many as these two span such times, and two more at most, whatever start the id names.
    pub(crate) fn deliveries(self, oldest: EventKey, newest: EventKey) -> impl Iterator<Item = DeliveryKey> {
        // An event may be a little younger than its attempt, where the clock went back.
        let last = (self.started_ms >> (EVENT_LOW_BITS - COUNTER_BITS)).saturating_add(1).min(newest.0 >> EVENT_LOW_BITS);
        let events =
            (oldest.0 >> EVENT_LOW_BITS..=last).rev().map(move |high| EventKey((high << EVENT_LOW_BITS) | self.event_low));
        let are_kept = events.filter(move |event| (oldest..=newest).contains(event));
        are_kept.map(move |event| DeliveryKey { event, endpoint: self.endpoint })
    }

    /// The webhook that the attempt was sent to.
    pub(crate) fn endpoint(self) -> EndpointNo {
        self.endpoint
    }

    /// Whether it is the id of an attempt that started at this time, of one of its deliveries.
    pub(crate) fn is_of(self, started_at: Timestamp) -> bool {
        started_at.as_millis() == self.started_ms
    }
}

/// 64 random bits that are drawn when a store is made, so that two stores never give the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node(pub(crate) u64);

impl Node {
    pub(crate) fn event_id(self, key: EventKey) -> String {
        id(EVENT, (u128::from(key.0) << 64) | u128::from(self.0))
    }

    /// The key in an event's id. `None` when the publisher chose the id or another store made it.
    pub(crate) fn event_key(self, id: &str) -> Option<EventKey> {
        let bits = bits(EVENT, id)?;
        (low(bits) == self.0).then(|| EventKey(high(bits)))
    }

    pub(crate) fn delivery_id(self, key: DeliveryKey) -> String {
        let low = (u64::from(key.endpoint.0) << 32) | u64::from(self.half());
        id(DELIVERY, (u128::from(key.event.0) << 64) | u128::from(low))
    }

    pub(crate) fn delivery_key(self, id: &str) -> Option<DeliveryKey> {
        let bits = bits(DELIVERY, id)?;
        let endpoint = u32::try_from(low(bits) >> 32).ok()?;
        let ours = low(bits) & u64::from(u32::MAX) == u64::from(self.half());
        ours.then(|| DeliveryKey { event: EventKey(high(bits)), endpoint: EndpointNo(endpoint) })
    }

    /// The id of a row of the audit log.
    pub(crate) fn audit_id(self, key: AuditKey) -> String {
        id(AUDIT, (u128::from(key.0) << 64) | u128::from(self.0))
    }

    pub(crate) fn replay_id(self, no: ReplayNo) -> String {
        id(REPLAY, (u128::from(no.0) << 64) | u128::from(self.0))
    }

    /// The number in a replay's id. `None` when the text is no such id of this store.
    pub(crate) fn replay_no(self, id: &str) -> Option<ReplayNo> {
        let bits = bits(REPLAY, id)?;
        (low(bits) == self.0).then(|| ReplayNo(high(bits)))
    }

    pub(crate) fn attempt_id(self, attempt: AttemptKey) -> String {
        let DeliveryKey { event, endpoint } = attempt.delivery;
        let rest = (u128::from(event.0 & EVENT_LOW) << u32::BITS) | u128::from(endpoint.0);
        id(ATTEMPT, (u128::from(attempt.started_at.as_millis()) << ATTEMPT_REST_BITS) | (rest ^ self.stretched()))
    }

    /// What the id of an attempt says. `None` when the text is no such id. What the id of another store says leads to no attempt.
    pub(crate) fn read_attempt_id(self, id: &str) -> Option<AttemptId> {
        let bits = bits(ATTEMPT, id)?;
        let rest = (bits & ((1 << ATTEMPT_REST_BITS) - 1)) ^ self.stretched();
        let started_ms = u64::try_from(bits >> ATTEMPT_REST_BITS).ok()?;
        Some(AttemptId {
            started_ms,
            event_low: low(rest >> u32::BITS) & EVENT_LOW,
            endpoint: EndpointNo(u32::try_from(rest & u128::from(u32::MAX)).ok()?),
        })
    }

    /// As many bits as an attempt's id has beside its time.
    fn stretched(self) -> u128 {
        (u128::from(self.0) << (ATTEMPT_REST_BITS - u64::BITS)) | u128::from(self.0 >> (2 * u64::BITS - ATTEMPT_REST_BITS))
    }

    fn half(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Makes a webhook's id: `wh_` and a ULID of the present time.
pub(crate) fn webhook_id(now: Timestamp, random: [u8; 10]) -> String {
    id(WEBHOOK, ulid_bits(now, random))
}

/// Makes a key's id: `key_` and a ULID of the present time.
pub(crate) fn key_id(now: Timestamp, random: [u8; 10]) -> String {
    id(KEY, ulid_bits(now, random))
}

/// Whether `name` can be the id of an event, a provider or a tenant: 1 to 64 characters of `A-Za-z0-9_-`.
///
/// A `.` is not allowed, since Standard Webhooks signs it as a separator.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Whether `id` has the form of an id that hookwheel makes: one of its prefixes and a ULID.
pub(crate) fn has_own_form(id: &str) -> bool {
    [EVENT, DELIVERY, ATTEMPT, WEBHOOK, KEY, AUDIT, REPLAY].into_iter().any(|prefix| bits(prefix, id).is_some())
}

fn id(prefix: &str, bits: u128) -> String {
    format!("{prefix}{}", ulid::Ulid(bits))
}

fn bits(prefix: &str, id: &str) -> Option<u128> {
    let text = id.strip_prefix(prefix)?;
    let read = ulid::Ulid::from_string(text).ok()?;
    // Crockford's base32 may be read in lower case too. Only the spelling that is printed counts as the id.
    (read.to_string() == text).then_some(read.0)
}

fn ulid_bits(now: Timestamp, random: [u8; 10]) -> u128 {
    let mut tail = [0; 16];
    tail[6..].copy_from_slice(&random);
    (u128::from(now.as_millis()) << 80) | u128::from_be_bytes(tail)
}

fn high(bits: u128) -> u64 {
    (bits >> 64) as u64
}

#[expect(clippy::cast_possible_truncation, reason = "the low half of 128 bits")]
fn low(bits: u128) -> u64 {
    bits as u64
}

impl fmt::Display for EndpointNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const EVENT: &str = "evt_";
const DELIVERY: &str = "dlv_";
const ATTEMPT: &str = "att_";
const WEBHOOK: &str = "wh_";
const KEY: &str = "key_";
const AUDIT: &str = "aud_";
const REPLAY: &str = "rpl_";

/// The bits of the counter: 65,536 events in one millisecond. Beyond that keys run ahead of the clock, and stay in order.
const COUNTER_BITS: u32 = 16;

/// The bits of an attempt's id behind its time.
const ATTEMPT_REST_BITS: u32 = 80;

/// The lower bits of an event's key that an attempt's id has: the counter, and 32 bits of milliseconds.
const EVENT_LOW_BITS: u32 = 48;
const EVENT_LOW: u64 = (1 << EVENT_LOW_BITS) - 1;

/// The longest id that a publisher may choose, in bytes.
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_id_leads_back_to_its_key() {
        let node = Node(0x0123_4567_89ab_cdef);
        let key = DeliveryKey { event: EventKey(0x0199_0000_1234_0001), endpoint: EndpointNo(7) };
        assert_eq!(node.delivery_key(&node.delivery_id(key)), Some(key));
        assert_eq!(node.event_key(&node.event_id(key.event)), Some(key.event));
        assert_eq!(node.replay_no(&node.replay_id(ReplayNo(7 << 16))), Some(ReplayNo(7 << 16)));
    }

    const MONTH_MS: u64 = 30 * 86_400_000;

    proptest::proptest! {
        #[test]
        fn an_attempts_id_leads_back_to_it(
            node: u64,
            counter: u16,
            endpoint: u32,
            published in 0..1_u64 << 47,
            late in 0..12 * MONTH_MS,
            kept in 12 * MONTH_MS..24 * MONTH_MS,
        ) {
            let node = Node(node);
            let event = EventKey((published << 16) | u64::from(counter));
            let delivery = DeliveryKey { event, endpoint: EndpointNo(endpoint) };
            let started_at = Timestamp::from_millis(published + late);
            let text = node.attempt_id(AttemptKey { started_at, delivery, number: 3 });
            let read = node.read_attempt_id(&text).unwrap();
            proptest::prop_assert!(read.is_of(started_at) && has_own_form(&text));
            let oldest = EventKey::at(started_at - Duration::from_millis(kept));
            let meant: Vec<_> = read.deliveries(oldest, EventKey::MAX).collect();
            proptest::prop_assert_eq!(meant.iter().filter(|key| **key == delivery).count(), 1);
            proptest::prop_assert!(meant.len() <= 18, "{}", meant.len());
            proptest::prop_assert_eq!(&node.attempt_id(AttemptKey { started_at, delivery: meant[0], number: 1 }), &text);
        }
    }

    #[test]
    fn attempts_ids_sort_by_their_starts() {
        let id = |ms, event, endpoint| {
            let delivery = DeliveryKey { event: EventKey(event), endpoint: EndpointNo(endpoint) };
            Node(u64::MAX / 5).attempt_id(AttemptKey { started_at: Timestamp::from_millis(ms), delivery, number: 1 })
        };
        assert!(id(7, u64::MAX, u32::MAX) < id(8, 0, 0) && id(8, 5, 5) < id(9, 4, 4));
    }

    #[test]
    fn an_id_with_a_forged_start_names_few_deliveries() {
        let delivery = DeliveryKey { event: EventKey(0x0199_0000_1234_0001), endpoint: EndpointNo(7) };
        let oldest = EventKey::at(Timestamp::from_millis(delivery.event.time().as_millis() - 3 * MONTH_MS));
        for start in [0, MONTH_MS, (1 << 48) - 1] {
            let started_at = Timestamp::from_millis(start);
            let id = Node(1).read_attempt_id(&Node(1).attempt_id(AttemptKey { started_at, delivery, number: 1 })).unwrap();
            let meant: Vec<_> = id.deliveries(oldest, delivery.event).collect();
            assert!(meant.len() <= 3, "{} of an attempt at {start}", meant.len());
        }
    }

    #[test]
    fn an_attempt_may_have_started_before_its_event() {
        let delivery = DeliveryKey { event: EventKey::at(Timestamp::from_millis(1 << 32)), endpoint: EndpointNo(1) };
        let started_at = Timestamp::from_millis((1 << 32) - 1);
        let text = Node(1).attempt_id(AttemptKey { started_at, delivery, number: 1 });
        assert!(Node(1).read_attempt_id(&text).unwrap().deliveries(EventKey::MIN, EventKey::MAX).any(|meant| meant == delivery));
        let foreign = Node(2).read_attempt_id(&text).unwrap();
        assert!(foreign.deliveries(EventKey::MIN, EventKey::MAX).all(|meant| meant != delivery));
        assert_eq!(Node(1).read_attempt_id(&Node(1).delivery_id(delivery)), None);
    }

    #[test]
    fn an_id_of_another_store_is_unknown() {
        let key = EventKey(99);
        assert_eq!(Node(1).event_key(&Node(2).event_id(key)), None);
        assert_eq!(Node(1).event_key("evt_"), None);
        assert_eq!(Node(1).event_key("dlv_00000000000000000000000000"), None);
    }

    #[test]
    fn only_one_spelling_names_a_thing() {
        let id = Node(0xabcd_ef01_2345_6789).event_id(EventKey(u64::MAX / 3));
        assert_eq!(Node(0xabcd_ef01_2345_6789).event_key(&format!("evt_{}", id[4..].to_lowercase())), None);
    }

    #[test]
    fn keys_rise_when_the_clock_goes_back() {
        let first = EventKey::next(EventKey::MIN, Timestamp::from_secs(100));
        let second = EventKey::next(first, Timestamp::from_secs(50));
        assert!(second > first);
    }

    #[test]
    fn ids_sort_as_their_keys_do() {
        let node = Node(5);
        assert!(node.event_id(EventKey(1 << 40)) < node.event_id(EventKey(1 << 41)));
    }

    #[test]
    fn the_form_of_our_own_ids_is_known() {
        for own in [
            "att_01K0000000000000000000000A",
            "evt_01K0000000000000000000000A",
            "dlv_01K0000000000000000000000A",
            "wh_01K0000000000000000000000A",
        ] {
            assert!(has_own_form(own), "{own}");
        }
        for free in ["evt_abc123", "event_01K0000000000000000000000A", "01K0000000000000000000000A", "evt_", "evt"] {
            assert!(!has_own_form(free), "{free}");
        }
    }

    #[test]
    fn names_are_short_and_plain() {
        assert!(is_name("tenant_xyz-1"));
        for bad in ["", "a.b", "é", "a b", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn the_keys_of_a_millisecond_begin_and_end_with_it() {
        let (time, next) = (Timestamp::from_millis(1_700_000_000_123), Timestamp::from_millis(1_700_000_000_124));
        assert_eq!(EventKey::up_to(time).0 - EventKey::at(time).0, 65_535);
        assert_eq!(EventKey::up_to(time).0 + 1, EventKey::at(next).0);
        for key in [EventKey::at(time), EventKey::up_to(time)] {
            assert_eq!(key.time(), time);
        }
    }

    #[test]
    fn more_keys_than_a_millisecond_has_run_ahead_of_the_clock() {
        let now = Timestamp::from_millis(5);
        let next = EventKey::next(EventKey::up_to(now), now);
        assert_eq!((next, next.time()), (EventKey::at(Timestamp::from_millis(6)), Timestamp::from_millis(6)));
        assert_eq!(EventKey::next(EventKey::MAX, now), EventKey::MAX);
    }

    #[test]
    fn a_webhooks_and_a_keys_id_hold_their_time_and_their_random_bytes() {
        let (now, random) = (Timestamp::from_millis(1_700_000_000_123), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        for (id, prefix) in [(webhook_id(now, random), WEBHOOK), (key_id(now, random), KEY)] {
            let bits = bits(prefix, &id).expect("an own id");
            assert_eq!((bits >> 80, bits & ((1 << 80) - 1)), (1_700_000_000_123, 0x0102_0304_0506_0708_090a));
            assert!(has_own_form(&id), "{id}");
        }
    }

    #[test]
    fn the_map_by_webhook_finds_every_number() {
        let numbers: Vec<EndpointNo> = (0..1_000).map(|number| EndpointNo(number << 16)).collect();
        let map: ByEndpoint<u32> = numbers.iter().map(|no| (*no, no.0)).collect();
        assert!(numbers.iter().all(|no| map.get(no) == Some(&no.0)) && map.len() == 1_000);
        assert_eq!(EndpointNo(999 << 16).to_string(), "65470464");
    }

    #[test]
    fn the_hasher_spreads_numbers_and_bytes() {
        let of = |write: &dyn Fn(&mut Spread)| {
            let mut hasher = Spread::default();
            write(&mut hasher);
            hasher.finish()
        };
        let (one, two) = (of(&|to| to.write_u32(1)), of(&|to| to.write_u32(2)));
        assert_eq!((one, two), (0x9e37_79b9_7f4a_7c15, 0x3c6e_f372_fe94_f82a));
        assert_eq!(of(&|to| to.write(&[1])), one);
        assert_ne!(of(&|to| to.write(&[1, 2])), of(&|to| to.write(&[2, 1])));
    }

    #[test]
    fn keys_of_the_audit_log_ascend_whatever_the_clock_does() {
        let at = Timestamp::from_secs(1_000);
        let first = AuditKey::next(AuditKey(0), at);
        let still = AuditKey::next(first, at);
        let back = AuditKey::next(still, at - Duration::from_secs(60));
        assert!(AuditKey::at(at) <= first && first < still && still < back, "{first:?} {still:?} {back:?}");
        let [one, other] = [first, still].map(|key| Node(7).audit_id(key));
        assert!(one < other, "ids sort as their keys do: {one} {other}");
    }
}

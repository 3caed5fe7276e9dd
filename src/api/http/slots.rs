//! Decides who may hold a connection when not all can: every new connection gets a place, and the longest idle one gives way.
//!
//! ```text
//!               admit                    show (a valid key, or the admin socket)
//!   newcomer ─────────▶ stranger, by address ─────────▶ known, by tenant ─────────▶ gone
//!                          │ all are taken: the oldest       │ its part is full: the oldest idle one
//!                          ▼ is cut                          ▼ closes, or the request is a 503
//! ```
//!
//! **What is counted.** A connection is a *stranger* until a request on it shows a valid key. Its TLS handshake, its heads, and
//! requests for health alone count as a stranger's. Strangers count by their address, where an IPv6 /64 is one address. From its
//! first valid key on a connection is *known* and counts by that key's tenant, so a proxy or a publisher with many connections
//! from one address is none of the strangers there. All connections together are at most [`Limits::all`], and the known ones at
//! most [`Limits::known`]; the rest is always left to strangers, and so to new connections.
//!
//! **Who gives way.** When all places are taken, a new connection gets the place of a stranger: the oldest of the addresses that
//! hold [`STRANGERS_SHARE`] or more, else the oldest of all. Its age counts from the end of its last request, or else from its
//! coming. A stranger has no request that takes long, so it can be cut at any time and a new connection never waits: health is
//! answered whatever the others do. When the known are full, one more takes the place of the longest idle of the tenants that
//! hold half or more, else of all tenants; a connection of such a tenant takes a place from such tenants only. When none is idle,
//! the connection of such a tenant that is longest at work is asked to leave: a long poll answers at once, anything else closes
//! after its answer, or after 30 s. At most [`LEAVING_MAX`] may be leaving at the same time, half of them with a request at work.
//!
//! **What its peer sees.** A stranger that gives way is cut. A known connection that is idle is closed as after its idle time. A
//! request that finds no place among the known, because all are at work or its own tenant holds half of them, is answered with
//! 503 and `Retry-After` on a connection that closes.
//!
//! **Why nothing gets stuck.** A place is given or refused at once and under one lock; nobody waits for a place. Only the
//! accepting of connections pauses while [`LEAVING_MAX`] cut strangers have not been dropped, which needs no peer. All
//! connections are walked over only when they are full, and one walk finds [`CANDIDATES`] of them. A request on a known
//! connection costs two stores.

mod part;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use part::{Member, Part};

/// The places for connections of one listener. It is cheap to clone.
#[derive(Clone)]
pub(crate) struct Slots(Arc<Shared>);

struct Shared {
    limits: Limits,
    began: Instant,
    state: Mutex<State>,
    /// Notified whenever a connection is gone.
    departed: Notify,
}

struct State {
    next: u64,
    strangers: Part,
    known: Part,
}

/// How many connections there may be at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) all: usize,
    /// The most known connections. It is less than `all`.
    pub(crate) known: usize,
}

impl Limits {
    /// Limits for `all` connections, a ninth of which is never for known ones.
    pub(crate) fn new(all: usize) -> Self {
        Self { all, known: all - all.div_ceil(STRANGERS_PART) }
    }
}

/// The group that a connection counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Group {
    V4(u32),
    /// The upper 64 bits of an IPv6 address: the network that one subscriber gets.
    V6(u64),
    /// All connections to the admin socket.
    Socket,
    /// A tenant, a provider or the operator, by the hash of its name.
    Party(u64),
}

impl Group {
    pub(crate) fn from_address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => Self::V6(u64::try_from(ip.to_bits() >> 64).unwrap_or(u64::MAX)),
        }
    }
}

/// For the log: an IPv4 address, or the /64 of an IPv6 address.
impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4(bits) => Ipv4Addr::from_bits(bits).fmt(f),
            Self::V6(upper) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(upper) << 64)),
            Self::Socket => f.write_str("admin socket"),
            Self::Party(_) => f.write_str("tenant"),
        }
    }
}

/// There is no place for a known connection. Its peer should try again in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Slots {
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        let state = State { next: 0, strangers: Part::new(STRANGERS_SHARE), known: Part::new(limits.known / 2) };
        Self(Arc::new(Shared { limits, began: now, state: Mutex::new(state), departed: Notify::new() }))
    }

    /// Gives a place to a new connection. When all are taken, a stranger must leave for it.
    pub(crate) fn admit(&self, from: Group, now: Instant) -> Slot {
        let mut state = self.0.lock();
        if state.strangers.len() + state.known.len() >= self.0.limits.all {
            let only_filled = state.strangers.is_filled(from);
            let oldest = state.strangers.oldest(only_filled);
            oldest.into_iter().for_each(|oldest| state.strangers.dismiss(&oldest));
        }
        state.next += 1;
        let member = Arc::new(Member::new(state.next, from, self.0.micros(now)));
        state.strangers.add(member.clone());
        Slot { shared: self.0.clone(), member }
    }

    /// Waits until fewer than [`LEAVING_MAX`] cut strangers are still there.
    pub(crate) async fn settled(&self) {
        self.until(|state| state.strangers.leaving() < LEAVING_MAX).await;
    }

    /// Waits until all connections are gone.
    pub(crate) async fn empty(&self) {
        self.until(|state| state.len() == 0).await;
    }

    /// The number of connections at this moment, including those that were told to leave.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    async fn until(&self, is_so: impl Fn(&State) -> bool) {
        loop {
            let departed = self.0.departed.notified();
            if is_so(&self.0.lock()) {
                return;
            }
            departed.await;
        }
    }
}

impl State {
    fn len(&self) -> usize {
        self.strangers.len() + self.strangers.leaving() + self.known.len() + self.known.leaving()
    }

    /// Makes a place among the known connections for one more of `group`, by telling another to leave.
    fn make_room(&mut self, group: Group) -> Result<(), Full> {
        let leaving = self.known.leaving();
        if leaving >= LEAVING_MAX {
            return Err(Full);
        }
        let is_filled = self.known.is_filled(group);
        let idle = self.known.oldest(is_filled);
        let may_interrupt = !is_filled && leaving < LEAVING_AT_WORK_MAX;
        let victim = idle.or_else(|| if may_interrupt { self.known.longest_at_work() } else { None }).ok_or(Full)?;
        self.known.dismiss(&victim);
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn micros(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }
}

/// The place of one connection. Dropping it gives the place back.
pub(crate) struct Slot {
    shared: Arc<Shared>,
    member: Arc<Member>,
}

impl Slot {
    /// A slot of a listener that has no other connections.
    #[cfg(test)]
    pub(crate) fn alone() -> Arc<Self> {
        let now = crate::clock::steady();
        Arc::new(Slots::new(Limits { all: 2, known: 1 }, now).admit(Group::Socket, now))
    }

    /// The group of the address that the connection comes from, whatever keys it has shown.
    pub(crate) fn from(&self) -> Group {
        self.member.from
    }

    /// Takes note that a request has shown a valid key. The first key makes the connection known; `party` is called only then.
    /// Fails when there is no place among the known.
    pub(crate) fn show(&self, party: impl FnOnce() -> Group) -> Result<(), Full> {
        if self.member.known.load(Relaxed) {
            return Ok(());
        }
        let party = party();
        let mut state = self.shared.lock();
        if self.member.known.load(Relaxed) {
            // Another request of this connection was faster.
            return Ok(());
        }
        if !state.strangers.holds(&self.member) {
            return Err(Full);
        }
        if state.known.len() >= self.shared.limits.known {
            state.make_room(party)?;
        }
        state.strangers.take_out(&self.member);
        self.member.become_known(party);
        state.known.add(self.member.clone());
        Ok(())
    }

    /// Takes note that a request has begun.
    pub(crate) fn works(&self) {
        self.member.at_work.fetch_add(1, Relaxed);
    }

    /// Takes note that a request has ended.
    pub(crate) fn rests(&self, now: Instant) {
        self.member.since.store(self.shared.micros(now), Relaxed);
        self.member.at_work.fetch_sub(1, Relaxed);
    }

    /// Whether the connection must leave. It costs one load.
    pub(crate) fn must_leave(&self) -> bool {
        self.member.must_leave.load(Relaxed)
    }

    /// Whether a request of the connection is under way.
    pub(in crate::api) fn is_at_work(&self) -> bool {
        self.member.at_work.load(Relaxed) > 0
    }

    /// Whether the connection is a stranger, so that it is cut at once when it must leave.
    pub(crate) fn is_stranger(&self) -> bool {
        !self.member.known.load(Relaxed)
    }

    /// Waits until the connection must leave.
    pub(crate) async fn until_told_to_leave(&self) {
        loop {
            let rung = self.member.bell.notified();
            if self.must_leave() {
                return;
            }
            rung.await;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let is_known = self.member.known.load(Relaxed);
        if is_known {
            state.known.depart(&self.member)
        } else {
            state.strangers.depart(&self.member)
        }
        drop(state);
        self.shared.departed.notify_waiters();
    }
}

/// How many connections an address may have before, with all places taken, its own give way first: more than a browser, a monitor
/// or a proxy opens without a key.
const STRANGERS_SHARE: usize = 256;

/// One place of so many is never for a known connection.
const STRANGERS_PART: usize = 9;

/// How many strangers, and how many known connections, may have been told to leave and still be there.
pub(crate) const LEAVING_MAX: usize = 64;

/// How many of the known ones may have had a request at work when they were told. Such a connection takes up to
/// [`GIVES_WAY_WITHIN`](super::drive::GIVES_WAY_WITHIN) to close, an idle one at most a second, so the other half is for idle
/// ones.
pub(crate) const LEAVING_AT_WORK_MAX: usize = LEAVING_MAX / 2;

/// How many connections one walk over all of them finds. They give way one after the other, as long as they stay idle.
const CANDIDATES: usize = 64;

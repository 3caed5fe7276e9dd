//! Who may hold a connection when not all can: whoever comes is taken in, and whoever has been idle for longest goes.
//!
//! ```text
//!               admit                    show (a valid key, or the admin socket)
//!   newcomer ─────────▶ stranger, by address ─────────▶ known, by tenant ─────────▶ gone
//!                          │ all are taken: the oldest       │ its part is full: the oldest idle one
//!                          ▼ is cut                          ▼ closes, or the request is a 503
//! ```
//!
//! **What is counted.** A connection is a *stranger* until a request on it shows a valid key: its TLS handshake and its heads,
//! and all that only asks for health, count as a stranger's. Strangers count by their address, an IPv6 /64 as one. From its first
//! valid key on a connection is *known* and counts by that key's tenant, so that a proxy or a publisher with many connections
//! from one address is none of the strangers there. All together are [`Limits::all`], of which the known are at most
//! [`Limits::known`]: the rest is always left to strangers, and to newcomers among them.
//!
//! **Who gives way.** With all taken a newcomer gets the place of a stranger: the oldest of the addresses that hold
//! [`STRANGERS_SHARE`] or more, else the oldest of all, by the end of its last request or else its coming. A stranger has nothing that
//! takes long, so one can be cut at any time and a newcomer never waits: health is answered whatever the others do. When the
//! known are full, one more takes the place of the longest idle of the tenants that hold half or more, else of all tenants; one of
//! such a tenant takes no other's. When none is idle, of such a tenant the one that is longest at work is asked to leave: a long poll answers at once,
//! anything else closes behind its answer, or after 30 s; up to [`LEAVING_MAX`] may be on their way out meanwhile, half of them
//! at work.
//!
//! **Who sees what.** A stranger that gives way is cut, a known one that is idle is closed as after its idle time. A request that
//! finds no place among the known, because all are at work or its own tenant holds half of them, is a 503 with `Retry-After`
//! on a connection that closes.
//!
//! **Why nothing stands still.** A place is given or refused at once and under one lock; nobody waits for one. Only the accepting
//! of newcomers pauses while [`LEAVING_MAX`] cut strangers have not been dropped, which needs no peer. Walks over all members
//! happen only when they are full and find [`CANDIDATES`] at once; a request on a known connection costs two stores.

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

/// The places of one listener. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Slots(Arc<Shared>);

struct Shared {
    limits: Limits,
    began: Instant,
    state: Mutex<State>,
    /// Rung whenever one is gone.
    departed: Notify,
}

struct State {
    next: u64,
    strangers: Part,
    known: Part,
}

/// How many connections at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) all: usize,
    /// Less than all.
    pub(crate) known: usize,
}

impl Limits {
    /// So many in all, of which strangers always have a ninth.
    pub(crate) fn of(all: usize) -> Self {
        Self { all, known: all - all.div_ceil(STRANGERS_PART) }
    }
}

/// Whom a connection counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Group {
    V4(u32),
    /// The upper half: what one subscriber is given.
    V6(u64),
    /// Whoever may open the admin socket.
    Socket,
    /// A tenant, a provider or the operator, by the hash of its name.
    Party(u64),
}

impl Group {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => Self::V6(u64::try_from(ip.to_bits() >> 64).unwrap_or(u64::MAX)),
        }
    }
}

/// For the log: an address, or the /64 that it is one of.
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

/// Why a known connection has no place: try again in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Slots {
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        let state = State { next: 0, strangers: Part::new(STRANGERS_SHARE), known: Part::new(limits.known / 2) };
        Self(Arc::new(Shared { limits, began: now, state: Mutex::new(state), departed: Notify::new() }))
    }

    /// Takes a newcomer in, in place of another when all are taken.
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

    /// Waits until not too many that were cut are still there.
    pub(crate) async fn settled(&self) {
        self.until(|state| state.strangers.leaving() < LEAVING_MAX).await;
    }

    /// Waits until all are gone.
    pub(crate) async fn empty(&self) {
        self.until(|state| state.len() == 0).await;
    }

    /// Connections at this moment.
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

    /// Finds a place among the known for one more of `group`.
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

/// One connection's place, given back when it is dropped.
pub(crate) struct Slot {
    shared: Arc<Shared>,
    member: Arc<Member>,
}

impl Slot {
    /// The only one of its kind.
    #[cfg(test)]
    pub(crate) fn alone() -> Arc<Self> {
        let now = crate::clock::steady();
        Arc::new(Slots::new(Limits { all: 2, known: 1 }, now).admit(Group::Socket, now))
    }

    /// Where the connection comes from, whatever it has shown since.
    pub(crate) fn from(&self) -> Group {
        self.member.from
    }

    /// The connection has shown a valid key of `party`; the first one counts, and `party` is asked for it alone.
    pub(crate) fn show(&self, party: impl FnOnce() -> Group) -> Result<(), Full> {
        if self.member.known.load(Relaxed) {
            return Ok(());
        }
        let party = party();
        let mut state = self.shared.lock();
        if self.member.known.load(Relaxed) {
            // By another request of this connection, meanwhile.
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

    /// A request has begun.
    pub(crate) fn works(&self) {
        self.member.at_work.fetch_add(1, Relaxed);
    }

    /// A request has ended.
    pub(crate) fn rests(&self, now: Instant) {
        self.member.since.store(self.shared.micros(now), Relaxed);
        self.member.at_work.fetch_sub(1, Relaxed);
    }

    /// Whether it is to give way. Costs one load.
    pub(crate) fn is_told(&self) -> bool {
        self.member.told.load(Relaxed)
    }

    /// Whether a request is under way.
    pub(in crate::api) fn is_at_work(&self) -> bool {
        self.member.at_work.load(Relaxed) > 0
    }

    /// Whether it ends at once when it is told.
    pub(crate) fn is_stranger(&self) -> bool {
        !self.member.known.load(Relaxed)
    }

    /// Ends when it is to give way.
    pub(crate) async fn told(&self) {
        loop {
            let rung = self.member.bell.notified();
            if self.is_told() {
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

/// Strangers of one address while all places are taken: more than a browser, a monitor or a proxy has without a key.
const STRANGERS_SHARE: usize = 256;

/// One of so many places is never a known connection's.
const STRANGERS_PART: usize = 9;

/// Of strangers, and of the known, so many may have been told to leave and be there still.
pub(crate) const LEAVING_MAX: usize = 64;

/// Of these, so many may have had a request at work when they were told. Such a connection takes up to
/// [`GIVES_WAY_WITHIN`](super::drive::GIVES_WAY_WITHIN) to close, an idle one a second at most: the other half is for idle ones.
pub(crate) const LEAVING_AT_WORK_MAX: usize = LEAVING_MAX / 2;

/// Found by one walk over all: the oldest of them give way one after the other, as long as they stay what they were.
const CANDIDATES: usize = 64;

//! Memory: how many bytes of what others send or ask for are held at once, and who waits when there is no room for more.
//!
//! ```text
//!  [delivery] memory
//!  ├─ events    1/2   fresh 1/16 ─ captures 1/16 ─ small 1/16 ─ prompt 1/16 ─ common 4/16
//!  ├─ requests  1/4   bodies on their way in, until they are answered: common 15/16 ─ small 1/16
//!  └─ answers   1/4   pieces of answers, until their readers have taken them
//! ```
//!
//! **What is counted.** Of an event in memory its body and attributes, once, however many deliveries share it: one that was just
//! published draws on *fresh*; one that is read back for an attempt draws on *common*, before it is read. What is kept of a
//! response beyond [`CAPTURE_FREE_BYTES`] draws on *captures*; where there is no room, that much of it is kept. A request's body
//! draws on *requests*, but for a small one and the first bytes of each (`api::http::body` says how many). With the first byte beyond,
//! it takes room for as much as it announced, so that whoever has begun can end; once its bytes come slowly it keeps no more than
//! has come, and takes the rest as it comes. An answer draws on *answers* before it is rendered: a large one piece by piece, so
//! that a page is never in memory whole; a small one is free.
//!
//! **Who waits where.** A delivery waits in its endpoint's queue, or with its slot, and its body on disk. A request waits with
//! its body in the network, as long as it holds nothing; one that holds room and finds none for more is a 503 at once, and what
//! it held is free. An answer waits before its first piece, or between two, as rows in the store. A caller waits at most as long
//! as its room says and then gets 503 with `Retry-After`; a delivery waits until there is room.
//!
//! **How it is shared.** Each part is its own: unread answers never stop deliveries or publishers, nor these each other. Of
//! *answers* no tenant has more than a quarter, so whoever reads slowly stops nobody else. Of *requests* none has more than a
//! quarter either, or the room of the largest request where that is more, so whoever sends slowly stops nobody else, short of
//! four tenants that do it together; and what large bodies cannot have is for those up to 64 KiB, a quarter of it for each tenant
//! again. Of the events, *fresh* is for speed alone: what finds no room there is read back later. Endpoints that hang keep the
//! bodies of their attempts until these time out, but no more than *common*: behind it, *small* is for bodies up to
//! [`SMALL_BYTES`] of any endpoint, and *prompt* for endpoints that answered their last attempt, one body each. Within a pool it
//! is first come, first served, so nobody waits for ever.
//!
//! **Why nothing locks up.** Whoever waits for a share holds none of the same part: a body that is half there never waits for
//! room, only for its peer. All that holders wait for has an end of its own: an attempt its timeout, a body and an answer the
//! patience with their peers, a commit the disk. A tenant's own part is taken before that of all, so who waits for its own holds
//! nothing that another tenant waits for. One that needs more than a whole pool takes all of it.
//!
//! **What it costs.** A published event that is attempted at once: an addition and a subtraction. One that is read back, and each
//! piece of a large answer: a permit.
//!
//! Not in it, each with a bound where it is kept: the store's page cache and the batch that is being committed, outcomes that
//! wait for the disk, and the buffers of connections.

mod parties;
mod pool;
mod requests;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::timeout;

pub(crate) use parties::{Parties, PartyShare};
pub(crate) use pool::{Pool, Share};
pub(crate) use requests::Requests;

/// All of it, in its parts. A reload changes their sizes.
#[derive(Debug)]
pub(crate) struct Budget {
    fresh: Gauge,
    captures: Gauge,
    small: Arc<Pool>,
    prompt: Arc<Pool>,
    common: Arc<Pool>,
    requests: Requests,
    answers: Parties,
}

impl Budget {
    /// Of so many bytes, at least [`BYTES_LEAST`].
    pub(crate) fn new(bytes: u64) -> Self {
        let sixteenth = sixteenth(bytes);
        let event = |size| Arc::new(Pool::new(size, EVENT_BYTES_MOST));
        Self {
            fresh: Gauge::new(sixteenth),
            captures: Gauge::new(sixteenth),
            small: event(sixteenth),
            prompt: event(sixteenth),
            common: event(4 * sixteenth),
            requests: Requests::new(4 * sixteenth),
            answers: Parties::of(Arc::new(Pool::new(4 * sixteenth, PEER_BYTES_MOST))),
        }
    }

    /// Changes its size. What is held beyond a smaller one stays until it is given back.
    pub(crate) fn resize(&self, bytes: u64) {
        let sixteenth = sixteenth(bytes);
        self.fresh.limit.store(sixteenth, Relaxed);
        self.small.resize(sixteenth);
        self.prompt.resize(sixteenth);
        self.common.resize(4 * sixteenth);
        self.captures.limit.store(sixteenth, Relaxed);
        self.requests.resize(4 * sixteenth);
        self.answers.resize(4 * sixteenth);
    }

    /// The events that were just published.
    pub(crate) fn fresh(&self) -> &Gauge {
        &self.fresh
    }

    /// For what is kept of one response: as much as is wanted, or [`CAPTURE_FREE_BYTES`] of it where there is no room for more.
    pub(crate) fn capture(self: &Arc<Self>, wanted: usize) -> Capture {
        let beyond = wanted.saturating_sub(CAPTURE_FREE_BYTES);
        if beyond == 0 {
            return Capture { bytes: wanted, drawn: None };
        }
        match self.captures.take(beyond) {
            true => Capture { bytes: wanted, drawn: Some((self.clone(), beyond)) },
            false => Capture { bytes: CAPTURE_FREE_BYTES, drawn: None },
        }
    }

    /// For request bodies on their way in.
    pub(crate) fn requests(&self) -> &Requests {
        &self.requests
    }

    /// For answers on their way out.
    pub(crate) fn answers(&self) -> &Parties {
        &self.answers
    }

    /// Room for an event that is read back, if there is some at once.
    pub(crate) fn try_event(&self, bytes: usize) -> Option<Share> {
        let small = || (bytes <= SMALL_BYTES).then(|| self.small.try_take(bytes)).flatten();
        self.common.try_take(bytes).or_else(small)
    }

    /// Waits for it; `is_prompt` says whether the endpoint answered its last attempt, which may change meanwhile. `None`: no
    /// attempt is made any more.
    pub(crate) async fn event(&self, bytes: usize, is_prompt: impl Fn() -> bool) -> Option<Share> {
        let mut of_any = pin!(self.event_of_any(bytes));
        while !is_prompt() {
            if let Ok(share) = timeout(LOOK, &mut of_any).await {
                return share;
            }
        }
        tokio::select! {
            biased;
            share = of_any => share,
            share = self.prompt.take(bytes) => share,
        }
    }

    async fn event_of_any(&self, bytes: usize) -> Option<Share> {
        tokio::select! {
            biased;
            share = self.common.take(bytes) => share,
            share = self.small.take(bytes), if bytes <= SMALL_BYTES => share,
        }
    }

    /// Lets go of all who wait for an event: no attempt is made any more.
    pub(crate) fn end_events(&self) {
        [&self.common, &self.small, &self.prompt].into_iter().for_each(|pool| pool.close());
    }
}

/// How much may be kept of a response. Dropping it gives its room back.
#[derive(Debug)]
pub(crate) struct Capture {
    bytes: usize,
    drawn: Option<(Arc<Budget>, usize)>,
}

impl Capture {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if let Some((budget, bytes)) = &self.drawn {
            budget.captures.give_back(*bytes);
        }
    }
}

/// A bound that nobody waits at.
#[derive(Debug)]
pub(crate) struct Gauge {
    used: AtomicUsize,
    limit: AtomicUsize,
}

impl Gauge {
    fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit: AtomicUsize::new(limit) }
    }

    /// Whether so many bytes would find room now.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.used.load(Relaxed).saturating_add(bytes) <= self.limit.load(Relaxed)
    }

    /// Counts them if they do. Takers that race may pass the bound by what they take at once.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let fits = self.fits(bytes);
        if fits {
            self.used.fetch_add(bytes, Relaxed);
        }
        fits
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }
}

fn sixteenth(bytes: u64) -> usize {
    usize::try_from(bytes.max(BYTES_LEAST) / 16).unwrap_or(usize::MAX)
}

/// How often it is looked whether an endpoint whose delivery waits has answered another one.
const LOOK: Duration = Duration::from_millis(250);

/// What nobody names: three quarters of a machine of 512 MiB would be too much, and 40 bodies of a megabyte need 40.
pub(crate) const BYTES_DEFAULT: u64 = 256 << 20;

/// The largest request, 16 MiB, fits into its quarter.
pub(crate) const BYTES_LEAST: u64 = 64 << 20;

/// Beyond it a machine holds the store itself in memory.
pub(crate) const BYTES_MOST: u64 = 64 << 30;

/// Kept of each response whatever the budget: 64 MiB with 4,096 attempts at once.
pub(crate) const CAPTURE_FREE_BYTES: usize = 16 << 10;

/// A body of 16 KiB with what it may carry, and all below: most are.
pub(crate) const SMALL_BYTES: usize = 24 << 10;

/// The most that one event takes of a pool: the smallest pool of the smallest budget. It holds the largest body that a template
/// makes of 1 MiB of data, and the data behind it.
const EVENT_BYTES_MOST: usize = (BYTES_LEAST / 16) as usize;

/// The most that one answer takes.
const PEER_BYTES_MOST: usize = (BYTES_LEAST / 4) as usize;

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn least() -> Budget {
        Budget::new(BYTES_LEAST)
    }

    /// All that large bodies of any endpoint get.
    fn fill_common(budget: &Budget) -> Vec<Share> {
        std::iter::from_fn(|| budget.try_event(MIB)).collect()
    }

    /// All of the answers' room that one party gets.
    fn all_of(budget: &Budget, party: u64) -> Vec<PartyShare> {
        std::iter::from_fn(|| budget.answers().try_take(party, MIB)).collect()
    }

    async fn soon<T>(future: impl Future<Output = T>) -> Option<T> {
        timeout(Duration::from_millis(20), future).await.ok()
    }

    #[test]
    fn its_parts_come_to_the_whole() {
        let budget = Budget::new(BYTES_DEFAULT);
        let pools = [&budget.small, &budget.prompt, &budget.common, budget.answers.pool()];
        let pools: usize = pools.into_iter().chain(budget.requests.pools()).map(|pool| pool.free_bytes()).sum();
        assert_eq!(
            pools + budget.fresh.limit.load(Relaxed) + budget.captures.limit.load(Relaxed),
            usize::try_from(BYTES_DEFAULT).unwrap()
        );
    }

    #[tokio::test]
    async fn bodies_that_hang_leave_room_for_small_ones_and_for_prompt_endpoints() {
        let budget = least();
        let hung = fill_common(&budget);
        assert_eq!(hung.len(), 16);
        assert!(soon(budget.event(MIB, || false)).await.is_none(), "a large one of a slow endpoint waits");
        assert!(budget.try_event(1000).is_some(), "a small one does not");
        assert!(soon(budget.event(MIB, || true)).await.flatten().is_some(), "nor one of an endpoint that answers");
        drop(hung);
        assert!(soon(budget.event(MIB, || false)).await.flatten().is_some());
    }

    #[tokio::test]
    async fn an_endpoint_that_answers_meanwhile_gets_its_room() {
        let budget = least();
        let _hung = fill_common(&budget);
        let answered = AtomicUsize::new(0);
        let is_prompt = || answered.fetch_add(1, Relaxed) > 0;
        assert!(timeout(10 * LOOK, budget.event(MIB, is_prompt)).await.ok().flatten().is_some());
    }

    #[tokio::test]
    async fn unread_answers_stop_neither_deliveries_nor_requests() {
        let budget = least();
        let unread: Vec<PartyShare> = (0..5).flat_map(|party| all_of(&budget, party)).collect();
        assert_eq!(unread.len(), 16);
        assert!(budget.try_event(MIB).is_some() && budget.requests().try_take(1, 16 * MIB).is_some());
    }

    #[tokio::test]
    async fn at_the_end_nobody_waits_for_an_event() {
        let budget = least();
        let _hung = fill_common(&budget);
        let (waited, ()) = tokio::join!(budget.event(MIB, || false), async { budget.end_events() });
        assert!(waited.is_none());
        assert!(budget.answers().try_take(1, 1).is_some(), "answers go on");
    }

    #[tokio::test]
    async fn an_event_larger_than_a_pool_takes_all_of_it() {
        let budget = least();
        let _common: Vec<Share> = std::iter::from_fn(|| budget.try_event(MIB)).collect();
        let largest = soon(budget.event(64 * MIB, || true)).await.flatten().expect("it is taken alone");
        assert!(soon(budget.event(1, || true)).await.flatten().is_some(), "a small one has its own");
        assert!(soon(budget.event(MIB, || true)).await.is_none());
        drop(largest);
        assert!(soon(budget.event(MIB, || true)).await.flatten().is_some());
    }

    #[test]
    fn long_responses_are_kept_while_there_is_room_and_in_part_otherwise() {
        let budget = Arc::new(least());
        let kept: Vec<Capture> = (0..5).map(|_| budget.capture(MIB)).collect();
        assert_eq!(kept.iter().map(Capture::bytes).collect::<Vec<_>>(), [MIB, MIB, MIB, MIB, CAPTURE_FREE_BYTES]);
        assert_eq!(budget.capture(1000).bytes(), 1000);
        drop(kept);
        assert_eq!(budget.capture(MIB).bytes(), MIB);
    }

    #[test]
    fn a_gauge_refuses_what_passes_its_bound() {
        let gauge = Gauge::new(10);
        assert!(gauge.take(6) && gauge.fits(4) && !gauge.take(5) && gauge.take(4));
        gauge.give_back(6);
        assert!(gauge.take(6));
    }
}

//! The memory budget: how many bytes of events, requests and answers are held at once, and who waits when there is no room.
//!
//! ```text
//!  [delivery] memory
//!  ├─ events    1/2   fresh 1/16 ─ captures 1/16 ─ small 1/16 ─ prompt 1/16 ─ common 4/16
//!  ├─ requests  1/4   bodies on their way in, until they are answered: common 15/16 ─ small 1/16
//!  └─ answers   1/4   pieces of answers, until their readers have taken them
//! ```
//!
//! **What is counted.** The body and the attributes of an event in memory count once, however many deliveries share the event. An
//! event that was just published draws on *fresh*; an event that is read back for an attempt draws on *common* before it is read.
//! The kept bytes of a response draw on *captures*, except for the first [`CAPTURE_FREE_BYTES`]; where *captures* has no room, only
//! those are kept. The body of a request draws on *requests*, except for its first bytes (`api::http::body` says how many). With the
//! first byte that counts, a body takes room for its announced length, so that a body that has begun can end. When its bytes come
//! slowly, it gives back the room for all that has not come, and takes it again as the bytes come. A large answer draws on
//! *answers* before it is rendered, piece by piece, so that a whole page is never in memory; a small answer is not counted.
//!
//! **Who waits where.** A delivery that finds no room waits in its endpoint's queue or in its slot, with its body on disk, for as
//! long as it takes. A request that holds no room yet waits with its body in the network; a request that holds room and finds none
//! for more is answered with 503 at once, and gives its room back. An answer waits before its first piece or between two pieces,
//! while its rows stay in the store. The wait of a request or an answer is bounded, and ends with 503 and `Retry-After`.
//!
//! **How it is shared.** The three parts lend each other nothing, so unread answers never stop deliveries or publishers. A tenant
//! has at most a quarter of *answers*, so a tenant that reads slowly stops nobody else. A tenant also has at most a quarter of the
//! common part of *requests*, or the room of the largest request where that is more; only four tenants that send slowly together
//! can use it up. The rest of *requests* is for bodies of at most 64 KiB, and again a tenant has at most a quarter of it. Among the
//! parts for events, *fresh* serves speed alone: an event that finds no room there is read back later. Endpoints that hang keep the
//! bodies of their attempts until the attempts time out, and they can use up *common* but no more. Beside it, *small* is for bodies
//! of at most [`SMALL_BYTES`] to any endpoint, and *prompt* is for endpoints that answered their last attempt, one body each. A
//! pool serves those who wait in the order in which they came, so nobody waits for ever.
//!
//! **Why nothing locks up.** Nobody who waits for a share holds a share of the same part: a body that has come in half never waits
//! for room, only for its peer. Everything that the holder of a share waits for ends by itself: an attempt by its timeout, a body
//! and an answer by the time limits for slow peers, a commit by the disk. A tenant's quarter is drawn on before the pool of all
//! tenants, so a tenant that waits for its quarter holds nothing that another tenant waits for. A request for more than a whole
//! pool takes the whole pool.
//!
//! **What it costs.** A published event that is attempted at once costs an addition and a subtraction. An event that is read back
//! and each piece of a large answer cost a permit of a semaphore.
//!
//! Not part of the budget, and bounded elsewhere, are the store's page cache, the batch that is being committed, outcomes that wait
//! for the disk, and the buffers of connections.

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

/// The memory budget, divided into its parts. A reload of the config resizes them.
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
    /// Divides `bytes` among the parts. A number below [`BYTES_LEAST`] counts as [`BYTES_LEAST`].
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
            answers: Parties::new(Arc::new(Pool::new(4 * sixteenth, PEER_BYTES_MOST))),
        }
    }

    /// Resizes every part to its share of `bytes`. When a part becomes smaller than what is taken of it, nothing is taken away: the
    /// holders give it back in their own time.
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

    /// The gauge of events that were just published and wait in memory for their first attempt.
    pub(crate) fn fresh(&self) -> &Gauge {
        &self.fresh
    }

    /// Takes room for the kept bytes of one response: `wanted` bytes or, when *captures* has no room, [`CAPTURE_FREE_BYTES`].
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

    /// The part for request bodies. A body holds its room until the request is answered.
    pub(crate) fn requests(&self) -> &Requests {
        &self.requests
    }

    /// The part for answers, which is shared among parties: tenants, providers and the operator.
    pub(crate) fn answers(&self) -> &Parties {
        &self.answers
    }

    /// Takes room for an event that is read back for an attempt. `None` when no pool has so many bytes free at this moment.
    pub(crate) fn try_event(&self, bytes: usize) -> Option<Share> {
        let small = || (bytes <= SMALL_BYTES).then(|| self.small.try_take(bytes)).flatten();
        self.common.try_take(bytes).or_else(small)
    }

    /// Waits for room for an event that is read back for an attempt. `is_prompt` tells whether the endpoint answered its last
    /// attempt; it is called again and again during the wait. `None` after [`Budget::end_events`].
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

    /// Ends every present and later wait for an event's room with `None`. It is called at the end of the service, when no more
    /// attempts are made.
    pub(crate) fn end_events(&self) {
        [&self.common, &self.small, &self.prompt].into_iter().for_each(|pool| pool.close());
    }
}

/// The right to keep some bytes of a response. Dropping it gives their room back.
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

/// A counter of bytes with a limit. Nobody waits for it: bytes that do not fit are refused.
#[derive(Debug)]
pub(crate) struct Gauge {
    used: AtomicUsize,
    limit: AtomicUsize,
}

impl Gauge {
    fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit: AtomicUsize::new(limit) }
    }

    /// Whether `bytes` more would stay within the limit now.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.used.load(Relaxed).saturating_add(bytes) <= self.limit.load(Relaxed)
    }

    /// Counts `bytes` if they fit, and returns whether they did. Callers at the same moment may exceed the limit together, each by at
    /// most its own `bytes`.
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

/// The time between two calls of `is_prompt` while a delivery waits for room.
const LOOK: Duration = Duration::from_millis(250);

/// The size of the budget when the config sets none, in bytes. *common* gets 64 MiB of it, enough for 40 attempts at once with
/// bodies of 1 MiB. On a machine with 512 MiB as much memory is left for everything else.
pub(crate) const BYTES_DEFAULT: u64 = 256 << 20;

/// The smallest budget that the config may set, in bytes. Its quarter for requests holds the largest request, 16 MiB.
pub(crate) const BYTES_LEAST: u64 = 64 << 20;

/// The largest budget that the config may set, in bytes. More memory than this serves better as page cache of the store.
pub(crate) const BYTES_MOST: u64 = 64 << 30;

/// The bytes of each response that are kept even when *captures* is full. For 4,096 attempts at once they sum up to 64 MiB.
pub(crate) const CAPTURE_FREE_BYTES: usize = 16 << 10;

/// The largest event that may draw on *small*, in bytes: a body of 16 KiB with attributes. Most events are smaller.
pub(crate) const SMALL_BYTES: usize = 24 << 10;

/// The most bytes that one event draws from a pool. It is the size of the smallest pool of the smallest budget, and is enough for
/// the largest event: 1 MiB of data and the body that a template makes of it.
const EVENT_BYTES_MOST: usize = (BYTES_LEAST / 16) as usize;

/// The most bytes that one answer draws. It is the whole part for answers in the smallest budget.
const PEER_BYTES_MOST: usize = (BYTES_LEAST / 4) as usize;

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn least() -> Budget {
        Budget::new(BYTES_LEAST)
    }

    /// Takes all the room that large bodies can have when their endpoint is not prompt.
    fn fill_common(budget: &Budget) -> Vec<Share> {
        std::iter::from_fn(|| budget.try_event(MIB)).collect()
    }

    /// Takes all the room that one party can have in the part for answers.
    fn all_of(budget: &Budget, party: u64) -> Vec<PartyShare> {
        std::iter::from_fn(|| budget.answers().try_take(party, MIB)).collect()
    }

    async fn soon<T>(future: impl Future<Output = T>) -> Option<T> {
        timeout(Duration::from_millis(20), future).await.ok()
    }

    #[test]
    fn the_parts_of_the_budget_sum_up_to_the_whole() {
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
    async fn no_wait_for_an_event_survives_the_end() {
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

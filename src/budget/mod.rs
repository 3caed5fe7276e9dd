//! The memory budget: how many bytes of events, requests and answers are held at once, and who waits when there is no room.
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
    /// Divides `bytes` among the parts; fewer than [`BYTES_LEAST`] count as [`BYTES_LEAST`].
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

    /// Resizes every part to its share of `bytes`. Memory taken beyond a smaller part stays taken until its holder gives it back.
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

    /// The bytes of events that were just published and wait for their first attempt.
    pub(crate) fn fresh(&self) -> &Gauge {
        &self.fresh
    }

    /// Takes room for what is kept of one response: `wanted` bytes, or [`CAPTURE_FREE_BYTES`] of them where there is no room for
    /// more.
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

    /// The room of request bodies, from their first bytes until they are answered.
    pub(crate) fn requests(&self) -> &Requests {
        &self.requests
    }

    /// The room of answers on their way out, shared by party.
    pub(crate) fn answers(&self) -> &Parties {
        &self.answers
    }

    /// Takes room for an event that is read back for an attempt; `None` where no pool has it free at once.
    pub(crate) fn try_event(&self, bytes: usize) -> Option<Share> {
        let small = || (bytes <= SMALL_BYTES).then(|| self.small.try_take(bytes)).flatten();
        self.common.try_take(bytes).or_else(small)
    }

    /// Waits for room for an event that is read back; `is_prompt` says whether its endpoint answered its last attempt, and is
    /// asked again while this waits. `None` after [`Budget::end_events`].
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

    /// Ends every wait for an event's room with `None`, also those that begin later. The pump calls it when no attempt is made
    /// any more.
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

    /// Counts `bytes` if they fit, and says whether they did. Callers that race may pass the limit together, each by its own
    /// `bytes`.
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

/// How often a delivery that waits for room looks whether its endpoint has answered another attempt meanwhile.
const LOOK: Duration = Duration::from_millis(250);

/// The size when the config names none. 40 concurrent bodies of a megabyte need 40 MiB in *common*, which gets a quarter of it,
/// 64 MiB; a machine of 512 MiB has as much memory again for everything else.
pub(crate) const BYTES_DEFAULT: u64 = 256 << 20;

/// The smallest size that the config may name. Its quarter for requests holds the largest request, 16 MiB.
pub(crate) const BYTES_LEAST: u64 = 64 << 20;

/// The largest size that the config may name. A machine with more memory uses it better for the pages of the store.
pub(crate) const BYTES_MOST: u64 = 64 << 30;

/// Bytes of each response that are kept whatever the budget. With 4,096 attempts at once they sum up to 64 MiB.
pub(crate) const CAPTURE_FREE_BYTES: usize = 16 << 10;

/// The largest event that may use *small*: a body of 16 KiB, as most are shorter, with its attributes.
pub(crate) const SMALL_BYTES: usize = 24 << 10;

/// The most bytes that one event takes of a pool. It is the size of the smallest pool of the smallest budget, and holds the
/// largest body that a template makes of 1 MiB of data, together with that data.
const EVENT_BYTES_MOST: usize = (BYTES_LEAST / 16) as usize;

/// The most bytes that one answer takes: all that answers get in the smallest budget.
const PEER_BYTES_MOST: usize = (BYTES_LEAST / 4) as usize;

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn least() -> Budget {
        Budget::new(BYTES_LEAST)
    }

    /// Takes all that large bodies of any endpoint get.
    fn fill_common(budget: &Budget) -> Vec<Share> {
        std::iter::from_fn(|| budget.try_event(MIB)).collect()
    }

    /// Takes all that one party gets of the room for answers.
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

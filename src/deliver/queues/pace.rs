//! Holds the starts of an endpoint's attempts to its rate limit, by delay alone.
//!
//! ```text
//!   ring ── its turn, no permit yet ──▶ paced, by the time of the next permit ── `wake` ──▶ ring
//! ```
//!
//! A permit is no object: [`Pace`] is the generic cell rate algorithm, which keeps one moment for each endpoint. An endpoint that
//! waits for its next permit is not in the ring and has no slot for it, so it holds nobody up and is not held back by this relay.
//!
//! An endpoint has two paces. One is of the starts, which keeps deliveries from slots that they could not use. The other is of the
//! requests as they leave, since an attempt may wait for other things after its start, and may send a second request.

use std::time::{Duration, Instant};

use super::Queues;
use crate::domain::id::EndpointNo;
use crate::domain::rate::Rate;

/// How much of an endpoint's rate is used up. The default is an endpoint that may start a whole burst.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// When a whole burst may start again, if nothing starts before. `None`, or a moment in the past: at once.
    whole_at: Option<Instant>,
}

impl Pace {
    /// When the next attempt may start, or could have started. `None`: at any time.
    pub(super) fn next_at(self, rate: Rate) -> Option<Instant> {
        self.whole_at?.checked_sub(rate.interval() * (rate.in_a_second() - 1))
    }

    /// Shortens what a slower rate left behind, since a rate that was changed counts from `now` on.
    fn bound(&mut self, rate: Rate, now: Instant) {
        let most = now + rate.interval() * rate.in_a_second();
        self.whole_at = self.whole_at.map(|at| at.min(most));
    }

    /// Uses one permit up.
    pub(super) fn spend(&mut self, rate: Rate, now: Instant) {
        self.whole_at = Some(self.whole_at.map_or(now, |at| at.max(now)) + rate.interval());
    }

    /// Gives a permit back that was used for nothing.
    fn give_back(&mut self, rate: Rate) {
        self.whole_at = self.whole_at.and_then(|at| at.checked_sub(rate.interval()));
    }

    /// Gives no permit before another pace does.
    fn keep_behind(&mut self, other: Self) {
        self.whole_at = self.whole_at.max(other.whole_at);
    }

    /// Forgets what is over at `now`.
    pub(super) fn forget(&mut self, now: Instant) {
        self.whole_at = self.whole_at.filter(|at| *at > now);
    }

    /// Whether there is something to remember.
    pub(super) fn is_used(self) -> bool {
        self.whole_at.is_some()
    }
}

impl<W> Queues<W> {
    /// When the first of the endpoints that wait for their rate limit may start its next attempt. `None` when no endpoint waits.
    pub(crate) fn wakes_at(&self) -> Option<Instant> {
        self.paced.first().map(|(at, _)| *at)
    }

    /// Lets the endpoints take turns again whose next attempt may start by `now`: at most [`SLICE`] of them.
    pub(crate) fn wake(&mut self, now: Instant) {
        for _ in 0..SLICE {
            let Some((at, no)) = self.paced.first().copied().filter(|(at, _)| *at <= now) else { break };
            self.paced.remove(&(at, no));
            if let Some(queue) = self.endpoints.get_mut(&no) {
                queue.paced_until = None;
                self.enter(no);
                self.sweep(no);
            }
        }
    }

    /// Lets an endpoint whose rate limit changed go by the new one at once: what was sent before does not count.
    pub(super) fn change_rate(&mut self, no: EndpointNo) {
        if let Some(queue) = self.endpoints.get_mut(&no) {
            queue.sent = Pace::default();
            self.repace(no);
        }
    }

    /// Lets an endpoint that waits for a permit take its turn at once, which finds when its next attempt may start.
    fn repace(&mut self, no: EndpointNo) {
        let Some(queue) = self.endpoints.get_mut(&no) else { return };
        if let Some(at) = queue.paced_until.take() {
            self.paced.remove(&(at, no));
            self.enter(no);
        }
    }

    /// Gives an endpoint the permit back of a turn in which nothing was sent. If it waits for a permit, it takes its turn at once.
    pub(super) fn give_back(&mut self, no: EndpointNo) {
        let Some(queue) = self.endpoints.get_mut(&no) else { return };
        if let Some(rate) = queue.rate_limit() {
            queue.pace.give_back(rate);
            self.repace(no);
        }
    }

    /// Takes the permit of a request of this endpoint, and returns when the request may leave. `None` when that is later than
    /// `patience` from now; then no permit is taken, and the endpoint's next attempt starts when there is one.
    pub(crate) fn permit(&mut self, no: EndpointNo, now: Instant, patience: Duration) -> Option<Instant> {
        let Some(queue) = self.endpoints.get_mut(&no) else { return Some(now) };
        let Some(rate) = queue.rate_limit() else { return Some(now) };
        let at = queue.sent.next_at(rate).map_or(now, |at| at.max(now));
        let permitted = (at <= now + patience).then_some(at);
        permitted.inspect(|at| queue.sent.spend(rate, *at));
        queue.pace.keep_behind(queue.sent);
        permitted
    }

    /// Whether an endpoint's rate limit lets an attempt start. Otherwise it waits among the paced ones until it does.
    pub(super) fn has_permit(&mut self, no: EndpointNo, now: Instant) -> bool {
        let Some(queue) = self.endpoints.get_mut(&no) else { return false };
        let Some(rate) = queue.rate_limit() else { return true };
        queue.pace.bound(rate, now);
        let Some(at) = queue.pace.next_at(rate).filter(|at| *at > now) else { return true };
        if !queue.is_empty() && queue.paced_until.is_none() {
            queue.paced_until = Some(at);
            self.paced.insert((at, no));
        }
        false
    }
}

/// How many endpoints are woken under one lock of the queues.
const SLICE: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{HealthSignal, Limits};
    use super::*;
    use crate::clock;
    use crate::domain::id::{DeliveryKey, EventKey};
    use crate::domain::webhook::settings::WebhookSettings;
    use crate::store::{Committed, Lane, Live, Ready};

    fn rate(text: &str) -> Rate {
        text.parse().expect("a rate")
    }

    fn queues() -> Queues<u32> {
        Queues::new(Limits { in_flight: 1 << 20, per_endpoint: 16, kept: 2 })
    }

    fn limit(live: &Live, text: Option<&str>) {
        live.note(&WebhookSettings { rate_limit: text.map(rate), ..WebhookSettings::default() });
    }

    fn key(endpoint: u32, event: u64) -> DeliveryKey {
        DeliveryKey { event: EventKey(event), endpoint: EndpointNo(endpoint) }
    }

    /// Starts all that may start, and ends each attempt at once. Returns the events.
    fn run(queues: &mut Queues<u32>, now: Instant) -> Vec<u64> {
        queues.wake(now);
        let mut events = Vec::new();
        while let Some(start) = queues.start(now) {
            let mut next = Some(start.ready);
            while let Some(ready) = next {
                events.push(ready.key.event.0);
                next = queues.finish(ready.key, HealthSignal::Good, now);
            }
        }
        events
    }

    /// When each of `count` attempts starts that wait from `from` on.
    fn starts(pace: &mut Pace, rate: Rate, from: Instant, count: usize) -> Vec<Instant> {
        let mut start = |now: &mut Instant| {
            pace.bound(rate, *now);
            *now = pace.next_at(rate).map_or(*now, |at| at.max(*now));
            pace.spend(rate, *now);
            Some(*now)
        };
        let mut now = from;
        std::iter::from_fn(|| start(&mut now)).take(count).collect()
    }

    #[test]
    fn a_burst_is_a_seconds_worth_and_the_rest_is_spread_evenly() {
        let (mut pace, began) = (Pace::default(), clock::steady());
        let starts = starts(&mut pace, rate("10/s"), began, 14);
        let after: Vec<_> = starts.iter().map(|at| at.duration_since(began).as_millis()).collect();
        assert_eq!(after, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200, 300, 400]);
        pace.forget(began + Duration::from_millis(1_399));
        assert!(pace.is_used());
        pace.forget(began + Duration::from_millis(1_400));
        assert!(!pace.is_used(), "a whole burst may start again");
    }

    #[test]
    fn a_slow_rate_has_no_burst() {
        let began = clock::steady();
        let starts = starts(&mut Pace::default(), rate("50/h"), began, 3);
        assert_eq!(starts, [0, 72, 144].map(|secs| began + Duration::from_secs(secs)));
    }

    #[test]
    fn a_faster_rate_shortens_a_wait_at_once() {
        let (mut pace, began) = (Pace::default(), clock::steady());
        assert_eq!(starts(&mut pace, rate("1/h"), began, 1), [began]);
        let starts = starts(&mut pace, rate("10/s"), began, 2);
        assert_eq!(starts, [100, 200].map(|millis| began + Duration::from_millis(millis)));
    }

    #[test]
    fn ten_in_a_second_over_a_minute_loses_none() {
        let (mut queues, live, began) = (queues(), Arc::new(Live::default()), clock::steady());
        limit(&live, Some("10/s"));
        (0..700).for_each(|event| queues.push(Ready::of(key(1, event), Lane::Due, began, &live)));
        let (mut now, mut started) = (began, Vec::new());
        while now <= began + Duration::from_secs(60) {
            started.extend(run(&mut queues, now).into_iter().map(|event| (now, event)));
            assert_eq!((queues.in_flight(), queues.held_back(now)), (0, Duration::ZERO), "a wait is nobody's fault");
            now = queues.wakes_at().unwrap_or(now + Duration::from_secs(60));
        }
        assert_eq!(started.iter().map(|(_, event)| *event).collect::<Vec<_>>(), (0..610).collect::<Vec<_>>());
        let within = |from: Instant| started.iter().filter(|(at, _)| (from..from + Duration::from_secs(1)).contains(at)).count();
        assert_eq!(started.iter().map(|(at, _)| within(*at)).max(), Some(19), "ten, and the burst before");
        assert_eq!(within(began + Duration::from_secs(30)), 10);
    }

    #[test]
    fn a_wait_for_the_rate_ends_with_a_change_of_it() {
        let (mut queues, live, now) = (queues(), Arc::new(Live::default()), clock::steady());
        limit(&live, Some("1/h"));
        (1..=20).for_each(|event| queues.push(Ready::of(key(1, event), Lane::Due, now, &live)));
        assert_eq!(run(&mut queues, now), [1]);
        limit(&live, Some("2/s"));
        let repaced = || Committed { repaced: vec![EndpointNo(1)], ..Committed::default() };
        queues.take_over(repaced());
        assert_eq!(run(&mut queues, now), [0; 0]);
        assert_eq!(queues.wakes_at(), Some(now + Duration::from_millis(500)));
        limit(&live, None);
        queues.take_over(repaced());
        assert_eq!((run(&mut queues, now).len(), queues.wakes_at()), (19, None));
    }

    #[test]
    fn a_turn_in_which_nothing_was_sent_uses_no_permit_up() {
        let (mut queues, live, now) = (queues(), Arc::new(Live::default()), clock::steady());
        limit(&live, Some("1/m"));
        (1..=4).for_each(|event| queues.push(Ready::of(key(1, event), Lane::Due, now, &live)));
        assert!(queues.start(now).is_some() && queues.start(now).is_none());
        assert!(queues.wakes_at().is_some(), "the second waits for its permit");
        let next = queues.finish(key(1, 1), HealthSignal::Unsent, now).expect("it has the permit of the first");
        assert_eq!(next.key, key(1, 2));
        assert!(queues.finish(next.key, HealthSignal::Good, now).is_none());
        assert_eq!((queues.start(now).is_none(), queues.wakes_at()), (true, Some(now + Duration::from_secs(60))));
    }

    #[test]
    fn requests_that_waited_leave_no_faster_than_the_rate() {
        let (mut queues, live, began) = (queues(), Arc::new(Live::default()), clock::steady());
        limit(&live, Some("10/s"));
        (0..40).for_each(|event| queues.push(Ready::of(key(1, event), Lane::Due, began, &live)));
        let (patience, mut now) = (Duration::from_secs(1), began);
        while queues.in_flight() < 16 {
            queues.wake(now);
            while queues.start(now).is_some() {}
            now = queues.wakes_at().unwrap_or(now);
        }
        let now = began + Duration::from_secs(5);
        let mut leave = || queues.permit(EndpointNo(1), now, patience).map(|at| at.duration_since(now).as_millis());
        let left: Vec<_> = (0..21).map(|_| leave()).collect();
        let expected: Vec<_> = [Some(0); 9].into_iter().chain((0..=10).map(|tenth| Some(tenth * 100))).chain([None]).collect();
        assert_eq!(left, expected);
        assert!(queues.finish(key(1, 0), HealthSignal::Good, now).is_none(), "the next attempt would have no permit");
        assert!(queues.wakes_at() > Some(now));
    }

    #[test]
    fn a_second_request_of_an_attempt_uses_a_permit_up() {
        let (mut queues, live, now) = (queues(), Arc::new(Live::default()), clock::steady());
        limit(&live, Some("2/s"));
        (1..=2).for_each(|event| queues.push(Ready::of(key(1, event), Lane::Due, now, &live)));
        assert!(queues.start(now).is_some());
        let patience = Duration::from_secs(1);
        assert_eq!([(); 2].map(|()| queues.permit(EndpointNo(1), now, patience)), [Some(now); 2]);
        assert!(queues.finish(key(1, 1), HealthSignal::Good, now).is_none());
        assert_eq!(queues.wakes_at(), Some(now + Duration::from_millis(500)));
    }

    #[test]
    fn a_request_without_a_permit_soon_takes_none() {
        let (mut queues, live, now) = (queues(), Arc::new(Live::default()), clock::steady());
        limit(&live, Some("1/h"));
        queues.push(Ready::of(key(1, 1), Lane::Due, now, &live));
        let patience = Duration::from_secs(1);
        let permit = |queues: &mut Queues<u32>, now| queues.permit(EndpointNo(1), now, patience);
        assert_eq!([(); 3].map(|()| permit(&mut queues, now)), [Some(now), None, None]);
        let later = now + Duration::from_secs(3_600);
        assert_eq!(permit(&mut queues, later), Some(later));
        limit(&live, Some("10/s"));
        queues.take_over(Committed { repaced: vec![EndpointNo(1)], ..Committed::default() });
        assert_eq!(permit(&mut queues, later), Some(later), "a faster rate counts at once");
    }

    #[test]
    fn a_retry_by_hand_goes_first_and_counts() {
        let (mut queues, live, now) = (queues(), Arc::new(Live::default()), clock::steady());
        limit(&live, Some("1/s"));
        (1..=3).for_each(|event| queues.push(Ready::of(key(1, event), Lane::Due, now, &live)));
        assert_eq!(run(&mut queues, now), [1]);
        queues.push(Ready::of(key(1, 9), Lane::Manual, now, &live));
        let second = Duration::from_secs(1);
        assert_eq!([now, now + second, now + second * 2].map(|now| run(&mut queues, now)), [vec![], vec![9], vec![2]]);
    }

    #[test]
    fn a_rate_is_remembered_while_it_is_used_and_no_longer() {
        let (mut queues, live, now) = (queues(), Arc::new(Live::default()), clock::steady());
        limit(&live, Some("1/s"));
        queues.push(Ready::of(key(1, 1), Lane::Due, now, &live));
        assert_eq!(run(&mut queues, now), [1]);
        queues.push(Ready::of(key(1, 2), Lane::Due, now, &live));
        assert_eq!(run(&mut queues, now), [0; 0], "the first was a moment ago");
        let later = now + Duration::from_secs(1);
        assert_eq!(run(&mut queues, later), [2]);
        queues.retire(Duration::ZERO, later);
        assert_eq!(queues.endpoints.len(), 1);
        queues.retire(Duration::ZERO, later + Duration::from_secs(1));
        assert_eq!((queues.endpoints.len(), queues.paced.len()), (0, 0));
    }

    #[test]
    fn what_waited_for_its_rate_is_held_back_by_slots_only_from_its_permit_on() {
        let (mut queues, live, now) = (queues(), Arc::new(Live::default()), clock::steady());
        queues.limits.in_flight = 1;
        limit(&live, Some("1/m"));
        (1..=2).for_each(|event| queues.push(Ready::of(key(1, event), Lane::Due, now, &live)));
        assert_eq!(run(&mut queues, now), [1]);
        queues.push(Ready::alone(key(2, 1), Lane::Due, now));
        assert!(queues.start(now).is_some(), "it has the only slot");
        let minute = Duration::from_secs(60);
        queues.wake(now + minute);
        assert!(queues.start(now + minute).is_none());
        queues.retire(minute, now + minute * 2);
        assert_eq!(queues.held_back(now + minute + Duration::from_secs(3)), Duration::from_secs(3));
    }

    #[test]
    fn a_hundred_thousand_paced_endpoints_are_woken_in_slices() {
        let (mut queues, now) = (queues(), clock::steady());
        let endpoints = 100_000;
        for no in 0..endpoints {
            let live = Arc::new(Live::default());
            limit(&live, Some("1/s"));
            (1..=2).for_each(|event| queues.push(Ready::of(key(no, event), Lane::Due, now, &live)));
        }
        assert_eq!((run(&mut queues, now).len(), queues.paced.len()), (endpoints as usize, endpoints as usize));
        let later = now + Duration::from_secs(1);
        assert_eq!(run(&mut queues, later).len(), SLICE, "the lock is given back in between");
        assert_eq!(queues.wakes_at(), Some(later), "and the rest is due at once");
        let rest: usize = (0..endpoints as usize / SLICE).map(|_| run(&mut queues, later).len()).sum();
        assert_eq!((rest, queues.wakes_at()), (endpoints as usize - SLICE, None));
    }
}

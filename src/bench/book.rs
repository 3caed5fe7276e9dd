//! The receiver's book: which events came, how often, how late. Plain data.

use serde::{Deserialize, Serialize};

use super::event::Mark;
use super::figures::{Spread, took_us};
use super::late::{Late, Retried};
use super::plan::Endpoints;

/// What came so far.
pub(super) struct Book {
    endpoints: Endpoints,
    fan_out: bool,
    /// How often each delivery came, by its place.
    seen: Vec<u8>,
    latencies_us: Vec<u32>,
    /// Where first attempts are refused.
    late: Option<Late>,
    doubled: u64,
    astray: u64,
    last_us: u64,
}

/// What the publisher says it has sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    /// Events 0 to this one, exclusive.
    pub(super) events: u64,
    /// In order; those that the relay did not take.
    pub(super) refused: Vec<u64>,
}

/// What became of it at the healthy endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Received {
    /// Deliveries, each counted once.
    pub(super) deliveries: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    /// Came to an endpoint that they were not for, or were no event of this run.
    pub(super) astray: u64,
    /// When the last one was answered.
    pub(super) last_us: u64,
    /// From when each was due until it came.
    pub(super) latency: Spread,
    /// Where first attempts were refused.
    pub(super) retried: Option<Retried>,
}

/// What an endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Taken,
    Refused,
}

impl Book {
    pub(super) fn new(endpoints: Endpoints, fan_out: bool) -> Self {
        let (seen, latencies_us) = (Vec::new(), Vec::new());
        Self { endpoints, fan_out, seen, latencies_us, late: None, doubled: 0, astray: 0, last_us: 0 }
    }

    /// The same, of endpoints that refuse each delivery once.
    pub(super) fn of_retries(self) -> Self {
        Self { late: Some(Late::default()), ..self }
    }

    /// Notes an event that came to a healthy endpoint.
    pub(super) fn arrived(&mut self, mark: Option<Mark>, endpoint: u32, now_us: u64) -> Answer {
        self.last_us = now_us;
        let Some((mark, place)) = mark.and_then(|mark| Some((mark, self.place(mark.number, endpoint)?))) else {
            self.astray += 1;
            return Answer::Taken;
        };
        if self.late.as_mut().is_some_and(|late| late.is_first(place, now_us)) {
            self.latencies_us.push(took_us(mark.due_us, now_us));
            return Answer::Refused;
        }
        self.taken(mark, place, now_us);
        Answer::Taken
    }

    fn taken(&mut self, mark: Mark, place: usize, now_us: u64) {
        if place >= self.seen.len() {
            self.seen.resize((place + 1).next_power_of_two(), 0);
        }
        match (self.seen[place], &mut self.late) {
            (0, Some(late)) => late.retried(place, now_us),
            (0, None) => self.latencies_us.push(took_us(mark.due_us, now_us)),
            _ => self.doubled += 1,
        }
        self.seen[place] = self.seen[place].saturating_add(1);
    }

    /// Different deliveries that were taken.
    pub(super) fn deliveries(&self) -> u64 {
        self.late.as_ref().map_or(self.latencies_us.len() as u64, Late::count)
    }

    pub(super) fn last_us(&self) -> u64 {
        self.last_us
    }

    /// Deliveries to healthy endpoints that must come.
    pub(super) fn expected(&self, sent: &Sent) -> u64 {
        self.each_expected(sent).count() as u64
    }

    /// The account so far.
    pub(super) fn account(&mut self, sent: &Sent) -> Received {
        let lost = self.each_expected(sent).filter(|place| self.seen.get(*place).is_none_or(|times| *times == 0)).count();
        let deliveries = self.deliveries();
        Received {
            deliveries,
            lost: lost as u64,
            doubled: self.doubled,
            astray: self.astray,
            last_us: self.last_us,
            latency: Spread::of(&mut self.latencies_us),
            retried: self.late.as_mut().map(Late::account),
        }
    }

    fn each_expected<'a>(&'a self, sent: &'a Sent) -> impl Iterator<Item = usize> + 'a {
        let taken = (0..sent.events).filter(|number| sent.refused.binary_search(number).is_err());
        taken.flat_map(move |number| self.addressed(number).filter_map(move |endpoint| self.place(number, endpoint)))
    }

    /// The healthy endpoints that an event is for.
    fn addressed(&self, number: u64) -> impl Iterator<Item = u32> + use<> {
        let (endpoints, turn) = (self.endpoints, self.endpoints.turn(number));
        let all = if self.fan_out { 0..endpoints.count } else { turn..turn + 1 };
        all.filter(move |endpoint| endpoints.is_healthy(*endpoint))
    }

    /// Where a delivery is counted; `None`: there is no such delivery.
    fn place(&self, number: u64, endpoint: u32) -> Option<usize> {
        let place = match self.fan_out {
            true => number.checked_mul(self.endpoints.count.into())?.checked_add(endpoint.into())?,
            false if endpoint == self.endpoints.turn(number) => number,
            false => return None,
        };
        usize::try_from(place).ok().filter(|place| *place < PLACES_MAX)
    }
}

/// Deliveries of one run that can be told apart: a bound on memory, whatever a number in a body says.
const PLACES_MAX: usize = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    fn book(count: u32, fan_out: bool) -> Book {
        Book::new(Endpoints::all_healthy(count), fan_out)
    }

    fn mark(number: u64) -> Option<Mark> {
        Some(Mark { number, due_us: 100 })
    }

    fn sent(events: u64) -> Sent {
        Sent { events, refused: Vec::new() }
    }

    #[test]
    fn all_that_was_sent_came_once() {
        let mut book = book(2, false);
        for number in 0..4u32 {
            assert_eq!(book.arrived(mark(number.into()), number % 2, 150), Answer::Taken);
        }
        let received = book.account(&sent(4));
        assert_eq!((received.deliveries, received.lost, received.doubled, received.astray), (4, 0, 0, 0));
        assert_eq!(received.latency, Spread { count: 4, p50_us: 50, p99_us: 50, max_us: 50 });
    }

    #[test]
    fn what_did_not_come_is_lost_and_what_came_twice_is_doubled() {
        let mut book = book(1, false);
        for number in [0, 2, 2, 2] {
            assert_eq!(book.arrived(mark(number), 0, 150), Answer::Taken);
        }
        let received = book.account(&sent(4));
        assert_eq!((received.deliveries, received.lost, received.doubled), (2, 2, 2));
    }

    #[test]
    fn what_was_refused_is_not_lost() {
        let mut book = book(1, false);
        book.arrived(mark(0), 0, 150);
        let sent = Sent { events: 3, refused: vec![1, 2] };
        assert_eq!(book.expected(&sent), 1);
        assert_eq!(book.account(&sent).lost, 0);
    }

    #[test]
    fn an_event_at_another_endpoint_is_astray() {
        let mut book = book(2, false);
        book.arrived(mark(0), 1, 150);
        book.arrived(None, 0, 150);
        book.arrived(mark(u64::MAX - 1), 0, 150);
        let received = book.account(&sent(1));
        assert_eq!((received.astray, received.lost), (3, 1));
    }

    #[test]
    fn fanned_out_each_endpoint_counts() {
        let mut book = book(3, true);
        let came = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 0)];
        for (number, endpoint) in came {
            book.arrived(mark(number), endpoint, 150);
        }
        let received = book.account(&sent(2));
        assert_eq!((received.deliveries, received.lost, received.doubled), (4, 2, 1));
    }

    #[test]
    fn a_delivery_that_is_refused_once_must_come_again() {
        let mut book = book(1, false).of_retries();
        assert_eq!([0, 1].map(|number| book.arrived(mark(number), 0, 150)), [Answer::Refused; 2]);
        assert_eq!([1, 1].map(|number| book.arrived(mark(number), 0, 5_000_160)), [Answer::Taken; 2]);
        assert_eq!(book.deliveries(), 1);
        let received = book.account(&sent(2));
        assert_eq!((received.deliveries, received.lost, received.doubled), (1, 1, 1));
        assert_eq!(received.latency.max_us, 50);
        assert_eq!(received.retried.map(|retried| retried.lateness.max_us), Some(10));
    }

    #[test]
    fn failing_endpoints_are_not_waited_for() {
        let endpoints = Endpoints { hanging: 1, ..Endpoints::all_healthy(4) };
        assert_eq!(Book::new(endpoints, false).expected(&sent(8)), 6);
        assert_eq!(Book::new(endpoints, true).expected(&sent(8)), 24);
    }
}

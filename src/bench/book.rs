//! The book of one run: which events came to the healthy endpoints, how often, how late. Plain data.

use super::event::Mark;
use super::load::Load;
use super::report::{Received, Spread, took_us};

/// What came so far at the healthy endpoints, and which events will not come.
pub(super) struct Book {
    load: Load,
    /// For each delivery, by its place, whether it came.
    seen: Vec<bool>,
    latencies_us: Vec<u32>,
    refused: Vec<u64>,
    doubled: u64,
    last_us: u64,
}

impl Book {
    pub(super) fn new(load: Load) -> Self {
        let (seen, latencies_us, refused) = (Vec::new(), Vec::new(), Vec::new());
        Self { load, seen, latencies_us, refused, doubled: 0, last_us: 0 }
    }

    /// Notes what came to a healthy endpoint; `mark` is `None` where the body had none.
    pub(super) fn arrived(&mut self, mark: Option<Mark>, endpoint: u32, now_us: u64) {
        self.last_us = now_us;
        let Some((mark, place)) = mark.and_then(|mark| Some((mark, self.place(mark.number, endpoint)?))) else {
            self.doubled += 1;
            return;
        };
        if place >= self.seen.len() {
            self.seen.resize((place + 1).next_power_of_two(), false);
        }
        match std::mem::replace(&mut self.seen[place], true) {
            true => self.doubled += 1,
            false => self.latencies_us.push(took_us(mark.due_us, now_us)),
        }
    }

    /// Notes events that the relay did not take.
    pub(super) fn refused(&mut self, numbers: Vec<u64>) {
        self.refused.extend(numbers);
    }

    /// How many deliveries of so many events must come: those to healthy endpoints, of events that were taken.
    pub(super) fn expected(&self, events: u64) -> u64 {
        let [failing, all] = [self.load.endpoints.failing(), self.load.endpoints.count].map(u64::from);
        if self.load.fan_out {
            return (events - self.refused.len() as u64) * (all - failing);
        }
        // The failing endpoints are the first of each round.
        let healthy = events / all * (all - failing) + (events % all).saturating_sub(failing);
        healthy - self.refused.iter().filter(|number| **number % all >= failing).count() as u64
    }

    /// How many different deliveries came, and when the last one did.
    pub(super) fn came(&self) -> (u64, u64) {
        (self.latencies_us.len() as u64, self.last_us)
    }

    /// The account when so many events were sent.
    pub(super) fn account(&mut self, events: u64) -> Received {
        let (deliveries, last_us) = self.came();
        Received {
            events,
            refused: self.refused.len() as u64,
            deliveries,
            lost: self.expected(events).saturating_sub(deliveries),
            doubled: self.doubled,
            last_us,
            end_to_end: Spread::of(&mut self.latencies_us),
        }
    }

    /// Where a delivery is counted; `None`: there is no such delivery.
    fn place(&self, number: u64, endpoint: u32) -> Option<usize> {
        let place = match self.load.fan_out {
            true => number.checked_mul(self.load.endpoints.count.into())?.checked_add(endpoint.into())?,
            false if endpoint == self.load.endpoints.turn(number) => number,
            false => return None,
        };
        usize::try_from(place).ok().filter(|place| *place < PLACES_MAX)
    }
}

/// Deliveries of one run that can be told apart: a bound on memory, whatever number a body claims.
const PLACES_MAX: usize = 1 << 31;

#[cfg(test)]
mod tests {
    use super::super::load::Endpoints;
    use super::super::load::tests::load;
    use super::*;

    /// What `came`, as numbers of events and endpoints, comes to when so many events were sent: deliveries, lost, doubled.
    fn account(load: Load, came: &[(u64, u32)], events: u64) -> [u64; 3] {
        let mut book = Book::new(load);
        came.iter().for_each(|(number, endpoint)| book.arrived(Some(Mark { number: *number, due_us: 100 }), *endpoint, 150));
        let Received { deliveries, lost, doubled, .. } = book.account(events);
        [deliveries, lost, doubled]
    }

    #[test]
    fn each_event_is_counted_once() {
        assert_eq!(account(load(2), &[(0, 0), (1, 1), (2, 0), (3, 1)], 4), [4, 0, 0]);
        assert_eq!(account(load(1), &[(0, 0), (2, 0), (2, 0), (2, 0)], 4), [2, 2, 2]);
        assert_eq!(account(load(2), &[(0, 1), (u64::MAX - 1, 0)], 1), [0, 1, 2]);
        let fanned_out = Load { fan_out: true, ..load(3) };
        assert_eq!(account(fanned_out, &[(0, 0), (0, 1), (0, 2), (1, 0), (1, 0)], 2), [4, 2, 1]);
    }

    #[test]
    fn refused_events_and_failing_endpoints_are_not_waited_for() {
        let endpoints = Endpoints { hanging: 1, ..load(4).endpoints };
        for (fan_out, events, refused, expected) in [(false, 10, vec![5, 8], 6), (false, 9, vec![], 6), (true, 9, vec![4], 24)] {
            let mut book = Book::new(Load { endpoints, fan_out, ..load(4) });
            book.refused(refused);
            assert_eq!(book.expected(events), expected);
        }
    }
}

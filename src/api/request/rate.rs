//! How often somebody may do something, counted by the generic cell rate algorithm (ITU-T I.371, annex A): of each one moment is kept,
//! up to which its tries are used up.
//!
//! **When it is full.** A table holds so many at once. Those whose tries are all theirs again are forgotten then; when none is, who
//! comes next shares one rate with all others that found no place.

pub(in crate::api) mod limits;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::api::response::problem::Problem;

/// How often, and for how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// In which one try comes back.
    pub(crate) interval: Duration,
    /// Tries at once.
    pub(crate) burst: u32,
    /// Those that are remembered.
    pub(crate) most: usize,
}

/// What they have used.
#[derive(Debug)]
pub(crate) struct Rates<K> {
    limit: Limit,
    used_until: HashMap<K, Instant>,
    /// Of all who found no place.
    others: Option<Instant>,
    swept: Option<Instant>,
}

impl<K: Eq + Hash> Rates<K> {
    pub(crate) fn new(limit: Limit) -> Self {
        Self { limit, used_until: HashMap::new(), others: None, swept: None }
    }

    /// Counts a try; without one left, how long until there is.
    pub(crate) fn take(&mut self, who: K, now: Instant) -> Result<(), Duration> {
        let limit = self.limit;
        if let Some(used_until) = self.used_until.get_mut(&who) {
            return limit.count(Some(*used_until), now).map(|next| *used_until = next);
        }
        self.make_room(now);
        if self.used_until.len() < limit.most {
            self.used_until.insert(who, now + limit.interval);
            return Ok(());
        }
        limit.count(self.others, now).map(|next| self.others = Some(next))
    }

    /// Gives a try back: it came to nothing.
    pub(crate) fn give_back(&mut self, who: &K) {
        let interval = self.limit.interval;
        if let Some(used_until) = self.used_until.get_mut(who).or(self.others.as_mut()) {
            *used_until = used_until.checked_sub(interval).unwrap_or(*used_until);
        }
    }

    /// Walks over a full table, at most once in the time that one try takes to come back.
    fn make_room(&mut self, now: Instant) {
        let is_swept = self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < self.limit.interval);
        if self.used_until.len() >= self.limit.most && !is_swept {
            self.used_until.retain(|_, used_until| *used_until > now);
            self.swept = Some(now);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.used_until.len()
    }
}

/// Sixty tries a minute for each `K`, all sixty at once if nobody tried before; for all threads.
#[derive(Debug)]
pub(crate) struct SixtyAMinute<K> {
    rates: Mutex<Rates<K>>,
    rule: &'static str,
}

impl<K: Eq + Hash> SixtyAMinute<K> {
    /// Nobody has tried yet. `rule` tells a caller who breaks the rate what the rate is.
    pub(crate) fn new(rule: &'static str) -> Self {
        let limit = Limit { interval: Duration::from_secs(1), burst: 60, most: REMEMBERED_MAX };
        Self { rates: Mutex::new(Rates::new(limit)), rule }
    }

    /// Counts a try; refused without one left.
    pub(crate) fn take(&self, who: K, now: Instant) -> Result<(), Problem> {
        self.rates().take(who, now).map_err(|wait| Problem::TooFast { what: self.rule, wait })
    }

    /// Gives a try back that came to nothing.
    pub(crate) fn give_back(&self, who: &K) {
        self.rates().give_back(who);
    }

    fn rates(&self) -> MutexGuard<'_, Rates<K>> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limit {
    /// Up to when the tries are used up after one more.
    fn count(self, used_until: Option<Instant>, now: Instant) -> Result<Instant, Duration> {
        let used_until = used_until.map_or(now, |until| until.max(now));
        let ahead = used_until.saturating_duration_since(now);
        match ahead.checked_sub(self.interval * (self.burst - 1)) {
            None | Some(Duration::ZERO) => Ok(used_until + self.interval),
            Some(wait) => Err(wait),
        }
    }
}

/// How many a table of [`SixtyAMinute`] remembers, some 60 bytes each.
const REMEMBERED_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const LIMIT: Limit = Limit { interval: Duration::from_secs(1), burst: 3, most: 2 };

    #[test]
    fn a_try_that_is_refused_says_when_the_next_comes() {
        let (mut rates, now) = (Rates::new(LIMIT), clock::steady());
        let tries: Vec<_> = (0..4).map(|_| rates.take("a", now)).collect();
        assert_eq!(tries, [Ok(()), Ok(()), Ok(()), Err(Duration::from_secs(1))]);
        let later = now + Duration::from_millis(400);
        assert_eq!(rates.take("a", later), Err(Duration::from_millis(600)));
        assert_eq!(rates.take("a", now + Duration::from_secs(1)), Ok(()));
        assert_eq!(rates.take("a", now + Duration::from_secs(1)), Err(Duration::from_secs(1)));
    }

    #[test]
    fn what_is_given_back_can_be_used_again() {
        let (mut rates, now) = (Rates::new(LIMIT), clock::steady());
        for _ in 0..10 {
            assert_eq!(rates.take("a", now), Ok(()));
            rates.give_back(&"a");
        }
        rates.give_back(&"nobody");
        assert_eq!((rates.take("b", now), rates.take("c", now)), (Ok(()), Ok(())), "the second of them has no place of its own");
        assert_eq!(rates.len(), 2);
        rates.give_back(&"c");
        let left = (0..10).filter(|_| rates.take("d", now).is_ok()).count();
        assert_eq!(left, 3);
    }
}

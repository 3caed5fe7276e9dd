//! Enforces `rate_limit`: how often events may be published for a tenant, and how often a key may be used. A call beyond the limit is
//! answered with 429 and the time after which it may be tried again.
//!
//! For each limited tenant and key one time is kept (the generic cell rate algorithm, by the crate `governor`). A tenant or key
//! without a limit costs nothing.
//!
//! **When there are many.** A limit that nobody used for as long as it counts is as good as new, so it is forgotten when the table has
//! doubled: keys come and go without end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::api::response::problem::Problem;
use crate::clock;
use crate::domain::access::Key;
use crate::domain::rate::{Per, Rate};

/// How far each limit is used up. A limit that is changed begins unused.
pub(crate) struct RateLimits<C: Clock = Steady> {
    clock: C,
    /// What `touched` counts from.
    started: C::Instant,
    known: RwLock<Known<C>>,
}

/// The limits that are being used.
struct Known<C: Clock> {
    limiters: HashMap<Who, Arc<Limiter<C>>>,
    /// The number of limits at which unused ones are forgotten the next time.
    sweep_at: usize,
}

/// The tenant or the key that a limit is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// A tenant of a provider.
    Tenant(Box<str>, Box<str>),
    /// A key, by its id.
    Key(Box<str>),
}

impl Who {
    /// The word for it in answers.
    fn name(&self) -> &'static str {
        match self {
            Self::Tenant(..) => "tenant",
            Self::Key(_) => "key",
        }
    }
}

/// How far one limit is used up.
struct Limiter<C: Clock> {
    rate: Rate,
    used: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    /// When it was used last, in nanoseconds.
    touched: AtomicU64,
}

/// The clock of the service.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Steady;

impl Clock for Steady {
    type Instant = Instant;

    fn now(&self) -> Instant {
        clock::steady()
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        Self::new(Steady)
    }
}

impl<C: Clock + Clone> RateLimits<C> {
    fn new(clock: C) -> Self {
        let known = Known { limiters: HashMap::new(), sweep_at: SWEEP_LEAST };
        Self { started: clock.now(), clock, known: RwLock::new(known) }
    }

    /// Counts an event that is published for a tenant. Fails when that exceeds the tenant's limit.
    pub(crate) fn take_of_tenant(&self, provider: &str, tenant: &str, rate: Rate) -> Result<(), Problem> {
        self.take(Who::Tenant(provider.into(), tenant.into()), rate)
    }

    /// Counts a call or an event of a caller's key. Fails when that exceeds the key's limit.
    pub(crate) fn take_of_key(&self, key: Option<&Key>) -> Result<(), Problem> {
        match key.and_then(|key| Some((key, key.terms.rate_limit?))) {
            Some((key, rate)) => self.take(Who::Key(key.id.clone()), rate),
            None => Ok(()),
        }
    }

    fn take(&self, who: Who, rate: Rate) -> Result<(), Problem> {
        let whose = who.name();
        let (limiter, now) = (self.limiter(who, rate), self.clock.now());
        limiter.touched.store(self.nanos(now), Relaxed);
        limiter.used.check().map_err(|until| Problem::RateLimited { whose, rate, wait: until.wait_time_from(now) })
    }

    fn limiter(&self, who: Who, rate: Rate) -> Arc<Limiter<C>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).limiters.get(&who).cloned();
        if let Some(known) = known.filter(|known| known.rate == rate) {
            return known;
        }
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        all.sweep(self.nanos(self.clock.now()));
        let new = || Arc::new(Limiter::new(rate, self.clock.clone()));
        let known = all.limiters.entry(who).or_insert_with(new);
        if known.rate != rate {
            *known = new();
        }
        known.clone()
    }

    fn nanos(&self, at: C::Instant) -> u64 {
        at.duration_since(self.started).as_u64()
    }
}

impl<C: Clock> Known<C> {
    /// Forgets the limits that are unused by now, once there are twice as many limits as the last such pass left.
    fn sweep(&mut self, now: u64) {
        if self.limiters.len() < self.sweep_at {
            return;
        }
        self.limiters.retain(|_, limiter| {
            let unused = Duration::from_nanos(now.saturating_sub(limiter.touched.load(Relaxed)));
            unused < limiter.rate.per.duration()
        });
        self.sweep_at = SWEEP_LEAST.max(self.limiters.len() * 2);
    }
}

impl<C: Clock> Limiter<C> {
    fn new(rate: Rate, clock: C) -> Self {
        let quota = match rate.per {
            Per::Second => Quota::per_second(rate.count),
            Per::Minute => Quota::per_minute(rate.count),
            Per::Hour => Quota::per_hour(rate.count),
        };
        Self { rate, used: RateLimiter::direct_with_clock(quota, clock), touched: AtomicU64::new(0) }
    }
}

/// Below this number of limits none is forgotten.
const SWEEP_LEAST: usize = 1_024;

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::domain::access::{Maker, Role, Terms};
    use crate::domain::time::Timestamp;

    fn limits() -> RateLimits<FakeRelativeClock> {
        RateLimits::new(FakeRelativeClock::default())
    }

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_beyond_a_rate_says_when_the_next_is_taken() {
        let limits = limits();
        let taken = |times: usize| (0..times).filter(|_| limits.take_of_tenant("acme", "t1", rate("10/s")).is_ok()).count();
        assert_eq!(taken(25), 10);
        let refused = limits.take_of_tenant("acme", "t1", rate("10/s")).unwrap_err();
        assert!(matches!(refused, Problem::RateLimited { wait, .. } if wait == Duration::from_millis(100)), "{refused:?}");
        limits.clock.advance(Duration::from_millis(300));
        assert_eq!(taken(25), 3);
        limits.clock.advance(Duration::from_secs(60));
        assert_eq!(taken(25), 10, "no more at once than in a second");
    }

    #[test]
    fn each_tenant_has_its_own_and_a_new_rate_begins_anew() {
        let limits = limits();
        let taken =
            |tenant: &str, text: &str| (0..9).filter(|_| limits.take_of_tenant("acme", tenant, rate(text)).is_ok()).count();
        assert_eq!((taken("t1", "2/h"), taken("t2", "2/h"), taken("t1", "2/h")), (2, 2, 0));
        assert_eq!((taken("t1", "3/m"), taken("t1", "3/m")), (3, 0));
    }

    #[test]
    fn a_key_is_counted_by_itself_and_a_key_without_a_limit_is_not() {
        let (limits, now) = (limits(), Timestamp::EPOCH);
        let key = |id: &str, rate_limit: Option<&str>| {
            let terms = Terms { rate_limit: rate_limit.map(rate), ..Terms::default() };
            let (id, name) = (id.into(), "".into());
            Key { id, name, role: Role::Operator, hash: [0; 32], created_at: now, maker: Maker::NOT_KEPT, terms }
        };
        let taken = |key: Option<&Key>| (0..9).filter(|_| limits.take_of_key(key).is_ok()).count();
        let (one, other, free) = (key("key_1", Some("2/h")), key("key_2", Some("3/h")), key("key_3", None));
        assert_eq!([taken(Some(&one)), taken(Some(&other)), taken(Some(&free)), taken(None), taken(Some(&one))], [2, 3, 9, 9, 0]);
        assert!(limits.take_of_key(Some(&one)).unwrap_err().detail().starts_with("this key has a rate limit of 2/h"));
    }

    #[test]
    fn limits_that_nobody_uses_are_forgotten() {
        let limits = limits();
        let take = |number: usize, text: &str| limits.take_of_tenant("acme", &number.to_string(), rate(text)).is_ok();
        let count = || limits.known.read().unwrap().limiters.len();
        assert!(take(0, "1/h"));
        assert!((1..3 * SWEEP_LEAST).all(|number| {
            limits.clock.advance(Duration::from_millis(1));
            take(number, "1/s")
        }));
        assert!(count() <= 2 * SWEEP_LEAST, "{}", count());
        assert!(!take(0, "1/h"), "what is used up is not forgotten");
    }
}

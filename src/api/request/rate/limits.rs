//! `rate_limit`: how often an event may be published for a tenant. What is beyond it is a 429 that says when to come back.
//!
//! Of each limited tenant one moment is kept (the generic cell rate algorithm, as the crate `governor` has it). Who has no limit costs
//! nothing here.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::api::response::problem::Problem;
use crate::clock;
use crate::domain::rate::{Per, Rate};

/// What has been used of every limit. A limit that changes begins anew.
pub(crate) struct RateLimits<C: Clock = Steady> {
    clock: C,
    /// By provider and tenant. Holds no more than have a limit: each entry is made for one that has.
    tenants: RwLock<HashMap<(Box<str>, Box<str>), Arc<Limiter<C>>>>,
}

/// What has been used of one limit.
struct Limiter<C: Clock> {
    rate: Rate,
    used: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
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
        Self { clock: Steady, tenants: RwLock::default() }
    }
}

impl<C: Clock + Clone> RateLimits<C> {
    /// Counts an event that is published for a tenant; refused beyond its rate.
    pub(crate) fn take(&self, provider: &str, tenant: &str, rate: Rate) -> Result<(), Problem> {
        let limiter = self.limiter(provider, tenant, rate);
        limiter.used.check().map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            Problem::RateLimited { rate, wait }
        })
    }

    fn limiter(&self, provider: &str, tenant: &str, rate: Rate) -> Arc<Limiter<C>> {
        let who = (provider.into(), tenant.into());
        let known = self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(&who).cloned();
        if let Some(known) = known.filter(|known| known.rate == rate) {
            return known;
        }
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        let known = tenants.entry(who).or_insert_with(|| Arc::new(Limiter::new(rate, self.clock.clone())));
        if known.rate != rate {
            *known = Arc::new(Limiter::new(rate, self.clock.clone()));
        }
        known.clone()
    }
}

impl<C: Clock> Limiter<C> {
    fn new(rate: Rate, clock: C) -> Self {
        let quota = match rate.per {
            Per::Second => Quota::per_second(rate.count),
            Per::Minute => Quota::per_minute(rate.count),
            Per::Hour => Quota::per_hour(rate.count),
        };
        Self { rate, used: RateLimiter::direct_with_clock(quota, clock) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limits() -> RateLimits<FakeRelativeClock> {
        RateLimits { clock: FakeRelativeClock::default(), tenants: RwLock::default() }
    }

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_beyond_a_rate_says_when_the_next_is_taken() {
        let limits = limits();
        let taken = |times: usize| (0..times).filter(|_| limits.take("acme", "t1", rate("10/s")).is_ok()).count();
        assert_eq!(taken(25), 10);
        let refused = limits.take("acme", "t1", rate("10/s")).unwrap_err();
        assert!(matches!(refused, Problem::RateLimited { wait, .. } if wait == Duration::from_millis(100)), "{refused:?}");
        limits.clock.advance(Duration::from_millis(300));
        assert_eq!(taken(25), 3);
        limits.clock.advance(Duration::from_secs(60));
        assert_eq!(taken(25), 10, "no more at once than in a second");
    }

    #[test]
    fn each_tenant_has_its_own_and_a_new_rate_begins_anew() {
        let limits = limits();
        let taken = |tenant: &str, text: &str| (0..9).filter(|_| limits.take("acme", tenant, rate(text)).is_ok()).count();
        assert_eq!((taken("t1", "2/h"), taken("t2", "2/h"), taken("t1", "2/h")), (2, 2, 0));
        assert_eq!((taken("t1", "3/m"), taken("t1", "3/m")), (3, 0));
    }
}

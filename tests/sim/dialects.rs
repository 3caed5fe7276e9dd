//! The dialects of the simulation: each has a schedule that ends within hours.

use std::sync::Arc;
use std::time::Duration;

use crate::config::dialect;
use crate::config::fault::Faults;
use crate::domain::delivery::retry::{Policy, Retry};
use crate::domain::dialect::{Counted, Dialect, Disable};

/// One for each provider.
pub(super) fn dialects() -> Vec<Arc<Dialect>> {
    let all = dialect::read_all(Vec::new(), &mut Faults::default());
    let standard = &all["standard"];
    let with = |policy, jitter, count| Dialect {
        retry: Retry { policy, jitter },
        disable: Disable { consecutive: 10, count },
        ..Dialect::clone(standard)
    };
    let secs = Duration::from_secs;
    let schedule = Policy::Schedule(vec![secs(5), secs(60), secs(600), secs(3_600)]);
    let steps = Policy::Exponential { first: secs(2), factor: 3.0, retries: 6 };
    let spread = Policy::DecorrelatedJitter { median: secs(30), retries: 3 };
    let mut stubborn = with(spread, 0.0, Counted::Attempts);
    (stubborn.delivery.gone, stubborn.delivery.retry_after) = (false, false);
    let all = [with(schedule, 0.2, Counted::Deliveries), with(steps, 0.1, Counted::Attempts), stubborn];
    all.map(Arc::new).into()
}

/// The name of a provider.
pub(super) fn provider(number: usize) -> String {
    format!("provider{number}")
}

/// The name of a tenant.
pub(super) fn tenant(number: usize) -> String {
    format!("tenant{number}")
}

pub(super) const PROVIDERS: usize = 3;
pub(super) const TENANTS: usize = 2;

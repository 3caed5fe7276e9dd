//! How often a provider's keys may make and revoke keys: sixty calls a minute for all of them together, then 429.
//!
//! Each is a commit, and each key names a tenant that stays. By provider and not by key, or each new key would be a new rate. An
//! operator is not limited, so that a key that leaked can be revoked while its holder uses up the rate.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::auth::{Caller, Rank};
use super::rate::{Limit, Rates};
use crate::api::response::problem::Problem;

/// The providers whose keys made or revoked any lately.
#[derive(Debug)]
pub(crate) struct KeyChanges(Mutex<Rates<Arc<str>>>);

impl Default for KeyChanges {
    fn default() -> Self {
        Self(Mutex::new(Rates::new(Limit { interval: INTERVAL, burst: BURST, most: PROVIDERS_MAX })))
    }
}

impl KeyChanges {
    /// Counts a key that is about to be made or revoked.
    pub(crate) fn take(&self, caller: &Caller, now: Instant) -> Result<(), Problem> {
        if caller.rank == Rank::Operator {
            return Ok(());
        }
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take(caller.provider.name.clone(), now);
        taken.map_err(|wait| Problem::TooFast { what: WHAT, wait })
    }
}

const WHAT: &str = "the keys of a provider make and revoke at most 60 keys a minute";

/// In which one more may be made or revoked: sixty a minute.
const INTERVAL: Duration = Duration::from_secs(1);

/// Calls at once: one minute's worth.
const BURST: u32 = 60;

/// Providers that are remembered, some 50 bytes each.
const PROVIDERS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::request::settings::fixture::{dialect, provider};
    use crate::api::request::target::Target;
    use crate::clock;
    use crate::domain::access::Scopes;
    use crate::domain::template::Numbers;

    #[test]
    fn sixty_a_minute_for_each_provider_and_any_number_for_an_operator() {
        let (changes, now) = (KeyChanges::default(), clock::steady());
        let made = |rank, name: &str, now| {
            let provider = provider(name, dialect("$data", Numbers::AsPublished));
            let caller = Caller { rank, provider, target: Target::Unnamed, anywhere: false, key: None };
            (0..100).filter(|_| changes.take(&caller, now).is_ok()).count()
        };
        let provider = Rank::Provider(Scopes::ALL);
        assert_eq!(["acme", "shop", "acme"].map(|name| made(provider, name, now)), [60, 60, 0]);
        assert_eq!(made(Rank::Operator, "acme", now), 100);
        assert_eq!(made(provider, "acme", now + Duration::from_secs(7)), 7);
    }
}

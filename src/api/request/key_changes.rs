//! How often a provider's keys may make keys, revoke keys and describe tenants: sixty calls a minute for all of them together, then
//! 429.
//!
//! Each is a commit, and each new tenant stays. By provider and not by key, or each new key would be a new rate. An
//! operator is not limited, so that a key that leaked can be revoked while its holder uses up the rate.

use std::sync::Arc;
use std::time::Instant;

use super::auth::{Caller, Rank};
use super::rate::SixtyAMinute;
use crate::api::response::problem::Problem;

/// The providers whose keys did any of it lately.
#[derive(Debug)]
pub(crate) struct KeyChanges(SixtyAMinute<Arc<str>>);

impl Default for KeyChanges {
    fn default() -> Self {
        Self(SixtyAMinute::new(RULE))
    }
}

impl KeyChanges {
    /// Counts a key that is about to be made or revoked, or a tenant that is about to be described.
    pub(crate) fn take(&self, caller: &Caller, now: Instant) -> Result<(), Problem> {
        if caller.rank == Rank::Operator {
            return Ok(());
        }
        self.0.take(caller.provider.name.clone(), now)
    }
}

const RULE: &str = "the keys of a provider make and revoke keys and describe tenants at most 60 times a minute";

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

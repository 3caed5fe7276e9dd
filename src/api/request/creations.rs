//! Limits how often webhooks are made: a key may make sixty a minute, and further calls are answered with 429.
//!
//! The bound on the webhooks of a key does not count deleted ones, so without this limit a key could make and delete webhooks without
//! end, and each costs commits and a pass over all deliveries that wait. All keys that were made with one provider's key count
//! together with it, since otherwise each new key would bring a new allowance. Webhooks of the config file are not limited, and calls
//! that make no webhook do not count. All callers without a key, at the admin socket and in `dev`, count together.

use std::time::Instant;

use super::auth::Caller;
use super::rate::SixtyAMinute;
use crate::api::response::problem::Problem;
use crate::domain::access::Maker;

/// Who made webhooks lately, and when.
#[derive(Debug)]
pub(crate) struct Creations(SixtyAMinute<Source>);

/// The id of the key that creations are counted for. `None` stands for all callers who need no key.
type Source = Option<Box<str>>;

impl Default for Creations {
    fn default() -> Self {
        Self(SixtyAMinute::new(RULE))
    }
}

impl Creations {
    /// Counts a webhook that is about to be made.
    pub(crate) fn take(&self, caller: &Caller, now: Instant) -> Result<(), Problem> {
        self.0.take(source(caller), now)
    }

    /// Takes the count back, because the webhook was not made.
    pub(crate) fn give_back(&self, caller: &Caller) {
        self.0.give_back(&source(caller));
    }
}

/// The key that a caller's creations count for: the provider's key with which the caller's key was made, else the caller's key.
fn source(caller: &Caller) -> Source {
    let key = caller.key.as_ref()?;
    Some(match &key.maker {
        Maker::Provider(id) => id.clone(),
        Maker::Operator(_) => key.id.clone(),
    })
}

const RULE: &str = "a key, together with the keys that were made with it, makes at most 60 webhooks a minute";

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::api::request::auth::Rank;
    use crate::api::request::settings::Provider;
    use crate::api::request::target::Target;
    use crate::clock;
    use crate::config::dialect;
    use crate::config::fault::Faults;
    use crate::domain::access::{Key, Role, Terms};
    use crate::domain::time::Timestamp;

    fn caller(key: Option<&str>) -> Caller {
        caller_with(key, Maker::NOT_KEPT)
    }

    fn caller_with(key: Option<&str>, maker: Maker) -> Caller {
        let dialect = dialect::read_all(Vec::new(), &mut Faults::default())["standard"].clone();
        let key = key.map(|id| {
            let (id, name) = (id.into(), id.into());
            Arc::new(Key {
                id,
                name,
                role: Role::Operator,
                hash: [0; 32],
                created_at: Timestamp::EPOCH,
                maker,
                terms: Terms::default(),
            })
        });
        let provider = Arc::new(Provider::new("p", dialect));
        Caller { rank: Rank::Operator, provider, target: Target::All, anywhere: true, key }
    }

    #[test]
    fn the_keys_that_a_providers_key_made_share_its_rate() {
        let (creations, now) = (Creations::default(), clock::steady());
        let made =
            |key, maker: Maker| (0..100).filter(|_| creations.take(&caller_with(Some(key), maker.clone()), now).is_ok()).count();
        let by_provider = || Maker::Provider("app".into());
        assert_eq!((made("t1", by_provider()), made("t2", by_provider()), made("app", Maker::NOT_KEPT)), (60, 0, 0));
        assert_eq!(made("t3", Maker::Operator(Some("app".into()))), 60, "an operator's keys are each on their own");
    }

    #[test]
    fn sixty_a_minute_for_each_key_and_for_all_without_one() {
        let (creations, now) = (Creations::default(), clock::steady());
        let made = |key, tries, now| (0..tries).filter(|_| creations.take(&caller(key), now).is_ok()).count();
        assert_eq!([Some("a"), Some("b"), None, Some("a")].map(|key| made(key, 100, now)), [60, 60, 60, 0]);
        assert_eq!(made(Some("a"), 100, now + Duration::from_secs(7)), 7);
        assert_eq!(made(None, 100, now + Duration::from_secs(600)), 60);
    }

    #[test]
    fn what_is_not_made_does_not_count() {
        let (creations, now) = (Creations::default(), clock::steady());
        for _ in 0..200 {
            creations.take(&caller(Some("a")), now).expect("it was given back");
            creations.give_back(&caller(Some("a")));
        }
    }
}

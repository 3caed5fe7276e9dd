//! Who was turned away for want of a key, by address and reason, and when the log says so: the first time at once, what follows
//! once a minute as a count.
//!
//! Addresses are named as long as there is room for them; all others are one line a minute together, so the log has a bound
//! whatever strangers do.

use std::collections::HashMap;
use std::time::Instant;

use crate::api::http::slots::Group;
use crate::api::response::no_key::NoKey;
use crate::domain::time::minute::Minute;

/// What was counted and not yet said.
#[derive(Debug, Default)]
pub(in crate::api) struct TurnedAway {
    named: HashMap<(Group, Why), Minute>,
    others: Minute,
}

/// Why somebody was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::api) enum Why {
    /// 401
    NoKey(NoKey),
    /// 429: too many wrong keys.
    TooOften,
}

/// So many are to be said now; `about`: whom and why, unless they are of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) struct Said {
    pub(in crate::api) about: Option<(Group, Why)>,
    pub(in crate::api) count: u64,
}

impl TurnedAway {
    /// Counts one; what is to be said at once.
    pub(in crate::api) fn add(&mut self, from: Group, why: Why, now: Instant) -> Option<Said> {
        let key = (from, why);
        if self.named.len() >= NAMED_MAX && !self.named.contains_key(&key) {
            return self.others.add(now).map(|count| Said { about: None, count });
        }
        self.named.entry(key).or_default().add(now).map(|count| Said { about: Some(key), count })
    }

    /// What is to be said although none came since. Who was quiet for a minute is forgotten.
    pub(in crate::api) fn due(&mut self, now: Instant) -> Vec<Said> {
        let mut said = Vec::new();
        self.named.retain(|key, minute| {
            let due = minute.due(now).map(|count| Said { about: Some(*key), count });
            said.extend(due);
            due.is_some() || !minute.is_quiet(now)
        });
        said.extend(self.others.due(now).map(|count| Said { about: None, count }));
        said
    }
}

impl Why {
    /// For the log.
    pub(in crate::api) fn words(self) -> &'static str {
        match self {
            Self::NoKey(NoKey::NoneYet) => "there is no key yet",
            Self::NoKey(NoKey::Missing) => "no key was given",
            Self::NoKey(NoKey::Unknown) => "the key is unknown",
            Self::NoKey(NoKey::Revoked) => "the key was revoked",
            Self::NoKey(NoKey::NoProvider) => "the config does not name the key's provider any more",
            Self::TooOften => "too many wrong keys",
        }
    }
}

/// Addresses with their reasons that are named in the log at once.
const NAMED_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    const UNKNOWN: Why = Why::NoKey(NoKey::Unknown);

    #[test]
    fn the_first_of_an_address_is_said_at_once_and_more_after_a_minute() {
        let (mut away, start, one) = (TurnedAway::default(), clock::steady(), Group::V4(1));
        let said = |count, why| Said { about: Some((one, why)), count };
        assert_eq!(away.add(one, UNKNOWN, start), Some(said(1, UNKNOWN)));
        assert_eq!(away.add(one, UNKNOWN, start), None);
        assert_eq!(away.add(one, UNKNOWN, start), None);
        assert_eq!(away.add(one, Why::TooOften, start), Some(said(1, Why::TooOften)), "another reason");
        assert_eq!(away.due(start + Duration::from_secs(59)), []);
        assert_eq!(away.due(start + Duration::from_secs(60)), [said(2, UNKNOWN)]);
        assert_eq!(away.due(start + Duration::from_secs(120)), []);
        assert!(away.named.is_empty(), "a minute was quiet");
    }

    #[test]
    fn beyond_the_named_ones_all_are_one_line() {
        let (mut away, start) = (TurnedAway::default(), clock::steady());
        let lines = (0..10_000).filter_map(|from| away.add(Group::V6(from), UNKNOWN, start)).count();
        assert_eq!((lines, away.named.len()), (NAMED_MAX + 1, NAMED_MAX));
        let rest = Said { about: None, count: 10_000 - NAMED_MAX as u64 - 1 };
        assert_eq!(away.due(start + Duration::from_secs(60)), [rest]);
    }
}

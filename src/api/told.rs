//! What the API says in the log: who changed what, and once a minute how many events were refused for want of room, and who was
//! turned away for want of a key.
//!
//! Never a key, a secret or a body: keys and webhooks are named by their ids.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::Api;
use super::http::slots::Group;
use super::request::auth::Caller;
use super::request::turned_away::{Said, TurnedAway, Why};
use super::response::no_key::NoKey;
use super::response::problem::{Problem, STOPPING};
use crate::clock;
use crate::domain::access::{Key, Role};
use crate::domain::id::Node;
use crate::domain::time::minute::Minute;
use crate::domain::webhook::endpoint::Endpoint;
use crate::metrics::{Metrics, RefusedFor};
use crate::store::{Owned, Refusal, Replay};

/// What was counted and not yet said.
#[derive(Debug, Default)]
pub(crate) struct Told {
    no_room: Mutex<Minute>,
    turned_away: Mutex<TurnedAway>,
    /// Since the start: requests without a valid key, and those of them that were beyond the rate of wrong keys.
    pub(crate) unauthorized: AtomicU64,
    pub(crate) too_often: AtomicU64,
}

impl Told {
    /// Counts a problem of those that the operator hears of.
    pub(crate) fn problem(&self, problem: &Problem) {
        if let Problem::Refused(refusal @ (Refusal::Full | Refusal::DiskLow)) = problem {
            self.no_room(|minute| minute.add(clock::steady()), &refusal.to_string());
        }
    }

    /// Counts an event that was not taken.
    pub(crate) fn event_refused(&self, problem: &Problem, metrics: &Metrics) {
        refused_for(problem).into_iter().for_each(|reason| metrics.api.refused(reason));
    }

    /// Counts the problem that a whole request ends with.
    pub(crate) fn refused(&self, problem: &Problem, from: Group) {
        match problem {
            Problem::NoKey(why) => self.turn_away(from, Why::NoKey(*why)),
            Problem::Refused(Refusal::KeyRevoked) => self.turn_away(from, Why::NoKey(NoKey::Revoked)),
            Problem::WrongKeys => self.turn_away(from, Why::TooOften),
            other => self.problem(other),
        }
    }

    fn turn_away(&self, from: Group, why: Why) {
        self.unauthorized.fetch_add(1, Relaxed);
        self.too_often.fetch_add(u64::from(why == Why::TooOften), Relaxed);
        let said = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner).add(from, why, clock::steady());
        said.into_iter().for_each(say);
    }

    fn due(&self, now: Instant) {
        self.no_room(|minute| minute.due(now), "more of the same");
        let said = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner).due(now);
        said.into_iter().for_each(say);
    }

    fn no_room(&self, count: impl FnOnce(&mut Minute) -> Option<u64>, why: &str) {
        let counted = count(&mut self.no_room.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(count) = counted {
            warn!(count, why, "events were refused (507)");
        }
    }
}

/// Why an event was refused, as metrics tell it. `None`: nobody knows who asked, or it may be asked again at once.
fn refused_for(problem: &Problem) -> Option<RefusedFor> {
    match problem {
        Problem::TooLarge(_) => Some(RefusedFor::TooLarge),
        Problem::TooFast { .. } | Problem::RateLimited { .. } => Some(RefusedFor::Rate),
        Problem::Unavailable(STOPPING) | Problem::Refused(Refusal::Closing) => Some(RefusedFor::Stopping),
        Problem::Refused(refusal) => match refusal {
            Refusal::IdTaken(_) | Refusal::UidTaken { .. } | Refusal::KeyTaken => Some(RefusedFor::Conflict),
            Refusal::Full => Some(RefusedFor::Full),
            Refusal::DiskLow => Some(RefusedFor::DiskLow),
            Refusal::NoTenant(_) | Refusal::TenantRemoved(_) | Refusal::NoLink { .. } | Refusal::Schema { .. } => {
                Some(RefusedFor::Invalid)
            }
            Refusal::Busy | Refusal::JournalLost | Refusal::KeyRevoked | Refusal::Closing => None,
        },
        _ if problem.status().is_client_error() => {
            let is_unknown =
                matches!(problem, Problem::NoKey(_) | Problem::WrongKeys | Problem::Forbidden(_) | Problem::Method(_));
            (!is_unknown).then_some(RefusedFor::Invalid)
        }
        _ => None,
    }
}

fn say(Said { about, count }: Said) {
    match about {
        Some((address, Why::TooOften)) => warn!(%address, count, "wrong keys come too often and are answered 429"),
        Some((address, why)) => warn!(%address, count, why = why.words(), "requests without a valid key were refused (401)"),
        None => warn!(count, "requests without a valid key came from many more addresses"),
    }
}

/// Says what was counted when its minute is over, and has the last uses of keys kept once a minute, until the task is dropped.
pub(crate) async fn tell(api: Arc<Api>) {
    let mut rounds = 0u64;
    loop {
        tokio::time::sleep(EVERY).await;
        api.told.due(clock::steady());
        rounds += 1;
        if rounds.is_multiple_of(ROUNDS_A_MINUTE) {
            api.store.keep_key_uses();
        }
    }
}

/// A webhook was made, deleted, or changed otherwise.
pub(crate) fn webhook(what: &str, caller: &Caller, endpoint: &Endpoint) {
    let Endpoint { id, provider, tenant, definition, .. } = endpoint;
    let tenant = format_args!("{provider}/{tenant}");
    info!(webhook = %id, name = &*definition.name, %tenant, by = actor(caller), "a webhook was {what}");
}

/// A replay was begun, paused, resumed or cancelled.
pub(crate) fn replay(what: &str, caller: &Caller, node: Node, replay: &Replay) {
    let (id, tenant) = (node.replay_id(replay.no), format_args!("{}/{}", replay.owned.provider, replay.owned.tenant));
    info!(replay = id, %tenant, matched = replay.matched, done = replay.done, by = actor(caller), "a replay was {what}");
}

/// A delivery was ended by hand.
pub(crate) fn cancelled(caller: &Caller, id: &str) {
    info!(delivery = id, by = actor(caller), "a delivery was cancelled");
}

/// A tenant was made or described.
pub(crate) fn tenant(what: &str, caller: &Caller, Owned { provider, tenant }: &Owned) {
    info!(tenant = %format_args!("{provider}/{tenant}"), by = actor(caller), "a tenant was {what}");
}

/// A key was made.
pub(crate) fn key_made(caller: &Caller, key: &Key) {
    let of = match &key.role {
        Role::Operator => "the operator".to_owned(),
        Role::Provider { provider, .. } => provider.to_string(),
        Role::Tenant { provider, tenant, .. } => format!("{provider}/{tenant}"),
    };
    info!(key = %key.id, name = &*key.name, of, by = actor(caller), "a key was made");
}

/// A key was revoked.
pub(crate) fn key_revoked(caller: &Caller, id: &str) {
    info!(key = id, by = actor(caller), "a key was revoked");
}

/// The id of the caller's key, or the socket that needs none.
fn actor(caller: &Caller) -> &str {
    caller.key.as_ref().map_or("admin socket", |key| &key.id)
}

/// Well below a minute.
const EVERY: Duration = Duration::from_secs(5);

const ROUNDS_A_MINUTE: u64 = 12;

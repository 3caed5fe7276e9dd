//! What the API says in the log: who changed what, and once a minute how many events were refused for want of room.
//!
//! Never a key, a secret or a body: keys and webhooks are named by their ids.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::Api;
use super::access::Caller;
use super::problem::Problem;
use crate::clock;
use crate::domain::access::{Key, Role};
use crate::domain::endpoint::Endpoint;
use crate::domain::minute::Minute;
use crate::store::Refusal;

/// What was counted and not yet said.
#[derive(Debug, Default)]
pub(crate) struct Told {
    no_room: Mutex<Minute>,
}

impl Told {
    /// Counts a problem of those that the operator hears of.
    pub(crate) fn problem(&self, problem: &Problem) {
        if let Problem::Refused(refusal @ (Refusal::Full | Refusal::DiskLow)) = problem {
            self.no_room(|minute| minute.add(clock::steady()), &refusal.to_string());
        }
    }

    fn due(&self, now: Instant) {
        self.no_room(|minute| minute.due(now), "more of the same");
    }

    fn no_room(&self, count: impl FnOnce(&mut Minute) -> Option<u64>, why: &str) {
        let counted = count(&mut self.no_room.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(count) = counted {
            warn!(count, why, "events were refused (507)");
        }
    }
}

/// Says what was counted when its minute is over, until the task is dropped.
pub(crate) async fn tell(api: Arc<Api>) {
    loop {
        tokio::time::sleep(EVERY).await;
        api.told.due(clock::steady());
    }
}

/// A webhook was made, deleted, or changed otherwise.
pub(crate) fn webhook(what: &str, caller: &Caller, endpoint: &Endpoint) {
    let Endpoint { id, provider, tenant, definition, .. } = endpoint;
    let tenant = format_args!("{provider}/{tenant}");
    info!(webhook = %id, name = &*definition.name, %tenant, by = actor(caller), "a webhook was {what}");
}

/// A key was made.
pub(crate) fn key_made(caller: &Caller, key: &Key) {
    let of = match &key.role {
        Role::Operator => "the operator".to_owned(),
        Role::Provider { provider } => provider.to_string(),
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

//! What the owner of one tenant called for, what was answered, and what follows from that.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Instant;

use jiff::Timestamp;

use super::call::Call;

/// The book of one tenant. Webhooks and events are named by their index in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    pub(super) tenant: String,
    /// How often the service was started, counted from 0.
    pub(super) epoch: usize,
    pub(super) hooks: Vec<Hook>,
    pub(super) events: Vec<Event>,
    /// The call that was sent and not answered.
    pub(super) doubt: Option<Call>,
    /// Finished deliveries, as the log listed them last.
    pub(super) finished: Vec<Line>,
    /// Deliveries that the log showed as succeeded, and for which nobody asked for a retry.
    pub(super) shown: HashMap<String, Shown>,
    /// Deliveries that were to be retried, each with the number of attempts it had when the retry was answered.
    pub(super) retried: HashMap<String, Option<u64>>,
    /// Deliveries of tests that were answered.
    pub(super) tests: HashSet<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Hook {
    /// The webhook's id. It is known as soon as an answer or a list shows it.
    pub(super) id: String,
    /// The path by which the receiver knows the webhook.
    pub(super) path: String,
    /// Whether the receiver refuses three attempts of four.
    pub(super) flaky: bool,
    /// The kinds of events that the webhook subscribes to.
    pub(super) kinds: Vec<u64>,
    pub(super) state: State,
    pub(super) secrets: Vec<Signing>,
    /// The epochs in which deliveries may be sent to the webhook.
    pub(super) open: BTreeSet<usize>,
    /// The epochs in which a test may be sent to the webhook.
    pub(super) tested: BTreeSet<usize>,
    /// Events before this index may have been recovered.
    pub(super) recovered: usize,
    /// Events that a recovery must have brought, since it was answered.
    pub(super) brought: BTreeSet<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The webhook was called for, and the call was not answered.
    Asked,
    Active,
    Disabled,
    Deleted,
    /// The webhook was refused, or never came to be.
    Never,
}

/// A secret, and the epochs in which something may be signed with it.
#[derive(Clone, Debug)]
pub(super) struct Signing {
    pub(super) secret: String,
    pub(super) from: usize,
    pub(super) until: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Event {
    /// The event's id, from its publisher or from the answer.
    pub(super) id: Option<String>,
    pub(super) kind: u64,
    pub(super) bytes: usize,
    /// The webhooks that are to get the event.
    pub(super) hooks: Vec<usize>,
    pub(super) fate: Fate,
    pub(super) asked_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Asked,
    /// The event was answered with 202, or was seen after a start.
    Kept,
    /// The event was refused, or was not seen after a start.
    Absent,
    /// The event was not answered, and has no id to ask for.
    Unknown,
}

/// A delivery in a list.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) event: String,
    pub(super) hook: String,
    pub(super) status: String,
    pub(super) attempts: u64,
}

/// A delivery that the log showed as succeeded by `at`.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) event: String,
    pub(super) hook: String,
    pub(super) at: Instant,
}

impl Book {
    pub(super) fn of(tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), ..Self::default() }
    }

    /// The webhooks in these states.
    pub(super) fn hooks_in(&self, states: &[State]) -> Vec<usize> {
        (0..self.hooks.len()).filter(|hook| states.contains(&self.hooks[*hook].state)).collect()
    }

    /// The webhooks that would get an event of this kind at this moment.
    pub(super) fn matching(&self, kind: u64) -> Vec<usize> {
        let all = self.hooks_in(&[State::Active, State::Disabled]);
        all.into_iter().filter(|hook| self.hooks[*hook].kinds.contains(&kind)).collect()
    }

    pub(super) fn hook_by_id(&self, id: &str) -> Option<usize> {
        self.hooks.iter().position(|hook| hook.id == id)
    }

    pub(super) fn kept(&self) -> impl Iterator<Item = (usize, &Event)> {
        self.events.iter().enumerate().filter(|(_, event)| event.fate == Fate::Kept)
    }

    /// Begins an epoch before the service starts again. What may be sent from then on follows from the answers before.
    pub(super) fn begin_epoch(&mut self) {
        self.epoch += 1;
        let (epoch, doubt) = (self.epoch, self.doubt.clone());
        for (place, hook) in self.hooks.iter_mut().enumerate() {
            let in_doubt = doubt.as_ref().is_some_and(|call| call.hook() == Some(place));
            if hook.state == State::Active || in_doubt {
                hook.open.insert(epoch);
            }
            if in_doubt && matches!(doubt, Some(Call::Test(_))) {
                hook.tested.insert(epoch);
            }
        }
    }
}

impl Hook {
    /// Makes `newest` the secret that signs from now on, as far as answers say.
    pub(super) fn replace_secrets_by(&mut self, newest: &str, in_epoch: usize) {
        for signing in self.secrets.iter_mut().filter(|signing| signing.secret != newest) {
            signing.until.get_or_insert(in_epoch);
        }
    }

    pub(super) fn may_sign(&self, epoch: usize) -> impl Iterator<Item = &str> {
        let valid = move |signing: &&Signing| signing.from <= epoch && signing.until.is_none_or(|until| epoch <= until);
        self.secrets.iter().filter(valid).map(|signing| &*signing.secret)
    }
}

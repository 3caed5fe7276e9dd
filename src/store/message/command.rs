//! The commands to the writer, each with the channel for its answer.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::audit::{FileChanges, Origin};
use super::change::Reached;
use super::history::{Old, Taken};
#[cfg(test)]
use super::permit::Live;
use super::permit::QueuePermit;
use super::publication::{Accepted, Publication, Refusal};
use super::replay::{EventReplay, NotReplayed, Replay, ReplayOp, ReplaySlice};
use super::session::{NewConnection, Opened};
use super::tenant::{NewTenant, Tenant};
use crate::domain::access::{Key, KeyHash};
use crate::domain::delivery::outcome::Outcome;
use crate::domain::delivery::{QueuePosition, Trigger};
use crate::domain::dialect::{Dialect, EventType};
use crate::domain::headers::Headers;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::provider::{ProviderChange, ProviderSettings};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Definition, Endpoint, LiveSecret, Owner, WebhookState};
use crate::domain::webhook::secret::Secret;
use crate::store::message::cached::CachedEvent;
use crate::store::{Attempt, Denied, Owned};

/// A command in the inbox.
pub(in crate::store) enum Op {
    Accept(Box<Publication>, oneshot::Sender<Result<Accepted, Refusal>>),
    AcceptAll(Vec<Publication>, oneshot::Sender<Vec<Result<Accepted, Refusal>>>),
    Finish(Box<Finished>),
    Refill(EndpointNo),
    /// A delivery that came again while an attempt of it was under way. Its next attempt must check whether it is still due.
    Recheck(Box<Ready>),
    Webhook(Box<WebhookOp>, By, oneshot::Sender<Result<Arc<Endpoint>, Denied>>),
    Sync(Box<DesiredState>, By, oneshot::Sender<Result<Vec<Arc<Endpoint>>, Denied>>),
    Retry(DeliveryKey, By, oneshot::Sender<Result<(), Denied>>),
    Cancel(DeliveryKey, By, oneshot::Sender<Result<(), Denied>>),
    Purge(EndpointNo, Purge, By, oneshot::Sender<Result<(), Denied>>),
    Test(EndpointNo, Box<Publication>, oneshot::Sender<Result<TestRun, Denied>>),
    /// Deliveries to bring back, a slice of what was asked for. The first slice is empty and says what that was.
    Recover(EndpointNo, Vec<Recovered>, Option<Box<Asked>>, oneshot::Sender<Result<u64, Denied>>),
    /// Publishes an event again, perhaps with other data.
    ReplayEvent(Box<EventReplay>, By, oneshot::Sender<Result<Accepted, NotReplayed>>),
    Replay(ReplayOp, By, oneshot::Sender<Result<Arc<Replay>, Denied>>),
    /// A piece of a replay's walk, to be sent again.
    ReplaySlice(ReplaySlice, oneshot::Sender<Result<(), Denied>>),
    OpenConnection(NewConnection, oneshot::Sender<Result<Opened, Denied>>),
    CloseConnection(Owned, Box<str>, oneshot::Sender<Result<(), Denied>>),
    PutEventType(Box<str>, EventType, By, oneshot::Sender<Result<(), Denied>>),
    DropEventType(Box<str>, Box<str>, By, oneshot::Sender<Result<(), Denied>>),
    AddKey(Box<NewKey>, By, oneshot::Sender<Result<(), Denied>>),
    RevokeKey(Box<str>, By, oneshot::Sender<Result<(), Denied>>),
    /// When keys were used last.
    KeyUses(Vec<(KeyHash, Timestamp)>),
    SetProvider(Box<str>, ProviderChange, By, oneshot::Sender<Result<ProviderSettings, Denied>>),
    /// The answer is the tenant, and whether it was made.
    DescribeTenant(Box<NewTenant>, By, oneshot::Sender<Result<(Tenant, bool), Denied>>),
    /// The answer is the tenant, with how far its deletion has come.
    DeleteTenant(Owned, By, oneshot::Sender<Result<Tenant, Denied>>),
    Limits(Limits),
    /// The operator says that the wall clock is right. The answer is whether it was in doubt.
    AcceptClock(By, oneshot::Sender<Result<bool, Denied>>),
    /// Brings all that the journal holds into the tables, for a backup to this path. It is answered when they have it. `By` is
    /// `None` for a backup that is made by itself.
    Flush(PathBuf, Option<By>, oneshot::Sender<Result<(), Denied>>),
    /// Begins to queue the changes of deliveries. The answer is how far the log had come before.
    Follow(oneshot::Sender<Reached>),
    /// Parts of the history of another relay. The answer says what became of each.
    History(Vec<Old>, By, oneshot::Sender<Result<Vec<Taken>, Denied>>),
}

/// Who asks for a change.
pub(in crate::store) type By = Arc<Origin>;

/// What somebody asked to be recovered.
pub(in crate::store) struct Asked {
    pub(in crate::store) by: By,
    pub(in crate::store) since: Timestamp,
    pub(in crate::store) until: Timestamp,
    pub(in crate::store) what: Recover,
}

/// Providers and the dialects they speak.
pub(crate) type Dialects = Vec<(Box<str>, Arc<Dialect>)>;

/// The part of the config file that the store has to bring about.
#[derive(Debug, Default)]
pub(crate) struct DesiredState {
    pub(crate) dialects: Dialects,
    /// The tenants that the file lists. A tenant that was listed before and is not any more is taken out.
    pub(crate) tenants: Vec<Owned>,
    /// How long events are kept of the tenants of the file for which it says so.
    pub(crate) retentions: HashMap<Owned, Duration>,
    /// The file's keys. Events that came with a key that the file had before, and has not any more, are refused.
    pub(crate) keys: HashSet<KeyHash>,
    pub(crate) webhooks: Vec<FileWebhook>,
    /// The path of the config file.
    pub(crate) file: Box<str>,
    /// What a reload found changed in the config, for the audit log. `None` at a start: then the log shows what the file changes in
    /// the store.
    pub(crate) changes: Option<FileChanges>,
}

/// A change of one webhook.
pub(in crate::store) enum WebhookOp {
    Create(NewWebhook),
    Update {
        no: EndpointNo,
        redefine: Redefine,
    },
    Enable(EndpointNo),
    Disable(EndpointNo),
    Delete(EndpointNo),
    Rotate {
        no: EndpointNo,
        secret: Secret,
        overlap: Duration,
    },
    /// Takes over a webhook of another relay. One that has its id here stands, and only gets the definition that `redefine` makes.
    /// `None`: there is none.
    Import {
        no: Option<EndpointNo>,
        webhook: Box<OldWebhook>,
        redefine: Redefine,
    },
}

impl WebhookOp {
    /// The webhook that is changed. `None`: it is yet to be made.
    pub(in crate::store) fn no(&self) -> Option<EndpointNo> {
        match self {
            Self::Create(_) => None,
            Self::Import { no, .. } => *no,
            Self::Update { no, .. } | Self::Enable(no) | Self::Disable(no) | Self::Delete(no) | Self::Rotate { no, .. } => {
                Some(*no)
            }
        }
    }
}

/// Makes the new definition of the one that stands when the change is applied, so that of two changes at once both are kept.
pub(crate) type Redefine = Box<dyn FnOnce(&Definition) -> Definition + Send>;

/// A key to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewKey {
    pub(crate) key: Key,
    /// The key that makes it.
    pub(crate) by: Option<KeyHash>,
    /// Whether it comes from another relay: then it brings back no revoked key and no tenant.
    pub(crate) is_imported: bool,
}

/// A webhook to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewWebhook {
    pub(crate) owned: Owned,
    pub(crate) definition: Definition,
    pub(crate) owner: Owner,
    /// The secret. `None` when the dialect signs nothing.
    pub(crate) secret: Option<Secret>,
    /// The most webhooks that its maker's key may have made. 0 means that there is no limit.
    pub(crate) limit: u32,
    /// The ids of the config file's keys. Of all other keys the store knows whether they were revoked.
    pub(crate) file_keys: Vec<Box<str>>,
    /// Whether the webhook brings back a tenant that was taken out of the config file.
    pub(crate) restores: bool,
}

/// A webhook of another relay, with its id and what became of it there: what one is that is new here.
#[derive(Clone, Debug)]
pub(crate) struct OldWebhook {
    pub(crate) id: Box<str>,
    pub(crate) owned: Owned,
    pub(crate) definition: Definition,
    pub(crate) owner: Owner,
    pub(crate) created_at: Timestamp,
    pub(crate) changed_at: Timestamp,
    /// Active, or disabled.
    pub(crate) state: WebhookState,
    pub(crate) failures: u32,
    /// The secrets, the newest first. `None`: they are not known.
    pub(crate) secrets: Option<Vec<LiveSecret>>,
    /// The secret of a new webhook whose secrets are not known. `None` where its dialect signs nothing.
    pub(crate) fresh_secret: Option<Secret>,
}

/// A webhook as the config file has it.
#[derive(Clone, Debug)]
pub(crate) struct FileWebhook {
    pub(crate) owned: Owned,
    pub(crate) definition: Definition,
    /// The secret from its `secret_file`.
    pub(crate) secret: Option<Secret>,
    /// The secret for a new webhook without a `secret_file`. `None` when the dialect signs nothing.
    pub(crate) fresh_secret: Option<Secret>,
    /// How long the old secret still signs after the `secret_file` has changed.
    pub(crate) overlap: Duration,
}

/// Settings that may change while the store is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) retention: Duration,
    pub(crate) max_bytes: u64,
    /// The most bytes of events, requests and answers in memory at once.
    pub(crate) memory: u64,
    /// How long a row of the audit log is kept.
    pub(crate) audit_retention: Duration,
    /// A connection is closed when no event has named it for this long.
    pub(crate) connection_idle: Duration,
}

/// A delivery that is to be attempted now.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) key: DeliveryKey,
    pub(crate) position: QueuePosition,
    pub(crate) lane: Lane,
    /// The event, if it is in memory. Then this is its first attempt, and nothing has to be read.
    pub(crate) known: Option<Arc<CachedEvent>>,
    /// Whether a test call made it. A test stays in its queue when other deliveries are dropped, and is sent although its webhook
    /// is disabled.
    pub(crate) is_test: bool,
    /// Whether an attempt of it may be under way, or the outcome on its way to the disk. Then the store must be asked, after that
    /// outcome, before it starts.
    pub(crate) needs_recheck: bool,
    pub(crate) permit: QueuePermit,
    /// Since when the delivery could be attempted, as far as the store knows.
    pub(crate) since: Instant,
}

#[cfg(test)]
impl Ready {
    /// A delivery that no store knows.
    pub(crate) fn alone(key: DeliveryKey, lane: Lane, since: Instant) -> Self {
        Self::of(key, lane, since, &Arc::default())
    }

    /// The same of a webhook that memory knows.
    pub(crate) fn of(key: DeliveryKey, lane: Lane, since: Instant, live: &Arc<Live>) -> Self {
        let permit = QueuePermit::acquire_beyond(&Arc::default(), live);
        Self {
            key,
            position: QueuePosition::Backlog(key.event.0),
            lane,
            known: None,
            is_test: false,
            needs_recheck: false,
            permit,
            since,
        }
    }
}

/// The queue of its endpoint in which a delivery waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// New deliveries and retries.
    Due,
    /// Deliveries that waited on disk.
    Backlog,
    /// Deliveries that a person asked for. They go first, and also when the webhook is disabled.
    Manual,
    /// Deliveries that a replay sent again. They go last, and take at most half of the webhook's slots.
    Replay,
}

/// An attempt that ended, on its way into the log.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) key: DeliveryKey,
    pub(crate) position: QueuePosition,
    /// Whether the delivery came from memory for its first attempt.
    pub(crate) first: bool,
    pub(crate) trigger: Trigger,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Timestamp,
    pub(crate) url: Box<str>,
    pub(crate) request_headers: Headers,
    pub(crate) outcome: Outcome,
    /// The outcome's room. `None` where the number of outcomes is bounded in another way.
    pub(crate) _room: Option<OutcomeRoom>,
}

/// The room of one outcome among those that wait for the disk. It is given back when the writer has taken the outcome.
pub(crate) type OutcomeRoom = OwnedSemaphorePermit;

impl Finished {
    pub(in crate::store) fn attempt(self, number: u16, error: Option<crate::domain::delivery::outcome::Class>) -> Attempt {
        Attempt {
            number,
            trigger: self.trigger,
            started_at: self.started_at,
            url: self.url,
            request_headers: self.request_headers,
            outcome: self.outcome,
            error,
        }
    }
}

/// A test that is under way.
#[derive(Debug)]
pub(crate) struct TestRun {
    pub(crate) key: DeliveryKey,
    /// Sends when the test's outcome is on disk.
    pub(crate) done: oneshot::Receiver<()>,
}

/// What [`Commands::recover`] brings back.
///
/// [`Commands::recover`]: crate::store::commands::Commands::recover
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recover {
    /// Whether deliveries that failed run again.
    pub(crate) failed: bool,
    /// Whether events are sent that the webhook matches and never got.
    pub(crate) missed: bool,
}

/// A delivery that is to be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Recovered {
    /// The delivery failed. It runs again under its id.
    Failed(DeliveryKey),
    /// The webhook matches the event and never got it.
    Missed(EventKey),
}

/// Which waiting deliveries of a webhook are to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purge {
    /// Whether the webhook must be inactive, so that its deliveries are held. Otherwise it must be active.
    pub(crate) held: bool,
    /// Only deliveries of events published up to this time. `None` for all events published before the call.
    pub(crate) until: Option<Timestamp>,
}

/// Deliveries of an endpoint that must not be attempted any more, by the range of their events. They may still wait in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) endpoint: EndpointNo,
    pub(crate) first: EventKey,
    pub(crate) last: EventKey,
}

impl Dropped {
    pub(crate) fn one(key: DeliveryKey) -> Self {
        Self { endpoint: key.endpoint, first: key.event, last: key.event }
    }

    pub(crate) fn up_to(endpoint: EndpointNo, last: EventKey) -> Self {
        Self { endpoint, first: EventKey::MIN, last }
    }

    pub(crate) fn covers(&self, key: DeliveryKey) -> bool {
        key.endpoint == self.endpoint && (self.first..=self.last).contains(&key.event)
    }
}

/// What one commit means for the pump.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    pub(crate) ready: Vec<Ready>,
    /// The webhooks whose state changed.
    pub(crate) state_changes: Vec<Arc<Endpoint>>,
    /// The webhooks whose rate limit changed.
    pub(crate) repaced: Vec<EndpointNo>,
    pub(crate) dropped: Vec<Dropped>,
    /// The endpoints with a backlog, and whether more of it waits on disk behind the deliveries in `ready`.
    pub(crate) backlogs: Vec<(EndpointNo, bool)>,
}

impl Committed {
    pub(in crate::store) fn is_empty(&self) -> bool {
        let is_quiet = self.ready.is_empty() && self.dropped.is_empty() && self.backlogs.is_empty();
        is_quiet && self.state_changes.is_empty() && self.repaced.is_empty()
    }
}

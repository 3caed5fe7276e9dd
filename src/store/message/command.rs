//! What the writer is asked to do, and how each asker gets the answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::permit::QueuePermit;
use super::publication::{Accepted, Publication, Refusal};
use super::session::{NewConnection, Opened};
use crate::domain::access::{Key, KeyHash};
use crate::domain::delivery::outcome::Outcome;
use crate::domain::delivery::{QueuePosition, Trigger};
use crate::domain::dialect::{Dialect, EventType};
use crate::domain::headers::Headers;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Definition, Endpoint, Owner};
use crate::domain::webhook::secret::Secret;
use crate::store::shared::cached::CachedEvent;
use crate::store::{Attempt, Denied, Owned};

/// One entry of the inbox.
pub(in crate::store) enum Op {
    Accept(Box<Publication>, oneshot::Sender<Result<Accepted, Refusal>>),
    AcceptAll(Vec<Publication>, oneshot::Sender<Vec<Result<Accepted, Refusal>>>),
    Finish(Box<Finished>),
    Refill(EndpointNo),
    /// One that was to start while it was under way: its attempt looks whether it is still to be made.
    Recheck(Box<Ready>),
    Webhook(Box<WebhookOp>, oneshot::Sender<Result<Arc<Endpoint>, Denied>>),
    Sync(Box<DesiredState>, oneshot::Sender<Result<Vec<Arc<Endpoint>>, Denied>>),
    Retry(DeliveryKey, oneshot::Sender<Result<(), Denied>>),
    Cancel(DeliveryKey, oneshot::Sender<Result<(), Denied>>),
    Purge(EndpointNo, Purge, oneshot::Sender<Result<(), Denied>>),
    Test(EndpointNo, Box<Publication>, oneshot::Sender<Result<TestRun, Denied>>),
    Recover(EndpointNo, Vec<Recovered>, oneshot::Sender<Result<u64, Denied>>),
    OpenConnection(NewConnection, oneshot::Sender<Result<Opened, Denied>>),
    CloseConnection(Owned, Box<str>, oneshot::Sender<Result<(), Denied>>),
    PutEventType(Box<str>, EventType, oneshot::Sender<Result<(), Denied>>),
    DropEventType(Box<str>, Box<str>, oneshot::Sender<Result<(), Denied>>),
    AddKey(Box<NewKey>, oneshot::Sender<Result<(), Denied>>),
    RevokeKey(Box<str>, oneshot::Sender<Result<(), Denied>>),
    Limits(Limits),
    /// The wall clock is right, the operator says; answered whether anybody had doubted it.
    AcceptClock(oneshot::Sender<Result<bool, Denied>>),
}

/// Providers and the dialects they speak.
pub(crate) type Dialects = Vec<(Box<str>, Arc<Dialect>)>;

/// All that the config file says of what the store keeps.
#[derive(Debug)]
pub(crate) struct DesiredState {
    pub(crate) dialects: Dialects,
    /// Those that go when they are taken out.
    pub(crate) tenants: Vec<Owned>,
    /// Its keys: nothing is taken any more that came with one that it held before.
    pub(crate) keys: HashSet<KeyHash>,
    pub(crate) webhooks: Vec<FileWebhook>,
}

/// A change of one webhook.
pub(in crate::store) enum WebhookOp {
    Create(NewWebhook),
    Update { no: EndpointNo, redefine: Redefine },
    Enable(EndpointNo),
    Disable(EndpointNo),
    Delete(EndpointNo),
    Rotate { no: EndpointNo, secret: Secret, overlap: Duration },
}

/// What a change makes of the definition that stands when its turn comes, so that of two at once both are kept.
pub(crate) type Redefine = Box<dyn FnOnce(&Definition) -> Definition + Send>;

/// A key to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewKey {
    pub(crate) key: Key,
    /// The key that it is made with.
    pub(crate) by: Option<KeyHash>,
}

/// A webhook to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewWebhook {
    pub(crate) owned: Owned,
    pub(crate) definition: Definition,
    pub(crate) owner: Owner,
    /// `None`: the dialect signs nothing.
    pub(crate) secret: Option<Secret>,
    /// How many webhooks its maker's key may have made; 0: any number.
    pub(crate) limit: u32,
    /// The ids of keys that stand in the config file: of others the store knows whether they were revoked.
    pub(crate) file_keys: Vec<Box<str>>,
    /// Whether it brings a tenant back that was taken out of the config file.
    pub(crate) restores: bool,
}

/// A webhook as the config file has it.
#[derive(Clone, Debug)]
pub(crate) struct FileWebhook {
    pub(crate) owned: Owned,
    pub(crate) definition: Definition,
    /// From its `secret_file`.
    pub(crate) secret: Option<Secret>,
    /// For a new webhook without a `secret_file`; `None`: the dialect signs nothing.
    pub(crate) fresh_secret: Option<Secret>,
    /// How long the old secret signs after a changed `secret_file`.
    pub(crate) overlap: Duration,
}

/// What may change while the store is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) retention: Duration,
    pub(crate) max_bytes: u64,
    /// Bytes of events, requests and answers that are held at once.
    pub(crate) memory: u64,
    /// A connection that no event names for so long is closed.
    pub(crate) connection_idle: Duration,
}

/// A delivery to attempt now.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) key: DeliveryKey,
    pub(crate) position: QueuePosition,
    pub(crate) lane: Lane,
    /// The event, when it is at hand: then this is its first attempt and nothing need be read.
    pub(crate) known: Option<Arc<CachedEvent>>,
    /// A test that was asked for: it stays in its queue when the others are dropped, and is sent though its webhook is disabled.
    pub(crate) is_test: bool,
    /// It may be under way, or its outcome on the way to the disk: before it starts the store is asked, behind that outcome.
    pub(crate) needs_recheck: bool,
    pub(crate) permit: QueuePermit,
    /// Since when it could be attempted, for all that the store knows.
    pub(crate) since: Instant,
}

#[cfg(test)]
impl Ready {
    /// One that no store knows.
    pub(crate) fn alone(key: DeliveryKey, lane: Lane, since: Instant) -> Self {
        let permit = QueuePermit::acquire_beyond(&Arc::default(), &Arc::default());
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

/// Which of its endpoint's queues a delivery waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// New ones and retries.
    Due,
    /// What waited on disk.
    Backlog,
    /// Asked for by a person: first, and also when the webhook is disabled.
    Manual,
}

/// An attempt that ended, on its way into the log.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) key: DeliveryKey,
    pub(crate) position: QueuePosition,
    /// It was taken from memory as its first attempt.
    pub(crate) first: bool,
    pub(crate) trigger: Trigger,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Timestamp,
    pub(crate) url: Box<str>,
    pub(crate) request_headers: Headers,
    pub(crate) outcome: Outcome,
    /// `None` where whoever tells has a bound of its own.
    pub(crate) _room: Option<OutcomeRoom>,
}

/// Room for one outcome among those that wait for the disk, given back when the writer has taken it in.
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

/// A test under way.
#[derive(Debug)]
pub(crate) struct TestRun {
    pub(crate) key: DeliveryKey,
    /// Fires when its outcome is on disk.
    pub(crate) done: oneshot::Receiver<()>,
}

/// One delivery to bring back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Recovered {
    /// It failed: it runs again under its id.
    Failed(DeliveryKey),
    /// The webhook matches now and never got it.
    Missed(EventKey),
}

/// Which waiting deliveries of a webhook are to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purge {
    /// Those of a webhook that is not active; else those of one that is.
    pub(crate) held: bool,
    /// Of events published up to then; `None`: of all that are published before the call.
    pub(crate) until: Option<Timestamp>,
}

/// Deliveries that are not to be attempted any more, though they may wait in a queue: those of an endpoint by their events.
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

/// What one commit means for those who deliver.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    pub(crate) ready: Vec<Ready>,
    /// Webhooks whose standing changed.
    pub(crate) standings: Vec<Arc<Endpoint>>,
    pub(crate) dropped: Vec<Dropped>,
    /// Endpoints with a backlog, and whether more of it waits on disk after what is in `ready`.
    pub(crate) backlogs: Vec<(EndpointNo, bool)>,
}

impl Committed {
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.standings.is_empty() && self.dropped.is_empty() && self.backlogs.is_empty()
    }
}

//! A replay: deliveries that have ended and are sent again, many of them, by one request that goes on in the background.
//!
//! ```text
//!   POST /v1/replays ─▶ counted ─▶ row ─▶ walk: a piece is read ─▶ a slice is sent again, one commit ─▶ … ─▶ walk ended
//!                                          ▲   while too many wait, the rate or the disk says so: later │
//!                                          └────────────────────────────────────────────────────────────┘
//! ```
//!
//! **What matches.** Deliveries that had ended when the replay was asked for, of events published in its window, whose webhook is
//! active. A delivery that was pending or held then is on its way, so it does not match; nor does a test, nor one that a person ended by
//! cancelling or purging it. The window and the moment of the question are fixed before the deliveries are counted, so a replay comes to
//! an end however much is published meanwhile, and never sends again what it has sent.
//!
//! **What is sent.** The same ids and stored bytes, with a fresh timestamp and signature, as by a retry of each delivery. What has
//! become of a delivery since the question is looked at again when the walk comes to it: one that was sent again by somebody else, that
//! retention took, or whose webhook is not active any more is left out, and counts as skipped.
//!
//! **New ids.** Instead, a replay can make a new event of each old one, with an id of its own and the same type, data, attributes, channels
//! and `occurred_at`, rendered anew. It goes to exactly the webhooks whose deliveries match, whatever they subscribe to, and both events
//! name the other. So the walk does not go on without a webhook here: it waits until that takes more. The deliveries of an event may be
//! sent in several commits; the replay's row names the newest event that it made, so
//! the later ones join it. An event is made in the commit in which the walk passes the first of its deliveries, and so once over crashes.
//! An event that the provider's dialect does not take any more is left out.
//!
//! **What is counted.** `done` moves in the commit in which a delivery ends, `failed` with it. A delivery in the log names the replay
//! that sent it, so both are exact over crashes. When the walk has ended, `skipped` is what of `matched` was not sent.
//!
//! **How much waits.** At most [`WAITING_MAX`](waiting::WAITING_MAX) deliveries of a replay wait for their first attempt, and of each webhook no more than
//! places are [still free](waiting). An ordered webhook gets the next one when nothing else of its own waits. A delivery that waits for
//! a retry does not count, nor does one that is held since its webhook was disabled.
//!
//! **Who waits for whom.** A webhook that is slow, ordered, being purged, or full of its own events takes no more for now. The walk goes
//! on without it, and it gets [a walk of its own](walk) from where it was left: a row read once stays read, the others do not wait, and
//! at most [`BEHIND_MAX`](walk::BEHIND_MAX) such places stand in the row of the replay. A webhook that is disabled while it is behind is
//! left out with what was still to come.
//!
//! **What stops it.** The replay of one webhook pauses in the commit in which that is disabled or removed, and is cancelled in the one
//! in which it is deleted, also when it is paused. While the store takes no events, nothing is sent again. To pause or to cancel sends
//! nothing more; what was sent goes on by its schedule.

pub(in crate::store) mod waiting;
pub(in crate::store) mod walk;

use std::sync::Arc;

use crate::domain::delivery::{Delivery, End, State};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, ReplayNo, TenantNo};
use crate::domain::rate::Rate;
use crate::domain::time::Timestamp;
use crate::domain::webhook::pattern::Pattern;
use crate::store::message::publication::{Publication, Refusal};
use crate::store::{Denied, Owned};
use waiting::Waiting;
use walk::{Course, Walk};

/// A replay, and how far it has come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Replay {
    pub(crate) no: ReplayNo,
    pub(crate) owned: Owned,
    pub(in crate::store) tenant: TenantNo,
    pub(crate) filter: ReplayFilter,
    pub(crate) ids: Ids,
    /// The most deliveries that are sent in a time. `None`: as many as the endpoints take.
    pub(crate) rate: Option<Rate>,
    pub(crate) state: ReplayState,
    /// Why it is paused or cancelled, unless somebody asked for it.
    pub(crate) reason: Option<ReplayReason>,
    /// How many deliveries matched when it was asked for.
    pub(crate) matched: u64,
    /// How many deliveries it has sent again so far.
    pub(crate) sent: u64,
    /// How many of those have ended, and how many of them failed.
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// Only what had ended by this moment is sent again.
    pub(in crate::store) asked_at: Timestamp,
    pub(in crate::store) walk: Walk,
    pub(in crate::store) waiting: Waiting,
    /// When it was done or cancelled.
    pub(crate) ended_at: Option<Timestamp>,
}

/// Under which ids a replay sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// Those of the old events: the old deliveries are made again.
    Same,
    /// Those of new events, one for each old event.
    New(NewIds),
}

/// What a replay that makes new events must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewIds {
    /// The tenant's environment when the replay was asked for, for `$tenant.environment`.
    pub(crate) environment: Arc<str>,
    /// The old event that was sent last, and the new event that was made of it.
    pub(in crate::store) newest: Option<(EventKey, EventKey)>,
}

/// Which deliveries a replay sends again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReplayFilter {
    /// The webhook with its id, which is kept for a webhook that is deleted. `None`: all webhooks of the tenant.
    pub(crate) webhook: Option<(EndpointNo, Box<str>)>,
    pub(crate) kind: Option<Pattern>,
    /// `true` takes only deliveries that succeeded, `false` only those that failed.
    pub(crate) succeeded: Option<bool>,
    /// The status of the newest response.
    pub(crate) code: Option<u16>,
    /// The window of the events' publication, both ends included.
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
}

/// What a replay is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplayState {
    Running,
    Paused,
    /// All that it has sent has ended, and nothing is left to send.
    Done,
    Cancelled,
}

/// Why a replay stopped by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplayReason {
    /// Its webhook was disabled, or taken out of the config file.
    WebhookInactive,
    WebhookDeleted,
}

/// A replay that is asked for, with what was counted for it.
#[derive(Clone, Debug)]
pub(crate) struct NewReplay {
    pub(crate) owned: Owned,
    pub(crate) filter: ReplayFilter,
    pub(crate) ids: Ids,
    pub(crate) rate: Option<Rate>,
    /// The moment before the count.
    pub(crate) asked_at: Timestamp,
    pub(crate) matched: u64,
}

/// An event that is to be published again, as a new event.
#[derive(Debug)]
pub(crate) struct EventReplay {
    pub(crate) original: EventKey,
    pub(crate) publication: Publication,
    /// The only webhook that gets it, whatever it subscribes to. `None`: those that match.
    pub(crate) webhook: Option<EndpointNo>,
}

/// Why an event was not published again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotReplayed {
    Denied(Denied),
    Refused(Refusal),
}

/// What somebody asks of the replays.
#[derive(Clone, Debug)]
pub(in crate::store) enum ReplayOp {
    Create(Box<NewReplay>),
    Pause(ReplayNo),
    Resume(ReplayNo),
    Cancel(ReplayNo),
}

/// A piece of a replay's walk, to be sent in one commit.
#[derive(Clone, Debug)]
pub(in crate::store) struct ReplaySlice {
    pub(in crate::store) no: ReplayNo,
    /// Where the walk stood when the piece was read. A slice that begins elsewhere changes nothing.
    pub(in crate::store) from: Walk,
    pub(in crate::store) course: Course,
    pub(in crate::store) piece: WalkPiece,
}

/// What a look at a piece of the deliveries found, the oldest event first.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct WalkPiece {
    pub(in crate::store) found: Vec<DeliveryKey>,
    /// Every delivery up to this one was looked at.
    pub(in crate::store) up_to: DeliveryKey,
    /// Whether nothing of the window comes behind it.
    pub(in crate::store) is_last: bool,
}

impl ReplayFilter {
    /// Whether it takes a delivery as it stands, but for its event's type. `asked_at` is when the replay was asked for. What a person
    /// ended comes back by a retry of its own alone.
    pub(in crate::store) fn takes(&self, delivery: &Delivery, asked_at: Timestamp) -> bool {
        let (at, succeeded) = match delivery.state {
            State::Pending(_) => return false,
            State::Failed { end: End::Cancelled, .. } => return false,
            State::Succeeded { at } => (at, true),
            State::Failed { at, .. } => (at, false),
        };
        at <= asked_at
            && !delivery.is_test()
            && self.succeeded.is_none_or(|wanted| wanted == succeeded)
            && self.code.is_none_or(|code| Some(code) == delivery.code)
    }

    /// The events of the window, as the key before the first and the last.
    pub(in crate::store) fn events(&self) -> (EventKey, EventKey) {
        (EventKey(EventKey::at(self.since).0.saturating_sub(1)), EventKey::up_to(self.until))
    }
}

impl Ids {
    /// Those of new events, of a replay that begins; `environment` is that of its tenant.
    pub(crate) fn of_new_events(environment: Arc<str>) -> Self {
        Self::New(NewIds { environment, newest: None })
    }

    /// Whether new events are made.
    pub(crate) fn are_new(&self) -> bool {
        matches!(self, Self::New(_))
    }
}

impl ReplayState {
    pub(crate) const ALL: [Self; 4] = [Self::Running, Self::Paused, Self::Done, Self::Cancelled];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether it sends nothing more, whatever is asked.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

impl ReplayReason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WebhookInactive => "webhook_inactive",
            Self::WebhookDeleted => "webhook_deleted",
        }
    }
}

impl Replay {
    /// What of the matching deliveries was not sent. It is known when the walk has ended.
    pub(crate) fn skipped(&self) -> u64 {
        if self.walk.is_over() { self.matched.saturating_sub(self.sent) } else { 0 }
    }

    /// Whether there is something for the walk to do.
    pub(in crate::store) fn walks(&self) -> bool {
        self.state == ReplayState::Running && !self.walk.is_over()
    }

    /// Whether it has not ended, or has sent a delivery that has not.
    pub(in crate::store) fn is_open(&self) -> bool {
        !self.state.is_final() || self.done < self.sent
    }

    /// Whether it can have sent a delivery: one of its webhook, or of a webhook of its tenant, of an event that the walk has passed, or of
    /// one that was made since the replay began where it makes new events.
    pub(in crate::store) fn may_have_sent(&self, key: DeliveryKey, tenant: TenantNo) -> bool {
        let is_its = match &self.filter.webhook {
            Some((no, _)) => *no == key.endpoint,
            None => tenant == self.tenant,
        };
        let is_sent = match self.ids {
            Ids::Same => key <= self.walk.after,
            Ids::New(_) => key.event.0 > self.no.0,
        };
        is_its && is_sent && self.done < self.sent
    }
}

//! Deliveries and webhooks as readers see them, and the filters of lists.

use std::sync::Arc;

use crate::domain::delivery::outcome::{Class, Outcome};
use crate::domain::delivery::{Delivery, State, Trigger};
use crate::domain::headers::Headers;
use crate::domain::id::uid::Uid;
use crate::domain::id::{AttemptKey, DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::domain::webhook::pattern::Pattern;
use crate::store::Owned;
use crate::store::message::last::LastAttempt;

/// A delivery as a reader sees it. Its attempts are read separately.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) delivery: Delivery,
    pub(crate) event_id: Box<str>,
    pub(crate) kind: Box<str>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) status: Status,
    /// Why the newest attempt was no success.
    pub(crate) error: Option<Class>,
}

/// What filters judge of a delivery. `K` holds the type of its event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<K> {
    pub(crate) event: EventKey,
    pub(crate) kind: K,
    pub(crate) status: Status,
    /// The status of the newest response.
    pub(crate) code: Option<u16>,
    pub(crate) is_test: bool,
}

impl View {
    /// What filters judge.
    pub(crate) fn facts(&self) -> Facts<&str> {
        let View { delivery, kind, status, .. } = self;
        Facts { event: delivery.key.event, kind, status: *status, code: delivery.code, is_test: delivery.is_test() }
    }

    /// The same without the view.
    pub(crate) fn kept_facts(&self) -> Facts<Box<str>> {
        let Facts { event, kind, status, code, is_test } = self.facts();
        Facts { event, kind: kind.into(), status, code, is_test }
    }

    /// The URL that the delivery is, or was, sent to.
    pub(crate) fn url(&self) -> &str {
        let pinned = self.delivery.url.as_deref();
        match pinned {
            Some(pinned) if !self.delivery.is_pending() => pinned,
            _ => self.endpoint.url_of(pinned, self.delivery.key.event.time()),
        }
    }
}

/// The four states of a delivery in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Succeeded,
    Failed,
    Held,
}

/// An attempt as the log keeps it. The body of its request is the event's.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) number: u16,
    pub(crate) trigger: Trigger,
    pub(crate) started_at: Timestamp,
    pub(crate) url: Box<str>,
    pub(crate) request_headers: Headers,
    pub(crate) outcome: Outcome,
    /// The class of the failure, with `Status` for a response that is no success. `None` for a success.
    pub(crate) error: Option<Class>,
}

impl Attempt {
    /// Its place among the attempts of all deliveries; `delivery` is its own.
    pub(crate) fn key(&self, delivery: DeliveryKey) -> AttemptKey {
        AttemptKey { started_at: self.started_at, delivery, number: self.number }
    }

    /// When the attempt ended, and how.
    pub(in crate::store) fn end(&self) -> LastAttempt {
        let code = self.outcome.result.as_ref().ok().map(|response| response.status);
        LastAttempt { ended_at: self.started_at + self.outcome.duration, code, error: self.error }
    }
}

/// Whose deliveries are listed.
#[derive(Clone, Debug)]
pub(crate) enum Of {
    Webhook(EndpointNo),
    Tenant(Owned),
    Tenants(Arc<[Owned]>),
}

/// Whose webhooks are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owners {
    Tenant(Owned),
    Provider(Box<str>),
    All,
}

/// Which webhooks are listed.
#[derive(Clone, Debug)]
pub(crate) struct WebhookFilter {
    pub(crate) of: Owners,
    pub(crate) name: Option<Box<str>>,
    pub(crate) uid: Option<Uid>,
    /// `true` lists only webhooks that fail, `false` only those that do not.
    pub(crate) failing: Option<bool>,
    /// Names and values that the webhook's metadata has, all of them.
    pub(crate) metadata: Vec<(String, String)>,
}

/// A webhook, and the end of its newest attempt if its log still has one.
#[derive(Clone, Debug)]
pub(crate) struct WebhookView {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) last: Option<LastAttempt>,
}

/// A piece of a list of webhooks. It may hold fewer than were asked for although the list goes on, since one call looks at a
/// bounded number of webhooks.
#[derive(Clone, Debug, Default)]
pub(crate) struct WebhookPage {
    pub(crate) views: Vec<WebhookView>,
    /// The last webhook that was looked at. `None` when there are no more.
    pub(crate) next: Option<EndpointNo>,
}

impl WebhookView {
    /// Whether the newest attempt failed, deliveries failed in a row, or such failures disabled the webhook.
    pub(crate) fn is_failing(&self) -> bool {
        let failed = self.last.is_some_and(|last| last.error.is_some());
        failed || self.endpoint.failures > 0 || self.endpoint.was_disabled_by_failures()
    }
}

/// Which deliveries are listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) status: Option<Status>,
    pub(crate) kind: Option<Pattern>,
    /// The status of the newest response.
    pub(crate) code: Option<u16>,
    /// The range of the events' publication, both ends included.
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) event: Option<EventKey>,
    pub(crate) test: Option<bool>,
}

impl Filter {
    /// Whether rows must be read to know which deliveries a page shows.
    pub(in crate::store) fn needs_look(&self) -> bool {
        self.status.is_some() || self.kind.is_some() || self.code.is_some() || self.test.is_some()
    }

    /// Whether a delivery passes the filter.
    pub(crate) fn holds(&self, facts: &Facts<impl AsRef<str>>) -> bool {
        self.has_event(facts.event) && self.matches(facts)
    }

    /// Whether it may hold deliveries of an event.
    pub(crate) fn has_event(&self, event: EventKey) -> bool {
        let (oldest, newest) = self.window();
        (oldest..=newest).contains(&event)
    }

    /// Whether a delivery passes the filter, but for its window of time and its event.
    pub(in crate::store) fn matches(&self, facts: &Facts<impl AsRef<str>>) -> bool {
        self.status.is_none_or(|status| status == facts.status)
            && self.kind.as_ref().is_none_or(|kind| kind.matches(facts.kind.as_ref()))
            && self.code.is_none_or(|code| Some(code) == facts.code)
            && self.test.is_none_or(|test| test == facts.is_test)
    }

    /// The event keys that the filter leaves, both included.
    pub(in crate::store) fn window(&self) -> (EventKey, EventKey) {
        let oldest = self.since.map_or(EventKey::MIN, EventKey::at);
        let newest = self.until.map_or(EventKey::MAX, EventKey::up_to);
        match self.event {
            Some(event) => (oldest.max(event), newest.min(event)),
            None => (oldest, newest),
        }
    }
}

/// An attempt with what names it.
#[derive(Clone, Debug)]
pub(crate) struct AttemptView {
    pub(crate) key: AttemptKey,
    pub(crate) attempt: Attempt,
    pub(crate) event_id: Box<str>,
    pub(crate) kind: Box<str>,
    pub(crate) endpoint: Arc<Endpoint>,
}

/// Which attempts are listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttemptFilter {
    /// `true` lists only attempts that succeeded, `false` only those that failed.
    pub(crate) succeeded: Option<bool>,
    /// The status of the response.
    pub(crate) code: Option<u16>,
    pub(crate) class: Option<AttemptClass>,
    /// The first start, and the start that is the first too late.
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) event: Option<EventKey>,
}

/// A kind of ends of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptClass {
    /// The attempts with this failure.
    Failed(Class),
    /// The attempts that brought a status with so many hundreds.
    Hundreds(u16),
}

impl AttemptClass {
    /// The name of a failure's class, or `1xx` to `5xx`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let of_status = |name: &str| name.strip_suffix("xx")?.parse().ok().filter(|hundreds| (1..=5).contains(hundreds));
        let failed = Class::ALL.into_iter().find(|class| class.name() == name).map(Self::Failed);
        failed.or_else(|| of_status(name).filter(|_| name.len() == 3).map(Self::Hundreds))
    }

    /// Whether it holds an attempt with this failure, or that brought this status.
    pub(in crate::store) fn holds(self, error: Option<Class>, code: Option<u16>) -> bool {
        match self {
            Self::Failed(class) => error == Some(class),
            Self::Hundreds(hundreds) => code.is_some_and(|code| code / 100 == hundreds),
        }
    }
}

impl AttemptFilter {
    /// Whether more than the page itself must be looked at to know which attempts it shows.
    pub(in crate::store) fn needs_look(&self) -> bool {
        self.needs_row() || self.event.is_some()
    }

    /// Whether an attempt's row must be read to know whether it is listed.
    pub(in crate::store) fn needs_row(&self) -> bool {
        self.succeeded.is_some() || self.code.is_some() || self.class.is_some()
    }

    /// Whether a start lies in its window.
    pub(in crate::store) fn holds(&self, started_at: Timestamp) -> bool {
        self.since.is_none_or(|since| started_at >= since) && self.until.is_none_or(|until| started_at < until)
    }
}

/// A piece of a list of attempts. It may hold fewer than were asked for and still go on: one call looks at a bounded number of rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttemptPage {
    pub(crate) keys: Vec<AttemptKey>,
    /// The last attempt that was looked at, when there may be more.
    pub(crate) next: Option<AttemptKey>,
}

/// A piece of a listing. It may hold fewer than were asked for and still go on: one call looks at a bounded number of rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) views: Vec<View>,
    /// The last row that was looked at, when there may be more.
    pub(crate) next: Option<DeliveryKey>,
}

/// How many deliveries a filter leaves, whatever their status is, among a bounded number of the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// By status, in the order of [`Status::ALL`]. Tests are not among them.
    pub(crate) by_status: [u64; 4],
    pub(crate) tests: u64,
    /// Whether there are older deliveries, which were not looked at.
    pub(crate) is_cut: bool,
}

impl Counts {
    pub(in crate::store) fn add(&mut self, delivery: &Delivery, active: bool) {
        if delivery.is_test() {
            self.tests += 1;
        } else {
            self.by_status[status(delivery, active) as usize] += 1;
        }
    }

    pub(crate) fn of(&self, status: Status) -> u64 {
        self.by_status[status as usize]
    }
}

/// What was read, or how many bytes of memory it takes to read and print it.
#[derive(Debug)]
pub(crate) enum Fit<T> {
    Fits(T),
    Needs(usize),
}

/// The room in memory to read rows into, in bytes, and how many bytes printing makes of one byte of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    pub(crate) room: usize,
    pub(crate) printed: usize,
}

/// The word for where a delivery stands: one that is pending while its webhook is disabled is held.
pub(crate) fn status(delivery: &Delivery, active: bool) -> Status {
    match delivery.state {
        State::Succeeded { .. } => Status::Succeeded,
        State::Failed { .. } => Status::Failed,
        State::Pending(_) if active || delivery.is_test() => Status::Pending,
        State::Pending(_) => Status::Held,
    }
}

impl Status {
    pub(crate) const ALL: [Self; 4] = [Self::Pending, Self::Succeeded, Self::Failed, Self::Held];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Held => "held",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

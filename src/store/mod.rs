//! The durable side: events, deliveries, webhooks and keys in one redb file, and the schedule that brings deliveries back.
//!
//! ```text
//!  api ── accept, create, retry … ─┐                       ┌─ answers, after the commit
//!                                  ▼                       │
//!  deliver ── finish, refill ──▶ inbox ──▶ writer thread ──┤
//!                                          │ one transaction for all that waits
//!                                          │ wheel, backlog, fan-out, retention: a slice between two commits
//!                                          ▼
//!                                   Committed ──▶ deliver (deliveries to attempt now)
//! ```
//!
//! One thread writes. It owns the wheel too, so what is armed in memory and what stands in the due table never disagree.
//! Everything else reads snapshots. Nothing outside this room sees a redb type.

mod error;
mod publication;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use error::Error;
pub(crate) use publication::{Accepted, Publication, Refusal};

use crate::domain::delivery::{Delivery, Trigger};
use crate::domain::endpoint::{Definition, Endpoint, Owner};
use crate::domain::event::Event;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::outcome::{Class, Outcome};
use crate::domain::time::Timestamp;

/// A tenant of a provider, by their ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Owned {
    pub(crate) provider: Box<str>,
    pub(crate) tenant: Box<str>,
}

/// Why a change was not made. Nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("no such webhook")]
    NoWebhook,
    #[error("no such delivery")]
    NoDelivery,
    #[error("this webhook belongs to the config file; change it there and run `hookwheel reload`")]
    FileOwned,
    #[error("this webhook's secret comes from a file; change that file and run `hookwheel reload`")]
    SecretFromFile,
    #[error("the webhook is disabled; `enable` it first")]
    Disabled,
    #[error("the webhook was deleted")]
    Deleted,
    #[error("a webhook named `{0}` exists already")]
    NameTaken(Box<str>),
    #[error("this key has made {0} webhooks, which is its limit; delete one first")]
    TooMany(u32),
    #[error("no such key")]
    NoKey,
    #[error("this key belongs to the config file; change it there and run `hookwheel reload`")]
    KeyInFile,
    #[error("the service is stopping")]
    Closing,
}

/// A delivery with its log, as a reader sees it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) delivery: Delivery,
    pub(crate) event_id: Box<str>,
    pub(crate) kind: Box<str>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) status: Status,
    /// In a list: empty. By id: all that are kept, in order.
    pub(crate) attempts: Vec<Attempt>,
}

/// The four words of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Succeeded,
    Failed,
    Held,
}

/// One attempt as the log keeps it. The request's body is the event's.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) number: u16,
    pub(crate) trigger: Trigger,
    pub(crate) started_at: Timestamp,
    pub(crate) url: Box<str>,
    pub(crate) request_headers: Vec<(String, String)>,
    pub(crate) outcome: Outcome,
    /// The class of its failure, `Status` for a response that is no success; `None`: a success.
    pub(crate) error: Option<Class>,
}

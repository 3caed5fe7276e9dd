//! One life of the service: the store with its writer, the queues, the attempts under way, and what was asked and not answered.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::deliver::queues::{Limits, Queues};
use crate::domain::delivery::Trigger;
use crate::domain::delivery::outcome::Outcome;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::stepped::{Lost, Stepped};
use crate::store::{Accepted, Denied, Ready, Refusal};

pub(super) struct Process {
    pub(super) running: BTreeMap<u64, Running>,
    /// Deliveries that this machine could not attempt for a shortage.
    pub(super) postponed: Vec<Ready>,
    /// In the order in which it was asked.
    pub(super) asked: Vec<Asked>,
    /// Outcomes on their way to the disk, in the order in which they were told.
    pub(super) told: Vec<(DeliveryKey, Outcome, Timestamp)>,
    pub(super) queues: Queues<()>,
    pub(super) limits: Limits,
    /// Commits so far.
    pub(super) commits: u64,
    pub(super) stepped: Stepped,
}

/// An attempt under way.
pub(super) struct Running {
    pub(super) ready: Ready,
    /// Once its request was sent.
    pub(super) sent: Option<Sent>,
}

/// A request that was sent, and what will come of it.
pub(super) struct Sent {
    pub(super) started_at: Timestamp,
    pub(super) trigger: Trigger,
    pub(super) outcome: Outcome,
}

/// Something that was asked of the store, until it is answered.
pub(super) struct Asked {
    pub(super) what: Question,
    answering: Pin<Box<dyn Future<Output = Answer>>>,
}

#[derive(Clone, Debug)]
pub(super) enum Question {
    /// Events, by their numbers in the book.
    Publish(Vec<usize>),
    Hook(EndpointNo, Change),
    Create(NewHook),
    Sync(Vec<NewHook>),
    Delete(EndpointNo),
    Delivery(DeliveryKey, Wish),
    /// With the newest event at the time of the call.
    Purge(EndpointNo, EventKey),
    Test(EndpointNo),
    /// With what was found for it.
    Recover(EndpointNo, Lost, Vec<DeliveryKey>),
}

pub(super) enum Answer {
    Published(Vec<Result<Accepted, Refusal>>),
    Hook(Result<Arc<Endpoint>, Denied>),
    Hooks(Result<Vec<Arc<Endpoint>>, Denied>),
    Done(Result<(), Denied>),
    Test(Result<DeliveryKey, Denied>),
    Recovered(Result<u64, Denied>),
}

/// What becomes of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Enable,
    Disable,
    Rotate,
    Retype(&'static [&'static str]),
    /// Whether its deliveries are made in order.
    Order(bool),
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Retry,
    Cancel,
}

/// A webhook to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NewHook {
    pub(super) provider: usize,
    pub(super) tenant: usize,
    pub(super) name: Box<str>,
    pub(super) kinds: &'static [&'static str],
    /// Whether its deliveries are made in order.
    pub(super) is_ordered: bool,
}

impl Asked {
    pub(super) fn new(what: Question, answering: impl Future<Output = Answer> + 'static) -> Self {
        Self { what, answering: Box::pin(answering) }
    }

    /// Looks for the answer. The first look puts the question into the writer's inbox.
    pub(super) fn look(&mut self) -> Option<Answer> {
        match self.answering.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }
}

impl Question {
    /// Whether webhooks may be others after it.
    pub(super) fn changes_hooks(&self) -> bool {
        matches!(self, Self::Hook(..) | Self::Create(..) | Self::Sync(..) | Self::Delete(..))
    }

    /// How many rows of the audit log it leaves at most.
    pub(super) fn rows_max(&self) -> usize {
        match self {
            Self::Publish(_) | Self::Test(_) | Self::Recover(..) => 0,
            Self::Hook(..) | Self::Create(_) | Self::Delete(_) | Self::Delivery(..) | Self::Purge(..) => 1,
            Self::Sync(file) => 1 + file.len(),
        }
    }

    /// Whether it is about this delivery, by itself or among others.
    pub(super) fn is_about(&self, key: DeliveryKey) -> bool {
        match self {
            Self::Delivery(of, _) => *of == key,
            Self::Recover(_, _, found) => found.contains(&key),
            _ => false,
        }
    }

    /// The webhook that it is about.
    pub(super) fn hook(&self) -> Option<EndpointNo> {
        match self {
            Self::Hook(no, _) | Self::Delete(no) | Self::Purge(no, _) | Self::Test(no) | Self::Recover(no, ..) => Some(*no),
            Self::Delivery(key, _) => Some(key.endpoint),
            Self::Publish(_) | Self::Create(_) | Self::Sync(_) => None,
        }
    }
}

//! The history that is taken over from another relay, and that is given to one: events, and deliveries with their attempts.

use std::sync::Arc;

use super::view::Attempt;
use crate::domain::delivery::Delivery;
use crate::domain::event::Event;
use crate::domain::id::DeliveryKey;
use crate::domain::webhook::endpoint::Endpoint;

/// A part of the history that an import brings.
#[derive(Debug)]
pub(crate) enum Old {
    Event(Box<OldEvent>),
    Delivery(Box<OldDelivery>),
}

/// An event that was published elsewhere. Its key says when; another one is given where that key is taken.
#[derive(Debug)]
pub(crate) struct OldEvent {
    pub(crate) event: Event,
    /// What makes two publications of its id the same. All zeros where the publisher gave no id.
    pub(crate) content: [u8; 32],
    /// How many deliveries it had: what a repeated publication is answered.
    pub(crate) deliveries: u32,
}

/// A delivery that was made elsewhere.
#[derive(Debug)]
pub(crate) struct OldDelivery {
    pub(crate) provider: Box<str>,
    /// The tenant of its event; `None`: the event is for all tenants of the provider.
    pub(crate) tenant: Option<Box<str>>,
    pub(crate) event_id: Box<str>,
    pub(crate) webhook_id: Box<str>,
    /// Its key is not read.
    pub(crate) delivery: Delivery,
    /// In the order of their numbers, which are those from 1 to the number of attempts.
    pub(crate) attempts: Vec<Attempt>,
}

/// What became of a part of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Added,
    /// The same is there already.
    Left,
    Refused(NotTaken),
}

/// Why a part of the history was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error("the event `{0}` is there already, with other content")]
    OtherEvent(Box<str>),
    #[error("another event of this relay has the id `{0}`")]
    IdTaken(Box<str>),
    #[error("another event of this relay has the uid `{0}`")]
    UidTaken(Box<str>),
    #[error("there is no event `{0}`: its line stands before those of its deliveries, or retention has removed it")]
    NoEvent(Box<str>),
    #[error("there is no webhook {0}: its line was refused, or stands behind this one")]
    NoWebhook(Box<str>),
    #[error("the webhook {0} belongs to another tenant than the event")]
    OtherTenant(Box<str>),
    #[error("a delivery of the event `{event}` to the webhook {webhook} is there already, and ended otherwise")]
    OtherDelivery { event: Box<str>, webhook: Box<str> },
    #[error("the tenant `{0}` is not there, was taken out of the config file, or is being deleted")]
    NoTenant(Box<str>),
}

/// A part of the history as it is kept.
#[derive(Debug)]
pub(crate) enum Row {
    Event {
        event: Box<Event>,
        /// As in [`OldEvent`].
        content: [u8; 32],
        /// How many deliveries it has had in all.
        deliveries: u32,
    },
    Delivery {
        delivery: Box<Delivery>,
        event: Arc<Named>,
        endpoint: Arc<Endpoint>,
        attempts: Vec<Attempt>,
    },
}

/// What names an event beside the store that keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) provider: Arc<str>,
    pub(crate) tenant: Option<Box<str>>,
    pub(crate) id: Box<str>,
}

/// A piece of the history, events in the order of their keys, each before its deliveries.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub(crate) rows: Vec<Row>,
    /// The last row, when there may be more behind it. The webhook's number is 0 where that row is an event.
    pub(crate) next: Option<DeliveryKey>,
}

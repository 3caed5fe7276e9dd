//! Facts for people who watch, as with `dev` on a terminal. They are lost when nobody listens or a listener is slow.

use std::time::Duration;

use crate::domain::delivery::outcome::Class;
use crate::domain::time::Timestamp;
use crate::store::Status;

/// A fact for one line, sent after the commit that made it true.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    Published { at: Timestamp, id: String, kind: String, deliveries: u32 },
    Attempted(Box<Attempted>),
    Disabled { at: Timestamp, webhook: String, why: String },
    Enabled { at: Timestamp, webhook: String },
}

/// An attempt, and what follows from it.
#[derive(Clone, Debug)]
pub(crate) struct Attempted {
    pub(crate) at: Timestamp,
    pub(crate) event_id: String,
    pub(crate) kind: String,
    /// The webhook's name, or its id when it has none.
    pub(crate) webhook: String,
    pub(crate) url: String,
    pub(crate) number: u16,
    /// How many attempts the whole run may have, including this one.
    pub(crate) of: u16,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<(Class, String)>,
    pub(crate) duration: Duration,
    pub(crate) next_at: Option<Timestamp>,
    pub(crate) ended: Option<Status>,
    /// The first bytes of the response as text.
    pub(crate) response_start: String,
}

//! Connections as plain values: which URLs are pinned, and for how long.

use std::time::Duration;

use crate::domain::id::EndpointNo;
use crate::domain::time::Timestamp;
use crate::store::Owned;

/// An open connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Connection {
    pub(crate) opened_at: Timestamp,
    /// When it was opened, or when an event last named it.
    pub(in crate::store) used_at: Timestamp,
    /// The name of the only webhook that it pins. `None` when it pins all webhooks that its tenant had.
    pub(crate) link: Option<Box<str>>,
    pub(crate) urls: Vec<(EndpointNo, Box<str>)>,
}

/// A connection to be opened.
#[derive(Clone, Debug)]
pub(crate) struct NewConnection {
    pub(crate) owned: Owned,
    pub(crate) id: Box<str>,
    /// The name of the only webhook to pin.
    pub(crate) link: Option<Box<str>>,
}

/// The connection, and whether it was open before.
pub(crate) type Opened = (Connection, bool);

impl Connection {
    pub(in crate::store) fn is_open(&self, idle: Duration, now: Timestamp) -> bool {
        now < self.used_at + idle
    }

    pub(in crate::store) fn url(&self, endpoint: EndpointNo) -> Option<&str> {
        self.urls.iter().find(|(no, _)| *no == endpoint).map(|(_, url)| &**url)
    }
}

//! What listings must find and the index table does not have yet.

use super::tables::{IndexKey, Scope, index_key};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, TenantNo};

/// An event, or a delivery of one, that listings must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: DeliveryKey,
    pub(super) owner: TenantNo,
}

impl Entry {
    /// Endpoint numbers begin with 1, so 0 is the event itself.
    pub(super) fn event(event: EventKey, owner: TenantNo) -> Self {
        Self { key: DeliveryKey { event, endpoint: EndpointNo(0) }, owner }
    }

    pub(super) fn delivery(key: DeliveryKey, owner: TenantNo) -> Self {
        Self { key, owner }
    }

    pub(super) fn is_event(&self) -> bool {
        self.key.endpoint.0 == 0
    }

    /// Whether a listing of `scope` shows it.
    pub(super) fn is_in(&self, scope: Scope) -> bool {
        match scope {
            Scope::Events(no) => self.is_event() && self.owner == no,
            Scope::Tenant(no) => !self.is_event() && self.owner == no,
            Scope::Endpoint(no) => self.key.endpoint == no,
        }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = IndexKey> {
        let DeliveryKey { event, endpoint } = self.key;
        let (first, second) = if self.is_event() {
            (Scope::Events(self.owner), None)
        } else {
            (Scope::Tenant(self.owner), Some(Scope::Endpoint(endpoint)))
        };
        [Some(first), second].into_iter().flatten().map(move |scope| index_key(scope, event, endpoint))
    }
}

/// Entries that are on disk in their own tables, but not yet in the index.
#[derive(Default)]
pub(super) struct Tail {
    pub(super) entries: Vec<Entry>,
}

/// A flush under way: the rows still to be written, last first, and where the index will then stand.
#[derive(Default)]
pub(super) struct Flush {
    pub(super) rows: Vec<(IndexKey, ())>,
    pub(super) entries: usize,
    pub(super) up_to: u64,
}

impl Flush {
    pub(super) fn is_running(&self) -> bool {
        self.entries > 0
    }
}

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

/// A flush under way: what is still to be written, and where the index will then stand.
pub(super) struct Flush {
    entries: Vec<Entry>,
    /// Those of `entries`, last first, once they were asked for.
    rows: Vec<IndexRow>,
    /// How many entries of the tail it writes.
    pub(super) count: usize,
    pub(super) up_to: u64,
}

/// A row of the index.
pub(super) type IndexRow = (IndexKey, ());

impl Flush {
    /// Of entries that are on disk, or will be before its first row.
    pub(super) fn of(entries: Vec<Entry>, up_to: u64) -> Self {
        Self { count: entries.len(), entries, rows: Vec::new(), up_to }
    }

    /// Takes the next rows, in order.
    pub(super) fn take(&mut self, most: usize) -> Vec<IndexRow> {
        if !self.entries.is_empty() {
            self.rows = std::mem::take(&mut self.entries).iter().flat_map(Entry::rows).map(|row| (row, ())).collect();
            self.rows.sort_unstable_by(|a, b| b.cmp(a));
        }
        let mut next = self.rows.split_off(self.rows.len().saturating_sub(most));
        next.reverse();
        next
    }

    /// Whether all of it was taken.
    pub(super) fn is_over(&self) -> bool {
        self.entries.is_empty() && self.rows.is_empty()
    }
}

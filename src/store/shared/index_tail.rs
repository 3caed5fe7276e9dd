//! What listings must find and the index table does not have yet.

use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::store::redb::schema::{IndexKey, Scope, index_key};

/// An event, or a delivery of one, that listings must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Entry {
    pub(in crate::store) key: DeliveryKey,
    pub(in crate::store) owner: TenantNo,
}

impl Entry {
    /// Endpoint numbers begin with 1, so 0 is the event itself.
    pub(in crate::store) fn event(event: EventKey, owner: TenantNo) -> Self {
        Self { key: DeliveryKey { event, endpoint: EndpointNo(0) }, owner }
    }

    pub(in crate::store) fn delivery(key: DeliveryKey, owner: TenantNo) -> Self {
        Self { key, owner }
    }

    pub(in crate::store) fn is_event(&self) -> bool {
        self.key.endpoint.0 == 0
    }

    /// Whether a listing of `scope` shows it.
    pub(in crate::store) fn is_in(&self, scope: Scope) -> bool {
        match scope {
            Scope::Events(no) => self.is_event() && self.owner == no,
            Scope::Tenant(no) => !self.is_event() && self.owner == no,
            Scope::Endpoint(no) => self.key.endpoint == no,
        }
    }

    /// Whose listings show it.
    pub(in crate::store) fn scopes(&self) -> impl Iterator<Item = Scope> + use<> {
        let (first, second) = if self.is_event() {
            (Scope::Events(self.owner), None)
        } else {
            (Scope::Tenant(self.owner), Some(Scope::Endpoint(self.key.endpoint)))
        };
        [Some(first), second].into_iter().flatten()
    }

    pub(in crate::store) fn rows(&self) -> impl Iterator<Item = IndexKey> + use<> {
        let DeliveryKey { event, endpoint } = self.key;
        self.scopes().map(move |scope| index_key(scope, event, endpoint))
    }
}

/// Entries that are on disk in their own tables, but not yet in the index.
#[derive(Default)]
pub(in crate::store) struct Tail {
    pub(in crate::store) entries: Vec<Entry>,
}

/// A flush under way: what is still to be written, and where the index will then stand.
pub(in crate::store) struct Flush {
    entries: Vec<Entry>,
    /// Those of `entries`, last first, once they were asked for.
    rows: Vec<IndexRow>,
    /// How many entries of the tail it writes.
    pub(in crate::store) count: usize,
    pub(in crate::store) up_to: u64,
}

/// A row of the index.
pub(in crate::store) type IndexRow = (IndexKey, ());

impl Flush {
    /// Of entries that are on disk, or will be before its first row.
    pub(in crate::store) fn of(entries: Vec<Entry>, up_to: u64) -> Self {
        Self { count: entries.len(), entries, rows: Vec::new(), up_to }
    }

    /// Takes the next rows, in order.
    pub(in crate::store) fn take(&mut self, most: usize) -> Vec<IndexRow> {
        if !self.entries.is_empty() {
            self.rows = std::mem::take(&mut self.entries).iter().flat_map(Entry::rows).map(|row| (row, ())).collect();
            self.rows.sort_unstable_by(|a, b| b.cmp(a));
        }
        let mut next = self.rows.split_off(self.rows.len().saturating_sub(most));
        next.reverse();
        next
    }

    /// Whether all of it was taken.
    pub(in crate::store) fn is_over(&self) -> bool {
        self.entries.is_empty() && self.rows.is_empty()
    }
}

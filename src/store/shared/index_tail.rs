//! The entries that listings must show and that are not in the index table yet.

use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::store::record::key::{IndexKey, Scope, index_key};

/// An event, or a delivery of an event, that listings must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Entry {
    pub(in crate::store) key: DeliveryKey,
    pub(in crate::store) owner: TenantNo,
}

impl Entry {
    /// The entry of an event itself. Its endpoint number is 0, which no endpoint has.
    pub(in crate::store) fn event(event: EventKey, owner: TenantNo) -> Self {
        Self { key: DeliveryKey { event, endpoint: EndpointNo(0) }, owner }
    }

    pub(in crate::store) fn delivery(key: DeliveryKey, owner: TenantNo) -> Self {
        Self { key, owner }
    }

    pub(in crate::store) fn is_event(&self) -> bool {
        self.key.endpoint.0 == 0
    }

    /// Whether a listing of `scope` shows the entry.
    pub(in crate::store) fn is_in(&self, scope: Scope) -> bool {
        match scope {
            Scope::Events(no) => self.is_event() && self.owner == no,
            Scope::Tenant(no) => !self.is_event() && self.owner == no,
            Scope::Endpoint(no) => self.key.endpoint == no,
        }
    }

    /// The scopes whose listings show the entry.
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

/// Entries that are on disk in their own tables but not in the index.
#[derive(Default)]
pub(in crate::store) struct Tail {
    pub(in crate::store) entries: Vec<Entry>,
}

/// A flush under way: the rows that are still to be written, and how far the index will then reach.
pub(in crate::store) struct Flush {
    entries: Vec<Entry>,
    /// The rows of `entries` from the last to the first, made when the first rows are taken.
    rows: Vec<IndexRow>,
    /// How many entries of the tail the flush writes.
    pub(in crate::store) count: usize,
    pub(in crate::store) up_to: u64,
}

/// A row of the index.
pub(in crate::store) type IndexRow = (IndexKey, ());

impl Flush {
    /// A flush of `entries`, which must be on disk before its first row is. `up_to` is the last event key that the index will
    /// then hold.
    pub(in crate::store) fn new(entries: Vec<Entry>, up_to: u64) -> Self {
        Self { count: entries.len(), entries, rows: Vec::new(), up_to }
    }

    /// Takes the next rows, at most `most`, in order.
    pub(in crate::store) fn take(&mut self, most: usize) -> Vec<IndexRow> {
        if !self.entries.is_empty() {
            self.rows = std::mem::take(&mut self.entries).iter().flat_map(Entry::rows).map(|row| (row, ())).collect();
            self.rows.sort_unstable_by(|a, b| b.cmp(a));
        }
        let mut next = self.rows.split_off(self.rows.len().saturating_sub(most));
        next.reverse();
        next
    }

    /// Whether all rows were taken.
    pub(in crate::store) fn is_over(&self) -> bool {
        self.entries.is_empty() && self.rows.is_empty()
    }
}

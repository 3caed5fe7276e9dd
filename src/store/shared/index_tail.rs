//! The entries that listings must show and that are not in the tables of the index yet.

use crate::domain::id::{AttemptKey, DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::store::record::key::{AttemptIndexKey, IndexKey, Scope, attempt_index_key, index_key};

/// What a flush writes: an entry, and its rows of `N` bytes in one table of the index.
pub(in crate::store) trait Indexed<const N: usize>: Copy {
    fn rows(&self) -> impl Iterator<Item = [u8; N]>;
}

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
}

impl Indexed<{ size_of::<IndexKey>() }> for Entry {
    fn rows(&self) -> impl Iterator<Item = IndexKey> {
        let DeliveryKey { event, endpoint } = self.key;
        self.scopes().map(move |scope| index_key(scope, event, endpoint))
    }
}

/// An attempt that ended, and the tenant whose list shows it beside that of its webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct EndedAttempt {
    pub(in crate::store) key: AttemptKey,
    pub(in crate::store) owner: TenantNo,
}

impl EndedAttempt {
    /// The scopes whose listings show it.
    pub(in crate::store) fn scopes(&self) -> [Scope; 2] {
        [Scope::Tenant(self.owner), Scope::Endpoint(self.key.delivery.endpoint)]
    }
}

impl Indexed<{ size_of::<AttemptIndexKey>() }> for EndedAttempt {
    fn rows(&self) -> impl Iterator<Item = AttemptIndexKey> {
        let key = self.key;
        self.scopes().into_iter().map(move |scope| attempt_index_key(scope, key))
    }
}

/// What is on disk in its own tables but not in those of the index.
#[derive(Default)]
pub(in crate::store) struct Tail {
    pub(in crate::store) entries: Vec<Entry>,
    /// Attempts in the order of their ends.
    pub(in crate::store) attempts: Vec<EndedAttempt>,
    /// The number of the newest attempt that ended, which is the last of `attempts` where that has any.
    pub(in crate::store) ended: u64,
}

impl Tail {
    pub(in crate::store) fn len(&self) -> usize {
        self.entries.len() + self.attempts.len()
    }

    /// At most `most` attempts with numbers past `after`, in order. `None`: not all of them are here any more.
    pub(in crate::store) fn ended_after(&self, after: u64, most: usize) -> Option<&[EndedAttempt]> {
        let wanted = usize::try_from(self.ended.checked_sub(after)?).ok()?;
        let first = self.attempts.len().checked_sub(wanted)?;
        Some(&self.attempts[first..first + wanted.min(most)])
    }
}

/// The flush of one table under way: the rows that are still to be written, and how far the table will then reach.
pub(in crate::store) struct Flush<E, const N: usize> {
    entries: Vec<E>,
    /// The rows of `entries` from the last to the first, made when the first rows are taken.
    rows: Vec<([u8; N], ())>,
    pub(in crate::store) reaches: Reach,
}

/// What is written once a flush of one table has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Reach {
    /// How many entries of the tail the table then holds.
    pub(in crate::store) count: usize,
    /// The last event key, or the number of the last attempt, that the table then holds.
    pub(in crate::store) up_to: u64,
}

impl<E: Indexed<N>, const N: usize> Flush<E, N> {
    /// A flush of `entries`, which must be on disk before its first row is. `up_to` is the last event key, or the number of the last
    /// attempt, that the table will then hold.
    pub(in crate::store) fn new(entries: Vec<E>, up_to: u64) -> Self {
        Self { reaches: Reach { count: entries.len(), up_to }, entries, rows: Vec::new() }
    }

    /// Takes the next rows, at most `most`, in order.
    pub(in crate::store) fn take(&mut self, most: usize) -> Vec<([u8; N], ())> {
        if !self.entries.is_empty() {
            let entries = std::mem::take(&mut self.entries);
            self.rows = entries.iter().flat_map(Indexed::rows).map(|row| (row, ())).collect();
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

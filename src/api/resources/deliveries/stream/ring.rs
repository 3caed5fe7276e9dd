//! The last rows of the stream, which all readers share. A reader has a place in it, and a count of the rows of its scope up to there.
//!
//! Each row knows its number among all rows, among those of its provider and among those of its tenant. A reader that finds a gap in
//! the numbers of its scope has lost exactly as many rows, whether the ring passed it by or the task that fills the ring was late.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Asked;
use super::cursor::Place;
use super::frame::Frame;
use crate::api::random;
use crate::api::response::problem::Problem;
use crate::store::{Missed, Owned, Reached, View};

/// Whose rows a reader is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Provider(Box<str>),
    Tenant(Owned),
}

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    /// The delivery as the change left it, by which the row is judged.
    pub(super) view: Arc<View>,
    pub(super) frame: Frame,
    pub(super) place: Place,
    number: Numbers,
}

/// The number of a row, from 1, in each scope that shows it.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    all: u64,
    provider: u64,
    tenant: u64,
}

/// The rows, and the counts of all that there were.
#[derive(Default)]
pub(super) struct Ring {
    /// Drawn at the begin. 0 for a ring that nobody fills.
    id: u32,
    rows: VecDeque<Arc<Row>>,
    bytes: usize,
    /// The number of the newest row.
    newest: u64,
    reached: Reached,
    all: u64,
    providers: HashMap<Box<str>, u64>,
    tenants: HashMap<Owned, u64>,
}

/// Where a reader is.
#[derive(Clone, Debug)]
pub(super) struct At {
    /// The last row that it has passed.
    pub(super) place: Place,
    /// How many rows of its scope there were up to there.
    counted: u64,
}

/// What a reader finds when it goes on.
pub(super) struct Found {
    pub(super) rows: Vec<Arc<Row>>,
    /// Where it is when it has passed all of these rows, if these were the last.
    end: Option<At>,
}

impl Found {
    /// Whether nothing stands behind these rows.
    pub(super) fn is_end(&self) -> bool {
        self.end.is_some()
    }
}

impl Scope {
    pub(super) fn has(&self, provider: &str, tenant: &str) -> bool {
        match self {
            Self::All => true,
            Self::Provider(own) => **own == *provider,
            Self::Tenant(own) => *own.provider == *provider && *own.tenant == *tenant,
        }
    }

    /// Whether it may show rows of several tenants.
    pub(super) fn is_of_many(&self) -> bool {
        !matches!(self, Self::Tenant(_))
    }
}

impl Row {
    /// Whether the row belongs to a scope.
    fn is_in(&self, scope: &Scope) -> bool {
        scope.has(&self.view.endpoint.provider, &self.view.endpoint.tenant)
    }

    fn number_in(&self, scope: &Scope) -> u64 {
        match scope {
            Scope::All => self.number.all,
            Scope::Provider(_) => self.number.provider,
            Scope::Tenant(_) => self.number.tenant,
        }
    }
}

impl Ring {
    /// A ring of rows behind `reached`.
    pub(super) fn begin(reached: Reached) -> Result<Self, Problem> {
        let id = u32::from_be_bytes(random::bytes()?).max(1);
        Ok(Self { id, reached, ..Self::default() })
    }

    /// Whether somebody fills it.
    pub(super) fn is_open(&self) -> bool {
        self.id != 0
    }

    /// The place of the row that comes next, which is printed into it.
    pub(super) fn next_place(&self, reached: Reached) -> Place {
        Place { ring: self.id, row: self.newest + 1, reached }
    }

    /// Adds a row at the place that [`Self::next_place`] gave.
    pub(super) fn add(&mut self, view: Arc<View>, frame: Frame, place: Place) {
        let number = self.count(&view.endpoint.provider, &view.endpoint.tenant, 1);
        (self.newest, self.reached) = (place.row, place.reached);
        let row = Row { view, frame, place, number };
        self.bytes += row.bytes();
        self.rows.push_back(Arc::new(row));
        while (self.rows.len() > ROWS_MAX || self.bytes > BYTES_MAX)
            && let Some(oldest) = self.rows.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }

    /// Counts rows that will never come.
    pub(super) fn miss(&mut self, missed: &Missed) {
        self.count(&missed.endpoint.provider, &missed.endpoint.tenant, missed.rows);
    }

    fn count(&mut self, provider: &str, tenant: &str, rows: u64) -> Numbers {
        self.all += rows;
        let of_provider = self.providers.entry(provider.into()).or_default();
        *of_provider += rows;
        let of_tenant = self.tenants.entry(Owned { provider: provider.into(), tenant: tenant.into() }).or_default();
        *of_tenant += rows;
        Numbers { all: self.all, provider: *of_provider, tenant: *of_tenant }
    }

    fn counted(&self, scope: &Scope) -> u64 {
        match scope {
            Scope::All => self.all,
            Scope::Provider(provider) => self.providers.get(provider).copied().unwrap_or_default(),
            Scope::Tenant(owned) => self.tenants.get(owned).copied().unwrap_or_default(),
        }
    }

    /// Where a reader begins: behind the last row that it has seen if the ring knows that, else at the end. The second is how far the
    /// reader has seen the log, where it has to read on in that first.
    pub(super) fn enter(&self, scope: &Scope, seen: Option<Place>) -> (At, Option<Reached>) {
        let is_here = |seen: &Place| seen.ring == self.id && self.holds_all_behind(seen.row);
        match seen {
            Some(seen) if is_here(&seen) => {
                let mut behind = self.rows.iter().skip_while(|row| row.place.row <= seen.row).filter(|row| row.is_in(scope));
                let counted = behind.next().map_or_else(|| self.counted(scope), |row| row.number_in(scope) - 1);
                (At { place: seen, counted }, None)
            }
            seen => (self.end(scope), seen.map(|seen| seen.reached)),
        }
    }

    fn holds_all_behind(&self, row: u64) -> bool {
        row <= self.newest && row + 1 >= self.first()
    }

    /// The number of the oldest row that there is, or of the next one.
    fn first(&self) -> u64 {
        self.rows.front().map_or(self.newest + 1, |row| row.place.row)
    }

    fn end(&self, scope: &Scope) -> At {
        At { place: Place { ring: self.id, row: self.newest, reached: self.reached }, counted: self.counted(scope) }
    }

    /// Whether there are rows behind a place, or this ring is another one.
    pub(super) fn has_behind(&self, place: &Place) -> bool {
        self.id != place.ring || place.row < self.newest
    }

    /// At most [`READ_MAX`] rows behind a place. `None`: the ring is another one.
    pub(super) fn read(&self, scope: &Scope, place: &Place) -> Option<Found> {
        if self.id != place.ring {
            return None;
        }
        let first = usize::try_from((place.row + 1).saturating_sub(self.first())).unwrap_or(usize::MAX);
        let rows: Vec<_> = self.rows.iter().skip(first).take(READ_MAX).cloned().collect();
        let is_end = rows.last().map_or(place.row, |row| row.place.row) == self.newest;
        Some(Found { rows, end: is_end.then(|| self.end(scope)) })
    }
}

impl Row {
    fn bytes(&self) -> usize {
        self.frame.bytes() + size_of::<Self>() + size_of::<View>()
    }
}

impl At {
    /// Goes over a row. Gives how many rows of the scope were lost before it, and whether it is one that is shown.
    pub(super) fn pass(&mut self, row: &Row, asked: &Asked) -> (u64, bool) {
        self.place = row.place;
        if !row.is_in(&asked.scope) {
            return (0, false);
        }
        let lost = (row.number_in(&asked.scope) - 1).saturating_sub(self.counted);
        self.counted = row.number_in(&asked.scope);
        let is_wanted = asked.webhook.is_none_or(|no| no == row.view.endpoint.no) && asked.filter.holds(&row.view);
        (lost, is_wanted)
    }

    /// Goes to the end of what was found. Gives how many rows of the scope were lost on the way.
    pub(super) fn pass_end(&mut self, found: Found) -> u64 {
        let Some(end) = found.end else { return 0 };
        let lost = end.counted.saturating_sub(self.counted);
        *self = end;
        lost
    }
}

/// A reader that is so many rows behind loses what is older.
const ROWS_MAX: usize = 10_000;

/// Rows with large responses are fewer.
const BYTES_MAX: usize = 32 << 20;

/// So many rows are looked at under the lock.
const READ_MAX: usize = 256;

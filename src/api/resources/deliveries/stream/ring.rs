//! The last rows of the stream, which all readers share. A reader has a place in it, and a count of the rows of its scope up to there.
//!
//! Each row knows its number among all rows, among those of its provider and among those of its tenant. A reader that finds a gap in
//! the numbers of its scope has lost exactly as many rows, whether the ring passed it by or the task that fills the ring was late.
//!
//! A row keeps of its webhook only the number and the owner. A webhook's settings may be large and change often, and 10,000 rows would
//! keep as many versions of them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Asked;
use super::cursor::Place;
use super::frame::Frame;
use crate::api::random;
use crate::api::response::problem::Problem;
use crate::domain::id::EndpointNo;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::{Facts, Missed, Owned, Reached, View};

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
    facts: Facts<Box<str>>,
    owner: Arc<Owned>,
    webhook: EndpointNo,
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

/// A row that was printed and is not in the ring yet.
pub(super) struct Printed {
    pub(super) view: Arc<View>,
    pub(super) frame: Frame,
    pub(super) place: Place,
}

/// The rows, and the counts of all that there were.
#[derive(Default)]
pub(super) struct Ring {
    /// Drawn at the begin. 0 for a ring that nobody fills.
    id: u32,
    rows: VecDeque<Arc<Row>>,
    /// A reader that is so many rows behind loses what is older.
    rows_max: usize,
    bytes: usize,
    /// The number of the newest row.
    newest: u64,
    /// Behind the row with this number rows are missing that never came.
    hole: Option<u64>,
    reached: Reached,
    all: u64,
    providers: HashMap<Box<str>, u64>,
    tenants: HashMap<Arc<Owned>, u64>,
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
    /// Those of its scope.
    pub(super) rows: Vec<Arc<Row>>,
    /// The last row that was looked at, if there was any.
    last: Option<Place>,
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
        scope.has(&self.owner.provider, &self.owner.tenant)
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
        Ok(Self { id, reached, rows_max: ROWS_MAX, ..Self::default() })
    }

    /// Whether somebody fills it.
    pub(super) fn is_open(&self) -> bool {
        self.id != 0
    }

    /// The place behind which the next rows are printed.
    pub(super) fn newest_place(&self) -> Place {
        Place { row: self.newest, ..self.end(&Scope::All).place }
    }

    /// Adds what came at once: first the rows that will never come, then rows at places that follow each other. So no reader comes
    /// between two of them.
    pub(super) fn extend(&mut self, missed: &[Missed], rows: Vec<Printed>, reached: Option<Reached>) {
        missed.iter().for_each(|missed| self.miss(missed));
        rows.into_iter().for_each(|row| self.add(row));
        self.reached = reached.unwrap_or(self.reached);
    }

    fn add(&mut self, printed: Printed) {
        let Printed { view, frame, place } = printed;
        let (owner, number) = self.count(&view.endpoint, 1);
        self.newest = place.row;
        let row = Row { facts: view.kept_facts(), owner, webhook: view.endpoint.no, frame, place, number };
        self.bytes += row.bytes();
        self.rows.push_back(Arc::new(row));
        while (self.rows.len() > self.rows_max || self.bytes > BYTES_MAX)
            && let Some(oldest) = self.rows.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }

    /// Counts rows that will never come.
    fn miss(&mut self, missed: &Missed) {
        self.hole = Some(self.newest);
        self.count(&missed.endpoint, missed.rows);
    }

    fn count(&mut self, of: &Endpoint, rows: u64) -> (Arc<Owned>, Numbers) {
        self.all += rows;
        let of_provider = self.providers.entry(of.provider.clone()).or_default();
        *of_provider += rows;
        let owner = Owned { provider: of.provider.clone(), tenant: of.tenant.clone() };
        let (owner, of_tenant) = match self.tenants.get_key_value(&owner) {
            Some((known, count)) => (known.clone(), *count + rows),
            None => (Arc::new(owner), rows),
        };
        self.tenants.insert(owner.clone(), of_tenant);
        (owner, Numbers { all: self.all, provider: *of_provider, tenant: of_tenant })
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
    pub(super) fn enter(&self, scope: &Scope, seen: Option<Place>) -> (At, Option<Place>) {
        let is_here = |seen: &Place| self.is_open() && seen.ring == self.id && self.holds_all_behind(seen.row);
        match seen {
            Some(seen) if is_here(&seen) => {
                let mut behind = self.rows.iter().skip_while(|row| row.place.row <= seen.row).filter(|row| row.is_in(scope));
                let counted = behind.next().map_or_else(|| self.counted(scope), |row| row.number_in(scope) - 1);
                (At { place: seen, counted }, None)
            }
            seen => (self.end(scope), seen),
        }
    }

    fn holds_all_behind(&self, row: u64) -> bool {
        row <= self.newest && row + 1 >= self.first() && self.hole.is_none_or(|hole| row > hole)
    }

    /// The number of the oldest row that there is, or of the next one.
    fn first(&self) -> u64 {
        self.rows.front().map_or(self.newest + 1, |row| row.place.row)
    }

    fn end(&self, scope: &Scope) -> At {
        let place = Place { ring: self.id, row: self.newest, ..Place::in_log(self.reached) };
        At { place, counted: self.counted(scope) }
    }

    /// Whether there are rows behind a place, or this ring is another one.
    pub(super) fn has_behind(&self, place: &Place) -> bool {
        self.id != place.ring || place.row < self.newest
    }

    /// The rows of a scope among [`READ_MAX`] rows behind a place. `None`: the ring is another one.
    pub(super) fn read(&self, scope: &Scope, place: &Place) -> Option<Found> {
        if self.id != place.ring {
            return None;
        }
        let first = usize::try_from((place.row + 1).saturating_sub(self.first())).unwrap_or(usize::MAX);
        let behind = || self.rows.range(first.min(self.rows.len())..).take(READ_MAX);
        let last = behind().next_back().map(|row| row.place);
        let is_end = last.unwrap_or(*place).row == self.newest;
        let rows = behind().filter(|row| row.is_in(scope)).cloned().collect();
        Some(Found { rows, last, end: is_end.then(|| self.end(scope)) })
    }
}

impl Row {
    fn bytes(&self) -> usize {
        self.frame.bytes() + self.facts.kind.len() + size_of::<Self>()
    }
}

impl At {
    /// Goes over a row of the scope. Gives how many rows of the scope were lost before it, and whether it is one that is shown.
    pub(super) fn pass(&mut self, row: &Row, asked: &Asked) -> (u64, bool) {
        self.place = row.place;
        let lost = (row.number_in(&asked.scope) - 1).saturating_sub(self.counted);
        self.counted = row.number_in(&asked.scope);
        let is_wanted = asked.webhook.is_none_or(|no| no == row.webhook) && asked.filter.holds(&row.facts);
        (lost, is_wanted)
    }

    /// Goes to the end of what was found. Gives how many rows of the scope were lost on the way.
    pub(super) fn pass_end(&mut self, found: Found) -> u64 {
        self.place = found.last.unwrap_or(self.place);
        let Some(end) = found.end else { return 0 };
        let lost = end.counted.saturating_sub(self.counted);
        *self = end;
        lost
    }
}

/// The most rows of a ring.
const ROWS_MAX: usize = 10_000;

/// Rows with large responses are fewer.
const BYTES_MAX: usize = 32 << 20;

/// So many rows are looked at under the lock.
const READ_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::delivery::{Delivery, QueuePosition};
    use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, Node};
    use crate::domain::time::Timestamp;
    use crate::domain::webhook::endpoint::fixture::endpoint;
    use crate::store::{Filter, Status};

    fn ring(rows_max: usize) -> Ring {
        Ring { rows_max, ..Ring::begin(Reached { attempts: 5, at: Timestamp::from_secs(9) }).expect("random bytes") }
    }

    fn tenant(number: u8) -> Owned {
        Owned { provider: "acme".into(), tenant: format!("t{number}").into() }
    }

    fn view(number: u64, tenant: u8) -> Arc<View> {
        let key = DeliveryKey { event: EventKey(number), endpoint: EndpointNo(1) };
        let mut endpoint = endpoint(&["*"]);
        endpoint.tenant = self::tenant(tenant).tenant;
        let delivery = Delivery::published(key, QueuePosition::Backlog(number));
        let (event_id, kind) = ("evt_1".into(), if number.is_multiple_of(2) { "a.even".into() } else { "a.odd".into() });
        Arc::new(View { delivery, event_id, kind, endpoint: Arc::new(endpoint), status: Status::Pending, error: None })
    }

    fn add(ring: &mut Ring, number: u64, tenant: u8) {
        extend(ring, &[], &[(number, tenant)]);
    }

    /// Adds what one commit of the event with the highest number brought.
    fn extend(ring: &mut Ring, missed: &[Missed], rows: &[(u64, u8)]) {
        let newest = rows.iter().map(|(number, _)| *number).max().unwrap_or(0);
        let reached = Reached { attempts: 5 + newest, at: Timestamp::from_secs(newest) };
        let printed = |(at, (number, tenant)): (u64, &(u64, u8))| {
            let (view, place) = (view(*number, *tenant), Place { row: at, reached, ..ring.newest_place() });
            Printed { frame: Frame::delivery(Node(1), &view, &place), view, place }
        };
        let rows = (ring.newest + 1..).zip(rows).map(printed).collect();
        ring.extend(missed, rows, Some(reached));
    }

    fn missed(rows: u64) -> Missed {
        Missed { endpoint: view(1, 1).endpoint.clone(), rows }
    }

    fn asked(scope: Scope) -> Asked {
        Asked { scope, filter: Filter::default(), webhook: None }
    }

    /// Reads to the end: the events that are shown, and how many rows were lost.
    fn read(ring: &Ring, at: &mut At, asked: &Asked) -> (Vec<u64>, u64) {
        let (mut shown, mut lost) = (Vec::new(), 0);
        loop {
            let found = ring.read(&asked.scope, &at.place).expect("the same ring");
            for row in &found.rows {
                let (missed, is_shown) = at.pass(row, asked);
                lost += missed;
                shown.extend(is_shown.then_some(row.facts.event.0));
            }
            let is_end = found.is_end();
            lost += at.pass_end(found);
            if is_end {
                return (shown, lost);
            }
        }
    }

    #[test]
    fn a_reader_that_falls_behind_is_told_exactly_what_it_lost() {
        let (mut ring, asked) = (ring(10), asked(Scope::Tenant(tenant(1))));
        let (mut at, _) = ring.enter(&asked.scope, None);
        (0..30).for_each(|number| add(&mut ring, number, u8::from(number % 3 == 0)));
        assert_eq!(read(&ring, &mut at, &asked), (vec![21, 24, 27], 7));
        (30..60).for_each(|number| add(&mut ring, number, 7));
        assert_eq!(read(&ring, &mut at, &asked), (vec![], 0), "what others lost is none of its business");
        add(&mut ring, 60, 1);
        (61..90).for_each(|number| add(&mut ring, number, 7));
        assert_eq!(read(&ring, &mut at, &asked), (vec![], 1), "also when nothing of its own came behind");
    }

    #[test]
    fn rows_that_never_came_are_lost_too() {
        let (mut ring, asked) = (ring(10), asked(Scope::All));
        let (mut at, _) = ring.enter(&asked.scope, None);
        add(&mut ring, 1, 1);
        extend(&mut ring, &[missed(4)], &[]);
        assert_eq!(read(&ring, &mut at, &asked), (vec![1], 4));
        add(&mut ring, 2, 1);
        assert_eq!(read(&ring, &mut at, &asked), (vec![2], 0), "each is told once");
    }

    #[test]
    fn large_rows_give_way_sooner() {
        let mut ring = ring(1_000);
        add(&mut ring, 0, 1);
        ring.bytes = BYTES_MAX;
        add(&mut ring, 1, 1);
        assert_eq!((ring.rows.len(), ring.first()), (1, 2));
    }

    #[test]
    fn filters_are_each_readers_own() {
        let mut ring = ring(10);
        let even = Filter { kind: crate::domain::webhook::pattern::Pattern::parse("a.even").ok(), ..Filter::default() };
        let readers = [
            asked(Scope::All),
            Asked { filter: even, ..asked(Scope::All) },
            Asked { webhook: Some(EndpointNo(9)), ..asked(Scope::All) },
        ];
        let mut places: Vec<At> = readers.iter().map(|asked| ring.enter(&asked.scope, None).0).collect();
        (0..4).for_each(|number| add(&mut ring, number, 1));
        let shown = readers.iter().zip(&mut places).map(|(asked, at)| read(&ring, at, asked));
        assert_eq!(shown.collect::<Vec<_>>(), [(vec![0, 1, 2, 3], 0), (vec![0, 2], 0), (vec![], 0)]);
    }

    #[test]
    fn another_ring_is_read_on_from_the_log() {
        let (mut old, mut new) = (ring(3), ring(3));
        new.id = old.id.wrapping_add(1).max(1);
        (0..9).for_each(|number| add(&mut old, number, 1));
        let seen = |row| Place { ring: old.id, row, ..Place::in_log(Reached { attempts: 7, at: Timestamp::EPOCH }) };
        assert!(new.enter(&Scope::All, Some(seen(9))).1.is_some() && new.read(&Scope::All, &seen(9)).is_none());
        assert_eq!(old.enter(&Scope::All, Some(seen(4))).1, Some(seen(4)), "the ring has passed it by");
        let (mut at, missed) = old.enter(&Scope::All, Some(seen(7)));
        assert_eq!((missed, read(&old, &mut at, &asked(Scope::All))), (None, (vec![7, 8], 0)));
        assert!(old.enter(&Scope::All, Some(seen(99))).1.is_some(), "no row has that number yet");
    }

    #[test]
    fn a_reader_that_comes_back_behind_missed_rows_reads_the_log() {
        let (mut ring, asked) = (ring(10), asked(Scope::All));
        add(&mut ring, 1, 1);
        let seen = Place { row: ring.newest, ..ring.newest_place() };
        extend(&mut ring, &[missed(4)], &[(2, 1)]);
        let (mut at, gap) = ring.enter(&asked.scope, Some(seen));
        assert_eq!((gap, read(&ring, &mut at, &asked)), (Some(seen), (vec![], 0)), "the log has all five");
        let behind = ring.newest_place();
        add(&mut ring, 3, 1);
        assert_eq!(ring.enter(&asked.scope, Some(behind)).1, None, "nothing was missed since");
    }

    #[test]
    fn no_reader_has_a_place_in_a_ring_that_nobody_fills() {
        let unfilled = Ring::default();
        let seen = Place::in_log(Reached { attempts: 7, at: Timestamp::EPOCH });
        assert_eq!(unfilled.enter(&Scope::All, Some(seen)).1, Some(seen));
    }

    #[test]
    fn a_row_keeps_no_version_of_its_webhook() {
        let (mut ring, view) = (ring(10), view(1, 1));
        let place = Place { row: 1, ..ring.newest_place() };
        let printed = Printed { frame: Frame::delivery(Node(1), &view, &place), view: view.clone(), place };
        ring.extend(&[], vec![printed], None);
        assert_eq!((ring.rows.len(), Arc::strong_count(&view.endpoint)), (1, 1));
    }

    proptest! {
        /// Whatever comes and whenever it is read, a reader is shown each row of its scope once and in order, or is told that it is lost.
        #[test]
        fn what_is_shown_and_lost_is_all_that_came(
            steps in proptest::collection::vec((0..3u8, 0..12usize, any::<bool>()), 1..40),
            rows_max in 1..20usize,
        ) {
            let mut ring = ring(rows_max);
            let scopes = [Scope::All, Scope::Provider("acme".into()), Scope::Tenant(tenant(1))];
            for scope in scopes {
                let asked = asked(scope.clone());
                let (mut at, _) = ring.enter(&scope, None);
                let (mut came, mut shown, mut lost, mut number) = (Vec::new(), Vec::new(), 0, 0);
                for (tenant, count, comes_back) in &steps {
                    for _ in 0..*count {
                        number += 1;
                        add(&mut ring, number, *tenant);
                        came.extend((*tenant == 1 || scope.is_of_many()).then_some(number));
                    }
                    let (more, missed) = read(&ring, &mut at, &asked);
                    lost += missed;
                    shown.extend(more);
                    if *comes_back {
                        at = ring.enter(&scope, Some(at.place)).0;
                    }
                }
                prop_assert_eq!(shown.len() as u64 + lost, came.len() as u64);
                prop_assert!(shown.is_sorted_by(|a, b| a < b) && shown.iter().all(|one| came.contains(one)));
            }
        }
    }
}

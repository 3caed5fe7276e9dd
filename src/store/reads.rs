//! What the other rooms read of the store. Each read is `async`, since an engine may have to wait for its answer.
//!
//! The front decides where a read of the embedded engine runs. A read of a few rows is done when its future is first polled, on the
//! thread that polls it. A read that may look at many rows, or at rows that may be large, runs on a thread that may block. No read
//! keeps a snapshot behind its answer. What memory alone answers is in `shared/known.rs`, and is not `async`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::handle::Store;
use super::message::audit::{AuditFilter, AuditPage};
use super::message::change::{Ended, EndedAt, Unsent};
use super::message::command::Ready;
use super::message::history::Piece;
use super::message::tenant::{Tenant, TenantFilter, TenantPage};
use super::message::view::{
    Attempt, AttemptFilter, AttemptPage, AttemptView, Counts, Filter, Fit, Of, Owners, Page, Space, View, WebhookFilter,
    WebhookPage, WebhookView,
};
use super::redb::read::Reader;
use super::redb::read::begin::Begin;
use super::redb::read::sizes::TableSize;
use super::{Error, Owned};
use crate::budget::Share;
use crate::domain::delivery::tally::{Hour, Tally};
use crate::domain::event::Event;
use crate::domain::id::{AttemptKey, AuditKey, DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::metrics::Now;

impl Store {
    /// Waits until memory holds every change of webhooks, tenants, keys and event types that was answered before this call, wherever
    /// it was made. Then what memory does not know is not there. The only writer of the embedded engine changes memory before it
    /// answers, so there is nothing to wait for.
    pub(crate) async fn catch_up(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Reads what a ready delivery needs for its attempt. `room` is for its event, when it had to wait for that.
    pub(crate) async fn begin(&self, ready: &Ready, room: Option<Share>) -> Result<Begin, Error> {
        self.reader.begin(ready, room)
    }

    /// A tenant's event, or an event for all tenants of its provider, by the id on the wire. Its content is left out.
    pub(crate) async fn event_by_id(&self, owned: &Owned, id: &str) -> Result<Option<Event>, Error> {
        self.reader.event_by_id(std::slice::from_ref(owned), id)
    }

    /// The event with this id that one of the tenants has, or that is for all tenants of its provider. Its content is left out.
    pub(crate) async fn event_of_any(&self, tenants: Arc<[Owned]>, id: String) -> Result<Option<Event>, Error> {
        self.aside(move |reader| reader.event_by_id(&tenants, &id)).await
    }

    /// The keys of at most `limit` events of a tenant and of all tenants of its provider, oldest first, behind `after`.
    pub(crate) async fn event_keys(&self, owned: Owned, after: EventKey, limit: usize) -> Result<Vec<EventKey>, Error> {
        self.aside(move |reader| reader.event_keys(&owned, after, limit)).await
    }

    /// The first events with these keys, in their order, as many as there is room for. `None` stands for an event that is gone, or
    /// damaged. `Needs` says that there is no room for the first one.
    pub(crate) async fn events(&self, keys: Vec<EventKey>, space: Space) -> Result<Fit<Vec<Option<Event>>>, Error> {
        self.aside(move |reader| reader.events(&keys, space)).await
    }

    /// A delivery by its id. Whose it is, its webhook tells.
    pub(crate) async fn delivery(&self, id: &str) -> Result<Option<View>, Error> {
        self.reader.delivery(id)
    }

    pub(crate) async fn delivery_by_key(&self, key: DeliveryKey) -> Result<Option<View>, Error> {
        self.reader.delivery_by_key(key)
    }

    /// The deliveries with these keys, in their order. `None` stands for a delivery that is not there.
    pub(crate) async fn deliveries_by_key(&self, keys: Vec<DeliveryKey>) -> Result<Vec<Option<View>>, Error> {
        self.aside(move |reader| reader.deliveries_by_key(&keys)).await
    }

    /// A piece of a list, newest first, before `before`, of at most `limit` deliveries.
    pub(crate) async fn deliveries(
        &self,
        of: Of,
        filter: Filter,
        before: Option<DeliveryKey>,
        limit: usize,
    ) -> Result<Page, Error> {
        self.aside(move |reader| reader.deliveries(&of, &filter, before, limit)).await
    }

    /// How many deliveries a filter leaves by their status, which the filter itself does not name, among a bounded number of the
    /// newest.
    pub(crate) async fn delivery_counts(&self, of: Of, filter: Filter) -> Result<Counts, Error> {
        self.aside(move |reader| reader.delivery_counts(&of, &filter)).await
    }

    /// An attempt by its id. Whose it is, its webhook tells.
    pub(crate) async fn attempt_key(&self, id: String) -> Result<Option<AttemptKey>, Error> {
        self.aside(move |reader| reader.attempt_key(&id)).await
    }

    /// A piece of a list of attempts, newest first, before `before`, of at most `limit`.
    pub(crate) async fn attempt_keys(
        &self,
        of: Of,
        filter: AttemptFilter,
        before: Option<AttemptKey>,
        limit: usize,
    ) -> Result<AttemptPage, Error> {
        self.aside(move |reader| reader.attempt_keys(&of, &filter, before, limit)).await
    }

    /// The first of these attempts, in their order, as many as there is room for. `None` stands for an attempt that is gone, or
    /// damaged. `Needs` says that there is no room for the first one.
    pub(crate) async fn attempts_by_key(
        &self,
        keys: Vec<AttemptKey>,
        space: Space,
    ) -> Result<Fit<Vec<Option<AttemptView>>>, Error> {
        self.aside(move |reader| reader.attempts_by_key(&keys, space)).await
    }

    /// The attempts with numbers past `after`, up to `up_to`, in the order of commits. A call looks at a bounded number. `None`: not all
    /// of them are known by their numbers any more.
    pub(crate) async fn ended_after(&self, of: Of, after: u64, up_to: u64) -> Result<Option<Ended>, Error> {
        self.aside(move |reader| Ok(reader.ended_after(&of, after, up_to))).await
    }

    /// At most `limit` attempts that started past `after` and before `end`, in the order of their starts.
    pub(crate) async fn started_after(
        &self,
        of: Of,
        after: AttemptKey,
        end: Timestamp,
        limit: usize,
    ) -> Result<Vec<AttemptKey>, Error> {
        self.aside(move |reader| reader.started_after(&of, after, end, limit)).await
    }

    /// At most `limit` deliveries that ended without an attempt behind `after` and up to `last`, in the order of their ends. A call looks at
    /// a bounded number.
    pub(crate) async fn unsent_after(&self, of: Of, after: EndedAt, last: Timestamp, limit: usize) -> Result<Unsent, Error> {
        self.aside(move |reader| reader.unsent_after(&of, after, last, limit)).await
    }

    /// The first attempts of a delivery with these numbers, as many as there is room for. `None` stands for an attempt that is gone,
    /// or damaged. `Needs` says that there is no room for the first one.
    pub(crate) async fn attempts(
        &self,
        key: DeliveryKey,
        numbers: RangeInclusive<u16>,
        space: Space,
    ) -> Result<Fit<Vec<Option<Attempt>>>, Error> {
        self.aside(move |reader| reader.attempts(key, numbers, space)).await
    }

    /// At most `limit` of the webhooks that a filter leaves, in the order of their numbers, behind the number `after`.
    pub(crate) async fn webhooks_where(
        &self,
        filter: WebhookFilter,
        after: EndpointNo,
        limit: usize,
    ) -> Result<WebhookPage, Error> {
        self.aside(move |reader| reader.webhooks_where(&filter, after, limit)).await
    }

    /// Webhooks with the ends of their newest attempts, in the order given.
    pub(crate) async fn webhook_views(&self, webhooks: Vec<Arc<Endpoint>>) -> Result<Vec<WebhookView>, Error> {
        self.aside(move |reader| reader.webhook_views(&webhooks)).await
    }

    /// The numbers of the wanted webhooks of some owners. No webhook of another owner is looked at.
    pub(crate) async fn numbers_where(
        &self,
        of: Owners,
        wanted: impl Fn(&Endpoint) -> bool + Send + 'static,
    ) -> Result<BTreeSet<EndpointNo>, Error> {
        self.aside(move |reader| Ok(reader.shared.numbers_where(&of, wanted))).await
    }

    /// One tenant. `None` when there is none.
    pub(crate) async fn tenant(&self, owned: Owned) -> Result<Option<Tenant>, Error> {
        self.aside(move |reader| reader.tenant(&owned)).await
    }

    /// At most `limit` of the tenants that a filter leaves, oldest first, behind the number `after`. A call looks at a bounded number
    /// of tenants, and says where it came to.
    pub(crate) async fn tenants(&self, filter: TenantFilter, after: TenantNo, limit: usize) -> Result<TenantPage, Error> {
        self.aside(move |reader| reader.tenants(&filter, after, limit)).await
    }

    /// At most `limit` of the audit log's rows that a filter leaves, newest first, before `before`. A call looks at a bounded number of
    /// rows, and says where it came to.
    pub(crate) async fn audit(&self, filter: AuditFilter, before: Option<AuditKey>, limit: usize) -> Result<AuditPage, Error> {
        self.aside(move |reader| reader.audit(&filter, before, limit)).await
    }

    /// The wanted tenants, in no order.
    pub(crate) async fn tenants_where(&self, wanted: impl Fn(&Owned) -> bool + Send + 'static) -> Result<Arc<[Owned]>, Error> {
        self.aside(move |reader| Ok(reader.shared.tenants_where(wanted))).await
    }

    /// What the deliveries of webhooks came to, all hours added up. A day of them is in memory at once.
    pub(crate) async fn tally(&self, webhooks: Arc<BTreeSet<EndpointNo>>, hours: RangeInclusive<Hour>) -> Result<Tally, Error> {
        self.aside(move |reader| reader.tally(&webhooks, hours)).await
    }

    /// What the deliveries of webhooks came to, by the hour. An hour without deliveries is left out; each other takes some
    /// kilobytes of memory.
    pub(crate) async fn tallies(
        &self,
        webhooks: Arc<BTreeSet<EndpointNo>>,
        hours: RangeInclusive<Hour>,
    ) -> Result<BTreeMap<Hour, Tally>, Error> {
        self.aside(move |reader| reader.tallies(&webhooks, hours)).await
    }

    /// The newest event that the tables hold.
    pub(crate) async fn newest_event(&self) -> Result<EventKey, Error> {
        self.aside(Reader::newest_event).await
    }

    /// The history behind a row, of events up to `until`, until it has about `bytes`. The walk begins behind [`Store::settle`].
    pub(crate) async fn history(&self, after: DeliveryKey, until: EventKey, bytes: usize) -> Result<Piece, Error> {
        self.aside(move |reader| reader.history(after, until, bytes)).await
    }

    /// What each table takes of the store's file. Reads all of them.
    pub(crate) async fn table_sizes(&self) -> Result<Vec<TableSize>, Error> {
        self.aside(Reader::table_sizes).await
    }

    /// How much there is of what metrics show.
    pub(crate) async fn measured(&self) -> Result<Now, Error> {
        self.aside(Reader::measured).await
    }

    /// The size of the store's file, in bytes.
    pub(crate) async fn file_bytes(&self) -> u64 {
        self.reader.file_bytes()
    }

    /// Reads on a thread that may block.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let reader = self.reader.clone();
        tokio::task::spawn_blocking(move || read(&reader)).await.map_err(|_| Error::Stopping)?
    }
}

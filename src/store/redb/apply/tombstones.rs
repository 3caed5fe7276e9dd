//! What is left of deleted webhooks: id, name and URL, for the log that still shows their deliveries.
//!
//! A tombstone is the webhook's own row without its secrets; memory holds nothing of it. It goes when nothing in the log names it
//! any more: at once where the webhook had no delivery, so that webhooks which come and go leave nothing behind.
//!
//! **Cost.** Whether the tail of the index names a webhook can only be told by going through all of the tail, which readers and the
//! writer wait for meanwhile. So a deletion does not ask: each webhook knows whether it had a delivery since the start or in the tail
//! that was read then ([`Live::is_listed`]), and one that had is left to the sweep, which goes through the tail once a minute for all.
//!
//! [`Live::is_listed`]: crate::store::message::permit::Live::is_listed

use std::collections::HashSet;
use std::sync::Arc;

use redb::ReadableTable;

use crate::domain::id::{EndpointNo, EventKey, TenantNo};
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::error::{Error, intact};
use crate::store::record;
use crate::store::record::key::{IndexKey, Scope, index_key};
use crate::store::redb::batch::Batch;
use crate::store::redb::read::snapshot::Snapshot;
use crate::store::redb::schema::{self, ENDPOINT};
use crate::store::shared::registry::Entry;

impl Batch<'_, '_> {
    /// A webhook as this transaction has it; of a deleted one its tombstone.
    pub(in crate::store) fn entry_or_tombstone(&mut self, no: EndpointNo) -> Result<Option<Entry>, Error> {
        match self.entry(no) {
            Some(entry) => Ok(Some(entry)),
            None => self.tombstone(no),
        }
    }

    fn tombstone(&mut self, no: EndpointNo) -> Result<Option<Entry>, Error> {
        let sealer = &self.shared.sealer;
        let row = self.tables.endpoint()?.get(no.0)?;
        let left = intact(row.map(|row| record::read_endpoint(no, sealer, row.value())))?;
        Ok(left.map(|endpoint| Entry { endpoint: Arc::new(endpoint), live: Arc::default() }))
    }

    /// Removes the tombstones without a log among a slice of the webhooks; the next minute goes on behind it.
    pub(in crate::store) fn forget_tombstones(&mut self) -> Result<(), Error> {
        let found = self.next_tombstones()?;
        if found.is_empty() {
            return Ok(());
        }
        let named = self.named_by_the_tail();
        for no in found {
            if !named.contains(&no) {
                self.forget_unless_indexed(no)?;
            }
        }
        Ok(())
    }

    /// Notes that a webhook which is being deleted had no delivery that the tail could name. It gets none any more.
    pub(in crate::store) fn note_unlisted(&mut self, no: EndpointNo) {
        if self.entry(no).is_some_and(|entry| !entry.live.is_listed()) {
            self.memory.unlisted.insert(no);
        }
    }

    /// All that waited for a deleted webhook has ended: without a log nothing stays of it. Of one that had a delivery the sweep
    /// finds out whether a log is left.
    pub(in crate::store) fn forget_tombstone(&mut self, no: EndpointNo) -> Result<(), Error> {
        if self.memory.unlisted.remove(&no) { self.forget_unless_indexed(no) } else { Ok(()) }
    }

    fn forget_unless_indexed(&mut self, no: EndpointNo) -> Result<(), Error> {
        let works = self.memory.jobs.iter().any(|running| running.endpoint == no);
        if !works && !self.is_indexed(no)? {
            self.tables.endpoint()?.remove(no.0)?;
        }
        Ok(())
    }

    /// The rows of a slice that belong to no webhook that is known.
    fn next_tombstones(&mut self) -> Result<Vec<EndpointNo>, Error> {
        let first = self.memory.tombstones_swept.saturating_add(1);
        let mut slice = Vec::new();
        for row in self.tables.endpoint()?.range(first..)?.take(SLICE) {
            slice.push(EndpointNo(row?.0.value()));
        }
        self.memory.tombstones_swept = if slice.len() == SLICE { slice.last().map_or(0, |last| last.0) } else { 0 };
        let registry = self.shared.registry();
        slice.retain(|no| registry.entry(*no).is_none() && !self.after.changed.contains_key(no));
        Ok(slice)
    }

    /// The webhooks of deliveries that the index does not have yet.
    fn named_by_the_tail(&self) -> HashSet<EndpointNo> {
        let tail = self.shared.tail_mut();
        tail.entries.iter().chain(&self.after.index).map(|entry| entry.key.endpoint).collect()
    }

    fn is_indexed(&mut self, no: EndpointNo) -> Result<bool, Error> {
        let scope = Scope::Endpoint(no);
        let (first, last) =
            (index_key(scope, EventKey::MIN, EndpointNo(0)), index_key(scope, EventKey::MAX, EndpointNo(u32::MAX)));
        let found = self.tables.index()?.range::<&IndexKey>(&first..=&last)?.next().transpose()?;
        Ok(found.is_some())
    }
}

impl Snapshot<'_> {
    /// A webhook; of a deleted one its tombstone, as long as its log is kept.
    pub(in crate::store) fn webhook(&self, no: EndpointNo) -> Result<Option<Arc<Endpoint>>, Error> {
        if let Some(known) = self.shared().webhook_no(no) {
            return Ok(Some(known));
        }
        let row = schema::read(self.txn(), ENDPOINT)?.get(no.0)?;
        let left = row.map(|row| record::read_endpoint(no, &self.shared().sealer, row.value()));
        Ok(intact(left)?.map(Arc::new))
    }
}

/// Whose a webhook is that is known no more.
pub(in crate::store) fn owner_of(webhooks: &impl ReadableTable<u32, &'static [u8]>, no: EndpointNo) -> Result<TenantNo, Error> {
    let left = webhooks.get(no.0)?.map(|row| record::read_webhook_facts(no, row.value()));
    Ok(intact(left)?.map_or(TenantNo(0), |facts| facts.tenant_no))
}

/// Webhooks looked at in one minute.
const SLICE: usize = 10_000;

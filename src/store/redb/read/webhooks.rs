//! Webhooks as lists show them: page by page over many tenants, each with the end of its newest attempt.
//!
//! **Cost.** A page looks at [`LOOK`] webhooks at most, and reads the log of [`READ`] at most: of those whose newest attempt was
//! before the start, each once in the life of the process. It then ends where it came to, and says so. Everything here may take
//! milliseconds, so it belongs on a thread that may block.

use std::sync::Arc;

use super::Reader;
use super::snapshot::Snapshot;
use crate::domain::id::{DeliveryKey, EndpointNo};
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::Error;
use crate::store::message::last::{Known, LastAttempt};
use crate::store::message::view::{WebhookFilter, WebhookPage, WebhookView};
use crate::store::record::key::Scope;
use crate::store::shared::registry::Entry;

impl Reader {
    /// The webhooks that a filter leaves, in the order of their numbers, after one of them.
    pub(crate) fn webhooks_where(&self, filter: &WebhookFilter, after: EndpointNo, limit: usize) -> Result<WebhookPage, Error> {
        let mut page = WebhookPage { views: Vec::new(), next: Some(after) };
        let (mut looked, mut read) = (0, 0);
        while let Some(after) = page.next
            && page.views.len() < limit
            && looked < LOOK
            && read < READ
        {
            let slice = self.slice_of(filter, after);
            looked += slice.len();
            let whole = slice.len() < SLICE;
            let last = slice.last().map(|entry| entry.endpoint.no);
            let named = slice.into_iter().filter(|entry| is_meant(entry, filter)).collect();
            let (views, unknown) = self.viewed(named)?;
            read += unknown;
            page.views.extend(views.into_iter().filter(|view| filter.failing.is_none_or(|failing| failing == view.is_failing())));
            page.next = if whole { None } else { last };
        }
        if page.views.len() > limit {
            page.views.truncate(limit);
            page.next = page.views.last().map(|view| view.endpoint.no);
        }
        Ok(page)
    }

    /// Webhooks with the ends of their newest attempts, in the order given.
    pub(crate) fn webhook_views(&self, webhooks: &[Arc<Endpoint>]) -> Result<Vec<WebhookView>, Error> {
        let entries = {
            let registry = self.shared.registry();
            let entry = |endpoint: &Arc<Endpoint>| match registry.entry(endpoint.no) {
                Some(entry) => Entry { endpoint: endpoint.clone(), live: entry.live.clone() },
                None => Entry { endpoint: endpoint.clone(), live: Arc::default() },
            };
            webhooks.iter().map(entry).collect()
        };
        Ok(self.viewed(entries)?.0)
    }

    fn slice_of(&self, filter: &WebhookFilter, after: EndpointNo) -> Vec<Entry> {
        self.shared.registry().of(&filter.of, after).take(SLICE).cloned().collect()
    }

    /// The views, and for how many of them the log was read.
    fn viewed(&self, entries: Vec<Entry>) -> Result<(Vec<WebhookView>, usize), Error> {
        let unknown: Vec<&Entry> = entries.iter().filter(|entry| entry.live.last.known() == Known::Nothing).collect();
        let read = unknown.len();
        if read > 0 {
            self.learn(&unknown)?;
        }
        let view = |entry: Entry| {
            let last = match entry.live.last.known() {
                Known::Attempt(last) => Some(last),
                Known::Nothing | Known::NoAttempt => None,
            };
            WebhookView { endpoint: entry.endpoint, last }
        };
        Ok((entries.into_iter().map(view).collect(), read))
    }

    /// Looks the newest attempts up in the log, in one snapshot.
    fn learn(&self, unknown: &[&Entry]) -> Result<(), Error> {
        let scopes: Vec<Scope> = unknown.iter().map(|entry| Scope::Endpoint(entry.endpoint.no)).collect();
        let snapshot = Snapshot::of(self, &scopes)?;
        let mut newest = snapshot.newest_of_each(NEWEST)?;
        for entry in unknown {
            let keys = newest.remove(&entry.endpoint.no).unwrap_or_default();
            entry.live.last.learn(snapshot.last_attempt(&keys)?);
        }
        Ok(())
    }
}

impl Snapshot<'_> {
    /// The end of the attempt that ended last among those that are the newest of their deliveries.
    fn last_attempt(&self, keys: &[DeliveryKey]) -> Result<Option<LastAttempt>, Error> {
        let mut last: Option<LastAttempt> = None;
        for key in keys {
            let Some((_, Some(attempt))) = self.row(*key)? else { continue };
            let end = attempt.end();
            if last.is_none_or(|last| last.ended_at < end.ended_at) {
                last = Some(end);
            }
        }
        Ok(last)
    }
}

/// Whether a webhook has the name, the uid and the metadata that a filter asks for.
fn is_meant(entry: &Entry, filter: &WebhookFilter) -> bool {
    let definition = &entry.endpoint.definition;
    filter.name.as_ref().is_none_or(|name| *name == definition.name)
        && filter.uid.as_ref().is_none_or(|uid| definition.settings.uid.as_ref() == Some(uid))
        && definition.settings.metadata.has_all(&filter.metadata)
}

/// Webhooks that are taken out of the registry at once: readers of all calls wait for its lock.
const SLICE: usize = 250;

/// Webhooks that one page looks at.
const LOOK: usize = 10_000;

/// Webhooks for which one page reads the log, each some 20 rows.
const READ: usize = 1_000;

/// Deliveries among which a webhook's newest attempt is looked for: retries end in another order than they began.
const NEWEST: usize = 20;

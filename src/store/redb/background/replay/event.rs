//! An event that is published again, inside the writer: the new event and its link to the old one are one commit.

use crate::domain::event::Event;
use crate::domain::id::{DeliveryKey, EndpointNo};
use crate::store::Denied;
use crate::store::error::Error;
use crate::store::message::audit::{Origin, shown};
use crate::store::message::publication::{Accepted, Publication};
use crate::store::message::replay::{EventReplay, NotReplayed};
use crate::store::redb::batch::Batch;
use crate::store::rules::{publish, resend};
use crate::store::shared::index_tail::Entry as IndexEntry;

impl Batch<'_, '_> {
    /// Publishes an event again as a new one, and has both name the other.
    pub(in crate::store) fn replay_event(
        &mut self,
        replay: EventReplay,
        by: &Origin,
    ) -> Result<Result<Accepted, NotReplayed>, Error> {
        let Some(original) = self.event(replay.original)? else { return Ok(Err(NotReplayed::Denied(Denied::NoEvent))) };
        let accepted = match replay.webhook {
            None => self.accept(replay.publication)?.map_err(NotReplayed::Refused),
            Some(no) => self.accept_for(no, replay.publication)?.map_err(NotReplayed::Denied),
        };
        if let Ok(accepted) = &accepted {
            let webhook = replay.webhook.and_then(|no| self.entry(no)).map(|entry| entry.endpoint);
            self.audit(by, Some(shown::event_replayed(&original.event, &accepted.id, webhook.as_deref())))?;
            self.link(original.event, accepted)?;
        }
        Ok(accepted)
    }

    /// Takes a publication for one webhook, whatever that subscribes to.
    fn accept_for(&mut self, no: EndpointNo, publication: Publication) -> Result<Result<Accepted, Denied>, Error> {
        let Some(entry) = self.entry(no) else { return Ok(Err(Denied::NoWebhook)) };
        if let Err(denied) = resend::runs(&entry.endpoint) {
            return Ok(Err(denied));
        }
        let key = self.next_key();
        let stored = self.store_event(publication, key, 1)?;
        let accepted = publish::accepted(&stored.event, stored.deliveries);
        self.published(&stored.event, &accepted);
        self.of_provider(&stored.event.provider).events.inc();
        self.after.index.push(IndexEntry::event(key, entry.endpoint.tenant_no));
        let known = self.shared.bodies.keep(stored.event);
        self.place_new(DeliveryKey { event: key, endpoint: no }, known.as_ref())?;
        Ok(Ok(accepted))
    }

    /// Writes the link into both events.
    fn link(&mut self, original: Event, accepted: &Accepted) -> Result<(), Error> {
        if let Some(key) = self.shared.node.event_key(&accepted.id)
            && let Some(mut made) = self.event(key)?
        {
            made.event.links.get_or_insert_default().replay_of = Some(original.id);
            self.put_event(&made);
        }
        let Some(mut original) = self.event(original.key)? else { return Ok(()) };
        original.event.links.get_or_insert_default().add_replay(accepted.id.clone());
        self.put_event(&original);
        Ok(())
    }
}

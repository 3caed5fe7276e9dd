//! Replays that make new events: one of each old event, in the commit in which the walk passes the first of its deliveries.

use crate::domain::event::Links;
use crate::domain::id::{DeliveryKey, EventKey};
use crate::store::error::Error;
use crate::store::message::command::Lane;
use crate::store::message::publication::Publication;
use crate::store::message::replay::walk::Course;
use crate::store::message::replay::{Ids, NewIds, Replay};
use crate::store::record::StoredEvent;
use crate::store::redb::batch::{Batch, Piece};
use crate::store::rules::publish;
use crate::store::rules::resend::{self, anew};
use crate::store::shared::index_tail::Entry as IndexEntry;
use crate::store::shared::registry::Entry;

impl Batch<'_, '_> {
    /// Sends the deliveries of one old event to their webhooks as those of a new one; true when the walk did not have to stay before one.
    pub(super) fn send_anew(
        &mut self,
        replay: &mut Replay,
        (course, of_event): (Course, &[DeliveryKey]),
        piece: &Piece,
    ) -> Result<bool, Error> {
        let (Some(first), Ids::New(ids)) = (of_event.first(), replay.ids.clone()) else { return Ok(true) };
        let Some((original, publication)) = self.publication_anew(replay, &ids, first.event)? else {
            of_event.iter().for_each(|key| replay.walk.pass(course, *key));
            return Ok(true);
        };
        let mut webhooks = Vec::new();
        let is_whole = self.send_each_again(replay, (course, of_event), piece, Some(&mut webhooks))?;
        if !webhooks.is_empty() {
            let made = self.deliver_anew(replay, &ids, (original, publication), &webhooks)?;
            replay.ids = Ids::New(NewIds { newest: Some((first.event, made)), ..ids });
        }
        Ok(is_whole)
    }

    /// An old event, and the publication that it becomes. `None`: it is gone, or its dialect does not take it any more.
    fn publication_anew(
        &mut self,
        replay: &Replay,
        ids: &NewIds,
        event: EventKey,
    ) -> Result<Option<(StoredEvent, Publication)>, Error> {
        let Some(original) = self.event(event)? else { return Ok(None) };
        let dialect = self.dialect(&replay.owned.provider);
        let publication = anew::publication(&original.event, &replay.owned, dialect, &ids.environment, self.now);
        Ok(publication.map(|publication| (original, publication)))
    }

    /// Makes the deliveries of the new event to some webhooks, and the event where there is none of it yet.
    fn deliver_anew(
        &mut self,
        replay: &Replay,
        ids: &NewIds,
        old: (StoredEvent, Publication),
        webhooks: &[Entry],
    ) -> Result<EventKey, Error> {
        let count = u32::try_from(webhooks.len()).unwrap_or(u32::MAX);
        let made = ids.newest.filter(|(of, _)| *of == old.0.event.key).map(|(_, made)| self.event(made)).transpose()?.flatten();
        let (key, joins) = match made {
            Some(mut made) => {
                made.deliveries += count;
                self.put_event(&made);
                (made.event.key, true)
            }
            None => (self.publish_anew(replay, old, count)?, false),
        };
        for entry in webhooks {
            self.place_anew(replay, DeliveryKey { event: key, endpoint: entry.endpoint.no }, entry, joins)?;
        }
        Ok(key)
    }

    /// Writes the new event, and the link into the old one.
    fn publish_anew(&mut self, replay: &Replay, old: (StoredEvent, Publication), deliveries: u32) -> Result<EventKey, Error> {
        let (mut original, publication) = old;
        let (key, time) = (self.next_key(), self.body_time(&publication)?);
        let mut event = publish::event(publication, key, self.shared.node, time);
        event.links = Some(Box::new(Links { replay_of: Some(original.event.id.clone()), replays: Vec::new() }));
        let made = StoredEvent { event, deliveries, removed: 0 };
        self.add_event(&made);
        original.event.links.get_or_insert_default().add_replay(made.event.id.clone());
        self.put_event(&original);
        self.published(&made.event, &publish::accepted(&made.event, deliveries));
        self.of_provider(&made.event.provider).events.inc();
        self.after.index.push(IndexEntry::event(key, replay.tenant));
        Ok(key)
    }

    /// Makes one delivery of the new event. The index may be whole beyond an event that the delivery joins.
    fn place_anew(&mut self, replay: &Replay, key: DeliveryKey, entry: &Entry, joins: bool) -> Result<(), Error> {
        match joins {
            true => self.index(IndexEntry::delivery(key, entry.endpoint.tenant_no))?,
            false => self.list(key, entry),
        }
        self.restart(entry, resend::made_anew(key, replay.no, self.now), None, Lane::Replay)
    }
}

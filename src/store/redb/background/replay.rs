//! Replays, inside the writer: each slice of a walk sends deliveries again in one commit, and each outcome counts in its own.
//!
//! What a replay is and what it promises stands at [`Replay`]. The pieces of a walk are read
//! outside the writer, and come in as slices. A slice says where the walk stood when it was read; one that comes late changes nothing.
//!
//! The row of a replay is written once in each batch that moved it, beside the rows of its deliveries and into the same commit. So what
//! stands in it is true over crashes: a delivery is sent again when the walk has passed it, and counted when its own row says that it
//! has ended.

mod anew;
mod asked;
mod event;

use crate::domain::delivery::{Replayed, State};
use crate::domain::id::{DeliveryKey, ReplayNo, TenantNo};
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::error::Error;
use crate::store::message::command::Lane;
use crate::store::message::permit::QueuePermit;
use crate::store::message::publication::Pressure;
use crate::store::message::replay::walk::Course;
use crate::store::message::replay::{Ids, Replay, ReplayReason, ReplaySlice};
use crate::store::record;
use crate::store::redb::batch::{Batch, Piece};
use crate::store::redb::journaled_table::Replay as ReplayTable;
use crate::store::rules::outcome::Judged;
use crate::store::rules::resend;
use crate::store::rules::resend::replay::{Found, Step, step};
use crate::store::shared::registry::Entry;

impl Batch<'_, '_> {
    /// Sends the deliveries again that a piece of a walk has found, or the first of them, as far as there is room.
    pub(in crate::store) fn replay_slice(&mut self, slice: &ReplaySlice) -> Result<(), Error> {
        let found = self.memory.replays.find(slice.no);
        let Some(mut replay) = found.filter(|replay| replay.walks() && replay.walk == slice.from).cloned() else {
            return Ok(());
        };
        if self.shared.pressure() != Pressure::None {
            return Ok(());
        }
        let is_whole = self.send_again(&mut replay, slice.course, &slice.piece.found)?;
        if is_whole {
            replay.come_to(slice.course, &slice.piece, self.now);
        }
        if self.memory.replays.find(slice.no) != Some(&replay) {
            self.memory.replays.put(replay);
        }
        Ok(())
    }

    /// Sends deliveries again in their order; true when the walk did not have to stay before one.
    fn send_again(&mut self, replay: &mut Replay, course: Course, found: &[DeliveryKey]) -> Result<bool, Error> {
        let piece = self.piece();
        for of_event in found.chunk_by(|one, next| one.event == next.event) {
            let is_whole = match replay.ids {
                Ids::Same => self.send_each_again(replay, (course, of_event), &piece, None)?,
                Ids::New(_) => self.send_anew(replay, (course, of_event), &piece)?,
            };
            if !is_whole {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sends deliveries of one event again; true when the walk did not have to stay before one. Where a new event is made, `anew` takes the
    /// webhooks that get it.
    fn send_each_again(
        &mut self,
        replay: &mut Replay,
        (course, of_event): (Course, &[DeliveryKey]),
        piece: &Piece,
        mut anew: Option<&mut Vec<Entry>>,
    ) -> Result<bool, Error> {
        for key in of_event {
            if self.is_spent(piece) {
                return Ok(false);
            }
            if course.is_none() && replay.walk.is_behind(key.endpoint) {
                replay.walk.pass(course, *key);
                continue;
            }
            match self.send_one_again(replay, *key, anew.as_deref_mut())? {
                Step::Send => replay.send(course, *key),
                Step::Skip => replay.walk.pass(course, *key),
                Step::Wait if replay.leave_behind(course, *key) => {}
                Step::Wait => return Ok(false),
            }
        }
        Ok(true)
    }

    fn send_one_again(&mut self, replay: &Replay, key: DeliveryKey, anew: Option<&mut Vec<Entry>>) -> Result<Step, Error> {
        let (entry, row) = (self.entry(key.endpoint), self.row(key)?);
        let found = Found {
            webhook: entry.as_ref().map(|entry| &*entry.endpoint),
            delivery: row.as_ref().map(|(delivery, _)| delivery),
            is_purged: self.memory.purges.contains_key(&key.endpoint),
            has_room: match &entry {
                Some(entry) => self.has_room_for_replays(entry)?,
                None => false,
            },
        };
        let step = step(replay, &found);
        if let (Step::Send, Some(entry), Some((delivery, newest))) = (step, entry, row) {
            match anew {
                Some(webhooks) => webhooks.push(entry),
                None => self.restart(&entry, resend::replayed(delivery, replay.no, self.now), newest.as_ref(), Lane::Replay)?,
            }
        }
        Ok(step)
    }

    /// Whether a webhook's queue has room for what is sent again. An ordered one has when nothing of its own waits, so that new events
    /// go first.
    fn has_room_for_replays(&mut self, entry: &Entry) -> Result<bool, Error> {
        let no = entry.endpoint.no;
        if !self.memory.order.is_ordered(no) {
            return Ok(QueuePermit::for_replays(&self.shared.queue_budget, &entry.live) > 0);
        }
        let after = self.memory.order.next_after(no);
        after.map_or(Ok(false), |after| Ok(self.backlog_past(no, after, 1)?.is_empty()))
    }

    /// The lane of a delivery that comes back: that of replays when one sent it again. Only for deliveries that a replay may have sent
    /// is a row read.
    pub(in crate::store) fn lane_of(&mut self, key: DeliveryKey, tenant: TenantNo, otherwise: Lane) -> Result<Lane, Error> {
        if !self.memory.replays.may_have_sent(key, tenant) {
            return Ok(otherwise);
        }
        let replayed = self.row(key)?.and_then(|(delivery, _)| delivery.replay);
        let is_known = replayed.is_some_and(|Replayed { no, .. }| self.memory.replays.find(no).is_some());
        Ok(if is_known { Lane::Replay } else { otherwise })
    }

    /// Notes an outcome of a delivery that a replay sent again. `had_failed` says that the delivery was ended while the attempt was under
    /// way: then only a success counts.
    pub(in crate::store) fn note_replayed(&mut self, judged: &mut Judged, had_failed: bool) {
        let was_pending = judged.wait.is_some() || judged.leaves_pending;
        let Some(replayed) = &mut judged.delivery.replay else { return };
        if was_pending {
            if std::mem::replace(&mut replayed.waits, false) {
                self.memory.replays.attempted(replayed.no, judged.delivery.key.endpoint);
            }
        } else if had_failed && matches!(judged.delivery.state, State::Succeeded { .. }) {
            self.memory.replays.succeeded_late(replayed.no);
        }
    }

    /// Has the replays follow a webhook that was disabled, removed or deleted, and says in the log, once it is true, which of them stopped.
    pub(in crate::store) fn stop_replays(&mut self, webhook: &Endpoint) {
        for replay in self.memory.replays.webhook_stopped(webhook, self.now) {
            let (id, tenant) =
                (self.shared.node.replay_id(replay.no), format!("{}/{}", replay.owned.provider, replay.owned.tenant));
            let (state, reason) = (replay.state.name(), replay.reason.map(ReplayReason::name));
            self.answer(move || tracing::info!(replay = id, tenant, state, reason, "a replay stopped by itself"));
        }
    }

    /// Writes the rows of the replays that this batch has moved.
    pub(in crate::store) fn keep_replays(&mut self) -> Result<(), Error> {
        if !self.memory.replays.is_changed() {
            return Ok(());
        }
        let changed = self.memory.replays.take_changed();
        for (no, replay) in &changed {
            self.put_replay(*no, replay.as_ref())?;
        }
        self.after.replays = changed;
        Ok(())
    }

    fn put_replay(&mut self, no: ReplayNo, replay: Option<&Replay>) -> Result<(), Error> {
        let key = no.0.to_be_bytes();
        match replay {
            Some(replay) => {
                let mut bytes = std::mem::take(&mut self.memory.scratch);
                record::write_replay(replay, &mut bytes);
                self.tables.put::<ReplayTable>(&key, &bytes);
                self.shared.space.admit(bytes.len());
                self.memory.scratch = bytes;
            }
            None => drop(self.tables.take::<ReplayTable>(&key)?),
        }
        Ok(())
    }
}

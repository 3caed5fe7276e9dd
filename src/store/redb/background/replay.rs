//! Replays, inside the writer: each slice of a walk sends deliveries again in one commit, and each outcome counts in its own.
//!
//! What a replay is and what it promises stands at [`Replay`]. The pieces of a walk are read
//! outside the writer, and come in as slices. A slice says where the walk stood when it was read; one that comes late changes nothing.
//!
//! The row of a replay is written once in each batch that moved it, beside the rows of its deliveries and into the same commit. So what
//! stands in it is true over crashes: a delivery is sent again when the walk has passed it, and counted when its own row says that it
//! has ended.

mod asked;
mod event;

use crate::domain::delivery::Replayed;
use crate::domain::id::{DeliveryKey, EndpointNo, ReplayNo, TenantNo};
use crate::store::error::Error;
use crate::store::message::command::Lane;
use crate::store::message::permit::QueuePermit;
use crate::store::message::publication::Pressure;
use crate::store::message::replay::{Replay, ReplaySlice};
use crate::store::record;
use crate::store::redb::batch::Batch;
use crate::store::redb::journaled_table::Replay as ReplayTable;
use crate::store::rules::outcome::Judged;
use crate::store::rules::resend;
use crate::store::rules::resend::replay::{Found, Step, step};
use crate::store::shared::registry::Entry;

impl Batch<'_, '_> {
    /// Sends the deliveries again that a piece of a walk has found, or the first of them, as far as there is room.
    pub(in crate::store) fn replay_slice(&mut self, slice: &ReplaySlice) -> Result<(), Error> {
        let found = self.memory.replays.find(slice.no);
        let Some(mut replay) = found.filter(|replay| replay.walks() && replay.walk.after == slice.from).cloned() else {
            return Ok(());
        };
        if self.shared.pressure() != Pressure::None {
            return Ok(());
        }
        let is_whole = self.send_again(&mut replay, &slice.piece.found)?;
        if is_whole {
            replay.come_to(&slice.piece, self.now);
        }
        if self.memory.replays.find(slice.no) != Some(&replay) {
            self.memory.replays.put(replay);
        }
        Ok(())
    }

    /// Sends deliveries again in their order; true when none had to wait.
    fn send_again(&mut self, replay: &mut Replay, found: &[DeliveryKey]) -> Result<bool, Error> {
        let piece = self.piece();
        for key in found {
            if self.is_spent(&piece) {
                return Ok(false);
            }
            match self.send_one_again(replay, *key)? {
                Step::Send => replay.send(*key),
                Step::Skip => replay.walk.after = *key,
                Step::Wait => return Ok(false),
                Step::Stop(state, reason) => {
                    replay.stop(state, reason, self.now);
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn send_one_again(&mut self, replay: &Replay, key: DeliveryKey) -> Result<Step, Error> {
        let (entry, row) = (self.entry(key.endpoint), self.row(key)?);
        let room = |entry: &Entry| QueuePermit::available(&self.shared.queue_budget, &entry.live);
        let found = Found {
            webhook: entry.as_ref().map(|entry| &*entry.endpoint),
            delivery: row.as_ref().map(|(delivery, _)| delivery),
            is_purged: self.memory.purges.contains_key(&key.endpoint),
            has_room: entry.as_ref().is_some_and(|entry| room(entry) > 0),
            waiting: replay.waiting(|no| self.sends_to(no)),
        };
        let step = step(replay, &found);
        if let (Step::Send, Some(entry), Some((delivery, newest))) = (step, entry, row) {
            self.restart(&entry, resend::replayed(delivery, replay.no, self.now), newest.as_ref(), Lane::Replay)?;
        }
        Ok(step)
    }

    /// Whether deliveries to a webhook are made, and not held.
    fn sends_to(&self, no: EndpointNo) -> bool {
        self.entry(no).is_some_and(|entry| entry.endpoint.is_active())
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

    /// Notes an outcome of a delivery that a replay sent again. An attempt that outlived the delivery's end counts for nothing.
    pub(in crate::store) fn note_replayed(&mut self, judged: &mut Judged) {
        let was_pending = judged.wait.is_some() || judged.leaves_pending;
        let (Some(replayed), true) = (&mut judged.delivery.replay, was_pending) else { return };
        if std::mem::replace(&mut replayed.waits, false) {
            self.memory.replays.attempted(replayed.no, judged.delivery.key.endpoint);
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

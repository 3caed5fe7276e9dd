//! What people ask of replays, inside the writer: that one begins, pauses, goes on or is cancelled.

use std::sync::Arc;

use crate::domain::id::{EndpointNo, ReplayNo};
use crate::domain::time::Timestamp;
use crate::store::Denied;
use crate::store::error::Error;
use crate::store::message::audit::{Origin, shown};
use crate::store::message::replay::{NewReplay, Replay, ReplayOp};
use crate::store::redb::batch::Batch;
use crate::store::rules::resend;
use crate::store::rules::resend::replay::{begin, may_begin};

impl Batch<'_, '_> {
    /// Does what was asked, and answers the replay as it is behind that.
    pub(in crate::store) fn replay(&mut self, op: ReplayOp, by: &Origin) -> Result<Result<Arc<Replay>, Denied>, Error> {
        let changed = match op {
            ReplayOp::Create(new) => return self.begin_replay(*new, by),
            ReplayOp::Pause(no) => self.changed_replay(no, Replay::paused),
            ReplayOp::Resume(no) => {
                let webhook = self.memory.replays.find(no).and_then(|replay| replay.filter.webhook.as_ref());
                let runs = webhook.map_or(Ok(()), |(webhook, _)| self.can_send_to(*webhook));
                self.changed_replay(no, |replay| replay.resumed(runs))
            }
            ReplayOp::Cancel(no) => {
                let now = self.now;
                self.changed_replay(no, |replay| replay.cancelled(now))
            }
        };
        let (before, after) = match changed {
            Ok(changed) => changed,
            Err(denied) => return Ok(Err(denied)),
        };
        let id = self.shared.node.replay_id(after.no);
        self.audit(by, shown::replay_moved(id, &before, &after))?;
        self.memory.replays.put(after.clone());
        Ok(Ok(Arc::new(after)))
    }

    fn begin_replay(&mut self, new: NewReplay, by: &Origin) -> Result<Result<Arc<Replay>, Denied>, Error> {
        let tenant = self.shared.registry().tenant(&new.owned.provider, &new.owned.tenant);
        let Some(tenant) = tenant else { return Ok(Err(Denied::NoTenant)) };
        let webhook = new.filter.webhook.as_ref().map_or(Ok(()), |(no, _)| self.can_send_to(*no));
        if let Err(denied) = webhook.and_then(|()| may_begin(self.memory.replays.unfinished_of(tenant))) {
            return Ok(Err(denied));
        }
        let no = ReplayNo(self.next_key().0);
        let replay = begin(new, no, tenant);
        self.audit(by, Some(shown::replay_begun(self.shared.node.replay_id(no), &replay)))?;
        self.memory.replays.put(replay.clone());
        self.memory.replays.forget_old(Timestamp::EPOCH);
        Ok(Ok(Arc::new(replay)))
    }

    /// A replay before and after a change.
    fn changed_replay(
        &self,
        no: ReplayNo,
        change: impl FnOnce(Replay) -> Result<Replay, Denied>,
    ) -> Result<(Replay, Replay), Denied> {
        let before = self.memory.replays.find(no).cloned().ok_or(Denied::NoReplay)?;
        Ok((before.clone(), change(before)?))
    }

    fn can_send_to(&self, no: EndpointNo) -> Result<(), Denied> {
        self.entry(no).map_or(Err(Denied::Deleted), |entry| resend::runs(&entry.endpoint))
    }
}

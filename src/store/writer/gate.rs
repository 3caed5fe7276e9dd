//! Who is let in while there is no room: the one place where that is decided.

use crate::store::Denied;
use crate::store::message::command::{Op, WebhookOp};
use crate::store::message::publication::Pressure;
use crate::store::redb::batch::Batch;

impl Batch<'_, '_> {
    /// Refuses an operation that takes room when there is none; gives back one that may go on.
    pub(in crate::store) fn let_in(&mut self, op: Op) -> Option<Op> {
        let denied = match self.shared.pressure() {
            // Without knowing what was lost no event is taken; all else may be.
            Pressure::None | Pressure::JournalLost => return Some(op),
            Pressure::Full => Denied::Full,
            Pressure::DiskLow => Denied::DiskLow,
        };
        if !op.takes_room() {
            return Some(op);
        }
        self.answer(move || op.refuse(denied));
        None
    }
}

impl Op {
    /// Whether it adds what is kept. What gives room back is let in, and what must be on record: that an attempt was made, that a
    /// webhook or a key is no longer to be used.
    fn takes_room(&self) -> bool {
        match self {
            // Each is judged by itself: one that was published before is answered again.
            Self::Accept(..) | Self::AcceptAll(..) => false,
            Self::Finish(_) | Self::Refill(_) | Self::Recheck(_) | Self::Limits(_) | Self::AcceptClock(_) => false,
            // Without what the config file says there is no service that could empty itself.
            Self::Sync(..) => false,
            // What ends can go before its age.
            Self::Cancel(..) | Self::Purge(..) => false,
            Self::CloseConnection(..) | Self::RevokeKey(..) | Self::DropEventType(..) => false,
            Self::Webhook(change, _) => change.takes_room(),
            Self::Retry(..) | Self::Test(..) | Self::Recover(..) => true,
            Self::OpenConnection(..) | Self::PutEventType(..) | Self::AddKey(..) => true,
        }
    }

    fn refuse(self, denied: Denied) {
        match self {
            Self::Webhook(_, to) => drop(to.send(Err(denied))),
            Self::Retry(_, to) | Self::PutEventType(_, _, to) | Self::AddKey(_, to) => drop(to.send(Err(denied))),
            Self::Test(_, _, to) => drop(to.send(Err(denied))),
            Self::Recover(_, _, to) => drop(to.send(Err(denied))),
            Self::OpenConnection(_, to) => drop(to.send(Err(denied))),
            _ => debug_assert!(false, "what takes no room is not refused"),
        }
    }
}

impl WebhookOp {
    fn takes_room(&self) -> bool {
        match self {
            Self::Create(_) | Self::Update { .. } => true,
            // A secret that is known to others must go, whatever the disk says; enabling lets deliveries end.
            Self::Rotate { .. } | Self::Enable(_) | Self::Disable(_) | Self::Delete(_) => false,
        }
    }
}

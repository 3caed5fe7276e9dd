//! Decides which operations are let in while there is no room in the store.

use crate::store::Denied;
use crate::store::message::command::{Op, WebhookOp};
use crate::store::message::publication::Pressure;
use crate::store::message::replay::{NotReplayed, ReplayOp};

/// Why an operation may not go on: it needs room in the store, and there is none. `None`: it may.
pub(in crate::store) fn refusal(op: &Op, pressure: Pressure) -> Option<Denied> {
    let denied = match pressure {
        // After a lost journal only events are refused, and they are refused one by one.
        Pressure::None | Pressure::JournalLost => return None,
        Pressure::Full => Denied::Full,
        Pressure::DiskLow => Denied::DiskLow,
    };
    op.takes_room().then_some(denied)
}

impl Op {
    /// Whether the operation adds something that is kept. Operations that free room are let in, and so are those that must be on
    /// record: that an attempt was made, or that a webhook or a key is not to be used any more.
    fn takes_room(&self) -> bool {
        match self {
            // Each publication is judged by itself, since one that was published before is answered again.
            Self::Accept(..) | Self::AcceptAll(..) => false,
            Self::Finish(_) | Self::Refill(_) | Self::Recheck(_) | Self::Limits(_) | Self::AcceptClock(..) | Self::Flush(..) => {
                false
            }
            Self::Follow(_) => false,
            // Without the content of the config file there would be no service, and so nothing that could free room.
            Self::Sync(..) => false,
            // What ends can be deleted before its age.
            Self::Cancel(..) | Self::Purge(..) => false,
            Self::Replay(op, ..) => matches!(op, ReplayOp::Create(_)),
            Self::CloseConnection(..) | Self::DeleteTenant(..) | Self::RevokeKey(..) | Self::DropEventType(..) => false,
            // A row that stands is written anew.
            Self::KeyUses(_) => false,
            Self::Webhook(change, ..) => change.takes_room(),
            Self::Retry(..) | Self::Test(..) | Self::Recover(..) | Self::ReplaySlice(..) | Self::ReplayEvent(..) => true,
            Self::OpenConnection(..)
            | Self::PutEventType(..)
            | Self::AddKey(..)
            | Self::DescribeTenant(..)
            | Self::History(..)
            | Self::SetProvider(..) => true,
        }
    }

    /// Answers an operation that was not let in.
    pub(in crate::store) fn refuse(self, denied: Denied) {
        match self {
            Self::Webhook(_, _, to) => drop(to.send(Err(denied))),
            Self::Retry(_, _, to) | Self::PutEventType(_, _, _, to) | Self::AddKey(_, _, to) => drop(to.send(Err(denied))),
            Self::Test(_, _, to) => drop(to.send(Err(denied))),
            Self::Recover(_, _, _, to) => drop(to.send(Err(denied))),
            Self::Replay(_, _, to) => drop(to.send(Err(denied))),
            Self::ReplaySlice(_, to) => drop(to.send(Err(denied))),
            Self::ReplayEvent(_, _, to) => drop(to.send(Err(NotReplayed::Denied(denied)))),
            Self::OpenConnection(_, to) => drop(to.send(Err(denied))),
            Self::SetProvider(_, _, _, to) => drop(to.send(Err(denied))),
            Self::DescribeTenant(_, _, to) => drop(to.send(Err(denied))),
            Self::History(_, _, to) => drop(to.send(Err(denied))),
            _ => debug_assert!(false, "what takes no room is not refused"),
        }
    }
}

impl WebhookOp {
    fn takes_room(&self) -> bool {
        match self {
            Self::Create(_) | Self::Update { .. } | Self::Import { .. } => true,
            // A secret that is known to others must go even when the disk is full. Enabling a webhook lets its deliveries end.
            Self::Rotate { .. } | Self::Enable(_) | Self::Disable(_) | Self::Delete(_) => false,
        }
    }
}

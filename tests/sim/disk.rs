//! A disk that becomes nearly full now and then: what takes room is refused and leaves nothing, all else goes on, and with room again
//! everything is taken.

use std::time::Duration;

use super::process::{Answer, Question};
use super::world::{Happening, Held, World, law};
use crate::store::Denied;

/// The mean time for which the disk has room, and for which it has none.
pub(super) const WITH_ROOM: Duration = Duration::from_secs(4 * 3_600);
const WITHOUT: Duration = Duration::from_secs(30 * 60);

impl World {
    /// The disk becomes nearly full, or has room again.
    pub(super) fn change_disk(&mut self) {
        if !self.is_calm {
            self.set_disk_low(!self.is_disk_low);
            let lasts = self.draw.wait(if self.is_disk_low { WITHOUT } else { WITH_ROOM });
            self.note(lasts, Happening::Disk);
        }
    }

    pub(super) fn set_disk_low(&mut self, is_low: bool) {
        self.step(|| format!("the disk is {}", if is_low { "nearly full" } else { "as before" }));
        self.is_disk_low = is_low;
        if let Some(process) = &self.process {
            process.stepped.set_disk_low(is_low);
        }
    }

    /// Nothing is denied for want of room while there is some, and a webhook is made only while there is.
    pub(super) fn look_at_room(&mut self, question: &Question, answer: &Answer) -> Held {
        let is_denied = answer.denied().is_some_and(|denied| matches!(denied, Denied::DiskLow));
        law!(self.is_disk_low || !is_denied, "the disk has room, and {question:?} is denied for want of it");
        if let Question::Create(new) = question {
            let is_made = answer.denied().is_none();
            law!(!self.is_disk_low || !is_made, "the disk is nearly full, and {new:?} was made");
            if is_denied {
                self.book.unmade.insert(new.name.clone());
            }
        }
        Ok(())
    }
}

impl Answer {
    /// Why it was denied, what was asked for; events are refused one by one.
    pub(super) fn denied(&self) -> Option<&Denied> {
        match self {
            Self::Published(_) => None,
            Self::Hook(answer) => answer.as_ref().err(),
            Self::Hooks(answer) => answer.as_ref().err(),
            Self::Done(answer) => answer.as_ref().err(),
            Self::Test(answer) => answer.as_ref().err(),
            Self::Recovered(answer) => answer.as_ref().err(),
        }
    }
}

//! What the retention of the model ends and removes.

use super::{Model, RETENTION};
use crate::domain::delivery::{Delivery, End, QueuePosition};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::store::rules::resend;
use crate::store::rules::retention::{self, Ages, Kept, Removal, Then};

impl Model {
    pub(super) fn expire_held(&mut self) {
        let oldest = retention::oldest_kept(RETENTION, self.now);
        let is_held = |no: &EndpointNo| !self.is_active(*no);
        let held = self.backlog.iter().filter(|((no, number), _)| is_held(no) && *number <= oldest.0);
        let held: Vec<_> = held.map(|((no, number), event)| (*no, *number, *event)).collect();
        for (endpoint, number, event) in held {
            let (key, position) = (DeliveryKey { event, endpoint }, QueuePosition::Backlog(number));
            let delivery = self.rows.get(&key).cloned().unwrap_or_else(|| Delivery::published(key, position));
            self.stop(resend::stopped(delivery.placed(position), End::Expired, self.now));
        }
    }

    pub(super) fn look_at_all(&mut self, up_to: EventKey, removal: Removal) {
        let came: Vec<_> = self.events.keys().copied().filter(|event| *event > self.swept && *event <= up_to).collect();
        for event in came {
            self.look_again(event, removal);
            self.swept = event;
        }
    }

    pub(super) fn look_again(&mut self, event: EventKey, removal: Removal) {
        let Some(kept) = self.events.get(&event).copied() else { return };
        let rows: Vec<_> = self.rows.values().filter(|delivery| delivery.key.event == event).cloned().collect();
        let ages = Ages { event: RETENTION, of: |_| RETENTION };
        let looked = retention::look(event, kept, rows, |_| false, removal, &ages, self.now);
        for delivery in &looked.go {
            self.rows.remove(&delivery.key);
            self.alive.remove(&delivery.key);
        }
        match looked.then {
            Then::Forget => drop(self.events.remove(&event)),
            Then::LookAgain(at) => {
                assert!(at > self.now, "a look that is due at once would never end");
                self.events.insert(event, Kept { removed: looked.removed, ..kept });
                self.revisits.insert((at, event));
            }
        }
    }
}

//! Applies what a commit of the store means for the queues.

use super::Queues;
use crate::domain::id::DeliveryKey;
use crate::domain::webhook::endpoint::WebhookState;
use crate::store::Committed;

impl<W> Queues<W> {
    /// Takes over a commit: webhooks that stopped or have another rate limit, deliveries that ended, deliveries that are due, and backlogs.
    pub(crate) fn take_over(&mut self, committed: Committed) {
        for endpoint in &committed.state_changes {
            match endpoint.state {
                WebhookState::Active => {}
                WebhookState::Disabled { .. } => self.clear(endpoint.no, false),
                WebhookState::Removed { .. } | WebhookState::Deleted { .. } => self.clear(endpoint.no, true),
            }
        }
        committed.repaced.iter().for_each(|no| self.change_rate(*no));
        committed.dropped.iter().for_each(|dropped| self.drop_waiting(dropped));
        let changed = |key: DeliveryKey| {
            committed.state_changes.iter().any(|endpoint| endpoint.no == key.endpoint)
                || committed.dropped.iter().any(|dropped| dropped.covers(key))
        };
        for mut ready in committed.ready {
            if changed(ready.key) {
                // The delivery may have moved, so its attempt must read it from the store.
                ready.known = None;
            }
            self.push(ready);
        }
        committed.backlogs.into_iter().for_each(|(no, more)| self.backlog(no, more));
    }
}

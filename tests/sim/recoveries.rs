//! Recoveries: what failed runs again, and what a webhook never got is made for it.

use std::time::Duration;

use super::book::{Cause, Is, Known, Stands};
use super::process::{Answer, Question};
use super::world::{Broken, Held, World, law};
use crate::domain::delivery::{End, State};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::store::View;
use crate::store::stepped::Lost;

impl World {
    /// Somebody recovers what a webhook lost in the last hours, up to now or up to some time before. Mostly one that lost something.
    pub(super) fn recover(&mut self, hooks: &[EndpointNo], what: Lost) -> Held {
        let now = self.process().stepped.store.now();
        let (back, until) = (self.draw.wait(Duration::from_secs(6 * 3_600)), self.draw.pick(&[0, 0, 60, 1_800]));
        let window = (EventKey::at(now - back), EventKey::up_to(now - Duration::from_secs(until)));
        let (mut no, mut found) = (self.draw.pick(hooks), Vec::new());
        for other in hooks.iter().filter(|no| self.book.hooks.get(no).is_some_and(|hook| hook.stands == Stands::Active)) {
            let lost =
                self.process.as_ref().map_or(Ok(Vec::new()), |process| process.stepped.to_recover(*other, what, window))?;
            if found.is_empty() || (!lost.is_empty() && self.draw.chance(300)) {
                (no, found) = (*other, lost);
            }
        }
        self.step(|| format!("recovers {} deliveries of {no}, {what:?}", found.len()));
        self.look_at_found(what, &found)?;
        // Now and then two people ask for the same at once.
        for _ in 0..self.draw.pick(&[1, 1, 2]) {
            let recovering = self.process().stepped.recover(no, what, found.clone());
            self.ask(Question::Recover(no, what, found.clone()), async move { Answer::Recovered(recovering.await) });
        }
        Ok(())
    }

    /// What a person has cancelled stays so, and tests are not made again.
    fn look_at_found(&mut self, what: Lost, found: &[DeliveryKey]) -> Held {
        for key in found {
            if what == Lost::Missed {
                self.look_at_missed(*key)?;
                continue;
            }
            let view = self.process().stepped.reader().delivery_by_key(*key)?;
            let view = view.ok_or_else(|| Broken(format!("{key:?} is to be recovered, and is not there")))?;
            let is_lost = matches!(view.delivery.state, State::Failed { end, .. } if end != End::Cancelled);
            law!(is_lost && !view.delivery.is_test(), "{key:?} is to be recovered, and is {:?}", view.delivery);
            // It may have ended without an attempt, which nobody has looked at yet.
            self.compare(*key, &view)?;
        }
        Ok(())
    }

    /// A delivery that was made for a missed event before can be missed again when retention took it.
    fn look_at_missed(&mut self, key: DeliveryKey) -> Held {
        let is_known = self.book.deliveries.get(&key).is_some_and(|known| !known.is_gone);
        if is_known { self.look_at_missing(key) } else { Ok(()) }
    }

    /// As many were brought back as wait now and did not before.
    pub(super) fn recovered(&mut self, what: Lost, found: Vec<DeliveryKey>, brought: u64) -> Held {
        let (mut back, mut unclear) = (0, 0);
        for key in found {
            let view = self.process().stepped.reader().delivery_by_key(key)?;
            let came = match view {
                None => None,
                Some(view) if what == Lost::Failed => self.runs_again(key, &view)?,
                Some(view) => Some(self.is_made(key, &view)?),
            };
            back += u64::from(came == Some(true));
            unclear += u64::from(came.is_none());
        }
        let fits = back <= brought && brought <= back + unclear;
        law!(fits, "{brought} deliveries are said to be brought back, and {back} were, beside {unclear} that nobody knows of");
        Ok(())
    }

    /// Whether a delivery that had failed waits again. `None`: it may have been brought back, and ended by a person since.
    fn runs_again(&mut self, key: DeliveryKey, view: &View) -> Held<Option<bool>> {
        let Some(known) = self.book.deliveries.get_mut(&key).filter(|known| !known.is_doubted) else { return Ok(None) };
        if known.state != Is::Failed {
            return Ok(Some(false));
        }
        match view.delivery.state {
            State::Pending(_) => {
                (known.state, known.before, known.ended_at) = (Is::Pending, known.attempts, None);
                (known.cause, known.not_before) = (Cause::Hand, Timestamp::EPOCH);
                Ok(Some(true))
            }
            State::Failed { end: End::Cancelled | End::WebhookDeleted | End::Expired, .. } => Ok(None),
            other => Err(Broken(format!("{key:?} had failed and was recovered, and is {other:?}"))),
        }
    }

    /// Whether the delivery is new to the book.
    fn is_made(&mut self, key: DeliveryKey, view: &View) -> Held<bool> {
        if self.book.deliveries.get(&key).is_some_and(|known| !known.is_gone) {
            return Ok(false);
        }
        let number = self.book.events.get(&key.event).copied();
        let number = number.ok_or_else(|| Broken(format!("{key:?} was made, and nobody published its event")))?;
        let fits = self.is_mixed || self.book.matching(&self.book.published[number]).contains(&key.endpoint);
        law!(fits, "{key:?} was made as missed, and its webhook does not want publication {number}");
        law!(view.delivery.is_pending(), "{key:?} was made as missed, and is {:?}", view.delivery.state);
        self.book.deliveries.insert(key, Known { was_seen: true, ..Known::new(Cause::Hand) });
        Ok(true)
    }

    /// The process ended before the answer came.
    pub(super) fn doubt_recovered(&mut self, what: Lost, found: Vec<DeliveryKey>) {
        if what == Lost::Missed {
            self.doubts.missed.extend(found);
            return;
        }
        for key in found {
            if let Some(known) = self.book.deliveries.get_mut(&key) {
                known.is_doubted = true;
            }
        }
    }
}

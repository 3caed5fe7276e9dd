//! The service as it runs in the simulation: the writer's turns, and the attempts that its commits lead to.

use std::collections::BTreeMap;
use std::time::Duration;

use super::book::{Hook, Is, Window};
use super::process::{Process, Running, Sent};
use super::world::{Happening, Held, World, law};
use crate::deliver::queues::HealthSignal;
use crate::domain::delivery::{Cause, Delivery, QueuePosition, State};
use crate::domain::headers::Headers;
use crate::domain::id::{DeliveryKey, EndpointNo};
use crate::domain::time::Timestamp;
use crate::store::stepped::Stepped;
use crate::store::{Begin, Error, Finished, Ready};

/// Turns that the writer may take by itself before anything else happens.
const TURNS_MAX: u32 = 20_000;

impl World {
    pub(super) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("what is noted for a process happens while it lives")
    }

    /// The writer's turn comes within some milliseconds of the first thing that is asked.
    pub(super) fn ring(&mut self) {
        let wait = if self.draw.chance(500) { Duration::ZERO } else { self.draw.time(Duration::from_millis(5)) };
        self.note(wait, Happening::Turn(self.life));
    }

    /// One turn of the writer, and what follows from it.
    pub(super) fn turn(&mut self) -> Held {
        self.counts.turns += 1;
        self.in_a_row += 1;
        law!(self.in_a_row < TURNS_MAX, "the writer finds something to do again and again, and does nothing");
        match self.process().stepped.turn() {
            Err(error) => return self.broke(&error),
            Ok(committed) => committed.into_iter().for_each(|committed| self.process().queues.take_over(committed)),
        }
        let now = self.process().stepped.store.now();
        law!(now >= self.book.turned, "time went back from {} to {now}", self.book.turned);
        self.book.turned = now;
        let commits = self.process().stepped.store.health().commits;
        if commits != std::mem::replace(&mut self.process().commits, commits) {
            self.book.latest = now;
        }
        // A commit takes its time.
        let took = Duration::from_micros(self.draw.between(20, 2_000));
        self.hands.advance(took);
        let is_fresh = std::mem::take(&mut self.is_fresh);
        if is_fresh {
            self.resolve_told()?;
        }
        self.committed()?;
        if is_fresh {
            self.resolve_asked()?;
        }
        self.start_attempts()?;
        if Stepped::has_checkpoint() {
            let wait = self.draw.time(Duration::from_millis(300));
            self.note(wait, Happening::Checkpoint(self.life));
        }
        Ok(())
    }

    pub(super) fn checkpoint(&mut self) -> Held {
        Stepped::make_checkpoint();
        // It commits what turns before it have committed, and no time of its own.
        let process = self.process();
        process.commits = process.stepped.store.health().commits;
        Ok(())
    }

    /// The outcomes that were told and the questions that were asked before a turn are committed and answered after it.
    fn committed(&mut self) -> Held {
        let told = std::mem::take(&mut self.process().told);
        let mut windows = BTreeMap::new();
        for (key, outcome, at) in told {
            let window = self.book.finished(key, &outcome, at);
            windows.insert(key, window);
        }
        self.answers()?;
        for (key, window) in windows {
            self.look_at_finished(key, window)?;
        }
        self.look_at_hooks()
    }

    /// The log of a delivery says what its attempts came to, and its next attempt lies where the dialect has it.
    fn look_at_finished(&mut self, key: DeliveryKey, window: Option<Window>) -> Held {
        let Some(view) = self.process().stepped.reader().delivery_by_key(key)? else {
            return self.look_at_missing(key);
        };
        self.compare(key, &view)?;
        let known = self.book.deliveries.get_mut(&key).expect("it was attempted");
        if let (Some(window), State::Pending(QueuePosition::Due(at))) = (window, view.delivery.state)
            && known.state == Is::Pending
            && known.not_before == window.from
        {
            let in_time = at >= window.from && at <= window.to;
            law!(in_time, "{key:?} is due at {at}, and not from {} to {}", window.from, window.to);
            known.not_before = at;
        }
        if matches!(view.delivery.state, State::Pending(QueuePosition::Backlog(_))) {
            // It waits for its webhook or for its turn, and for no time.
            known.not_before = Timestamp::EPOCH;
        }
        Ok(())
    }

    /// Hands out all that may start, as the pump does.
    pub(super) fn start_attempts(&mut self) -> Held {
        loop {
            let now = self.steady();
            let Some(start) = self.process().queues.start(now) else { break };
            self.hand_out(start.ready)?;
        }
        let process = self.process();
        let (refills, rechecks) = (process.queues.refills(), process.queues.rechecks());
        refills.into_iter().for_each(|no| process.stepped.store.refill(no));
        rechecks.into_iter().for_each(|ready| process.stepped.store.recheck(ready));
        if self.process().stepped.is_asked() {
            self.ring();
        }
        Ok(())
    }

    fn hand_out(&mut self, ready: Ready) -> Held {
        let key = ready.key;
        self.may_start(&ready)?;
        self.attempts += 1;
        let attempt = self.attempts;
        self.process().running.insert(attempt, Running { ready, sent: None });
        self.look_at_limits(key.endpoint)?;
        let wait = if self.draw.chance(800) { Duration::ZERO } else { self.draw.time(Duration::from_millis(20)) };
        self.note(wait, Happening::Send(self.life, attempt));
        Ok(())
    }

    /// No attempt of a delivery that ended, and never two at once.
    fn may_start(&mut self, ready: &Ready) -> Held {
        let key = ready.key;
        let twice = self.process().running.values().any(|running| running.ready.key == key);
        law!(!twice, "{key:?} is attempted twice at once");
        if ready.known.is_some() {
            let is_pending = self.book.deliveries.get(&key).is_none_or(|known| known.state == Is::Pending);
            law!(is_pending, "{key:?} has ended, and is attempted without a look");
        }
        Ok(())
    }

    fn look_at_limits(&mut self, no: EndpointNo) -> Held {
        let process = self.process();
        let own = process.running.values().filter(|running| running.ready.key.endpoint == no).count();
        let (all, limits) = (process.running.len(), process.limits);
        let is_strict = self.book.hooks.get(&no).is_some_and(Hook::is_strict);
        law!(own <= 1 || !is_strict, "{own} attempts at once go to {no}, which is ordered");
        law!(own <= limits.per_endpoint, "{own} attempts at once go to {no}, of {} at most", limits.per_endpoint);
        law!(all <= limits.in_flight, "{all} attempts are made at once, of {} at most", limits.in_flight);
        Ok(())
    }

    /// A worker makes sure that its delivery is still due, and sends it.
    pub(super) fn send(&mut self, attempt: u64) -> Held {
        let Some(running) = self.process().running.remove(&attempt) else { return Ok(()) };
        let ready = running.ready;
        if self.draw.chance(5) && !self.is_calm {
            return self.postpone(ready);
        }
        let begun = match self.process().stepped.reader().begin(&ready, None)? {
            Begin::Now(begun) if begun.endpoint.is_sent(begun.delivery.is_test()) => begun,
            Begin::Waits(_) => return self.postpone(ready),
            Begin::Now(_) | Begin::Over => return self.turn_over(ready.key, HealthSignal::Neutral),
        };
        ready.permit.release();
        let started_at = self.process().stepped.store.now();
        self.look_at_begin(&ready, started_at)?;
        self.look_at_order(&begun.delivery)?;
        let key = ready.key;
        let dialect = self.process().stepped.store.dialect(&begun.endpoint.provider);
        let mood = self.moods.get(&key.endpoint).copied().unwrap_or(super::receivers::Mood::Good);
        let outcome = mood.answer(&mut self.draw, dialect.delivery.timeout);
        self.counts.attempts += 1;
        self.step(|| format!("attempt {attempt} of {} for {} starts, {mood:?}", key.event.0, key.endpoint));
        self.note(outcome.duration, Happening::End(self.life, attempt));
        let sent = Some(Sent { started_at, trigger: begun.delivery.trigger(), outcome });
        self.process().running.insert(attempt, Running { ready, sent });
        Ok(())
    }

    /// No attempt before its time nor after the end of its delivery.
    fn look_at_begin(&mut self, ready: &Ready, now: Timestamp) -> Held {
        let key = ready.key;
        if let QueuePosition::Due(at) = ready.position {
            law!(at <= now, "{key:?} is due at {at}, and is attempted at {now}");
        }
        if !self.book.deliveries.contains_key(&key)
            && let Some(view) = self.process().stepped.reader().delivery_by_key(key)?
        {
            self.find_event(key, &view)?;
        }
        if let Some(known) = self.book.deliveries.get(&key) {
            let first = ready.known.is_some();
            law!(first || known.is_doubted || known.state == Is::Pending, "{key:?} is {:?}, and is attempted", known.state);
            law!(known.not_before <= now, "{key:?} waits until {}, and is attempted at {now}", known.not_before);
        }
        Ok(())
    }

    /// To an ordered webhook events are sent as they were published, but for what somebody brings back.
    fn look_at_order(&mut self, delivery: &Delivery) -> Held {
        let (key, cause) = (delivery.key, delivery.run.cause);
        let Some(hook) = self.book.hooks.get_mut(&key.endpoint).filter(|hook| hook.is_strict()) else { return Ok(()) };
        if cause == Cause::Publish {
            let newest = std::mem::replace(&mut hook.newest_sent, key.event);
            law!(newest <= key.event, "{} is sent to {} behind {}", key.event.0, key.endpoint, newest.0);
        }
        Ok(())
    }

    /// The machine lacks something: the delivery is tried again after a second.
    fn postpone(&mut self, ready: Ready) -> Held {
        let key = ready.key;
        self.step(|| format!("a shortage postpones {} for {}", key.event.0, key.endpoint));
        ready.permit.reacquire();
        self.process().postponed.push(Ready { known: None, ..ready });
        self.note(Duration::from_secs(1), Happening::Retake(self.life));
        self.turn_over(key, HealthSignal::Neutral)
    }

    pub(super) fn retake(&mut self) -> Held {
        for ready in std::mem::take(&mut self.process().postponed) {
            self.process().queues.push(ready);
        }
        self.start_attempts()
    }

    /// What came of an attempt goes to the writer, and its slot to the next.
    pub(super) fn end(&mut self, attempt: u64) -> Held {
        let Some(running) = self.process().running.remove(&attempt) else { return Ok(()) };
        let Some(Sent { started_at, trigger, outcome }) = running.sent else { return Ok(()) };
        let Ready { key, position, known, .. } = running.ready;
        let store = self.process().stepped.store.clone();
        let ended_at = store.now();
        let name = self.book.hooks.get(&key.endpoint).map_or(0, |hook| hook.provider);
        let signal = HealthSignal::from_outcome(&outcome, &self.dialects[name].clone());
        self.step(|| format!("attempt {attempt} ends with {outcome:?}"));
        self.process().told.push((key, outcome.clone(), ended_at));
        store.finish(Finished {
            key,
            position,
            first: known.is_some(),
            trigger,
            started_at,
            ended_at,
            url: "https://example.com/".into(),
            request_headers: Headers::default(),
            outcome,
            _room: None,
        });
        self.ring();
        self.turn_over(key, signal)
    }

    /// Ends a delivery's turn in the queues and lets others start.
    fn turn_over(&mut self, key: DeliveryKey, signal: HealthSignal) -> Held {
        let now = self.steady();
        if let Some(next) = self.process().queues.finish(key, signal, now) {
            self.hand_out(next)?;
        }
        self.start_attempts()
    }

    /// An error of the store is what a failed power supply leads to, and nothing else.
    pub(super) fn broke(&mut self, error: &Error) -> Held {
        law!(self.power.is_off(), "the store broke: {error}");
        self.step(|| "the power failed".into());
        self.crash()
    }

    fn steady(&self) -> std::time::Instant {
        crate::clock::Clock::of(self.hands.clone()).steady()
    }
}

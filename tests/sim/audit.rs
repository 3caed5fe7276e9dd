//! The laws: what the store answers and shows is held against the book.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::book::{Cause, Hook, Is, Known, Published, Stands};
use super::process::{Answer, Change, NewHook, Question, Wish};
use super::publishers::owned;
use super::world::{Broken, Happening, Held, World, law};
use crate::domain::delivery::outcome::Outcome;
use crate::domain::delivery::tally::{Brought, Hour};
use crate::domain::delivery::{End, State};
use crate::domain::id::{AttemptKey, DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::{Accepted, AttemptFilter, Denied, Filter, Fit, Of, Refusal, Space, View};

/// `max_bytes` of a store with little room.
pub(super) const TIGHT_BYTES: u64 = 1 << 20;

/// Attempts on a page of a list.
const PAGE: usize = 7;

/// What was told or asked before a crash and may be on disk or not.
#[derive(Default)]
pub(super) struct Doubts {
    pub(super) told: Vec<(DeliveryKey, Outcome, Timestamp)>,
    pub(super) hooks: BTreeSet<EndpointNo>,
    /// Deliveries of events that their webhooks had never got, which were to be made.
    pub(super) missed: BTreeSet<DeliveryKey>,
    /// How many rows of the audit log what was asked may have left.
    pub(super) changes: usize,
}

impl World {
    /// Takes in the answers that came.
    pub(super) fn answers(&mut self) -> Held {
        let Some(process) = &mut self.process else { return Ok(()) };
        let mut answered = Vec::new();
        process.asked.retain_mut(|asked| match asked.look() {
            Some(answer) => {
                answered.push((asked.what.clone(), answer));
                false
            }
            None => true,
        });
        let changes = answered.iter().filter(|(question, _)| question.changes_hooks()).count();
        self.is_mixed = changes > 0;
        if changes > 1 && answered.iter().any(|(question, _)| matches!(question, Question::Sync(_))) {
            self.doubts.hooks.extend(self.book.hooks.keys().copied());
        }
        self.look_at_rows(&answered)?;
        for (question, answer) in answered {
            self.look_at_room(&question, &answer)?;
            self.answered(question, answer)?;
        }
        Ok(())
    }

    fn answered(&mut self, question: Question, answer: Answer) -> Held {
        self.touched.extend(question.hook());
        match (question, answer) {
            (Question::Publish(numbers), Answer::Published(results)) => {
                numbers.into_iter().zip(results).try_for_each(|(number, result)| self.published(number, result))
            }
            (Question::Create(new), Answer::Hook(Ok(endpoint))) => {
                self.know_hook(&new, &endpoint, false);
                Ok(())
            }
            (Question::Sync(file), Answer::Hooks(Ok(endpoints))) => {
                self.synced(&file, &endpoints);
                Ok(())
            }
            (Question::Hook(no, change), Answer::Hook(Ok(_))) => {
                self.changed(no, change);
                Ok(())
            }
            (Question::Delete(no), Answer::Done(Ok(()))) => {
                self.book.may_end(no, EventKey::MAX);
                self.book.hooks.get_mut(&no).expect("it was named").stands = Stands::Deleted;
                self.book.wait_freely(no);
                Ok(())
            }
            (Question::Delivery(key, wish), Answer::Done(result)) => self.wished(key, wish, result),
            (Question::Purge(no, newest), Answer::Done(Ok(()))) => {
                self.book.may_end(no, newest);
                Ok(())
            }
            (Question::Recover(_, what, found), Answer::Recovered(Ok(brought))) => self.recovered(what, found, brought),
            (Question::Test(no), Answer::Test(Ok(key))) => {
                law!(key.endpoint == no && key.event > self.book.newest, "a test of {no} got the key {key:?}");
                self.book.newest = key.event;
                self.book.deliveries.insert(key, Known { was_seen: true, ..Known::new(Cause::Test) });
                Ok(())
            }
            // What was denied changes nothing.
            _ => Ok(()),
        }
    }

    /// A publication was answered.
    fn published(&mut self, number: usize, result: Result<Accepted, Refusal>) -> Held {
        let published = self.book.published[number].clone();
        let earlier = self.book.earlier(number).cloned();
        match result {
            Ok(accepted) if accepted.repeated => {
                law!(published.first != number, "publication {number} was answered as one that was published before");
                let Some((id, deliveries)) = earlier.and_then(|earlier| earlier.answer) else { return Ok(()) };
                let same = *id == *accepted.id && deliveries == accepted.deliveries;
                law!(same, "publication {number} got {accepted:?}, and its first answer was {id} for {deliveries}");
                Ok(())
            }
            Ok(accepted) => {
                law!(!self.is_disk_low, "the disk is nearly full, and publication {number} was taken");
                let is_known = earlier.is_some_and(|earlier| self.is_remembered(&earlier));
                law!(!is_known, "publication {number} was taken twice, now as {accepted:?}");
                self.accepted(number, &accepted)
            }
            Err(Refusal::IdTaken(_) | Refusal::UidTaken { .. } | Refusal::KeyTaken) => {
                let others = self.book.published[published.first..].iter().filter(|other| other.first == published.first);
                let differs = others.clone().any(|other| other.content != published.content);
                law!(differs, "publication {number} was refused, and nothing else has its id or its key");
                Ok(())
            }
            Err(refusal @ (Refusal::Full | Refusal::DiskLow)) => {
                let is_right = if refusal == Refusal::Full { self.is_tight() } else { self.is_disk_low };
                law!(is_right, "publication {number} was refused though there is room: {refusal}");
                self.book.published[number].is_refused = true;
                Ok(())
            }
            Err(refusal) => Err(Broken(format!("publication {number} was refused: {refusal}"))),
        }
    }

    /// Whether a publication must be answered as before when it comes again: an id as long as its event is kept, a key for a day.
    fn is_remembered(&self, published: &Published) -> bool {
        let age = published.key.map_or(Duration::MAX, |key| self.book.latest.since(key.time()));
        let (day, slack) = (Duration::from_secs(24 * 3_600), Duration::from_secs(60));
        if self.is_tight() {
            return false;
        }
        let by_id = published.id.is_some() && age + slack < self.limits.retention;
        by_id || (published.idempotency_key.is_some() && age + slack < day)
    }

    fn accepted(&mut self, number: usize, accepted: &Accepted) -> Held {
        let published = self.book.published[number].clone();
        let store = self.store();
        let key = match &published.id {
            None => store.node().event_key(&accepted.id),
            Some(id) => self
                .process()
                .stepped
                .reader()
                .event_by_id(&[owned(published.provider, published.tenant.unwrap_or(0))], id)?
                .map(|event| event.key),
        };
        let Some(key) = key else { return Err(Broken(format!("publication {number} was answered, and is not there"))) };
        // An attempt of it may have begun before the last of the events that were published with it was committed.
        let is_its_own = self.book.events.get(&key).is_none_or(|known| *known == number);
        law!(is_its_own, "publication {number} has the key of another");
        self.step(|| format!("publication {number} is {} for {} webhooks", key.0, accepted.deliveries));
        let entry = &mut self.book.published[number];
        (entry.key, entry.answer) = (Some(key), Some((accepted.id.clone(), accepted.deliveries)));
        self.book.events.insert(key, number);
        self.book.newest = self.book.newest.max(key);
        let expected = if self.is_mixed { self.goes_to(key)? } else { self.book.matching(&published) };
        let count = u32::try_from(expected.len()).expect("a short list");
        law!(
            count == accepted.deliveries,
            "publication {number} goes to {} webhooks, and the answer says {}",
            expected.len(),
            accepted.deliveries
        );
        for endpoint in expected {
            self.book.deliveries.entry(DeliveryKey { event: key, endpoint }).or_insert(Known::new(Cause::Publish));
        }
        Ok(())
    }

    /// The webhooks that the store shows an event for.
    fn goes_to(&mut self, event: EventKey) -> Held<Vec<EndpointNo>> {
        let (reader, filter) = (self.process().stepped.reader().clone(), Filter { event: Some(event), ..Filter::default() });
        let mut found = Vec::new();
        for no in self.book.hooks.keys() {
            let page = reader.deliveries(&Of::Webhook(*no), &filter, None, 10)?;
            found.extend(page.views.iter().map(|view| view.delivery.key.endpoint));
        }
        Ok(found)
    }

    fn know_hook(&mut self, new: &NewHook, endpoint: &Endpoint, is_from_file: bool) {
        let hook = Hook {
            id: endpoint.id.clone(),
            provider: new.provider,
            tenant: new.tenant,
            kinds: new.kinds.to_vec(),
            is_from_file,
            stands: Stands::of(endpoint.state),
            was_off: false,
            failures: endpoint.failures,
            dialect: self.dialects[new.provider].clone(),
            is_ordered: endpoint.definition.settings.ordered,
            was_switched: false,
            newest_sent: EventKey(0),
        };
        let no = endpoint.no;
        if self.book.hooks.insert(no, hook).is_none() {
            let lasts = self.draw.wait(Duration::from_secs(3_600));
            self.note(lasts, Happening::Mood(no));
        }
    }

    /// The config file was read: those that it does not name any more are removed, the others stand as before.
    fn synced(&mut self, file: &[NewHook], endpoints: &[std::sync::Arc<Endpoint>]) {
        let named: BTreeSet<EndpointNo> = endpoints.iter().map(|endpoint| endpoint.no).collect();
        for (new, endpoint) in file.iter().zip(endpoints) {
            match self.book.hooks.get_mut(&endpoint.no) {
                None => self.know_hook(new, endpoint, true),
                Some(hook) => {
                    hook.kinds = new.kinds.to_vec();
                    if let Stands::Removed(disabled) = hook.stands {
                        hook.stands = if disabled { Stands::Disabled } else { Stands::Active };
                    }
                }
            }
        }
        for (no, hook) in &mut self.book.hooks {
            if hook.is_from_file && !named.contains(no) {
                hook.stands = match hook.stands {
                    Stands::Active => Stands::Removed(false),
                    Stands::Disabled => Stands::Removed(true),
                    other => other,
                };
            }
        }
        let all: Vec<EndpointNo> = self.book.hooks.keys().copied().collect();
        all.into_iter().for_each(|no| self.book.wait_freely(no));
        self.touched.extend(self.book.hooks.keys().copied());
    }

    fn changed(&mut self, no: EndpointNo, change: Change) {
        let Some(hook) = self.book.hooks.get_mut(&no) else { return };
        match change {
            Change::Enable => (hook.stands, hook.failures) = (Stands::Active, 0),
            Change::Disable => hook.disable(),
            Change::Rotate | Change::Order(_) => {}
            Change::Retype(kinds) => hook.kinds = kinds.to_vec(),
        }
        self.book.wait_freely(no);
    }

    fn wished(&mut self, key: DeliveryKey, wish: Wish, result: Result<(), Denied>) -> Held {
        let now = self.book.latest;
        let may_expire = self.may_expire(key) && self.is_old(key);
        let Some(known) = self.book.deliveries.get_mut(&key) else { return Ok(()) };
        match (wish, result) {
            (Wish::Retry, Ok(())) => {
                law!(!known.is_gone, "{key:?} went with the retention, and is retried");
                if known.state == Is::Pending && (known.may_end || may_expire) {
                    // It may have ended without an attempt before: then a run of its own began, which shows.
                    known.is_doubted = true;
                    let view = self.process().stepped.reader().delivery_by_key(key)?;
                    return view.map_or(Ok(()), |view| self.compare(key, &view));
                }
                if known.state != Is::Pending {
                    (known.state, known.before, known.ended_at) = (Is::Pending, known.attempts, None);
                    known.cause = if known.cause == Cause::Test { Cause::Test } else { Cause::Hand };
                }
                known.not_before = Timestamp::EPOCH;
            }
            (Wish::Cancel, Ok(())) => (known.state, known.ended_at) = (Is::Failed, Some(now)),
            (Wish::Cancel, Err(Denied::Ended)) => {
                let ended = known.state != Is::Pending || known.may_end || known.is_doubted || may_expire;
                law!(ended, "{key:?} is pending, and is not cancelled because it has ended");
            }
            (_, Err(Denied::NoDelivery)) => {
                let event = self.book.events.get(&key.event);
                let known = self.book.deliveries.get(&key).expect("it was found above").clone();
                return if event.is_some() && known.was_seen { self.missing(key, &known) } else { Ok(()) };
            }
            (_, Err(_)) => {}
        }
        Ok(())
    }

    /// The store does not show a delivery.
    pub(super) fn look_at_missing(&mut self, key: DeliveryKey) -> Held {
        let known = self.book.deliveries.get(&key).expect("it was asked for by its key").clone();
        if !known.was_seen && self.process().stepped.is_at_work() {
            return Ok(());
        }
        self.missing(key, &known)?;
        self.book.deliveries.get_mut(&key).expect("it was there above").is_gone = true;
        Ok(())
    }

    /// Retention takes nothing that is unfinished, and nothing before its age.
    fn missing(&mut self, key: DeliveryKey, known: &Known) -> Held {
        let old = self.is_old(key);
        let ended = known.state != Is::Pending || known.may_end || known.is_doubted || self.may_expire(key);
        law!(old || self.is_tight(), "{key:?} is lost: it is {:?}, and not as old as the retention", known.state);
        law!(ended, "{key:?} is lost, and it is pending");
        Ok(())
    }

    /// Whether retention may take the event.
    fn is_old(&mut self, key: DeliveryKey) -> bool {
        let age = self.process().stepped.store.now().since(key.event.time());
        age + Duration::from_secs(1) >= self.limits.retention
    }

    /// Whether the store has little room, so that what has ended goes before its age.
    pub(super) fn is_tight(&self) -> bool {
        self.limits.max_bytes <= TIGHT_BYTES
    }

    /// What is held for longer than the retention ends.
    fn may_expire(&self, key: DeliveryKey) -> bool {
        self.book.hooks.get(&key.endpoint).is_none_or(|hook| hook.was_off)
    }

    /// Holds what the store shows of a delivery against the book.
    pub(super) fn compare(&mut self, key: DeliveryKey, view: &View) -> Held {
        let may_expire = self.may_expire(key);
        let Some(known) = self.book.deliveries.get_mut(&key) else {
            return Err(Broken(format!("{key:?} is there, and nobody asked for it")));
        };
        known.was_seen = true;
        let is = match view.delivery.state {
            State::Pending(_) => Is::Pending,
            State::Succeeded { .. } => Is::Succeeded,
            State::Failed { .. } => Is::Failed,
        };
        if known.is_doubted {
            known.is_doubted = false;
            (known.state, known.before) = (is, view.delivery.run.before);
            known.cause = match view.delivery.run.cause {
                crate::domain::delivery::Cause::Publish => Cause::Publish,
                crate::domain::delivery::Cause::Manual => Cause::Hand,
                crate::domain::delivery::Cause::Test => Cause::Test,
            };
            known.not_before = Timestamp::EPOCH;
            known.ended_at = view.delivery.ended_at();
        }
        let by_itself = match view.delivery.state {
            State::Failed { end: End::Cancelled | End::WebhookDeleted, .. } => known.may_end,
            State::Failed { end: End::Expired, .. } => may_expire || known.may_end,
            _ => false,
        };
        if known.state == Is::Pending && by_itself {
            (known.state, known.ended_at) = (is, view.delivery.ended_at());
        }
        if is == Is::Pending
            && known.state == Is::Pending
            && known.may_end
            && !self.process.as_ref().is_some_and(|process| process.stepped.is_at_work())
        {
            known.may_end = false;
        }
        law!(known.state == is, "{key:?} is {:?}, and must be {:?}", view.delivery.state, known.state);
        let attempts = view.delivery.attempts;
        law!(known.attempts == attempts, "{key:?} has {attempts} attempts in the log, and {} were made", known.attempts);
        Ok(())
    }

    /// The webhooks that something happened to are as the book has them.
    pub(super) fn look_at_hooks(&mut self) -> Held {
        let touched = std::mem::take(&mut self.touched);
        touched.into_iter().try_for_each(|no| self.look_at_hook(no))
    }

    fn look_at_hook(&mut self, no: EndpointNo) -> Held {
        let found = self.process().stepped.store.webhook_no(no);
        let doubted = self.doubts.hooks.remove(&no);
        if let Some(endpoint) = &found {
            self.book.switch_order(no, endpoint.definition.settings.ordered);
        }
        let Some(hook) = self.book.hooks.get_mut(&no) else { return Ok(()) };
        let is = found.as_ref().map_or(Stands::Deleted, |endpoint| Stands::of(endpoint.state));
        let failures = found.as_ref().map_or(hook.failures, |endpoint| endpoint.failures);
        if doubted {
            (hook.stands, hook.failures) = (is, failures);
            if let Some(endpoint) = &found {
                hook.kinds = endpoint.definition.events.iter().map(|pattern| super::publishers::kind(pattern)).collect();
            }
            self.book.wait_freely(no);
            return Ok(());
        }
        law!(hook.stands == is, "webhook {no} is {is:?}, and must be {:?} after {} failures", hook.stands, hook.failures);
        law!(hook.failures == failures, "webhook {no} has {failures} failures in a row, and must have {}", hook.failures);
        Ok(())
    }

    /// Outcomes that were told before a crash are all in the log, or none of them is.
    pub(super) fn resolve_told(&mut self) -> Held {
        let told = std::mem::take(&mut self.doubts.told);
        let (count, mut applied) = (told.len(), 0);
        for (key, outcome, at) in told {
            let view = self.process().stepped.reader().delivery_by_key(key)?;
            let known = self.book.deliveries.get(&key);
            let is_in = match view {
                Some(view) => known.is_some_and(|known| view.delivery.attempts > known.attempts),
                // Retention may have taken it by now, and its statistics are kept for longer.
                None => self.is_counted(key.endpoint, Brought::from_outcome(&outcome))?,
            };
            if is_in {
                applied += 1;
                self.book.finished(key, &outcome, at);
                self.touched.insert(key.endpoint);
            }
        }
        law!(applied == 0 || applied == count, "a crash left {applied} of {count} outcomes of one batch");
        Ok(())
    }

    /// Whether the statistics have more attempts of a kind than the book.
    fn is_counted(&mut self, no: EndpointNo, brought: Brought) -> Held<bool> {
        let made = self.book.attempts.get(&(no, brought)).copied().unwrap_or(0);
        let hours = self.hours();
        let tally = self.process().stepped.reader().tally(&[no].into(), hours)?;
        Ok(tally.attempts.get(&brought).is_some_and(|counted| *counted > made))
    }

    /// After the first turn of a life: what was asked before it and not answered was done, or was not.
    pub(super) fn resolve_asked(&mut self) -> Held {
        self.find_new_hooks()?;
        self.find_new_events()?;
        self.doubts.missed.clear();
        self.audit()
    }

    /// Webhooks whose making was not answered.
    fn find_new_hooks(&mut self) -> Held {
        for of in 0..super::dialects::PROVIDERS {
            for tenant in 0..super::dialects::TENANTS {
                for endpoint in self.store().webhooks(&owned(of, tenant), EndpointNo(0), 1_000_000) {
                    if !self.book.hooks.contains_key(&endpoint.no) {
                        let is_unmade = self.book.unmade.contains(&endpoint.definition.name);
                        law!(!is_unmade, "{} was denied, and is there", endpoint.id);
                        let kinds = endpoint.definition.events.iter().map(super::publishers::kind).collect();
                        let definition = &endpoint.definition;
                        let (name, is_ordered) = (definition.name.clone(), definition.settings.ordered);
                        let new = NewHook { provider: of, tenant, name, kinds: &[], is_ordered };
                        self.know_hook(&new, &endpoint, endpoint.is_file_owned());
                        self.book.hooks.get_mut(&endpoint.no).expect("it was just made known").kinds = kinds;
                    }
                }
            }
        }
        Ok(())
    }

    /// Events that are there though nobody was answered: somebody must have asked for each, and it is there once.
    fn find_new_events(&mut self) -> Held {
        let hooks: Vec<EndpointNo> = self.book.hooks.keys().copied().collect();
        for no in hooks {
            let page = self.process().stepped.reader().deliveries(&Of::Webhook(no), &Filter::default(), None, 100_000)?;
            for view in page.views {
                let key = view.delivery.key;
                if !self.book.deliveries.contains_key(&key) {
                    self.find_event(key, &view)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn find_event(&mut self, key: DeliveryKey, view: &View) -> Held {
        self.book.newest = self.book.newest.max(key.event);
        if view.delivery.is_test() {
            self.book.deliveries.insert(key, Known { may_end: true, ..Known::new(Cause::Test) });
            return Ok(());
        }
        if !self.book.events.contains_key(&key.event) {
            self.find_publication(key.event)?;
        }
        let number = self.book.events[&key.event];
        let was_answered = self.book.published[number].answer.is_some() && !self.doubts.missed.remove(&key);
        law!(!was_answered, "publication {number} has a delivery for {} that it was not answered with", key.endpoint);
        self.book.deliveries.insert(key, Known { is_doubted: true, ..Known::new(Cause::Publish) });
        Ok(())
    }

    /// Somebody asked for every event that is there, and was not answered with another one.
    fn find_publication(&mut self, key: EventKey) -> Held {
        let found = self.process().stepped.reader().events(&[key], Space { room: usize::MAX, printed: 0 })?;
        let content = match &found {
            Fit::Fits(events) if let [Some(event)] = &**events => String::from_utf8_lossy(&event.content.data()).into_owned(),
            _ => return Err(Broken(format!("the event {} has deliveries, and is not there", key.0))),
        };
        let number = content.strip_prefix(r#"{"n":"#).and_then(|rest| rest.split(',').next()?.parse::<usize>().ok());
        let mut all = self.book.published.iter().enumerate();
        let found = all.find(|(_, one)| Some(one.content) == number && one.key.is_none() && !one.is_refused).map(|(at, _)| at);
        let Some(found) = found else {
            return Err(Broken(format!("the event {} with {content} is there twice, or was refused", key.0)));
        };
        let known = self.book.earlier(found).is_some_and(|earlier| self.is_remembered(earlier));
        law!(!known, "publication {found} was taken twice, the second time as {}", key.0);
        self.book.published[found].key = Some(key);
        self.book.events.insert(key, found);
        Ok(())
    }

    /// A look at everything.
    pub(super) fn audit(&mut self) -> Held {
        if self.process.is_none() {
            return Ok(());
        }
        let keys: Vec<DeliveryKey> =
            self.book.deliveries.iter().filter(|(_, known)| !known.is_gone).map(|(key, _)| *key).collect();
        let (mut pending, mut attempts) = (0, BTreeSet::new());
        for key in keys {
            match self.process().stepped.reader().delivery_by_key(key)? {
                Some(view) => {
                    self.compare(key, &view)?;
                    pending += u64::from(view.delivery.is_pending());
                    attempts.extend(self.attempts_of(&view)?);
                }
                None => self.look_at_missing(key)?,
            }
        }
        let process = self.process();
        let counted = process.stepped.store.health().pending;
        let settled = !process.stepped.is_at_work();
        law!(!settled || counted == pending, "{counted} deliveries are counted as pending, and {pending} are");
        self.touched.extend(self.book.hooks.keys().copied());
        self.look_at_hooks()?;
        self.compare_lists(&attempts)?;
        self.compare_rows()?;
        self.compare_statistics()
    }

    fn attempts_of(&mut self, view: &View) -> Held<Vec<AttemptKey>> {
        let (key, numbers) = (view.delivery.key, 1..=view.delivery.attempts);
        let space = Space { room: usize::MAX, printed: 0 };
        let Fit::Fits(found) = self.process().stepped.reader().attempts(key, numbers, space)? else { return Ok(Vec::new()) };
        Ok(found.into_iter().flatten().map(|attempt| attempt.key(key)).collect())
    }

    /// Lists show exactly the attempts of the deliveries that are kept, newest first, and each has an id of its own.
    fn compare_lists(&mut self, attempts: &BTreeSet<AttemptKey>) -> Held {
        let hooks: Vec<EndpointNo> = self.book.hooks.keys().copied().collect();
        let mut listed = BTreeSet::new();
        for no in hooks {
            let (mut before, mut shown) = (None, Vec::new());
            loop {
                let reader = self.process().stepped.reader();
                let page = reader.attempt_keys(&Of::Webhook(no), &AttemptFilter::default(), before, PAGE)?;
                shown.extend(page.keys);
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            law!(shown.is_sorted_by(|a, b| a > b), "the attempts for {no} are out of order: {shown:?}");
            listed.extend(shown);
        }
        if let Some(key) = attempts.difference(&listed).next() {
            return Err(Broken(format!("{key:?} is in no list")));
        }
        for key in &listed {
            let reader = self.process().stepped.reader();
            law!(reader.whole_attempt(*key)?.is_some(), "{key:?} is listed, and the log has no such attempt");
            let id = self.store().node().attempt_id(*key);
            let found = self.process().stepped.reader().attempt_key(&id)?;
            law!(found == Some(*key), "the id {id} of {key:?} leads to {found:?}");
        }
        Ok(())
    }

    /// Whether nothing is left to do but to wait for webhooks that are switched off.
    pub(super) fn is_quiet(&mut self) -> Held<bool> {
        let now = self.hands.elapsed();
        let Some(process) = &self.process else { return Ok(false) };
        let idle =
            process.running.is_empty() && process.asked.is_empty() && process.told.is_empty() && process.postponed.is_empty();
        if !idle || process.stepped.is_at_work() || now < self.next_look {
            return Ok(false);
        }
        self.next_look = now + Duration::from_secs(300);
        self.audit()?;
        Ok(self.waiting().is_empty())
    }

    fn waiting(&self) -> Vec<DeliveryKey> {
        let active = |no: &EndpointNo| self.book.hooks.get(no).is_some_and(|hook| hook.stands == Stands::Active);
        let waits = |(key, known): &(&DeliveryKey, &Known)| known.state == Is::Pending && !known.is_gone && active(&key.endpoint);
        self.book.deliveries.iter().filter(waits).map(|(key, _)| *key).collect()
    }

    /// What does not end.
    pub(super) fn stuck(&mut self) -> String {
        let waiting = self.waiting();
        let first = waiting.first().and_then(|key| self.process().stepped.reader().delivery_by_key(*key).ok().flatten());
        format!("{} deliveries, the first of them {:?}", waiting.len(), first.map(|view| view.delivery))
    }

    /// The last look, a stop, and a check of what it leaves.
    pub(super) fn close(&mut self) -> Held {
        self.audit()?;
        self.compare_statistics()?;
        let process = self.process.take().expect("it is quiet");
        process.stepped.close()?;
        self.check()
    }

    /// The hours of which the store may have statistics.
    fn hours(&mut self) -> RangeInclusive<Hour> {
        let last = Hour::from_time(self.store().now() + Duration::from_secs(3_600));
        Hour(Hour::from_time(self.began).0.saturating_sub(1))..=last
    }

    /// The statistics are the sums of the log.
    fn compare_statistics(&mut self) -> Held {
        let (reader, hours) = (self.process().stepped.reader().clone(), self.hours());
        for no in self.book.hooks.iter().filter(|(_, hook)| hook.stands != Stands::Deleted).map(|(no, _)| *no) {
            let tally = reader.tally(&[no].into(), hours.clone())?;
            let made = self.book.attempts.iter().filter(|((of, _), _)| *of == no);
            let made: BTreeMap<Brought, u64> = made.map(|((_, brought), count)| (*brought, *count)).collect();
            law!(tally.attempts == made, "the statistics of {no} say {:?}, and {made:?} attempts were made", tally.attempts);
        }
        Ok(())
    }
}

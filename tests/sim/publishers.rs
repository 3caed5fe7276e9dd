//! What publishers, tenants and operators ask for.

use std::collections::HashSet;
use std::time::Duration;

use super::book::{Hook, Published, Stands};
use super::dialects::{PROVIDERS, TENANTS, provider, tenant};
use super::process::{Answer, Asked, Change, NewHook, Question, Wish};
use super::world::{Held, World};
use crate::domain::id::{DeliveryKey, EndpointNo};
use crate::domain::webhook::endpoint::{Definition, Owner};
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::{Setting, WebhookSettings};
use crate::store::stepped::Lost;
use crate::store::{DesiredState, FileWebhook, NewWebhook, Owned, Publication, Purge, Store};

impl World {
    /// The config file as it is at the start.
    pub(super) fn draw_file(&mut self) {
        for number in 0..self.draw.between(1, 4) {
            let new = self.draw_hook(format!("file{number}"));
            self.file.push(new);
        }
        if self.is_wide {
            let wide = |number| NewHook {
                provider: 0,
                tenant: 0,
                name: format!("wide{number}").into(),
                kinds: &[WIDE],
                is_ordered: false,
            };
            self.file.extend((0..WIDE_HOOKS).map(wide));
        }
    }

    fn draw_hook(&mut self, name: String) -> NewHook {
        let index = |number: u64| usize::try_from(number).expect("a small number");
        NewHook {
            provider: index(self.draw.below(PROVIDERS as u64)),
            tenant: index(self.draw.below(TENANTS as u64)),
            name: name.into(),
            kinds: self.draw.pick(&SUBSCRIPTIONS),
            is_ordered: self.draw.chance(300),
        }
    }

    /// One or several publications in one call, some of them once more.
    pub(super) fn publish(&mut self) -> Held {
        if self.process.is_none() {
            return Ok(());
        }
        for _ in 0..self.draw.pick(&[1, 1, 1, 1, 2, 6]) {
            let again = self.draw.chance(120) && !self.book.published.is_empty();
            let numbers: Vec<usize> = match self.draw.below(10) {
                _ if again => vec![self.repeat()],
                0..=7 => vec![self.invent()],
                _ => (0..self.draw.between(2, 40)).map(|_| self.invent()).collect(),
            };
            self.ask_to_publish(numbers);
        }
        Ok(())
    }

    fn invent(&mut self) -> usize {
        let number = self.book.published.len();
        let index = |number: u64| usize::try_from(number).expect("a small number");
        let named = |is: bool, kind: &str| is.then(|| format!("{kind}-{number}").into());
        let published = Published {
            provider: index(self.draw.below(PROVIDERS as u64)),
            tenant: (!self.draw.chance(50)).then(|| index(self.draw.below(TENANTS as u64))),
            kind: if self.is_wide && self.draw.chance(10) { WIDE } else { self.draw.pick(&KINDS) },
            id: named(self.draw.chance(300), "id"),
            idempotency_key: named(self.draw.chance(200), "key"),
            content: number,
            first: number,
            key: None,
            answer: None,
            is_refused: false,
        };
        self.book.published.push(published);
        number
    }

    /// An earlier publication with its id and key, as after an answer that was lost; now and then with other content.
    fn repeat(&mut self) -> usize {
        let count = self.book.published.len();
        let back = self.draw.below(50.min(count as u64));
        let earlier = self.book.published[count - 1 - usize::try_from(back).expect("a small number")].clone();
        let content = if self.draw.chance(100) { count } else { earlier.content };
        self.book.published.push(Published { content, key: None, answer: None, is_refused: false, ..earlier });
        count
    }

    fn ask_to_publish(&mut self, numbers: Vec<usize>) {
        self.step(|| format!("publishes {numbers:?}"));
        self.counts.published += numbers.len() as u64;
        let all: Vec<Publication> = numbers.iter().map(|number| self.publication(*number)).collect();
        let store = self.store();
        let answer = async move {
            match <[Publication; 1]>::try_from(all) {
                Ok([one]) => Answer::Published(vec![store.accept_one(one).await]),
                Err(all) => Answer::Published(store.accept(all).await),
            }
        };
        self.ask(Question::Publish(numbers), answer);
    }

    fn publication(&self, number: usize) -> Publication {
        let published = &self.book.published[number];
        let dialect = self.dialects[published.provider].clone();
        let (owner, name) = (provider(published.provider), tenant(published.tenant.unwrap_or(0)));
        let data = format!(r#"{{"n":{},"text":"{}"}}"#, published.content, "x".repeat(published.content * 37 % 700));
        let mut content = [0; 32];
        content[..8].copy_from_slice(&(published.content as u64).to_be_bytes());
        let plain = Publication::of_type_and_data((&*owner).into(), name.into(), dialect, published.kind, data.into());
        Publication {
            tenant: plain.tenant.clone().filter(|_| published.tenant.is_some()),
            id: published.id.clone(),
            idempotency_key: published.idempotency_key.clone(),
            content,
            ..plain
        }
    }

    /// Something that a person or a program asks for about webhooks and deliveries.
    pub(super) fn command(&mut self) -> Held {
        if self.process.is_none() {
            return Ok(());
        }
        let hooks: Vec<EndpointNo> =
            self.book.hooks.iter().filter(|(_, hook)| hook.stands != Stands::Deleted).map(|(no, _)| *no).collect();
        if hooks.is_empty() {
            self.create();
            return Ok(());
        }
        let no = self.draw.pick(&hooks);
        match self.draw.below(25) {
            0 => self.change(no, Change::Disable),
            1..=5 => {
                let disabled = |hook: &&Hook| hook.stands == Stands::Disabled;
                let off = hooks.iter().find(|no| self.book.hooks.get(no).is_some_and(|hook| disabled(&hook)));
                self.change(off.copied().unwrap_or(no), Change::Enable);
            }
            6 => self.change(no, Change::Rotate),
            7 => {
                let kinds = self.draw.pick(&SUBSCRIPTIONS);
                self.change(no, Change::Retype(kinds));
            }
            8 if hooks.len() > 2 => self.delete(no),
            8 | 9 if hooks.len() < HOOKS_MAX => self.create(),
            10 => self.sync_anew(),
            11 => self.purge(no),
            12 | 13 => self.test(no),
            14 => self.wish(Wish::Cancel),
            24 => {
                let is_ordered = self.draw.chance(500);
                self.change(no, Change::Order(is_ordered));
            }
            20 | 21 => return self.recover(&hooks, Lost::Failed),
            22 | 23 => return self.recover(&hooks, Lost::Missed),
            _ => self.wish(Wish::Retry),
        }
        Ok(())
    }

    fn change(&mut self, no: EndpointNo, change: Change) {
        self.step(|| format!("{change:?} of {no}"));
        let store = self.store();
        let answer = async move {
            Answer::Hook(match change {
                Change::Enable => store.by_test().enable_webhook(no).await,
                Change::Disable => store.by_test().disable_webhook(no).await,
                Change::Rotate => store.by_test().rotate_secret(no, Secret::new("whsec_next"), Duration::from_secs(600)).await,
                Change::Retype(kinds) => {
                    let redefine = move |old: &Definition| Definition { events: patterns(kinds), ..old.clone() };
                    store.by_test().update_webhook(no, redefine).await
                }
                Change::Order(is) => {
                    let settings = move |old: &Definition| old.settings.with(&[Setting::Ordered(is)]);
                    store.by_test().update_webhook(no, move |old| Definition { settings: settings(old), ..old.clone() }).await
                }
            })
        };
        self.ask(Question::Hook(no, change), answer);
    }

    fn delete(&mut self, no: EndpointNo) {
        self.step(|| format!("deletes {no}"));
        let store = self.store();
        self.ask(Question::Delete(no), async move { Answer::Done(store.by_test().delete_webhook(no).await) });
    }

    fn create(&mut self) {
        let number = self.draw.bits() % 100_000;
        let new = self.draw_hook(format!("made{number}"));
        self.book.unmade.remove(&new.name);
        self.step(|| format!("creates {new:?}"));
        let asked = NewWebhook {
            owned: owned(new.provider, new.tenant),
            definition: definition(&new),
            owner: Owner::Operator,
            secret: Some(Secret::new("whsec_made")),
            limit: 0,
            file_keys: Vec::new(),
            restores: true,
        };
        let store = self.store();
        self.ask(Question::Create(new), async move { Answer::Hook(store.by_test().create_webhook(asked).await) });
    }

    /// The config file is read anew, with another webhook or without one.
    fn sync_anew(&mut self) {
        if self.draw.chance(400) && self.file.len() > 1 {
            let count = self.file.len() as u64;
            self.file.remove(usize::try_from(self.draw.below(count)).expect("a short list"));
        } else {
            let number = self.draw.below(6);
            let new = self.draw_hook(format!("file{number}"));
            match self.file.iter_mut().find(|old| old.name == new.name) {
                Some(old) => (old.kinds, old.is_ordered) = (new.kinds, new.is_ordered),
                None => self.file.push(new),
            }
        }
        self.sync();
    }

    /// Makes the store what the config file says.
    pub(super) fn sync(&mut self) {
        self.step(|| "reads the config file".into());
        let webhooks = self.file.iter().map(|new| FileWebhook {
            owned: owned(new.provider, new.tenant),
            definition: definition(new),
            secret: None,
            fresh_secret: Some(Secret::new("whsec_drawn")),
            overlap: Duration::ZERO,
        });
        let desired = DesiredState {
            dialects: (0..PROVIDERS).map(|number| (provider(number).into(), self.dialects[number].clone())).collect(),
            tenants: (0..PROVIDERS).flat_map(|of| (0..TENANTS).map(move |number| owned(of, number))).collect(),
            keys: HashSet::new(),
            webhooks: webhooks.collect(),
            ..DesiredState::default()
        };
        let (store, file) = (self.store(), self.file.clone());
        self.ask(Question::Sync(file), async move { Answer::Hooks(store.by_test().sync(desired).await) });
    }

    fn purge(&mut self, no: EndpointNo) {
        self.step(|| format!("purges {no}"));
        let held = self.book.hooks.get(&no).is_some_and(|hook| hook.stands != Stands::Active);
        let (store, newest) = (self.store(), self.book.newest);
        let answer = async move { Answer::Done(store.by_test().purge(no, Purge { held, until: None }).await) };
        self.ask(Question::Purge(no, newest), answer);
    }

    fn test(&mut self, no: EndpointNo) {
        self.step(|| format!("tests {no}"));
        let Some(hook) = self.book.hooks.get(&no) else { return };
        let (owner, name, dialect) = (provider(hook.provider), tenant(hook.tenant), hook.dialect.clone());
        let plain = Publication::of_type_and_data((&*owner).into(), name.into(), dialect, KINDS[0], "{}".to_owned().into());
        let (store, publication) = (self.store(), Publication { test: true, ..plain });
        let answer = async move { Answer::Test(store.test(no, publication).await.map(|run| run.key)) };
        self.ask(Question::Test(no), answer);
    }

    /// Mostly one of the newest.
    fn wish(&mut self, wish: Wish) {
        let most = if self.draw.chance(700) { 30 } else { 1_000 };
        let keys: Vec<DeliveryKey> = self.book.deliveries.keys().rev().take(most).copied().collect();
        if keys.is_empty() {
            return;
        }
        let key = self.draw.pick(&keys);
        self.step(|| format!("{wish:?} of {} for {}", key.event.0, key.endpoint));
        let store = self.store();
        let answer = async move {
            Answer::Done(match wish {
                Wish::Retry => store.by_test().retry(key).await,
                Wish::Cancel => store.by_test().cancel(key).await,
            })
        };
        self.ask(Question::Delivery(key, wish), answer);
    }

    pub(super) fn ask(&mut self, what: Question, answer: impl Future<Output = Answer> + 'static) {
        let mut asked = Asked::new(what, answer);
        // What is refused at once is answered at the next turn like all else.
        let early = asked.look();
        debug_assert!(early.is_none(), "the writer has not turned yet");
        self.process().asked.push(asked);
        self.ring();
    }

    pub(super) fn store(&mut self) -> Store {
        self.process().stepped.store.clone()
    }
}

pub(super) fn owned(of: usize, number: usize) -> Owned {
    Owned { provider: provider(of).into(), tenant: tenant(number).into() }
}

pub(super) fn definition(new: &NewHook) -> Definition {
    let url = "https://example.com/".into();
    Definition {
        name: new.name.clone(),
        description: "".into(),
        url,
        events: patterns(new.kinds),
        settings: WebhookSettings::none().with(&[Setting::Ordered(new.is_ordered)]),
    }
}

/// A subscription of the simulation, by its pattern.
pub(super) fn kind(pattern: &Pattern) -> &'static str {
    let all = SUBSCRIPTIONS.iter().flat_map(|kinds| kinds.iter()).chain([&WIDE]);
    all.copied().find(|kind| Pattern::parse(kind).as_ref() == Ok(pattern)).expect("no other is subscribed to")
}

fn patterns(kinds: &[&str]) -> Vec<Pattern> {
    kinds.iter().map(|kind| Pattern::parse(kind).expect("a pattern")).collect()
}

const KINDS: [&str; 4] = ["order.paid", "order.sent", "sale.made", "user.new"];

const SUBSCRIPTIONS: [&[&str]; 5] = [&["*"], &["*"], &["order.*"], &["sale.made", "user.new"], &["order.paid"]];

/// What more webhooks subscribe to than get their deliveries in one commit.
const WIDE: &str = "wide.news";
const WIDE_HOOKS: usize = 1_040;

/// Webhooks that are not deleted.
const HOOKS_MAX: usize = 10;

//! After a start: finds out what happened to the call in doubt, and whether earlier answers hold.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::actor::Clients;
use super::book::{Book, Fate, Line, Shown, State};
use super::call::{Call, text};
use crate::harness::client::Client;

/// Finds out what happened to the call that was not answered, and enters it as if it had been answered.
pub(super) async fn settle(book: &mut Book, clients: &Clients) {
    let epoch = book.epoch.saturating_sub(1);
    match book.doubt.take() {
        Some(Call::Publish(events)) => {
            for event in events {
                settle_event(book, event, clients).await;
            }
        }
        Some(Call::Create(hook)) => settle_create(book, hook, clients).await,
        Some(Call::Enable(hook) | Call::Disable(hook) | Call::Delete(hook)) => {
            book.hooks[hook].state = state(&book.hooks[hook].id, clients).await;
        }
        Some(Call::Rotate(hook, secret)) => {
            let hook = &mut book.hooks[hook];
            let signs = clients.admin.get(&format!("/v1/webhooks/{}/secret", hook.id)).await.expect(200);
            match signs["secret"] == secret {
                true => hook.replace_secrets_by(&secret, epoch),
                false => hook.forget_secret(&secret, epoch),
            }
        }
        Some(Call::Test(_) | Call::Retry(..) | Call::Recover(..) | Call::Look) | None => {}
    }
}

async fn settle_event(book: &mut Book, number: usize, clients: &Clients) {
    let Some(id) = book.events[number].id.clone() else {
        book.events[number].fate = Fate::Unknown;
        return;
    };
    let answer = clients.tenant.get(&format!("/v1/events/{id}")).await;
    book.events[number].fate = match answer.status {
        200 => Fate::Kept,
        404 => Fate::Absent,
        _ => panic!("{id}: {}", answer.text()),
    };
}

async fn settle_create(book: &mut Book, hook: usize, clients: &Clients) {
    let listed = webhooks(&clients.tenant).await;
    let made = listed.iter().find(|webhook| webhook["url"] == book.hooks[hook].path);
    book.hooks[hook].state = if made.is_some() { State::Active } else { State::Never };
    book.hooks[hook].id = made.map(|webhook| text(&webhook["id"])).unwrap_or_default();
}

async fn state(id: &str, clients: &Clients) -> State {
    let answer = clients.tenant.get(&format!("/v1/webhooks/{id}")).await;
    match (answer.status, answer.json()["status"].as_str()) {
        (404, _) => State::Deleted,
        (200, Some("active")) => State::Active,
        (200, Some("disabled")) => State::Disabled,
        _ => panic!("{id}: {}", answer.text()),
    }
}

/// Checks that webhooks and secrets are as answered, and that the newest answered events are there.
pub(super) async fn stands(book: &Book, clients: &Clients) {
    let listed = webhooks(&clients.tenant).await;
    let alive = book.hooks_in(&[State::Active, State::Disabled]);
    for place in &alive {
        let hook = &book.hooks[*place];
        let found = listed.iter().find(|webhook| webhook["id"] == hook.id);
        let status = if hook.state == State::Active { "active" } else { "disabled" };
        assert_eq!(found.map(|webhook| &webhook["status"]), Some(&Value::from(status)), "{hook:?}");
        let secret = clients.admin.get(&format!("/v1/webhooks/{}/secret", hook.id)).await.expect(200);
        let signs = hook.secrets.iter().rfind(|signing| signing.until.is_none());
        assert_eq!(signs.map(|signing| &*signing.secret), secret["secret"].as_str(), "{hook:?}");
    }
    assert_eq!(listed.len(), alive.len(), "{} has webhooks that it should not have: {listed:?}", book.tenant);
    let newest = book.events.iter().rev().filter(|event| event.fate == Fate::Kept).take(NEWEST);
    for id in newest.filter_map(|event| event.id.as_ref()) {
        let answer = clients.tenant.get(&format!("/v1/events/{id}")).await;
        assert_eq!(answer.status, 200, "{id} was answered and is lost: {}", answer.text());
    }
}

/// Checks that every answered event is there, with a delivery for each webhook that was to get it. No success that the log has
/// shown may be forgotten, and each must be in `taken`, the events that a receiver took.
pub(super) async fn all_is_there(book: &Book, clients: &Clients, taken: &HashSet<(String, String)>) {
    let deliveries = deliveries(&clients.tenant).await;
    let mut by_pair = HashMap::new();
    for line in deliveries.values() {
        by_pair.insert((&*line.event, &*line.hook), line);
    }
    for (number, event) in book.kept() {
        let id = event.id.as_deref().expect("it was answered");
        for hook in &event.hooks {
            let there = by_pair.contains_key(&(id, &*book.hooks[*hook].id));
            assert!(there, "event {number} ({id}) of {} has no delivery for {:?}", book.tenant, book.hooks[*hook]);
        }
    }
    for line in deliveries.values().filter(|line| line.status == "succeeded") {
        let url = book.hook_by_id(&line.hook).map(|hook| book.hooks[hook].path.clone()).unwrap_or_default();
        assert!(taken.contains(&(line.event.clone(), url)), "{line:?} of {}, but nobody took it", book.tenant);
    }
    for (delivery, Shown { event, hook, .. }) in &book.shown {
        let status = deliveries.get(delivery).map(|line| &*line.status);
        assert_eq!(status, Some("succeeded"), "{delivery} of {event} for {hook} was shown as succeeded");
    }
}

/// Everything that a tenant's log holds, by id, without tests.
pub(super) async fn deliveries(tenant: &Client) -> HashMap<String, Line> {
    let lines = pages(tenant, "/v1/deliveries?limit=250&test=false").await;
    lines.iter().map(Line::of).map(|line| (line.id.clone(), line)).collect()
}

async fn webhooks(tenant: &Client) -> Vec<Value> {
    pages(tenant, "/v1/webhooks?limit=250").await
}

async fn pages(tenant: &Client, path: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = tenant.get(&format!("{path}{cursor}")).await.expect(200);
        all.extend_from_slice(page["data"].as_array().expect("a list"));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// How many of the newest events are looked for. The journal holds them, so they would be lost first.
const NEWEST: usize = 5;

//! What the audit log shows of each kind of object.
//!
//! **Secrets.** No function here reads the text of a secret, the hash of a key or a header's value: a changed secret is shown as a
//! member `secret` that says no more than that it is another one. Settings of a webhook are printed as answers print them.

mod members;

use std::collections::HashSet;

use members::{members_of, of_event_type, of_key, of_provider, of_tenant};

use super::document::Document;
use super::{Change, FileChanges, Object, ObjectKind};
use crate::config::checked::DEFAULT_OWNER;
use crate::domain::access::{Key, Role};
use crate::domain::delivery::State;
use crate::domain::dialect::EventType;
use crate::domain::event::Event;
use crate::domain::provider::ProviderSettings;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Endpoint, LiveSecret};
use crate::store::Owned;
use crate::store::message::command::{Asked, Purge};
use crate::store::message::replay::{Replay, ReplayFilter};
use crate::store::message::tenant::{Listing, Tenant};

/// A webhook that was made (`before` is `None`), deleted, or changed otherwise. `None`: it is as it was.
pub(in crate::store) fn webhook(before: Option<&Endpoint>, after: &Endpoint) -> Option<Change> {
    let object = webhook_object(after);
    let Some(before) = before else { return Some(Change { object, before: None, after: Some(members_of(after)) }) };
    if after.is_deleted() {
        return Some(Change { object, before: Some(members_of(before)), after: None });
    }
    let (was, is) = members_of(before).differences(members_of(after));
    let is_rotated = newest(before) != newest(after);
    let (was, is) = if is_rotated { (was.with("secret", MASKED), rotated(is, after)) } else { (was, is) };
    let replaced = replaced(before, after);
    changed(object, was, if replaced.is_empty() { is } else { is.with("replaced", replaced) })
}

/// What was failed or missed of a webhook is to be brought back.
pub(in crate::store) fn recover(webhook: &Endpoint, Asked { since, until, what, .. }: &Asked) -> Change {
    let status = [(what.failed, "failed"), (what.missed, "missed")].into_iter().filter_map(|(is, name)| is.then_some(name));
    let recovered = Document::default()
        .with("recover", status.collect::<Vec<_>>())
        .with("since", since.rfc3339_secs())
        .with("until", until.rfc3339_secs());
    Change { object: webhook_object(webhook), before: None, after: Some(recovered) }
}

/// What waits for a webhook is to end.
pub(in crate::store) fn purge(webhook: &Endpoint, Purge { held, until }: &Purge) -> Change {
    let purged = Document::default().with("purge", if *held { "held" } else { "pending" });
    let purged = purged.with_some("until", until.map(Timestamp::rfc3339_secs));
    Change { object: webhook_object(webhook), before: None, after: Some(purged) }
}

/// A replay that began, with what it is to send again.
pub(in crate::store) fn replay_begun(id: String, replay: &Replay) -> Change {
    let ReplayFilter { webhook, kind, succeeded, code, since, until } = &replay.filter;
    let after = Document::default()
        .with_some("webhook", webhook.as_ref().map(|(_, id)| &**id))
        .with_some("type", kind.as_ref().map(ToString::to_string))
        .with_some("status", succeeded.map(|succeeded| if succeeded { "succeeded" } else { "failed" }))
        .with_some("code", *code)
        .with("since", since.rfc3339_secs())
        .with("until", until.rfc3339_secs())
        .with_some("new_id", replay.ids.are_new().then_some(true))
        .with_some("rate", replay.rate.map(|rate| rate.to_string()))
        .with("matched", replay.matched)
        .with("state", replay.state.name());
    Change { object: replay_object(id, replay), before: None, after: Some(after) }
}

/// A replay that was paused, resumed or cancelled. `None`: it was so before.
pub(in crate::store) fn replay_moved(id: String, before: &Replay, after: &Replay) -> Option<Change> {
    let of = |replay: &Replay| Document::default().with("state", replay.state.name());
    let (was, is) = of(before).differences(of(after));
    changed(replay_object(id, after), was, is)
}

/// An event that was published again, as the event `made`.
pub(in crate::store) fn event_replayed(event: &Event, made: &str, webhook: Option<&Endpoint>) -> Change {
    let owner = event.tenant.as_ref().map(|tenant| Owned { provider: (&*event.provider).into(), tenant: tenant.clone() });
    let object = Object { kind: ObjectKind::Event, id: event.id.clone(), name: "".into(), owner };
    let after = Document::default().with("replayed_as", made).with_some("webhook", webhook.map(|webhook| &*webhook.id));
    Change { object, before: None, after: Some(after) }
}

fn replay_object(id: String, replay: &Replay) -> Object {
    Object { kind: ObjectKind::Replay, id: id.into(), name: "".into(), owner: Some(replay.owned.clone()) }
}

/// What was done to a delivery by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Done {
    SentAgain,
    Cancelled,
}

/// A delivery that was sent again or ended by hand.
pub(in crate::store) fn delivery(id: String, webhook: &Endpoint, was: State, done: Done) -> Change {
    let owner = Some(owner_of(webhook));
    let object = Object { kind: ObjectKind::Delivery, id: id.into(), name: "".into(), owner };
    let before = match was {
        State::Pending(_) => "pending",
        State::Succeeded { .. } => "succeeded",
        State::Failed { .. } => "failed",
    };
    let (status, reason) = match done {
        Done::SentAgain => ("pending", None),
        Done::Cancelled => ("failed", Some("cancelled")),
    };
    let of = |status| Document::default().with("status", status);
    Change { object, before: Some(of(before)), after: Some(of(status).with_some("reason", reason)) }
}

pub(in crate::store) fn key_made(key: &Key) -> Change {
    Change { object: key_object(key), before: None, after: Some(of_key(key)) }
}

pub(in crate::store) fn key_revoked(key: &Key) -> Change {
    Change { object: key_object(key), before: Some(of_key(key)), after: None }
}

/// A tenant that was made (`before` is `None`) or described anew. `None`: it is as it was.
pub(in crate::store) fn tenant(before: Option<&Tenant>, after: &Tenant) -> Option<Change> {
    let object = tenant_object(&after.owned);
    match before {
        None => Some(Change { object, before: None, after: Some(of_tenant(after)) }),
        Some(before) => {
            let (was, is) = of_tenant(before).differences(of_tenant(after));
            changed(object, was, is)
        }
    }
}

/// A tenant that the config file says something else of. `None`: the same as before.
pub(in crate::store) fn tenant_moved(before: &Tenant, listing: Listing) -> Option<Change> {
    let of = |listing: Listing| Document::default().with("status", tenant_status(listing));
    let (was, is) = of(before.listing).differences(of(listing));
    changed(tenant_object(&before.owned), was, is)
}

fn tenant_status(listing: Listing) -> &'static str {
    match listing {
        Listing::Never | Listing::Listed => "active",
        Listing::Gone => "removed",
        Listing::Deleting => "deleting",
    }
}

/// A tenant that is being deleted, with so many webhooks and keys. Each has a row of its own, but for so many that are `unlisted`.
pub(in crate::store) fn tenant_deleted(tenant: &Tenant, (webhooks, keys): (usize, usize), unlisted: usize) -> Change {
    let before = of_tenant(tenant).with("webhooks", webhooks).with("keys", keys);
    let before = before.with_some("without_row", some_of(unlisted));
    Change { object: tenant_object(&tenant.owned), before: Some(before), after: None }
}

/// A provider of which the API says something else now. `None`: it says the same.
pub(in crate::store) fn provider(name: &str, before: &ProviderSettings, after: &ProviderSettings) -> Option<Change> {
    let (was, is) = of_provider(before).differences(of_provider(after));
    changed(alone(ObjectKind::Provider, name), was, is)
}

fn some_of(count: usize) -> Option<usize> {
    (count > 0).then_some(count)
}

/// An event type of a provider that was added, changed or taken away. `None`: it is as it was.
pub(in crate::store) fn event_type(provider: &str, before: Option<&EventType>, after: Option<&EventType>) -> Option<Change> {
    let name = &before.or(after)?.name;
    let id = format!("{provider}/{name}").into();
    let object = Object { kind: ObjectKind::EventType, id, name: name.clone(), owner: None };
    match (before.map(of_event_type), after.map(of_event_type)) {
        (Some(was), Some(is)) => {
            let (was, is) = was.differences(is);
            changed(object, was, is)
        }
        (before, after) => Some(Change { object, before, after }),
    }
}

impl FileChanges {
    /// A webhook that stands in the file, and was another or not there before.
    pub(in crate::store) fn webhook(&mut self, before: Option<&Endpoint>, after: &Endpoint) {
        if webhook(before, after).is_some() {
            let list = if before.is_none_or(Endpoint::is_removed) { &mut self.added } else { &mut self.changed };
            list.push(format!("webhook {}", full_name(after)));
        }
    }

    pub(in crate::store) fn removed(&mut self, webhook: &Endpoint) {
        self.removed.push(format!("webhook {}", full_name(webhook)));
    }

    /// A tenant that came into the file or left it.
    pub(in crate::store) fn tenant(&mut self, Owned { provider, tenant }: &Owned, listing: Listing) {
        let list = if listing == Listing::Listed { &mut self.added } else { &mut self.removed };
        list.push(format!("tenant {provider}/{tenant}"));
    }

    /// A kept key that was revoked because its tenant or provider left the file.
    pub(in crate::store) fn key_revoked(&mut self, key: &Key) {
        self.removed.push(format!("key {}", key.id));
    }

    /// These, and those of the others that are of an object which is not among these.
    fn joined(self, brought: Self) -> Self {
        let told: HashSet<String> =
            [&self.added, &self.changed, &self.removed].into_iter().flatten().map(|one| named(one)).collect();
        let with = |mut mine: Vec<String>, theirs: Vec<String>| {
            mine.extend(theirs.into_iter().filter(|one| !told.contains(&named(one))));
            mine
        };
        Self {
            added: with(self.added, brought.added),
            changed: with(self.changed, brought.changed),
            removed: with(self.removed, brought.removed),
        }
    }
}

/// The kind and name of a change, without the fields that differ. A reload names a webhook of the default tenant by its name alone.
fn named(change: &str) -> String {
    let name = change.split_once(": ").map_or(change, |(name, _)| name);
    name.replacen(&format!("webhook {DEFAULT_OWNER}/{DEFAULT_OWNER}/"), "webhook ", 1)
}

/// What the config file brought about: what a reload found `changed` in the file, and what else was `brought` about in the store, as
/// keys that are revoked with their tenant. Each key and webhook that went has a row of its own, but for so many that are `unlisted`.
/// `None`: all was as the file has it.
pub(in crate::store) fn config(
    path: &str,
    changed: Option<FileChanges>,
    brought: FileChanges,
    unlisted: usize,
) -> Option<Change> {
    let told = changed.unwrap_or_default().joined(brought);
    let is_nothing = told == FileChanges::default() && unlisted == 0;
    let FileChanges { added, changed, removed } = told;
    let after = Document::default().with("added", added).with("changed", changed).with("removed", removed);
    let after = after.with_some("without_row", some_of(unlisted));
    (!is_nothing).then(|| Change { object: alone(ObjectKind::Config, path), before: None, after: Some(after) })
}

fn full_name(webhook: &Endpoint) -> String {
    let Endpoint { provider, tenant, definition, .. } = webhook;
    format!("{provider}/{tenant}/{}", definition.name)
}

/// The operator said that the wall clock is right.
pub(in crate::store) fn clock(accepted: Timestamp) -> Change {
    let of = |state| Document::default().with("state", state);
    let after = of("trusted").with("now", accepted.rfc3339_secs());
    Change { object: alone(ObjectKind::Clock, "clock"), before: Some(of("doubted")), after: Some(after) }
}

/// Events and deliveries of another relay, by their numbers, that became history of this one.
pub(in crate::store) fn history((events, deliveries): (u64, u64)) -> Change {
    let object = Object { kind: ObjectKind::History, id: "import".into(), name: "".into(), owner: None };
    let after = Document::default().with("events", events).with("deliveries", deliveries);
    Change { object, before: None, after: Some(after) }
}

/// A backup was begun.
pub(in crate::store) fn backup(path: &str) -> Change {
    Change { object: alone(ObjectKind::Backup, path), before: None, after: Some(Document::default().with("path", path)) }
}

fn changed(object: Object, was: Document, is: Document) -> Option<Change> {
    let has_changed = !(was.is_empty() && is.is_empty());
    has_changed.then_some(Change { object, before: Some(was), after: Some(is) })
}

fn alone(kind: ObjectKind, id: &str) -> Object {
    Object { kind, id: id.into(), name: "".into(), owner: None }
}

fn owner_of(webhook: &Endpoint) -> Owned {
    Owned { provider: webhook.provider.clone(), tenant: webhook.tenant.clone() }
}

fn webhook_object(webhook: &Endpoint) -> Object {
    let (id, name) = (webhook.id.clone(), webhook.definition.name.clone());
    Object { kind: ObjectKind::Webhook, id, name, owner: Some(owner_of(webhook)) }
}

/// The settings of which nothing but a masked value differs, by their names.
fn replaced(before: &Endpoint, after: &Endpoint) -> Vec<&'static str> {
    let [was, is] = [before, after].map(|webhook| &webhook.definition.settings);
    let mut names = was.differences(is);
    let (was, is) = (was.members(), is.members());
    names.retain(|name| was.iter().find(|one| one.name == *name) == is.iter().find(|one| one.name == *name));
    names
}

fn newest(webhook: &Endpoint) -> Option<&crate::domain::webhook::secret::Secret> {
    webhook.secrets.first().map(|held| &held.secret)
}

/// That there is a new secret, and until when the one before it signs too.
fn rotated(document: Document, webhook: &Endpoint) -> Document {
    let until = webhook.secrets.get(1).and_then(|LiveSecret { until, .. }| *until);
    document.with("secret", REPLACED).with_some("previous_secret_until", until.map(Timestamp::rfc3339_secs))
}

fn key_object(key: &Key) -> Object {
    let owner = match &key.role {
        Role::Tenant { provider, tenant, .. } => Some(Owned { provider: provider.clone(), tenant: tenant.clone() }),
        Role::Operator | Role::Provider { .. } => None,
    };
    Object { kind: ObjectKind::Key, id: key.id.clone(), name: key.name.clone(), owner }
}

fn tenant_object(owned: &Owned) -> Object {
    let id = format!("{}/{}", owned.provider, owned.tenant).into();
    Object { kind: ObjectKind::Tenant, id, name: "".into(), owner: Some(owned.clone()) }
}

/// A secret, as it is shown.
const MASKED: &str = "***";

/// A secret that came in place of another one.
const REPLACED: &str = "*** (replaced)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::endpoint::fixture::endpoint;
    use crate::domain::webhook::endpoint::{Definition, Why};
    use crate::domain::webhook::secret::Secret;
    use crate::domain::webhook::settings::{Setting, WebhookSettings};

    fn texts(change: Option<Change>) -> (Option<String>, Option<String>) {
        let change = change.expect("something changed");
        let text = |document: Option<Document>| document.map(|document| document.text().into_string());
        (text(change.before), text(change.after))
    }

    fn signed(secrets: &[(&str, Option<u64>)]) -> Endpoint {
        let held = |(text, until): &(&str, Option<u64>)| LiveSecret {
            secret: Secret::new(*text),
            until: until.map(Timestamp::from_secs),
        };
        Endpoint { secrets: secrets.iter().map(held).collect(), ..endpoint(&["*"]) }
    }

    #[test]
    fn a_webhook_is_shown_whole_when_it_comes_and_goes() {
        let made = signed(&[("whsec_canary", None)]);
        let shown = r#"{"name":"","description":"","url":"https://example.com/","events":["*"],"status":"active"}"#;
        assert_eq!(texts(webhook(None, &made)), (None, Some(shown.into())));
        assert_eq!(texts(webhook(Some(&made), &made.clone().deleted(Timestamp::EPOCH))), (Some(shown.into()), None));
    }

    #[test]
    fn a_change_shows_what_differs_alone() {
        let was = signed(&[("whsec_canary", None)]);
        assert_eq!(webhook(Some(&was), &was), None);
        let (before, after) = texts(webhook(Some(&was), &was.clone().disabled(Why::ByHand, Timestamp::EPOCH)));
        assert_eq!(before.as_deref(), Some(r#"{"status":"active"}"#));
        assert_eq!(after.as_deref(), Some(r#"{"status":"disabled","disabled_reason":"disabled by hand"}"#));
    }

    #[test]
    fn a_rotation_shows_that_the_secret_is_another_and_no_secret() {
        let (was, is) = (signed(&[("canary_1", None)]), signed(&[("canary_2", None), ("canary_1", Some(60))]));
        let (before, after) = texts(webhook(Some(&was), &is));
        assert_eq!(before.as_deref(), Some(r#"{"secret":"***"}"#));
        assert_eq!(after.as_deref(), Some(r#"{"secret":"*** (replaced)","previous_secret_until":"1970-01-01T00:01:00Z"}"#));
    }

    #[test]
    fn a_credential_that_is_masked_alike_is_told_to_be_another() {
        let of = |value: &str| {
            let headers = format!(r#"{{"Authorization":"Bearer {value}"}}"#);
            let settings = WebhookSettings::none().with(&[Setting::read("headers", &headers).expect("headers")]);
            let webhook = endpoint(&["*"]);
            Endpoint { definition: Definition { settings, ..webhook.definition.clone() }, ..webhook }
        };
        let (before, after) = texts(webhook(Some(&of("canary-1-canary")), &of("canary-2-canary")));
        assert_eq!((before.as_deref(), after.as_deref()), (Some("{}"), Some(r#"{"replaced":["headers"]}"#)));
        let (_, after) = texts(webhook(None, &of("canary-1-canary")));
        assert!(after.is_some_and(|after| after.contains("Authorization") && !after.contains("canary")));
    }

    #[test]
    fn a_reload_is_shown_with_what_else_it_brought_about() {
        let of = |added: &[&str], changed: &[&str], removed: &[&str]| {
            let [added, changed, removed] =
                [added, changed, removed].map(|names| names.iter().map(ToString::to_string).collect());
            FileChanges { added, changed, removed }
        };
        let changed = of(&["webhook a"], &["webhook acme/t1/b: url events"], &["tenant acme/t2"]);
        let added = ["webhook default/default/a"];
        let brought = of(&added, &["webhook acme/t1/b"], &["tenant acme/t2", "key key_1", "webhook acme/t1/a"]);
        let (_, after) = texts(config("h.toml", Some(changed), brought, 2));
        let removed = r#"["tenant acme/t2","key key_1","webhook acme/t1/a"],"without_row":2}"#;
        let others = r#"{"added":["webhook a"],"changed":["webhook acme/t1/b: url events"],"removed":"#;
        assert_eq!(after, Some(format!("{others}{removed}")));
        assert_eq!(config("h.toml", None, FileChanges::default(), 0), None);
    }

    #[test]
    fn a_deletion_says_how_much_has_no_row() {
        let tenant = Tenant::new(Owned { provider: "acme".into(), tenant: "t1".into() }, None);
        let (before, after) = texts(Some(tenant_deleted(&tenant, (600, 2), 102)));
        let shown = r#"{"name":"","metadata":{},"webhooks":600,"keys":2,"without_row":102}"#;
        assert_eq!((before.as_deref(), after), (Some(shown), None));
    }

    #[test]
    fn an_event_type_is_shown_with_what_changed_of_it() {
        let of = |description: &str| EventType {
            name: "a.b".into(),
            description: description.into(),
            example: "{}".into(),
            ..EventType::default()
        };
        assert_eq!(event_type("acme", Some(&of("x")), Some(&of("x"))), None);
        let change = event_type("acme", Some(&of("x")), Some(&of("y")));
        assert_eq!(change.as_ref().map(|change| &*change.object.id), Some("acme/a.b"));
        assert_eq!(texts(change), (Some(r#"{"description":"x"}"#.into()), Some(r#"{"description":"y"}"#.into())));
        assert_eq!(texts(event_type("acme", Some(&of("x")), None)).1, None);
    }
}

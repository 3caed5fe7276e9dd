//! What the config file makes of the webhooks: its own are as it says, and the others follow their provider and tenant.
//!
//! A webhook that the file does not name any more is removed, and is what it was when the file names it again. Nothing that was
//! disabled is enabled by it.

use std::time::Duration;

use super::webhooks::rotated;
use crate::domain::access::Role;
use crate::domain::id::EventKey;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Definition, Endpoint};
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::Setting;
use crate::store::message::command::FileWebhook;
use crate::store::record::Listing;
use crate::store::{Denied, Owned};

/// What makes a webhook of the file the same one: provider, tenant and name.
pub(in crate::store) type Identity = (Owned, Box<str>);

impl FileWebhook {
    pub(in crate::store) fn identity(&self) -> Identity {
        (self.owned.clone(), self.definition.name.clone())
    }

    /// The secret that a new webhook signs with.
    pub(in crate::store) fn take_secret(&mut self) -> Option<Secret> {
        self.secret.take().or(self.fresh_secret.take())
    }
}

/// The identity of a webhook that the file owns and that is there; `None`: the file does not own it, or it was deleted.
pub(in crate::store) fn identity(endpoint: &Endpoint) -> Option<Identity> {
    let is_known = endpoint.is_file_owned() && !endpoint.is_deleted();
    let owned = || Owned { provider: endpoint.provider.clone(), tenant: endpoint.tenant.clone() };
    is_known.then(|| (owned(), endpoint.definition.name.clone()))
}

/// Why the file is not taken whose webhook has the name of one that the API made.
pub(in crate::store) fn taken(FileWebhook { owned: Owned { provider, tenant }, definition, .. }: &FileWebhook) -> Denied {
    Denied::NameTakenByApi(format!("{provider}/{tenant}/{}", definition.name).into())
}

/// Why the file is not taken whose webhook has the uid of one that the API made.
pub(in crate::store) fn uid_taken(file: &FileWebhook, holder: &Endpoint) -> Denied {
    let FileWebhook { owned: Owned { provider, tenant }, definition, .. } = file;
    let webhook = format!("{provider}/{tenant}/{}", definition.name).into();
    let uid = definition.settings.uid.as_ref().map(ToString::to_string).unwrap_or_default();
    Denied::UidTakenByApi { webhook, uid: uid.into(), holder: holder.id.clone() }
}

/// A webhook that the file does not name any more, without its uid, which another webhook of the file has.
pub(in crate::store) fn without_uid(endpoint: Endpoint) -> Endpoint {
    let settings = endpoint.definition.settings.with(&[Setting::Uid(None)]);
    Endpoint { definition: Definition { settings, ..endpoint.definition }, ..endpoint }
}

/// A webhook as the file has it; `None`: it is that already.
pub(in crate::store) fn synced(known: &Endpoint, file: FileWebhook, now: Timestamp) -> Option<Endpoint> {
    let mut endpoint = known.clone().restored();
    if endpoint.definition != file.definition {
        endpoint.definition = file.definition;
        endpoint.changed_at = now;
    }
    let newest = endpoint.secrets.first().map(|held| &held.secret);
    let changed = match file.secret {
        Some(secret) if newest.is_none_or(|newest| *newest != secret) => rotated(endpoint, secret, file.overlap, now),
        _ => endpoint,
    };
    (!is_same(known, &changed)).then_some(changed)
}

/// A webhook that the file does not name any more; `None`: it was removed before.
pub(in crate::store) fn unnamed(known: &Endpoint, at: Timestamp) -> Option<Endpoint> {
    (!known.is_removed()).then(|| known.clone().removed(at))
}

/// A webhook made by the API, as its provider and tenant have it; `None`: it stays as it is.
pub(in crate::store) fn followed(
    endpoint: &Endpoint,
    is_provider_known: bool,
    tenant: Listing,
    at: Timestamp,
) -> Option<Endpoint> {
    let is_out = !is_provider_known || tenant == Listing::Gone;
    if endpoint.is_file_owned() || is_out == endpoint.is_removed() {
        return None;
    }
    let changed = endpoint.clone();
    Some(if is_out { changed.removed(at) } else { changed.restored() })
}

/// Whether a kept key is revoked: the file does not name its provider, or its tenant has just left.
pub(in crate::store) fn revokes(role: &Role, is_provider_known: bool, has_left: bool) -> bool {
    match role {
        Role::Operator => false,
        Role::Provider { .. } => !is_provider_known,
        Role::Tenant { .. } => !is_provider_known || has_left,
    }
}

/// A time that is later than every event, also when the clock went back: so no pin of a URL outlives a removal.
pub(in crate::store) fn after_all(newest: EventKey, now: Timestamp) -> Timestamp {
    now.max(newest.time()) + Duration::from_millis(1)
}

fn is_same(a: &Endpoint, b: &Endpoint) -> bool {
    let newest = |endpoint: &Endpoint| endpoint.secrets.first().map(|held| held.secret.clone());
    a.definition == b.definition && a.state == b.state && a.secrets.len() == b.secrets.len() && newest(a) == newest(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::Scopes;
    use crate::domain::webhook::endpoint::fixture::endpoint;
    use crate::domain::webhook::endpoint::{LiveSecret, Owner, WebhookState, Why};

    const NOW: Timestamp = Timestamp::from_secs(50);
    const HOUR: Duration = Duration::from_secs(3600);

    fn known() -> Endpoint {
        let secrets = vec![LiveSecret { secret: Secret::new("a"), until: None }];
        Endpoint { owner: Owner::File, secrets, ..endpoint(&["*"]) }
    }

    fn file(secret: Option<&str>) -> FileWebhook {
        FileWebhook {
            owned: Owned { provider: "acme".into(), tenant: "t1".into() },
            definition: known().definition,
            secret: secret.map(Secret::new),
            fresh_secret: Some(Secret::new("drawn")),
            overlap: HOUR,
        }
    }

    #[test]
    fn what_the_file_says_already_changes_nothing() {
        assert!(synced(&known(), file(None), NOW).is_none() && synced(&known(), file(Some("a")), NOW).is_none());
        let failed = known().disabled(Why::Failures(10), NOW);
        assert!(synced(&failed, file(None), NOW).is_none(), "and enables nothing");
    }

    #[test]
    fn another_definition_is_taken_over() {
        let definition = Definition { url: "https://example.org/".into(), ..known().definition };
        let changed = synced(&known(), FileWebhook { definition: definition.clone(), ..file(None) }, NOW).expect("it changed");
        assert_eq!((changed.definition, changed.changed_at, changed.created_at), (definition, NOW, known().created_at));
    }

    #[test]
    fn another_secret_is_a_rotation() {
        let changed = synced(&known(), file(Some("b")), NOW).expect("it changed");
        let signing = |at| changed.signing(at).iter().map(|secret| secret.expose().to_owned()).collect::<Vec<_>>();
        assert_eq!((signing(NOW), signing(NOW + HOUR)), (vec!["b".into(), "a".into()], vec!["b".into()]));
        let unsigned = Endpoint { secrets: Vec::new(), ..known() };
        assert_eq!(synced(&unsigned, file(Some("b")), NOW).map(|changed| changed.secrets.len()), Some(1));
    }

    #[test]
    fn what_the_file_names_no_more_is_removed_once() {
        let removed = unnamed(&known(), NOW).expect("it was there");
        assert!(removed.is_removed() && unnamed(&removed, NOW).is_none());
    }

    #[test]
    fn what_comes_back_into_the_file_is_as_it_was() {
        let disabled = known().disabled(Why::ByHand, NOW);
        for was in [known(), disabled] {
            let back = synced(&was.clone().removed(NOW), file(None), NOW).expect("it was removed");
            assert_eq!((back.state, back.failures), (was.state, was.failures));
        }
    }

    #[test]
    fn a_webhook_of_the_api_follows_its_provider_and_tenant() {
        let made = endpoint(&["*"]);
        let removed = made.clone().removed(NOW);
        let state = |changed: Option<Endpoint>| changed.map(|endpoint| endpoint.state);
        let out = Some(WebhookState::Removed { at: NOW, disabled: None });
        assert_eq!(state(followed(&made, false, Listing::Never, NOW)), out);
        assert_eq!(state(followed(&made, true, Listing::Gone, NOW)), out);
        assert_eq!(state(followed(&removed, true, Listing::Listed, NOW)), Some(WebhookState::Active));
        assert!(followed(&made, true, Listing::Never, NOW).is_none() && followed(&removed, false, Listing::Gone, NOW).is_none());
        assert!(followed(&known(), false, Listing::Gone, NOW).is_none(), "the file's own are synced");
    }

    #[test]
    fn keys_go_with_their_provider_and_tenant() {
        let tenant = Role::Tenant { provider: "acme".into(), tenant: "t1".into(), scopes: Scopes::ALL };
        let provider = Role::Provider { provider: "acme".into(), scopes: Scopes::NONE };
        assert!(revokes(&tenant, true, true) && revokes(&tenant, false, false) && revokes(&provider, false, false));
        assert!(!revokes(&tenant, true, false) && !revokes(&provider, true, true) && !revokes(&Role::Operator, false, true));
    }

    #[test]
    fn the_file_knows_its_own_webhooks_alone() {
        assert_eq!(identity(&known()), Some(file(None).identity()));
        assert_eq!(identity(&endpoint(&["*"])), None, "the API made it");
        assert_eq!(identity(&known().deleted(NOW)), None);
    }

    #[test]
    fn a_new_webhook_signs_with_the_files_secret_or_a_drawn_one() {
        let secret = |mut file: FileWebhook| file.take_secret().map(|secret| secret.expose().to_owned());
        assert_eq!((secret(file(Some("b"))), secret(file(None))), (Some("b".into()), Some("drawn".into())));
        assert_eq!(taken(&file(None)), Denied::NameTakenByApi("acme/t1/".into()));
    }

    #[test]
    fn a_removal_is_later_than_every_event() {
        let newest = EventKey::at(NOW + HOUR);
        assert!(after_all(newest, NOW) > newest.time() && after_all(EventKey::MIN, NOW) > NOW);
    }

    #[test]
    fn a_webhook_without_its_uid_keeps_all_else() {
        let uid = Setting::read("uid", "\"billing\"").expect("a uid");
        let settings = known().definition.settings.with(&[uid]);
        let named = Endpoint { definition: Definition { settings, ..known().definition }, ..known() };
        let bare = without_uid(named);
        assert_eq!((bare.definition.settings.uid.is_none(), bare.definition == known().definition), (true, true));
    }

    #[test]
    fn a_file_that_names_what_the_api_has_is_refused_by_name() {
        let name = format!("acme/t1/{}", known().definition.name);
        assert_eq!(taken(&file(None)), Denied::NameTakenByApi(name.as_str().into()));
        let settings = known().definition.settings.with(&[Setting::read("uid", "\"billing\"").expect("a uid")]);
        let of_file = FileWebhook { definition: Definition { settings, ..known().definition }, ..file(None) };
        let expected = Denied::UidTakenByApi { webhook: name.into(), uid: "billing".into(), holder: known().id };
        assert_eq!(uid_taken(&of_file, &known()), expected);
    }
}

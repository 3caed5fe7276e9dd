//! Changes of webhooks: who may make them, what a webhook is after each, and what the change asks for.

use std::mem::discriminant;
use std::time::Duration;

use super::tenants;
use crate::domain::id::{EndpointNo, TenantNo};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Definition, Endpoint, LiveSecret, Owner, WebhookState, Why};
use crate::domain::webhook::secret::Secret;
use crate::store::message::command::{NewWebhook, OldWebhook};
use crate::store::record::Listing;
use crate::store::{Denied, Owned};

/// What a new webhook is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Identity {
    pub(in crate::store) no: EndpointNo,
    pub(in crate::store) id: Box<str>,
    pub(in crate::store) tenant_no: TenantNo,
    pub(in crate::store) owned: Owned,
}

/// The other webhooks of the tenant that have what a webhook is to be called. The default has none.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::store) struct Holders<'a> {
    pub(in crate::store) of_name: Option<&'a Endpoint>,
    pub(in crate::store) of_uid: Option<&'a Endpoint>,
}

/// What is known where a webhook is to be made.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Standing<'a> {
    /// What others have of what it is to be called.
    pub(in crate::store) holders: Holders<'a>,
    /// What the config file says of the tenant; `None`: there is none of that name.
    pub(in crate::store) tenant: Option<Listing>,
    /// Webhooks of the tenant that [`counts`] says; only read where [`is_limited`].
    pub(in crate::store) made: usize,
}

/// What a changed state of a webhook asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Follows {
    /// Its backlog is read from the beginning, and the operator hears of it.
    Woken,
    /// Its pending deliveries are parked, and the operator hears of it. With `ends_tests` its tests end too.
    Stopped { ends_tests: bool },
    /// It is back in the config file, as disabled as it was: all is parked, and everybody knows.
    StaysDisabled,
    /// Its pending deliveries end.
    Deleted,
}

/// Whether a maker may only have made some number of webhooks.
pub(in crate::store) fn is_limited(new: &NewWebhook) -> bool {
    new.limit > 0 && matches!(new.owner, Owner::Key(_))
}

/// Whether a webhook of `owner` counts for `maker`: what it made itself, and what a key made that is not kept any more. Else a new
/// key would be a new limit.
pub(in crate::store) fn counts(owner: &Owner, maker: &Owner, is_kept: bool) -> bool {
    match owner {
        Owner::Key(_) => owner == maker || !is_kept,
        Owner::File | Owner::Operator | Owner::Provider(_) => false,
    }
}

/// Whether a webhook may be made.
pub(in crate::store) fn may_create(new: &NewWebhook, standing: Standing<'_>) -> Result<(), Denied> {
    standing.holders.of_name.map_or(Ok(()), |holder| Err(taken(holder)))?;
    standing.holders.of_uid.map_or(Ok(()), |holder| Err(uid_taken(holder)))?;
    tenants::may_make_for(&new.owned.tenant, standing.tenant)?;
    if standing.tenant == Some(Listing::Gone) && !new.restores {
        return Err(Denied::TenantRemoved(new.owned.tenant.clone()));
    }
    if is_limited(new) && standing.made >= new.limit as usize {
        return Err(Denied::TooMany(new.limit));
    }
    Ok(())
}

/// Whether a webhook of another relay may be taken over that is not here yet.
pub(in crate::store) fn may_import(owned: &Owned, holders: Holders<'_>, listing: Option<Listing>) -> Result<(), Denied> {
    holders.of_name.map_or(Ok(()), |holder| Err(taken(holder)))?;
    holders.of_uid.map_or(Ok(()), |holder| Err(uid_taken(holder)))?;
    tenants::may_import_for(&owned.tenant, listing)
}

/// A webhook of another relay, new here.
pub(in crate::store) fn imported(no: EndpointNo, tenant_no: TenantNo, old: OldWebhook) -> Endpoint {
    let OldWebhook { id, owned, definition, owner, created_at, changed_at, state, failures, secrets, fresh_secret } = old;
    let identity = Identity { no, id, tenant_no, owned };
    let made = created(identity, definition, owner, fresh_secret, created_at);
    Endpoint { changed_at, state, failures, secrets: secrets.unwrap_or(made.secrets), ..made }
}

/// A webhook that stands, given the definition that an import brings for its id. Its state, its maker, its secrets and its credentials
/// stay. `holders` are others of the tenant that have the name or uid of the definition.
///
/// Fails where the webhook is of another tenant, was deleted, or was taken out of the config file.
pub(in crate::store) fn overwritten(
    endpoint: &Endpoint,
    owned: &Owned,
    definition: Definition,
    holders: Holders<'_>,
    now: Timestamp,
) -> Result<Endpoint, Denied> {
    if (&endpoint.provider, &endpoint.tenant) != (&owned.provider, &owned.tenant) {
        return Err(Denied::OfOtherTenant(endpoint.id.clone()));
    }
    if endpoint.is_deleted() {
        return Err(Denied::Deleted);
    }
    if endpoint.is_removed() {
        return Err(Denied::Removed);
    }
    let settings = definition.settings.with_credentials_of(&endpoint.definition.settings);
    update(endpoint, Definition { settings, ..definition }, holders, now)
}

/// A webhook whose tenant is deleted, also one that the config file owned and does not name any more.
pub(in crate::store) fn delete_with_tenant(endpoint: &Endpoint, now: Timestamp) -> Endpoint {
    endpoint.clone().deleted(now)
}

/// A new webhook. It is active.
pub(in crate::store) fn created(
    Identity { no, id, tenant_no, owned }: Identity,
    definition: Definition,
    owner: Owner,
    secret: Option<Secret>,
    now: Timestamp,
) -> Endpoint {
    Endpoint {
        no,
        id,
        provider: owned.provider,
        tenant: owned.tenant,
        tenant_no,
        definition,
        owner,
        created_at: now,
        changed_at: now,
        state: WebhookState::Active,
        failures: 0,
        secrets: secret.into_iter().map(|secret| LiveSecret { secret, until: None }).collect(),
        pins_from: Timestamp::EPOCH,
    }
}

/// Gives a webhook another definition. `holders` are other webhooks that have the definition's name or uid.
pub(in crate::store) fn update(
    endpoint: &Endpoint,
    definition: Definition,
    holders: Holders<'_>,
    now: Timestamp,
) -> Result<Endpoint, Denied> {
    // Two of one name, in a store of before names were unique, stay what they are.
    let of_name = holders.of_name.filter(|_| definition.name != endpoint.definition.name);
    of_name.map_or(Ok(()), |holder| Err(taken(holder)))?;
    holders.of_uid.map_or(Ok(()), |holder| Err(uid_taken(holder)))?;
    let mut changed = own(endpoint)?;
    changed.definition = definition;
    changed.changed_at = now;
    Ok(changed)
}

/// Sends to a webhook again, whatever stopped it, but for the config file that it was taken out of.
pub(in crate::store) fn enable(endpoint: &Endpoint) -> Result<Endpoint, Denied> {
    if endpoint.is_removed() { Err(Denied::Removed) } else { there(endpoint).map(Endpoint::enabled) }
}

/// Sends nothing to a webhook any more.
pub(in crate::store) fn disable(endpoint: &Endpoint, now: Timestamp) -> Result<Endpoint, Denied> {
    own(endpoint).map(|endpoint| endpoint.disabled(Why::ByHand, now))
}

/// Deletes a webhook; one of the config file only when it was taken out of that.
pub(in crate::store) fn delete(endpoint: &Endpoint, now: Timestamp) -> Result<Endpoint, Denied> {
    let found = if endpoint.is_removed() { there(endpoint) } else { own(endpoint) };
    found.map(|endpoint| endpoint.deleted(now))
}

/// Gives a webhook a new secret; the ones before sign for `overlap` more.
pub(in crate::store) fn rotate(
    endpoint: &Endpoint,
    secret: Secret,
    overlap: Duration,
    is_from_file: bool,
    now: Timestamp,
) -> Result<Endpoint, Denied> {
    if is_from_file {
        return Err(Denied::SecretFromFile);
    }
    there(endpoint).map(|endpoint| rotated(endpoint, secret, overlap, now))
}

/// A webhook with a new secret.
pub(in crate::store) fn rotated(mut endpoint: Endpoint, secret: Secret, overlap: Duration, now: Timestamp) -> Endpoint {
    endpoint.secrets.retain(|held| held.until.is_none_or(|until| now < until));
    endpoint.secrets.iter_mut().for_each(|held| held.until = Some(held.until.unwrap_or(now + overlap).min(now + overlap)));
    if overlap.is_zero() {
        endpoint.secrets.clear();
    }
    endpoint.secrets.insert(0, LiveSecret { secret, until: None });
    endpoint.secrets.truncate(SECRETS_MAX);
    endpoint
}

/// What follows from a webhook's state, which was `before`; `None`: it is the same kind of state.
pub(in crate::store) fn follows(before: WebhookState, after: WebhookState) -> Option<Follows> {
    if discriminant(&before) == discriminant(&after) {
        return None;
    }
    Some(match after {
        WebhookState::Active => Follows::Woken,
        WebhookState::Disabled { .. } if before != WebhookState::Active => Follows::StaysDisabled,
        WebhookState::Disabled { .. } => Follows::Stopped { ends_tests: false },
        WebhookState::Removed { .. } => Follows::Stopped { ends_tests: true },
        WebhookState::Deleted { .. } => Follows::Deleted,
    })
}

/// Why a name cannot be had.
fn taken(holder: &Endpoint) -> Denied {
    let (name, id) = (holder.definition.name.clone(), holder.id.clone());
    if holder.is_removed() { Denied::NameOfRemoved { name, id } } else { Denied::NameTaken(name) }
}

/// Why a uid cannot be had.
fn uid_taken(holder: &Endpoint) -> Denied {
    let uid = holder.definition.settings.uid.as_ref().map(ToString::to_string).unwrap_or_default();
    Denied::UidTaken { uid: uid.into(), holder: holder.id.clone() }
}

/// A webhook that the API may change: the config file keeps its own to itself.
fn own(endpoint: &Endpoint) -> Result<Endpoint, Denied> {
    match (endpoint.is_file_owned(), endpoint.is_removed()) {
        (true, true) => Err(Denied::Removed),
        (true, false) => Err(Denied::FileOwned),
        (false, _) => there(endpoint),
    }
}

fn there(endpoint: &Endpoint) -> Result<Endpoint, Denied> {
    if endpoint.is_deleted() { Err(Denied::NoWebhook) } else { Ok(endpoint.clone()) }
}

/// Live secrets of one webhook: each is a signature in the header of every attempt.
pub(crate) const SECRETS_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::endpoint::fixture::endpoint;
    use crate::domain::webhook::settings::{Setting, WebhookSettings};

    const NOW: Timestamp = Timestamp::from_secs(50);
    const HOUR: Duration = Duration::from_secs(3600);

    fn named(name: &str) -> Endpoint {
        let known = endpoint(&["*"]);
        Endpoint { definition: Definition { name: name.into(), ..known.definition.clone() }, ..known }
    }

    fn of_file() -> Endpoint {
        Endpoint { owner: Owner::File, ..named("till") }
    }

    fn new(owner: Owner, limit: u32) -> NewWebhook {
        NewWebhook {
            owned: Owned { provider: "acme".into(), tenant: "t1".into() },
            definition: named("till").definition,
            owner,
            secret: Some(Secret::new("s")),
            limit,
            file_keys: Vec::new(),
            restores: false,
        }
    }

    fn key(id: &str) -> Owner {
        Owner::Key(id.into())
    }

    /// What an API answers: the state, or why not.
    fn state(changed: Result<Endpoint, Denied>) -> Result<WebhookState, Denied> {
        changed.map(|endpoint| endpoint.state)
    }

    #[test]
    fn a_name_is_had_once_and_the_holder_is_told_of() {
        let standing = Standing { holders: Holders::default(), tenant: None, made: 0 };
        let held = |holder: &Endpoint| {
            let holders = Holders { of_name: Some(holder), of_uid: None };
            may_create(&new(Owner::Operator, 0), Standing { holders, ..standing })
        };
        assert_eq!(held(&named("till")), Err(Denied::NameTaken("till".into())));
        let removed = Denied::NameOfRemoved { name: "till".into(), id: "wh_1".into() };
        assert_eq!(held(&named("till").removed(NOW)), Err(removed));
        assert_eq!(may_create(&new(Owner::Operator, 0), standing), Ok(()));
    }

    #[test]
    fn a_tenant_out_of_the_file_gets_a_webhook_only_by_who_may_restore_it() {
        let gone = Standing { holders: Holders::default(), tenant: Some(Listing::Gone), made: 0 };
        assert_eq!(may_create(&new(key("k"), 0), gone), Err(Denied::TenantRemoved("t1".into())));
        assert_eq!(may_create(&NewWebhook { restores: true, ..new(Owner::Operator, 0) }, gone), Ok(()));
    }

    #[test]
    fn an_import_changes_no_state_and_no_secret_of_a_webhook_that_stands() {
        let owned = Owned { provider: named("till").provider, tenant: named("till").tenant };
        let auth = Setting::read("headers", r#"{"X-A":"b"}"#).expect("headers");
        let mut stands = named("till").disabled(Why::Gone, NOW);
        stands.secrets = vec![LiveSecret { secret: Secret::new("own"), until: None }];
        stands.definition.settings = WebhookSettings::none().with(&[auth]);
        let told = named("other").definition;
        let taken = overwritten(&stands, &owned, told.clone(), Holders::default(), NOW).expect("it is theirs");
        assert_eq!((taken.state, &taken.owner), (stands.state, &stands.owner));
        assert_eq!(taken.secrets[0].secret.expose(), "own");
        assert_eq!(taken.definition.name, told.name);
        assert_eq!(taken.definition.settings, stands.definition.settings, "its credentials stay");
        let denied = |webhook: &Endpoint, owned: &Owned| overwritten(webhook, owned, told.clone(), Holders::default(), NOW).err();
        assert_eq!(denied(&stands.clone().deleted(NOW), &owned), Some(Denied::Deleted));
        assert_eq!(denied(&stands.clone().removed(NOW), &owned), Some(Denied::Removed));
        let other = Owned { tenant: "another".into(), ..owned };
        assert_eq!(denied(&stands, &other), Some(Denied::OfOtherTenant(stands.id.clone())));
    }

    #[test]
    fn an_import_brings_back_no_tenant_that_left_the_config_file() {
        let owned = Owned { provider: "acme".into(), tenant: "t1".into() };
        let import = |listing| may_import(&owned, Holders::default(), listing);
        assert_eq!(import(Some(Listing::Gone)), Err(Denied::TenantRemoved("t1".into())));
        assert_eq!([None, Some(Listing::Never), Some(Listing::Listed)].map(import), [Ok(()), Ok(()), Ok(())]);
    }

    #[test]
    fn a_key_makes_as_many_webhooks_as_its_limit() {
        let made =
            |owner, limit, made| may_create(&new(owner, limit), Standing { holders: Holders::default(), tenant: None, made });
        assert_eq!([0, 4].map(|count| made(key("k"), 5, count)), [Ok(()), Ok(())]);
        assert_eq!([5, 9].map(|count| made(key("k"), 5, count)), [Err(Denied::TooMany(5)), Err(Denied::TooMany(5))]);
        assert_eq!(made(key("k"), 0, 99), Ok(()), "0 is no limit");
        assert_eq!(made(Owner::Operator, 5, 99), Ok(()), "the operator has none");
    }

    #[test]
    fn what_revoked_keys_made_counts_for_every_key() {
        assert!(counts(&key("a"), &key("a"), true) && counts(&key("b"), &key("a"), false));
        assert!(!counts(&key("b"), &key("a"), true), "it counts for its own key");
        assert!(![Owner::File, Owner::Operator, Owner::Provider("a".into())].iter().any(|owner| counts(owner, &key("a"), false)));
    }

    #[test]
    fn a_new_webhook_is_active_and_signs() {
        let owned = Owned { provider: "acme".into(), tenant: "t1".into() };
        let identity = Identity { no: EndpointNo(4), id: "wh_4".into(), tenant_no: TenantNo(2), owned };
        let made = created(identity.clone(), named("a").definition, key("k"), Some(Secret::new("s")), NOW);
        assert_eq!((made.no, made.tenant_no, made.created_at, made.is_active()), (EndpointNo(4), TenantNo(2), NOW, true));
        assert_eq!(made.signing(NOW).len(), 1);
        assert!(created(identity, made.definition, made.owner, None, NOW).secrets.is_empty(), "its dialect signs nothing");
    }

    #[test]
    fn another_definition_is_taken_unless_its_name_is_held() {
        let (other, holder) = (named("other").definition, named("other"));
        let held = |holder| Holders { of_name: Some(holder), of_uid: None };
        let changed = update(&named("till"), other.clone(), Holders::default(), NOW).expect("the name is free");
        assert_eq!((&changed.definition, changed.changed_at), (&other, NOW));
        assert_eq!(update(&named("till"), other, held(&holder), NOW).err(), Some(Denied::NameTaken("other".into())));
        let same = update(&named("till"), named("till").definition, held(&named("till")), NOW);
        assert!(same.is_ok(), "two of one name stay what they are");
    }

    #[test]
    fn a_uid_is_had_once_and_the_holder_is_told_of() {
        let uid = Setting::read("uid", "\"main\"").expect("a uid");
        let mut holder = named("other");
        holder.definition.settings = WebhookSettings::none().with(&[uid]);
        let taken = Denied::UidTaken { uid: "main".into(), holder: "wh_1".into() };
        let holders = Holders { of_name: None, of_uid: Some(&holder) };
        assert_eq!(update(&named("till"), holder.definition.clone(), holders, NOW).err(), Some(taken.clone()));
        let standing = Standing { holders, tenant: None, made: 0 };
        assert_eq!(may_create(&new(Owner::Operator, 0), standing), Err(taken));
    }

    #[test]
    fn the_api_changes_no_webhook_of_the_file() {
        assert_eq!(update(&of_file(), named("till").definition, Holders::default(), NOW).err(), Some(Denied::FileOwned));
        assert_eq!(disable(&of_file(), NOW).err(), Some(Denied::FileOwned));
        assert_eq!(delete(&of_file(), NOW).err(), Some(Denied::FileOwned));
        assert_eq!(disable(&of_file().removed(NOW), NOW).err(), Some(Denied::Removed));
        let failed = of_file().disabled(Why::Failures(10), NOW);
        assert_eq!(state(enable(&failed)), Ok(WebhookState::Active), "what failures disabled, the API enables");
    }

    #[test]
    fn what_is_out_of_the_file_can_be_deleted_and_not_enabled() {
        assert_eq!(enable(&of_file().removed(NOW)).err(), Some(Denied::Removed));
        assert_eq!(state(delete(&of_file().removed(NOW), NOW)), Ok(WebhookState::Deleted { at: NOW }));
        assert_eq!(state(delete(&named("till"), NOW)), Ok(WebhookState::Deleted { at: NOW }));
    }

    #[test]
    fn enabling_starts_the_count_of_failures_anew() {
        let failed = Endpoint { failures: 10, ..named("till") }.disabled(Why::Failures(10), NOW);
        let enabled = enable(&failed).expect("it can be enabled");
        assert_eq!((enabled.failures, enabled.is_active()), (0, true));
        assert_eq!(state(disable(&enabled, NOW)), Ok(WebhookState::Disabled { at: NOW, why: Why::ByHand }));
    }

    #[test]
    fn a_deleted_webhook_is_not_there() {
        let gone = named("till").deleted(NOW);
        let denied = [
            update(&gone, gone.definition.clone(), Holders::default(), NOW),
            enable(&gone),
            disable(&gone, NOW),
            delete(&gone, NOW),
            rotate(&gone, Secret::new("s"), HOUR, false, NOW),
        ];
        assert!(denied.into_iter().all(|answer| answer.err() == Some(Denied::NoWebhook)));
    }

    #[test]
    fn an_old_secret_signs_until_the_overlap_ends() {
        let first = rotate(&named("till"), Secret::new("a"), HOUR, false, NOW).expect("it is there");
        let second = rotate(&first, Secret::new("b"), HOUR, false, NOW).expect("it is there");
        let signing = |at: Timestamp| second.signing(at).iter().map(|secret| secret.expose().to_owned()).collect::<Vec<_>>();
        assert_eq!(signing(NOW), ["b", "a"]);
        assert_eq!(signing(NOW + HOUR), ["b"]);
        let short = rotate(&second, Secret::new("c"), Duration::from_secs(1), false, NOW).expect("it is there");
        assert!(short.secrets[1..].iter().all(|held| held.until == Some(NOW + Duration::from_secs(1))), "none signs longer");
    }

    #[test]
    fn without_an_overlap_one_secret_is_left() {
        let first = rotate(&named("till"), Secret::new("a"), HOUR, false, NOW).expect("it is there");
        let second = rotate(&first, Secret::new("b"), Duration::ZERO, false, NOW).expect("it is there");
        assert_eq!(second.secrets.len(), 1);
        assert_eq!(rotate(&first, Secret::new("c"), HOUR, true, NOW).err(), Some(Denied::SecretFromFile));
    }

    #[test]
    fn no_webhook_has_more_than_ten_secrets() {
        let rotated = (0..30).fold(named("till"), |webhook, _| rotated(webhook, Secret::new("s"), HOUR, NOW));
        assert_eq!(rotated.secrets.len(), SECRETS_MAX);
        assert_eq!(rotated.secrets.iter().filter(|held| held.until.is_none()).count(), 1);
    }

    #[test]
    fn each_change_of_state_asks_for_its_own() {
        let (active, deleted) = (WebhookState::Active, WebhookState::Deleted { at: NOW });
        let disabled = WebhookState::Disabled { at: NOW, why: Why::Gone };
        let removed = WebhookState::Removed { at: NOW, disabled: None };
        assert_eq!(follows(active, disabled), Some(Follows::Stopped { ends_tests: false }));
        assert_eq!(follows(active, removed), Some(Follows::Stopped { ends_tests: true }));
        assert_eq!(follows(disabled, removed), Some(Follows::Stopped { ends_tests: true }));
        assert_eq!(follows(removed, disabled), Some(Follows::StaysDisabled));
        assert_eq!([disabled, removed].map(|before| follows(before, active)), [Some(Follows::Woken); 2]);
        assert_eq!([active, disabled, removed].map(|before| follows(before, deleted)), [Some(Follows::Deleted); 3]);
        assert_eq!(follows(disabled, WebhookState::Disabled { at: Timestamp::EPOCH, why: Why::ByHand }), None);
    }
}

//! API keys, for the operator, or for a provider those of its tenants: those of the config file and those made here, listed, made,
//! revoked.

use std::sync::Arc;

use http::StatusCode;
use zeroize::Zeroizing;

use crate::api::document::key::{self as document, KeyOwner};
use crate::api::random;
use crate::api::request::auth::{Caller, Rank, hash};
use crate::api::request::context::Context;
use crate::api::request::cursor;
use crate::api::request::params::{Form, unknown};
use crate::api::request::settings::{FILE_KEY, Settings};
use crate::api::request::target::TARGET;
use crate::api::response::no_key::NoKey;
use crate::api::response::page::{Frame, Listed, documents, page};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::api::told;
use crate::clock;
use crate::config::checked::DEFAULT_OWNER;
use crate::domain::access::{Beyond, Key, Maker, Role, Scopes, Terms};
use crate::domain::id::uid::is_id_or_uid;
use crate::domain::id::{is_name, key_id};
use crate::domain::rate::NoRate;
use crate::domain::resource::Resource;
use crate::domain::time::Timestamp;
use crate::store::{Denied, NewKey, Store};

/// `GET /v1/admin/keys`: all that the caller may see by id, without their texts, which nobody keeps.
pub(crate) async fn list(context: &Context<'_>) -> Result<Reply, Problem> {
    let mut query = context.query(&["limit", "cursor"]);
    let (limit, after): (usize, Box<str>) = (query.limit(), cursor::from_query(&mut query).unwrap_or_default());
    query.finish()?;
    let mut keys = all(context);
    keys.retain(|key| key.id > after);
    let store = context.api.store.clone();
    let rows = documents(move |key: &Arc<Key>| Ok(document(key, store.key_used(&key.hash))));
    let rows = Listed::new(keys, limit, |key| cursor::encode(&key.id), rows);
    page(context, Frame::default(), rows).await
}

/// `POST /v1/admin/keys`: the one answer that shows the key's text.
pub(crate) async fn create(context: &Context<'_>) -> Result<Reply, Problem> {
    let mut form = Form::read_or_empty(&context.body, MEMBERS)?;
    let now = context.api.store.now();
    let name = name(&mut form);
    let terms = terms_below(terms(&mut form, now), &context.caller, &mut form);
    let role = match context.caller.rank {
        Rank::Operator => role(&mut form, context.settings),
        Rank::Provider(scopes) | Rank::Tenant(scopes) => role_below(&mut form, &context.caller, scopes)?,
    };
    form.finish()?;
    let role = resolved(role, &context.api.store)?;
    let text = text(random::bytes()?);
    let id = key_id(now, random::bytes()?).into();
    let (name, hash, maker) = (name.into(), hash(text.as_bytes()), context.caller.maker());
    let key = Key { id, name, role, hash, created_at: now, maker, terms };
    let by = context.caller.key.as_ref().map(|key| key.hash);
    context.api.key_changes.take(&context.caller, clock::steady())?;
    context.commands().add_key(NewKey { key: key.clone(), by, is_imported: false }).await.map_err(denied)?;
    told::key_made(&context.caller, &key);
    Ok(Reply::document(StatusCode::CREATED, &document::NewKey { known: document(&key, None), key: text.to_string() }))
}

/// `DELETE /v1/admin/keys/{id or name}`: no request that comes after the answer is taken with it.
pub(crate) async fn revoke(context: &Context<'_>) -> Result<Reply, Problem> {
    let key = called(&all(context), context.id)?;
    if is_from_file(&key) {
        return Err(Denied::KeyInFile.into());
    }
    context.api.key_changes.take(&context.caller, clock::steady())?;
    context.commands().revoke_key(&key.id).await?;
    told::key_revoked(&context.caller, &key.id);
    Ok(Reply::no_content())
}

/// A caller whose key is revoked meanwhile is told what any other is.
fn denied(denied: Denied) -> Problem {
    match denied {
        Denied::KeyRevoked => Problem::NoKey(NoKey::Revoked),
        denied => denied.into(),
    }
}

/// Those of the file and those made here that the caller may see, by id.
fn all(context: &Context<'_>) -> Vec<Arc<Key>> {
    let known = context.settings.keys().cloned().chain(context.api.store.keys());
    let mut keys: Vec<Arc<Key>> = known.filter(|key| sees(&context.caller, key)).collect();
    keys.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    keys
}

/// An operator sees every key; a provider those of its tenants, or of the one that it named, and not its own.
fn sees(caller: &Caller, key: &Key) -> bool {
    match &key.role {
        _ if caller.rank == Rank::Operator => true,
        Role::Operator | Role::Provider { .. } => false,
        Role::Tenant { provider, tenant, .. } => {
            **provider == *caller.provider.name && caller.tenant().is_none_or(|own| *own == **tenant)
        }
    }
}

/// The key with this id, else the only one with this name.
fn called(keys: &[Arc<Key>], name: &str) -> Result<Arc<Key>, Problem> {
    if let Some(key) = keys.iter().find(|key| *key.id == *name) {
        return Ok(key.clone());
    }
    let found: Vec<&Arc<Key>> = keys.iter().filter(|key| *key.name == *name).collect();
    match found[..] {
        [key] => Ok(key.clone()),
        [] => Err(Denied::NoKey.into()),
        _ => {
            let ids: Vec<&str> = found.iter().take(TOLD_MAX).map(|key| &*key.id).collect();
            Err(Problem::Conflict(format!("{} keys have this name; revoke one by its id: {}", found.len(), ids.join(", "))))
        }
    }
}

fn is_from_file(key: &Key) -> bool {
    key.id.starts_with(FILE_KEY)
}

/// What a key that a provider makes may be: of one of its tenants, with no scope that the maker has not.
fn role_below(form: &mut Form<'_>, caller: &Caller, own: Scopes) -> Result<Role, Problem> {
    let provider = &*caller.provider.name;
    let alone = || Problem::Forbidden(format!("this key makes keys for the tenants of {provider} alone; name one as `tenant`"));
    let of_others = form.text("provider").is_some_and(|named| named != provider);
    if of_others || form.boolean("operator").unwrap_or_default() {
        return Err(alone());
    }
    let tenant = match (form.text("tenant"), caller.tenant()) {
        (Some(named), Some(own)) if named != own => {
            return Err(Problem::Forbidden(format!("`tenant` is not the one of the {TARGET} header")));
        }
        (named, own) => named.or(own.map(Into::into)).ok_or_else(alone)?,
    };
    check_tenant(&tenant, form);
    let scopes = scopes(form).unwrap_or(Scopes::ALL);
    match own.lacking(scopes)[..] {
        [] => Ok(Role::Tenant { provider: provider.into(), tenant: (&*tenant).into(), scopes }),
        ref lacking => Err(Problem::Forbidden(format!(
            "this key cannot give what it has not: {}; name the others as `scopes`",
            lacking.join(", ")
        ))),
    }
}

/// A key without a name is known by its id; a name that is given says something.
fn name(form: &mut Form<'_>) -> String {
    let Some(name) = form.text("name") else { return String::new() };
    if name.trim().is_empty() {
        form.note("name", "is blank; leave it out for a key without a name");
    }
    if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        form.note("name", "is longer than 128 characters or contains a control character");
    }
    name.into_owned()
}

/// What the key is for, until when, and how often.
/// The terms of a key that the caller makes. Only an operator makes keys that go further than its own.
fn terms_below(terms: Terms, caller: &Caller, form: &mut Form<'_>) -> Terms {
    let maker = caller.key.as_ref().filter(|_| caller.rank != Rank::Operator);
    let Some(maker) = maker else { return terms };
    let (terms, beyond) = terms.under(&maker.terms);
    for further in beyond {
        match further {
            Beyond::End(end) => form.note("expires_at", format!("is later than {}, the end of your key", end.rfc3339_secs())),
            Beyond::Rate(rate) => form.note("rate_limit", format!("is more than {rate}, the limit of your key")),
        }
    }
    terms
}

fn terms(form: &mut Form<'_>, now: Timestamp) -> Terms {
    let description = form.text("description").unwrap_or_default();
    if description.chars().count() > DESCRIPTION_CHARS_MAX || description.chars().any(char::is_control) {
        form.note("description", "is longer than 1024 characters or contains a control character");
    }
    let expires_at = form.time("expires_at");
    if expires_at.is_some_and(|end| end <= now) {
        form.note("expires_at", "is not in the future");
    }
    let rate_limit = form
        .text("rate_limit")
        .and_then(|text| text.parse().map_err(|wrong: NoRate| form.note("rate_limit", wrong.to_string())).ok());
    Terms { description: description.into(), expires_at, rate_limit }
}

/// An operator's with `operator`, a tenant's with `tenant`, a provider's with `provider` alone; nothing: of the default tenant.
fn role(form: &mut Form<'_>, settings: &Settings) -> Role {
    let operator = form.boolean("operator").unwrap_or_default();
    let (provider, tenant) = (form.text("provider"), form.text("tenant"));
    let scopes = scopes(form);
    let is_tenants = !operator && (tenant.is_some() || provider.is_none());
    if operator && (provider.is_some() || tenant.is_some()) {
        form.note("operator", "has neither `provider` nor `tenant`: it may do everything");
    }
    if operator && scopes.is_some() {
        form.note("scopes", "are for the key of a tenant or a provider; an operator may do everything");
    }
    let provider = provider.as_deref().unwrap_or(DEFAULT_OWNER);
    check_provider(provider, form, settings);
    let tenant = tenant.as_deref().unwrap_or(DEFAULT_OWNER);
    check_tenant(tenant, form);
    match (operator, is_tenants) {
        (true, _) => Role::Operator,
        (_, false) => Role::Provider { provider: provider.into(), scopes: scopes.unwrap_or(Scopes::PUBLISH) },
        (_, true) => Role::Tenant { provider: provider.into(), tenant: tenant.into(), scopes: scopes.unwrap_or(Scopes::ALL) },
    }
}

/// What is no list of scopes is noted, and gives none.
fn scopes(form: &mut Form<'_>) -> Option<Scopes> {
    let names = form.texts("scopes")?;
    let parsed = Scopes::parse(names.iter().map(String::as_str));
    if parsed.is_none() {
        form.note("scopes", format!("is not a list of some of {}", Scopes::NAMES.join(", ")));
    }
    Some(parsed.unwrap_or(Scopes::NONE))
}

/// The role, of the tenant whose uid was named. Fails when there is none, and the text can be no id either.
fn resolved(role: Role, store: &Store) -> Result<Role, Problem> {
    let Role::Tenant { provider, tenant, scopes } = role else { return Ok(role) };
    let tenant = store.tenant_called(&provider, &tenant);
    if is_name(&tenant) { Ok(Role::Tenant { provider, tenant, scopes }) } else { Err(Problem::NotFound(Resource::Tenant)) }
}

fn check_tenant(name: &str, form: &mut Form<'_>) {
    if !is_id_or_uid(name) {
        form.note("tenant", "is neither an id nor a uid: 1 to 256 of A-Za-z0-9-_.");
    }
}

fn check_provider(name: &str, form: &mut Form<'_>, settings: &Settings) {
    if settings.provider(name).is_none() {
        let known: Vec<&str> = settings.providers().map(|provider| &*provider.name).collect();
        form.note("provider", unknown(name, &known));
    }
}

/// A key as it is listed. `used`: when it was used last.
fn document(key: &Key, used: Option<Timestamp>) -> document::Key {
    let (tenant, scopes) = match &key.role {
        Role::Operator => (None, None),
        Role::Provider { scopes, .. } => (None, Some(*scopes)),
        Role::Tenant { tenant, scopes, .. } => (Some(tenant.to_string()), Some(*scopes)),
    };
    let from_file = is_from_file(key);
    document::Key {
        id: key.id.to_string(),
        name: key.name.to_string(),
        operator: key.role == Role::Operator,
        provider: key.role.provider().map(Into::into),
        tenant,
        scopes: scopes.map(|scopes| scopes.names().into_iter().map(Into::into).collect()),
        owner: if from_file { KeyOwner::File } else { owner(&key.maker) },
        made_by: key.maker.key().map(Into::into),
        created_at: (!from_file).then_some(key.created_at.into()),
        description: key.terms.description.to_string(),
        expires_at: key.terms.expires_at.map(Into::into),
        rate_limit: key.terms.rate_limit.map(|rate| rate.to_string()),
        last_used_at: used.map(Into::into),
    }
}

/// Whose word a key made here rests on.
fn owner(maker: &Maker) -> KeyOwner {
    match maker {
        Maker::Operator(_) => KeyOwner::Operator,
        Maker::Provider(_) => KeyOwner::Provider,
    }
}

/// `hwk_` and 43 digits of base62: all 256 bits, as a number.
fn text(random: [u8; 32]) -> Zeroizing<String> {
    let mut number = Zeroizing::new(random);
    let mut digits = Zeroizing::new([0; DIGITS]);
    for digit in digits.iter_mut().rev() {
        let mut rest = 0;
        for byte in number.iter_mut() {
            let value = rest * 256 + u16::from(*byte);
            // A rest below 62 times 256 leaves a quotient below 256.
            *byte = u8::try_from(value / 62).unwrap_or_default();
            rest = value % 62;
        }
        *digit = BASE62[usize::from(rest)];
    }
    let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + DIGITS));
    text.push_str(PREFIX);
    text.extend(digits.iter().map(|digit| char::from(*digit)));
    text
}

const PREFIX: &str = "hwk_";
/// 62^43 is just above 2^256.
const DIGITS: usize = 43;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a call that makes a key takes.
const MEMBERS: &[&str] = &["name", "operator", "provider", "tenant", "scopes", "description", "expires_at", "rate_limit"];

pub(super) const NAME_CHARS_MAX: usize = 128;
pub(super) const DESCRIPTION_CHARS_MAX: usize = 1_024;

/// Ids of keys with one name that an answer lists.
const TOLD_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::request::settings::fixture::{settings, tenant};
    use crate::api::request::target::Target;

    fn taken(body: &str) -> Result<Role, u16> {
        let mut form = Form::read(body.as_bytes(), &["operator", "provider", "tenant", "scopes"]).unwrap();
        let role = role(&mut form, &settings(Vec::new()));
        form.finish().map(|()| role).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn a_key_is_called_by_its_id_or_by_a_name_that_is_its_alone() {
        let key = |id: &str, name: &str| {
            let hash = hash(id.as_bytes());
            Arc::new(Key {
                id: id.into(),
                name: name.into(),
                role: Role::Operator,
                hash,
                created_at: Timestamp::EPOCH,
                maker: Maker::NOT_KEPT,
                terms: Terms::default(),
            })
        };
        let keys = [key("key_1", "ci"), key("key_2", "x"), key("key_3", "x"), key("key_4", "key_1")];
        let found = |name: &str| called(&keys, name).map(|key| key.id.to_string()).map_err(|problem| problem.detail());
        assert_eq!(found("ci").as_deref(), Ok("key_1"));
        assert_eq!(found("key_1").as_deref(), Ok("key_1"), "an id comes before a name");
        assert_eq!(found("x").unwrap_err(), "2 keys have this name; revoke one by its id: key_2, key_3");
        assert_eq!(called(&keys, "none").unwrap_err().status(), 404);
    }

    #[test]
    fn a_name_that_is_given_says_something() {
        let named = |body: &str| {
            let mut form = Form::read(body.as_bytes(), &["name"]).unwrap();
            let name = name(&mut form);
            form.finish().map(|()| name).map_err(|problem| problem.detail())
        };
        assert_eq!((named("{}"), named(r#"{"name":"ci"}"#)), (Ok(String::new()), Ok("ci".to_owned())));
        for blank in ["", "  ", "\\u00a0"] {
            let refused = named(&format!(r#"{{"name":"{blank}"}}"#));
            assert!(refused.is_err_and(|detail| detail.contains("/name: is blank")), "{blank:?}");
        }
    }

    #[test]
    fn a_key_has_terms_that_make_sense() {
        let taken = |body: &str| {
            let mut form = Form::read(body.as_bytes(), MEMBERS).unwrap();
            let terms = terms(&mut form, Timestamp::from_secs(100));
            form.finish().map(|()| terms).map_err(|problem| problem.detail())
        };
        assert_eq!(taken("{}"), Ok(Terms::default()));
        let good = taken(r#"{"description":"d","expires_at":"1970-01-01T00:01:41Z","rate_limit":"5/s"}"#).unwrap();
        assert_eq!((&*good.description, good.expires_at), ("d", Some(Timestamp::from_secs(101))));
        assert_eq!(good.rate_limit.map(|rate| rate.to_string()).as_deref(), Some("5/s"));
        for (body, word) in [
            (r#"{"description":"\u0000"}"#, "/description"),
            (r#"{"expires_at":"1970-01-01T00:01:40Z"}"#, "not in the future"),
            (r#"{"expires_at":"soon"}"#, "/expires_at"),
            (r#"{"rate_limit":"fast"}"#, "/rate_limit"),
        ] {
            assert!(taken(body).is_err_and(|told| told.contains(word)), "{body}");
        }
    }

    #[test]
    fn a_keys_text_holds_all_bits() {
        assert_eq!(*text([0; 32]), format!("hwk_{}", "0".repeat(43)));
        let largest = text([255; 32]);
        assert_eq!(largest.len(), 47);
        let value = largest[4..].bytes().fold((0u128, 0u128), |(high, low), digit| {
            let digit = BASE62.iter().position(|known| *known == digit).unwrap() as u128;
            // A 256-bit number in two halves, times 62, plus the digit.
            let low_part = (low & u128::from(u64::MAX)) * 62 + digit;
            let low_rest = (low >> 64) * 62 + (low_part >> 64);
            (high * 62 + (low_rest >> 64), (low_rest << 64) | (low_part & u128::from(u64::MAX)))
        });
        assert_eq!(value, (u128::MAX, u128::MAX));
    }

    #[test]
    fn a_role_follows_from_what_is_named() {
        assert_eq!(taken("{}"), Ok(tenant("default", "default", Scopes::ALL)));
        let of_provider = |scopes| Ok(Role::Provider { provider: "acme".into(), scopes });
        assert_eq!(taken(r#"{"provider":"acme"}"#), of_provider(Scopes::PUBLISH));
        let both = Scopes::parse(["publish", "manage"]).unwrap();
        assert_eq!(taken(r#"{"provider":"acme","scopes":["publish","manage"]}"#), of_provider(both));
        assert_eq!(taken(r#"{"operator":true}"#), Ok(Role::Operator));
        let read = Scopes::parse(["read"]).unwrap();
        assert_eq!(taken(r#"{"provider":"acme","tenant":"t1","scopes":["read"]}"#), Ok(tenant("acme", "t1", read)));
    }

    #[test]
    fn a_provider_makes_keys_of_its_tenants_with_no_more_than_its_scopes() {
        let target = |header: Option<&str>| header.map_or(Target::Unnamed, |tenant| Target::Tenant(tenant.into()));
        let taken = |body: &str, scopes: &[&str], header: Option<&str>| {
            let mut form = Form::read(body.as_bytes(), &["operator", "provider", "tenant", "scopes"]).unwrap();
            let provider = settings(Vec::new()).provider("acme").unwrap().clone();
            let own = Scopes::parse(scopes.iter().copied()).unwrap();
            let caller = Caller { rank: Rank::Provider(own), provider, target: target(header), anywhere: false, key: None };
            let role = role_below(&mut form, &caller, own).and_then(|role| form.finish().map(|()| role));
            role.map_err(|problem| problem.status().as_u16())
        };
        let (all, manage) = (&["publish", "manage"][..], &["manage"][..]);
        let t1 = |scopes: &[&str]| Ok(tenant("acme", "t1", Scopes::parse(scopes.iter().copied()).unwrap()));
        assert_eq!(taken(r#"{"tenant":"t1"}"#, all, None), Ok(tenant("acme", "t1", Scopes::ALL)));
        assert_eq!(taken("{}", all, Some("t1")), Ok(tenant("acme", "t1", Scopes::ALL)));
        assert_eq!(taken(r#"{"provider":"acme","tenant":"t1","scopes":["read"]}"#, manage, Some("t1")), t1(&["read"]));
        assert_eq!(taken(r#"{"tenant":"t1","scopes":["manage"]}"#, manage, None), t1(&["manage"]));
        for (body, scopes, header) in [
            (r#"{"operator":true}"#, all, None),
            (r#"{"operator":true,"tenant":"t1"}"#, all, None),
            ("{}", all, None),
            (r#"{"provider":"acme"}"#, all, None),
            (r#"{"provider":"acme","scopes":["manage"]}"#, all, None),
            (r#"{"provider":"default","tenant":"t1"}"#, all, None),
            (r#"{"provider":"nobody","tenant":"t1"}"#, all, None),
            (r#"{"tenant":"t2"}"#, all, Some("t1")),
            (r#"{"tenant":"t1"}"#, manage, None),
            (r#"{"tenant":"t1","scopes":["read","publish"]}"#, manage, None),
        ] {
            assert_eq!(taken(body, scopes, header), Err(403), "{body}");
        }
        for body in [r#"{"tenant":"a/b"}"#, r#"{"tenant":"t1","scopes":["write"]}"#, r#"{"tenant":"t1","scopes":[]}"#] {
            assert_eq!(taken(body, all, None), Err(422), "{body}");
        }
    }

    #[test]
    fn a_role_that_makes_no_sense_is_refused() {
        for body in [
            r#"{"operator":1}"#,
            r#"{"operator":true,"tenant":"t1"}"#,
            r#"{"provider":"acm"}"#,
            r#"{"tenant":"a/b"}"#,
            r#"{"scopes":["write"]}"#,
            r#"{"scopes":[]}"#,
            r#"{"operator":true,"scopes":["read"]}"#,
        ] {
            assert_eq!(taken(body), Err(422), "{body}");
        }
    }
}

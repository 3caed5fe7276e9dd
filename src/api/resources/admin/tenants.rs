//! Tenants, for the operator, or for a provider its own: listed, shown, described.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;

use crate::api::document::tenant::{self as document, Deleting, TenantOwner};
use crate::api::request::auth::Rank;
use crate::api::request::context::Context;
use crate::api::request::cursor;
use crate::api::request::params::Form;
use crate::api::request::settings::Settings;
use crate::api::request::whose::Whose;
use crate::api::response::page::{Frame, Listed, documents, page};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::api::told;
use crate::clock;
use crate::docs::problem::ProblemType;
use crate::domain::id::uid::Uid;
use crate::domain::id::{TenantNo, is_name};
use crate::domain::rate::NoRate;
use crate::domain::resource::Resource;
use crate::domain::tenant::{Profile, RETENTIONS};
use crate::domain::units::{duration_text, parse_duration};
use crate::store::{Denied, NewTenant, Owned, Tenant};

/// `GET /v1/admin/tenants`: all that the caller may see, oldest first; `?provider=` those of one, `?search=` those whose id, uid or
/// name holds a text.
pub(crate) async fn list(context: &Context<'_>) -> Result<Reply, Problem> {
    let mut query = context.query(&["limit", "cursor", "provider", "search"]);
    let (limit, after): (usize, TenantNo) = (query.limit(), cursor::from_query(&mut query).unwrap_or_default());
    let provider =
        query.read_with("provider", "is no provider: 1 to 64 of A-Za-z0-9_-", |text| is_name(text).then(|| text.into()));
    let search = query.read_with("search", "is empty, or longer than 128 characters", search);
    query.finish()?;
    let whose = provider.map_or_else(Whose::default, Whose::of_provider).check(context)?;
    let found = context.api.store.tenants(whose.filter(search), after, limit).await?;
    let tenants = found.tenants.into_iter().map(|(no, tenant)| (no, document(&tenant, context.settings)));
    let rows = documents(|(_, tenant): &(TenantNo, document::Tenant)| Ok(tenant.clone()));
    let next = found.next.as_ref().map(cursor::encode);
    page(context, Frame::default(), Listed::found(tenants.collect(), next, |(no, _)| cursor::encode(no), rows)).await
}

/// `GET /v1/admin/tenants/{provider}/{id}`
pub(crate) async fn show(context: &Context<'_>) -> Result<Reply, Problem> {
    let owned = Whose::named(context, context.provider, context.id)?;
    let tenant = match context.api.store.tenant(owned.clone()).await? {
        Some(tenant) => tenant,
        None if context.caller.rank == Rank::Operator => {
            context.known_tenant(&owned.provider, &owned.tenant)?;
            Tenant::new(owned, None)
        }
        None => return Err(Problem::NotFound(Resource::Tenant)),
    };
    Ok(Reply::document(StatusCode::OK, &document(&tenant, context.settings)))
}

/// `PUT /v1/admin/tenants/{provider}/{id}`: replaces the description of a tenant, or makes the tenant.
pub(crate) async fn put(context: &Context<'_>) -> Result<Reply, Problem> {
    let owned = Whose::named(context, context.provider, context.id)?;
    let profile = read(Form::read_or_empty(&context.body, MEMBERS)?)?;
    context.api.key_changes.take(&context.caller, clock::steady())?;
    let new = NewTenant { owned, profile, restores: context.caller.rank == Rank::Operator };
    let described = context.commands().describe_tenant(new).await;
    let (tenant, is_new) = described.map_err(|denied| of_file(denied, context.settings))?;
    told::tenant(if is_new { "made" } else { "described" }, &context.caller, &tenant.owned);
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Reply::document(status, &document(&tenant, context.settings)))
}

/// `DELETE /v1/admin/tenants/{provider}/{id}`: the tenant's webhooks, keys and secrets are gone with the answer; its events and its log
/// go afterwards. Until all is gone the tenant shows how far that has come.
pub(crate) async fn delete(context: &Context<'_>) -> Result<Reply, Problem> {
    let owned = Whose::named(context, context.provider, context.id)?;
    context.api.key_changes.take(&context.caller, clock::steady())?;
    let deleted = context.commands().delete_tenant(owned.clone()).await;
    let tenant = deleted.map_err(|denied| not_deleted(denied, &owned, context))?;
    told::tenant("deleted; what is kept of it goes now", &context.caller, &tenant.owned);
    Ok(Reply::document(StatusCode::ACCEPTED, &document(&tenant, context.settings)))
}

/// An operator who names a tenant that nobody knows is told the one that was probably meant.
fn not_deleted(denied: Denied, Owned { provider, tenant }: &Owned, context: &Context<'_>) -> Problem {
    match denied {
        Denied::NoTenant if context.caller.rank == Rank::Operator => {
            context.known_tenant(provider, tenant).err().unwrap_or_else(|| Denied::NoTenant.into())
        }
        denied => of_file(denied, context.settings),
    }
}

/// Where the config file has the say, its name.
pub(super) fn of_file(denied: Denied, settings: &Settings) -> Problem {
    match denied {
        Denied::TenantInFile => Problem::Told(
            ProblemType::FileOwned,
            format!("this tenant belongs to the config file {}; change it there and run `hookwheel reload`", settings.file),
        ),
        denied => denied.into(),
    }
}

pub(super) fn read(mut form: Form<'_>) -> Result<Profile, Problem> {
    let environment = form.text("environment").map(|text| line("environment", &text, ENVIRONMENT_CHARS_MAX, &mut form));
    if environment.as_deref().is_some_and(|text| text.trim().is_empty()) {
        form.note("environment", "is blank; leave it out for Production");
    }
    let name = form.text("name").map(|text| line("name", &text, NAME_CHARS_MAX, &mut form)).unwrap_or_default();
    let metadata = metadata(&mut form);
    let rate_limit = form
        .text("rate_limit")
        .and_then(|text| text.parse().map_err(|wrong: NoRate| form.note("rate_limit", wrong.to_string())).ok());
    let uid = form.text("uid").and_then(|text| Uid::parse(&text).map_err(|reason| form.note("uid", reason)).ok());
    let retention = form.text("retention").and_then(|text| retention(&text).map_err(|told| form.note("retention", told)).ok());
    form.finish()?;
    Ok(Profile { environment, name, metadata, uid, retention, rate_limit })
}

/// How long events are kept, as in `30d`.
fn retention(text: &str) -> Result<Duration, String> {
    let read = parse_duration(text).map_err(|_| "is not a duration with its unit, like 12h or 30d".to_owned())?;
    let (least, most) = (duration_text(*RETENTIONS.start()), duration_text(*RETENTIONS.end()));
    if RETENTIONS.contains(&read) { Ok(read) } else { Err(format!("is {text}, outside {least} to {most}")) }
}

fn line(member: &str, text: &str, chars_max: usize, form: &mut Form<'_>) -> Box<str> {
    if text.chars().count() > chars_max || text.chars().any(char::is_control) {
        form.note(member, format!("is longer than {chars_max} characters or contains a control character"));
    }
    text.into()
}

/// Reads the metadata, which are names and texts. What is wrong is noted in the form.
fn metadata(form: &mut Form<'_>) -> BTreeMap<Box<str>, Box<str>> {
    let given = form.member("metadata").map(|field| field.raw).filter(|raw| *raw != "null");
    let Some(given) = given else { return BTreeMap::new() };
    let Ok(metadata) = serde_json::from_str::<BTreeMap<Box<str>, Box<str>>>(given) else {
        form.note("metadata", "is not an object of strings");
        return BTreeMap::new();
    };
    let bytes: usize = metadata.iter().map(|(name, text)| name.len() + text.len()).sum();
    if metadata.len() > METADATA_MAX || bytes > METADATA_BYTES_MAX {
        let has = format!("has {} members and {bytes} bytes of names and texts", metadata.len());
        form.note("metadata", format!("{has}; at most {METADATA_MAX} members and {METADATA_BYTES_MAX} bytes are taken"));
    }
    metadata
}

/// A text to search for, in lower case.
fn search(text: &str) -> Option<Box<str>> {
    (1..=SEARCH_CHARS_MAX).contains(&text.chars().count()).then(|| text.to_lowercase().into())
}

/// A tenant as it is shown. What the config file lists, the file describes.
fn document(tenant: &Tenant, settings: &Settings) -> document::Tenant {
    let Owned { provider, tenant: id } = &tenant.owned;
    let (file, profile) = (settings.provider(provider), &tenant.profile);
    let of_file = tenant.is_from_file();
    let kept = profile.environment.as_deref().filter(|_| !of_file).map(Into::into);
    let environment = kept.unwrap_or_else(|| file.map_or_else(|| "Production".into(), |file| file.environment(Some(id))));
    let rate_limit = if of_file { file.and_then(|file| file.rate_limit(id)) } else { profile.rate_limit };
    document::Tenant {
        id: id.to_string(),
        uid: profile.uid.as_ref().map(ToString::to_string),
        provider: provider.to_string(),
        name: profile.name.to_string(),
        environment: environment.to_string(),
        metadata: profile.metadata.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect(),
        retention: profile.retention.map(duration_text),
        rate_limit: rate_limit.map(|rate| rate.to_string()),
        owner: if of_file { TenantOwner::File } else { TenantOwner::Api },
        removed: tenant.has_left_file(),
        created_at: tenant.created_at.map(Into::into),
        updated_at: tenant.updated_at.map(Into::into),
        deleting: tenant.deletion.map(|deletion| Deleting {
            since: deletion.since.into(),
            events: deletion.events,
            deliveries: deletion.deliveries,
        }),
    }
}

/// The members of PUT.
pub(super) const MEMBERS: &[&str] = &["environment", "name", "metadata", "uid", "retention", "rate_limit"];

const ENVIRONMENT_CHARS_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 128;
const SEARCH_CHARS_MAX: usize = 128;

/// Members of `metadata`, and the bytes of their names and texts.
const METADATA_MAX: usize = 50;
const METADATA_BYTES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(body: &str) -> Result<Profile, String> {
        let form = Form::read(body.as_bytes(), MEMBERS).unwrap();
        read(form).map_err(|problem| problem.detail())
    }

    #[test]
    fn a_tenant_is_described_as_far_as_anything_is_said() {
        assert_eq!(taken("{}"), Ok(Profile::default()));
        let body = r#"{"environment":"Sandbox","name":"Customer 1","metadata":{"plan":"gold"},"rate_limit":"600/m"}"#;
        let profile = taken(body).unwrap();
        assert_eq!((profile.environment.as_deref(), &*profile.name), (Some("Sandbox"), "Customer 1"));
        assert_eq!(profile.metadata.get("plan").map(|text| &**text), Some("gold"));
        assert_eq!(profile.rate_limit.map(|rate| rate.to_string()).as_deref(), Some("600/m"));
        let profile = taken(r#"{"uid":"crm.17","retention":"36h"}"#).unwrap();
        assert_eq!(profile.uid.map(|uid| uid.to_string()).as_deref(), Some("crm.17"));
        assert_eq!(profile.retention, Some(Duration::from_secs(36 * 3_600)));
        assert_eq!(
            taken(r#"{"environment":null,"name":null,"metadata":null,"uid":null,"retention":null,"rate_limit":null}"#),
            Ok(Profile::default())
        );
    }

    #[test]
    fn what_is_said_of_a_tenant_has_bounds() {
        let long = "x".repeat(METADATA_BYTES_MAX);
        for (body, pointer) in [
            (r#"{"environment":" "}"#.to_owned(), "/environment"),
            (format!(r#"{{"environment":"{}"}}"#, "x".repeat(65)), "/environment"),
            (r#"{"name":"a\u0000"}"#.to_owned(), "/name"),
            (r#"{"metadata":{"a":1}}"#.to_owned(), "/metadata"),
            (format!(r#"{{"metadata":{{"a":"{long}"}}}}"#), "/metadata"),
            (r#"{"uid":"a/b"}"#.to_owned(), "/uid"),
            (r#"{"retention":"7"}"#.to_owned(), "/retention"),
            (r#"{"retention":"1ms"}"#.to_owned(), "/retention"),
            (r#"{"retention":"3651d"}"#.to_owned(), "/retention"),
            (r#"{"rate_limit":"fast"}"#.to_owned(), "/rate_limit"),
            (r#"{"rate_limit":"0/s"}"#.to_owned(), "/rate_limit"),
        ] {
            let refused = taken(&body).unwrap_err();
            assert!(refused.starts_with(pointer), "{body}: {refused}");
        }
    }
}

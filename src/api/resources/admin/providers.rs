//! Providers, for the operator: listed, shown, and changed where the config file says nothing.

use std::sync::Arc;

use http::StatusCode;

use crate::api::document::tenant::Provider as Document;
use crate::api::request::context::Context;
use crate::api::request::cursor;
use crate::api::request::params::Form;
use crate::api::request::settings::Provider;
use crate::api::response::page::{Frame, Listed, documents, page};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::config::checked::{UNKNOWN_TYPES, VALIDATE};
use crate::docs::problem::ProblemType;
use crate::domain::json::Kind;
use crate::domain::provider::ProviderChange;

/// `GET /v1/admin/providers`: all, by name.
pub(crate) async fn list(context: &Context<'_>) -> Result<Reply, Problem> {
    let mut query = context.query(&["limit", "cursor"]);
    let (limit, after): (usize, Box<str>) = (query.limit(), cursor::from_query(&mut query).unwrap_or_default());
    query.finish()?;
    let behind = context.settings.providers().filter(|provider| *provider.name > *after).cloned();
    let mut all: Vec<Arc<Provider>> = behind.map(|known| context.api.catalogues.provider(known, &context.api.store)).collect();
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let place = |provider: &Arc<Provider>| cursor::encode(&Box::<str>::from(&*provider.name));
    let rows = documents(|provider: &Arc<Provider>| Ok(document(provider)));
    page(context, Frame::default(), Listed::new(all, limit, place, rows)).await
}

/// `GET /v1/admin/providers/{id}`
pub(crate) fn show(context: &Context<'_>) -> Result<Reply, Problem> {
    let provider = named(context)?;
    Ok(Reply::document(StatusCode::OK, &document(&provider)))
}

/// `PATCH /v1/admin/providers/{id}`: sets what is given; null lets the dialect or the default say it again.
pub(crate) async fn patch(context: &Context<'_>) -> Result<Reply, Problem> {
    let provider = named(context)?;
    let mut form = Form::read(&context.body, &SETTINGS)?;
    let change = change(&mut form);
    let of_file = provider.sets.iter().find(|name| form.member(name).is_some());
    form.finish()?;
    if let Some(name) = of_file {
        let file = &context.settings.file;
        let told = format!("the config file {file} sets `{name}` of this provider; change it there and run `hookwheel reload`");
        return Err(Problem::Told(ProblemType::FileOwned, told));
    }
    context.commands().set_provider(&provider.name, change).await?;
    let provider = named(context)?;
    Ok(Reply::document(StatusCode::OK, &document(&provider)))
}

/// The provider that the path names, with what the API says of it.
fn named(context: &Context<'_>) -> Result<Arc<Provider>, Problem> {
    let known = context.settings.known_provider(context.id)?.clone();
    Ok(context.api.catalogues.provider(known, &context.api.store))
}

fn change(form: &mut Form<'_>) -> ProviderChange {
    let creates = match is_null(form, "create_tenants") {
        Some(true) => Some(None),
        Some(false) => form.boolean("create_tenants").map(Some),
        None => None,
    };
    ProviderChange {
        validate: word(form, "validate", &VALIDATE),
        unknown_types: word(form, "unknown_types", &UNKNOWN_TYPES),
        create_tenants: creates,
    }
}

/// A member that is one of some words, or null. What is neither is noted.
fn word<T: Copy>(form: &mut Form<'_>, name: &'static str, words: &[(&str, T)]) -> Option<Option<T>> {
    if is_null(form, name)? {
        return Some(None);
    }
    let given = form.text(name)?;
    let known = words.iter().find(|(word, _)| *word == given).map(|(_, value)| *value);
    if known.is_none() {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        form.note(name, format!("is none of {}", words.join(", ")));
    }
    known.map(Some)
}

/// Whether a member is null. `None`: it is not given.
fn is_null(form: &Form<'_>, name: &str) -> Option<bool> {
    form.member(name).map(|field| field.kind == Kind::Null)
}

fn document(provider: &Provider) -> Document {
    Document {
        name: provider.name.to_string(),
        dialect: provider.dialect.name.to_string(),
        validate: word_of(&VALIDATE, &provider.validate),
        unknown_types: word_of(&UNKNOWN_TYPES, &provider.dialect.event.unknown_types),
        create_tenants: provider.create_tenants,
        set_by_file: provider.sets.iter().map(ToString::to_string).collect(),
    }
}

fn word_of<T: PartialEq>(words: &[(&str, T)], value: &T) -> String {
    words.iter().find(|(_, known)| known == value).map(|(word, _)| (*word).to_owned()).unwrap_or_default()
}

const SETTINGS: [&str; 3] = ["validate", "unknown_types", "create_tenants"];

//! A whole config with the origin of each value: what `config show` prints, as JSON or line by line. Of keys and secrets it says that
//! they are there, never what they are.

use serde_json::{Map, Value, json};

use crate::cli::calls;
use crate::config::checked::{Config, Key, Operator, Provider, Setting, Tenant, UNKNOWN_TYPES, VALIDATE, Webhook};
use crate::config::dialect::built_in;
use crate::config::fault::Location;
use crate::config::source::places::Places;
use crate::domain::units::duration_text;

/// Everything that the files, the environment and the flags come to.
pub(crate) fn whole(config: &Config) -> Value {
    let settings = config.settings.iter().map(|one| (one.name.clone(), setting(one)));
    let own = config.dialects.iter().filter(|(name, _)| built_in().iter().all(|(known, _)| known != name));
    let dialects = own.map(|(name, known)| (name.clone(), toml_value(&calls::dialect_file(known))));
    json!({
        "files": config.files,
        "settings": settings.collect::<Map<_, _>>(),
        "operator": operator(&config.operator, &config.places),
        "providers": config.providers.iter().map(|one| provider(one, &config.places)).collect::<Vec<_>>(),
        "dialects": dialects.collect::<Map<_, _>>(),
    })
}

/// The value as what it is, and where it comes from.
fn setting(setting: &Setting) -> Value {
    let value = if setting.value.is_empty() { Value::Null } else { toml_value(&format!("v = {}", setting.value))["v"].take() };
    json!({ "value": value, "from": setting.location.to_string() })
}

/// TOML that this program printed, as JSON.
fn toml_value(text: &str) -> Value {
    let table: toml::Table = text.parse().unwrap_or_default();
    serde_json::to_value(table).unwrap_or_default()
}

fn operator(operator: &Operator, places: &Places) -> Value {
    let path = ["operator"];
    let shown = json!({
        "keys": keys(&operator.keys, places, &path),
        "notify_url": operator.notify_url,
        "notify_secret_file": operator.notify_secret.is_some(),
    });
    with_origins(shown, places, &path)
}

fn provider(provider: &Provider, places: &Places) -> Value {
    let path = ["provider", &provider.name];
    let shown = json!({
        "name": provider.name,
        "dialect": provider.dialect,
        "unknown_types": UNKNOWN_TYPES.iter().find(|(_, known)| provider.unknown_types == Some(*known)).map(|(word, _)| word),
        "validate": VALIDATE.iter().find(|(_, known)| provider.validate == *known).map(|(word, _)| word),
        "create_tenants": provider.create_tenants,
        "keys": keys(&provider.keys, places, &path),
        "tenants": provider.tenants.iter().map(|one| tenant(one, places, &path)).collect::<Vec<_>>(),
    });
    with_origins(shown, places, &path)
}

fn tenant(tenant: &Tenant, places: &Places, provider: &[&str]) -> Value {
    let path = [provider, &["tenant", &tenant.id]].concat();
    let shown = json!({
        "id": tenant.id,
        "environment": tenant.environment,
        "retention": tenant.retention.map(duration_text),
        "rate_limit": tenant.rate_limit.map(|rate| rate.to_string()),
        "keys": keys(&tenant.keys, places, &path),
        "webhooks": tenant.webhooks.iter().map(|one| webhook(one, places, &path)).collect::<Vec<_>>(),
    });
    with_origins(shown, places, &path)
}

fn webhook(webhook: &Webhook, places: &Places, tenant: &[&str]) -> Value {
    let mut shown = json!({
        "name": webhook.name,
        "url": webhook.url,
        "events": webhook.events.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "description": webhook.description,
        "secret_file": webhook.secret.is_some(),
        "from": webhook.location.to_string(),
    });
    let members = webhook.settings.members().into_iter();
    let settings = members.map(|one| (one.name.to_owned(), serde_json::from_str(&one.json).unwrap_or_default()));
    shown.as_object_mut().into_iter().for_each(|object| object.extend(settings.clone()));
    let (under_tenant, at_top) = ([tenant, &["webhook", &webhook.name]].concat(), ["webhook", &*webhook.name]);
    let is_under_tenant = places.of_key(&[&under_tenant[..], &["name"]].concat()) != Location::Default;
    with_origins(shown, places, if is_under_tenant { &under_tenant } else { &at_top })
}

fn keys(keys: &[Key], places: &Places, owner: &[&str]) -> Vec<Value> {
    keys.iter().map(|one| with_origins(key(one), places, &[owner, &["keys", &one.name]].concat())).collect()
}

fn key(key: &Key) -> Value {
    json!({ "name": key.name, "secret_file": true, "scopes": key.scopes.names(), "rate_limit": key.rate_limit.map(|rate| rate.to_string()) })
}

/// Adds where each member of a table comes from: its place in a file, or `default`.
fn with_origins(mut shown: Value, places: &Places, path: &[&str]) -> Value {
    let members = shown.as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let single = members.filter(|name| !["keys", "tenants", "webhooks", "from"].contains(&name.as_str()));
    let origins: Map<String, Value> = single
        .map(|name| {
            let place = places.of_key(&[path, &[&name]].concat()).to_string();
            (name, place.into())
        })
        .collect();
    shown["origins"] = origins.into();
    shown
}

/// A value on a line of its own, and where it comes from.
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) origin: String,
}

/// Every value that is set or has a default, section by section.
pub(crate) fn lines(config: &Config) -> Vec<Line> {
    let set = config.settings.iter().filter(|setting| !setting.value.is_empty());
    let settings = set.map(|one| Line { text: format!("{} = {}", one.name, one.value), origin: one.location.to_string() });
    let mut lines: Vec<Line> = settings.collect();
    let whole = whole(config);
    table("operator", &whole["operator"], &mut lines);
    for provider in list(&whole["providers"]) {
        table(&format!("provider.{}", name(provider)), provider, &mut lines);
    }
    for (name, _) in whole["dialects"].as_object().into_iter().flatten() {
        let origin = config.places.of_key(&["dialect", name]).to_string();
        lines.push(Line { text: format!("dialect.{name}"), origin });
    }
    lines
}

/// The members of a table, then the tables inside of it.
fn table(prefix: &str, shown: &Value, into: &mut Vec<Line>) {
    for (member, origin) in shown["origins"].as_object().into_iter().flatten() {
        let origin = origin.as_str().unwrap_or_default().to_owned();
        into.extend(
            value_text(member, &shown[member]).map(|value| Line { text: format!("{prefix}.{member} = {value}"), origin }),
        );
    }
    for (members, one) in [("keys", "key"), ("tenants", "tenant"), ("webhooks", "webhook")] {
        for inner in list(&shown[members]) {
            table(&format!("{prefix}.{one}.{}", name(inner)), inner, into);
        }
    }
}

/// A value for a line. `None`: there is none, or the name of the line has it.
fn value_text(member: &str, value: &Value) -> Option<String> {
    let is_nothing = value.is_null() || *value == json!("") || *value == json!([]);
    match member {
        "name" | "id" => None,
        _ if is_nothing => None,
        _ if member.ends_with("secret_file") => value.as_bool()?.then(|| "(not shown)".to_owned()),
        _ => Some(value.to_string()),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn name(shown: &Value) -> &str {
    shown["name"].as_str().or_else(|| shown["id"].as_str()).unwrap_or_default()
}

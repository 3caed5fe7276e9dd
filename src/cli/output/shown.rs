//! A whole config as JSON: what `config show --json` prints. Of keys and secrets it says that they are there, never what they are.

use serde_json::{Map, Value, json};

use crate::cli::calls;
use crate::config::checked::{Config, Key, Operator, Provider, Setting, Tenant, UNKNOWN_TYPES, VALIDATE, Webhook};
use crate::config::dialect::built_in;

/// Everything that the files, the environment and the flags come to.
pub(crate) fn whole(config: &Config) -> Value {
    let settings = config.settings.iter().map(|one| (one.name.clone(), setting(one)));
    let own = config.dialects.iter().filter(|(name, _)| built_in().iter().all(|(known, _)| known != name));
    let dialects = own.map(|(name, known)| (name.clone(), toml_value(&calls::dialect_file(known))));
    json!({
        "files": config.files,
        "settings": settings.collect::<Map<_, _>>(),
        "operator": operator(&config.operator),
        "providers": config.providers.iter().map(provider).collect::<Vec<_>>(),
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

fn operator(operator: &Operator) -> Value {
    json!({
        "keys": operator.keys.iter().map(key).collect::<Vec<_>>(),
        "notify_url": operator.notify_url,
        "notify_secret_file": operator.notify_secret.is_some(),
    })
}

fn provider(provider: &Provider) -> Value {
    json!({
        "name": provider.name,
        "dialect": provider.dialect,
        "unknown_types": UNKNOWN_TYPES.iter().find(|(_, known)| provider.unknown_types == Some(*known)).map(|(word, _)| word),
        "validate": VALIDATE.iter().find(|(_, known)| provider.validate == *known).map(|(word, _)| word),
        "create_tenants": provider.create_tenants,
        "keys": provider.keys.iter().map(key).collect::<Vec<_>>(),
        "tenants": provider.tenants.iter().map(tenant).collect::<Vec<_>>(),
    })
}

fn tenant(tenant: &Tenant) -> Value {
    json!({
        "id": tenant.id,
        "environment": tenant.environment,
        "rate_limit": tenant.rate_limit.map(|rate| rate.to_string()),
        "keys": tenant.keys.iter().map(key).collect::<Vec<_>>(),
        "webhooks": tenant.webhooks.iter().map(webhook).collect::<Vec<_>>(),
    })
}

fn webhook(webhook: &Webhook) -> Value {
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
    shown
}

fn key(key: &Key) -> Value {
    json!({ "name": key.name, "scopes": key.scopes.names(), "rate_limit": key.rate_limit.map(|rate| rate.to_string()) })
}

//! Recognizes credentials that stand in the config itself. In a file of its own, which others can read, a credential is refused; in the
//! config it makes a warning, since a config without credentials may be read by everybody.

use super::document::{Entry, Table, Value};

/// Whether a file's tables hold a header or a credential of a webhook, or the password of the proxy for all webhooks.
pub(super) fn holds_credentials(table: &Table) -> bool {
    table.entries.iter().any(|entry| match (&*entry.key, &entry.value.value) {
        ("webhook", Value::Array(webhooks)) => webhooks.iter().any(|webhook| any(&webhook.value, is_credential)),
        ("delivery", delivery) => any(delivery, |entry| entry.key == "proxy" && is_credential(entry)),
        (_, Value::Array(items)) => items.iter().any(|item| any_inside(&item.value)),
        (_, value) => any_inside(value),
    })
}

fn any_inside(value: &Value) -> bool {
    matches!(value, Value::Table(table) if holds_credentials(table))
}

fn any(value: &Value, is: impl Fn(&Entry) -> bool) -> bool {
    matches!(value, Value::Table(table) if table.entries.iter().any(is))
}

/// Whether a webhook's setting is given with a secret value, and not with the file that holds it.
fn is_credential(entry: &Entry) -> bool {
    let is_text = |entry: &Entry| matches!(entry.value.value, Value::String(_));
    let among = |names: &[&str]| any(&entry.value.value, |entry| names.contains(&&*entry.key) && is_text(entry));
    match (&*entry.key, &entry.value.value) {
        ("headers", headers) => any(headers, is_text),
        ("auth", _) => among(&["password", "token", "client_secret"]),
        ("tls", _) => among(&["client_key"]),
        ("proxy", Value::String(url)) => url.contains('@'),
        _ => false,
    }
}

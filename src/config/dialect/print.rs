//! Prints a dialect as a file that extends nothing and leaves nothing to defaults. It reads back as the same dialect.

use std::fmt::Display;
use std::time::Duration;

use super::parts::word_of;
use super::read::{COUNTS, KEYS, NUMBERS, OPENNESS, PRECISIONS, SECRET_POLICIES, UNKNOWN_TYPES};
use crate::domain::delivery::retry::Policy;
use crate::domain::dialect::{Dialect, EventType, Success, WebhookField};
use crate::domain::units::duration_text;

/// The effective file of a dialect: every key is in it, and it extends nothing.
pub(crate) fn effective(dialect: &Dialect) -> String {
    let mut file = File::default();
    file.text("name", &dialect.name);
    file.text("description", &dialect.description);
    api(dialect, &mut file);
    event(dialect, &mut file);
    body(dialect, &mut file);
    headers(dialect, &mut file);
    signature(dialect, &mut file);
    delivery(dialect, &mut file);
    retry(dialect, &mut file);
    disable(dialect, &mut file);
    dialect.event_types.iter().for_each(|known| event_type(known, &mut file));
    file.0
}

fn api(dialect: &Dialect, file: &mut File) {
    let api = &dialect.api;
    file.table("[api]");
    file.text("wrap", &api.wrap);
    file.list("webhook", api.webhook.iter().copied().map(WebhookField::as_str).map(quoted));
    file.text("secret", word_of(api.secret, SECRET_POLICIES));
    file.text("secret_format", &api.secret_format.to_string());
    file.plain("max_webhooks_per_key", api.max_webhooks_per_key);
    file.plain("unique_name", api.unique_name);
    file.plain("shows_removed", api.shows_removed);
    let schemes: &[&str] = if api.plain_http { &["https", "http"] } else { &["https"] };
    file.list("schemes", schemes.iter().copied().map(quoted));
}

fn event(dialect: &Dialect, file: &mut File) {
    let event = &dialect.event;
    file.table("[event]");
    file.list("required_attributes", event.required_attributes.iter().map(|name| quoted(name)));
    let attributes = [
        ("type_attribute", &event.type_attribute),
        ("link_attribute", &event.link_attribute),
        ("version_attribute", &event.version_attribute),
    ];
    for (key, name) in attributes {
        file.text(key, name.as_deref().unwrap_or_default());
    }
    file.text("unknown_types", word_of(event.unknown_types, UNKNOWN_TYPES));
    file.text("catalogue", word_of(event.catalogue, OPENNESS));
    file.text("note", &event.note);
}

fn body(dialect: &Dialect, file: &mut File) {
    file.table("[body]");
    file.text("template", dialect.body.template());
    file.text("numbers", word_of(dialect.body.numbers(), NUMBERS));
    file.text("time", word_of(dialect.body.precision(), PRECISIONS));
    file.plain("unique_time", dialect.unique_time);
}

fn headers(dialect: &Dialect, file: &mut File) {
    file.table("[headers]");
    for header in &dialect.headers {
        file.text(&key(header.name.as_str()), header.value.template());
    }
}

fn signature(dialect: &Dialect, file: &mut File) {
    let Some(signature) = &dialect.signature else { return };
    file.table("[signature]");
    file.text("header", &signature.header);
    file.text("value", &signature.value.to_string());
    file.text("signed", &signature.signed.to_string());
    file.text("key", word_of(signature.key, KEYS));
    file.plain("overlap", signature.overlap);
}

fn delivery(dialect: &Dialect, file: &mut File) {
    let delivery = &dialect.delivery;
    file.table("[delivery]");
    match &delivery.success {
        Success::Any2xx => file.text("success", "2xx"),
        Success::Codes(codes) => file.list("success", codes),
    }
    file.plain("timeout", duration(&delivery.timeout));
    file.plain("retry_after", delivery.retry_after);
    file.plain("gone", delivery.gone);
    file.plain("pin_url", delivery.pin_url);
    file.list("one_slot_after", &delivery.one_slot_after);
}

fn retry(dialect: &Dialect, file: &mut File) {
    file.table("[retry]");
    match &dialect.retry.policy {
        Policy::Schedule(delays) => file.list("schedule", delays.iter().map(duration)),
        Policy::Exponential { first, factor, retries } => {
            let first = duration(first);
            file.plain("exponential", format_args!("{{ first = {first}, factor = {factor:?}, retries = {retries} }}"));
        }
        Policy::DecorrelatedJitter { median, retries } => {
            let median = duration(median);
            file.plain("decorrelated_jitter", format_args!("{{ median = {median}, retries = {retries} }}"));
        }
    }
    file.plain("jitter", format_args!("{:?}", dialect.retry.jitter));
}

fn disable(dialect: &Dialect, file: &mut File) {
    file.table("[disable]");
    file.plain("consecutive", dialect.disable.consecutive);
    file.text("count", word_of(dialect.disable.count, COUNTS));
}

fn event_type(known: &EventType, file: &mut File) {
    file.table("[[event_type]]");
    file.text("name", &known.name);
    file.text("description", &known.description);
    file.plain("ours", known.ours);
    file.plain("version", known.version);
    file.text("example", &known.example);
}

/// The text of a TOML file while it is written, line by line.
#[derive(Default)]
struct File(String);

impl File {
    fn table(&mut self, header: &str) {
        self.0 += &format!("\n{header}\n");
    }

    fn plain(&mut self, key: &str, value: impl Display) {
        self.0 += &format!("{key} = {value}\n");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.plain(key, quoted(value));
    }

    fn list(&mut self, key: &str, items: impl IntoIterator<Item = impl Display>) {
        let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
        self.plain(key, format_args!("[{}]", items.join(", ")));
    }
}

/// Text as TOML writes it, in the quotes that need the fewest escapes.
fn quoted(text: &str) -> String {
    let plain = !text.contains('\'') && text.chars().all(|char| !char.is_control());
    if plain && text.contains(['"', '\\']) { format!("'{text}'") } else { toml::Value::from(text).to_string() }
}

/// A key as TOML writes it, without quotes where it may be.
fn key(name: &str) -> String {
    let bare = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if bare { name.to_owned() } else { quoted(name) }
}

fn duration(duration: &Duration) -> String {
    quoted(&duration_text(*duration))
}

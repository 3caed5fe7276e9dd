//! Reads a `[dialect.NAME]` table into a [`Dialect`]. Reading goes on after a fault, so that all faults are reported at once.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::fault::{Faults, Location, Placed, Remedy};
use super::parts::{Words, choice, code, codes, own_keys, parsed, word, words};
use super::retries;
use crate::config::source::document::{Table, Value};
use crate::config::source::shape::Shape;
use crate::config::table::take::Wrong;
use crate::domain::dialect::{
    Api, Counted, Delivery, Dialect, Disable, EventRules, EventType, Header, HeaderName, Openness, SecretPolicy, Success,
    UnknownTypes, WebhookField,
};
use crate::domain::json;
use crate::domain::signature::{Key, Signature, Signed, Value as SignatureValue};
use crate::domain::template::{Body, HeaderValue, Numbers, Precision};
use crate::domain::webhook::pattern::check_type_name;
use crate::domain::webhook::secret::Format;

/// Reads a dialect's table into which `extends` was already resolved. The result may be used only when `faults` stayed empty.
pub(super) fn dialect(name: &str, mut table: Table, faults: &mut Faults) -> Option<Dialect> {
    let description = table.string("description", faults).map(|text| text.value).unwrap_or_default();
    let api = section(&mut table, "api", faults, api);
    let (event, openness) = section(&mut table, "event", faults, event);
    let body = section(&mut table, "body", faults, body);
    let headers = headers(&mut table, body.precision, faults);
    let signature = signature(&mut table, api.as_ref(), faults);
    check_header_names(&headers, signature.as_ref(), faults);
    check_signed(&headers, signature.as_ref(), faults);
    let delivery = section(&mut table, "delivery", faults, delivery);
    let retry = retries::retry(&mut table, faults);
    let disable = section(&mut table, "disable", faults, disable);
    let event_types = event_types(&mut table, faults);
    let location = table.location.clone();
    table.finish(faults);
    check_link(&event, api.as_ref(), &location, faults);
    Some(Dialect {
        name: name.into(),
        description: description.into(),
        api: api?,
        event: EventRules { catalogue: openness.unwrap_or_else(|| default_openness(&event_types)), ..event },
        body: body.body?,
        unique_time: body.unique_time,
        headers: headers.into_iter().map(|header| header.value).collect(),
        signature: signature.map(|signature| signature.value),
        delivery,
        retry: retry?,
        disable,
        event_types: event_types.into(),
    })
}

/// Reads the inner table `key` with the function `read`, and reports every key that `read` did not take. When the inner table is
/// absent, `read` gets an empty table, so that each default is written once, in `read`.
fn section<T>(table: &mut Table, key: &str, faults: &mut Faults, read: impl FnOnce(&mut Table, &mut Faults) -> T) -> T {
    let mut inner = table.table(key, faults).unwrap_or_else(|| Table::new(table.location.clone(), table.path_of(key)));
    let value = read(&mut inner, faults);
    inner.finish(faults);
    value
}

fn api(table: &mut Table, faults: &mut Faults) -> Option<Api> {
    let fields: Vec<_> = WebhookField::ALL.iter().map(|field| (field.as_str(), *field)).collect();
    let default = || Format::parse(DEFAULT_SECRET_FORMAT).ok();
    let format = table.has("secret_format");
    let secret_format = parsed(table, "secret_format", "\"whsec_{base62:32}\"", faults, Format::parse);
    let limit = table.integer("max_webhooks_per_key", 0..=WEBHOOKS_PER_KEY_MAX, faults);
    Some(Api {
        wrap: table.string("wrap", faults).map(|text| text.value).unwrap_or_default().into(),
        webhook: words(table, "webhook", &fields, faults).unwrap_or_else(|| DEFAULT_FIELDS.to_vec()),
        secret: choice(table, "secret", SECRET_POLICIES, faults),
        max_webhooks_per_key: limit.and_then(|limit| limit.value.try_into().ok()).unwrap_or_default(),
        unique_name: flag(table, "unique_name", faults),
        shows_removed: table.boolean("shows_removed", faults).is_none_or(|shows| shows.value),
        plain_http: words(table, "schemes", SCHEMES, faults).is_some_and(|schemes| schemes.contains(&true)),
        secret_format: if format { secret_format?.value } else { default()? },
    })
}

fn flag(table: &mut Table, key: &str, faults: &mut Faults) -> bool {
    table.boolean(key, faults).is_some_and(|flag| flag.value)
}

/// Reads the table `event`. The second value is its `catalogue`, `None` when that is absent, since its default depends on the
/// event types, which are read later.
fn event(table: &mut Table, faults: &mut Faults) -> (EventRules, Option<Openness>) {
    let required = table.strings("required_attributes", faults).map(|list| list.value).unwrap_or_default();
    let openness = word(table, "catalogue", OPENNESS, faults).map(|word| word.value);
    let rules = EventRules {
        required_attributes: required.into_iter().map(|name| name.value.into()).collect(),
        type_attribute: attribute(table, "type_attribute", faults),
        link_attribute: attribute(table, "link_attribute", faults),
        version_attribute: attribute(table, "version_attribute", faults),
        unknown_types: choice(table, "unknown_types", UNKNOWN_TYPES, faults),
        catalogue: Openness::default(),
        note: table.string("note", faults).map(|text| text.value).unwrap_or_default().into(),
    };
    (rules, openness)
}

/// The default of `catalogue`: closed when the dialect lists event types, else open.
fn default_openness(event_types: &[EventType]) -> Openness {
    if event_types.is_empty() { Openness::Open } else { Openness::Closed }
}

/// Reads the name of an attribute. An empty name means none: so a dialect drops the attribute of the dialect that it extends.
fn attribute(table: &mut Table, key: &str, faults: &mut Faults) -> Option<Box<str>> {
    let name = table.string(key, faults)?.value;
    (!name.is_empty()).then(|| name.into())
}

/// The values of the table `body`.
struct BodyPart {
    body: Option<Body>,
    precision: Precision,
    unique_time: bool,
}

fn body(table: &mut Table, faults: &mut Faults) -> BodyPart {
    let numbers = choice(table, "numbers", NUMBERS, faults);
    let precision = choice(table, "time", PRECISIONS, faults);
    let unique_time = table.boolean("unique_time", faults);
    if let Some(unique) = unique_time.as_ref().filter(|unique| unique.value && precision != Precision::Micros) {
        faults.add(&unique.location, "`unique_time` counts in microseconds, and this body prints seconds", "time = \"micros\"");
    }
    if !table.has("template") {
        let message = format!("`template` is missing in `[{}]`", table.path);
        faults.add(&table.location, message, format!("template = {TEMPLATE_EXAMPLE}"));
    }
    let example = TEMPLATE_EXAMPLE;
    let body = parsed(table, "template", example, faults, |text| Body::parse(text, numbers, precision));
    BodyPart { body: body.map(|body| body.value), precision, unique_time: unique_time.is_some_and(|unique| unique.value) }
}

fn headers(table: &mut Table, precision: Precision, faults: &mut Faults) -> Vec<Placed<Header>> {
    let pairs = own_keys(table, "headers", faults);
    pairs.into_iter().filter_map(|(name, value)| header(&name, &value, precision, faults)).collect()
}

fn header(name: &Placed<String>, value: &Placed<String>, precision: Precision, faults: &mut Faults) -> Option<Placed<Header>> {
    let parsed = HeaderName::parse(&name.value).map_err(|reason| {
        faults.add(
            &name.location,
            format!("the header `{}` cannot be sent: {reason}", name.value),
            "X-Acme-Event = \"$event.type\"",
        )
    });
    let text = HeaderValue::parse(&value.value, precision)
        .map_err(|fault| faults.add(&value.location, format!("`{}` cannot be used: {fault}", name.value), "\"$event.type\""));
    Some(Placed::new(Header { name: parsed.ok()?, value: text.ok()? }, name.location.clone()))
}

/// Reports every header whose name is sent twice. Names are compared without case.
fn check_header_names(headers: &[Placed<Header>], signature: Option<&Placed<Signature>>, faults: &mut Faults) {
    let mut seen = BTreeSet::new();
    if let Some(signature) = signature {
        seen.insert(signature.value.header.to_ascii_lowercase());
    }
    for header in headers {
        let name = header.value.name.as_str();
        if !seen.insert(name.to_ascii_lowercase()) {
            let message = format!("the header `{name}` is already sent, by another line or by the signature");
            faults.add(&header.location, message, Remedy::advice("each name has one header, in whatever case"));
        }
    }
}

/// Reports every value that is signed and that no header sends, since without it a receiver cannot verify the signature.
fn check_signed(headers: &[Placed<Header>], signature: Option<&Placed<Signature>>, faults: &mut Faults) {
    let Some(Placed { value: signature, location }) = signature else { return };
    let is_sent = |carrier: &str| headers.iter().any(|header| header.value.value.template() == carrier);
    for (slot, carrier) in signature.signed.carried().filter(|(_, carrier)| !is_sent(carrier)) {
        let message = format!("the signature signs `{slot}`, and no header carries it: nobody could verify that");
        let advice = format!("add a header with the value `{carrier}`, or leave `{slot}` out of `signed`");
        faults.add(location, message, Remedy::Advice(advice));
    }
}

/// Reads the table `signature`. Returns `None` when the table is absent or its `header` is empty, which means that requests are
/// not signed.
fn signature(table: &mut Table, api: Option<&Api>, faults: &mut Faults) -> Option<Placed<Signature>> {
    let mut table = table.table("signature", faults)?;
    let location = table.location.clone();
    if !table.has("header") {
        table.missing("header", "\"X-Acme-Signature\"", faults);
    }
    let header = table.string("header", faults);
    let none = header.as_ref().is_some_and(|header| header.value.is_empty());
    for (key, example) in [("value", "\"sha256={hex}\""), ("signed", "\"{body}\"")] {
        if !none && !table.has(key) {
            table.missing(key, example, faults);
        }
    }
    let value = parsed(&mut table, "value", "\"sha256={hex}\"", faults, SignatureValue::parse);
    let signed = parsed(&mut table, "signed", "\"{body}\"", faults, Signed::parse);
    let key = key(&mut table, api.filter(|_| !none), faults);
    let overlap = flag(&mut table, "overlap", faults);
    table.finish(faults);
    let header = header.filter(|_| !none).and_then(|header| signature_header(header, faults))?;
    Some(Placed::new(Signature { header, value: value?.value, signed: signed?.value, key, overlap }, location))
}

fn signature_header(header: Placed<String>, faults: &mut Faults) -> Option<Box<str>> {
    match HeaderName::parse(&header.value) {
        Ok(_) => Some(header.value.into()),
        Err(reason) => {
            faults.add(
                &header.location,
                format!("the header `{}` cannot be sent: {reason}", header.value),
                "header = \"X-Acme-Signature\"",
            );
            None
        }
    }
}

fn key(table: &mut Table, api: Option<&Api>, faults: &mut Faults) -> Key {
    let key = word(table, "key", KEYS, faults);
    let Some(key) = key else { return Key::default() };
    if key.value == Key::Base64 && api.is_some_and(|api| !api.secret_format.is_base64()) {
        let message = "`key` decodes secrets from base64, and this dialect's secrets are not base64";
        faults.add(&key.location, message, Remedy::advice("`secret_format = \"whsec_{base64:32}\"` in its `api` makes them so"));
    }
    key.value
}

fn delivery(table: &mut Table, faults: &mut Faults) -> Delivery {
    Delivery {
        success: success(table, faults).unwrap_or(Success::Any2xx),
        timeout: table.duration("timeout", TIMEOUTS, faults).map_or(DEFAULT_TIMEOUT, |timeout| timeout.value),
        retry_after: flag(table, "retry_after", faults),
        gone: flag(table, "gone", faults),
        pin_url: flag(table, "pin_url", faults),
        one_slot_after: codes(table, "one_slot_after", faults).unwrap_or_default(),
    }
}

fn success(table: &mut Table, faults: &mut Faults) -> Option<Success> {
    let taken = table.take("success", faults, |value, _| match value {
        Value::String(text) if text == "2xx" => Ok(Success::Any2xx),
        Value::Array(items) if !items.is_empty() => {
            let codes: Result<Vec<_>, _> = items.iter().map(|item| code("success", &item.value)).collect();
            codes.map(Success::Codes)
        }
        _ => Err(Wrong::new("is neither \"2xx\" nor a list of codes", "success = [200, 204]")),
    });
    taken.map(|success| success.value)
}

fn disable(table: &mut Table, faults: &mut Faults) -> Disable {
    let consecutive = table.integer("consecutive", 0..=u64::from(u32::MAX), faults);
    Disable {
        consecutive: consecutive.and_then(|count| count.value.try_into().ok()).unwrap_or(DEFAULT_CONSECUTIVE),
        count: choice(table, "count", COUNTS, faults),
    }
}

fn event_types(table: &mut Table, faults: &mut Faults) -> Vec<EventType> {
    let mut seen = BTreeSet::new();
    let tables = table.tables("event_type", faults);
    tables.into_iter().filter_map(|table| event_type(table, &mut seen, faults)).collect()
}

fn event_type(mut table: Table, seen: &mut BTreeSet<String>, faults: &mut Faults) -> Option<EventType> {
    let checked = |text: &str| check_type_name(text).map(|()| text.to_owned());
    let example = "\"invoice.paid\"";
    if !table.has("name") {
        table.missing("name", example, faults);
    }
    let name = parsed(&mut table, "name", example, faults, checked);
    if let Some(twice) = name.as_ref().filter(|name| !seen.insert(name.value.clone())) {
        faults.add(&twice.location, format!("the event type `{}` is there twice", twice.value), Remedy::None);
    }
    let description = table.string("description", faults).map(|text| text.value).unwrap_or_default();
    let json = |text: &str| json::scan(text.as_bytes()).map(|_| text.to_owned());
    let example = parsed(&mut table, "example", "'{\"id\":\"in_1\"}'", faults, json);
    let ours = flag(&mut table, "ours", faults);
    let version = version(&mut table, faults);
    table.finish(faults);
    let example = example.map_or_else(|| "{}".into(), |example| example.value.into());
    let (name, description) = (name?.value.into(), description.into());
    Some(EventType { name, description, example, ours, version, schema: None, deprecated: false })
}

fn version(table: &mut Table, faults: &mut Faults) -> i64 {
    faults.record(&table.path, "version", || Shape::Integer(i64::MIN.into()..=i64::MAX.into()));
    let taken = table.take("version", faults, |value, _| match value {
        Value::Integer(number) => i64::try_from(number).map_err(|_| Wrong::new("is too large", "version = 1")),
        other => Err(Wrong::kind(&other, "an integer", "version = 1")),
    });
    taken.map_or(0, |version| version.value)
}

/// Reports a dialect that has `link_attribute` and not `unique_name`. A link is the name of a webhook, so webhooks need names.
fn check_link(event: &EventRules, api: Option<&Api>, location: &Location, faults: &mut Faults) {
    if event.link_attribute.is_some() && api.is_some_and(|api| !api.unique_name) {
        let advice = Remedy::advice("`unique_name = true` in its `api` makes names needed");
        faults.add(location, "`link_attribute` names a webhook, and webhooks need no name here", advice);
    }
}

pub(super) const SECRET_POLICIES: &Words<SecretPolicy> =
    &[("generated", SecretPolicy::Generated), ("given-or-generated", SecretPolicy::GivenOrGenerated)];
pub(super) const NUMBERS: &Words<Numbers> = &[("as-published", Numbers::AsPublished), ("ecmascript", Numbers::Ecmascript)];
pub(super) const PRECISIONS: &Words<Precision> = &[("seconds", Precision::Seconds), ("micros", Precision::Micros)];
pub(super) const KEYS: &Words<Key> = &[("text", Key::Text), ("base64", Key::Base64)];
pub(super) const COUNTS: &Words<Counted> = &[("deliveries", Counted::Deliveries), ("attempts", Counted::Attempts)];
pub(super) const OPENNESS: &Words<Openness> = &[("open", Openness::Open), ("closed", Openness::Closed)];
pub(super) const UNKNOWN_TYPES: &Words<UnknownTypes> = &[("pass", UnknownTypes::Pass), ("refuse", UnknownTypes::Refuse)];

/// The URL schemes that a webhook may have. The value is true for the scheme without TLS.
const SCHEMES: &Words<bool> = &[("https", false), ("http", true)];

const DEFAULT_FIELDS: &[WebhookField] = &[
    WebhookField::Id,
    WebhookField::Url,
    WebhookField::Events,
    WebhookField::Description,
    WebhookField::Secret,
    WebhookField::Status,
    WebhookField::CreatedAt,
];

/// An example of a body for messages, as TOML writes it. The slots have no quotes, since they bring their own.
const TEMPLATE_EXAMPLE: &str = "'{\"type\":$event.type,\"data\":$data}'";

const DEFAULT_SECRET_FORMAT: &str = "whsec_{base62:32}";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_CONSECUTIVE: u32 = 10;

const WEBHOOKS_PER_KEY_MAX: u64 = 1_000_000;

/// The least and the most time that an attempt may be given. An attempt may hold one of its webhook's slots for all of it.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(10)..=TIMEOUT_MAX;

/// The longest timeout of an attempt.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(300);

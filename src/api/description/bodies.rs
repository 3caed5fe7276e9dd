//! The bodies that calls take, as types. The calls themselves read a body member by member, so that all that is wrong with it is told at
//! once; that both know the same members is checked from outside, by `tests/it/process/description.rs`.

#![expect(dead_code, reason = "only the names and types of the members are read")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// One event. A member that is null is as good as absent, but for `data`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct NewEvent {
    /// The event type, at most 128 bytes: what webhooks subscribe to.
    #[schemars(regex(pattern = r"^[^\s*\x00-\x1f\x7f-\x9f]{1,128}$"))]
    r#type: String,
    /// What happened: any JSON, sent as it was written.
    data: Value,
    /// The event's id on the wire and in the API, unique in the tenant while the event is kept. Absent: the service makes one.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    id: Option<String>,
    /// A second name of your own, unique in the tenant while the event is kept. It is taken wherever the id is, and goes to no webhook.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.-]{1,256}$"))]
    uid: Option<String>,
    /// When it happened, with any offset. Absent: when it was published.
    #[schemars(extend("format" = "date-time"))]
    occurred_at: Option<String>,
    /// Names and scalars by which a dialect routes or prints; at most 64 with 16 KiB.
    attributes: Option<BTreeMap<String, Scalar>>,
    /// The connection whose URLs are used, in a dialect that pins them.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    connection: Option<String>,
    /// Narrows who gets the event: a webhook with channels gets it only if it has one of these.
    #[schemars(length(min = 1, max = 5), inner(regex(pattern = r"^[A-Za-z0-9_.-]{1,128}$")))]
    channels: Option<Vec<String>>,
    /// Whom the event is for: a tenant's id or uid, or `*` for all tenants of the provider. A tenant's key may leave it out.
    #[schemars(regex(pattern = r"^([A-Za-z0-9_.-]{1,256}|\*)$"))]
    tenant: Option<String>,
}

/// A string, a number, true, false or null.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[schemars(inline)]
enum Scalar {
    Text(String),
    Number(f64),
    Flag(bool),
    Null(()),
}

/// A webhook to make, or all that PUT sets of one.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct NewWebhook {
    /// Where events are sent. It must be a public address unless the config opens others.
    #[schemars(url)]
    url: String,
    /// The event types: names, `prefix.*` for all that begin so, or `*`.
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 128)))]
    events: Vec<String>,
    /// For people; some dialects find a webhook by it.
    #[schemars(length(max = 128))]
    name: Option<String>,
    #[schemars(length(max = 1024))]
    description: Option<String>,
    /// A signing secret of your own, where the dialect takes one. Absent: the service makes one. PUT refuses it.
    secret: Option<String>,
    #[schemars(flatten)]
    settings: Settings,
}

/// What PATCH changes of a webhook. What is absent stays; a setting that is null is taken away.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct WebhookChanges {
    #[schemars(url)]
    url: Option<String>,
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 128)))]
    events: Option<Vec<String>>,
    #[schemars(length(max = 128))]
    name: Option<String>,
    #[schemars(length(max = 1024))]
    description: Option<String>,
    /// Switches the webhook on or off.
    status: Option<Switched>,
    /// The same as `status`, for dialects that say it so.
    is_active: Option<bool>,
    /// Always refused; `rotate-secret` changes a secret.
    #[schemars(extend("not" = {}))]
    secret: Option<String>,
    #[schemars(flatten)]
    settings: Settings,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[schemars(inline)]
enum Switched {
    Active,
    Disabled,
}

/// What a webhook may have besides its URL and event types.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(in crate::api) struct Settings {
    /// A second name of your own, which no other webhook of the tenant has. Every path and filter that takes its id takes it too.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.-]{1,256}$"))]
    #[schemars(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    /// Which of the events that match by type are sent, by their content: a JSON filter of at most 16 KiB and 16 levels.
    #[schemars(skip_serializing_if = "Option::is_none")]
    filter: Option<Map<String, Value>>,
    /// Only events that share a channel are sent, and those without any channel are not. Absent: all.
    #[schemars(length(min = 1, max = 10), inner(regex(pattern = r"^[A-Za-z0-9_.-]{1,128}$")))]
    #[schemars(skip_serializing_if = "Option::is_none")]
    channels: Option<Vec<String>>,
    /// Names and texts of your own, at most 50 with 4 KiB; lists find webhooks by them.
    #[schemars(skip_serializing_if = "Option::is_none")]
    metadata: Option<BTreeMap<String, String>>,
    /// How long an attempt may take, from `1s` to `60s`.
    #[schemars(regex(pattern = r"^([0-9]+(w|d|h|m|s|ms))+$"))]
    #[schemars(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    /// When the next attempt is made: at most 30 attempts within 30 days.
    #[schemars(skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    /// After how many failures in a row the webhook is disabled.
    #[schemars(skip_serializing_if = "Option::is_none")]
    disable: Option<Disable>,
    /// How many attempts are made at once.
    #[schemars(range(min = 1, max = 1024))]
    #[schemars(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u16>,
    /// How many attempts are made in a time, really enforced by delay: `10/s`, `600/m`.
    #[schemars(skip_serializing_if = "Option::is_none", regex(pattern = r"^[1-9][0-9]{0,5}/[smh]$"))]
    rate_limit: Option<String>,
    /// Headers that are sent with every attempt, at most 32 with 8 KiB. Answers show their values masked.
    #[schemars(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, String>>,
    /// What `Authorization` says in every attempt. Answers show the secrets in it masked.
    #[schemars(skip_serializing_if = "Option::is_none")]
    auth: Option<Auth>,
    /// A certificate that is shown to the endpoint, and authorities that are trusted for it. Answers show the key masked.
    #[schemars(skip_serializing_if = "Option::is_none")]
    tls: Option<OwnTls>,
    /// The proxy that attempts leave through, `http://[user:pass@]host:port`, or `none`. Answers show the password masked.
    #[schemars(skip_serializing_if = "Option::is_none")]
    proxy: Option<String>,
    /// The share of the events that is delivered, above 0 and at most 1. The event's id decides.
    #[schemars(skip_serializing_if = "Option::is_none", extend("exclusiveMinimum" = 0, "maximum" = 1))]
    sample: Option<f64>,
    /// Whether deliveries are made one at a time, in the order of publication.
    #[schemars(skip_serializing_if = "Option::is_none")]
    ordered: Option<bool>,
    /// What follows in an ordered webhook when a delivery has failed: `next` goes on, `hold` disables the webhook.
    #[schemars(skip_serializing_if = "Option::is_none", regex(pattern = "^(next|hold)$"))]
    on_failure: Option<String>,
}

/// A password, a token, or client credentials with which a token is asked for (RFC 6749 section 4.4).
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "lowercase")]
enum Auth {
    Basic {
        username: String,
        password: String,
    },
    Bearer {
        token: String,
    },
    OAuth2 {
        /// Where the token is asked for; judged like the URL of a webhook.
        token_url: String,
        client_id: String,
        client_secret: String,
        #[schemars(skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        #[schemars(skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
        /// Where id and secret stand: in the `Authorization` header, or in the form.
        #[schemars(skip_serializing_if = "Option::is_none")]
        style: Option<Style>,
    },
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[schemars(inline)]
enum Style {
    Basic,
    Form,
}

/// PEM texts of at most 16 KiB each: `client_cert` and `client_key` together, `ca`, or all of them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct OwnTls {
    /// A certificate, and those that lead from it to an authority.
    #[schemars(skip_serializing_if = "Option::is_none")]
    client_cert: Option<String>,
    /// The key of the first certificate, unencrypted.
    #[schemars(skip_serializing_if = "Option::is_none")]
    client_key: Option<String>,
    /// Authorities that are trusted besides those of the service.
    #[schemars(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
}

/// Exactly one of the three policies.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Retry {
    /// The pauses between the attempts.
    #[schemars(length(max = 29))]
    #[schemars(skip_serializing_if = "Option::is_none")]
    schedule: Option<Vec<String>>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    exponential: Option<Exponential>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    decorrelated_jitter: Option<DecorrelatedJitter>,
    /// The share by which a pause is shortened or lengthened at random.
    #[schemars(range(min = 0, max = 1))]
    #[schemars(skip_serializing_if = "Option::is_none")]
    jitter: Option<f64>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(inline)]
struct Exponential {
    /// The first pause, such as `5s`.
    first: String,
    #[schemars(range(min = 1, max = 1000))]
    factor: f64,
    #[schemars(range(min = 0, max = 29))]
    retries: u32,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(inline)]
struct DecorrelatedJitter {
    /// The median of the first pause.
    median: String,
    #[schemars(range(min = 0, max = 29))]
    retries: u32,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Disable {
    /// 0: never.
    #[schemars(range(min = 0, max = 1_000_000))]
    consecutive: u32,
    /// What counts as a failure: a delivery that failed for good, or each attempt.
    #[schemars(skip_serializing_if = "Option::is_none")]
    count: Option<Counted>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[schemars(inline)]
enum Counted {
    Deliveries,
    Attempts,
}

/// Nothing; the body may be left out.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Rotation {
    /// A secret of your own, where the dialect takes one.
    secret: Option<String>,
    /// How long the old secret signs beside the new one, at most `30d`. Absent: `rotation_overlap` of the config, 24 h.
    #[schemars(regex(pattern = r"^(0|([0-9]+(w|d|h|m|s|ms))+)$"))]
    overlap: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct WebhookTest {
    /// Absent: a type that the webhook subscribes to.
    #[schemars(regex(pattern = r"^[^\s*\x00-\x1f\x7f-\x9f]{1,128}$"))]
    event_type: Option<String>,
    /// Absent: the catalogue's example of the type.
    data: Option<Value>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct WebhooksTest {
    /// Absent: every webhook of the tenant, at most 50.
    webhook_id: Option<String>,
    #[schemars(regex(pattern = r"^[^\s*\x00-\x1f\x7f-\x9f]{1,128}$"))]
    event_type: Option<String>,
    data: Option<Value>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Recovery {
    /// A time, or how long ago: `2026-04-20T14:32:00Z`, `10m`.
    #[schemars(regex(pattern = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T.+|0|([0-9]+(w|d|h|m|s|ms))+)$"))]
    since: String,
    /// The same; absent: now.
    #[schemars(regex(pattern = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T.+|0|([0-9]+(w|d|h|m|s|ms))+)$"))]
    until: Option<String>,
    /// `failed`: deliveries that failed; `missed`: kept events without a delivery. Absent: both.
    status: Option<Recovered>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[schemars(inline)]
enum Recovered {
    Failed,
    Missed,
}

/// What is different from the event that is published again.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct EventReplay {
    /// Absent: the data of the old event.
    data: Option<Value>,
    /// The id of the only webhook that gets it. Absent: those that match.
    webhook: Option<String>,
}

/// What is sent again, and how fast.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct NewReplay {
    filter: NewReplayFilter,
    /// Make a new event of each old one, with an id of its own, for exactly the webhooks whose deliveries match; `replay_of` and `replays`
    /// of the two name each other. Absent: the old deliveries are sent again.
    new_id: Option<bool>,
    /// The most deliveries that are sent in a time: `100/s`, `600/m`. Absent: as many as the endpoints take.
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,6}/[smh]$"))]
    rate: Option<String>,
    /// Only count what matches.
    dry_run: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct NewReplayFilter {
    /// The id of the one webhook whose deliveries are sent again. Absent: all active webhooks of the tenant.
    webhook: Option<String>,
    /// Those of events of this type: a name, `prefix.*` or `*`.
    r#type: Option<String>,
    /// Those that ended so. Absent: both.
    status: Option<Ended>,
    /// Those whose newest response had this status.
    #[schemars(range(min = 100, max = 599))]
    code: Option<u16>,
    /// Those of events published since then: a time, or how long ago: `2026-04-20T14:32:00Z`, `10m`.
    #[schemars(regex(pattern = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T.+|0|([0-9]+(w|d|h|m|s|ms))+)$"))]
    since: String,
    /// The same; absent: now.
    #[schemars(regex(pattern = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T.+|0|([0-9]+(w|d|h|m|s|ms))+)$"))]
    until: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[schemars(inline)]
enum Ended {
    Succeeded,
    Failed,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Purge {
    /// Which deliveries end.
    status: Waiting,
    /// Those of events that were published up to then: a time, or how long ago. Absent: now.
    #[schemars(regex(pattern = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T.+|0|([0-9]+(w|d|h|m|s|ms))+)$"))]
    until: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[schemars(inline)]
enum Waiting {
    Pending,
    Held,
}

/// A filter and an event, which is named by `event_id` or given as `event`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct FilterTest {
    /// Absent: the webhook's own.
    filter: Option<Map<String, Value>>,
    event_id: Option<String>,
    event: Option<FilterTestEvent>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(inline)]
struct FilterTestEvent {
    r#type: String,
    data: Value,
    attributes: Option<BTreeMap<String, Scalar>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct NewConnection {
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    id: String,
    /// The name of the one webhook whose URL is pinned; absent: all of the tenant's.
    link: Option<String>,
    /// The tenant, where the key is a provider's.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    tenant: Option<String>,
}

/// What is said of an event type. PUT sets all of it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct EventTypeDefinition {
    #[schemars(length(max = 1024))]
    description: Option<String>,
    /// The data of such an event, at most 16 KiB.
    example: Option<Value>,
    version: Option<i64>,
    /// A JSON Schema (2020-12 or draft 7) of the data, at most 256 KiB, without references to other documents.
    schema: Option<Value>,
    deprecated: Option<bool>,
}

/// An OpenAPI 3.0 or 3.1 document, in JSON or YAML, of at most 4 MiB. Its `webhooks` become event types.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(super) struct OpenApiDocument(Map<String, Value>);

/// A key to make: an operator's with `operator`, a provider's with `provider` alone, a tenant's with `tenant`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct NewKey {
    #[schemars(length(max = 128))]
    name: Option<String>,
    operator: Option<bool>,
    provider: Option<String>,
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    tenant: Option<String>,
    /// What the key may do. Absent: everything for a tenant's key, `publish` for a provider's.
    #[schemars(length(min = 1))]
    scopes: Option<Vec<Scope>>,
    #[schemars(length(max = 1024))]
    description: Option<String>,
    /// In the future. Absent: the key has no end.
    #[schemars(extend("format" = "date-time"))]
    expires_at: Option<String>,
    /// How often the key may be used: `1000/s`, `600/m`, `50/h`. Absent: as often as the service takes it.
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,5}/[smh]$"))]
    rate_limit: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[schemars(inline)]
enum Scope {
    Publish,
    Read,
    Manage,
}

/// What is changed of a provider. A member that is null lets the dialect or the default say it again.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ProviderChanges {
    /// What becomes of an event whose data does not match the schema of its type: `off`, `warn` or `refuse`.
    #[schemars(regex(pattern = r"^(off|warn|refuse)$"))]
    validate: Option<String>,
    /// What becomes of event types that the catalogue does not have: `allow` or `refuse`.
    #[schemars(regex(pattern = r"^(allow|refuse)$"))]
    unknown_types: Option<String>,
    /// Whether an event for a tenant that does not exist makes it.
    create_tenants: Option<bool>,
}

/// What is said of a tenant. PUT sets all of it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct TenantProfile {
    /// Absent: `Production`.
    #[schemars(length(min = 1, max = 64))]
    environment: Option<String>,
    #[schemars(length(max = 128))]
    name: Option<String>,
    /// Names and texts of your own, at most 50 with 4 KiB.
    metadata: Option<BTreeMap<String, String>>,
    /// A second name of your own, which no other tenant of the provider has.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.-]{1,256}$"))]
    uid: Option<String>,
    /// How long its events and deliveries are kept, from `1s` to `3650d`. Absent: as long as those of others.
    #[schemars(regex(pattern = r"^([0-9]+(w|d|h|m|s|ms))+$"))]
    retention: Option<String>,
    /// How often an event may be published for it: `1000/s`, `600/m`, `50/h`.
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,5}/[smh]$"))]
    rate_limit: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct BackupPath {
    /// An absolute path on the service's machine.
    path: String,
}

/// One line of an export. Its `kind` says which members it has.
#[derive(JsonSchema)]
pub(super) struct ExportLine(Map<String, Value>);

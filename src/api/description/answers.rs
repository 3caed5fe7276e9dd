//! Forms of answers that no type prints: what a dialect orders, what is copied byte for byte, and the frame around rows.

#![expect(dead_code, reason = "only the names and types of the members are read")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::bodies::Settings;
use crate::api::document::delivery::{Reason, Status, Whole};
use crate::api::document::event::{Event, Line, SchemaError};
use crate::api::document::explained::Explained;
use crate::api::document::members::Members;
use crate::api::document::moment::{Exact, Moment};
use crate::api::document::problem::Problem;
use crate::api::document::stats::Decimal;
use crate::api::document::webhook::WebhookStatus;
use crate::domain::delivery::End;

/// A webhook as its tenant sees it.
#[derive(JsonSchema)]
pub(super) struct Webhook {
    id: String,
    /// Empty for a webhook without one.
    #[schemars(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    url: String,
    /// Event types: names, `prefix.*`, or `*`.
    events: Vec<String>,
    /// What signs. Only the answer that makes it has it.
    #[schemars(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    status: Option<WebhookStatus>,
    /// The status in dialects that have it as a flag.
    #[schemars(skip_serializing_if = "Option::is_none")]
    is_active: Option<bool>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    created_at: Option<Moment>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Moment>,
    /// The end of the newest attempt.
    #[schemars(skip_serializing_if = "Option::is_none")]
    last_delivery_at: Option<Moment>,
    /// Failures in a row.
    #[schemars(skip_serializing_if = "Option::is_none")]
    failures: Option<u32>,
    /// The status of the newest attempt's response.
    #[schemars(skip_serializing_if = "Option::is_none")]
    last_code: Option<u16>,
    /// The class of the newest attempt's failure.
    #[schemars(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// Since when nothing is sent to it.
    #[schemars(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Moment>,
    /// Why nothing is sent to it.
    #[schemars(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<String>,
    /// What counts for its deliveries: each value, and where it comes from.
    #[schemars(skip_serializing_if = "Option::is_none")]
    effective: Option<BTreeMap<String, Effective>>,
    /// Shown to operators and providers.
    #[schemars(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// Shown to operators and providers.
    #[schemars(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// `file`, `operator`, or the id of the key that made it. Shown to operators and providers.
    #[schemars(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[schemars(flatten)]
    settings: Settings,
}

/// A webhook with its new secret.
#[derive(JsonSchema)]
pub(super) struct RotatedWebhook {
    #[schemars(flatten)]
    webhook: Webhook,
    /// Until then the old secret signs too. Null: it does not.
    #[schemars(skip_serializing_if = "Option::is_none")]
    previous_secret_until: Option<Moment>,
    /// Why the old secret does not sign any more.
    #[schemars(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// A value that counts, and where it comes from.
#[derive(JsonSchema)]
struct Effective {
    value: Value,
    /// `default`, `dialect`, `provider`, `tenant` or `webhook`.
    origin: String,
}

/// An event in the feed.
#[derive(JsonSchema)]
#[schemars(rename = "Event")]
pub(super) struct WholeEvent {
    #[schemars(flatten)]
    head: Event<'static>,
    /// Names and scalars, as they were published.
    attributes: BTreeMap<String, Value>,
    connection: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    channels: Option<Vec<String>>,
    /// The places at which its data does not match the schema of its type.
    #[schemars(skip_serializing_if = "Option::is_none")]
    schema_errors: Option<Vec<SchemaError<'static>>>,
    /// As it was published.
    data: Value,
}

/// A page of a list.
#[derive(JsonSchema)]
#[schemars(rename = "{T}Page")]
pub(super) struct Page<T> {
    data: Vec<T>,
    /// The `cursor` of the next page. Null on the last page, or absent in a dialect that names `data` otherwise.
    #[schemars(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A page of events that can be polled for news.
#[derive(JsonSchema)]
pub(super) struct EventFeed {
    data: Vec<WholeEvent>,
    /// The `cursor` of the next page. Null: there is none yet.
    #[schemars(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// Where the feed goes on, also on the last page.
    cursor: String,
}

/// A page about the webhooks that got an event, or did not.
#[derive(JsonSchema)]
pub(super) struct ExplainedPage {
    data: Vec<Explained>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// The places at which the event's data does not match the schema of its type.
    #[schemars(skip_serializing_if = "Option::is_none")]
    schema_errors: Option<Vec<SchemaError<'static>>>,
}

/// The tests of all webhooks.
#[derive(JsonSchema)]
pub(super) struct Tests {
    data: Vec<Whole>,
}

/// The result of a line: an event that is on disk, or a problem.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum LineResult {
    Accepted(Line<'static>),
    Problem(Problem<'static>),
}

/// The OpenAPI document.
#[derive(JsonSchema)]
pub(super) struct OpenApi {
    openapi: String,
    #[schemars(flatten)]
    rest: BTreeMap<String, Value>,
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

impl JsonSchema for Exact {
    fn schema_name() -> Cow<'static, str> {
        "Exact".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Moment::json_schema(generator)
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number"})
    }
}

impl JsonSchema for Status {
    fn schema_name() -> Cow<'static, str> {
        "DeliveryStatus".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "enum": Self::ALL.map(Self::name)})
    }
}

impl JsonSchema for Reason {
    fn schema_name() -> Cow<'static, str> {
        "Reason".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let held = [Self::WebhookDisabled, Self::WebhookRemoved];
        let all: Vec<String> = End::ALL.map(Self::Ended).into_iter().chain(held).map(|reason| reason.name().to_owned()).collect();
        let about = "Why a delivery failed for good, or why it is held.";
        json_schema!({"type": "string", "enum": all, "description": about})
    }
}

impl<V: JsonSchema, N> JsonSchema for Members<V, N> {
    fn schema_name() -> Cow<'static, str> {
        format!("MembersOf{}", V::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": generator.subschema_for::<V>()})
    }
}

//! The members of each kind of object, as they are shown.

use std::collections::BTreeMap;

use crate::domain::access::{Key, Role};
use crate::domain::dialect::{EventType, UnknownTypes};
use crate::domain::provider::ProviderSettings;
use crate::domain::schema::Validate;
use crate::domain::time::Timestamp;
use crate::domain::units::duration_text;
use crate::domain::webhook::endpoint::{Endpoint, WebhookState};
use crate::store::message::audit::document::Document;
use crate::store::message::tenant::Tenant;

pub(super) fn of_provider(settings: &ProviderSettings) -> Document {
    let validate = settings.validate.map(|validate| match validate {
        Validate::Off => "off",
        Validate::Warn => "warn",
        Validate::Refuse => "refuse",
    });
    let unknown_types = settings.unknown_types.map(|unknown| match unknown {
        UnknownTypes::Pass => "allow",
        UnknownTypes::Refuse => "refuse",
    });
    let document = Document::default().with_some("validate", validate).with_some("unknown_types", unknown_types);
    document.with_some("create_tenants", settings.create_tenants)
}

pub(super) fn members_of(webhook: &Endpoint) -> Document {
    let definition = &webhook.definition;
    let events: Vec<String> = definition.events.iter().map(ToString::to_string).collect();
    let document = Document::default()
        .with("name", &*definition.name)
        .with("description", &*definition.description)
        .with("url", &*definition.url)
        .with("events", events)
        .with("status", status(webhook))
        .with_some("disabled_reason", webhook.stopped().map(|(_, why)| why));
    let settings = definition.settings.members();
    settings.into_iter().fold(document, |document, one| document.with_json(one.name, one.json.into_owned()))
}

pub(super) fn status(webhook: &Endpoint) -> &'static str {
    match webhook.state {
        WebhookState::Active => "active",
        WebhookState::Disabled { .. } => "disabled",
        WebhookState::Removed { .. } => "removed",
        WebhookState::Deleted { .. } => "deleted",
    }
}

pub(super) fn of_key(key: &Key) -> Document {
    let (of, scopes) = match &key.role {
        Role::Operator => ("operator".to_owned(), None),
        Role::Provider { provider, scopes } => (provider.to_string(), Some(scopes)),
        Role::Tenant { provider, tenant, scopes } => (format!("{provider}/{tenant}"), Some(scopes)),
    };
    Document::default()
        .with("name", &*key.name)
        .with("of", of)
        .with_some("scopes", scopes.map(|scopes| scopes.names()))
        .with("description", &*key.terms.description)
        .with_some("expires_at", key.terms.expires_at.map(Timestamp::rfc3339_secs))
        .with_some("rate_limit", key.terms.rate_limit.map(|rate| rate.to_string()))
}

pub(super) fn of_tenant(tenant: &Tenant) -> Document {
    let profile = &tenant.profile;
    Document::default()
        .with("name", &*profile.name)
        .with_some("environment", profile.environment.as_deref())
        .with("metadata", profile.metadata.iter().map(|(name, text)| (&**name, &**text)).collect::<BTreeMap<_, _>>())
        .with_some("uid", profile.uid.as_ref().map(ToString::to_string))
        .with_some("retention", profile.retention.map(duration_text))
        .with_some("rate_limit", profile.rate_limit.map(|rate| rate.to_string()))
}

pub(super) fn of_event_type(event_type: &EventType) -> Document {
    let document = Document::default()
        .with("description", &*event_type.description)
        .with("version", event_type.version)
        .with("deprecated", event_type.deprecated)
        .with_json("example", event_type.example.to_string());
    match &event_type.schema {
        Some(schema) => document.with_json("schema", schema.text().to_owned()),
        None => document,
    }
}

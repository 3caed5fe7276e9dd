//! The lines of an export, made of what the store keeps.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::document::backup::export::{
    Attempt, Bytes, Delivery, DeliveryKind, Disabled, Event, EventKind, EventType, EventTypeKind, Key, KeyKind, LiveSecret,
    Outcome, Provider, ProviderKind, Published, State, Tenant, TenantKind, Webhook, WebhookKind, WebhookOwner, Why,
};
use crate::config::checked::{UNKNOWN_TYPES, VALIDATE};
use crate::domain::access::{self, Role, Scopes};
use crate::domain::delivery::{self, QueuePosition};
use crate::domain::dialect;
use crate::domain::event;
use crate::domain::headers::Headers;
use crate::domain::id::Node;
use crate::domain::provider::ProviderSettings;
use crate::domain::units::duration_text;
use crate::domain::webhook::endpoint::{self, Endpoint, Owner, WebhookState};
use crate::domain::webhook::settings::Kept;
use crate::store::{self, EventName};

/// What the API says of a provider. `None`: nothing.
pub(in crate::api) fn provider(name: &str, settings: &ProviderSettings) -> Option<Provider> {
    fn word<T: PartialEq>(words: &[(&str, T)], value: Option<T>) -> Option<String> {
        words.iter().find(|(_, known)| Some(known) == value.as_ref()).map(|(word, _)| (*word).to_owned())
    }
    (*settings != ProviderSettings::default()).then(|| Provider {
        kind: ProviderKind::Only,
        name: name.into(),
        validate: word(&VALIDATE, settings.validate),
        unknown_types: word(&UNKNOWN_TYPES, settings.unknown_types),
        create_tenants: settings.create_tenants,
    })
}

/// An event type as `PUT` takes it.
pub(in crate::api) fn event_type(provider: &str, known: &dialect::EventType) -> EventType {
    #[derive(Serialize)]
    struct Definition<'a> {
        description: &'a str,
        example: Box<RawValue>,
        version: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        schema: Option<Box<RawValue>>,
        deprecated: bool,
    }
    let schema = known.schema.as_ref().map(|schema| as_written(schema.text()));
    let (description, example) = (&*known.description, as_written(&known.example));
    let definition = Definition { description, example, version: known.version, schema, deprecated: known.deprecated };
    let (provider, name) = (provider.into(), known.name.to_string());
    EventType { kind: EventTypeKind::Only, provider, name, definition: raw(&definition) }
}

/// A tenant as `PUT` takes it.
pub(in crate::api) fn tenant(tenant: &store::Tenant) -> Tenant {
    #[derive(Serialize)]
    struct Profile<'a> {
        environment: Option<&'a str>,
        name: &'a str,
        metadata: &'a std::collections::BTreeMap<Box<str>, Box<str>>,
        uid: Option<String>,
        retention: Option<String>,
        rate_limit: Option<String>,
    }
    let (owned, profile) = (&tenant.owned, &tenant.profile);
    let profile = Profile {
        environment: profile.environment.as_deref(),
        name: &profile.name,
        metadata: &profile.metadata,
        uid: profile.uid.as_ref().map(ToString::to_string),
        retention: profile.retention.map(duration_text),
        rate_limit: profile.rate_limit.map(|rate| rate.to_string()),
    };
    let (provider, id) = (owned.provider.to_string(), owned.tenant.to_string());
    Tenant { kind: TenantKind::Only, provider, id, profile: raw(&profile) }
}

pub(in crate::api) fn key(key: &access::Key) -> Key {
    let (provider, tenant, scopes) = match &key.role {
        Role::Operator => (None, None, Scopes::NONE),
        Role::Provider { provider, scopes } => (Some(provider.to_string()), None, *scopes),
        Role::Tenant { provider, tenant, scopes } => (Some(provider.to_string()), Some(tenant.to_string()), *scopes),
    };
    Key {
        kind: KeyKind::Only,
        id: key.id.to_string(),
        name: key.name.to_string(),
        provider,
        tenant,
        scopes: scopes.names().into_iter().map(str::to_owned).collect(),
        sha256: hex::encode(key.hash),
        created_at: key.created_at.into(),
        made_by: key.maker.key().map(Into::into),
        made_by_provider: key.maker.is_provider(),
        description: key.terms.description.to_string(),
        expires_at: key.terms.expires_at.map(Into::into),
        rate_limit: key.terms.rate_limit.map(|rate| rate.to_string()),
    }
}

/// A webhook, with its credentials only where `secrets` are asked for.
pub(in crate::api) fn webhook(endpoint: &Endpoint, secrets: bool) -> Webhook {
    let definition = Definition::of(endpoint, secrets);
    let live = || {
        endpoint
            .secrets
            .iter()
            .map(|held| LiveSecret { secret: held.secret.expose().to_owned(), until: held.until.map(Into::into) })
    };
    Webhook {
        kind: WebhookKind::Only,
        id: endpoint.id.to_string(),
        provider: endpoint.provider.to_string(),
        tenant: endpoint.tenant.to_string(),
        owner: owner(&endpoint.owner),
        created_at: endpoint.created_at.into(),
        changed_at: endpoint.changed_at.into(),
        disabled: disabled(endpoint.state),
        failures: endpoint.failures,
        definition: definition.json,
        proxy_of_operator: definition.proxy_of_operator,
        left_out: definition.left_out,
        secrets: secrets.then(|| live().collect()),
    }
}

/// What a webhook is made of, as `POST` takes it.
struct Definition {
    json: Box<RawValue>,
    proxy_of_operator: bool,
    left_out: Vec<String>,
}

impl Definition {
    fn of(endpoint: &Endpoint, secrets: bool) -> Self {
        let definition = &endpoint.definition;
        let events: Vec<String> = definition.events.iter().map(ToString::to_string).collect();
        let mut members = vec![("url", raw(&definition.url)), ("events", raw(&events))];
        members.extend((!definition.name.is_empty()).then(|| ("name", raw(&definition.name))));
        members.extend((!definition.description.is_empty()).then(|| ("description", raw(&definition.description))));
        let (mut left_out, mut proxy_of_operator) = (Vec::new(), false);
        for kept in definition.settings.kept() {
            match kept {
                Kept::Plain(member) => members.push((member.name, as_written(&member.json))),
                Kept::Secret { name: IS_OPERATORS_PROXY, .. } => proxy_of_operator = true,
                Kept::Secret { name, json } if secrets => members.push((name, as_written(json.expose()))),
                Kept::Secret { name, .. } => left_out.push(name.into()),
            }
        }
        let members = crate::api::document::members::Members::<_, &str>(members);
        Self { json: raw(&members), proxy_of_operator, left_out }
    }
}

fn owner(owner: &Owner) -> WebhookOwner {
    match owner {
        Owner::File => WebhookOwner::File,
        Owner::Operator => WebhookOwner::Operator,
        Owner::Key(id) => WebhookOwner::Key(id.to_string()),
        Owner::Provider(id) => WebhookOwner::Provider(id.to_string()),
    }
}

/// What disabled a webhook. One that the config file stops is disabled for another relay too, which knows nothing of that file.
fn disabled(state: WebhookState) -> Option<Disabled> {
    let (at, why) = match state {
        WebhookState::Disabled { at, why } | WebhookState::Removed { disabled: Some((at, why)), .. } => (at, why),
        WebhookState::Removed { at, disabled: None } => (at, endpoint::Why::ByHand),
        WebhookState::Active | WebhookState::Deleted { .. } => return None,
    };
    let why = match why {
        endpoint::Why::Failures(count) => Why::Failures(count),
        endpoint::Why::Gone => Why::Gone,
        endpoint::Why::Held => Why::Held,
        endpoint::Why::ByHand => Why::ByHand,
    };
    Some(Disabled { at: at.into(), why })
}

pub(in crate::api) fn event(event: &event::Event, content: [u8; 32], deliveries: u32) -> Event {
    let (all, body_end, data) = event.content.parts();
    Event {
        kind: EventKind::Only,
        id: event.id.to_string(),
        uid: event.uid.as_ref().map(ToString::to_string),
        provider: event.provider.to_string(),
        tenant: event.tenant.as_deref().map(Into::into),
        r#type: event.kind.to_string(),
        published: Published { ms: event.key.time().as_millis(), number: event.key.number() },
        time: event.time.into(),
        occurred_at: event.occurred_at.map(Into::into),
        attributes: event.attributes.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
        connection: event.connection.as_deref().map(Into::into),
        channels: event.channels.iter().map(str::to_owned).collect(),
        test: event.test,
        schema_errors: event.schema_errors.to_string(),
        replay_of: event.links.as_ref().and_then(|links| links.replay_of.as_deref()).map(Into::into),
        replays: event.links.iter().flat_map(|links| &links.replays).map(ToString::to_string).collect(),
        content_sha256: (content != [0; 32]).then(|| hex::encode(content)),
        deliveries,
        content: bytes(all),
        body_end,
        data: (data.start, data.end),
    }
}

pub(in crate::api) fn delivery(
    node: Node,
    delivery: &delivery::Delivery,
    event: &EventName,
    endpoint: &Endpoint,
    attempts: &[store::Attempt],
) -> Delivery {
    Delivery {
        kind: DeliveryKind::Only,
        id: node.delivery_id(delivery.key),
        provider: event.provider.to_string(),
        tenant: event.tenant.as_deref().map(Into::into),
        event_id: event.id.to_string(),
        webhook_id: endpoint.id.to_string(),
        state: state(delivery.state),
        cause: delivery.run.cause,
        before: delivery.run.before,
        url: delivery.url.as_deref().map(Into::into),
        succeeded_at: delivery.succeeded_at.map(Into::into),
        code: delivery.code,
        attempts: attempts.iter().map(attempt).collect(),
    }
}

fn state(state: delivery::State) -> State {
    match state {
        delivery::State::Pending(QueuePosition::Due(_) | QueuePosition::Backlog(_)) => State::Pending,
        delivery::State::Succeeded { at } => State::Succeeded { at: at.into() },
        delivery::State::Failed { at, end } => State::Failed { at: at.into(), reason: end },
    }
}

fn attempt(attempt: &store::Attempt) -> Attempt {
    Attempt {
        trigger: attempt.trigger,
        started_at: attempt.started_at.into(),
        micros: u64::try_from(attempt.outcome.duration.as_micros()).unwrap_or(u64::MAX),
        url: attempt.url.to_string(),
        headers: headers(&attempt.request_headers),
        error: attempt.error,
        result: match &attempt.outcome.result {
            Ok(response) => Outcome::Response {
                status: response.status,
                headers: headers(&response.headers),
                body: bytes(&response.body),
                truncated: response.truncated,
                body_error: response.body_error.as_deref().map(Into::into),
            },
            Err(failure) => Outcome::Failure { class: failure.class, detail: failure.detail.clone() },
        },
    }
}

fn headers(headers: &Headers) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn bytes(bytes: &[u8]) -> Bytes {
    match str::from_utf8(bytes) {
        Ok(text) => Bytes { text: text.into(), base64: false },
        Err(_) => Bytes { text: STANDARD.encode(bytes), base64: true },
    }
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("texts, numbers and lists are JSON")
}

/// JSON that was checked when it came in.
fn as_written(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap_or_default()
}

/// A part of a webhook's settings that no caller gives.
const IS_OPERATORS_PROXY: &str = "proxy.is_operators";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn what_the_config_file_stops_is_disabled_in_an_export() {
        let at = Timestamp::from_secs(5);
        let told = disabled(WebhookState::Removed { at, disabled: None }).map(|told| told.why);
        assert_eq!(told, Some(Why::ByHand));
        assert_eq!(disabled(WebhookState::Active), None);
    }
}

//! A file of Svix, as lines of an export.
//!
//! Svix documents an export of its own for event types (`POST /api/v1/environment/export`), and none of applications and endpoints. So the
//! file is that answer, with a member `applications`: what Svix's list of applications shows of each, and in its `endpoints` what the
//! list of endpoints shows, with the answers of `…/secret` and `…/headers` as `secret` and `headers`. Each part may be absent; members
//! that are of no use here are passed over.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::domain::id::{is_name, webhook_id};
use crate::domain::time::Timestamp;

/// The longest file.
pub(super) const BYTES_MAX: u64 = 256 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    #[serde(default)]
    event_types: Vec<EventType>,
    #[serde(default)]
    applications: Vec<Application>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventType {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    deprecated: bool,
    /// By version.
    #[serde(default)]
    schemas: Option<BTreeMap<String, Box<RawValue>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Application {
    id: String,
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default, alias = "rateLimit")]
    throttle_rate: Option<u32>,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    id: String,
    #[serde(default)]
    uid: Option<String>,
    url: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    event_types: Option<Vec<String>>,
    #[serde(default)]
    filter_types: Option<Vec<String>>,
    #[serde(default)]
    channels: Option<Vec<String>>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    throttle_rate: Option<u32>,
    #[serde(default)]
    rate_limit: Option<u32>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    secret: Option<Value>,
    #[serde(default)]
    headers: Option<Value>,
}

/// The lines that a file comes to, each with its place in the file.
pub(super) fn lines(text: &[u8], provider: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
    let Environment { event_types, applications } = serde_json::from_slice(text).map_err(|fault| {
        // The reader's message may quote a secret.
        format!("it cannot be read as JSON of that form, at line {} column {}", fault.line(), fault.column())
    })?;
    if event_types.is_empty() && applications.is_empty() {
        return Err("it has neither `eventTypes` nor `applications`".into());
    }
    let mut lines = Vec::new();
    let mut add = |place: String, line: Value| lines.push((place, line.to_string().into_bytes()));
    for (index, event_type) in event_types.iter().enumerate() {
        add(format!("/eventTypes/{index}"), of_event_type(event_type, provider));
    }
    for (index, application) in applications.iter().enumerate() {
        let tenant = tenant_id(application);
        add(format!("/applications/{index}"), of_application(application, provider, tenant));
        for (at, endpoint) in application.endpoints.iter().enumerate() {
            add(format!("/applications/{index}/endpoints/{at}"), of_endpoint(endpoint, provider, tenant));
        }
    }
    Ok(lines)
}

fn of_event_type(event_type: &EventType, provider: &str) -> Value {
    let newest = event_type.schemas.iter().flatten().max_by_key(|(version, _)| version.parse::<u32>().unwrap_or_default());
    let schema: Option<Value> = newest.and_then(|(_, schema)| serde_json::from_str(schema.get()).ok());
    let example = schema.as_ref().and_then(|schema| schema.get("examples")?.get(0).cloned()).unwrap_or_else(|| json!({}));
    let deprecated = event_type.deprecated || event_type.archived;
    let mut definition =
        json!({ "description": event_type.description, "example": example, "version": 0, "deprecated": deprecated });
    schema.into_iter().for_each(|schema| definition["schema"] = schema);
    json!({ "kind": "event_type", "provider": provider, "name": event_type.name, "definition": definition })
}

/// An application's own id for it, where that can be a tenant's, else Svix's.
fn tenant_id(application: &Application) -> &str {
    application.uid.as_deref().filter(|uid| is_name(uid)).unwrap_or(&application.id)
}

fn of_application(application: &Application, provider: &str, tenant: &str) -> Value {
    let uid = application.uid.as_deref().filter(|uid| *uid != tenant);
    let profile = json!({
        "environment": null,
        "name": application.name,
        "metadata": application.metadata,
        "uid": uid,
        "rate_limit": application.throttle_rate.map(a_second),
    });
    json!({ "kind": "tenant", "provider": provider, "id": tenant, "profile": profile })
}

fn of_endpoint(endpoint: &Endpoint, provider: &str, tenant: &str) -> Value {
    let made_at = endpoint.created_at.as_deref().and_then(|text| Timestamp::parse_rfc3339(text).ok()).unwrap_or_default();
    let secrets = secret(endpoint).map(|secret| json!([{ "secret": secret, "until": null }]));
    let disabled = endpoint.disabled.then(|| json!({ "at": made_at.rfc3339_micros(), "why": "by_hand" }));
    json!({
        "kind": "webhook",
        "id": id_of(endpoint, made_at),
        "provider": provider,
        "tenant": tenant,
        "owner": "operator",
        "created_at": made_at.rfc3339_micros(),
        "changed_at": made_at.rfc3339_micros(),
        "disabled": disabled,
        "failures": 0,
        "definition": definition(endpoint),
        "secrets": secrets,
    })
}

/// What `POST /v1/webhooks` takes, in the order in which an export has it, so that a second import finds it equal.
fn definition(endpoint: &Endpoint) -> Box<RawValue> {
    let events = endpoint.event_types.as_ref().or(endpoint.filter_types.as_ref()).filter(|types| !types.is_empty());
    let events = events.map_or_else(|| json!(["*"]), |types| json!(types));
    let headers = endpoint.headers.as_ref().map(|given| given.get("headers").unwrap_or(given));
    let headers = headers.filter(|headers| headers.as_object().is_some_and(|members| !members.is_empty()));
    let metadata = (!endpoint.metadata.is_empty()).then(|| json!(endpoint.metadata));
    let rate = endpoint.throttle_rate.or(endpoint.rate_limit).map(a_second);
    let mut channels = endpoint.channels.clone().unwrap_or_default();
    channels.sort_unstable();
    let members = [
        ("url", Some(json!(endpoint.url))),
        ("events", Some(events)),
        ("uid", endpoint.uid.as_ref().map(|uid| json!(uid))),
        ("description", (!endpoint.description.is_empty()).then(|| json!(endpoint.description))),
        ("channels", (!channels.is_empty()).then(|| json!(channels))),
        ("metadata", metadata),
        ("rate_limit", rate.map(Value::from)),
        ("headers", headers.cloned()),
    ];
    let members = members.into_iter().filter_map(|(name, value)| Some(format!("\"{name}\":{}", value?)));
    let text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    RawValue::from_string(text).unwrap_or_default()
}

/// The secret as text, or as the answer that shows it has it.
fn secret(endpoint: &Endpoint) -> Option<&str> {
    let given = endpoint.secret.as_ref()?;
    given.as_str().or_else(|| given.get("key")?.as_str())
}

/// An id that follows from Svix's, so that a second import finds the webhook of the first.
fn id_of(endpoint: &Endpoint, made_at: Timestamp) -> String {
    let hash = Sha256::digest(endpoint.id.as_bytes());
    let mut tail = [0; 10];
    tail.copy_from_slice(&hash[..10]);
    webhook_id(made_at, tail)
}

fn a_second(count: u32) -> String {
    format!("{count}/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(String, Value)> {
        let lines = lines(text.as_bytes(), "acme").expect("of Svix");
        lines.into_iter().map(|(place, line)| (place, serde_json::from_slice(&line).expect("JSON"))).collect()
    }

    #[test]
    fn applications_become_tenants_and_endpoints_webhooks() {
        let found = of(r#"{"applications":[{"id":"app_1","uid":"t-1","name":"One","throttleRate":5,"endpoints":[{
            "id":"ep_1","uid":"billing","url":"https://x/","createdAt":"2024-01-01T00:00:00Z","filterTypes":["a.b"],
            "channels":["c"],"disabled":true,"rateLimit":3,"secret":{"key":"whsec_x"},"headers":{"headers":{"A":"b"}},"version":1}]}]}"#);
        let [(place, tenant), (at, webhook)] = &found[..] else { panic!("{found:?}") };
        assert_eq!((place.as_str(), at.as_str()), ("/applications/0", "/applications/0/endpoints/0"));
        assert_eq!((&tenant["id"], &tenant["profile"]["rate_limit"]), (&json!("t-1"), &json!("5/s")));
        let definition =
            json!({"url":"https://x/","events":["a.b"],"uid":"billing","channels":["c"],"rate_limit":"3/s","headers":{"A":"b"}});
        assert_eq!(webhook["definition"], definition);
        assert_eq!((&webhook["secrets"][0]["secret"], &webhook["disabled"]["why"]), (&json!("whsec_x"), &json!("by_hand")));
        assert_eq!(of(r#"{"applications":[{"id":"app_1","uid":"a.b"}]}"#)[0].1["id"], "app_1", "no id of a tenant");
    }

    #[test]
    fn an_endpoint_has_the_same_id_at_each_import() {
        let text = r#"{"applications":[{"id":"app_1","endpoints":[{"id":"ep_1","url":"https://x/","createdAt":"2024-01-01T00:00:00Z"},{"id":"ep_2","url":"https://x/"}]}]}"#;
        let (first, second) = (of(text), of(text));
        assert_eq!(first[1].1["id"], second[1].1["id"]);
        assert_ne!(first[1].1["id"], first[2].1["id"]);
        assert_eq!(first[1].1["definition"]["events"], json!(["*"]), "without types it gets all");
    }

    #[test]
    fn an_event_type_has_its_newest_schema() {
        let found = of(
            r#"{"eventTypes":[{"name":"a","description":"d","archived":true,"schemas":{"9":{"type":"object"},"10":{"examples":[{"n":1}]}}}],"settings":{},"version":1}"#,
        );
        let definition = &found[0].1["definition"];
        assert_eq!((&definition["example"], &definition["deprecated"]), (&json!({"n": 1}), &json!(true)));
        assert_eq!(definition["schema"], json!({"examples": [{"n": 1}]}));
    }

    #[test]
    fn a_file_of_something_else_is_none_of_svix() {
        assert!(lines(b"{}", "acme").is_err_and(|why| why.contains("neither")));
        assert!(lines(br#"{"applications":[{"secret":"sesame"}]}"#, "acme").is_err_and(|why| !why.contains("sesame")));
    }
}

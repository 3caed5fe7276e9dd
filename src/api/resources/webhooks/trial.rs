//! Tests of webhooks: one delivery of a made-up event, sent also when disabled, waited for and shown whole.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::api::request::context::Context;
use crate::api::request::params::Form;
use crate::api::request::settings::Provider;
use crate::api::resources::deliveries::whole;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::api::response::wrong::Wrong;
use crate::domain::channels::Channels;
use crate::domain::dialect::Dialect;
use crate::domain::event::Attributes;
use crate::domain::id::{DeliveryKey, EndpointNo};
use crate::domain::json::quote;
use crate::domain::template::Facts;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::domain::webhook::pattern::{Pattern, check_type_name};
use crate::store::{Denied, Publication, TestRun};

/// `POST /v1/webhooks/{id}/test`
pub(crate) async fn test_one(context: &Context<'_>) -> Result<Reply, Problem> {
    let endpoint = context.webhook()?;
    let mut form = Form::read_or_empty(&context.body, &["event_type", "data"])?;
    let wish = Wish::take(&mut form);
    form.finish()?;
    one(context, &endpoint, &wish).await
}

/// `POST /v1/webhooks/test`: of one webhook, or of all that the caller's tenant has.
pub(crate) async fn test_all(context: &Context<'_>) -> Result<Reply, Problem> {
    let mut form = Form::read_or_empty(&context.body, &["webhook_id", "event_type", "data"])?;
    let (id, wish) = (form.text("webhook_id"), Wish::take(&mut form));
    form.finish()?;
    if let Some(id) = id {
        return one(context, &*context.webhook_by_id(&id)?, &wish).await;
    }
    let mut endpoints = context.api.store.webhooks(&context.caller.owned()?, EndpointNo::default(), AT_ONCE_MAX + 1);
    if endpoints.len() > AT_ONCE_MAX {
        return Err(Problem::field("/webhook_id", format!("is missing, and there are more than {AT_ONCE_MAX} webhooks to test")));
    }
    endpoints.retain(|endpoint| endpoint.is_sent(true));
    let mut runs = Vec::with_capacity(endpoints.len());
    for endpoint in &endpoints {
        runs.push((start(context, endpoint, &wish).await?, patience(endpoint, &context.dialect_of(endpoint))));
    }
    let mut keys = Vec::with_capacity(runs.len());
    for (run, patience) in runs {
        keys.push(finished(run, patience).await?);
    }
    whole::all(context, keys).await
}

async fn one(context: &Context<'_>, endpoint: &Endpoint, wish: &Wish<'_>) -> Result<Reply, Problem> {
    let key = ended(context, endpoint, wish).await?;
    whole::one(context, &context.dialect_of(endpoint), key).await
}

/// Tests the webhook that the path names, with an event of a type that it subscribes to. Returns the test's delivery.
pub(in crate::api) async fn tested(context: &Context<'_>) -> Result<DeliveryKey, Problem> {
    ended(context, &*context.webhook()?, &Wish { kind: None, data: None }).await
}

async fn ended(context: &Context<'_>, endpoint: &Endpoint, wish: &Wish<'_>) -> Result<DeliveryKey, Problem> {
    let run = start(context, endpoint, wish).await?;
    finished(run, patience(endpoint, &context.dialect_of(endpoint))).await
}

async fn start(context: &Context<'_>, endpoint: &Endpoint, wish: &Wish<'_>) -> Result<TestRun, Problem> {
    let publication = publication(endpoint, &context.provider_of(endpoint), wish, context.api.store.now())?;
    context.api.store.test(endpoint.no, publication).await.map_err(|denied| context.denied(endpoint, denied))
}

/// Waits for the outcome. A delivery whose outcome does not come in time is shown as it stands. When the store ends before the
/// outcome, the call is refused: nothing tells any more whether the test was sent.
async fn finished(run: TestRun, patience: Duration) -> Result<DeliveryKey, Problem> {
    match timeout(patience, run.done).await {
        Ok(Err(_)) => Err(Problem::Denied(Denied::Closing)),
        Ok(Ok(())) | Err(_) => Ok(run.key),
    }
}

/// An attempt, and some time for its turn.
fn patience(endpoint: &Endpoint, dialect: &Dialect) -> Duration {
    endpoint.effective(dialect).timeout + TURN
}

/// What the caller wants to see sent.
struct Wish<'a> {
    kind: Option<Cow<'a, str>>,
    data: Option<&'a str>,
}

impl<'a> Wish<'a> {
    fn take(form: &mut Form<'a>) -> Self {
        let kind = form.text("event_type");
        if let Some(Err(reason)) = kind.as_deref().map(check_type_name) {
            form.note("event_type", reason);
        }
        Self { kind, data: form.member("data").map(|field| field.raw) }
    }
}

/// An event of the wished type, or of one that the webhook subscribes to, with the catalogue's example as its data.
fn publication(endpoint: &Endpoint, provider: &Arc<Provider>, wish: &Wish<'_>, now: Timestamp) -> Result<Publication, Problem> {
    let dialect = &provider.dialect;
    let kind = wish.kind.as_deref().map_or_else(|| likely_kind(endpoint, dialect), Into::into);
    let example = dialect.event_type(&kind).map_or(NO_EXAMPLE, |known| &known.example);
    let data = dialect.body.data(wish.data.unwrap_or(example).as_bytes());
    let data = data.map_err(|refusal| Problem::field(refusal.inside("data").pointer, "cannot be printed in this dialect"))?;
    let (attributes, environment) = (attributes(&kind, dialect), provider.environment(Some(&endpoint.tenant)));
    let refusals = dialect.check(&Facts {
        event_id: "test",
        kind: &kind,
        time: now,
        version: &dialect.version(&kind, &attributes),
        attributes: &attributes,
        tenant: Some(&endpoint.tenant),
        environment: &environment,
        data: &data,
    });
    if !refusals.is_empty() {
        return Err(Problem::Fields(refusals.into_iter().map(|refusal| Wrong::new(refusal.pointer, refusal.reason)).collect()));
    }
    Ok(Publication {
        provider: provider.name.clone(),
        dialect: dialect.clone(),
        tenant: Some(endpoint.tenant.clone()),
        makes_tenant: false,
        environment,
        id: None,
        uid: None,
        data: Bytes::copy_from_slice(&data),
        kind,
        occurred_at: None,
        attributes,
        connection: None,
        channels: Channels::default(),
        idempotency_key: None,
        content: [0; 32],
        link: None,
        test: true,
        schema_errors: Box::default(),
        is_refused: false,
        by: None,
    })
}

/// The catalogue's first type that the webhook wants, else one made from what it subscribes to.
fn likely_kind(endpoint: &Endpoint, dialect: &Dialect) -> Box<str> {
    let mut known = dialect.event_types.iter().map(|known| &known.name);
    if let Some(wanted) = known.find(|name| endpoint.wants(name)) {
        return wanted.clone();
    }
    match endpoint.definition.events.first() {
        Some(Pattern::Exact(name)) => name.clone(),
        Some(Pattern::Under(prefix)) => format!("{prefix}test").into(),
        Some(Pattern::All) | None => KIND.into(),
    }
}

/// What the dialect requires, so that the event looks like a real one.
fn attributes(kind: &str, dialect: &Dialect) -> Attributes {
    let names = dialect.event.required_attributes.iter().chain(&dialect.event.type_attribute);
    let quoted = |text: &str| {
        let mut bytes = Vec::new();
        quote(text, &mut bytes);
        String::from_utf8_lossy(&bytes).into()
    };
    let value = |name: &str| if Some(name) == dialect.event.type_attribute.as_deref() { kind } else { "test" };
    names.map(|name| (name.to_string(), quoted(value(name)))).collect()
}

/// Webhooks that one call tests; more are a 422 that asks for one.
const AT_ONCE_MAX: usize = 50;

/// For a test's turn among the attempts of its endpoint.
const TURN: Duration = Duration::from_secs(15);

/// The type of a test for a webhook that wants everything, in a dialect without a catalogue.
const KIND: &str = "webhook.test";
const NO_EXAMPLE: &str = r#"{"test":true}"#;

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::api::request::settings::fixture::{dialect, provider};
    use crate::domain::dialect::EventType;
    use crate::domain::id::EventKey;
    use crate::domain::template::Numbers;
    use crate::domain::webhook::endpoint::fixture::endpoint;

    fn made(events: &[&str], dialect: Dialect, wish: Wish<'_>) -> Result<Publication, Problem> {
        publication(&endpoint(events), &provider("acme", dialect), &wish, Timestamp::EPOCH)
    }

    #[test]
    fn a_test_sends_what_the_webhook_wants() {
        let mut dialect = dialect(r#"{"data":$data}"#, Numbers::AsPublished);
        let event_type = |name: &str, example: &str| EventType {
            name: name.into(),
            description: "".into(),
            example: example.into(),
            ours: false,
            version: 0,
            ..EventType::default()
        };
        dialect.event_types = vec![event_type("a.b", "1"), event_type("c.d", "2")].into();
        let made = made(&["c.*"], dialect, Wish { kind: None, data: None }).unwrap();
        assert_eq!((&*made.kind, &made.data[..]), ("c.d", &b"2"[..]));
        assert_eq!((made.tenant.as_deref(), &*made.environment), (Some("t1"), "Sandbox"));
    }

    #[test]
    fn without_a_catalogue_the_type_comes_from_the_subscription() {
        let plain = || dialect(r#"{"data":$data}"#, Numbers::AsPublished);
        for (events, kind) in [(&["x.y"][..], "x.y"), (&["x.*"], "x.test"), (&["*"], "webhook.test")] {
            assert_eq!(&*made(events, plain(), Wish { kind: None, data: None }).unwrap().kind, kind);
        }
    }

    #[test]
    fn required_attributes_are_there() {
        let mut dialect = dialect(r#"{"job":$event.attributes.job,"data":$data}"#, Numbers::AsPublished);
        dialect.event.required_attributes = vec!["job".into(), "code".into()];
        dialect.event.type_attribute = Some("code".into());
        let made = made(&["*"], dialect, Wish { kind: Some("Pay\"".into()), data: Some("null") }).unwrap();
        assert_eq!(&*made.attributes["job"], "\"test\"");
        assert_eq!(&*made.attributes["code"], "\"Pay\\\"\"");
    }

    #[tokio::test]
    async fn a_test_whose_store_ended_is_not_shown_as_made() {
        let key = DeliveryKey { event: EventKey(1), endpoint: EndpointNo(1) };
        let run = || {
            let (to, done) = oneshot::channel();
            (to, finished(TestRun { key, done }, Duration::from_millis(5)))
        };
        let (ended, answer) = run();
        drop(ended);
        assert!(matches!(answer.await, Err(Problem::Denied(Denied::Closing))));
        let (to, answer) = run();
        to.send(()).unwrap();
        assert_eq!(answer.await.ok(), Some(key));
        let (_late, answer) = run();
        assert_eq!(answer.await.ok(), Some(key), "it is shown as it stands");
    }
}

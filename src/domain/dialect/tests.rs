use std::time::Duration;

use super::*;
use crate::domain::delivery::retry::Policy;
use crate::domain::signature::{Key, Signed, Value};
use crate::domain::template::{Numbers, Precision};
use crate::domain::time::Timestamp;

fn header(name: &str, value: &str) -> Header {
    let value = HeaderValue::parse(value, Precision::Seconds).expect("valid");
    Header { name: HeaderName::parse(name).expect("valid"), value }
}

fn event_type(name: &str, version: i64) -> EventType {
    EventType { name: name.into(), description: "".into(), example: "{}".into(), ours: true, version, ..EventType::default() }
}

/// A dialect that uses every rule.
pub(crate) fn dialect() -> Dialect {
    Dialect {
        name: "acme".into(),
        description: "".into(),
        api: Api {
            wrap: "".into(),
            webhook: vec![WebhookField::Id],
            secret: SecretPolicy::Generated,
            secret_format: Format::parse("whsec_{base62:32}").expect("valid"),
            max_webhooks_per_key: 0,
            unique_name: false,
            shows_removed: true,
            plain_http: false,
        },
        event: EventRules {
            required_attributes: vec!["job".into(), "code".into()],
            type_attribute: Some("code".into()),
            link_attribute: Some("link".into()),
            version_attribute: Some("version".into()),
            catalogue: Openness::Closed,
            ..EventRules::default()
        },
        body: Body::parse("{\"v\":$event.version,\"data\":$data}", Numbers::AsPublished, Precision::Seconds).expect("valid"),
        unique_time: false,
        headers: vec![header("X-Type", "$event.type"), header("a-delivery", "$delivery.id/$attempt.number")],
        signature: Some(Signature {
            header: "X-Signature".into(),
            value: Value::parse("{hex}").expect("valid"),
            signed: Signed::parse("{id}.{timestamp}.{body}").expect("valid"),
            key: Key::Text,
            overlap: false,
        }),
        delivery: Delivery {
            success: Success::Any2xx,
            timeout: Duration::from_secs(30),
            retry_after: false,
            gone: false,
            pin_url: false,
            one_slot_after: vec![502],
        },
        retry: Retry { policy: Policy::Schedule(Vec::new()), jitter: 0.0 },
        disable: Disable { consecutive: 10, count: Counted::Deliveries },
        event_types: vec![event_type("job.done", 4), event_type("job.failed", 0)].into(),
    }
}

fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    pairs.iter().map(|(name, raw)| ((*name).to_owned(), (*raw).into())).collect()
}

fn facts<'a>(kind: &'a str, attributes: &'a Attributes) -> Facts<'a> {
    let time = Timestamp::from_secs(1_700_000_000);
    Facts { event_id: "evt_1", kind, time, version: "0", attributes, tenant: Some("t"), environment: "Sandbox", data: b"1" }
}

fn pointers(dialect: &Dialect, facts: &Facts<'_>) -> Vec<String> {
    dialect.check(facts).into_iter().map(|refusal| refusal.pointer).collect()
}

#[test]
fn headers_stand_in_the_files_order_with_the_signature_last() {
    let given = attributes(&[]);
    let secret = Secret::new("k");
    let attempt = AttemptFacts {
        facts: facts("job.done", &given),
        delivery_id: "dlv_1",
        attempt_unix: 1_700_000_000,
        attempt_number: 3,
        secrets: &[&secret],
        body: b"{}",
    };
    let dialect = dialect();
    let headers = dialect.headers(&attempt);
    let own = [("X-Type", "job.done"), ("a-delivery", "dlv_1/3")];
    let signature = dialect.signature.as_ref().expect("there").sign(&[&secret], "evt_1", 1_700_000_000, b"{}");
    let signed = own.into_iter().chain([("X-Signature", &*signature)]).collect();
    assert_eq!(headers, signed);
    let unsigned = Dialect { signature: None, ..dialect.clone() };
    assert_eq!(unsigned.headers(&attempt), own.into_iter().collect());
}

#[test]
fn a_success_is_what_the_dialect_says() {
    let any = dialect();
    assert!(any.is_success(200) && any.is_success(299) && !any.is_success(300) && !any.is_success(199));
    let delivery = Delivery { success: Success::Codes(vec![200]), ..any.delivery.clone() };
    let one = Dialect { delivery, ..any };
    assert!(one.is_success(200) && !one.is_success(204));
    assert!(one.leaves_one_slot(502) && !one.leaves_one_slot(503));
}

#[test]
fn an_event_that_brings_everything_is_taken() {
    let given = attributes(&[("job", "7"), ("code", "\"job.d\\u006fne\""), ("link", "\"a\""), ("version", "-2")]);
    assert_eq!(dialect().check(&facts("job.done", &given)), []);
}

#[test]
fn everything_that_is_wrong_with_an_event_is_said_at_once() {
    let given = attributes(&[("job", "null"), ("code", "\"other\""), ("link", "1"), ("version", "\"2\"")]);
    let expected = ["/attributes/job", "/attributes/code", "/attributes/link", "/attributes/version", "/type"];
    assert_eq!(pointers(&dialect(), &facts("é", &given)), expected);
    assert_eq!(pointers(&dialect(), &facts("job.done", &attributes(&[("job", "1")]))), ["/attributes/code"]);
}

#[test]
fn an_event_for_all_tenants_needs_a_body_that_names_none() {
    let given = attributes(&[("job", "7"), ("code", "\"job.done\"")]);
    let everyone = Facts { tenant: None, ..facts("job.done", &given) };
    assert_eq!(dialect().check(&everyone), []);
    let body = Body::parse("[$tenant.id]", Numbers::AsPublished, Precision::Seconds).expect("valid");
    assert_eq!(pointers(&Dialect { body, ..dialect() }, &everyone), ["/tenant"]);
}

#[test]
fn an_unknown_type_passes_unless_the_catalogue_refuses() {
    let given = attributes(&[("job", "7"), ("code", "\"job.doen\"")]);
    assert_eq!(dialect().check(&facts("job.doen", &given)), []);
    let event = EventRules { unknown_types: UnknownTypes::Refuse, ..dialect().event };
    let refusals = Dialect { event, ..dialect() }.check(&facts("job.doen", &given));
    assert_eq!(refusals, [Refusal::new("/type", "there is no event type `job.doen`; did you mean `job.done`?")]);
}

#[test]
fn a_subscription_names_types_of_the_catalogue() {
    let check = |dialect: &Dialect, text: &str| dialect.check_pattern(&Pattern::parse(text).expect("a pattern"));
    for text in ["job.done", "job.*", "other.*", "*"] {
        assert_eq!(check(&dialect(), text), Ok(()), "{text}");
    }
    let unknown = check(&dialect(), "job.faild").expect_err("unknown");
    assert_eq!(unknown.nearest.as_deref(), Some("job.failed"));
    let event = EventRules { catalogue: Openness::Open, ..dialect().event };
    assert_eq!(check(&Dialect { event, ..dialect() }, "anything"), Ok(()));
}

#[test]
fn a_provider_opens_or_closes_the_catalogue() {
    let lost = Pattern::parse("job.lost").expect("a pattern");
    let given = attributes(&[("job", "7"), ("code", "\"job.lost\"")]);
    for (said, taken) in [(UnknownTypes::Pass, true), (UnknownTypes::Refuse, false)] {
        let dialect = dialect().with_unknown_types(said);
        assert_eq!(dialect.check_pattern(&lost).is_ok(), taken, "{said:?}");
        assert_eq!(dialect.check(&facts("job.lost", &given)).is_empty(), taken, "{said:?}");
    }
}

#[test]
fn the_version_is_the_publishers_or_the_catalogues_or_0() {
    let dialect = dialect();
    assert_eq!(dialect.version("job.done", &attributes(&[("version", "9")])), "9");
    assert_eq!(dialect.version("job.done", &attributes(&[])), "4");
    assert_eq!(dialect.version("unknown", &attributes(&[])), "0");
}

#[test]
fn the_link_attribute_names_the_webhook() {
    assert_eq!(dialect().link(&attributes(&[("link", "\"n\\u00e4me\"")])).as_deref(), Some("näme"));
    assert_eq!(dialect().link(&attributes(&[])), None);
}

#[test]
fn a_secret_is_taken_only_where_the_dialect_takes_one() {
    assert_eq!(dialect().accept_secret("mine"), Err(Reason::NotTaken));
    let api = Api { secret: SecretPolicy::GivenOrGenerated, ..dialect().api };
    assert_eq!(Dialect { api, ..dialect() }.accept_secret("mine"), Ok(Secret::new("mine")));
}

#[test]
fn credentials_are_masked_in_the_log_and_nothing_else() {
    let sent: Headers =
        [("X-Type", "a"), ("x-api-key", "0123456789abcdef"), ("X-Signature", "0123456789abcdef")].into_iter().collect();
    assert_eq!(dialect().loggable(sent.clone()), sent, "the dialect sends no credential");
    let headers = vec![header("X-Type", "$event.type"), header("X-Api-Key", "0123456789abcdef")];
    let masked = Dialect { headers, ..dialect() }.loggable(sent);
    let shown = [("X-Type", "a"), ("x-api-key", "012…(16)"), ("X-Signature", "0123456789abcdef")];
    assert_eq!(masked, shown.into_iter().collect());
}

#[test]
fn the_members_of_a_webhook_have_different_names() {
    let mut names: Vec<_> = WebhookField::ALL.iter().map(|field| field.as_str()).collect();
    assert_eq!((names[0], names[7], names[13]), ("id", "is_active", "last_error"));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), WebhookField::ALL.len());
}

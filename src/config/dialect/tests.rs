use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::fixture::can_be_pasted;
use crate::config::source::document::parse;
use crate::domain::delivery::retry::{Policy, Retry};
use crate::domain::dialect::{Counted, Openness, Success, UnknownTypes, WebhookField};
use crate::domain::event::Attributes;
use crate::domain::json;
use crate::domain::template::{AttemptFacts, Facts};
use crate::domain::time::Timestamp;
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::secret::Secret;

/// The `[dialect]` table of a config file, read, and what is wrong with it.
fn read(text: &str) -> (BTreeMap<String, Arc<Dialect>>, Faults) {
    let mut faults = Faults::default();
    let mut table = parse(Path::new("a.toml"), text, &mut faults).unwrap_or_default();
    let own = table.table("dialect", &mut faults).map_or_else(Vec::new, |mut table| table.rest());
    (read_all(own, &mut faults), faults)
}

fn right(text: &str) -> BTreeMap<String, Arc<Dialect>> {
    let (dialects, faults) = read(text);
    assert!(faults.is_empty(), "{faults}");
    dialects
}

fn named(name: &str) -> Arc<Dialect> {
    Arc::clone(right("").get(name).unwrap_or_else(|| panic!("{name} is built in")))
}

/// A dialect from its own file, as `effective` prints it.
fn read_back(name: &str, text: &str) -> Dialect {
    let mut faults = Faults::default();
    let mut sources = Sources::default();
    sources.add(name, parse(Path::new("back.toml"), text, &mut faults).unwrap_or_default());
    let dialect = read_one(name, &sources, &mut faults);
    dialect.unwrap_or_else(|| panic!("{faults}\n{text}"))
}

const TIME: Timestamp = Timestamp::from_micros(1_776_695_520_000_001);

fn facts<'a>(kind: &'a str, attributes: &'a Attributes, data: &'a [u8]) -> Facts<'a> {
    Facts {
        event_id: "evt_abc123",
        kind,
        time: TIME,
        version: "0",
        attributes,
        tenant: Some("tenant_xyz"),
        environment: "Production",
        data,
    }
}

fn body(dialect: &Dialect, kind: &str, attributes: &[(&str, &str)]) -> String {
    let attributes = attributes.iter().map(|(name, raw)| ((*name).to_owned(), (*raw).into())).collect();
    let example = &dialect.event_type(kind).expect("in the catalogue").example;
    let facts = facts(kind, &attributes, example.as_bytes());
    assert_eq!(dialect.check(&facts), []);
    String::from_utf8(dialect.body.render(&facts).bytes).expect("UTF-8")
}

/// Names and values of an attempt's headers, signed with the text `k`.
fn headers(dialect: &Dialect, kind: &str) -> Vec<(String, String)> {
    let attributes = Attributes::new();
    let secret = Secret::new("k");
    let facts = facts(kind, &attributes, b"{}");
    let attempt = AttemptFacts {
        facts,
        delivery_id: "dlv_1",
        attempt_unix: 1_700_000_000,
        attempt_number: 2,
        secrets: &[&secret],
        body: b"{\"a\":1}",
    };
    dialect.headers(&attempt).iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn schedule(dialect: &Dialect) -> Vec<u64> {
    (0..dialect.retry.retries()).map(|retry| dialect.retry.delay(retry, 0.5, Some(0.5)).expect("a retry").as_secs()).collect()
}

#[test]
fn six_dialects_are_built_in_each_under_its_own_name() {
    let names: Vec<_> = right("").into_keys().collect();
    assert_eq!(names, ["aioka", "dcisionai", "decisio", "deck", "resistant", "standard"]);
    assert!(right("").iter().all(|(name, dialect)| **name == *dialect.name && !dialect.description.is_empty()));
}

#[test]
fn catalogues_are_complete_and_their_examples_json() {
    for (name, count) in [("aioka", 5), ("dcisionai", 16), ("decisio", 7), ("deck", 1), ("resistant", 1), ("standard", 0)] {
        let dialect = named(name);
        assert_eq!(dialect.event_types.len(), count, "{name}");
        for known in dialect.event_types.iter() {
            assert!(!known.description.is_empty() && json::fields(known.example.as_bytes()).is_ok(), "{name} {}", known.name);
            assert!(dialect.check_pattern(&Pattern::Exact(known.name.clone())).is_ok());
        }
    }
}

#[test]
fn decisio_speaks_as_its_document_says() {
    let decisio = named("decisio");
    let expected = concat!(
        r#"{"id":"evt_abc123","type":"decision.created","created_at":"2026-04-20T14:32:00Z","tenant_id":"tenant_xyz","#,
        r#""data":{"id":"dec_456","agent":"astra","type":"price_increase","sku":"ELEC-HDMI-001","#,
        r#""recommendation":{"current_price":599,"new_price":649,"expected_impact":"+4500"},"confidence":0.94,"status":"pending"}}"#
    );
    assert_eq!(body(&decisio, "decision.created", &[]), expected);
    let signature = "sha256=c3a92ff9e274cdcce27a58c15a78ec6dcbbdbd0038a87e7a11baef2028fd8bff";
    let expected = [
        ("X-Decisio-Event", "decision.created"),
        ("X-Decisio-Timestamp", "1776695520"),
        ("X-Decisio-Delivery", "dlv_1"),
        ("X-Decisio-Signature", signature),
    ];
    assert_eq!(headers(&decisio, "decision.created"), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(schedule(&decisio), [60, 300, 1_800, 7_200, 86_400]);
    assert_eq!(decisio.delivery.timeout, Duration::from_secs(30));
    assert!(!decisio.api.plain_http && !decisio.delivery.gone && !decisio.delivery.retry_after);
}

#[test]
fn dcisionai_speaks_as_its_document_says() {
    let dcisionai = named("dcisionai");
    let expected = concat!(
        r#"{"event":"project.created","data":{"id":"proj_1234567890","name":"My Project","description":"Project description","#,
        r#""created_at":"2023-01-01T00:00:00Z","updated_at":"2023-01-01T00:00:00Z"}}"#
    );
    assert_eq!(body(&dcisionai, "project.created", &[]), expected);
    let signature = "1b6ad1bc9bf48c52ce01939866d5877c6cc4e87ddad27e16673cb8c4964394a3";
    let expected = [("X-DcisionAI-Timestamp", "1700000000"), ("X-DcisionAI-Signature", signature)];
    assert_eq!(headers(&dcisionai, "x"), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(schedule(&dcisionai), [1, 2]);
    assert_eq!(dcisionai.body.data(b"{ \"b\": 1.0, \"1\": 2 }").expect("exact").as_ref(), br#"{"1":2,"b":1}"#);
    assert_eq!(&*dcisionai.api.wrap, "data");
    assert!(dcisionai.accept_secret("webhook_secret_1234567890").is_ok());
    assert!(dcisionai.event.note.contains("100 KB"));
}

#[test]
fn aioka_speaks_as_its_document_says() {
    let aioka = named("aioka");
    let expected = concat!(
        r#"{"event":"regime.change","timestamp":"2026-04-20T14:32:00.000001Z","#,
        r#""data":{"from_regime":"ACCUMULATION","to_regime":"BULL_TRENDING","confidence":0.83}}"#
    );
    assert_eq!(body(&aioka, "regime.change", &[]), expected);
    let signature = "c3a92ff9e274cdcce27a58c15a78ec6dcbbdbd0038a87e7a11baef2028fd8bff".to_owned();
    assert_eq!(headers(&aioka, "x"), [("X-AIOKA-Signature".to_owned(), signature)]);
    assert_eq!(schedule(&aioka), [5, 25, 125]);
    assert_eq!(aioka.api.max_webhooks_per_key, 5);
    assert!(aioka.unique_time && aioka.api.webhook.contains(&WebhookField::IsActive) && !aioka.body.names_tenant());
    assert!(aioka.accept_secret("mine").is_err());
}

#[test]
fn deck_speaks_as_its_document_says() {
    let deck = named("deck");
    let guid = ("job_guid", "\"a4e67899-9b8a-481c-h6fe-ee3c6399c0e2\"");
    let expected = concat!(
        r#"{"job_guid":"a4e67899-9b8a-481c-h6fe-ee3c6399c0e2","#,
        r#""output":{"success":true,"message":"","service_fee":2.30,"confirmation_id":"767945634509"},"#,
        r#""webhook_type":"Job","webhook_code":"MakePayment","environment":"Production"}"#
    );
    assert_eq!(body(&deck, "MakePayment", &[guid, ("webhook_code", "\"MakePayment\"")]), expected);
    assert_eq!(headers(&deck, "MakePayment"), []);
    assert!(deck.is_success(200) && !deck.is_success(204));
    let policy = Policy::DecorrelatedJitter { median: Duration::from_secs(30), retries: 3 };
    assert_eq!(deck.retry, Retry { policy, jitter: 0.0 });
    assert!(deck.delivery.pin_url && deck.api.unique_name && deck.api.plain_http && deck.signature.is_none());
    let none = Attributes::new();
    assert_eq!(deck.check(&facts("MakePayment", &none, b"{}")).len(), 2);
}

#[test]
fn resistant_speaks_as_its_document_says() {
    let (resistant, standard) = (named("resistant"), named("standard"));
    let expected = concat!(
        r#"{"type":"documents.adaptive_decision.finished","version":0,"tenant_id":"tenant_xyz","payload":{"id":"submission_id","#,
        r#""status":"SUCCESS","analysis_time":"string","query_id":"string","result_url":"/v2/submission/submission_id/decision"}}"#
    );
    assert_eq!(body(&resistant, "documents.adaptive_decision.finished", &[]), expected);
    let names: Vec<_> = headers(&resistant, "x").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["webhook-id", "webhook-timestamp", "webhook-signature"]);
    assert!(!resistant.api.plain_http && standard.api.plain_http);
    assert_eq!(
        (&resistant.signature, &resistant.retry, &resistant.delivery),
        (&standard.signature, &standard.retry, &standard.delivery)
    );
    let bad = Attributes::from([("version".to_owned(), "1.5".into())]);
    assert_eq!(resistant.check(&facts("x", &bad, b"{}")).len(), 1);
}

#[test]
fn standard_is_standard_webhooks() {
    let standard = named("standard");
    let attributes = Attributes::new();
    let bytes = standard.body.render(&facts("a.b", &attributes, b"{\"x\":1}")).bytes;
    assert_eq!(bytes, br#"{"type":"a.b","timestamp":"2026-04-20T14:32:00.000001Z","data":{"x":1}}"#);
    assert_eq!(schedule(&standard), [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000]);
    assert!((standard.retry.jitter - 0.2).abs() < f64::EPSILON);
    assert_eq!(standard.delivery.timeout, Duration::from_secs(15));
    assert!(
        standard.delivery.gone && standard.delivery.retry_after && standard.leaves_one_slot(502) && standard.leaves_one_slot(504)
    );
    assert!(standard.accept_secret("short").is_err());
}

#[test]
fn standard_signs_as_the_standardwebhooks_crate_does() {
    let standard = named("standard");
    let secret = standard.api.secret_format.generate(&[0xa5; crate::domain::webhook::secret::RANDOM_BYTES]);
    let old = Secret::new("whsec_GB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5");
    let attributes = Attributes::new();
    let facts = facts("a.b", &attributes, b"{\"x\":1}");
    let body = standard.body.render(&facts).bytes;
    let at = 1_700_000_000;
    let secrets = [&secret, &old];
    let attempt =
        AttemptFacts { facts, delivery_id: "dlv_1", attempt_unix: at, attempt_number: 1, secrets: &secrets, body: &body };
    let pairs = standard.headers(&attempt);
    let signatures = pairs.get("webhook-signature").expect("signed");
    for secret in secrets {
        let theirs = standardwebhooks::Webhook::new(secret.expose()).expect("a secret");
        let expected = theirs.sign(facts.event_id, 1_700_000_000, &body).expect("signed");
        assert!(signatures.split(' ').any(|signature| signature == expected), "{signatures} lacks {expected}");
    }
}

#[test]
fn every_dialect_disables_after_ten_failed_deliveries() {
    for dialect in right("").values() {
        assert_eq!((dialect.disable.consecutive, dialect.disable.count), (10, Counted::Deliveries), "{}", dialect.name);
    }
}

#[test]
fn a_given_key_replaces_and_the_rest_is_copied() {
    let dialects = right(
        "[dialect.acme]\nextends = \"decisio\"\nheaders = { \"X-Acme-Event\" = \"$event.type\" }\n\
         signature = { header = \"X-Acme-Signature\" }\ndelivery = { success = [200, 202] }\nretry = { schedule = [\"1s\"] }\n",
    );
    let (acme, decisio) = (&dialects["acme"], &dialects["decisio"]);
    let names: Vec<_> = headers(acme, "x").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["X-Acme-Event", "X-Acme-Signature"]);
    let of = |dialect: &Dialect| dialect.signature.clone().map(|signature| (signature.value, signature.signed, signature.key));
    assert_eq!(of(acme), of(decisio));
    assert_eq!((acme.delivery.timeout, &acme.delivery.success), (decisio.delivery.timeout, &Success::Codes(vec![200, 202])));
    assert_eq!(schedule(acme), [1]);
    assert_eq!((&acme.body, &acme.event_types, &*acme.name), (&decisio.body, &decisio.event_types, "acme"));
}

#[test]
fn a_catalogue_is_replaced_whole() {
    let dialects = right(
        "[dialect.a]\nextends = \"decisio\"\n[[dialect.a.event_type]]\nname = \"x.y\"\n[dialect.b]\nextends = \"a\"\nevent_type = []\n",
    );
    assert_eq!(dialects["a"].event_types.len(), 1);
    assert!(dialects["b"].event_types.is_empty());
}

#[test]
fn a_signature_can_be_taken_away() {
    assert!(right("[dialect.a]\nextends = \"decisio\"\nsignature = { header = \"\" }\n")["a"].signature.is_none());
}

#[test]
fn a_dialect_may_extend_one_that_extends_another_wherever_it_stands() {
    let dialects = right("[dialect.c]\nextends = \"b\"\n[dialect.b]\nextends = \"resistant\"\ndelivery = { timeout = \"1s\" }\n");
    assert_eq!(dialects["c"].delivery.timeout, Duration::from_secs(1));
    assert_eq!(dialects["c"].body, dialects["resistant"].body);
}

#[test]
fn a_catalogue_is_closed_where_types_are_listed_unless_the_file_opens_it() {
    let mine = "[dialect.mine]\nextends = \"standard\"\nevent_type = [{ name = \"a\" }]\n";
    let jobs = "[dialect.jobs]\nextends = \"deck\"\nevent_type = [{ name = \"a\" }]\n";
    let none = "[dialect.none]\nextends = \"aioka\"\nevent_type = []\n";
    let dialects = right(&[mine, jobs, none].concat());
    let closed: Vec<_> =
        dialects.iter().filter(|(_, one)| one.event.catalogue == Openness::Closed).map(|(name, _)| &**name).collect();
    assert_eq!(closed, ["aioka", "dcisionai", "decisio", "mine", "resistant"]);
}

#[test]
fn a_dialect_without_a_base_needs_a_body_and_retries() {
    let dialects = right("[dialect.a]\nbody = { template = \"$data\" }\nretry = { schedule = [] }\n");
    assert_eq!((dialects["a"].retry.retries(), dialects["a"].disable.consecutive), (0, 10));
    assert_eq!(dialects["a"].event.unknown_types, UnknownTypes::Pass);
    let (_, faults) = read("[dialect.a]\n");
    let printed = faults.to_string();
    assert!(
        printed.contains("`template` is missing in `[dialect.a.body]`   a.toml:1:1")
            && printed.contains("`retry` is missing here"),
        "{printed}"
    );
}

#[test]
fn one_bad_dialect_leaves_the_others() {
    let (dialects, faults) =
        read("[dialect.a]\nextends = \"standard\"\nbody = { template = \"{\" }\n[dialect.b]\nextends = \"standard\"\n");
    assert_eq!(faults.len(), 1, "{faults}");
    assert!(dialects.contains_key("b") && !dialects.contains_key("a") && dialects.len() == 7);
}

#[test]
fn every_fault_of_a_dialect_is_told_with_its_place() {
    let (_, faults) = read(
        "[dialect.a]\nextends = \"standard\"\ncolour = 1\n[dialect.a.delivery]\ntimout = \"10s\"\nsuccess = \"3xx\"\n\
         [dialect.a.retry]\nschedule = [\"1s\", \"x\"]\nexponential = { first = \"1s\" }\n",
    );
    let places: Vec<_> = faults.iter().map(|fault| fault.location.to_string()).collect();
    let printed = faults.to_string();
    for location in ["a.toml:3:1", "a.toml:5:1", "a.toml:6:11", "a.toml:7:1", "a.toml:8:19", "a.toml:9:15"] {
        assert!(places.iter().any(|known| known == location), "{location}: {printed}");
    }
    assert!(printed.contains("try: timeout = \"10s\""), "{printed}");
}

/// A line of a dialect that extends `standard`, and what the one fault says.
#[test]
fn each_kind_of_fault_says_what_is_wrong() {
    for (line, message) in [
        ("extends = \"standrad\"", "try: extends = \"standard\""),
        ("extends = 5", "`extends` is an integer, not a string"),
        ("name = \"b\"", "this dialect's name is `a`"),
        ("body = { template = '{\"a\":$event.idd}' }", "unknown `$event.idd`"),
        ("body = { template = '{\"a\":\"$event.id\"}' }", "a slot brings its own quotes"),
        ("body = { template = '{\"a\":$data' }", "not JSON"),
        ("body = { numbers = \"exact\" }", "there are \"as-published\", \"ecmascript\""),
        ("body = { numbers = \"javascript\" }", "try: numbers = \"ecmascript\""),
        ("body = { time = \"seconds\", unique_time = true }", "counts in microseconds"),
        ("headers = { Host = \"x\" }", "the header `Host` cannot be sent: this header belongs to HTTP"),
        ("headers = { \"a b\" = \"x\" }", "a header's name is 1 to 128"),
        ("headers = { Webhook-Signature = \"x\" }", "the header `Webhook-Signature` is already sent"),
        ("headers = { a = \"x\", A = \"y\" }", "the header `A` is already sent"),
        ("headers = { a = \"$data\" }", "unknown `$data`"),
        ("headers = { a = \"é\" }", "a character that no header holds"),
        ("headers = { a = 1 }", "`a` is an integer, not a string"),
        ("signature = { header = \"Content-Length\" }", "the header `Content-Length` cannot be sent"),
        ("signature = { value = \"{md5}\" }", "neither `{hex}` nor `{base64}`"),
        ("signature = { signed = \"{id}\" }", "it leaves `{body}` unsigned"),
        ("headers = { X-Id = \"$event.id\" }", "signs `{timestamp}`, and no header carries it"),
        ("headers = { X-Time = \"$attempt.unix\" }", "signs `{id}`, and no header carries it"),
        ("signature = { key = \"hex\" }", "which is not known here"),
        ("api = { secret_format = \"whsec_{base62:32}\" }", "this dialect's secrets are not base64"),
        (
            "signature = { header = \"webhook-id\" }",
            "the header `webhook-id` is already sent, by another line or by the signature (built-in dialect standard:25:1)",
        ),
        ("api = { secret_format = \"{base64:8}\" }", "24 to 64 bytes in base64"),
        ("api = { webhook = [\"id\", \"urls\"] }", "try: \"url\""),
        ("api = { webhook = [\"id\", \"id\"] }", "names `id` twice"),
        ("api = { schemes = [\"ftp\"] }", "which is not known here"),
        ("api = { max_webhooks_per_key = -1 }", "outside 0 to 1000000"),
        ("event = { link_attribute = \"link\" }", "webhooks need no name here"),
        ("delivery = { success = [] }", "is neither \"2xx\" nor a list of codes"),
        ("delivery = { success = [99] }", "no status from 200 to 599"),
        ("delivery = { timeout = 30 }", "try: timeout = \"30s\""),
        ("delivery = { timeout = \"1h\" }", "outside 10ms to 5m"),
        ("retry = [\"1s\"]", "try: [dialect.a.retry]"),
        ("retry = {}", "needs one of schedule, exponential and decorrelated_jitter"),
        ("retry = { schedule = [\"90d\"] }", "outside 1ms to 30d"),
        ("retry = { exponential = { first = \"1s\", factor = 0.5, retries = 1 } }", "outside 1 to 1000"),
        ("retry = { exponential = { first = \"1s\", factor = 2 } }", "`retries` is missing here"),
        (
            "retry = { decorrelated_jitter = { median = \"1s\", retries = 1 }, jitter = 0.1 }",
            "decorrelated_jitter has jitter of its own",
        ),
        ("disable = { count = \"events\" }", "there are \"deliveries\", \"attempts\""),
        ("event_type = [{ name = \"a b\" }]", "no white space"),
        ("event_type = [{}]", "`name` is missing here"),
        ("event_type = [{ name = \"a\" }, { name = \"a\" }]", "the event type `a` is there twice"),
        ("event_type = [{ name = \"a\", example = \"{\" }]", "cannot be used"),
        ("event_type = [{ name = \"a\", version = 1.5 }]", "not an integer"),
        ("timeout = \"1s\"", "unknown key `timeout`"),
    ] {
        let extends = if line.starts_with("extends") { "" } else { "extends = \"standard\"\n" };
        let (dialects, faults) = read(&format!("[dialect.a]\n{extends}{line}\n"));
        let printed = faults.to_string();
        assert!(printed.contains(message) && printed.contains("a.toml:"), "{line}\n{printed}");
        assert!(faults.len() <= 3, "{line}\n{printed}");
        assert!(faults.iter().all(|fault| can_be_pasted(&fault.remedy)), "{line}\n{printed}");
        assert!(!dialects.contains_key("a"), "{line}");
    }
}

#[test]
fn a_circle_is_refused_with_its_way() {
    let (dialects, faults) = read("[dialect.a]\nextends = \"b\"\n[dialect.b]\nextends = \"c\"\n[dialect.c]\nextends = \"b\"\n");
    assert!(faults.to_string().contains("`extends` goes in a circle: b → c → b"), "{faults}");
    assert_eq!(dialects.len(), 6);
    let (_, faults) = read("[dialect.a]\nextends = \"a\"\n");
    assert!(faults.to_string().contains("a → a   a.toml:2:11"), "{faults}");
}

#[test]
fn a_built_in_dialect_stays_as_it_is() {
    let (dialects, faults) = read("[dialect.deck]\nextends = \"standard\"\n[dialect.\"a b\"]\n");
    let printed = faults.to_string();
    assert!(
        printed.contains("the dialect `deck` is built in") && printed.contains("`a b` cannot be a dialect's name"),
        "{printed}"
    );
    assert!(dialects["deck"].delivery.pin_url);
}

#[test]
fn an_effective_file_says_everything_in_plain_words() {
    let dialects = right("[dialect.a]\nextends = \"deck\"\nheaders = { \"X.Job\" = \"$event.type\" }\n");
    let printed = effective(&dialects["a"]);
    for line in [
        "name = \"a\"",
        "schemes = [\"https\", \"http\"]",
        "\"X.Job\" = \"$event.type\"",
        "success = [200]",
        "timeout = \"10s\"",
        "decorrelated_jitter = { median = \"30s\", retries = 3 }",
        "example = '{\"success\":true,\"message\":\"\",\"service_fee\":2.30,\"confirmation_id\":\"767945634509\"}'",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
    assert!(!printed.contains("extends") && !printed.contains("[signature]"), "{printed}");
}

#[test]
fn built_in_dialects_read_back_from_their_print() {
    for (name, dialect) in right("") {
        assert_eq!(read_back(&name, &effective(&dialect)), *dialect, "{name}");
    }
}

fn retry() -> impl Strategy<Value = Retry> {
    let delay = || (1_u64..2_592_000_000).prop_map(Duration::from_millis);
    prop_oneof![
        (prop::collection::vec(delay(), 0..5), 0.0..=1.0_f64)
            .prop_map(|(all, jitter)| Retry { policy: Policy::Schedule(all), jitter }),
        (delay(), 1.0..1000.0_f64, 0..100_u32)
            .prop_map(|(first, factor, retries)| Retry { policy: Policy::Exponential { first, factor, retries }, jitter: 0.0 }),
        (delay(), 0..100_u32)
            .prop_map(|(median, retries)| Retry { policy: Policy::DecorrelatedJitter { median, retries }, jitter: 0.0 }),
    ]
}

proptest! {
    // Each case reads a whole file.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_dialect_reads_back_from_its_print(
        retry in retry(), text in any::<String>(), codes in prop::collection::vec(200..600_u16, 1..4), flags in any::<[bool; 4]>(),
        consecutive in any::<u32>(), base in prop::sample::select(vec!["aioka", "dcisionai", "decisio", "resistant", "standard"]),
        header in "[A-Za-z0-9!#$.+_|~'-]{1,9}", value in "[!-#%-~]([ -#%-~]{0,9}[!-#%-~])?",
    ) {
        let mut dialect = (*named(base)).clone();
        dialect.retry = retry;
        dialect.description = text.clone().into();
        dialect.event.note = text.clone().into();
        dialect.api.wrap = text.clone().into();
        dialect.delivery.one_slot_after = codes.clone();
        dialect.delivery.success = if flags[0] { Success::Any2xx } else { Success::Codes(codes) };
        dialect.delivery.pin_url = flags[1];
        dialect.event.unknown_types = if flags[2] { UnknownTypes::Refuse } else { UnknownTypes::Pass };
        dialect.event.catalogue = if flags[1] { Openness::Closed } else { Openness::Open };
        dialect.disable.consecutive = consecutive;
        dialect.disable.count = if flags[3] { Counted::Attempts } else { Counted::Deliveries };
        let mut event_types = dialect.event_types.to_vec();
        event_types.iter_mut().map(Arc::make_mut).for_each(|known| known.example = serde_json::json!({ "text": text }).to_string().into());
        dialect.event_types = event_types.into();
        let header = crate::domain::dialect::Header {
            name: crate::domain::dialect::HeaderName::parse(&format!("x{header}")).unwrap(),
            value: crate::domain::template::HeaderValue::parse(&value, dialect.body.precision()).unwrap(),
        };
        dialect.headers.push(header);
        prop_assert_eq!(read_back(base, &effective(&dialect)), dialect);
    }
}

use super::*;
use crate::api::request::settings::fixture::{dialect, provider};
use crate::domain::access::Scopes;
use crate::domain::dialect::Dialect;
use crate::domain::template::Numbers;

fn plain() -> Dialect {
    dialect(r#"{"type":$event.type,"data":$data}"#, Numbers::AsPublished)
}

fn caller(rank: Rank, target: Target, dialect: Dialect) -> Caller {
    Caller { rank, provider: provider("acme", dialect), target, anywhere: false, key: None }
}

fn one(tenant: &str) -> Target {
    Target::Tenant(tenant.into())
}

fn tenants(dialect: Dialect) -> Caller {
    caller(Rank::Tenant(Scopes::ALL), one("t1"), dialect)
}

fn read_by(caller: &Caller, body: &str) -> Result<Publication, Problem> {
    let (now, limits) = (Timestamp::from_secs(1_700_000_000), RateLimits::default());
    let reader = Reader { caller, idempotency_key: None, now, limits: &limits };
    reader.read(&Bytes::copy_from_slice(body.as_bytes()))
}

fn read(body: &str) -> Result<Publication, Problem> {
    read_by(&tenants(plain()), body)
}

fn pointers(problem: &Problem) -> Vec<&str> {
    let Problem::Fields(wrong) = problem else { panic!("{problem:?}") };
    wrong.iter().map(|wrong| wrong.pointer.as_str()).collect()
}

#[test]
fn data_is_kept_byte_for_byte_and_not_copied() {
    let body = Bytes::from_static(br#"{"type":"a.b","data":{"n" : 1e999, "n":"\ud800"} }"#);
    let caller = tenants(plain());
    let limits = RateLimits::default();
    let publication =
        Reader { caller: &caller, idempotency_key: None, now: Timestamp::EPOCH, limits: &limits }.read(&body).unwrap();
    assert_eq!(publication.data, &br#"{"n" : 1e999, "n":"\ud800"}"#[..]);
    assert!(body.as_ptr_range().contains(&publication.data.as_ptr()));
    assert_eq!((publication.tenant.as_deref(), &*publication.environment), (Some("t1"), "Sandbox"));
}

#[test]
fn every_member_is_taken() {
    let body = r#"{"type":"a.b","data":null,"id":"order_1-x","occurred_at":"2026-04-20T16:32:00+02:00","attributes":{"n":7,"s":"x","z":null},"tenant":"t1"}"#;
    let publication = read(body).unwrap();
    assert_eq!((&*publication.kind, publication.id.as_deref()), ("a.b", Some("order_1-x")));
    assert_eq!(publication.occurred_at.unwrap().rfc3339_secs(), "2026-04-20T14:32:00Z");
    assert_eq!((&*publication.attributes["n"], &*publication.attributes["s"]), ("7", "\"x\""));
}

#[test]
fn all_wrong_members_are_told_at_once() {
    let body = r#"{"typ":"a","id":"a.b","occurred_at":"now","attributes":{"o":{},"t":1,"t":2},"connection":"c","id":"x"}"#;
    let problem = read(body).unwrap_err();
    let expected = ["/typ", "/id", "/type", "/id", "/occurred_at", "/attributes/o", "/attributes/t", "/connection", "/data"];
    assert_eq!(pointers(&problem), expected);
}

#[test]
fn attributes_have_a_number_and_a_size() {
    let with = |attributes: &str| read(&format!(r#"{{"type":"a","data":1,"attributes":{{{attributes}}}}}"#));
    let many = |count: usize| (0..count).map(|at| format!("\"a{at}\":1")).collect::<Vec<_>>().join(",");
    assert_eq!(with(&many(ATTRIBUTES_MAX)).unwrap().attributes.len(), ATTRIBUTES_MAX);
    // A name of one byte and a value in quotes.
    let large = |bytes: usize| format!("\"a\":\"{}\"", "x".repeat(bytes - 3));
    assert!(with(&large(ATTRIBUTES_BYTES_MAX)).is_ok());
    for (attributes, said) in [(many(ATTRIBUTES_MAX + 1), "65 members; at most 64"), (large(ATTRIBUTES_BYTES_MAX + 1), "16 KiB")]
    {
        let problem = with(&attributes).unwrap_err();
        assert_eq!((pointers(&problem), problem.status().as_u16()), (vec!["/attributes"], 422));
        assert!(problem.detail().contains(said), "{}", problem.detail());
    }
}

#[test]
fn a_name_of_a_megabyte_is_not_told_back() {
    let problem = read(&format!(r#"{{"type":"a","data":1,"{}é":2}}"#, "x".repeat(1 << 20))).unwrap_err();
    assert!(problem.detail().len() < 1_000, "{} bytes", problem.detail().len());
    assert!(pointers(&problem)[0].ends_with('…'));
}

#[test]
fn what_is_no_object_is_no_event() {
    for (body, status) in [("", 400), ("[]", 400), ("{", 400), ("{} {}", 400), ("\u{feff}{}", 422)] {
        assert_eq!(read(body).unwrap_err().status(), status, "{body}");
    }
}

#[test]
fn a_tenants_key_publishes_for_itself() {
    let with = |tenant: &str| read(&format!(r#"{{"type":"a","data":1,"tenant":"{tenant}"}}"#)).map(drop);
    assert!(with("t1").is_ok());
    for other in ["t2", "*", ""] {
        assert_eq!(with(other).unwrap_err().status(), 403, "{other}");
    }
}

#[test]
fn a_providers_key_names_the_tenant() {
    let provider = caller(Rank::Provider(Scopes::PUBLISH), Target::Unnamed, plain());
    let with = |tenant: &str| read_by(&provider, &format!(r#"{{"type":"a","data":1{tenant}}}"#)).map(|read| read.tenant);
    assert_eq!(with(r#","tenant":"t2""#).unwrap().as_deref(), Some("t2"));
    assert_eq!(with(r#","tenant":"*""#).unwrap(), None);
    for bad in ["", r#","tenant":"a.b""#, r#","tenant":null"#, r#","tenant":7"#] {
        assert_eq!(with(bad).unwrap_err().status(), 422, "{bad}");
    }
}

#[test]
fn a_providers_key_names_the_tenant_by_the_header_too() {
    let read = |target, tenant: &str| {
        let caller = caller(Rank::Provider(Scopes::PUBLISH), target, plain());
        let read = read_by(&caller, &format!(r#"{{"type":"a","data":1{tenant}}}"#));
        read.map(|read| read.tenant).map_err(|problem| problem.status().as_u16())
    };
    assert_eq!(read(one("t1"), ""), Ok(Some("t1".into())));
    assert_eq!(read(one("t1"), r#","tenant":"t1""#), Ok(Some("t1".into())));
    assert_eq!(read(one("t1"), r#","tenant":"t2""#), Err(403));
    assert_eq!(read(Target::All, ""), Ok(None));
    assert_eq!(read(Target::All, r#","tenant":"*""#), Ok(None));
}

#[test]
fn who_names_no_tenant_is_told_both_ways() {
    let provider = caller(Rank::Provider(Scopes::PUBLISH), Target::Unnamed, plain());
    let problem = read_by(&provider, r#"{"type":"a","data":1}"#).unwrap_err();
    assert!(problem.detail().contains("/tenant") && problem.detail().contains("Hookwheel-Tenant: acme/TENANT"));
}

#[test]
fn an_operator_publishes_for_the_target() {
    let all = caller(Rank::Operator, Target::All, plain());
    assert_eq!(read_by(&all, r#"{"type":"a","data":1}"#).unwrap().tenant, None);
    let one = caller(Rank::Operator, one("t1"), plain());
    assert_eq!(read_by(&one, r#"{"type":"a","data":1}"#).unwrap().tenant.as_deref(), Some("t1"));
    assert_eq!(read_by(&one, r#"{"type":"a","data":1,"tenant":"t2"}"#).unwrap_err().status(), 403);
}

#[test]
fn a_body_that_names_its_tenant_is_for_one_tenant() {
    let names = dialect(r#"{"tenant":$tenant.id,"data":$data}"#, Numbers::AsPublished);
    let provider = caller(Rank::Provider(Scopes::PUBLISH), Target::Unnamed, names);
    let problem = read_by(&provider, r#"{"type":"a","data":1,"tenant":"*"}"#).unwrap_err();
    assert_eq!(pointers(&problem), ["/tenant"]);
}

#[test]
fn a_dialects_rules_point_into_the_event() {
    let mut strict = dialect(r#"{"job":$event.attributes.job,"data":$data}"#, Numbers::Ecmascript);
    strict.event.required_attributes = vec!["job".into()];
    strict.delivery.pin_url = true;
    let strict = tenants(strict);
    let refused = |body: &str| read_by(&strict, body).map(drop).unwrap_err();
    assert_eq!(pointers(&refused(r#"{"type":"a","data":1}"#)), ["/attributes/job"]);
    assert_eq!(pointers(&refused(r#"{"type":"a","data":{"x":[1e999]},"attributes":{"job":1}}"#)), ["/data/x/0"]);
    assert_eq!(pointers(&refused(r#"{"type":"a","data":1,"attributes":{"job":9007199254740993}}"#)), ["/attributes/job"]);
    let taken = read_by(&strict, r#"{"type":"a","data":{"b":1.50, "2":0},"attributes":{"job":1},"connection":"c1"}"#).unwrap();
    assert_eq!(taken.data, &br#"{"2":0,"b":1.5}"#[..]);
    assert_eq!(taken.connection.as_deref(), Some("c1"));
}

#[test]
fn content_is_the_same_when_and_only_when_all_parts_are() {
    let content = |body: &str| read(body).unwrap().content;
    let base = content(r#"{"id":"x","type":"a","data":{"n":1}}"#);
    assert_eq!(base, content(r#"{"data":{"n":1},"type":"\u0061","id":"y","tenant":"t1","attributes":{}}"#));
    for other in [
        r#"{"id":"x","type":"b","data":{"n":1}}"#,
        r#"{"id":"x","type":"a","data":{"n": 1}}"#,
        r#"{"id":"x","type":"a","data":{"n":1},"occurred_at":"2026-01-01T00:00:00Z"}"#,
        r#"{"id":"x","type":"a","data":{"n":1},"attributes":{"k":1}}"#,
    ] {
        assert_ne!(base, content(other), "{other}");
    }
    assert_eq!(content(r#"{"type":"a","data":1}"#), [0; 32]);
}

#[test]
fn an_idempotency_key_has_1_to_255_characters() {
    let with = |value: &str| {
        let headers = HeaderMap::from_iter([("idempotency-key".parse().unwrap(), value.parse().unwrap())]);
        idempotency_key(&headers).map(|key| key.map(ToOwned::to_owned)).ok()
    };
    assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
    assert_eq!(with("k 1"), Some(Some("k 1".into())));
    assert_eq!(with(&"k".repeat(255)), Some(Some("k".repeat(255))));
    assert_eq!((with(""), with(&"k".repeat(256)), with("é")), (None, None, None));
}

#[test]
fn a_tenant_gets_no_more_events_than_its_rate() {
    let (caller, limits) = (caller(Rank::Provider(Scopes::ALL), Target::Unnamed, plain()), RateLimits::default());
    let reader = Reader { caller: &caller, idempotency_key: None, now: Timestamp::EPOCH, limits: &limits };
    let read = |tenant: &str, data: &str| {
        let body = format!(r#"{{"type":"a.b","tenant":"{tenant}"{data}}}"#);
        reader.read(&Bytes::from(body)).map(drop).map_err(|problem| problem.status().as_u16())
    };
    let good = r#","data":1"#;
    assert_eq!(read("t1", ""), Err(422), "an event that is wrong counts nothing");
    assert_eq!([(); 3].map(|()| read("t1", good)), [Ok(()), Ok(()), Err(429)]);
    assert_eq!([read("t2", good), read("*", good)], [Ok(()), Ok(())], "neither another tenant's nor one for all");
}

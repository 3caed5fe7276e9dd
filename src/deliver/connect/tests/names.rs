//! Lookups of names: how they end, and that every address is judged.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::dns::{Answer, Dns, ips};
use super::*;

const NAME: &str = "hook.example.test";

/// Connects to [`NAME`] while only 127.0.0.1 is open, and returns the failure.
async fn failure_with(dns: &Dns) -> Failure {
    failure(options(&["127.0.0.1/32"], Some(dns.address)), &format!("http://{NAME}:8080/")).await
}

#[tokio::test]
async fn failed_lookups_are_told_apart() {
    let code = |code| Dns::always(move || Answer::Code(code));
    for (dns, text) in [
        (code(ResponseCode::NXDomain).await, "the name hook.example.test does not exist (NXDOMAIN)"),
        (code(ResponseCode::NoError).await, "the name hook.example.test has no address (no A or AAAA record)"),
        (code(ResponseCode::ServFail).await, "the name server answered \"Server Failure\" for hook.example.test"),
        (code(ResponseCode::Refused).await, "the name server answered \"Query Refused\" for hook.example.test"),
    ] {
        assert_eq!(failure_with(&dns).await, Failure::new(Class::Dns, text));
    }
}

#[tokio::test]
async fn a_name_server_that_leads_nowhere_costs_no_more_than_its_time() {
    let silent = Dns::always(|| Answer::Silence).await;
    let truncated = Dns::always(|| Answer::Truncated).await;
    let circular = Dns::always(|| Answer::Alias(NAME, Vec::new())).await;
    let endless = Dns::new(0, |_, count| Answer::Alias(["a.example.test.", "b.example.test."][count % 2], Vec::new())).await;
    for dns in [&silent, &truncated, &circular, &endless] {
        let started = clock::steady();
        let failure = failure_with(dns).await;
        assert!(matches!(failure.class, Class::Dns | Class::Timeout), "{failure}");
        assert!(started.elapsed() < Duration::from_millis(1_000), "{:?}", started.elapsed());
    }
    assert_eq!(failure_with(&silent).await.class, Class::Timeout);
}

#[tokio::test]
async fn no_name_server_at_all_is_a_dns_failure() {
    assert!(matches!(failure(options(&[], None), "http://hook.example.test/").await.class, Class::Dns | Class::Timeout));
}

#[tokio::test]
async fn names_are_absolute_and_both_families_are_asked_for_once() {
    let canary = Canary::listen("127.0.0.1:0").await;
    let dns = Dns::with_addresses(&["127.0.0.1", "::1"]).await;
    let connector = Connector::new(options(&["127.0.0.1/32", "::1/128"], Some(dns.address))).unwrap();
    let target = target(&format!("http://{NAME}.:{}/", canary.address.port()));
    for _ in 0..3 {
        connector.connect(&target, &Way::default()).await.map(drop).unwrap();
    }
    assert_eq!(dns.asked(), ["hook.example.test.", "hook.example.test."]);
    assert_eq!(canary.count().await, 3);
}

#[tokio::test]
async fn the_next_address_is_tried() {
    let canary = Canary::listen("127.0.0.2:0").await;
    let dns = Dns::with_addresses(&["127.0.0.1", "127.0.0.2"]).await;
    let url = format!("http://{NAME}:{}/", canary.address.port());
    assert!(connect(options(&["127.0.0.0/8"], Some(dns.address)), &url).await.is_ok());
    assert_eq!(canary.count().await, 1);
}

/// If both families were waited for, a name server that drops queries for IPv6 would make each connection four seconds slower.
#[tokio::test]
async fn a_family_that_nobody_answers_for_is_not_waited_for() {
    let canary = Canary::listen("127.0.0.1:0").await;
    let dns = Dns::new(60, |kind, _| match kind {
        RecordType::A => Answer::Addresses(ips(&["127.0.0.1"])),
        _ => Answer::Silence,
    })
    .await;
    let options = Options { connect_timeout: Duration::from_secs(5), ..options(&["127.0.0.0/8"], Some(dns.address)) };
    let started = clock::steady();
    assert!(connect(options, &format!("http://{NAME}:{}/", canary.address.port())).await.is_ok());
    assert!(started.elapsed() < Duration::from_millis(1_000), "{:?}", started.elapsed());
}

#[tokio::test]
async fn all_addresses_are_tried_within_the_time() {
    let canary = Canary::listen("127.0.0.5:0").await;
    let port = canary.address.port();
    let mut swallowing = Vec::new();
    for last in 1..5 {
        swallowing.push(Swallowing::listen(&format!("127.0.0.{last}:{port}")).await);
    }
    let dns = Dns::with_addresses(&["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"]).await;
    assert!(connect(options(&["127.0.0.0/8"], Some(dns.address)), &format!("http://{NAME}:{port}/")).await.is_ok());
    assert_eq!(canary.count().await, 1);
}

#[tokio::test]
async fn one_refused_address_refuses_the_name() {
    let canary = Canary::listen("127.0.0.1:0").await;
    let url = format!("http://{NAME}:{}/", canary.address.port());
    let mut many = vec!["127.0.0.1"; 20];
    many.push("192.168.7.7");
    for list in [
        &["127.0.0.1", "10.0.0.1"][..],
        &["10.0.0.1", "127.0.0.1"],
        &["127.0.0.1", "::1"],
        &["127.0.0.1", "::ffff:127.0.0.2"],
        &many,
    ] {
        let dns = Dns::with_addresses(list).await;
        let failure = failure(options(&["127.0.0.1/32"], Some(dns.address)), &url).await;
        assert_eq!(failure, Failure::new(Class::Policy, REFUSED), "{list:?}");
    }
    assert_eq!(canary.count().await, 0);
}

#[tokio::test]
async fn an_alias_to_a_private_address_is_refused() {
    let dns = Dns::always(|| Answer::Alias("internal.example.test.", ips(&["169.254.169.254"]))).await;
    assert_eq!(failure_with(&dns).await, Failure::new(Class::Policy, REFUSED));
}

/// A lookup that fails first and then answers with a private address is judged like any other.
#[tokio::test]
async fn an_error_before_an_answer_skips_no_judgement() {
    let dns = Dns::new(0, |kind, count| match (kind, count) {
        (RecordType::A, 1..) => Answer::Addresses(ips(&["10.0.0.1"])),
        _ => Answer::Code(ResponseCode::ServFail),
    })
    .await;
    let connector = Connector::new(options(&["127.0.0.1/32"], Some(dns.address))).unwrap();
    let target = target("http://hook.example.test:8080/");
    let classes = [connector.connect(&target, &Way::default()).await, connector.connect(&target, &Way::default()).await]
        .map(|result| failed(result.err().unwrap()).class);
    assert_eq!(classes.last(), Some(&Class::Policy), "{classes:?}");
}

/// The name server answers in turn with an address that is open and an address that is not.
#[tokio::test]
async fn rebinding_reaches_nothing_that_is_refused() {
    let open = Canary::listen("127.0.0.1:0").await;
    let shut = Canary::listen(&format!("127.0.0.2:{}", open.address.port())).await;
    let dns = Dns::new(0, |kind, count| match kind {
        RecordType::A => Answer::Addresses(ips(&[["127.0.0.1", "127.0.0.2"][count % 2]])),
        _ => Answer::Addresses(Vec::new()),
    })
    .await;
    let connector = Connector::new(options(&["127.0.0.1/32"], Some(dns.address))).unwrap();
    let target = target(&format!("http://{NAME}:{}/", open.address.port()));
    let mut refused = 0;
    for _ in 0..1_000 {
        match connector.connect(&target, &Way::default()).await {
            Ok(_) => {}
            Err(unconnected) => {
                assert_eq!(failed(unconnected).class, Class::Policy);
                refused += 1;
            }
        }
    }
    assert_eq!((open.count().await, refused, shut.count().await), (500, 500, 0));
}

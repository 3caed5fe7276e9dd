//! What may be reached: public addresses, and those that `allow_private` names. It is judged when a webhook is made, and when it
//! is dialled.

use serde_json::json;

use crate::harness::api::{WITHIN, attempts};
use crate::harness::config::Config;
use crate::harness::dns::NameServer;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

#[tokio::test]
async fn a_webhook_on_an_address_that_is_not_public_is_refused() {
    let service = Service::start(&Config::quick().allow_private(&[])).await;
    let acme = service.acme();
    for host in NOT_PUBLIC {
        let url = format!("http://{host}/hooks");
        let answer = acme.post("/v1/webhooks", &json!({ "url": url, "events": ["*"] })).await;
        assert_eq!(answer.status, 422, "{url}: {}", answer.text());
        answer.problem(422, &["/url"]);
    }
    assert_eq!(acme.get("/v1/webhooks").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_url_unfit_for_a_webhook_is_refused() {
    let service = Service::start(&Config::quick().allow_private(&[])).await;
    for url in NO_TARGET {
        let answer = service.acme().post("/v1/webhooks", &json!({ "url": url, "events": ["*"] })).await;
        assert_eq!(answer.status, 422, "{url}: {}", answer.text());
        answer.problem(422, &["/url"]);
    }
}

#[tokio::test]
async fn public_names_and_addresses_are_taken() {
    let service = Service::start(&Config::quick().allow_private(&[])).await;
    for url in [
        "https://example.com/hooks",
        "http://hooks.example.com:8443/a?b=c",
        "https://8.8.8.8/hooks",
        "https://[2606:4700::1111]/hooks",
    ] {
        service.acme().subscribe(url, &["never"]).await;
    }
}

#[tokio::test]
async fn a_change_of_url_is_judged_too() {
    let service = Service::start(&Config::quick().allow_private(&[])).await;
    let acme = service.acme();
    let webhook = acme.subscribe("https://example.com/hooks", &["*"]).await;
    acme.patch(&format!("/v1/webhooks/{webhook}"), &json!({ "url": "http://169.254.169.254/" })).await.problem(422, &["/url"]);
    assert_eq!(acme.webhook(&webhook).await["url"], "https://example.com/hooks");
}

#[tokio::test]
async fn allow_private_opens_exactly_what_it_names() {
    let service = Service::start(&Config::quick().allow_private(&["127.0.0.2/32"])).await;
    let (closed, open) = (Receiver::start_at("127.0.0.1:0").await, Receiver::start_at("127.0.0.2:0").await);
    let acme = service.acme();
    acme.post("/v1/webhooks", &json!({ "url": closed.url("/a"), "events": ["*"] })).await.problem(422, &["/url"]);
    acme.subscribe(&open.url("/a"), &["*"]).await;
    acme.publish_new("order.paid").await;
    open.wait_for("/a", 1, WITHIN).await;
    assert_eq!(closed.connections(), 0);
}

#[tokio::test]
async fn an_address_is_judged_again_when_it_is_dialled() {
    let mut service = Service::start(&Config::retrying(&[])).await;
    let receiver = Receiver::start().await;
    service.acme().subscribe(&receiver.url("/a"), &["*"]).await;
    let (status, _) = service.terminate().await;
    assert!(status.success(), "{status}");
    service.start_again_with(&Config::retrying(&[]).allow_private(&[])).await;
    let acme = service.acme();
    let event = acme.publish_new("order.paid").await;
    let delivery = acme.delivery_when(&event, "failed").await;
    assert_eq!(attempts(&delivery)[0]["error"], "policy", "{delivery}");
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_is_judged_by_all_its_addresses_when_it_is_dialled() {
    let names = NameServer::start().await;
    let (closed, open) = (Receiver::start_at("127.0.0.1:0").await, Receiver::start_at("127.0.0.2:0").await);
    let resolver = format!("resolvers = [\"{}\"]", names.address());
    let service = Service::start(&Config::retrying(&[]).allow_private(&["127.0.0.2/32"]).delivery(&resolver)).await;
    let acme = service.acme();
    let cases: [(&str, &[&[&str]], &str); 6] = [
        ("private", &[&["127.0.0.1"]], "policy"),
        ("mixed", &[&["127.0.0.2", "127.0.0.1"]], "policy"),
        ("metadata", &[&["169.254.169.254"]], "policy"),
        ("six", &[&["127.0.0.2", "::1"]], "policy"),
        ("mapped", &[&["::ffff:127.0.0.1"]], "policy"),
        ("absent", &[], "dns"),
    ];
    for (name, answers, class) in cases {
        let host = format!("{name}.example.com");
        if !answers.is_empty() {
            names.script(&host, answers);
        }
        acme.subscribe(&format!("http://{host}:{}/{name}", closed.address().port()), &[name]).await;
        let event = acme.publish_new(name).await;
        let delivery = acme.delivery_when(&event, "failed").await;
        assert_eq!(attempts(&delivery)[0]["error"], class, "{name}: {delivery}");
        assert!(!delivery.to_string().contains("169.254"), "the log names no refused address: {delivery}");
    }
    assert_eq!((closed.connections(), open.connections()), (0, 0));
    let told = service.stderr();
    assert!(
        told.contains("an address was refused") && told.contains("cause=\"loopback\"") && told.contains("allow_private"),
        "{told}"
    );

    names.script("open.example.com", &[&["127.0.0.2"]]);
    acme.subscribe(&format!("http://open.example.com:{}/open", open.address().port()), &["open"]).await;
    let event = acme.publish_new("open").await;
    acme.delivery_when(&event, "succeeded").await;
    let host = open.received("/open").remove(0);
    assert_eq!(host.header("host"), format!("open.example.com:{}", open.address().port()));
}

#[tokio::test]
async fn a_name_that_turns_private_is_refused_from_then_on() {
    let names = NameServer::start().await;
    let (closed, open) = (Receiver::start_at("127.0.0.1:0").await, Receiver::start_at("127.0.0.2:0").await);
    let resolver = format!("resolvers = [\"{}\"]", names.address());
    let service = Service::start(&Config::retrying(&[]).allow_private(&["127.0.0.2/32"]).delivery(&resolver)).await;
    let acme = service.acme();
    names.script("flip.example.com", &[&["127.0.0.2"]]);
    // Each receiver has a port of its own, so a connection to the wrong one would be refused and not be a failure of `policy`.
    acme.subscribe(&format!("http://flip.example.com:{}/flip", open.address().port()), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    acme.delivery_when(&event, "succeeded").await;
    names.script("flip.example.com", &[&["127.0.0.1"]]);
    // A kept connection to the address that was judged may serve on, but no new one may be made.
    open.script("/flip", [crate::harness::receiver::Reply::Drop]);
    let event = acme.publish_new("order.paid").await;
    let delivery = acme.delivery_when(&event, "failed").await;
    assert_eq!(attempts(&delivery)[0]["error"], "policy", "{delivery}");
    assert_eq!(closed.connections(), 0);
}

#[tokio::test]
async fn https_needs_a_certificate_that_is_trusted() {
    let (trusted, authority) = Receiver::start_tls(&["127.0.0.1"]).await;
    let (unknown, _) = Receiver::start_tls(&["127.0.0.1"]).await;
    let (wrong_name, other) = Receiver::start_tls(&["127.0.0.9"]).await;
    let config = Config::retrying(&[]).delivery("ca_file = \"ca.pem\"").file("ca.pem", &(authority + &other));
    let service = Service::start(&config).await;
    let acme = service.acme();
    acme.subscribe(&trusted.url("/trusted"), &["trusted"]).await;
    acme.subscribe(&unknown.url("/unknown"), &["unknown"]).await;
    acme.subscribe(&wrong_name.url("/wrong"), &["wrong"]).await;
    let event = acme.publish_new("trusted").await;
    acme.delivery_when(&event, "succeeded").await;
    for kind in ["unknown", "wrong"] {
        let event = acme.publish_new(kind).await;
        let delivery = acme.delivery_when(&event, "failed").await;
        assert_eq!(attempts(&delivery)[0]["error"], "tls", "{kind}: {delivery}");
    }
    assert_eq!(unknown.received("/unknown").len() + wrong_name.received("/wrong").len(), 0, "refused before the request");
}

/// In a compose file the name of a service is a single label.
#[tokio::test]
async fn a_single_label_leads_only_where_allow_private_says() {
    let names = NameServer::start().await;
    let (closed, open) = (Receiver::start_at("127.0.0.1:0").await, Receiver::start_at("127.0.0.2:0").await);
    let resolver = format!("resolvers = [\"{}\"]", names.address());
    let service = Service::start(&Config::retrying(&[]).allow_private(&["127.0.0.2/32"]).delivery(&resolver)).await;
    let acme = service.acme();
    names.script("app", &[&["127.0.0.2"]]);
    names.script("other", &[&["127.0.0.1"]]);
    acme.subscribe(&format!("http://app:{}/open", open.address().port()), &["open"]).await;
    acme.subscribe(&format!("http://other:{}/closed", closed.address().port()), &["closed"]).await;
    let event = acme.publish_new("open").await;
    acme.delivery_when(&event, "succeeded").await;
    let event = acme.publish_new("closed").await;
    let delivery = acme.delivery_when(&event, "failed").await;
    assert_eq!((&attempts(&delivery)[0]["error"], closed.connections()), (&json!("policy"), 0), "{delivery}");
}

#[tokio::test]
async fn operators_are_told_of_allow_private_and_tenants_are_not() {
    let receiver = Receiver::start().await;
    let mut service = Service::start(&Config::retrying(&[])).await;
    service.acme().subscribe(&receiver.url("/a"), &["*"]).await;
    let (status, _) = service.terminate().await;
    assert!(status.success(), "{status}");
    service.start_again_with(&Config::retrying(&[]).allow_private(&[])).await;
    let (acme, admin) = (service.acme(), service.admin().with_header("hookwheel-tenant", "shop/acme"));
    for url in ["http://10.0.0.1/", "http://localhost/", "http://app/", "http://example.com:6000/"] {
        let hook = json!({ "url": url, "events": ["*"] });
        admin.post("/v1/webhooks", &hook).await.problem(422, &["/url", "allow_private"]);
        let told = acme.post("/v1/webhooks", &hook).await;
        assert!(told.status == 422 && !told.text().contains("allow_private"), "{}", told.text());
    }
    let event = acme.publish_new("order.paid").await;
    let delivery = acme.delivery_when(&event, "failed").await;
    assert!(attempts(&delivery)[0]["error"] == "policy" && !delivery.to_string().contains("allow_private"), "{delivery}");
    assert!(admin.delivery_when(&event, "failed").await.to_string().contains("allow_private"));
    let told = service.stderr();
    assert!(told.contains("127.0.0.1") && told.contains("allow_private"), "{told}");
}

/// A certificate that is renewed, or an authority that is added, must not need a restart.
#[tokio::test]
async fn a_changed_ca_file_is_seen_without_a_reload() {
    let (first, authority) = Receiver::start_tls(&["127.0.0.1"]).await;
    let (second, other) = Receiver::start_tls(&["127.0.0.1"]).await;
    let config = Config::retrying(&["500ms"; 30]).delivery("ca_file = \"ca.pem\"").file("ca.pem", &authority);
    let service = Service::start(&config).await;
    let acme = service.acme();
    acme.subscribe(&first.url("/first"), &["first"]).await;
    acme.subscribe(&second.url("/second"), &["second"]).await;
    let event = acme.publish_new("first").await;
    acme.delivery_when(&event, "succeeded").await;
    let event = acme.publish_new("second").await;
    acme.delivery_that(&event, "its first attempt is logged", |delivery| delivery["attempts"] != json!([])).await;
    std::fs::write(service.folder().join("ca.pem"), authority + &other).expect("written");
    second.wait_for("/second", 1, WITHIN).await;
    let delivery = acme.delivery_when(&event, "succeeded").await;
    assert_eq!(attempts(&delivery)[0]["error"], "tls", "{delivery}");
    assert!(service.stderr().contains("ca.pem has changed"), "{}", service.stderr());
}

#[tokio::test]
async fn a_changed_hosts_file_is_seen_without_a_reload() {
    let config = Config::retrying(&["500ms"; 30]).delivery("connect_timeout = \"500ms\"");
    let config = config.file("hosts", "127.0.0.1 localhost\n").file("resolv.conf", "nameserver 127.0.0.9\n");
    let places = [("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")];
    let Some(service) = Service::start_with_files_in_place(&config, &places).await else { return };
    let (receiver, acme) = (Receiver::start().await, service.acme());
    acme.subscribe(&format!("http://app.example:{}/a", receiver.address().port()), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    acme.delivery_that(&event, "its first attempt is logged", |delivery| delivery["attempts"] != json!([])).await;
    std::fs::write(service.folder().join("hosts"), "127.0.0.1 localhost app.example\n").expect("written");
    receiver.wait_for("/a", 1, WITHIN).await;
    assert!(service.stderr().contains("/etc/hosts has changed"), "{}", service.stderr());
}

/// Addresses in all spellings that some parser takes for one.
const NOT_PUBLIC: [&str; 57] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "%31%32%37.0.0.1",
    "127.0.0.1.",
    "127.0\t.0.1",
    "127.0\n.0.1",
    "[::1]",
    "[::]",
    "[::ffff:7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    "[fd00:ec2::254]",
    "[fc00::1]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[100::1]",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.0.1",
    "0xa9fea9fe",
    "2852039166",
    "100.64.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "intranet",
    "metadata",
];

const NO_TARGET: [&str; 18] = [
    "",
    "hooks",
    "/hooks",
    "//example.com/hooks",
    "file:///etc/passwd",
    "gopher://example.com/",
    "ftp://example.com/",
    "javascript:alert(1)",
    "http:127.0.0.1",
    "http://",
    "http://1.1.1.1 &@127.0.0.1/",
    "http://user:password@example.com/",
    "http://example.com/#fragment",
    "http://exa mple.com/",
    "http://example.com:0/",
    "http://example.com:99999/",
    "http://example.com:22/",
    "http://example.com:25/",
];

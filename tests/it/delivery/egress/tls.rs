//! TLS of a webhook's own: the certificate that the endpoint demands, and the authority that has issued the endpoint's.

use std::collections::HashSet;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};

use super::subscribe;
use crate::harness::api::{WITHIN, attempts, text};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::receiver::{Received, Receiver};
use crate::harness::service::Service;

#[tokio::test]
async fn each_webhook_shows_its_own_certificate_and_no_other() {
    let (clients, strangers) = (Authority::new("clients"), Authority::new("strangers"));
    let (receiver, ca) = Receiver::start_mutual_tls(&["127.0.0.1"], &clients.pem()).await;
    let service = Service::start(&Config::retrying(&[])).await;
    let acme = service.acme();
    let with = |authority: &Authority| {
        let (cert, key) = authority.issue();
        json!({ "client_cert": cert, "client_key": key, "ca": ca })
    };
    let good = subscribe(&acme, &receiver.url("/good"), json!({ "tls": with(&clients) })).await;
    let none = subscribe(&acme, &receiver.url("/none"), json!({ "tls": { "ca": ca } })).await;
    let other = subscribe(&acme, &receiver.url("/other"), json!({ "tls": with(&strangers) })).await;
    let distrusted = subscribe(&acme, &receiver.url("/distrusted"), json!({})).await;
    assert!(text(&good["tls"]["client_key"]).starts_with("---…("), "{good}");
    assert!(text(&good["tls"]["client_cert"]).contains("BEGIN CERTIFICATE"), "{good}");
    acme.publish_new("a").await;
    receiver.wait_for("/good", 1, WITHIN).await;
    for (webhook, why) in [(&none, "demands a client certificate"), (&other, "demands a client certificate that it trusts")] {
        let failed = failure(&acme, webhook).await;
        assert_eq!(failed["error"], "tls", "{failed}");
        assert!(text(&failed["detail"]).contains(why), "{failed}");
    }
    let failed = failure(&acme, &distrusted).await;
    assert!(text(&failed["detail"]).contains("issuer is not trusted"), "the authority of one is not trusted for all: {failed}");

    // Soon an attempt uses a kept connection, and none after the certificate was taken away does.
    let mut sent = receiver.received("/good");
    while sent.len() < 20 && !is_any_kept(&sent) {
        acme.publish_new("a").await;
        sent = receiver.wait_for("/good", sent.len() + 1, WITHIN).await;
    }
    let count = sent.len();
    assert!(count < 20, "no connection was used again");
    let path = format!("/v1/webhooks/{}", text(&good["id"]));
    acme.patch(&path, &json!({ "tls": { "ca": ca } })).await.expect(200);
    acme.publish_new("a").await;
    let failed = failure(&acme, &good).await;
    assert!(text(&failed["detail"]).contains("demands a client certificate"), "{failed}");
    assert_eq!(receiver.received("/good").len(), count);
}

/// Whether a connection was used again. Two that are used by turns count too.
fn is_any_kept(sent: &[Received]) -> bool {
    let connections: HashSet<_> = sent.iter().map(|request| request.connection).collect();
    connections.len() < sent.len()
}

#[tokio::test]
async fn a_key_that_does_not_fit_is_refused_with_its_pointer() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let ((cert, key), (_, other)) = (Authority::new("one").issue(), Authority::new("other").issue());
    let of = |tls: Value| json!({ "url": "https://example.com/", "events": ["*"], "tls": tls });
    for (tls, words) in [
        (json!({ "client_cert": cert, "client_key": other }), ["/tls/client_key", "is not the key of the first certificate"]),
        (json!({ "client_cert": cert }), ["/tls/client_key", "is missing"]),
        (json!({ "client_cert": "", "client_key": key }), ["/tls/client_cert", "is empty"]),
        (json!({ "client_cert": cert, "client_key": "---…(241)" }), ["/tls/client_key", "is masked"]),
    ] {
        acme.post("/v1/webhooks", &of(tls)).await.problem(422, &words);
    }
    let folder = service.folder();
    let tls = json!({ "client_cert": cert, "client_key": key }).to_string();
    std::fs::write(folder.join("tls.json"), tls).expect("written");
    let add = ["webhooks", "add", "https://example.com/", "--tls", "@tls.json", "--tenant", "shop/acme", "--json"];
    let made = service.cli(&add).expect(0).json();
    assert_eq!(made["tls"]["client_cert"], json!(cert));
}

#[tokio::test]
async fn openssl_takes_the_certificate_that_the_file_names() {
    let (clients, servers) = (Authority::new("clients"), Authority::new("servers"));
    let ((cert, key), (server_cert, server_key)) = (clients.issue(), servers.issue());
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let line = "tls = { client_cert = { file = \"client.pem\" }, client_key = { file = \"client.key\" }, ca = { file = \"servers.pem\" } }";
    let config = Config::retrying(&["50ms", "100ms", "200ms", "400ms", "800ms"]);
    let config = config.webhook("file", &format!("https://127.0.0.1:{port}/hook"), &["*"]).webhook_line(line);
    let config = config.file("client.pem", &cert).file("client.key", &key).file("servers.pem", &servers.pem());
    let config = config.file("clients.pem", &clients.pem()).file("server.pem", &server_cert).file("server.key", &server_key);
    let service = Service::start(&config).await;
    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    std::fs::write(service.folder().join("answer"), answer).expect("written");
    let at = format!("127.0.0.1:{port}");
    let server = ["s_server", "-quiet", "-naccept", "1", "-accept", &at, "-cert", "server.pem", "-key", "server.key"];
    let demands = ["-CAfile", "clients.pem", "-Verify", "1", "-verify_return_error"];
    let input = std::fs::File::open(service.folder().join("answer")).expect("there");
    let mut command = Command::new("openssl");
    command.args(server).args(demands).current_dir(service.folder()).stdin(input);
    let Ok(mut server) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        eprintln!("skipped: there is no openssl");
        return;
    };
    let event = service.acme().publish_new("a").await;
    let delivery = service.acme().delivery_when(&event, "succeeded").await;
    let last = attempts(&delivery).last().expect("an attempt").clone();
    assert_eq!(last["response"]["status"], 204, "{last}");
    // It ends by itself after its one connection, unless that never came.
    drop(server.kill());
    server.wait().expect("a child of ours");
}

/// Waits for the newest delivery of a webhook to fail, and returns its last attempt.
async fn failure(acme: &Client, webhook: &Value) -> Value {
    let path = format!("/v1/webhooks/{}/deliveries?status=failed", text(&webhook["id"]));
    let found = || async { acme.get(&path).await.expect(200)["data"].get(0).cloned() };
    let listed = crate::harness::eventually("a delivery fails", WITHIN, found).await;
    attempts(&acme.delivery(&text(&listed["id"])).await).last().expect("an attempt").clone()
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed"))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this machine with its key, as PEM.
    fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
        (params.signed_by(&key, &self.0).expect("signed").pem(), key.serialize_pem())
    }
}

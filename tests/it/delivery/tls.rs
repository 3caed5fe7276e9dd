//! The API over TLS: one listener for HTTP/1.1 and HTTP/2, and certificates that a reload renews.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{Empty, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::api::WITHIN;
use crate::harness::config::{self, Config};
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

#[tokio::test]
async fn a_reload_renews_the_certificate_and_a_bad_one_changes_nothing() {
    let (first, second) = (Certificate::new(), Certificate::new());
    let service = Service::start(&with(&first.cert, &first.key)).await;
    let mut before = h1(first.connect(&service).await.expect("trusted")).await;
    assert_eq!(status(&mut before).await, 200);

    with(&second.cert, &second.key).write(service.folder());
    let ran = service.cli(&["reload"]).expect(0);
    assert!(ran.stdout.contains("~1 setting (server.tls_cert)"), "{ran:?}");
    first.connect(&service).await.expect_err("the old one is gone");
    assert_eq!(status(&mut h1(second.connect(&service).await.expect("trusted")).await).await, 200);
    assert_eq!(status(&mut before).await, 200, "a connection outlives the certificate it began with");

    with(&first.cert, &second.key).write(service.folder());
    service.cli(&["reload"]).expect(78).complains(&[
        "tls/key.pem",
        "is not that of the first certificate",
        "the key is the one that it was made with",
    ]);
    second.connect(&service).await.expect("as before");

    Config::quick().write(service.folder());
    service.cli(&["reload"]).expect(0);
    assert!(service.stderr().contains("in the clear"), "{}", service.stderr());
    service.acme().get("/v1/events").await.expect(200);
}

#[tokio::test]
async fn one_connection_of_http2_carries_many_requests_at_once() {
    let (certificate, receiver) = (Certificate::new(), Receiver::start().await);
    let mut service =
        Service::start(&with(&certificate.cert, &certificate.key).webhook("all", &receiver.url("/a"), &["*"])).await;
    let mut sender = h2(certificate.connect_with(&service, &["h2", "http/1.1"]).await.expect("trusted")).await;
    let event = |number: usize| format!(r#"{{"type":"order.paid","data":{{"id":"in_{number}"}}}}"#);
    let mut answers = JoinSet::new();
    for number in 0..300 {
        answers.spawn(publish(&mut sender, "application/json", event(number)));
    }
    assert_eq!(answers.join_all().await, [202; 300]);

    // The body is larger than what may be sent before it is read.
    let lines = (0..10_000).map(|number| event(number) + "\n").collect::<String>();
    assert_eq!(publish(&mut sender, "application/x-ndjson", lines).await, 202);
    assert_eq!(publish(&mut sender, "application/json", "x".repeat(2 << 20)).await, 413);
    assert_eq!(publish(&mut sender, "application/json", event(1)).await, 202, "a refused body costs its own request alone");
    receiver.wait_for("/a", 10_301, WITHIN).await;
    service.terminate().await;
    assert_eq!(receiver.received("/a").len(), 10_301);
    service.check_store();
}

#[tokio::test]
async fn a_peer_chooses_its_protocol() {
    let certificate = Certificate::new();
    let service = Service::start(&with(&certificate.cert, &certificate.key)).await;
    for (offered, chosen) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1"), (&[], "")] {
        let stream = certificate.connect_with(&service, offered).await.expect("trusted");
        assert_eq!(stream.get_ref().1.alpn_protocol().unwrap_or_default(), chosen.as_bytes(), "{offered:?}");
        let status = if chosen == "h2" { get2(&mut h2(stream).await).await } else { status(&mut h1(stream).await).await };
        assert_eq!(status, 200, "{offered:?}");
    }
    certificate.connect_with(&service, &["spdy/3"]).await.expect_err("nothing in common");
}

/// A certificate for this machine that signs itself, and its key, as PEM.
struct Certificate {
    cert: String,
    key: String,
}

impl Certificate {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("made");
        Self { cert: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    /// Connects while trusting this certificate alone.
    async fn connect(&self, service: &Service) -> io::Result<TlsStream<TcpStream>> {
        self.connect_with(service, &[]).await
    }

    /// Connects while trusting this certificate alone, and offers these protocols.
    async fn connect_with(&self, service: &Service, offered: &[&str]) -> io::Result<TlsStream<TcpStream>> {
        let mut trusted = RootCertStore::empty();
        trusted.add(CertificateDer::from_pem_slice(self.cert.as_bytes()).expect("PEM")).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("ring speaks them");
        let mut config = config.with_root_certificates(trusted).with_no_client_auth();
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(service.address()).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME).expect("a name"), stream).await
    }
}

fn with(cert: &str, key: &str) -> Config {
    let config = Config::quick().server("tls_cert = \"tls/cert.pem\"").server("tls_key = \"tls/key.pem\"");
    config.file("tls/cert.pem", cert).file("tls/key.pem", key)
}

type Http1 = http1::SendRequest<Empty<Bytes>>;

async fn h1(stream: TlsStream<TcpStream>) -> Http1 {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    sender
}

async fn status(sender: &mut Http1) -> u16 {
    let request = Request::get("/healthz").header("host", NAME).body(Empty::new()).expect("a request");
    sender.send_request(request).await.expect("an answer").status().as_u16()
}

type Http2 = http2::SendRequest<Full<Bytes>>;

async fn h2(stream: TlsStream<TcpStream>) -> Http2 {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

async fn get2(sender: &mut Http2) -> u16 {
    let request = Request::get(format!("https://{NAME}/healthz")).body(Full::default()).expect("a request");
    sender.send_request(request).await.expect("an answer").status().as_u16()
}

/// Publishes as tenant `acme`, and returns the status.
fn publish(sender: &mut Http2, content_type: &str, body: String) -> impl Future<Output = u16> + Send + use<> {
    let request = Request::post(format!("https://{NAME}/v1/events")).header("content-type", content_type);
    let request = request.header("x-api-key", config::secret("shop-acme")).body(Full::from(body)).expect("a request");
    let answer = sender.send_request(request);
    async move { answer.await.expect("an answer").status().as_u16() }
}

const NAME: &str = "relay.example";

//! The API over TLS, and certificates that a reload renews.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::config::Config;
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
    service.cli(&["reload"]).expect(78).complains(&["tls/key.pem", "is not that of the first certificate", "try: "]);
    second.connect(&service).await.expect("as before");

    Config::quick().write(service.folder());
    service.cli(&["reload"]).expect(0);
    service.acme().get("/v1/events").await.expect(200);
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

    /// Connects as one who trusts it alone.
    async fn connect(&self, service: &Service) -> io::Result<TlsStream<TcpStream>> {
        let mut trusted = RootCertStore::empty();
        trusted.add(CertificateDer::from_pem_slice(self.cert.as_bytes()).expect("PEM")).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("ring speaks them");
        let config = config.with_root_certificates(trusted).with_no_client_auth();
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

const NAME: &str = "relay.example";

//! Good and bad certificates, and peers that do not complete the handshake.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, CrlDistributionPoint, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, NameConstraints, SanType, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::dns::Dns;
use super::*;
use crate::domain::headers::Headers;

const NAME: &str = "hook.example.test";

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn root(params: CertificateParams) -> Ca {
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn below(ca: &Ca, params: CertificateParams) -> Ca {
    CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), ca).unwrap()
}

fn leaf_params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
}

/// What a server presents: a chain, leaf first, and the leaf's key.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

/// A leaf issued by `ca`, presented with the certificates `between`.
fn shown(ca: &Ca, params: &CertificateParams, between: &[&Ca]) -> Shown {
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, ca).unwrap();
    let chain = std::iter::once(leaf.der()).chain(between.iter().map(|ca| ca.der())).cloned().collect();
    Shown { chain, key }
}

/// Starts a TLS server that counts the bytes it receives after the handshake. Returns its port and the count.
async fn serve(shown: Shown, alpn: &[&[u8]]) -> (u16, Arc<AtomicUsize>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(shown.key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(rustls::DEFAULT_VERSIONS).unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(shown.chain, key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let (listener, acceptor) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TlsAcceptor::from(Arc::new(config)));
    let (port, heard) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(mut tls) = acceptor.accept(tcp).await {
                let bytes = tls.read(&mut [0; 4_096]).await.unwrap_or(0);
                count.fetch_add(bytes, Ordering::SeqCst);
                let _ = tls.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            }
        }
    });
    (port, heard)
}

/// Options that trust `ca` and resolve every name to this machine.
async fn trusting(ca: &Ca, folder: &Path) -> (Options, Dns) {
    let dns = Dns::with_addresses(&["127.0.0.1"]).await;
    let path = folder.join("ca.pem");
    std::fs::write(&path, ca.pem()).unwrap();
    (Options { ca_file: Some(path), ..options(&["127.0.0.1/32"], Some(dns.address)) }, dns)
}

async fn post(options: Options, url: &str) -> Result<u16, Failure> {
    post_by(&Way::default(), options, url).await
}

async fn post_by(way: &Way, options: Options, url: &str) -> Result<u16, Failure> {
    use crate::deliver::cut::Cut;
    use crate::deliver::exchange::connection::{Bounds, Deadline};
    use crate::deliver::exchange::request::Request;
    let target = target(url);
    let mut connection = Connector::new(options).unwrap().connect(&target, way).await.map_err(failed)?;
    let request = Request::new(&target, &Headers::default(), "{}".into())?;
    let after = Duration::from_secs(5);
    let deadline = Deadline { at: clock::steady() + after, after };
    let response = connection.exchange(&request, Bounds { deadline, capture: 1_024, cut: &Cut::new() }).await;
    response.map(|response| response.status).map_err(|failed| failed.failure)
}

#[tokio::test]
async fn good_certificates_pass() {
    let folder = tempfile::tempdir().unwrap();
    let ca = root(ca_params("root"));
    let between = below(&ca, ca_params("between"));
    let mut revocable = leaf_params(&[NAME]);
    let trap = Canary::listen("127.0.0.1:0").await;
    revocable.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![format!("http://{}/crl", trap.address)] }];
    for (shown, host) in [
        (shown(&ca, &leaf_params(&[NAME]), &[]), NAME),
        (shown(&ca, &leaf_params(&["other.test", "*.example.test"]), &[]), NAME),
        (shown(&ca, &leaf_params(&["127.0.0.1"]), &[]), "127.0.0.1"),
        (shown(&between, &leaf_params(&[NAME]), &[&between]), NAME),
        // Revocation is not checked: the platform verifier does not check it on Linux.
        (shown(&ca, &revocable, &[]), NAME),
    ] {
        let (port, heard) = serve(shown, &[b"h2", b"http/1.1"]).await;
        let (options, _dns) = trusting(&ca, folder.path()).await;
        assert_eq!(post(options, &format!("https://{host}:{port}/")).await, Ok(204));
        assert!(heard.load(Ordering::SeqCst) > 0);
    }
    assert_eq!(trap.count().await, 0);
}

#[tokio::test]
async fn bad_certificates_are_refused_before_a_byte_of_the_request() {
    let folder = tempfile::tempdir().unwrap();
    let ca = root(ca_params("root"));
    for (what, shown, host) in bad(&ca) {
        let (port, heard) = serve(shown, &[]).await;
        let (options, _dns) = trusting(&ca, folder.path()).await;
        let failure = post(options, &format!("https://{host}:{port}/")).await.unwrap_err();
        assert_eq!(failure.class, Class::Tls, "{what}: {failure}");
        assert_eq!(heard.load(Ordering::SeqCst), 0, "{what}");
    }
}

/// The bad certificates that badssl.com has, as far as they can be made here.
fn bad(ca: &Ca) -> Vec<(&'static str, Shown, &'static str)> {
    let with = |change: fn(&mut CertificateParams)| {
        let mut params = leaf_params(&[NAME]);
        change(&mut params);
        shown(ca, &params, &[])
    };
    let named = |names: &[&str]| shown(ca, &leaf_params(names), &[]);
    let mut all = vec![
        ("expired", with(|params| params.not_after = date_time_ymd(2020, 1, 1)), NAME),
        ("not yet valid", with(|params| params.not_before = date_time_ymd(4000, 1, 1)), NAME),
        ("for clients", with(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]), NAME),
        ("for code", with(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning]), NAME),
        ("another host", named(&["other.example.test"]), NAME),
        ("the domain above", named(&["example.test"]), NAME),
        ("a longer name", named(&["hook.example.test.evil.test"]), NAME),
        ("a wildcard too high", named(&["*.test"]), NAME),
        ("a wildcard too deep", named(&["*.hook.example.test"]), NAME),
        ("a wildcard in part", named(&["h*.example.test"]), NAME),
        ("a lone wildcard", named(&["*"]), NAME),
        ("a name with a null", named(&["hook.example.test\0.evil.test"]), NAME),
        ("a name for an address", named(&[NAME]), "127.0.0.1"),
        ("another address", named(&["127.0.0.2"]), "127.0.0.1"),
        (
            "an address as a name",
            with(|params| params.subject_alt_names = vec![SanType::DnsName("127.0.0.1".try_into().unwrap())]),
            "127.0.0.1",
        ),
        ("an address by common name", common_name(ca, "127.0.0.1"), "127.0.0.1"),
        ("a common name alone", common_name(ca, NAME), NAME),
    ];
    all.extend(bad_chains(ca));
    all
}

fn bad_chains(ca: &Ca) -> Vec<(&'static str, Shown, &'static str)> {
    let leaf = leaf_params(&[NAME]);
    let constrained = |how: NameConstraints| {
        let mut params = ca_params("constrained");
        params.name_constraints = Some(how);
        below(ca, params)
    };
    let (names, other) = (|name: &str| vec![GeneralSubtree::DnsName(name.to_owned())], root(ca_params("root")));
    let elsewhere = constrained(NameConstraints { permitted_subtrees: names("other.test"), excluded_subtrees: Vec::new() });
    let excluded = constrained(NameConstraints { permitted_subtrees: Vec::new(), excluded_subtrees: names("example.test") });
    let networks = vec![GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([10, 0, 0, 0], 8))];
    let network = constrained(NameConstraints { permitted_subtrees: networks, excluded_subtrees: Vec::new() });
    let between = below(ca, ca_params("between"));
    let mut no_ca = ca_params("no ca");
    no_ca.is_ca = IsCa::ExplicitNoCa;
    let no_ca = below(ca, no_ca);
    let mut last = ca_params("last");
    last.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let last = below(ca, last);
    let beyond = below(&last, ca_params("beyond"));
    let mut expired = ca_params("expired");
    expired.not_after = date_time_ymd(2020, 1, 1);
    let expired = below(ca, expired);
    let key = KeyPair::generate().unwrap();
    let alone = Shown { chain: vec![leaf.self_signed(&key).unwrap().der().clone()], key };
    vec![
        ("self-signed", alone, NAME),
        ("an untrusted root of the same name", shown(&other, &leaf, &[&other]), NAME),
        ("a missing intermediate", shown(&between, &leaf, &[]), NAME),
        ("an issuer that is no CA", shown(&no_ca, &leaf, &[&no_ca]), NAME),
        ("a path too long", shown(&beyond, &leaf, &[&beyond, &last]), NAME),
        ("an expired intermediate", shown(&expired, &leaf, &[&expired]), NAME),
        ("a name that is not permitted", shown(&elsewhere, &leaf, &[&elsewhere]), NAME),
        ("a name that is excluded", shown(&excluded, &leaf, &[&excluded]), NAME),
        ("an address that is not permitted", shown(&network, &leaf_params(&["127.0.0.1"]), &[&network]), "127.0.0.1"),
    ]
}

fn common_name(ca: &Ca, name: &str) -> Shown {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    shown(ca, &params, &[])
}

/// A certificate as `openssl req -x509` makes it: it signs itself, and says that it is an authority.
fn alone(change: impl FnOnce(&mut CertificateParams)) -> (Shown, String) {
    let mut params = ca_params("alone");
    params.subject_alt_names = vec![SanType::DnsName(NAME.try_into().unwrap())];
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (Shown { chain: vec![certificate.der().clone()], key }, certificate.pem())
}

/// Posts to a server that presents `shown`, while `ca_file` holds the PEM text `listed`.
async fn post_trusting(listed: &str, shown: Shown, host: &str) -> Result<u16, Failure> {
    let (folder, (port, _)) = (tempfile::tempdir().unwrap(), serve(shown, &[]).await);
    let dns = Dns::with_addresses(&["127.0.0.1"]).await;
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, listed).unwrap();
    let options = Options { ca_file: Some(path), ..options(&["127.0.0.1/32"], Some(dns.address)) };
    post(options, &format!("https://{host}:{port}/")).await
}

#[tokio::test]
async fn a_certificate_in_the_ca_file_is_trusted_for_its_names() {
    let (shown, pem) = alone(|_| {});
    assert_eq!(post_trusting(&pem, shown, NAME).await, Ok(204));
    let (shown, pem) = alone(|params| params.is_ca = IsCa::NoCa);
    assert_eq!(post_trusting(&pem, shown, NAME).await, Ok(204));
    let issued = shown_by_nobody_known();
    let pem = pem_of(&issued.chain[0]);
    assert_eq!(post_trusting(&pem, issued, NAME).await, Ok(204), "its issuer is not listed");
}

/// The way of a webhook with authorities of its own.
fn way_trusting(pem: &str) -> Way {
    use crate::domain::webhook::settings::{Setting, WebhookSettings};
    let tls = Setting::read("tls", &serde_json::json!({ "ca": pem }).to_string()).unwrap();
    Way::new(WebhookSettings::none().with(&[tls]).egress.as_deref(), None)
}

#[tokio::test]
async fn a_webhooks_authority_may_have_the_name_of_a_usual_one() {
    let folder = tempfile::tempdir().unwrap();
    let (usual, own) = (root(ca_params("root")), root(ca_params("root")));
    let way = way_trusting(&own.pem());
    let mut expired = leaf_params(&[NAME]);
    expired.not_after = date_time_ymd(2020, 1, 1);
    let with = async |shown: Shown| {
        let (port, _) = serve(shown, &[]).await;
        let (options, _dns) = trusting(&usual, folder.path()).await;
        post_by(&way, options, &format!("https://{NAME}:{port}/")).await.map_err(|failure| failure.detail)
    };
    for known in [&usual, &own] {
        assert_eq!(with(shown(known, &leaf_params(&[NAME]), &[])).await, Ok(204));
        let told = with(shown(known, &expired, &[])).await.unwrap_err();
        assert!(told.contains("it has expired"), "{told}");
    }
    let told = with(shown(&own, &leaf_params(&["other.test"]), &[])).await.unwrap_err();
    assert!(told.contains("it is for"), "the own authority's word is the more specific: {told}");
}

fn shown_by_nobody_known() -> Shown {
    shown(&root(ca_params("unknown")), &leaf_params(&[NAME]), &[])
}

fn pem_of(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[tokio::test]
async fn a_listed_certificate_is_trusted_for_nothing_else() {
    let refused = |listed: String, shown: Shown, host: &'static str| async move {
        post_trusting(&listed, shown, host).await.unwrap_err().detail
    };
    let (shown, pem) = alone(|_| {});
    let detail = refused(pem.clone(), shown, "other.example.test").await;
    assert!(detail.contains("another host"), "{detail}");
    let (other, _) = alone(|_| {});
    let detail = refused(pem, other, NAME).await;
    assert!(detail.contains("refused"), "one of the same name, with another key: {detail}");
    let (expired, pem) = alone(|params| params.not_after = date_time_ymd(2020, 1, 1));
    let detail = refused(pem, expired, NAME).await;
    assert!(detail.contains("it has expired"), "{detail}");
    let (unlisted, _) = alone(|_| {});
    let (_, listed) = alone(|params| params.distinguished_name.push(DnType::CommonName, "someone else"));
    let detail = refused(listed, unlisted, NAME).await;
    assert!(detail.contains("authority's certificate") || detail.contains("issuer is not trusted"), "{detail}");
}

/// A server of one TLS version that demands a certificate of the client.
async fn demanding(version: &'static rustls::SupportedProtocolVersion, folder: &Path) -> (Options, Dns, u16) {
    let ca = root(ca_params("root"));
    let shown = shown(&ca, &leaf_params(&[NAME]), &[]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(shown.key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let config = builder.with_client_cert_verifier(clients).with_single_cert(shown.chain, key).unwrap();
    let (listener, acceptor) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TlsAcceptor::from(Arc::new(config)));
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            drop(acceptor.accept(tcp).await);
        }
    });
    let (options, dns) = trusting(&ca, folder).await;
    (options, dns, port)
}

/// In TLS 1.3 the server refuses only after the handshake has ended for the client.
#[tokio::test]
async fn a_demand_for_a_client_certificate_is_told_as_one() {
    let folder = tempfile::tempdir().unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (options, _dns, port) = demanding(version, folder.path()).await;
        let failure = post(options, &format!("https://{NAME}:{port}/")).await.unwrap_err();
        assert_eq!(
            failure,
            Failure::new(Class::Tls, format!("{NAME}: the endpoint demands a client certificate")),
            "{version:?}"
        );
    }
}

#[tokio::test]
async fn plain_text_behind_a_handshake_is_told_as_a_fault_of_tls() {
    let folder = tempfile::tempdir().unwrap();
    let ca = root(ca_params("root"));
    let shown = shown(&ca, &leaf_params(&[NAME]), &[]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(shown.key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(rustls::DEFAULT_VERSIONS).unwrap();
    let config = builder.with_no_client_auth().with_single_cert(shown.chain, key).unwrap();
    let (listener, acceptor) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TlsAcceptor::from(Arc::new(config)));
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut tls = acceptor.accept(tcp).await.unwrap();
        let _ = tls.read(&mut [0; 4_096]).await;
        tls.get_mut().0.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    let (options, _dns) = trusting(&ca, folder.path()).await;
    let failure = post(options, &format!("https://{NAME}:{port}/")).await.unwrap_err();
    assert_eq!(failure, Failure::new(Class::Tls, format!("{NAME} sent what is not TLS over an encrypted connection")));
}

#[tokio::test]
async fn a_chain_of_a_mebibyte_is_told_as_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let ca = root(ca_params("root"));
    let mut long = shown(&ca, &leaf_params(&[NAME]), &[]);
    let bytes = long.chain[0].len();
    long.chain.extend(std::iter::repeat_n(long.chain[0].clone(), (1 << 20) / bytes));
    let (port, _) = serve(long, &[]).await;
    let (options, _dns) = trusting(&ca, folder.path()).await;
    let failure = post(options, &format!("https://{NAME}:{port}/")).await.unwrap_err();
    assert!(failure.class == Class::Tls && failure.detail.contains("certificate chain is too long"), "{failure}");
}

#[tokio::test]
async fn a_certificate_of_no_known_authority_is_refused_without_a_ca_file() {
    let ca = root(ca_params("root"));
    let (port, heard) = serve(shown(&ca, &leaf_params(&["127.0.0.1"]), &[]), &[]).await;
    let failure = failure(options(&["127.0.0.1/32"], None), &format!("https://127.0.0.1:{port}/")).await;
    assert!(failure.class == Class::Tls && failure.detail.contains("issuer is not trusted"), "{failure}");
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_server_without_http_1_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ca = root(ca_params("root"));
    let (port, _) = serve(shown(&ca, &leaf_params(&[NAME]), &[]), &[b"h2"]).await;
    let (options, _dns) = trusting(&ca, folder.path()).await;
    assert_eq!(post(options, &format!("https://{NAME}:{port}/")).await.unwrap_err().class, Class::Tls);
}

#[tokio::test]
async fn a_peer_without_tls_is_refused() {
    // TLS 1.0 and older are refused by an alert. A server that knows nothing newer answers with the same alert.
    let old = &b"\x15\x03\x01\x00\x02\x02\x46"[..];
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        old,
        &[0x16, 0x03, 0x01, 0xff, 0xff, 2, 0xff, 0xff, 0xff],
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1_024]).await;
            stream.write_all(answer).await.unwrap();
        });
        let failure = failure(options(&["127.0.0.1/32"], None), &url).await;
        assert_eq!(failure.class, Class::Tls, "{:?}: {failure}", answer.escape_ascii().to_string());
        if answer.starts_with(b"HTTP") {
            assert_eq!(failure.detail, "127.0.0.1 does not speak TLS on this port (is it an http:// address?)");
        }
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_is_given_up() {
    let canary = Canary::listen("127.0.0.1:0").await;
    let failure = failure(options(&["127.0.0.1/32"], None), &format!("https://{}/", canary.address)).await;
    assert_eq!(failure, Failure::new(Class::Timeout, "the TLS handshake took longer than 800ms"));
}

/// The variable is read once a process, so the check runs in a process of its own.
#[tokio::test]
async fn ssl_cert_file_takes_the_place_of_the_systems_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let ca = root(ca_params("root"));
    let (port, _) = serve(shown(&ca, &leaf_params(&["127.0.0.1"]), &[]), &[]).await;
    let path = folder.path().join("roots.pem");
    std::fs::write(&path, ca.pem()).unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "--ignored", "deliver::connect::tests::tls::reaches_the_port_of_its_parent"]);
    child.env("SSL_CERT_FILE", path).env("PARENT_PORT", port.to_string());
    let ran = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "run by ssl_cert_file_takes_the_place_of_the_systems_certificates"]
async fn reaches_the_port_of_its_parent() {
    let port = std::env::var("PARENT_PORT").unwrap();
    assert_eq!(post(options(&["127.0.0.1/32"], None), &format!("https://127.0.0.1:{port}/")).await, Ok(204));
}

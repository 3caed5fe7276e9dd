//! TLS to an endpoint: the system's certificates and the operator's, TLS 1.2 and 1.3, HTTP/1.1 only.
//!
//! There is no setting to skip verification, and no check of revocation: the platform verifier has none on Linux.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, DEFAULT_VERSIONS};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Error;
use crate::domain::outcome::{Class, Failure};
use crate::domain::target::Host;

/// A connector that trusts the system's certificates (or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name in their place)
/// and those in `ca_file`.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, Error> {
    let provider = Arc::new(ring::default_provider());
    let extra = ca_file.map(certificates).transpose()?.unwrap_or_default();
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider)).map_err(Error::Roots)?;
    Ok(TlsConnector::from(Arc::new(config(provider, verifier)?)))
}

fn config(provider: Arc<CryptoProvider>, verifier: Verifier) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(DEFAULT_VERSIONS)
        .map_err(Error::Roots)?
        .dangerous() // so called because a verifier can be wrong; this one is the platform's
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |source| Error::CaFile { path: path.to_owned(), source };
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match read.map_err(unreadable)? {
        none if none.is_empty() => Err(Error::NoCertificate { path: path.to_owned() }),
        some => Ok(some),
    }
}

/// Shakes hands; the certificate must be for `host`, which is also the name sent (SNI, RFC 6066 section 3).
pub(super) async fn handshake(tls: &TlsConnector, host: &Host, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
    tls.connect(server_name(host)?, tcp).await.map_err(|error| failure(host, &error))
}

fn server_name(host: &Host) -> Result<ServerName<'static>, Failure> {
    match host {
        Host::Ip(ip) => Ok(ServerName::IpAddress((*ip).into())),
        Host::Domain(name) => ServerName::try_from(name.to_string())
            .map_err(|_| Failure::new(Class::Tls, format!("no certificate can be for the name {name}"))),
    }
}

fn failure(host: &Host, error: &io::Error) -> Failure {
    let text = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => format!("the certificate that {host} showed is refused: {}", cause(why)),
        Some(rustls::Error::InvalidMessage(_)) => format!("{host} does not speak TLS on this port"),
        Some(other) => format!("the TLS handshake with {host} failed: {other}"),
        None => format!("{host} ended the connection during the TLS handshake"),
    };
    Failure::new(Class::Tls, text)
}

/// What is wrong with a certificate, in words that its owner can act on.
fn cause(why: &CertificateError) -> String {
    use CertificateError::*;
    let text = match why {
        Expired | ExpiredContext { .. } => "it has expired",
        NotValidYet | NotValidYetContext { .. } => "it is not valid yet",
        NotValidForNameContext { presented, .. } if presented.is_empty() => "it names no host (a common name does not count)",
        NotValidForNameContext { presented, .. } => return format!("it is for {}", presented.join(", ")),
        UnknownIssuer => "its issuer is not trusted, or the server does not send an intermediate certificate",
        BadSignature => "its signature is not its issuer's",
        InvalidPurpose | InvalidPurposeContext { .. } => "it is not for servers",
        // The verifier wraps the wrong purpose and what WebPKI alone knows; the innermost text is the plain one.
        Other(other) => return other.0.to_string(),
        _ => return why.to_string(),
    };
    text.to_owned()
}

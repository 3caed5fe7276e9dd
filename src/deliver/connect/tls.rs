//! TLS to an endpoint: trusts the system's certificates and the operator's; speaks TLS 1.2 and 1.3 with HTTP/1.1 only.
//!
//! No setting skips verification. Revocation is not checked, since the platform verifier does not check it on Linux.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, DEFAULT_VERSIONS};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Error;
use super::pinned::Pinned;
use crate::deliver::connect::tls_words;
use crate::domain::delivery::outcome::{Class, Failure};
use crate::domain::webhook::target::Host;

/// A TLS connector that trusts the certificates in `ca_file`, and the system's or those that `SSL_CERT_FILE` and `SSL_CERT_DIR`
/// name in their place.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, Error> {
    let provider = Arc::new(ring::default_provider());
    let listed = ca_file.map(certificates).transpose()?.unwrap_or_default();
    let platform = Verifier::new_with_extra_roots(listed.iter().cloned(), Arc::clone(&provider)).map_err(Error::Roots)?;
    let verifier = Pinned { platform, listed };
    Ok(TlsConnector::from(Arc::new(config(provider, verifier)?)))
}

fn config(provider: Arc<CryptoProvider>, verifier: Pinned) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(DEFAULT_VERSIONS)
        .map_err(Error::Roots)?
        .dangerous() // so called because a verifier can be wrong; this one asks the platform's
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::CaFile { path: path.to_owned(), source })?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match read {
        Ok(none) if none.is_empty() => Err(Error::NoCertificate { path: path.to_owned() }),
        Ok(all) if all.iter().all(|one| webpki::anchor_from_trusted_cert(one).is_ok()) => Ok(all),
        _ => Err(Error::BadCertificate { path: path.to_owned() }),
    }
}

/// Shakes hands. The certificate must be for `host`, which is also the name that is sent (SNI, RFC 6066 section 3).
pub(super) async fn handshake(tls: &TlsConnector, host: &Host, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
    let refused = |error| Failure::new(Class::Tls, tls_words::of_handshake(host, &error));
    let mut stream = tls.connect(server_name(host)?, tcp).await.map_err(refused)?;
    stream.get_mut().1.set_buffer_limit(Some(SEALED_BYTES_MAX));
    Ok(stream)
}

fn server_name(host: &Host) -> Result<ServerName<'static>, Failure> {
    match host {
        Host::Ip(ip) => Ok(ServerName::IpAddress((*ip).into())),
        Host::Domain(name) => ServerName::try_from(name.to_string())
            .map_err(|_| Failure::new(Class::Tls, format!("no certificate can be for the name {name}"))),
    }
}

/// The most encrypted bytes that one connection holds until they are sent: one record. The library's own bound is four times as
/// much, which a copy of each body under way would fill.
const SEALED_BYTES_MAX: usize = 16 * 1024;

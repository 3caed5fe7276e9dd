//! TLS to an endpoint: trusts the system's certificates and the operator's; speaks TLS 1.2 and 1.3 with HTTP/1.1 only.
//!
//! No setting skips verification. Revocation is not checked, since the platform verifier does not check it on Linux.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DEFAULT_VERSIONS, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Error;
use super::pinned::{Either, Pinned};
use crate::deliver::connect::tls_words;
use crate::domain::delivery::outcome::{Class, Failure};
use crate::domain::webhook::egress::{OwnTls, TlsId};
use crate::domain::webhook::target::Host;

/// Makes TLS connectors: one for all webhooks without TLS of their own, and one for each other TLS.
pub(super) struct Tls {
    provider: Arc<CryptoProvider>,
    verifier: Arc<Pinned>,
    usual: TlsConnector,
    /// Connectors are kept since they remember sessions. Each shows one certificate, so no webhook shows that of another.
    own: Mutex<HashMap<TlsId, TlsConnector>>,
}

impl Tls {
    /// Trusts the certificates in `ca_file`, and the system's or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name in their place.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let listed = ca_file.map(certificates).transpose()?.unwrap_or_default();
        let platform = Verifier::new_with_extra_roots(listed.iter().cloned(), Arc::clone(&provider)).map_err(Error::Roots)?;
        let verifier = Arc::new(Pinned { platform: Arc::new(platform), listed });
        let usual = TlsConnector::from(Arc::new(config(&provider, verifier.clone(), None).map_err(Error::Roots)?));
        Ok(Self { provider, verifier, usual, own: Mutex::default() })
    }

    /// The connector for a webhook with this TLS of its own, or for one without.
    pub(super) fn connector(&self, own: Option<&OwnTls>) -> Result<TlsConnector, Failure> {
        let Some(own) = own else { return Ok(self.usual.clone()) };
        let mut kept = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = kept.get(&own.id()) {
            return Ok(connector.clone());
        }
        let unusable = |_| Failure::new(Class::Tls, "the client certificate or the authorities of this webhook cannot be used");
        let connector = TlsConnector::from(Arc::new(self.own_config(own).map_err(unusable)?));
        if kept.len() >= OWN_KEPT_MAX {
            kept.clear();
        }
        kept.insert(own.id(), connector.clone());
        Ok(connector)
    }

    fn own_config(&self, own: &OwnTls) -> Result<ClientConfig, rustls::Error> {
        let verifier: Arc<dyn ServerCertVerifier> = match own.authorities() {
            [] => self.verifier.clone(),
            authorities => Arc::new(Either { usual: self.verifier.clone(), own: self.trusting(authorities)? }),
        };
        let mut config = config(&self.provider, verifier, own.certified())?;
        config.resumption = Resumption::in_memory_sessions(OWN_SESSIONS);
        Ok(config)
    }

    /// Trusts these authorities, and these certificates themselves.
    fn trusting(&self, authorities: &[CertificateDer<'static>]) -> Result<Pinned, rustls::Error> {
        let mut roots = RootCertStore::empty();
        authorities.iter().try_for_each(|authority| roots.add(authority.clone()))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider)).build();
        let verifier = verifier.map_err(|_| rustls::Error::General("no authority can be used".into()))?;
        Ok(Pinned { platform: verifier, listed: authorities.to_vec() })
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    certified: Option<&Arc<CertifiedKey>>,
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(DEFAULT_VERSIONS)?
        .dangerous() // so called because a verifier can be wrong; these ask the platform's, or rustls' own
        .with_custom_certificate_verifier(verifier);
    let mut config = match certified {
        None => builder.with_no_client_auth(),
        Some(certified) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(certified)))),
    };
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

/// How many connectors with TLS of a webhook's own are kept. Beyond it all are made anew when they are needed.
const OWN_KEPT_MAX: usize = 1_024;

/// How many sessions such a connector remembers. Most lead to one endpoint.
const OWN_SESSIONS: usize = 8;

//! Trusts the certificates of `ca_file` themselves, besides certificates that its authorities or the system's have issued.
//!
//! A certificate as `openssl req -x509` makes it signs itself and says that it is an authority, which no server's certificate may
//! say. Whoever lists that very certificate has decided to trust it, so it is trusted for the names that stand in it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use webpki::EndEntityCert;

/// A verifier that asks authorities, and certificates that are trusted although no authority issued them.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) platform: Arc<dyn ServerCertVerifier>,
    pub(super) listed: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.platform.verify_server_cert(shown, intermediates, name, ocsp_response, now);
        match verified {
            Err(why) if has_no_issuer(&why) && self.listed.iter().any(|listed| listed == shown) => {
                is_for(shown, name).then(ServerCertVerified::assertion).ok_or(CertificateError::NotValidForName.into())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.platform.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.platform.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.platform.supported_verify_schemes()
    }
}

/// Trusts what is trusted for every webhook, and what one webhook trusts besides.
#[derive(Debug)]
pub(super) struct Either {
    pub(super) usual: Arc<Pinned>,
    pub(super) own: Pinned,
}

impl ServerCertVerifier for Either {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usual = self.usual.verify_server_cert(shown, intermediates, name, ocsp_response, now);
        // An own authority may have the name of a usual one, whose key does not fit then. So it is asked after every failure.
        usual.or_else(|usual| {
            let own = self.own.verify_server_cert(shown, intermediates, name, ocsp_response, now);
            own.map_err(|own| if has_no_issuer(&own) { usual } else { own })
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// Whether a certificate was refused only for its issuer. Its dates are judged before that, so an expired certificate is reported
/// as expired.
fn has_no_issuer(why: &Error) -> bool {
    match why {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

fn is_for(shown: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    EndEntityCert::try_from(shown).is_ok_and(|cert| cert.verify_is_valid_for_subject_name(name).is_ok())
}

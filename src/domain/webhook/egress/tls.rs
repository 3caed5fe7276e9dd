//! The TLS of a webhook: a certificate by which the endpoint knows the relay, and authorities that the relay trusts for it.

mod pem;

use std::fmt;
use std::sync::Arc;

use rustls::InconsistentKeys;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::secret;
use crate::domain::refusal::Refusal;
use crate::domain::text::mask::mask;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::read::{Object, Read, text};

/// A client certificate with its key, authorities, or both. All of it was read and fits together.
#[derive(Clone)]
pub(crate) struct OwnTls {
    /// The sections that were given, written anew as PEM, by the names of their texts.
    given: Given,
    certified: Option<Arc<CertifiedKey>>,
    authorities: Vec<CertificateDer<'static>>,
    id: TlsId,
}

#[derive(Clone)]
struct Given {
    client_cert: Option<Box<str>>,
    client_key: Option<Secret>,
    ca: Option<Box<str>>,
}

/// What tells two of them apart: a hash over all texts, the key among them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TlsId([u8; 32]);

/// The hash is made of a key too, so it reaches no log.
impl fmt::Debug for TlsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsId(…)")
    }
}

impl OwnTls {
    /// Reads `{"client_cert", "client_key", "ca"}`, each a PEM text.
    ///
    /// Fails with what is wrong, each fault with its pointer inside the object.
    pub(super) fn read(raw: &str) -> Read<Self> {
        let mut object = Object::read(raw)?;
        let (has_cert, has_key) = (object.has(CERT), object.has(KEY));
        let cert = object.take(CERT, |raw| pem::certificates(&text(raw)?));
        let key = object.take(KEY, |raw| pem::private_key(secret(raw)?.expose()));
        let ca = object.take(CA, |raw| pem::authorities(&text(raw)?));
        let missing = match (has_cert, has_key) {
            (true, false) => Some(KEY),
            (false, true) => Some(CERT),
            (false, false) if !object.has(CA) => Some(CERT),
            _ => None,
        };
        object.finish(Some(()))?;
        if let Some(name) = missing {
            return Err(vec![Refusal::new("", "is missing").inside(name)]);
        }
        let (chain, client_cert) = cert.unzip();
        let (key, client_key) = key.unzip();
        let certified = chain.zip(key).map(|(chain, key)| fitted(chain, key)).transpose()?;
        let (authorities, ca) = ca.unzip();
        Ok(Self::new(Given { client_cert, client_key, ca }, certified, authorities.unwrap_or_default()))
    }

    fn new(given: Given, certified: Option<Arc<CertifiedKey>>, authorities: Vec<CertificateDer<'static>>) -> Self {
        let mut hash = Sha256::new();
        for part in [given.client_cert.as_deref(), given.client_key.as_ref().map(Secret::expose), given.ca.as_deref()] {
            // The length stands before each part, so that no two lists of parts are the same bytes.
            hash.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
            hash.update(part.unwrap_or_default());
        }
        Self { given, certified, authorities, id: TlsId(hash.finalize().into()) }
    }

    /// The settings as JSON, which [`Self::read`] reads.
    pub(super) fn json(&self) -> Secret {
        Secret::new(self.object(|key| key.expose().to_owned()))
    }

    /// The settings as JSON with a masked key. Certificates are no secrets.
    pub(super) fn masked_json(&self) -> String {
        self.object(|key| mask(key.expose()))
    }

    fn object(&self, print: impl Fn(&Secret) -> String) -> String {
        let Given { client_cert, client_key, ca } = &self.given;
        let texts = [
            (CA, ca.as_deref().map(Into::into)),
            (CERT, client_cert.as_deref().map(Into::into)),
            (KEY, client_key.as_ref().map(print)),
        ];
        let members = texts.into_iter().filter_map(|(name, text): (_, Option<String>)| Some((name.to_owned(), text?.into())));
        Value::Object(members.collect::<Map<_, _>>()).to_string()
    }

    pub(crate) fn id(&self) -> TlsId {
        self.id
    }

    /// The certificate and key that the relay shows when the endpoint asks for some.
    pub(crate) fn certified(&self) -> Option<&Arc<CertifiedKey>> {
        self.certified.as_ref()
    }

    /// Whom the relay trusts besides the authorities that it trusts for every webhook.
    pub(crate) fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }
}

impl PartialEq for OwnTls {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// The key never reaches a log.
impl fmt::Debug for OwnTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = self.certified.as_ref().map_or(0, |certified| certified.cert.len());
        write!(f, "OwnTls({chain} certificates of the client, {} authorities)", self.authorities.len())
    }
}

/// Puts a chain and a key together. The key must be that of the chain's first certificate.
fn fitted(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Read<Arc<CertifiedKey>> {
    let wrong = |name, reason| vec![Refusal::new("", reason).inside(name)];
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map(Arc::new).map_err(|cause| match cause {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            wrong(KEY, "is not the key of the first certificate in client_cert")
        }
        rustls::Error::InvalidCertificate(_) => wrong(CERT, "begins with a certificate that cannot be read"),
        _ => wrong(KEY, "cannot be used; RSA of 2048 bits or more, ECDSA P-256, P-384 and Ed25519 are taken"),
    })
}

const CERT: &str = "client_cert";
const KEY: &str = "client_key";
const CA: &str = "ca";

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn identity() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["client.test".to_owned()]).expect("made");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn json(members: &[(&str, &str)]) -> String {
        Value::Object(members.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect()).to_string()
    }

    fn told(members: &[(&str, &str)]) -> Vec<String> {
        let refusals = OwnTls::read(&json(members)).expect_err("wrong");
        refusals.into_iter().map(|refusal| format!("{} {}", refusal.pointer, refusal.reason)).collect()
    }

    #[test]
    fn a_certificate_reads_back_and_its_key_is_shown_nowhere() {
        let (cert, key) = identity();
        let raw = json(&[(CERT, &cert), (KEY, &key), (CA, &cert)]);
        let tls = OwnTls::read(&raw).expect("valid");
        assert_eq!((tls.json().expose(), tls.authorities().len()), (&*raw, 1));
        let inner = key.lines().nth(1).expect("base64");
        let shown = format!("{} {tls:?}", tls.masked_json());
        assert!(shown.contains(&format!(r#""client_key":"---…({})""#, key.len())) && !shown.contains(inner), "{shown}");
        assert!(tls.certified().is_some());
        let only = OwnTls::read(&json(&[(CA, &cert)])).expect("valid");
        assert!(only.certified().is_none() && only != tls);
    }

    #[test]
    fn nothing_around_the_sections_is_kept() {
        let (cert, key) = identity();
        let around = |pem: &str| format!("Bag Attributes\n  friendlyName: of the client\n# subject=CN\n{pem}# the end\n");
        let bare = OwnTls::read(&json(&[(CERT, &cert), (KEY, &key), (CA, &cert)])).expect("valid");
        let tls = OwnTls::read(&json(&[(CERT, &around(&cert)), (KEY, &around(&key)), (CA, &around(&cert))])).expect("valid");
        assert_eq!((tls.json().expose(), tls.masked_json()), (bare.json().expose(), bare.masked_json()));
        assert_eq!(tls, bare);
    }

    #[test]
    fn a_section_in_the_wrong_text_is_refused() {
        let (cert, key) = identity();
        let (both, indented) = (format!("{cert}{key}"), format!("{cert}{}", key.replace("-----BEGIN", " -----BEGIN")));
        let other = format!("{cert}-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n");
        for (members, why) in [
            (
                &[(CERT, &*both), (KEY, &*key)][..],
                "/client_cert holds a private key, which would be shown in answers; its place is client_key",
            ),
            (&[(CERT, &indented), (KEY, &key)], "/client_cert holds a private key"),
            (&[(CA, &both)], "/ca holds a private key, which would be shown in answers; its place is client_key"),
            (&[(CA, &other)], "/ca holds a section that is no CERTIFICATE"),
            (&[(CERT, &cert), (KEY, &both)], "/client_key holds another section besides the private key"),
            (&[(CERT, &cert), (KEY, &key.repeat(2))], "/client_key holds 2 private keys"),
        ] {
            let told = told(members);
            assert!(told.len() == 1 && told[0].starts_with(why), "wanted {why}: {told:?}");
        }
        let parameters = format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{key}");
        assert!(OwnTls::read(&json(&[(CERT, &cert), (KEY, &parameters)])).is_ok());
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_pointer() {
        let ((cert, key), (_, other)) = (identity(), identity());
        let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for (members, why) in [
            (&[(CERT, &*cert), (KEY, &*other)][..], "/client_key is not the key of the first certificate"),
            (&[(CERT, &cert)], "/client_key is missing"),
            (&[(KEY, &key)], "/client_cert is missing"),
            (&[], "/client_cert is missing"),
            (&[(CERT, ""), (KEY, &key)], "/client_cert is empty"),
            (&[(CERT, &cert), (KEY, "")], "/client_key is empty"),
            (&[(CA, &"x".repeat(16_385))], "/ca has 16385 bytes; at most 16 KiB are taken"),
            (&[(CERT, &cert), (KEY, &"x".repeat(16_385))], "/client_key has 16385 bytes; at most 16 KiB are taken"),
            (&[(CERT, "text"), (KEY, &key)], "/client_cert holds no certificate"),
            (&[(CERT, bad), (KEY, &key)], "/client_cert begins with a certificate that cannot be read"),
            (&[(CERT, &cert), (KEY, &cert)], "/client_key holds no private key"),
            (&[(CERT, &cert), (KEY, encrypted)], "/client_key is encrypted"),
            (&[(CERT, &cert), (KEY, "---…(241)")], "/client_key is masked"),
            (&[(CA, bad)], "/ca holds a certificate that cannot be read, number 1"),
            (&[(CA, &cert), ("cert", "x")], "/cert is unknown"),
        ] {
            let told = told(members);
            assert!(told.len() == 1 && told[0].starts_with(why), "wanted {why}: {told:?}");
        }
    }
}

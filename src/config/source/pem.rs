//! PEM files: the certificates that are trusted besides the system's, and the certificate and key of the listener.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::InconsistentKeys;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::files::{self, Contents, shown};
use super::secret_file::{check_mode, noted};
use crate::config::checked::Tls;
use crate::config::fault::{Faults, Placed, Remedy};
use crate::config::table::value::Wrong;
use crate::domain::units::Size;

type Chain = Vec<CertificateDer<'static>>;
type Key = PrivateKeyDer<'static>;

/// Reads a file of certificates, with at least one in it.
pub(crate) fn certificates(file: &Placed<PathBuf>, faults: &mut Faults) -> Option<Chain> {
    let read = contents(&file.value).and_then(|contents| chain(&file.value, &contents.bytes));
    noted(read, file, faults)
}

/// Reads a file of certificates that are trusted, with at least one in it.
pub(crate) fn trusted_certificates(file: &Placed<PathBuf>, faults: &mut Faults) -> Option<Chain> {
    let read = contents(&file.value).and_then(|contents| chain(&file.value, &contents.bytes));
    noted(read.and_then(|chain| trusted(&file.value, chain)), file, faults)
}

/// Reads a file with a private key, which others can neither read nor change.
pub(crate) fn private_key(file: &Placed<PathBuf>, faults: &mut Faults) -> Option<Key> {
    let read = contents(&file.value).and_then(|contents| {
        check_mode(&file.value, contents.mode)?;
        key(&file.value, &contents.bytes)
    });
    noted(read, file, faults)
}

/// Puts a chain and a key together. The key must be that of the chain's first certificate, else it is a fault.
pub(crate) fn tls(cert: (&Placed<PathBuf>, Chain), key: (&Placed<PathBuf>, Key), faults: &mut Faults) -> Option<Tls> {
    let fitted = CertifiedKey::from_der(cert.1, key.1, &ring::default_provider());
    let fitted = fitted.map_err(|cause| misfit(&cert.0.value, &key.0.value, &cause));
    noted(fitted, cert.0, faults).map(|fitted| Tls(Arc::new(fitted)))
}

fn contents(path: &Path) -> Result<Contents, Wrong> {
    files::read(path, FILE_MAX).map_err(|error| {
        let remedy = error.remedy(path, Remedy::advice("name a PEM file that exists"));
        Wrong::new(format!("cannot read {}: {error}", path.display()), remedy)
    })
}

fn chain(path: &Path, bytes: &[u8]) -> Result<Chain, Wrong> {
    let remedy = || Remedy::advice("a certificate stands between -----BEGIN CERTIFICATE----- and its end");
    let wrong = |what: &str| Wrong::new(format!("{} {what}", path.display()), remedy());
    let read: Result<Chain, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match read {
        Ok(chain) if chain.is_empty() => Err(wrong("holds no certificate")),
        read => read.map_err(|_| wrong("holds a certificate that is not PEM")),
    }
}

/// Refuses certificates of which one cannot be parsed as a trusted one.
fn trusted(path: &Path, chain: Chain) -> Result<Chain, Wrong> {
    let unreadable = chain.iter().position(|certificate| webpki::anchor_from_trusted_cert(certificate).is_err());
    let wrong = |at: usize| {
        let message = format!("certificate {} in {} cannot be read", at + 1, path.display());
        Wrong::new(message, Remedy::run(format!("openssl storeutl -noout -text -certs {}", shown(path))))
    };
    unreadable.map_or(Ok(chain), |at| Err(wrong(at)))
}

fn key(path: &Path, bytes: &[u8]) -> Result<Key, Wrong> {
    let remedy = Remedy::advice("it stands unencrypted between -----BEGIN PRIVATE KEY----- and its end");
    PrivateKeyDer::from_pem_slice(bytes).map_err(|_| Wrong::new(format!("{} holds no private key", path.display()), remedy))
}

fn misfit(cert: &Path, key: &Path, cause: &rustls::Error) -> Wrong {
    let (look, cert, key) = (shown(cert), cert.display(), key.display());
    match cause {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Wrong::new(
            format!("the key in {key} is not that of the first certificate in {cert}"),
            Remedy::advice("the server's own certificate comes first, and the key is the one that it was made with"),
        ),
        rustls::Error::InvalidCertificate(_) => Wrong::new(
            format!("the first certificate in {cert} cannot be read"),
            Remedy::run(format!("openssl x509 -noout -text -in {look}")),
        ),
        _ => Wrong::new(
            format!("the key in {key} cannot be used"),
            Remedy::advice("RSA takes 2048 bits or more; ECDSA P-256, P-384 and Ed25519 work too"),
        ),
    }
}

/// The largest file of certificates: far above Debian's bundle of all authorities, which has some 220 KiB.
const FILE_MAX: Size = Size::mib(4);

#[cfg(test)]
mod tests {
    use crate::config::fixture::{Folder, certificate};

    fn loaded(cert: &str, key: &str) -> Result<(), String> {
        let folder = Folder::new("[server]\ntls_cert = \"tls/cert.pem\"\ntls_key = \"tls/key.pem\"\n");
        folder.write("tls/cert.pem", cert, 0o644);
        folder.write("tls/key.pem", key, 0o600);
        folder.load().map(drop).map_err(|faults| folder.relative(&faults.to_string()))
    }

    #[test]
    fn a_chain_goes_with_the_key_of_its_first_certificate() {
        let ((cert, key), (other, other_key)) = (certificate(), certificate());
        assert_eq!(loaded(&(cert.clone() + &other), &key), Ok(()));
        let printed = loaded(&(cert + &other), &other_key).expect_err("the second one's key");
        let wanted = "error: the key in tls/key.pem is not that of the first certificate in tls/cert.pem; ";
        assert!(printed.starts_with(wanted) && printed.ends_with("   hookwheel.toml:2:12"), "{printed}");
    }

    #[test]
    fn what_only_looks_like_pem_is_refused_where_it_is_named() {
        let (cert, key) = certificate();
        let block = |of: &str| format!("-----BEGIN {of}-----\nAAAA\n-----END {of}-----\n");
        let printed = loaded(&block("CERTIFICATE"), &key).expect_err("no certificate");
        assert!(printed.contains("the first certificate in tls/cert.pem cannot be read"), "{printed}");
        let printed = loaded(&cert, &block("PRIVATE KEY")).expect_err("no key");
        assert!(printed.contains("the key in tls/key.pem cannot be used"), "{printed}");
    }
}

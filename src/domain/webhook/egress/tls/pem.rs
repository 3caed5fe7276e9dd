//! Reads the PEM texts of a webhook's TLS, each of which may hold one kind of section only, and writes the sections anew.
//!
//! Bundles often have remarks between their sections, and some have a private key beside the certificates. Certificates are shown in
//! answers and logs, so a text is never kept as it was given: nothing remains of it but the sections that were read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::read::{Read, refused};

/// Reads a text of certificates, the first of which is that of the client. Returns them, and their sections written anew.
///
/// Fails when the text is empty, too long, or holds no certificate or anything else in a section.
pub(super) fn certificates(text: &str) -> Read<(Vec<CertificateDer<'static>>, Box<str>)> {
    let all = listed(text)?;
    let anew: String = all.iter().map(|certificate| section(CERTIFICATE, certificate).to_string()).collect();
    Ok((all, anew.into()))
}

/// Reads a text of certificates, each of which can be that of an authority.
///
/// Fails as [`certificates`] does, and when a certificate cannot be read.
pub(super) fn authorities(text: &str) -> Read<(Vec<CertificateDer<'static>>, Box<str>)> {
    let (all, anew) = certificates(text)?;
    match all.iter().position(|one| webpki::anchor_from_trusted_cert(one).is_err()) {
        Some(at) => Err(refused(format!("holds a certificate that cannot be read, number {}", at + 1))),
        None => Ok((all, anew)),
    }
}

/// Reads a text of one unencrypted private key. Parameters of its curve may stand before it, as `openssl ecparam` writes them.
///
/// Fails when the text is empty, too long, or holds no private key, more than one, or anything else in a section.
pub(super) fn private_key(text: &str) -> Read<(PrivateKeyDer<'static>, Secret)> {
    let no_key = "holds no private key; one stands unencrypted between -----BEGIN PRIVATE KEY----- and its end";
    bounded(text, "is empty; it holds a private key as PEM")?;
    if text.contains("ENCRYPTED") {
        return Err(refused("is encrypted; give the key without a password, the relay seals it"));
    }
    match labels(text).filter(|label| label.ends_with(PRIVATE_KEY)).count() {
        0 => return Err(refused(no_key)),
        1 => {}
        keys => return Err(refused(format!("holds {keys} private keys; give the one of the first certificate in client_cert"))),
    }
    if labels(text).any(|label| !label.ends_with(PRIVATE_KEY) && label != EC_PARAMETERS) {
        return Err(refused("holds another section besides the private key; certificates belong in client_cert"));
    }
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| refused(no_key))?;
    let anew = Secret::new(section(label_of(&key), key.secret_der()).as_str());
    Ok((key, anew))
}

fn listed(text: &str) -> Read<Vec<CertificateDer<'static>>> {
    bounded(text, "is empty; it holds certificates as PEM")?;
    if labels(text).any(|label| label.ends_with(PRIVATE_KEY)) {
        return Err(refused("holds a private key, which would be shown in answers; its place is client_key"));
    }
    if labels(text).any(|label| label != CERTIFICATE) {
        return Err(refused(
            "holds a section that is no CERTIFICATE; only certificates belong here, and a private key in client_key",
        ));
    }
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match read {
        Ok(none) if none.is_empty() => {
            Err(refused("holds no certificate; one stands between -----BEGIN CERTIFICATE----- and its end"))
        }
        Ok(all) => Ok(all),
        Err(_) => Err(refused("holds a certificate that is not PEM")),
    }
}

fn bounded(text: &str, empty: &'static str) -> Read<()> {
    match text.len() {
        0 => Err(refused(empty)),
        bytes if bytes > PEM_BYTES_MAX => Err(refused(format!("has {bytes} bytes; at most 16 KiB are taken"))),
        _ => Ok(()),
    }
}

/// What each section of the text says that it is.
fn labels(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '\r']).filter_map(|line| line.trim().strip_prefix("-----BEGIN ")).map(|label| label.trim_end_matches('-'))
}

const fn label_of(key: &PrivateKeyDer<'_>) -> &'static str {
    match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => PRIVATE_KEY,
    }
}

/// One section (RFC 7468). The text may be a key, so it is wiped when it is dropped.
fn section(label: &str, der: &[u8]) -> Zeroizing<String> {
    // The room is enough, so that no piece of a key stays behind when the text grows.
    let mut text = Zeroizing::new(String::with_capacity(2 * (der.len() + LINE_BYTES + label.len()) + 64));
    text.extend(["-----BEGIN ", label, "-----\n"]);
    for line in der.chunks(LINE_BYTES) {
        STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";
const EC_PARAMETERS: &str = "EC PARAMETERS";

/// How many bytes a line of 64 characters stands for.
const LINE_BYTES: usize = 48;

/// The most bytes of one PEM text: some ten certificates. All of them are sealed anew whenever the webhook is written.
const PEM_BYTES_MAX: usize = 16 << 10;

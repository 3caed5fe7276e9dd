//! Secrets at rest: XChaCha20-Poly1305 under a master key that never stands in the store.
//!
//! The key comes from the systemd credential `master-key`, or from `PATH.key` beside the store, made at the first start and
//! readable by its owner alone.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::config::source::secret_file;
use crate::domain::webhook::secret::Secret;
use crate::store::error::Error;
use crate::store::files::{sync_folder, with_suffix};

/// Seals and opens with one master key.
pub(in crate::store) struct Sealer {
    cipher: XChaCha20Poly1305,
    /// Where the key came from, for messages.
    source: PathBuf,
    fingerprint: String,
}

impl Sealer {
    /// `credentials` is systemd's `$CREDENTIALS_DIRECTORY`.
    /// A key is made for a new store alone: another one would open nothing.
    pub(in crate::store) fn load(store: &Path, credentials: Option<&Path>, new: bool) -> Result<Self, Error> {
        let given = credentials.map(|folder| folder.join(CREDENTIAL)).filter(|path| path.exists());
        let beside = with_suffix(store, ".key");
        // Who may read a credential is systemd's to see to.
        given.is_none().then(|| check_mode(&beside)).transpose()?;
        let source = given.unwrap_or(beside);
        let key = match fs::read(&source) {
            Ok(bytes) => read_key(&source, Zeroizing::new(bytes))?,
            Err(cause) if cause.kind() == ErrorKind::NotFound && new => make_key(&source)?,
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Err(Error::WrongKey(source)),
            Err(cause) => return Err(Error::File { action: "read the master key", path: source, cause }),
        };
        let cipher = XChaCha20Poly1305::new((&*key).into());
        Ok(Self { cipher, source, fingerprint: fingerprint(&key) })
    }

    /// The beginning of a hash of the key: tells which key it is, and nothing of what it is.
    pub(in crate::store) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(in crate::store) fn source(&self) -> &Path {
        &self.source
    }

    /// The nonce, then the sealed text. `label` says what it belongs to and must be the same to open it.
    pub(in crate::store) fn seal(&self, plain: &[u8], label: &str) -> Result<Vec<u8>, Error> {
        let mut sealed = vec![0; NONCE_BYTES];
        getrandom::fill(&mut sealed)?;
        let nonce = XNonce::try_from(&*sealed).expect("it was made with that length");
        let payload = Payload { msg: plain, aad: label.as_bytes() };
        sealed.extend(self.cipher.encrypt(&nonce, payload).map_err(|_| Error::Sealed)?);
        Ok(sealed)
    }

    pub(in crate::store) fn open(&self, sealed: &[u8], label: &str) -> Result<Secret, Error> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(Error::Sealed)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| Error::Sealed)?;
        let payload = Payload { msg: sealed, aad: label.as_bytes() };
        let plain = Zeroizing::new(self.cipher.decrypt(&nonce, payload).map_err(|_| Error::Sealed)?);
        let text = std::str::from_utf8(&plain).map_err(|_| Error::Sealed)?;
        Ok(Secret::new(text))
    }
}

/// A key that others can read or change is refused, as any secret file is.
fn check_mode(source: &Path) -> Result<(), Error> {
    let Ok(found) = fs::metadata(source) else { return Ok(()) };
    let checked = secret_file::check_mode(source, found.permissions().mode() & 0o7777);
    checked.map_err(|wrong| Error::Open { why: wrong.message, remedy: wrong.remedy.line().unwrap_or_default() })
}

fn read_key(source: &Path, bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<[u8; KEY_BYTES]>, Error> {
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let fits = hex::decode_to_slice(text, &mut *key).is_ok();
    let why = format!("its master key {} must be {} hex digits", source.display(), KEY_BYTES * 2);
    if fits { Ok(key) } else { Err(Error::Foreign { path: source.into(), why }) }
}

fn fingerprint(key: &[u8; KEY_BYTES]) -> String {
    let mut hash = Sha256::new_with_prefix(FINGERPRINT_OF);
    hash.update(key);
    hex::encode(&hash.finalize()[..FINGERPRINT_BYTES])
}

fn make_key(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, Error> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *key)?;
    let text = Zeroizing::new(hex::encode(*key) + "\n");
    let fresh = with_suffix(path, ".new");
    let written = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    written().map_err(|cause| Error::File { action: "write the master key", path: path.into(), cause })?;
    sync_folder(path)?;
    Ok(key)
}

const CREDENTIAL: &str = "master-key";
const KEY_BYTES: usize = 32;

/// Stands before the key in the hash, so that the fingerprint is no hash of it that is used elsewhere.
const FINGERPRINT_OF: &[u8] = b"hookwheel master key ";

/// Enough to tell any two keys of one operator apart.
const FINGERPRINT_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;

//! Reads secrets and keys from files, and checks who may read those files and what they hold.
//!
//! No content of a file reaches an error, a log or `Debug`. Of a key its SHA-256 alone leaves this module.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::domain::access::KeyHash;
use crate::domain::webhook::secret::Secret;

use super::files::{self, Contents, made_in, shown};
use crate::config::fault::{Faults, Placed, Remedy};
use crate::config::table::value::Wrong;
use crate::domain::units::Size;

/// Reads a secret: 1 to 256 visible ASCII characters, in a file that others can neither read nor change.
pub(crate) fn secret(file: &Placed<PathBuf>, faults: &mut Faults) -> Option<Secret> {
    let recipe = Remedy::advice("put the receiver's secret into it, or leave the setting out: the relay makes a secret then");
    noted(read(&file.value, &recipe), file, faults)
}

/// Reads a key and keeps its digest. The rules are those of [`secret`], with at least 24 characters.
pub(crate) fn key(file: &Placed<PathBuf>, faults: &mut Faults) -> Option<KeyHash> {
    let (before, into) = made_in(&file.value);
    let recipe = Remedy::Run(format!("(umask 027; {before}openssl rand -hex 32{into})"));
    let key = noted(read(&file.value, &recipe), file, faults)?;
    let count = key.expose().len();
    if count < KEY_CHARS_MIN {
        let message = format!("the key in {} has {count} characters, fewer than {KEY_CHARS_MIN}", file.value.display());
        faults.add(&file.location, message, recipe);
        return None;
    }
    Some(Sha256::digest(key.expose()).into())
}

/// What was read from a file. An error is noted as a fault at the place that names the file.
pub(in crate::config) fn noted<T>(read: Result<T, Wrong>, file: &Placed<PathBuf>, faults: &mut Faults) -> Option<T> {
    read.map_err(|wrong| faults.add(&file.location, wrong.message, wrong.remedy)).ok()
}

/// Refuses a file that others can read, or that others or its group can change.
pub(crate) fn check_mode(path: &Path, mode: u32) -> Result<(), Wrong> {
    let open = [
        (OTHERS_READ, "everyone can read it"),
        (OTHERS_WRITE, "everyone can change it"),
        (GROUP_WRITE, "its group can change it"),
    ];
    let Some((_, what)) = open.iter().find(|(bit, _)| mode & bit != 0) else { return Ok(()) };
    let closed = if mode & GROUP_READ == 0 { "0600" } else { "0640" };
    let message = format!("the secret file {} has mode {mode:04o}: {what}", path.display());
    Err(Wrong::new(message, Remedy::run(format!("chmod {closed} {}", shown(path)))))
}

/// Reads a credential of any form, such as a password with spaces or a private key as PEM, from a file as private as any secret's.
pub(in crate::config) fn credential(path: &Path) -> Result<Secret, Wrong> {
    let recipe = Remedy::advice("put the credential into it, and nothing else");
    text(path, &private(path, CREDENTIAL_FILE_MAX, &recipe)?, &recipe)
}

/// Reads a certificate as PEM, which everybody may read.
pub(in crate::config) fn certificate(path: &Path) -> Result<Secret, Wrong> {
    let recipe = Remedy::advice("put the certificate into it");
    text(path, &contents(path, CREDENTIAL_FILE_MAX, &recipe)?.bytes, &recipe)
}

fn text(path: &Path, bytes: &[u8], recipe: &Remedy) -> Result<Secret, Wrong> {
    let wrong = |what: &str| Wrong::new(format!("the file {} {what}", path.display()), recipe.clone());
    match str::from_utf8(without_line_end(bytes)) {
        Ok("") => Err(wrong("is empty")),
        Ok(text) => Ok(Secret::new(text)),
        Err(_) => Err(wrong("holds no text")),
    }
}

/// Reads and checks a secret. `recipe` is the advice for a file that is missing or holds none.
fn read(path: &Path, recipe: &Remedy) -> Result<Secret, Wrong> {
    let bytes = private(path, SECRET_FILE_MAX, recipe)?;
    let wrong = |what: &str| Wrong::new(format!("the secret file {} {what}", path.display()), recipe.clone());
    match str::from_utf8(without_line_end(&bytes)) {
        Ok("") => Err(wrong("is empty")),
        Ok(text) if text.len() > SECRET_CHARS_MAX => Err(wrong("holds more than 256 characters")),
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Secret::new(text)),
        _ => Err(wrong("holds more than one word of visible ASCII characters")),
    }
}

/// The bytes of a file that others can neither read nor change.
fn private(path: &Path, bytes_max: Size, recipe: &Remedy) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    let contents = contents(path, bytes_max, recipe)?;
    let bytes = Zeroizing::new(contents.bytes);
    check_mode(path, contents.mode)?;
    Ok(bytes)
}

fn contents(path: &Path, bytes_max: Size, recipe: &Remedy) -> Result<Contents, Wrong> {
    files::read(path, bytes_max).map_err(|error| {
        let message = format!("cannot read the secret file {}: {error}", path.display());
        Wrong::new(message, error.remedy(path, recipe.clone()))
    })
}

/// The text without one line end behind it, which editors and `echo` leave.
fn without_line_end(bytes: &[u8]) -> &[u8] {
    let cut = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if cut.len() < bytes.len() { cut.strip_suffix(b"\r").unwrap_or(cut) } else { cut }
}

/// The fewest characters of a key from a file: 24 hexadecimal ones are 96 bits, beyond any guessing over the network.
const KEY_CHARS_MIN: usize = 24;

/// The most characters of a secret, which is also the bound of the API.
const SECRET_CHARS_MAX: usize = 256;

/// The largest file of a secret, in bytes: a larger one was named by mistake.
const SECRET_FILE_MAX: Size = Size::kib(4);

/// The largest file of a credential, in bytes: far above a key or a chain of certificates as PEM.
const CREDENTIAL_FILE_MAX: Size = Size::kib(64);

const GROUP_READ: u32 = 0o040;
const GROUP_WRITE: u32 = 0o020;
/// The bit of a file's mode that lets everyone read it.
pub(super) const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::fault::Location;

    /// What reading a file of that content and mode gives.
    fn try_read(content: &[u8], mode: u32) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("set");
        let mut faults = Faults::default();
        let read = secret(&Placed::new(path.clone(), Location::Default), &mut faults);
        read.map(|text| text.expose().to_owned()).ok_or_else(|| faults.to_string())
    }

    #[test]
    fn one_line_end_is_cut() {
        for content in ["abc", "abc\n", "abc\r\n"] {
            assert_eq!(try_read(content.as_bytes(), 0o600), Ok("abc".into()), "{content:?}");
        }
        assert!(try_read(b"abc\n\n", 0o600).is_err());
    }

    #[test]
    fn a_file_open_to_others_is_refused_with_the_command_that_closes_it() {
        for (mode, command) in [(0o644, "chmod 0640"), (0o604, "chmod 0600"), (0o660, "chmod 0640"), (0o602, "chmod 0600")] {
            let printed = try_read(b"abc", mode).expect_err("open");
            assert!(printed.contains(command) && printed.contains(&format!("{mode:04o}")), "{printed}");
        }
        for mode in [0o600, 0o640, 0o400, 0o440] {
            assert!(try_read(b"abc", mode).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused_and_not_repeated() {
        for content in ["", "\n", "two words", "gehe\u{ed}m", &"x".repeat(257), &"x".repeat(5_000)] {
            let printed = try_read(content.as_bytes(), 0o600).expect_err("no secret");
            assert!(content.trim().is_empty() || !printed.contains(content), "{printed}");
        }
    }

    #[test]
    fn a_key_has_at_least_24_characters_and_is_kept_as_its_digest() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("k");
        let read = |content: &str| {
            fs::write(&path, content).expect("written");
            fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("set");
            key(&Placed::new(path.clone(), Location::Default), &mut Faults::default())
        };
        assert_eq!(read(&"a".repeat(23)), None);
        let digest = Sha256::digest("a".repeat(24).as_bytes());
        assert_eq!(read(&format!("{}\n", "a".repeat(24))), Some(digest.into()));
    }
}

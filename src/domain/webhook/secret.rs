//! Signing secrets: their form, how one is made of random bytes, and which secrets of a customer are accepted.
//!
//! A secret is kept as it was written, since both sides configure that text. The signature decides which key bytes it stands for.
//! A secret is wiped when it is dropped, is compared in constant time, and prints as nothing.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret as it was written.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps any text. [`Format::accept`] decides whether a text is acceptable.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself: for the one answer that shows it, for sealing and for signing, and never for a log.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The bytes behind `whsec_`, or of the whole text when there is no such prefix, read as base64.
    pub(in crate::domain) fn base64_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        let text = self.0.strip_prefix(SYMMETRIC).unwrap_or(&self.0);
        STANDARD.decode(text).ok().map(Zeroizing::new)
    }

    /// The seed of an ed25519 key: `whsk_` and base64 of 32 bytes, or of 64 bytes with the public key behind the seed. `None` for
    /// any other secret.
    pub(in crate::domain) fn ed25519_seed(&self) -> Option<Zeroizing<[u8; SEED_BYTES]>> {
        let bytes = Zeroizing::new(STANDARD.decode(self.0.strip_prefix(SIGNING_KEY)?).ok()?);
        let (seed, public) = bytes.split_first_chunk::<SEED_BYTES>()?;
        matches!(public.len(), 0 | PUBLIC_BYTES).then(|| Zeroizing::new(*seed))
    }

    /// The public half of an ed25519 key: `whpk_` and base64 of 32 bytes. `None` for any other secret.
    pub(in crate::domain) fn ed25519_public(&self) -> Option<[u8; PUBLIC_BYTES]> {
        STANDARD.decode(self.0.strip_prefix(PUBLIC_KEY)?).ok()?.try_into().ok()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The form of a dialect's secrets: `whsec_{base62:32}`, `whsec_{base64:32}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    prefix: Box<str>,
    alphabet: Alphabet,
    /// The number of base62 characters, or of the bytes that base64 encodes.
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alphabet {
    Base62,
    Base64,
}

impl Format {
    /// Parses the format in a dialect file.
    ///
    /// It may have 22 to 64 characters of base62, which is at least 128 bits, or 24 to 64 bytes as base64 (Standard Webhooks,
    /// "Signature scheme"). The prefix is visible ASCII of at most 32 bytes.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (prefix, rest) = text.split_once('{').ok_or(FORMS)?;
        let (alphabet, count) = rest.strip_suffix('}').and_then(|inner| inner.split_once(':')).ok_or(FORMS)?;
        let count: usize = count.parse().map_err(|_| FORMS)?;
        let (alphabet, counts) = match alphabet {
            "base62" => (Alphabet::Base62, BASE62_CHARACTERS_MIN..=KEY_BYTES_MAX),
            "base64" => (Alphabet::Base64, KEY_BYTES_MIN..=KEY_BYTES_MAX),
            _ => return Err(FORMS),
        };
        if !counts.contains(&count) {
            return Err("a secret has 22 to 64 characters of base62, or 24 to 64 bytes in base64");
        }
        if prefix.len() > PREFIX_BYTES_MAX || !is_visible(prefix) {
            return Err("the text before `{` is at most 32 visible ASCII characters");
        }
        Ok(Self { prefix: prefix.into(), alphabet, count })
    }

    /// Whether the secrets are base64 of key bytes. A signature with `key = "base64"` needs that.
    pub(crate) fn is_base64(&self) -> bool {
        self.alphabet == Alphabet::Base64
    }

    /// Makes a secret of random bytes. They must come from a cryptographic source and be used for nothing else.
    pub(crate) fn generate(&self, random: &[u8; RANDOM_BYTES]) -> Secret {
        let mut text = Zeroizing::new(String::with_capacity(SECRET_BYTES_MAX));
        text.push_str(&self.prefix);
        match self.alphabet {
            Alphabet::Base64 => STANDARD.encode_string(&random[..self.count], &mut text),
            Alphabet::Base62 => random.as_chunks().0.iter().take(self.count).for_each(|four| text.push(digit(*four))),
        }
        Secret(text)
    }

    /// Accepts a secret that a customer or the config file gives.
    ///
    /// Where secrets are base64, it must be `whsec_` and base64 of 24 to 64 bytes, or an ed25519 key as `whsk_`. Otherwise it
    /// must be 1 to 256 visible ASCII characters.
    pub(crate) fn accept(&self, given: &str) -> Result<Secret, Reason> {
        let secret = Secret::new(given);
        match self.alphabet {
            Alphabet::Base62 if (1..=SECRET_BYTES_MAX).contains(&given.len()) && is_visible(given) => Ok(secret),
            Alphabet::Base62 => Err(Reason::NotVisible),
            Alphabet::Base64 if given.starts_with(SIGNING_KEY) => signing_key(secret),
            Alphabet::Base64 if !given.starts_with(SYMMETRIC) => Err(Reason::NoPrefix),
            Alphabet::Base64 => symmetric(secret),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alphabet = match self.alphabet {
            Alphabet::Base62 => "base62",
            Alphabet::Base64 => "base64",
        };
        write!(f, "{}{{{alphabet}:{}}}", self.prefix, self.count)
    }
}

fn symmetric(secret: Secret) -> Result<Secret, Reason> {
    let bytes = secret.base64_bytes().ok_or(Reason::NotBase64)?;
    let fits = (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&bytes.len());
    if fits { Ok(secret) } else { Err(Reason::WrongLength { bytes: bytes.len() }) }
}

fn signing_key(secret: Secret) -> Result<Secret, Reason> {
    use ring::signature::Ed25519KeyPair;
    let seed = secret.ed25519_seed().ok_or(Reason::NoSeed)?;
    let text = secret.expose().strip_prefix(SIGNING_KEY).unwrap_or_default();
    let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| Reason::NoSeed)?);
    let whole = match &bytes[SEED_BYTES..] {
        [] => Ed25519KeyPair::from_seed_unchecked(&*seed).is_ok(),
        public => Ed25519KeyPair::from_seed_and_public_key(&*seed, public).is_ok(),
    };
    if whole { Ok(secret) } else { Err(Reason::HalvesDiffer) }
}

/// Why a given secret is refused. It never holds the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("this dialect makes its own secrets; leave `secret` out")]
    NotTaken,
    #[error("a secret is 1 to 256 visible ASCII characters, without spaces")]
    NotVisible,
    #[error("a secret is `whsec_` and base64 of 24 to 64 bytes, or an ed25519 key as `whsk_` and base64")]
    NoPrefix,
    #[error("what follows `whsec_` is not base64 (RFC 4648 section 4, with padding)")]
    NotBase64,
    #[error("the secret is {bytes} bytes long; it must have 24 to 64")]
    WrongLength { bytes: usize },
    #[error("what follows `whsk_` is not base64 of an ed25519 key: 32 bytes, or 64 with the public key behind them")]
    NoSeed,
    #[error("the public key in this `whsk_` does not belong to its secret key")]
    HalvesDiffer,
}

/// Makes a base62 digit of four random bytes. Since 2^32 is much larger than 62, no digit is likelier than another by more than
/// 2^-26.
fn digit(random: [u8; 4]) -> char {
    let place = u32::from_le_bytes(random) % 62;
    char::from(BASE62[usize::try_from(place).unwrap_or_default()])
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The random bytes that the largest secret needs: 64 characters of base62 with four bytes each.
pub(crate) const RANDOM_BYTES: usize = 256;

/// The beginning of a symmetric key.
pub(in crate::domain) const SYMMETRIC: &str = "whsec_";
const SIGNING_KEY: &str = "whsk_";
const PUBLIC_KEY: &str = "whpk_";

const SEED_BYTES: usize = 32;
const PUBLIC_BYTES: usize = 32;
const KEY_BYTES_MIN: usize = 24;
const KEY_BYTES_MAX: usize = 64;
const BASE62_CHARACTERS_MIN: usize = 22;
const PREFIX_BYTES_MAX: usize = 32;
const SECRET_BYTES_MAX: usize = 256;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const FORMS: &str = "a secret's format is `PREFIX{base62:32}` or `PREFIX{base64:32}`";

#[cfg(test)]
mod tests {
    use super::*;

    fn format(text: &str) -> Format {
        Format::parse(text).expect("a valid format")
    }

    fn random() -> [u8; RANDOM_BYTES] {
        std::array::from_fn(|at| u8::try_from(at * 7 % 256).expect("a byte"))
    }

    #[test]
    fn a_generated_secret_has_its_format_and_is_taken_back() {
        let (text, base64) = (format("whsec_{base62:32}"), format("whsec_{base64:32}"));
        let secret = text.generate(&random());
        assert_eq!(secret.expose().len(), "whsec_".len() + 32);
        assert!(secret.expose()["whsec_".len()..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(text.accept(secret.expose()), Ok(secret));
        assert!(base64.is_base64() && !text.is_base64());
        let secret = base64.generate(&random());
        assert_eq!(secret.base64_bytes().map(|bytes| bytes.len()), Some(32));
        assert_eq!(base64.accept(secret.expose()), Ok(secret));
    }

    #[test]
    fn every_random_byte_used_changes_the_secret() {
        for (text, used) in [("{base62:64}", 256), ("{base64:64}", 64)] {
            let first = format(text).generate(&random());
            for at in 0..used {
                let mut other = random();
                other[at] ^= 0x40;
                assert_ne!(format(text).generate(&other), first, "{text} byte {at}");
            }
        }
    }

    #[test]
    fn formats_print_as_they_read() {
        for text in ["whsec_{base62:32}", "whsec_{base64:24}", "{base62:64}"] {
            assert_eq!(format(text).to_string(), text);
        }
        for text in
            ["", "whsec_", "{base16:32}", "{base62}", "{base62:21}", "{base62:65}", "{base64:23}", "é{base62:32}", "{base62:32}x"]
        {
            assert!(Format::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_given_text_is_visible_ascii() {
        let format = format("whsec_{base62:32}");
        assert!(format.accept("k").is_ok());
        assert!(format.accept(&"k".repeat(256)).is_ok());
        for bad in ["", "a b", "é", "a\n", &"k".repeat(257)] {
            assert_eq!(format.accept(bad), Err(Reason::NotVisible), "{bad:?}");
        }
    }

    #[test]
    fn a_given_base64_secret_has_24_to_64_bytes() {
        let format = format("whsec_{base64:32}");
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![1; bytes]));
        assert!(format.accept(&of(24)).is_ok());
        assert!(format.accept(&of(64)).is_ok());
        assert_eq!(format.accept(&of(23)), Err(Reason::WrongLength { bytes: 23 }));
        assert_eq!(format.accept(&of(65)), Err(Reason::WrongLength { bytes: 65 }));
        assert_eq!(format.accept("whsec_%"), Err(Reason::NotBase64));
        assert_eq!(format.accept(&STANDARD.encode([1; 32])), Err(Reason::NoPrefix));
    }

    #[test]
    fn an_ed25519_key_must_be_whole() {
        use ring::signature::{Ed25519KeyPair, KeyPair};
        let format = format("whsec_{base64:32}");
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("any seed is a key");
        let public = pair.public_key().as_ref();
        let of = |parts: &[&[u8]]| format!("whsk_{}", STANDARD.encode(parts.concat()));
        assert!(format.accept(&of(&[&[7; 32]])).is_ok());
        assert!(format.accept(&of(&[&[7; 32], public])).is_ok());
        assert_eq!(format.accept(&of(&[&[8; 32], public])), Err(Reason::HalvesDiffer));
        assert_eq!(format.accept(&of(&[&[7; 31]])), Err(Reason::NoSeed));
        assert_eq!(format.accept("whsk_?"), Err(Reason::NoSeed));
    }

    #[test]
    fn a_secret_prints_as_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
        assert_ne!(Secret::new("hunter2"), Secret::new("hunter3"));
    }
}

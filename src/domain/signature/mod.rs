//! Signatures: which bytes of an attempt are signed, with which key, and how the header is written.
//!
//! The scheme is data of the dialect. Secrets sign by HMAC-SHA256 (RFC 2104). Only `whsk_` keys sign by ed25519 (RFC 8032) as
//! Standard Webhooks defines it: the value is `v1a,` and base64, whatever the scheme's own value looks like.

mod verify;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::Ed25519KeyPair;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::webhook::secret::Secret;

pub(crate) use verify::{Claim, Mismatch, Tolerance};

/// How a dialect signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    /// The header's name as the dialect writes it.
    pub(crate) header: Box<str>,
    pub(crate) value: Value,
    pub(crate) signed: Signed,
    pub(crate) key: Key,
    /// Whether every live secret signs. Otherwise only the newest does.
    pub(crate) overlap: bool,
}

/// Which bytes of a secret are the HMAC's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Key {
    /// The bytes of the secret as it is written, including `whsec_`.
    #[default]
    Text,
    /// The bytes that the base64 behind `whsec_` encodes. A secret that is no base64 signs as it is written: one made before a
    /// change of the dialect may be so.
    Base64,
}

impl Signature {
    /// The header's value for one attempt: one signature or, with overlap, one for each secret, the newest first, separated by
    /// spaces.
    ///
    /// `secrets` are the live secrets, the newest first. Without any the value is empty.
    pub(crate) fn sign(&self, secrets: &[&Secret], id: &str, timestamp_secs: u64, body: &[u8]) -> String {
        let timestamp = timestamp_secs.to_string();
        let message = Message { id, timestamp: &timestamp, body };
        let signing = if self.overlap { secrets } else { &secrets[..secrets.len().min(1)] };
        let mut value = String::new();
        for (index, secret) in signing.iter().enumerate() {
            if index > 0 {
                value.push(' ');
            }
            self.one(secret, &message, &mut value);
        }
        value
    }

    fn one(&self, secret: &Secret, message: &Message<'_>, to: &mut String) {
        let asymmetric = if self.key == Key::Base64 { self.ed25519(secret, message) } else { None };
        match asymmetric {
            Some(signature) => to.push_str(&signature),
            None => self.value.write(&self.hmac(&self.key.bytes(secret), message), to),
        }
    }

    fn hmac(&self, key: &[u8], message: &Message<'_>) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length (RFC 2104 section 2)");
        for part in &self.signed.parts {
            mac.update(part.bytes(message));
        }
        mac.finalize().into_bytes().into()
    }

    fn ed25519(&self, secret: &Secret, message: &Message<'_>) -> Option<String> {
        let seed = secret.ed25519_seed()?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).ok()?;
        Some(format!("{ASYMMETRIC_VALUE}{}", STANDARD.encode(pair.sign(&self.signed.bytes(message)))))
    }
}

impl Key {
    fn bytes(self, secret: &Secret) -> Zeroizing<Vec<u8>> {
        let decoded = if self == Self::Base64 { secret.base64_bytes() } else { None };
        decoded.unwrap_or_else(|| Zeroizing::new(secret.expose().as_bytes().to_vec()))
    }
}

/// What is signed. The timestamp is the text that stands in its header.
#[derive(Clone, Copy)]
struct Message<'a> {
    id: &'a str,
    timestamp: &'a str,
    body: &'a [u8],
}

/// How a signature stands in its header: `sha256={hex}`, `v1,{base64}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    before: Box<str>,
    encoding: Encoding,
    after: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Hex,
    Base64,
}

impl Value {
    /// Parses a value. Fails unless it has exactly one `{hex}` or `{base64}`, or when its text cannot stand in a header or would
    /// break a list of signatures.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let found = [Encoding::Hex, Encoding::Base64]
            .into_iter()
            .find_map(|encoding| Some((encoding, text.split_once(encoding.slot())?)));
        let (encoding, (before, after)) = found.ok_or("it has neither `{hex}` nor `{base64}`")?;
        if [before, after].iter().any(|text| text.contains(['{', '}'])) {
            return Err("it has more in braces than one `{hex}` or `{base64}`");
        }
        if [before, after].iter().any(|text| !text.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err("it holds a space or a character that is not visible ASCII");
        }
        Ok(Self { before: before.into(), encoding, after: after.into() })
    }

    fn write(&self, signature: &[u8], to: &mut String) {
        to.push_str(&self.before);
        match self.encoding {
            Encoding::Hex => to.push_str(&hex::encode(signature)),
            Encoding::Base64 => STANDARD.encode_string(signature, to),
        }
        to.push_str(&self.after);
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.before, self.encoding.slot(), self.after)
    }
}

impl Encoding {
    fn slot(self) -> &'static str {
        match self {
            Self::Hex => "{hex}",
            Self::Base64 => "{base64}",
        }
    }
}

/// Which bytes are signed: `{body}`, `{timestamp}.{body}`, `{id}.{timestamp}.{body}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Id,
    Timestamp,
    Body,
}

impl Signed {
    /// Parses a template of signed bytes. Fails on an unknown name in braces, and when the body would not be signed.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (name, after) = behind.split_once('}').ok_or(SLOTS)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            parts.push(Part::named(name).ok_or(SLOTS)?);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        if parts.contains(&Part::Body) { Ok(Self { parts }) } else { Err("it leaves `{body}` unsigned") }
    }

    /// The signed slots besides the body. Each comes with what a header must be for a receiver to know its value.
    pub(crate) fn carried(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let slots = [(Part::Id, "{id}", "$event.id"), (Part::Timestamp, "{timestamp}", "$attempt.unix")];
        slots.into_iter().filter(|(part, ..)| self.names(part)).map(|(_, slot, carrier)| (slot, carrier))
    }

    fn names(&self, part: &Part) -> bool {
        self.parts.contains(part)
    }

    fn bytes(&self, message: &Message<'_>) -> Vec<u8> {
        self.parts.iter().flat_map(|part| part.bytes(message)).copied().collect()
    }
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| {
            f.write_str(match part {
                Part::Text(text) => text,
                Part::Id => "{id}",
                Part::Timestamp => "{timestamp}",
                Part::Body => "{body}",
            })
        })
    }
}

impl Part {
    fn named(name: &str) -> Option<Self> {
        match name {
            "id" => Some(Self::Id),
            "timestamp" => Some(Self::Timestamp),
            "body" => Some(Self::Body),
            _ => None,
        }
    }

    fn bytes<'a>(&'a self, message: &Message<'a>) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Id => message.id.as_bytes(),
            Self::Timestamp => message.timestamp.as_bytes(),
            Self::Body => message.body,
        }
    }
}

const SLOTS: &str = "it may name `{id}`, `{timestamp}` and `{body}`, and nothing else in braces";

/// The beginning of an ed25519 signature (Standard Webhooks, "Signature scheme").
const ASYMMETRIC_VALUE: &str = "v1a,";

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn scheme(value: &str, signed: &str, key: Key, overlap: bool) -> Signature {
        let (value, signed) = (Value::parse(value).expect("valid"), Signed::parse(signed).expect("valid"));
        Signature { header: "X-Signature".into(), value, signed, key, overlap }
    }

    pub(super) fn standard() -> Signature {
        scheme("v1,{base64}", "{id}.{timestamp}.{body}", Key::Base64, true)
    }

    fn named(name: &str) -> Signature {
        match name {
            "decisio" => scheme("sha256={hex}", "{body}", Key::Text, false),
            "aioka" => scheme("{hex}", "{body}", Key::Text, false),
            "dcisionai" => scheme("{hex}", "{timestamp}.{body}", Key::Text, false),
            _ => standard(),
        }
    }

    #[test]
    fn signatures_are_those_of_other_implementations() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/signatures.json")))
                .expect("the vectors are JSON");
        let rows = vectors["vectors"].as_array().expect("a list");
        assert_eq!(rows.len(), 72);
        for row in rows {
            let text = |name: &str| row[name].as_str().unwrap_or_default();
            let secret = Secret::new(text("secret"));
            let timestamp = row["timestamp"].as_u64().unwrap_or_default();
            let value = named(text("scheme")).sign(&[&secret], text("id"), timestamp, text("body").as_bytes());
            assert_eq!(value, text("value"), "{row}");
        }
    }

    #[test]
    fn with_overlap_every_live_secret_signs_the_newest_first() {
        let (new, old) = (Secret::new("new"), Secret::new("old"));
        let with = |overlap| scheme("{hex}", "{body}", Key::Text, overlap);
        let [one, other] = [&new, &old].map(|secret| with(true).sign(&[secret], "", 0, b"x"));
        assert_eq!(with(true).sign(&[&new, &old], "", 0, b"x"), format!("{one} {other}"));
        assert_eq!(with(false).sign(&[&new, &old], "", 0, b"x"), one);
        assert_eq!(with(true).sign(&[], "", 0, b"x"), "");
    }

    #[test]
    fn an_ed25519_key_signs_what_its_public_half_verifies() {
        use ring::signature::{ED25519, KeyPair, UnparsedPublicKey};
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("any seed is a key");
        let secret = Secret::new(format!("whsk_{}", STANDARD.encode([7; 32])));
        let value = standard().sign(&[&secret], "msg_1", 1_700_000_000, b"{}");
        let signature = STANDARD.decode(value.strip_prefix("v1a,").expect("its prefix")).expect("base64");
        let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
        assert!(public.verify(b"msg_1.1700000000.{}", &signature).is_ok());
    }

    #[test]
    fn an_ed25519_vector_of_rfc_8032_holds() {
        // This is test 3 of section 7.1.
        let seed = hex::decode("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7").expect("hex");
        let secret = Secret::new(format!("whsk_{}", STANDARD.encode(seed)));
        let value = scheme("v1,{base64}", "{body}", Key::Base64, true).sign(&[&secret], "", 0, &[0xaf, 0x82]);
        let expected = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
             18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";
        assert_eq!(value, format!("v1a,{}", STANDARD.encode(hex::decode(expected).expect("hex"))));
    }

    #[test]
    fn a_secret_that_is_no_base64_signs_as_it_is_written() {
        let secret = Secret::new("whsec_???");
        let text = scheme("v1,{base64}", "{id}.{timestamp}.{body}", Key::Text, true);
        assert_eq!(standard().sign(&[&secret], "a", 1, b"x"), text.sign(&[&secret], "a", 1, b"x"));
    }

    #[test]
    fn schemes_print_as_they_read() {
        for text in ["sha256={hex}", "{hex}", "v1,{base64}", "a{base64}b"] {
            assert_eq!(Value::parse(text).expect("valid").to_string(), text);
        }
        for text in ["{body}", "{timestamp}.{body}", "{id}.{timestamp}.{body}", "x{body}y"] {
            assert_eq!(Signed::parse(text).expect("valid").to_string(), text);
        }
    }

    #[test]
    fn text_that_is_no_scheme_is_refused() {
        for text in ["", "hex", "{hex}{hex}", "{hex}{base64}", "{HEX}", "a b{hex}", "é{hex}", "{x}{hex}", "{hex}\n"] {
            assert!(Value::parse(text).is_err(), "{text}");
        }
        for text in ["", "{id}", "{body", "{BODY}", "{body}{x}", "{}"] {
            assert!(Signed::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_signed_besides_the_body_must_be_sent() {
        let carried = |text: &str| Signed::parse(text).expect("valid").carried().collect::<Vec<_>>();
        assert_eq!(carried("{body}"), []);
        assert_eq!(carried("{timestamp}.{body}"), [("{timestamp}", "$attempt.unix")]);
        assert_eq!(carried("{body}{timestamp}{id}"), [("{id}", "$event.id"), ("{timestamp}", "$attempt.unix")]);
    }
}

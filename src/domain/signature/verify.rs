//! Verifies signatures as a receiver does. When that fails, it tries the usual causes one by one to find the right one.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use subtle::ConstantTimeEq;

use super::{ASYMMETRIC_VALUE, Message, Part, Signature};
use crate::domain::json::ecmascript;
use crate::domain::webhook::secret::{SYMMETRIC, Secret};

/// What a receiver got: the values of the headers, `None` for an absent one, and the body.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) timestamp: Option<&'a str>,
    pub(crate) signature: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// How far the timestamp may be from the receiver's clock.
#[derive(Clone, Copy)]
pub(crate) struct Tolerance {
    pub(crate) now_secs: u64,
    pub(crate) within: Duration,
}

/// Why a claim does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mismatch {
    #[error("the header {header} is missing; without it there is nothing to verify")]
    SignatureMissing { header: String },
    #[error("the event's id is missing; this dialect signs it before the body")]
    IdMissing,
    #[error("the timestamp is missing; this dialect signs it before the body")]
    TimestampMissing,
    #[error("the timestamp is not a number of Unix seconds")]
    TimestampUnreadable,
    #[error("the signature does not begin with `{expected}`; give the header's value whole")]
    PrefixMissing { expected: String },
    #[error("the signature is right, but its timestamp is {secs} s {direction} this clock; allowed are {tolerance_secs} s")]
    ClockSkew { secs: u64, direction: &'static str, tolerance_secs: u64 },
    #[error("the signature is right for {how}; verify the bytes as they came, before anything parses them")]
    BodyReencoded { how: &'static str },
    #[error("the signature is right for {how}; this dialect's key is another part of the secret")]
    KeyMisread { how: &'static str },
    #[error("the signature was made with another secret, or over another body, id or timestamp")]
    WrongSecret,
}

impl Signature {
    /// Checks that one of the secrets made the claimed signature and, where the scheme signs a timestamp, that it is within the
    /// tolerance. A `whpk_` public key may stand in for a secret. Signatures are compared in constant time.
    pub(crate) fn verify(&self, secrets: &[&Secret], claim: &Claim<'_>, tolerance: Option<Tolerance>) -> Result<(), Mismatch> {
        let claimed = claim.signature.ok_or_else(|| Mismatch::SignatureMissing { header: self.header.to_string() })?;
        let message = self.message(claim)?;
        if self.matches(secrets, claimed, &message) {
            return self.check_clock(claim, tolerance);
        }
        self.check_prefix(claimed)?;
        Err(self.explain(secrets, claimed, &message).unwrap_or(Mismatch::WrongSecret))
    }

    fn message<'a>(&self, claim: &Claim<'a>) -> Result<Message<'a>, Mismatch> {
        let id = claim.id.or((!self.signed.names(&Part::Id)).then_some("")).ok_or(Mismatch::IdMissing)?;
        let timestamp =
            claim.timestamp.or((!self.signed.names(&Part::Timestamp)).then_some("")).ok_or(Mismatch::TimestampMissing)?;
        Ok(Message { id, timestamp, body: claim.body })
    }

    fn matches(&self, secrets: &[&Secret], claimed: &str, message: &Message<'_>) -> bool {
        let claims = || claimed.split(|char| self.overlap && char == ' ');
        secrets.iter().any(|secret| claims().any(|one| self.is_by(secret, one, message)))
    }

    fn is_by(&self, secret: &Secret, claimed: &str, message: &Message<'_>) -> bool {
        match secret.ed25519_public() {
            Some(public) => self.is_by_public(&public, claimed, message).is_some(),
            None => written(|to| self.one(secret, message, to)).as_bytes().ct_eq(claimed.as_bytes()).into(),
        }
    }

    fn is_by_public(&self, public: &[u8], claimed: &str, message: &Message<'_>) -> Option<()> {
        let signature = STANDARD.decode(claimed.strip_prefix(ASYMMETRIC_VALUE)?).ok()?;
        UnparsedPublicKey::new(&ED25519, public).verify(&self.signed.bytes(message), &signature).ok()
    }

    fn check_clock(&self, claim: &Claim<'_>, tolerance: Option<Tolerance>) -> Result<(), Mismatch> {
        let (Some(tolerance), true) = (tolerance, self.signed.names(&Part::Timestamp)) else { return Ok(()) };
        let signed_at: u64 = claim.timestamp.and_then(|text| text.parse().ok()).ok_or(Mismatch::TimestampUnreadable)?;
        let secs = tolerance.now_secs.abs_diff(signed_at);
        let tolerance_secs = tolerance.within.as_secs();
        let direction = if signed_at < tolerance.now_secs { "behind" } else { "ahead of" };
        if secs <= tolerance_secs { Ok(()) } else { Err(Mismatch::ClockSkew { secs, direction, tolerance_secs }) }
    }

    fn check_prefix(&self, claimed: &str) -> Result<(), Mismatch> {
        let known = |one: &str| one.starts_with(&*self.value.before) || one.starts_with(ASYMMETRIC_VALUE);
        if claimed.split(' ').any(known) {
            Ok(())
        } else {
            Err(Mismatch::PrefixMissing { expected: self.value.before.to_string() })
        }
    }

    /// Searches for a change that would make the signature right.
    fn explain(&self, secrets: &[&Secret], claimed: &str, message: &Message<'_>) -> Option<Mismatch> {
        let bodies = other_bodies(message.body);
        let is_body = |body: &[u8]| self.matches(secrets, claimed, &Message { body, ..*message });
        if let Some((_, how)) = bodies.iter().find(|(body, _)| is_body(body)) {
            return Some(Mismatch::BodyReencoded { how });
        }
        let is_key = |key: &[u8]| {
            let value = written(|to| self.value.write(&self.hmac(key, message), to));
            value.as_bytes().ct_eq(claimed.as_bytes()).into()
        };
        let misread = |secret: &&Secret| OTHER_KEYS.iter().find(|(read, _)| read(secret).is_some_and(|key| is_key(&key)));
        secrets.iter().find_map(misread).map(|(_, how)| Mismatch::KeyMisread { how })
    }
}

/// Other bodies that may have been signed in place of this one, each with the reason.
fn other_bodies(body: &[u8]) -> Vec<(Cow<'_, [u8]>, &'static str)> {
    let mut others = vec![(Cow::Owned([body, b"\n"].concat()), "this body with a line end behind it")];
    if let Some(cut) = body.strip_suffix(b"\r\n").or_else(|| body.strip_suffix(b"\n")) {
        others.push((Cow::Borrowed(cut), "this body without the line end behind it"));
    }
    others.push((Cow::Owned(compact(body)), "this body without the spaces between its values"));
    if let Ok(printed) = ecmascript::print(body) {
        others.push((Cow::Owned(printed), "this body as JavaScript prints it"));
    }
    others
}

/// JSON without the white space outside its strings.
fn compact(body: &[u8]) -> Vec<u8> {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |byte: &&u8| {
        let kept = in_string || !byte.is_ascii_whitespace();
        in_string ^= **byte == b'"' && !escaped;
        escaped = in_string && **byte == b'\\' && !escaped;
        kept
    };
    body.iter().filter(keep).copied().collect()
}

/// A way to read a secret as a key.
type ReadKey = fn(&Secret) -> Option<Vec<u8>>;

const OTHER_KEYS: &[(ReadKey, &str)] = &[
    (|secret| Some(secret.expose().as_bytes().to_vec()), "the secret's text, `whsec_` included, as the key"),
    (|secret| Some(secret.expose().strip_prefix(SYMMETRIC)?.as_bytes().to_vec()), "the secret's text behind `whsec_` as the key"),
    (|secret| Some(secret.base64_bytes()?.to_vec()), "the base64-decoded secret as the key"),
];

/// The text that `write` makes.
fn written(write: impl FnOnce(&mut String)) -> String {
    let mut text = String::new();
    write(&mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::{scheme, standard};
    use super::super::{Key, STANDARD};
    use super::*;

    const BODY: &[u8] = b"{\"a\":1,\"b\":\"x y\"}";

    fn secret() -> Secret {
        Secret::new("whsec_GB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5")
    }

    fn verdict(signature: Option<&str>, body: &[u8], id: Option<&str>, timestamp: Option<&str>) -> Result<(), Mismatch> {
        let tolerance = Some(Tolerance { now_secs: 1_700_000_100, within: Duration::from_secs(300) });
        standard().verify(&[&secret()], &Claim { id, timestamp, signature, body }, tolerance)
    }

    fn signed(at: u64) -> String {
        standard().sign(&[&secret()], "msg_1", at, BODY)
    }

    #[test]
    fn a_signed_body_verifies() {
        assert_eq!(verdict(Some(&signed(1_700_000_000)), BODY, Some("msg_1"), Some("1700000000")), Ok(()));
        let among = format!("v1,AAAA v1a,AAAA {}", signed(1_700_000_000));
        assert_eq!(verdict(Some(&among), BODY, Some("msg_1"), Some("1700000000")), Ok(()));
    }

    #[test]
    fn a_missing_header_is_named() {
        let signature = signed(1_700_000_000);
        let missing = Mismatch::SignatureMissing { header: "X-Signature".into() };
        assert_eq!(verdict(None, BODY, Some("msg_1"), Some("1700000000")), Err(missing));
        assert_eq!(verdict(Some(&signature), BODY, None, Some("1700000000")), Err(Mismatch::IdMissing));
        assert_eq!(verdict(Some(&signature), BODY, Some("msg_1"), None), Err(Mismatch::TimestampMissing));
        let bare = signature.trim_start_matches("v1,");
        let expected = Mismatch::PrefixMissing { expected: "v1,".into() };
        assert_eq!(verdict(Some(bare), BODY, Some("msg_1"), Some("1700000000")), Err(expected));
    }

    #[test]
    fn a_wrong_clock_is_reported_with_its_offset() {
        for (at, secs, direction) in [(1_699_999_000, 1_100, "behind"), (1_700_001_000, 900, "ahead of")] {
            let expected = Mismatch::ClockSkew { secs, direction, tolerance_secs: 300 };
            assert_eq!(verdict(Some(&signed(at)), BODY, Some("msg_1"), Some(&at.to_string())), Err(expected));
        }
    }

    #[test]
    fn a_body_that_was_encoded_again_is_recognised() {
        let signature = signed(1_700_000_000);
        for body in ["{\"a\": 1, \"b\": \"x y\"}", "{\"a\":1,\"b\":\"x y\"}\n", "{\n \"a\": 1.0,\n \"b\": \"x y\"\n}\n"] {
            let verdict = verdict(Some(&signature), body.as_bytes(), Some("msg_1"), Some("1700000000"));
            assert!(matches!(verdict, Err(Mismatch::BodyReencoded { .. })), "{body}: {verdict:?}");
        }
    }

    #[test]
    fn a_secret_read_the_wrong_way_is_recognised() {
        let other = scheme("v1,{base64}", "{id}.{timestamp}.{body}", Key::Text, true);
        let signature = other.sign(&[&secret()], "msg_1", 1_700_000_000, BODY);
        let verdict = verdict(Some(&signature), BODY, Some("msg_1"), Some("1700000000"));
        assert!(matches!(verdict, Err(Mismatch::KeyMisread { .. })), "{verdict:?}");
    }

    #[test]
    fn another_secret_id_time_or_body_does_not_verify() {
        let other =
            standard().sign(&[&Secret::new("whsec_ICcuNTxDSlFYX2ZtdHuCiZCXnqWss7rByM/W3eTr8vk=")], "msg_1", 1_700_000_000, BODY);
        assert_eq!(verdict(Some(&other), BODY, Some("msg_1"), Some("1700000000")), Err(Mismatch::WrongSecret));
        let signature = signed(1_700_000_000);
        assert_eq!(verdict(Some(&signature), BODY, Some("msg_2"), Some("1700000000")), Err(Mismatch::WrongSecret));
        assert_eq!(verdict(Some(&signature), BODY, Some("msg_1"), Some("1700000001")), Err(Mismatch::WrongSecret));
        assert_eq!(verdict(Some(&signature), b"{\"a\":2}", Some("msg_1"), Some("1700000000")), Err(Mismatch::WrongSecret));
    }

    #[test]
    fn a_public_key_verifies_what_its_secret_half_signed() {
        use ring::signature::{Ed25519KeyPair, KeyPair};
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("any seed is a key");
        let private = Secret::new(format!("whsk_{}", STANDARD.encode([7; 32])));
        let public = Secret::new(format!("whpk_{}", STANDARD.encode(pair.public_key().as_ref())));
        let signature = standard().sign(&[&private], "msg_1", 1, BODY);
        let claim = Claim { id: Some("msg_1"), timestamp: Some("1"), signature: Some(&signature), body: BODY };
        assert_eq!(standard().verify(&[&public], &claim, None), Ok(()));
        assert_eq!(standard().verify(&[&private], &claim, None), Ok(()));
        assert_eq!(standard().verify(&[&public], &Claim { body: b"{}", ..claim }, None), Err(Mismatch::WrongSecret));
    }
}

//! The headers that a webhook adds to every attempt. Their values may be credentials.

use std::fmt;

use super::auth::AUTHORIZATION;
use super::secret;
use crate::domain::dialect::{Dialect, HeaderName};
use crate::domain::headers::Headers;
use crate::domain::json::{self, Field};
use crate::domain::refusal::Refusal;
use crate::domain::text::mask::mask;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::read::{Read, refused};

/// At most [`HEADERS_MAX`] headers with names and values of together at most [`BYTES_MAX`] bytes, in the order in which they were
/// given. The default has none.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct ExtraHeaders(Vec<(HeaderName, Secret)>);

impl ExtraHeaders {
    /// Reads a JSON object of names with text.
    ///
    /// Fails with what is wrong, each fault with its pointer inside the object.
    pub(super) fn read(raw: &str) -> Read<Self> {
        let fields = json::fields(raw.as_bytes()).map_err(|_| refused("is not an object"))?;
        if fields.len() > HEADERS_MAX {
            return Err(refused(format!("has {} headers; at most {HEADERS_MAX} are taken", fields.len())));
        }
        let (mut headers, mut refusals) = (Vec::with_capacity(fields.len()), Vec::new());
        for field in &fields {
            match header(field, &headers) {
                Ok(header) => headers.push(header),
                Err(wrong) => refusals.extend(wrong.into_iter().map(|refusal| refusal.inside(&field.name))),
            }
        }
        let read = Self(headers);
        if read.bytes() > BYTES_MAX {
            refusals.extend(refused(format!("has {} bytes of names and values; at most 8 KiB are taken", read.bytes())));
        }
        if refusals.is_empty() { Ok(read) } else { Err(refusals) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the headers has this name. Case is ignored.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own.as_str().eq_ignore_ascii_case(name))
    }

    /// The headers as a JSON object, which [`Self::read`] reads.
    pub(super) fn json(&self) -> Secret {
        Secret::new(json::object_of_texts(self.0.iter().map(|(name, value)| (name.as_str(), value.expose()))))
    }

    /// The headers as a JSON object with masked values.
    pub(super) fn masked_json(&self) -> String {
        json::object_of_texts(self.0.iter().map(|(name, value)| (name.as_str(), mask(value.expose()))))
    }

    /// Adds the headers to those of an attempt, unless that has a header of the same name. `is_authorized`: it has or will have
    /// credentials from elsewhere.
    pub(super) fn add_to(&self, headers: &mut Headers, is_authorized: bool) {
        for (name, value) in &self.0 {
            let is_credential = name.as_str().eq_ignore_ascii_case(AUTHORIZATION);
            if headers.get(name.as_str()).is_none() && !(is_authorized && is_credential) {
                headers.push(name.as_str(), value.expose());
            }
        }
    }

    /// Refuses the headers that the dialect sends itself.
    pub(super) fn conflicts(&self, dialect: &Dialect) -> Vec<Refusal> {
        let sent = self.0.iter().filter(|(name, _)| dialect.sends(name));
        let reason = || format!("is a header that the dialect {} sends itself", dialect.name);
        sent.map(|(name, _)| Refusal::new("", reason()).inside(name.as_str())).collect()
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.as_str().len() + value.expose().len()).sum()
    }
}

/// Values never reach a log.
impl fmt::Debug for ExtraHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, value)| (name.as_str(), mask(value.expose())))).finish()
    }
}

fn header(field: &Field<'_>, earlier: &[(HeaderName, Secret)]) -> Read<(HeaderName, Secret)> {
    let name = HeaderName::parse(&field.name).map_err(refused)?;
    let lower = field.name.to_ascii_lowercase();
    if RESERVED.contains(&&*lower) || lower.starts_with(RESERVED_PREFIX) {
        return Err(refused("is a header that hookwheel sets itself"));
    }
    if earlier.iter().any(|(given, _)| *given == name) {
        return Err(refused("is given twice; names compare without case"));
    }
    Ok((name, value(field.raw)?))
}

/// A value that HTTP carries as it is (RFC 9110 section 5.5, without its obsolete parts).
fn value(raw: &str) -> Read<Secret> {
    let value = secret(raw)?;
    match value.expose() {
        "" => Err(refused("is empty; leave the header out")),
        text if text.trim() != text => Err(refused("begins or ends with a space")),
        text if !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') => {
            Err(refused("holds a character that no header carries; visible ASCII and spaces are taken"))
        }
        _ => Ok(value),
    }
}

/// The most headers of one webhook.
const HEADERS_MAX: usize = 32;

/// The most bytes of all names and values of one webhook. Common servers take heads of 8 KiB to 16 KiB.
const BYTES_MAX: usize = 8 << 10;

/// The headers that a dialect may set and a webhook may not, in lower case: each says what the relay sends or who it is. The names
/// that a dialect may not set either are refused by [`HeaderName::parse`].
const RESERVED: &[&str] = &["accept", "content-type", "traceparent", "tracestate", "user-agent"];

const RESERVED_PREFIX: &str = "hookwheel-";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dialect::tests::dialect;

    fn told(raw: &str) -> Vec<String> {
        let refusals = ExtraHeaders::read(raw).expect_err(raw);
        refusals.into_iter().map(|refusal| format!("{} {}", refusal.pointer, refusal.reason)).collect()
    }

    #[test]
    fn headers_read_back_in_their_order_and_are_shown_masked() {
        let raw = r#"{"X-Tenant":"a \"b\"","Authorization":"Bearer 0123456789"}"#;
        let headers = ExtraHeaders::read(raw).expect("headers");
        assert_eq!(ExtraHeaders::read(headers.json().expose()), Ok(headers.clone()));
        let mut sent = Headers::default();
        headers.add_to(&mut sent, false);
        assert_eq!(sent.iter().collect::<Vec<_>>(), [("X-Tenant", "a \"b\""), ("Authorization", "Bearer 0123456789")]);
        assert_eq!(headers.masked_json(), r#"{"X-Tenant":"…(5)","Authorization":"Bea…(17)"}"#);
        assert_eq!(format!("{headers:?}"), r#"{"X-Tenant": "…(5)", "Authorization": "Bea…(17)"}"#);
        assert!(headers.has("authorization") && !headers.has("author"));
    }

    #[test]
    fn reserved_names_are_refused_in_any_case() {
        for name in ["Host", "content-LENGTH", "Content-Type", "Transfer-Encoding", "connection", "User-Agent", "Accept", "TE"] {
            let told = told(&format!(r#"{{"{name}":"a"}}"#));
            assert!(told.len() == 1 && told[0].starts_with(&format!("/{name} ")), "{told:?}");
        }
        for name in ["Proxy-Authorization", "hookwheel-test", "Hookwheel-Other", "traceparent", "Keep-Alive", "Upgrade", "a b"] {
            assert_eq!(told(&format!(r#"{{"{name}":"a"}}"#)).len(), 1, "{name}");
        }
    }

    #[test]
    fn a_header_of_the_dialect_is_refused_and_never_replaced() {
        let dialect = dialect();
        let name = dialect.headers[0].name.as_str().to_owned();
        let headers = ExtraHeaders::read(&format!(r#"{{"{}":"mine","X-Own":"b"}}"#, name.to_uppercase())).expect("headers");
        let refusals = headers.conflicts(&dialect);
        assert_eq!((refusals.len(), refusals[0].pointer.to_lowercase()), (1, format!("/{}", name.to_lowercase())));
        let mut sent: Headers = [(&*name, "theirs")].into_iter().collect();
        headers.add_to(&mut sent, false);
        assert_eq!(sent.iter().collect::<Vec<_>>(), [(&*name, "theirs"), ("X-Own", "b")]);
    }

    #[test]
    fn the_signature_and_each_header_of_a_dialect_are_its_own() {
        let dialect = dialect();
        let signature = &dialect.signature.as_ref().expect("it signs").header;
        let of = |name: &str| ExtraHeaders::read(&format!(r#"{{"{name}":"a"}}"#)).expect(name).conflicts(&dialect).len();
        assert!(dialect.headers.iter().all(|header| of(header.name.as_str()) == 1));
        assert_eq!((of(signature), of("X-Nobody")), (1, 0));
    }

    #[test]
    fn wrong_values_are_told_without_the_value() {
        let raw = r#"{"a":1,"b":"","c":" x","d":"é","e":"x\ny","f":"Bea…(17)","g":"1","G":"2"}"#;
        let told = told(raw);
        let pointers: Vec<_> = told.iter().map(|told| told.split(' ').next().unwrap_or_default()).collect();
        assert_eq!(pointers, ["/a", "/b", "/c", "/d", "/e", "/f", "/G"]);
        assert!(told.iter().all(|told| !told.contains('é')), "{told:?}");
    }

    #[test]
    fn at_most_32_headers_and_8_kib_are_taken() {
        let of = |count: usize, length: usize| {
            let headers: Vec<_> = (0..count).map(|number| format!("\"x-{number:02}\":\"{}\"", "v".repeat(length))).collect();
            format!("{{{}}}", headers.join(","))
        };
        assert!(ExtraHeaders::read(&of(32, 252)).is_ok());
        assert_eq!(told(&of(33, 1)), [" has 33 headers; at most 32 are taken"]);
        assert_eq!(told(&of(32, 253)), [" has 8224 bytes of names and values; at most 8 KiB are taken"]);
        assert_eq!(told("[]"), [" is not an object"]);
    }
}

//! How a webhook's attempts prove who sends them: a password, a token, or a token that an authorization server gives.

pub(crate) mod client_credentials;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub(crate) use client_credentials::ClientCredentials;

use super::secret;
use crate::domain::dialect::{Dialect, HeaderName};
use crate::domain::refusal::Refusal;
use crate::domain::text::mask::mask;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::read::{Object, Read, refused, text};

/// The credentials of a webhook. Each attempt shows them in its `Authorization` header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Auth {
    /// RFC 7617.
    Basic { username: Box<str>, password: Secret },
    /// RFC 6750.
    Bearer { token: Secret },
    /// The client credentials grant of OAuth 2.0 (RFC 6749 section 4.4).
    OAuth2(Box<ClientCredentials>),
}

/// How a value that may be secret is printed.
type Print = fn(&Secret) -> String;

impl Auth {
    /// Reads the JSON object of one kind.
    ///
    /// Fails with what is wrong, each fault with its pointer inside the object.
    pub(super) fn read(raw: &str) -> Read<Self> {
        let mut object = Object::read(raw)?;
        let kind = object.required("type", |raw| kind(&text(raw)?));
        match kind {
            Some(Kind::Basic) => {
                let username = object.required("username", username);
                let password = object.required("password", printable);
                object.finish(username.zip(password).map(|(username, password)| Self::Basic { username, password }))
            }
            Some(Kind::Bearer) => {
                let token = object.required("token", token);
                object.finish(token.map(|token| Self::Bearer { token }))
            }
            Some(Kind::OAuth2) => ClientCredentials::read(object).map(Box::new).map(Self::OAuth2),
            None => Err(object.refused()),
        }
    }

    /// The credentials as JSON, which [`Self::read`] reads.
    pub(super) fn json(&self) -> Secret {
        Secret::new(self.object(|secret| secret.expose().to_owned()).to_string())
    }

    /// The credentials as JSON with masked secrets.
    pub(super) fn masked_json(&self) -> String {
        self.object(|secret| mask(secret.expose())).to_string()
    }

    fn object(&self, print: Print) -> Value {
        match self {
            Self::Basic { username, password } => json!({ "type": BASIC, "username": username, "password": print(password) }),
            Self::Bearer { token } => json!({ "type": BEARER, "token": print(token) }),
            Self::OAuth2(credentials) => credentials.object(print),
        }
    }

    /// The value of `Authorization`. `None` when an authorization server gives the token.
    pub(super) fn authorization(&self) -> Option<Secret> {
        match self {
            Self::Basic { username, password } => Some(basic(username, password.expose())),
            Self::Bearer { token } => Some(bearer(token)),
            Self::OAuth2(_) => None,
        }
    }

    /// Refuses the credentials when the dialect sends credentials of its own.
    pub(super) fn conflicts(&self, dialect: &Dialect) -> Vec<Refusal> {
        let reason = || format!("sets {AUTHORIZATION}, a header that the dialect {} sends itself", dialect.name);
        is_sent_by(dialect).then(|| Refusal::new("", reason())).into_iter().collect()
    }
}

/// Whether the dialect sends an `Authorization` itself.
pub(super) fn is_sent_by(dialect: &Dialect) -> bool {
    HeaderName::parse(AUTHORIZATION).is_ok_and(|name| dialect.sends(&name))
}

/// The value of `Authorization` for a user name and a password (RFC 7617 section 2).
pub(crate) fn basic(username: &str, password: &str) -> Secret {
    let pair = Zeroizing::new(format!("{username}:{password}"));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

/// The value of `Authorization` for a token (RFC 6750 section 2.1).
pub(crate) fn bearer(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.expose()))
}

/// Whether `Authorization` can carry the token: visible ASCII within [`SECRET_BYTES_MAX`].
pub(crate) fn is_token(text: &str) -> bool {
    (1..=SECRET_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

enum Kind {
    Basic,
    Bearer,
    OAuth2,
}

fn kind(name: &str) -> Read<Kind> {
    match name {
        BASIC => Ok(Kind::Basic),
        BEARER => Ok(Kind::Bearer),
        OAUTH2 => Ok(Kind::OAuth2),
        _ => Err(refused("is none of `basic`, `bearer` and `oauth2`")),
    }
}

fn username(raw: &str) -> Read<Box<str>> {
    let name = name(raw)?;
    // The first colon ends the name (RFC 7617 section 2).
    if name.contains(':') { Err(refused("contains a colon, which ends a user name")) } else { Ok(name) }
}

/// A name that is no secret: text without control characters.
fn name(raw: &str) -> Read<Box<str>> {
    let name = text(raw)?;
    match name.chars().any(char::is_control) || !(1..=NAME_BYTES_MAX).contains(&name.len()) {
        true => Err(refused(format!("is not 1 to {NAME_BYTES_MAX} bytes of text without control characters"))),
        false => Ok(name.as_ref().into()),
    }
}

/// A secret of text without control characters.
fn printable(raw: &str) -> Read<Secret> {
    let given = secret(raw)?;
    let text = given.expose();
    match text.chars().any(char::is_control) || !(1..=SECRET_BYTES_MAX).contains(&text.len()) {
        true => Err(refused(format!("is not 1 to {SECRET_BYTES_MAX} bytes of text without control characters"))),
        false => Ok(given),
    }
}

fn token(raw: &str) -> Read<Secret> {
    let token = secret(raw)?;
    let reason = || format!("is not 1 to {SECRET_BYTES_MAX} visible ASCII characters without spaces; give the token alone");
    if is_token(token.expose()) { Ok(token) } else { Err(refused(reason())) }
}

/// The header that shows credentials.
pub(crate) const AUTHORIZATION: &str = "authorization";

const BASIC: &str = "basic";
const BEARER: &str = "bearer";
const OAUTH2: &str = "oauth2";

const NAME_BYTES_MAX: usize = 1_024;

/// The longest secret and token. Common servers take heads of 8 KiB to 16 KiB.
const SECRET_BYTES_MAX: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dialect::Header;
    use crate::domain::dialect::tests::dialect;
    use crate::domain::template::{HeaderValue, Precision};

    fn told(raw: &str) -> Vec<String> {
        let refusals = Auth::read(raw).expect_err(raw);
        refusals.into_iter().map(|refusal| format!("{} {}", refusal.pointer, refusal.reason)).collect()
    }

    #[test]
    fn credentials_read_back_and_are_shown_masked() {
        for (raw, masked) in [
            (
                r#"{"password":"a-long-password!","type":"basic","username":"u"}"#,
                r#"{"password":"a-l…(16)","type":"basic","username":"u"}"#,
            ),
            (r#"{"token":"short","type":"bearer"}"#, r#"{"token":"…(5)","type":"bearer"}"#),
        ] {
            let auth = Auth::read(raw).expect(raw);
            assert_eq!((auth.json().expose(), &*auth.masked_json()), (raw, masked));
            assert!(!format!("{auth:?}").contains("password!") && !format!("{auth:?}").contains("short"));
        }
    }

    #[test]
    fn a_password_goes_out_as_rfc_7617_has_it() {
        let auth = Auth::read(r#"{"type":"basic","username":"Aladdin","password":"open sesame"}"#).expect("valid");
        assert_eq!(auth.authorization().expect("static").expose(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let auth = Auth::read(r#"{"type":"bearer","token":"abc.def"}"#).expect("valid");
        assert_eq!(auth.authorization().expect("static").expose(), "Bearer abc.def");
    }

    #[test]
    fn what_is_wrong_is_told_by_its_pointer_and_without_its_value() {
        assert_eq!(told("{}"), ["/type is missing"]);
        assert_eq!(told(r#"{"type":"digest"}"#), ["/type is none of `basic`, `bearer` and `oauth2`"]);
        assert_eq!(told(r#"{"type":"basic","username":"a:b"}"#)[0], "/username contains a colon, which ends a user name");
        assert_eq!(told(r#"{"type":"basic","username":"a"}"#), ["/password is missing"]);
        assert!(told(r#"{"type":"basic","username":"a","password":"b\n"}"#)[0].starts_with("/password is not 1 to"));
        for bad in ["", "a b", "é", "Bearer x"] {
            assert!(told(&format!(r#"{{"type":"bearer","token":"{bad}"}}"#))[0].starts_with("/token is not 1 to"), "{bad}");
        }
        assert!(told(r#"{"type":"bearer","token":"…(5)"}"#)[0].starts_with("/token is masked"));
        assert!(told(r#"{"type":"bearer","token":"a","user":"b"}"#)[0].starts_with("/user is unknown"));
        assert_eq!(told("7"), [" is not an object"]);
    }

    #[test]
    fn a_dialect_with_credentials_of_its_own_takes_no_others() {
        let auth = Auth::read(r#"{"type":"bearer","token":"a"}"#).expect("valid");
        let mut dialect = dialect();
        assert_eq!(auth.conflicts(&dialect), []);
        let (name, value) = (HeaderName::parse("Authorization").expect("a name"), HeaderValue::parse("x", Precision::Seconds));
        dialect.headers.push(Header { name, value: value.expect("a value") });
        assert_eq!(auth.conflicts(&dialect).len(), 1);
    }
}

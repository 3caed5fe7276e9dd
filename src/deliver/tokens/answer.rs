//! Reads what an authorization server answers to a request for a token (RFC 6749 section 5).
//!
//! No text of the answer but the names of well-known errors reaches a failure, since the delivery log shows that.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::delivery::outcome::Response;
use crate::domain::webhook::egress::auth::is_token;
use crate::domain::webhook::secret::Secret;

/// A token that the server gave.
#[derive(Debug)]
pub(in crate::deliver) struct Granted {
    pub(in crate::deliver) token: Secret,
    /// How long the token is good from now on.
    pub(in crate::deliver) lasts: Duration,
}

/// A successful answer. Other members are passed over, as section 5.1 asks for.
#[derive(Deserialize)]
struct Success {
    access_token: String,
    token_type: Option<String>,
    /// A number of seconds. Some servers send it as a string.
    expires_in: Option<Value>,
}

#[derive(Deserialize)]
struct Failed {
    error: String,
}

/// The token in a response, or why there is none.
pub(super) fn read(response: &Response) -> Result<Granted, String> {
    if response.status != 200 {
        return Err(format!("it answered {}{}", response.status, named(&response.body)));
    }
    if response.truncated {
        return Err(format!("its answer is longer than {} KiB", ANSWER_BYTES_MAX >> 10));
    }
    if response.body_error.is_some() {
        return Err("its answer broke off".into());
    }
    let Ok(success) = serde_json::from_slice::<Success>(&response.body) else {
        return Err("its answer is not JSON with an access_token".into());
    };
    granted(success)
}

fn granted(success: Success) -> Result<Granted, String> {
    let Success { access_token, token_type, expires_in } = success;
    let token = Secret::new(access_token);
    if token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("its token is of another type than Bearer".into());
    }
    if !is_token(token.expose()) {
        return Err("its access_token cannot be sent in a header".into());
    }
    let lasts = expires_in.map_or(Some(UNSAID), |given| seconds(&given));
    let lasts = lasts.ok_or("its expires_in is not a number of seconds")?;
    Ok(Granted { token, lasts: lasts.min(LASTS_MAX) })
}

fn seconds(given: &Value) -> Option<Duration> {
    let seconds = given.as_f64().or_else(|| given.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(seconds.clamp(0.0, LASTS_MAX.as_secs_f64())).ok()
}

/// The error that the server names, in brackets, if it is one of RFC 6749 section 5.2.
fn named(body: &[u8]) -> String {
    let failed = serde_json::from_slice::<Failed>(body).ok();
    let known = failed.and_then(|failed| ERRORS.iter().find(|known| **known == failed.error));
    known.map_or_else(String::new, |known| format!(" ({known})"))
}

const ERRORS: [&str; 6] =
    ["invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"];

/// The most bytes of an answer. A large token, as a signed one with many claims, has some 4 KiB.
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 10;

/// How long a token is taken to be good when the server does not say it. A 401 of the endpoint ends it earlier.
const UNSAID: Duration = Duration::from_secs(600);

/// The longest time that a token is kept, whatever the server says.
const LASTS_MAX: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::domain::headers::Headers;

    fn answered(status: u16, body: &str) -> Result<(String, u64), String> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let response = Response { status, headers: Headers::default(), body, truncated: false, body_error: None };
        read(&response).map(|granted| (granted.token.expose().to_owned(), granted.lasts.as_secs()))
    }

    #[test]
    fn a_token_lasts_as_long_as_the_server_says() {
        for (expires_in, lasts) in [("3600", 3600), ("\"3600\"", 3600), ("59.9", 59), ("0", 0), ("-1", 0), ("1e300", 86_400)] {
            let body = format!(r#"{{"access_token":"t","token_type":"bearer","expires_in":{expires_in},"scope":"x"}}"#);
            assert_eq!(answered(200, &body), Ok(("t".into(), lasts)), "{expires_in}");
        }
        assert_eq!(answered(200, r#"{"access_token":"t"}"#), Ok(("t".into(), 600)));
    }

    #[test]
    fn an_answer_without_a_token_says_what_is_wrong_and_nothing_of_it() {
        for (status, body, why) in [
            (200, "<html>", "its answer is not JSON with an access_token"),
            (200, r#"{"token":"sesame"}"#, "its answer is not JSON with an access_token"),
            (200, r#"{"access_token":"sesame","token_type":"mac"}"#, "its token is of another type than Bearer"),
            (200, r#"{"access_token":"sesame x"}"#, "its access_token cannot be sent in a header"),
            (200, r#"{"access_token":""}"#, "its access_token cannot be sent in a header"),
            (200, r#"{"access_token":"sesame","expires_in":"soon"}"#, "its expires_in is not a number of seconds"),
            (401, r#"{"error":"invalid_client","error_description":"sesame"}"#, "it answered 401 (invalid_client)"),
            (400, r#"{"error":"sesame"}"#, "it answered 400"),
            (302, "", "it answered 302"),
        ] {
            assert_eq!(answered(status, body), Err(why.into()), "{body}");
        }
    }
}

//! The answer that tells a problem: its status, its headers, and its members as JSON.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::problem::{Problem, whole_seconds};
use super::reply::Reply;
use crate::api::document;
use crate::domain::rate::Rate;

impl Problem {
    /// The whole answer for this problem.
    pub(crate) fn reply(self) -> Reply {
        let (status, body) = (self.status(), Bytes::from(document::line(&self.document())));
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        match &self {
            Self::NoKey(_) => headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Self::Method(allowed) => HeaderValue::from_str(allowed).ok().and_then(|allowed| headers.insert(ALLOW, allowed)),
            // When a body is not read to its end, the next request cannot be told from the rest of it.
            Self::TooLarge(_) | Self::Slow | Self::Malformed(_) => headers.insert(CONNECTION, CLOSE),
            Self::TooFast { wait, .. } => headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(*wait))),
            Self::RateLimited { whose, rate, wait } => limited(whose, *rate, *wait, &mut headers),
            _ if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&status) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"))
            }
            _ => None,
        };
        if self.is_closing() {
            headers.insert(CONNECTION, CLOSE);
        }
        Reply::new(status, headers, body)
    }
}

/// Says when the next event is taken, and what the limit is (draft-ietf-httpapi-ratelimit-headers-10 section 3).
fn limited(whose: &str, rate: Rate, wait: Duration, headers: &mut HeaderMap) -> Option<HeaderValue> {
    let wait = whole_seconds(wait);
    let policy = format!("\"{whose}\";q={};w={}", rate.count, rate.per.duration().as_secs());
    for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, format!("\"{whose}\";r=0;t={wait}"))] {
        HeaderValue::from_str(&value).ok().and_then(|value| headers.insert(name, value));
    }
    headers.insert(RETRY_AFTER, HeaderValue::from(wait))
}

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::response::wrong::Wrong;
    use crate::store::Refusal;

    #[test]
    fn a_problem_names_its_fields() {
        let reply = Problem::Fields(vec![Wrong::new("/url", "is no URL"), Wrong::new("/events", "is missing")]).reply();
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(reply.headers[CONTENT_TYPE], "application/problem+json");
        let expected = r#"{"type":"/docs/problems/invalid","title":"Unprocessable Entity","status":422,"detail":"/url: is no URL (and 1 more, see errors)","errors":[{"pointer":"/url","detail":"is no URL"},{"pointer":"/events","detail":"is missing"}]}"#;
        assert_eq!(reply.body, format!("{expected}\n"));
    }

    #[test]
    fn a_busy_store_says_when_to_come_back() {
        let reply = Problem::Refused(Refusal::Busy).reply();
        assert_eq!(reply.headers[RETRY_AFTER], "1");
        assert!(!reply.headers.contains_key(CONNECTION));
        assert_eq!(Problem::Refused(Refusal::Closing).reply().headers[CONNECTION], "close");
    }

    #[test]
    fn a_request_too_fast_is_told_when_to_come_back() {
        let reply = Problem::TooFast { what: "one a minute", wait: Duration::from_millis(1_001) }.reply();
        assert_eq!((reply.status, &reply.headers[RETRY_AFTER]), (StatusCode::TOO_MANY_REQUESTS, &HeaderValue::from(2)));
        assert!(reply.body.windows(14).any(|text| text == b"try again in 2"));
    }

    #[test]
    fn a_rate_limit_is_told_with_its_policy() {
        let reply =
            Problem::RateLimited { whose: "tenant", rate: "600/m".parse().unwrap(), wait: Duration::from_millis(99) }.reply();
        assert_eq!((reply.status, &reply.headers[RETRY_AFTER]), (StatusCode::TOO_MANY_REQUESTS, &HeaderValue::from(1)));
        let told = ["ratelimit-policy", "ratelimit"].map(|name| reply.headers[name].to_str().unwrap());
        assert_eq!(told, ["\"tenant\";q=600;w=60", "\"tenant\";r=0;t=1"]);
    }

    #[test]
    fn an_absent_method_is_answered_with_the_present_ones() {
        assert_eq!(Problem::Method("GET, POST".into()).reply().headers[ALLOW], "GET, POST");
    }
}

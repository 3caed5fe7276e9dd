//! Responses that are no HTTP, or that look like more than one response.

use super::*;

#[tokio::test]
async fn hundreds_of_interim_responses_are_bounded() {
    let some = "HTTP/1.1 102 Processing\r\n\r\n".repeat(300);
    assert_eq!(Server::answering(format!("{some}{OK}")).await.attempt(LIMITS).await.result.unwrap().status, 200);
    let outcome = Server::answering(some.repeat(1_000)).await.attempt(LIMITS).await;
    assert_eq!(class(&outcome), Class::Response, "{}", detail(&outcome));
}

#[tokio::test]
async fn a_response_without_a_status_fails_and_ends_the_connection() {
    for answer in NO_STATUS.iter().map(|line| (*line).to_owned()).chain(too_large()) {
        let server = Server::answering(answer.clone()).await;
        let mut kept = None;
        let outcome = send(&connector(), &mut kept, &server.target(), LIMITS).await;
        assert_eq!(outcome.result.as_ref().map_err(|failure| failure.class), Err(Class::Response), "{:?}", answer.get(..90));
        assert!(kept.is_none());
    }
}

/// An endpoint that answered with a readable status has taken the event, however odd the rest is, so it gets the event once.
#[tokio::test]
async fn a_readable_status_counts_and_an_odd_response_ends_the_connection() {
    for answer in odd_responses() {
        let server = Server::answering(answer.clone()).await;
        let (connector, mut kept) = (connector(), None);
        let outcome = send(&connector, &mut kept, &server.target(), LIMITS).await;
        let shown = answer.get(..90).unwrap_or(&answer);
        assert_eq!(outcome.result.as_ref().map(|response| response.status), Ok(200), "{shown:?}");
        assert!(kept.is_none() && server.count() == 1, "{shown:?}");
        assert!(outcome.duration < Duration::from_secs(2), "nothing is waited for: {shown:?}");
    }
}

fn odd_responses() -> Vec<String> {
    let with = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\nok");
    let chunked = |body: &&str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}");
    let sized = |headers: &str| with(&format!("content-length: 2\r\n{headers}"));
    let large = [format!("a: {}\r\n", "b".repeat(60_000)), "a: b\r\n".repeat(250), format!("{}: b\r\n", "a".repeat(17_000))];
    let lines = ODD_STATUS_LINES.iter().map(|line| format!("{line}content-length: 2\r\n\r\nok"));
    let headers = ODD_HEADERS.iter().map(|headers| sized(headers)).chain(large.iter().map(|headers| sized(headers)));
    lines.chain(headers).chain(FRAMINGS.iter().map(|headers| with(headers))).chain(ODD_CHUNKS.iter().map(chunked)).collect()
}

fn too_large() -> Vec<String> {
    let with = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\nok");
    vec![with(&format!("a: {}\r\n", "b".repeat(66_000))), with(&"a: b\r\n".repeat(257))]
}

const NO_STATUS: &[&str] = &[
    "garbage\r\n\r\n",
    "SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/1.1\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 abc OK\r\n\r\n",
    "HTTP/1.1 099 Low\r\n\r\n",
    "HTTP/2.0 200 OK\r\n\r\n",
    "http/1.1 200 OK\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n",
    " HTTP/1.1 200 OK\r\n\r\n",
    "<html>hello</html>\r\n\r\n",
    "{\"ok\":true}\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\u{16}\u{3}\u{1}",
    "220 smtp ready\r\n\r\n",
    "ICY 200 OK\r\n\r\n",
];

const ODD_STATUS_LINES: &[&str] = &[
    "\r\nHTTP/1.1 200 OK\r\n",
    "\nHTTP/1.1 200 OK\r\n",
    "HTTP/1.1 200 OK\n",
    "HTTP/1.1 200 \0\r\n",
    "HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\n",
    "HTTP/1.0 200 OK\r\n",
];

const ODD_HEADERS: &[&str] = &[
    "no colon\r\n",
    ": no name\r\n",
    "a b: c\r\n",
    "a : b\r\n",
    "a: b\r\n c: folded\r\n",
    "a: b\nc: d\r\n",
    "a: b\rc: d\r\n",
    "a: \0\r\n",
    "\0: a\r\n",
    "a\u{7f}: b\r\n",
    "a: \u{1b}[2J\r\n",
    "\u{e9}: a\r\n",
    "a(b): c\r\n",
    "connection: close\r\n",
];

const FRAMINGS: &[&str] = &[
    "content-length: x\r\n",
    "content-length: -1\r\n",
    "content-length: +2\r\n",
    "content-length: 1 2\r\n",
    "content-length: 2, 3\r\n",
    "content-length: 2\r\ncontent-length: 3\r\n",
    "content-length: 99999999999999999999999\r\n",
    "content-length: 0x2\r\n",
    "content-length:\r\n",
    "content-length: 1\r\n",
    "content-length: 2\r\ntransfer-encoding: chunked\r\n",
    "transfer-encoding: chunked\r\ncontent-length: 2\r\n",
    "transfer-encoding: xchunked\r\n",
    "transfer-encoding: gzip\r\n",
    "transfer-encoding: identity\r\n",
    "transfer-encoding: chunked, gzip\r\n",
    "transfer-encoding: gzip, chunked\r\n",
    "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
    "transfer-encoding: \u{b}chunked\r\n",
    "transfer-encoding:\r\n",
];

const ODD_CHUNKS: &[&str] = &[
    "x\r\nok\r\n0\r\n\r\n",
    "2\nok\r\n0\r\n\r\n",
    "2\r\nokk\r\n0\r\n\r\n",
    "fffffffffffffffff\r\nok",
    "2\r\nok\r\n0\r\n\r\nmore",
];

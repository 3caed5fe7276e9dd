//! Bytes that are no HTTP response, or look like more than one.

use super::*;

#[tokio::test]
async fn hundreds_of_interim_responses_are_bounded() {
    let some = "HTTP/1.1 102 Processing\r\n\r\n".repeat(300);
    assert_eq!(Server::answering(format!("{some}{OK}")).await.attempt(LIMITS).await.result.unwrap().status, 200);
    let outcome = Server::answering(some.repeat(1_000)).await.attempt(LIMITS).await;
    assert_eq!(class(&outcome), Class::Response, "{}", detail(&outcome));
}

#[tokio::test]
async fn what_is_not_a_response_is_a_failure_and_ends_the_connection() {
    for answer in not_responses() {
        let server = Server::answering(answer.clone()).await;
        let mut kept = None;
        let outcome = send(&connector(), &mut kept, &server.target(), LIMITS).await;
        assert_eq!(
            outcome.result.as_ref().map_err(|failure| failure.class),
            Err(Class::Response),
            "{:?}",
            answer.escape_ascii().to_string()
        );
        assert!(kept.is_none());
    }
}

fn not_responses() -> Vec<Vec<u8>> {
    let status_lines = [
        "garbage\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 \r\n\r\n",
        "HTTP/1.1 2\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 -20 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "HTTP /1.1 200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        " HTTP/1.1 200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\r\n\r\n",
        "HTTP/1.1 200 \0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "<html>hello</html>\r\n\r\n",
        "{\"ok\":true}\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        "220 smtp ready\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
    ];
    let headers = [
        "no colon\r\n",
        ": no name\r\n",
        "a b: c\r\n",
        "a : b\r\n",
        "a: b\r\n c: folded\r\n",
        " a: b\r\n",
        "\ta: b\r\n",
        "a: b\nc: d\r\n",
        "a: b\rc: d\r\n",
        "a: \0\r\n",
        "\0: a\r\n",
        "a\u{7f}: b\r\n",
        "a: \u{1b}[2J\r\n",
        "é: a\r\n",
        "a(b): c\r\n",
        "content-length: x\r\n",
        "content-length: -1\r\n",
        "content-length: +2\r\n",
        "content-length: 1 2\r\n",
        "content-length: 2, 3\r\n",
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: 99999999999999999999999\r\n",
        "content-length: 0x2\r\n",
        "content-length:\r\n",
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
    let chunks = [
        "x\r\nok\r\n0\r\n\r\n",
        "-2\r\nok\r\n0\r\n\r\n",
        "2\nok\r\n0\r\n\r\n",
        "2\r\nokk\r\n0\r\n\r\n",
        "2 2\r\nok\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nok",
        "\r\nok\r\n",
        "0x2\r\nok\r\n0\r\n\r\n",
        ";\r\nok\r\n",
        "2;a\nb\r\nok\r\n0\r\n\r\n",
    ];
    let large = [format!("a: {}\r\n", "b".repeat(17_000)), "a: b\r\n".repeat(65), format!("{}: b\r\n", "a".repeat(17_000))];
    let with = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\nok");
    let chunked = |body: &&str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}");
    let all =
        status_lines.iter().map(ToString::to_string).chain(headers.iter().map(|h| with(h))).chain(large.iter().map(|h| with(h)));
    all.chain(chunks.iter().map(chunked)).map(String::into_bytes).collect()
}

//! Tests of kept connections: which are used again, which are stale, and which must not be trusted.

use std::io::ErrorKind;

use super::*;

/// Answers every request on a connection.
async fn keep_answering(mut stream: TcpStream) {
    while !request(&mut stream).await.is_empty() {
        stream.write_all(OK.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_is_kept_and_used_again() {
    let server = Server::new(|_, stream| keep_answering(stream)).await;
    let (connector, mut kept) = (connector(), None);
    for _ in 0..50 {
        assert_eq!(send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap().status, 200);
        assert!(kept.is_some());
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn bodies_of_every_framing_leave_the_connection_usable() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1;x=y\r\no\r\n1\r\nk\r\n0\r\na: b\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nno",
    ] {
        let server = Server::answering(answer).await;
        let mut kept = None;
        send(&connector(), &mut kept, &server.target(), LIMITS).await.result.unwrap();
        assert!(kept.is_some_and(|kept| kept.is_reusable()), "{answer:?}");
    }
}

#[tokio::test]
async fn a_connection_that_asks_to_close_is_not_kept() {
    for answer in
        ["HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"]
    {
        let server = Server::answering(answer).await;
        let mut kept = None;
        assert_eq!(&send(&connector(), &mut kept, &server.target(), LIMITS).await.result.unwrap().body[..], b"ok");
        assert!(kept.is_none(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_connection_of_another_connector_or_origin_is_not_used() {
    let server = Server::new(|_, stream| keep_answering(stream)).await;
    let other = Server::new(|_, stream| keep_answering(stream)).await;
    let (first, second) = (connector(), connector());
    let mut kept = None;
    for (connector, server) in [(&first, &server), (&second, &server), (&second, &other)] {
        assert_eq!(send(connector, &mut kept, &server.target(), LIMITS).await.result.unwrap().status, 200);
    }
    assert_eq!((server.count(), other.count()), (2, 1));
}

/// A receiver may close idle connections as a request comes. Without a second try every second attempt would fail.
#[tokio::test]
async fn a_stale_connection_costs_no_attempt() {
    let server = Server::new(|_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        // The request is read, and the connection ends without a byte of a response.
        request(&mut stream).await;
    })
    .await;
    let (connector, mut kept) = (connector(), None);
    for _ in 0..300 {
        assert_eq!(send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap().status, 200);
    }
    // Each request but the first was sent twice: on the stale connection, and then on a fresh one.
    assert_eq!(server.count(), 300);
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_no_attempt() {
    let server = Server::new(|_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    let (connector, mut kept) = (connector(), None);
    for _ in 0..100 {
        assert_eq!(send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap().status, 200);
    }
    assert_eq!(server.count(), 100);
}

#[tokio::test]
async fn nothing_is_sent_again_after_a_byte_of_a_response() {
    let server = Server::new(|_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        request(&mut stream).await;
        stream.write_all(b"H").await.unwrap();
    })
    .await;
    let (connector, mut kept) = (connector(), None);
    send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap();
    let outcome = send(&connector, &mut kept, &server.target(), LIMITS).await;
    assert_eq!(outcome.result.unwrap_err().to_string(), "reset: the endpoint closed the connection in the response's headers");
    assert!(kept.is_none());
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn nothing_is_sent_again_on_a_fresh_connection() {
    let server = Server::new(|_, mut stream| async move { drop(request(&mut stream).await) }).await;
    let outcome = server.attempt(LIMITS).await;
    assert_eq!((class(&outcome), detail(&outcome)), (Class::Reset, "the endpoint closed the connection before a response"));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn an_idle_connection_tells_when_it_is_closed() {
    for farewell in ["", "HTTP/1.1 408 Request Timeout\r\n\r\n"] {
        let server = Server::new(move |_, mut stream| async move {
            request(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            stream.write_all(farewell.as_bytes()).await.unwrap();
        })
        .await;
        let mut kept = None;
        send(&connector(), &mut kept, &server.target(), LIMITS).await.result.unwrap();
        let mut connection = kept.unwrap();
        tokio::time::timeout(Duration::from_secs(3), connection.until_closed()).await.unwrap();
        assert!(!connection.is_reusable());
    }
}

#[tokio::test]
async fn a_hung_kept_connection_is_not_retried_past_the_deadline() {
    let server = Server::answering(OK).await;
    let (connector, mut kept) = (connector(), None);
    send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap();
    let outcome = send(&connector, &mut kept, &server.target(), Limits { timeout: Duration::from_millis(200), ..LIMITS }).await;
    assert_eq!(class(&outcome), Class::Timeout);
    assert_eq!((server.count(), kept.is_none()), (1, true));
}

/// A second response hidden behind the first must never answer the next request.
#[tokio::test]
async fn a_smuggled_second_response_answers_nothing() {
    let evil = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    for first in [
        OK,
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        for together in [true, false] {
            let server = Server::new(move |number, mut stream| async move {
                request(&mut stream).await;
                let answers = if number == 0 { [first, evil] } else { [OK, ""] };
                if together {
                    stream.write_all(answers.concat().as_bytes()).await.unwrap();
                } else {
                    stream.write_all(answers[0].as_bytes()).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let _ = stream.write_all(answers[1].as_bytes()).await;
                }
                gone(stream).await;
            })
            .await;
            let (connector, mut kept) = (connector(), None);
            send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap();
            // Bytes that come after the next request was sent cannot be told from its response. Bytes that come before can.
            tokio::time::sleep(Duration::from_millis(60)).await;
            assert_eq!(&send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap().body[..], b"ok", "{first:?}");
            assert_eq!(server.count(), 2);
        }
    }
}

#[tokio::test]
async fn an_abandoned_exchange_leaves_no_connection() {
    let server = Server::answering(OK).await;
    let (connector, mut kept) = (connector(), None);
    send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap();
    let target = server.target();
    let abandoned = tokio::time::timeout(Duration::from_millis(50), send(&connector, &mut kept, &target, LIMITS)).await;
    assert!(abandoned.is_err());
    assert!(kept.is_none());
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    // Libraries read the variables once a process, so the test runs itself again with them set.
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "deliver::attempt::tests::reuse::a_connection_is_kept_and_used_again"]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        again.env(name, &url);
    }
    let ran = tokio::task::spawn_blocking(move || again.output().unwrap()).await.unwrap();
    assert!(ran.status.success() && String::from_utf8_lossy(&ran.stdout).contains("1 passed"));
    assert_eq!(proxy.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn attempts_at_once_do_not_disturb_each_other() {
    let server = Server::new(|_, stream| keep_answering(stream)).await;
    let connector = Arc::new(connector());
    let slots = (0..64).map(|_| {
        let (connector, target) = (Arc::clone(&connector), server.target());
        tokio::spawn(async move {
            let mut kept = None;
            for _ in 0..20 {
                assert_eq!(send(&connector, &mut kept, &target, LIMITS).await.result.unwrap().status, 200);
            }
        })
    });
    for slot in slots.collect::<Vec<_>>() {
        slot.await.unwrap();
    }
    assert_eq!(server.count(), 64);
}

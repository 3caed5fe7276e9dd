//! Answers of real servers, middleboxes and mistakes. A success that came in time counts and is one request, whatever is wrong
//! behind it, and no exchange sees anything of the one before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::api::{attempts, text};
use crate::harness::config::Config;
use crate::harness::service::Service;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_in_time_is_one_request_whatever_follows() {
    let cases = cases();
    let receiver = RawReceiver::start(&cases).await;
    let dialect = format!("extends = \"standard\"\n[dialect.raw.delivery]\ntimeout = \"{}s\"\n", TIMEOUT.as_secs());
    let config =
        cases.iter().fold(Config::bare().dialect("raw", &dialect, &[]).provider("shop", "raw").tenant("acme"), |config, case| {
            config.webhook(&case.name, &receiver.url(&case.name), &[&case.name])
        });
    let service = Service::start(&config).await;
    let acme = service.acme();

    let ids = publish_to_all(&acme, &cases).await;
    for (case, id) in cases.iter().zip(&ids) {
        let delivery = acme.delivery_that(id, &case.name, |delivery| delivery["status"] != "pending").await;
        case.judge(&delivery);
        assert_eq!(receiver.requests(&case.name), 1, "{}: {delivery}", case.name);
    }

    // The second request of each case gets a plain answer, which must be the one that the log shows.
    let ids = publish_to_all(&acme, &cases).await;
    for (case, id) in cases.iter().zip(&ids) {
        let delivery = acme.delivery_that(id, &case.name, |delivery| delivery["status"] != "pending").await;
        assert_eq!(attempts(&delivery)[0]["response"]["body"], format!("second {}", case.name), "{}: {delivery}", case.name);
        assert_eq!(receiver.requests(&case.name), 2, "{}", case.name);
    }
}

async fn publish_to_all(acme: &crate::harness::client::Client, cases: &[Case]) -> Vec<String> {
    let lines: Vec<_> = cases.iter().map(|case| format!(r#"{{"type":"{}","data":{{}}}}"#, case.name)).collect();
    let (answer, results) = acme.publish_lines(&lines.join("\n")).await;
    assert_eq!(results.len(), cases.len(), "{}", answer.text());
    results.iter().map(|result| text(&result["id"])).collect()
}

/// An answer, and how the attempt that gets it ends.
struct Case {
    name: String,
    /// The pieces of the answer. They are sent with a pause between them, so that they arrive apart.
    pieces: Vec<Vec<u8>>,
    then: Then,
    expected: Expected,
}

/// What the receiver does after it has sent the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It waits for the next request on the connection.
    Next,
    Close,
    Reset,
    /// It does nothing more, and holds the connection.
    Hold,
    /// It sends these bytes again and again.
    Repeat(&'static [u8]),
}

#[derive(Clone, Copy, Debug)]
enum Expected {
    /// A success with this status. The error of its body holds these words; `None` means that there is no error.
    Success(u16, Option<&'static str>),
    /// A failure of this class, with a status if there is one.
    Failure(&'static str, Option<u16>),
}

impl Case {
    fn judge(&self, delivery: &Value) {
        let name = &self.name;
        let attempt = &attempts(delivery)[0];
        let response = &attempt["response"];
        match self.expected {
            Expected::Success(status, body_error) => {
                assert_eq!((&delivery["status"], &attempt["error"]), (&"succeeded".into(), &Value::Null), "{name}: {delivery}");
                assert_eq!(response["status"], status, "{name}: {delivery}");
                let told = response["body_error"].as_str();
                assert!(
                    told.is_some() == body_error.is_some() && told.unwrap_or("").contains(body_error.unwrap_or("")),
                    "{name}: {response}"
                );
            }
            Expected::Failure(class, status) => {
                assert_eq!((&delivery["status"], &attempt["error"]), (&"failed".into(), &class.into()), "{name}: {delivery}");
                assert_eq!(response["status"].as_u64(), status.map(u64::from), "{name}: {delivery}");
            }
        }
    }
}

/// Reads requests and sends the bytes of each case. An HTTP library would correct them.
struct RawReceiver {
    base: String,
    requests: Arc<Mutex<HashMap<String, usize>>>,
    task: tokio::task::JoinHandle<()>,
}

type Answers = Arc<HashMap<String, (Vec<Vec<u8>>, Then)>>;

impl RawReceiver {
    async fn start(cases: &[Case]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let answers: Answers = Arc::new(cases.iter().map(|case| (case.name.clone(), (case.pieces.clone(), case.then))).collect());
        let requests = Arc::<Mutex<HashMap<String, usize>>>::default();
        let counts = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, counts) = (Arc::clone(&answers), Arc::clone(&counts));
                // An error is an end of the connection, which the service's log reports.
                connections.spawn(async move { drop(serve(stream, &answers, &counts).await) });
            }
        });
        Self { base, requests, task }
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    fn requests(&self, name: &str) -> usize {
        self.requests.lock().expect("no panic in between").get(name).copied().unwrap_or(0)
    }
}

impl Drop for RawReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, answers: &Answers, requests: &Mutex<HashMap<String, usize>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    while let Some(name) = read_request(&mut stream).await? {
        let count = {
            let mut requests = requests.lock().expect("no panic in between");
            let count = requests.entry(name.clone()).or_default();
            *count += 1;
            *count
        };
        if count > 1 {
            let body = format!("second {name}");
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await?;
            continue;
        }
        let (pieces, then) = answers.get(&name).expect("a path of a case");
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            stream.write_all(piece).await?;
        }
        match then {
            Then::Next => {}
            Then::Close => return Ok(()),
            Then::Reset => {
                tokio::time::sleep(Duration::from_millis(30)).await;
                return stream.set_zero_linger();
            }
            Then::Hold => while stream.read_u8().await.is_ok() {},
            Then::Repeat(bytes) => loop {
                stream.write_all(bytes).await?;
            },
        }
    }
    Ok(())
}

/// Reads a request with its whole body, and returns its path without the slash. `None` at the end of the connection.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return Ok(None),
        }
    }
    let head = String::from_utf8(head).expect("our own request");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    stream.read_exact(&mut vec![0; length.parse().expect("a number")]).await?;
    Ok(head.split(' ').nth(1).map(|path| path.trim_start_matches('/').to_owned()))
}

fn case(name: &str, answer: impl AsRef<[u8]>, then: Then, expected: Expected) -> Case {
    Case { name: name.to_owned(), pieces: vec![answer.as_ref().to_vec()], then, expected }
}

fn cases() -> Vec<Case> {
    [in_order(), bodies_that_fail(), odd_heads(), odd_framings(), more_than_one(), failures()].into_iter().flatten().collect()
}

fn ok(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}")
}

const OK: Expected = Expected::Success(200, None);

const fn noted(error: &'static str) -> Expected {
    Expected::Success(200, Some(error))
}

fn in_order() -> Vec<Case> {
    let whole = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: y\r\n\r\nok";
    let pieces = whole.as_bytes().chunks(7).map(<[u8]>::to_vec).collect();
    vec![
        case("complete", whole, Then::Next, OK),
        case("chunked", ok("transfer-encoding: chunked\r\n", "2;x=y\r\nok\r\n0\r\na: b\r\n\r\n"), Then::Next, OK),
        case("no-content", "HTTP/1.1 204 No Content\r\n\r\n", Then::Next, Expected::Success(204, None)),
        case("created", "HTTP/1.1 201\r\ncontent-length: 0\r\n\r\n", Then::Next, Expected::Success(201, None)),
        case("until-close", ok("", "ok"), Then::Close, OK),
        case("http-1-0", "HTTP/1.0 200 OK\r\n\r\nok", Then::Close, OK),
        Case { pieces, ..case("in-pieces", "", Then::Next, OK) },
    ]
}

fn bodies_that_fail() -> Vec<Case> {
    let (length, chunked) = ("content-length: 900000\r\n", "transfer-encoding: chunked\r\n");
    vec![
        case("cut-body", ok(length, "ok"), Then::Close, noted("closed the connection with 899998 bytes")),
        case("cut-chunk", ok(chunked, "9\r\nok"), Then::Close, noted("before the body's last chunk")),
        case("reset-body", ok(length, "ok"), Then::Reset, noted("reset the connection")),
        case("body-that-never-begins", ok(length, ""), Then::Hold, noted("did not end within")),
        case("body-that-never-ends", ok(length, "ok"), Then::Hold, noted("did not end within")),
        case("endless-body", ok("content-length: 99999999999\r\n", ""), Then::Repeat(&[b'a'; 4_096]), OK),
        case("endless-chunks", ok(chunked, ""), Then::Repeat(b"4\r\naaaa\r\n"), OK),
        case("endless-until-close", ok("", ""), Then::Repeat(&[b'a'; 4_096]), OK),
        case("unreadable-chunk", ok(chunked, "x\r\nok\r\n0\r\n\r\n"), Then::Next, noted("size of one of the body's chunks")),
        case("line-feed-in-chunks", ok(chunked, "2\nok\n0\n\n"), Then::Next, noted("does not end in CR LF")),
    ]
}

fn odd_heads() -> Vec<Case> {
    let sized = |headers: &str| ok(&format!("content-length: 2\r\n{headers}"), "ok");
    let of_bytes = |bytes: usize| {
        let rest = sized("a: \r\n").len() - 2;
        sized(&format!("a: {}\r\n", "b".repeat(bytes - rest)))
    };
    vec![
        case("folded", sized("a: b\r\n  c\r\n\td\r\n"), Then::Next, OK),
        case("bare-line-feeds", "HTTP/1.1 200 OK\ncontent-length: 2\n\nok", Then::Next, OK),
        case("one-bare-line-feed", sized("a: b\nc: d\r\n"), Then::Next, OK),
        case("headers-65", sized(&"a: b\r\n".repeat(64)), Then::Next, OK),
        case("headers-256", sized(&"a: b\r\n".repeat(255)), Then::Next, OK),
        case("head-17-kib", of_bytes(17 * 1024), Then::Next, OK),
        case("head-64-kib", of_bytes(64 * 1024), Then::Next, OK),
        case("no-colon", sized("no colon\r\n"), Then::Next, OK),
        case("null-in-a-header", sized("a: \0\r\n"), Then::Next, OK),
        case("escape-in-a-header", sized("a: \u{1b}[2J\r\n"), Then::Next, OK),
        case("blank-line-before", format!("\r\n{}", sized("")), Then::Next, OK),
        case("odd-reason", b"HTTP/1.1 200 \xff\xfe\r\ncontent-length: 2\r\n\r\nok", Then::Next, OK),
    ]
}

fn odd_framings() -> Vec<Case> {
    let chunks = "2\r\nok\r\n0\r\n\r\n";
    let of = |name, headers: &str, error| case(name, ok(headers, chunks), Then::Next, noted(error));
    vec![
        of("length-and-coding", "content-length: 2\r\ntransfer-encoding: chunked\r\n", "both a content-length"),
        of("two-codings", "transfer-encoding: gzip, chunked\r\n", "besides chunked"),
        of("coding-twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "besides chunked"),
        of("unknown-coding", "transfer-encoding: xchunked\r\n", "is not chunked"),
        of("length-of-letters", "content-length: x\r\n", "not a number"),
        of("two-lengths", "content-length: 2\r\ncontent-length: 3\r\n", "more than one content-length"),
    ]
}

fn more_than_one() -> Vec<Case> {
    let whole = ok("content-length: 2\r\n", "ok");
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n";
    let behind = noted("nobody asked for");
    vec![
        case("continue-before", format!("HTTP/1.1 100 Continue\r\n\r\n{whole}"), Then::Next, OK),
        case("hundreds-before", format!("{}{whole}", interim.repeat(300)), Then::Next, OK),
        case("bytes-behind", format!("{whole}evil"), Then::Next, behind),
        case("response-behind", format!("{whole}{}", ok("content-length: 4\r\n", "evil")), Then::Next, behind),
        case(
            "bytes-behind-no-content",
            "HTTP/1.1 204 No Content\r\n\r\nevil",
            Then::Next,
            Expected::Success(204, Some("nobody asked for")),
        ),
    ]
}

fn failures() -> Vec<Case> {
    let fails = |class, status| Expected::Failure(class, status);
    let sized = |headers: &str| ok(&format!("content-length: 2\r\n{headers}"), "ok");
    let head_past_its_bound = sized(&format!("a: {}\r\n", "b".repeat(64 * 1024)));
    vec![
        case("error-status", "HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno", Then::Next, fails("status", Some(500))),
        case("error-status-cut", "HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\nno", Then::Close, fails("status", Some(500))),
        case(
            "redirect",
            "HTTP/1.1 302 Found\r\nlocation: /complete\r\ncontent-length: 0\r\n\r\n",
            Then::Next,
            fails("status", Some(302)),
        ),
        case("switched", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", Then::Hold, fails("status", Some(101))),
        case("silence", "", Then::Hold, fails("timeout", None)),
        case("half-a-head", "HTTP/1.1 200 OK\r\ncontent-le", Then::Hold, fails("timeout", None)),
        case("cut-head", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", Then::Close, fails("reset", None)),
        case("closed-at-once", "", Then::Close, fails("reset", None)),
        case("reset-at-once", "", Then::Reset, fails("reset", None)),
        case("headers-257", sized(&"a: b\r\n".repeat(256)), Then::Hold, fails("response", None)),
        case("head-past-64-kib", head_past_its_bound, Then::Hold, fails("response", None)),
        case("no-http", "220 mail.example.com ESMTP\r\n", Then::Hold, fails("response", None)),
        case("http-2-0", "HTTP/2.0 200 OK\r\n\r\n", Then::Hold, fails("response", None)),
        case("endless-interim", "", Then::Repeat(b"HTTP/1.1 102 Processing\r\n\r\n"), fails("response", None)),
    ]
}

/// The timeout of an attempt: long enough for a busy machine, and the time that the slowest case takes.
const TIMEOUT: Duration = Duration::from_secs(3);

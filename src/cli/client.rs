//! Asks the running service: one HTTP/1.1 request over its unix socket, whose file permissions are the authentication.
//!
//! Never hangs: whatever the service does, an answer or an error comes within the call's time. Never opens the store.

mod answer;
pub(in crate::cli) mod sockets;
pub(in crate::cli) mod stream;
pub(in crate::cli) mod wait;
pub(in crate::cli) mod watch;

use std::env;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::client::sockets::usual_sockets;
use crate::domain::text::system::words;

pub(in crate::cli) use answer::{Answer, ConfigFault, Everything, Page, Problem, Served};

/// A running service, reached over one of its sockets.
pub(crate) struct Service {
    sockets: Vec<PathBuf>,
    /// `PROVIDER/TENANT` or `PROVIDER/*`, for which the operator acts; without it for the default one, and for any by an id.
    tenant: Option<String>,
    runtime: tokio::runtime::Runtime,
}

/// One request to the service.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: Method,
    /// The path with its query.
    path: String,
    idempotency_key: Option<String>,
    /// Where a stream goes on.
    last_event_id: Option<String>,
    body: Bytes,
    timeout: Duration,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, Bytes::new())
    }

    /// `body` is JSON, or empty.
    pub(crate) fn post(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self::new(Method::POST, path, body.into())
    }

    /// `body` is JSON.
    pub(crate) fn put(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self::new(Method::PUT, path, body.into())
    }

    /// `body` is JSON.
    pub(crate) fn patch(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self::new(Method::PATCH, path, body.into())
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, Bytes::new())
    }

    /// Adds a query; pairs without a value are left out.
    pub(crate) fn query<'a>(mut self, pairs: impl IntoIterator<Item = (&'a str, Option<String>)>) -> Self {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in pairs {
            value.into_iter().for_each(|value| _ = query.append_pair(name, &value));
        }
        let query = query.finish();
        if !query.is_empty() {
            self.path = format!("{}?{query}", self.path);
        }
        self
    }

    pub(crate) fn idempotency_key(self, key: Option<String>) -> Self {
        Self { idempotency_key: key, ..self }
    }

    /// The same request with another time limit than the usual [`TIMEOUT`].
    pub(crate) fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    fn new(method: Method, path: impl Into<String>, body: Bytes) -> Self {
        Self { method, path: path.into(), idempotency_key: None, last_event_id: None, body, timeout: TIMEOUT }
    }

    fn request(self, tenant: Option<&str>) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder().method(self.method.clone()).uri(self.path).header(header::HOST, "localhost");
        if let Some(tenant) = tenant {
            request = request.header("hookwheel-tenant", tenant);
        }
        if let Some(key) = self.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if let Some(id) = self.last_event_id {
            request = request.header("last-event-id", id);
        }
        // Also without a body: nothing but JSON is ever sent, and `dev` wants to hear it.
        if self.method == Method::POST || self.method == Method::PUT {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(self.body))
    }
}

impl Service {
    /// `socket` is the socket that was named; without it the usual places of a service and of `dev` are tried in order.
    pub(crate) fn new(socket: Option<PathBuf>, tenant: Option<&str>) -> Result<Self, Error> {
        let sockets = socket.map_or_else(|| usual_sockets(&|name| env::var_os(name)), |socket| vec![socket]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
        Ok(Self { sockets, tenant: tenant.map(Into::into), runtime })
    }

    /// Sends a request, and returns the answer if its status is 2xx, else the service's problem as an error.
    pub(crate) fn ask(&self, call: Call) -> Result<Answer, Error> {
        let answer = self.exchange(call)?;
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(Error::Refused(answer.problem())) }
    }

    /// Every row of a list as the API's own type, page by page; `filters` as in [`Call::query`].
    pub(crate) fn rows<T: DeserializeOwned>(&self, path: &str, filters: &[(&str, &str)]) -> Result<Vec<T>, Error> {
        let (mut rows, mut cursor) = (Vec::new(), None);
        loop {
            let filters = filters.iter().map(|(name, value)| (*name, Some((*value).to_owned())));
            let query = filters.chain([("limit", Some(PAGE_MAX.to_string())), ("cursor", cursor)]);
            let page: Page<T> = self.ask(Call::get(path).query(query))?.read()?;
            rows.extend(page.rows);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Sends a request, and returns the answer whatever its status.
    pub(crate) fn exchange(&self, call: Call) -> Result<Answer, Error> {
        self.runtime.block_on(async {
            let (socket, stream) = connect(&self.sockets).await?;
            let timeout = call.timeout;
            let broken = |cause: String| Error::Broken { socket: socket.clone(), cause };
            let request = call.request(self.tenant.as_deref()).map_err(|error| broken(error.to_string()))?;
            match tokio::time::timeout(timeout, exchange(stream, request, &socket)).await {
                Ok(answer) => answer,
                Err(_) => Err(Error::Silent { socket, timeout }),
            }
        })
    }
}

/// A text as one part of a path, whatever is in it (RFC 3986 section 2.3).
pub(crate) fn in_path(text: &str) -> String {
    utf8_percent_encode(text, &NOT_UNRESERVED).to_string()
}

/// Connects to the first socket that has a service.
async fn connect(sockets: &[PathBuf]) -> Result<(PathBuf, UnixStream), Error> {
    let mut tried = Vec::new();
    for socket in sockets {
        match UnixStream::connect(socket).await {
            Ok(stream) => return Ok((socket.clone(), stream)),
            Err(cause) => tried.push((socket.clone(), cause)),
        }
    }
    let denied = tried.iter().position(|(_, cause)| cause.kind() == io::ErrorKind::PermissionDenied);
    Err(match denied {
        Some(at) => Error::Denied(tried.swap_remove(at).0),
        None => Error::NoService { tried },
    })
}

async fn exchange(stream: UnixStream, request: Request<Full<Bytes>>, socket: &Path) -> Result<Answer, Error> {
    let broken = |cause: &dyn fmt::Display| Error::Broken { socket: socket.to_owned(), cause: cause.to_string() };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    // Ends with the runtime at the latest; its error is the request's too.
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| match error.is::<http_body_util::LengthLimitError>() {
        true => Error::TooLarge(socket.to_owned()),
        false => broken(&error),
    })?;
    Ok(Answer { status, body: body.to_bytes(), socket: socket.to_owned() })
}

/// Why a request had no good answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no hookwheel service answers; tried {}", listed(.tried))]
    NoService { tried: Vec<(PathBuf, io::Error)> },
    #[error("permission denied on the admin socket {}", .0.display())]
    Denied(PathBuf),
    #[error("the service at {} did not answer within {} s", .socket.display(), .timeout.as_secs())]
    Silent { socket: PathBuf, timeout: Duration },
    #[error("the connection to the service at {} broke: {cause}", .socket.display())]
    Broken { socket: PathBuf, cause: String },
    #[error("the answer of the service at {} is larger than {ANSWER_BYTES_MAX} bytes; a smaller --limit asks for less", .0.display())]
    TooLarge(PathBuf),
    #[error("the answer of the service at {} cannot be read: {why}; is it of another version than this command?", .socket.display())]
    NotJson { socket: PathBuf, why: String },
    #[error("cannot start the client: {0}")]
    Runtime(io::Error),
    #[error("{0}")]
    Refused(Problem),
}

fn listed(tried: &[(PathBuf, io::Error)]) -> String {
    let each = tried.iter().map(|(socket, cause)| format!("{} ({})", socket.display(), reason(cause)));
    each.collect::<Vec<_>>().join(", ")
}

fn reason(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::NotFound => "no such socket".into(),
        io::ErrorKind::ConnectionRefused => "nobody listens".into(),
        _ => words(cause),
    }
}

/// The characters that are escaped in a path: all but the unreserved ones of RFC 3986.
const NOT_UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How long an answer may take. The service answers in milliseconds; a full disk or a stopped process takes for ever.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of an answer that are read at most: several deliveries with events of 1 MiB and the responses of many attempts.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The most rows that one page of the API holds.
const PAGE_MAX: u32 = 250;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// A service that reads one request, answers with these bytes, and gives back what it read.
    fn service(answer: &'static str) -> (tempfile::TempDir, Service, thread::JoinHandle<String>) {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("admin.sock");
        let listener = UnixListener::bind(&socket).expect("bound");
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let mut read = vec![0; 4096];
            let count = stream.read(&mut read).expect("a request");
            stream.write_all(answer.as_bytes()).expect("answered");
            String::from_utf8_lossy(&read[..count]).into_owned()
        });
        let service = Service::new(Some(socket), Some("acme/t1")).expect("a runtime");
        (folder, service, serving)
    }

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"a\":[1,2]}";

    #[test]
    fn a_call_names_the_tenant_and_carries_its_query() {
        let (_folder, service, serving) = service(OK);
        let query = [("status", Some("a b&c".to_owned())), ("none", None)];
        let answer = service.ask(Call::get("/v1/deliveries").query(query)).expect("an answer");
        assert_eq!(answer.text().expect("text"), "{\"a\":[1,2]}");
        let request = serving.join().expect("served");
        assert!(request.starts_with("GET /v1/deliveries?status=a+b%26c HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("hookwheel-tenant: acme/t1\r\n"), "{request}");
        assert!(!request.contains("content-type"), "{request}");
    }

    #[test]
    fn a_text_is_escaped_within_its_part_of_a_path() {
        assert_eq!(in_path("key_file_acme.t1.my key/ä?"), "key_file_acme.t1.my%20key%2F%C3%A4%3F");
    }

    #[test]
    fn a_problem_becomes_an_error_with_its_fields() {
        let body = r#"{"title":"x","status":422,"detail":"/url: is no URL","errors":[{"pointer":"/url","detail":"is no URL"},{"pointer":"/events","detail":"is missing"}]}"#;
        let answer = format!("HTTP/1.1 422 Unprocessable\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let (_folder, service, _) = service(answer.leak());
        let error = service.ask(Call::post("/v1/webhooks", "{}")).expect_err("refused");
        let expected = "/url: is no URL (422)\n  /url: is no URL\n  /events: is missing";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn without_a_service_every_socket_tried_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let stale = folder.path().join("stale.sock");
        drop(UnixListener::bind(&stale).expect("bound"));
        let service =
            Service { sockets: vec!["/nowhere/a.sock".into(), stale.clone()], ..Service::new(None, None).expect("one") };
        let error = service.ask(Call::get("/")).expect_err("nobody is there").to_string();
        assert!(error.contains("/nowhere/a.sock (no such socket)"), "{error}");
        assert!(error.contains(&format!("{} (nobody listens)", stale.display())), "{error}");
    }

    #[test]
    fn a_service_that_says_nothing_is_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("admin.sock");
        let _listener = UnixListener::bind(&socket).expect("bound");
        let service = Service::new(Some(socket), None).expect("a runtime");
        let error = service.ask(Call::get("/").within(Duration::from_millis(20))).expect_err("silence");
        assert!(matches!(error, Error::Silent { .. }), "{error}");
    }

    #[test]
    fn a_service_that_hangs_up_is_no_answer() {
        let (_folder, service, _) = service("");
        assert!(matches!(service.ask(Call::get("/")), Err(Error::Broken { .. })));
    }
}

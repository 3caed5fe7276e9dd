//! The forward-only relay: takes events in, signs them as the standard dialect does, sends them on, and answers its publisher
//! when the receivers have answered. HTTP and signing are those of the service; there is no store, no queue, no retry.
//!
//! Its rate is what this machine can forward at all. Bodies go on as they came, keys are not looked at.

use std::convert::Infallible;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::event::{self, To};
use super::receiver::{accept, lock};
use super::{Error, load};
use crate::clock;
use crate::config::checked::DEFAULT_DIALECT;
use crate::config::{self, Sources};
use crate::deliver::attempt::{Limits, attempt};
use crate::deliver::connect::{Connector, Options};
use crate::deliver::cut::Cut;
use crate::deliver::exchange::connection::Connection;
use crate::deliver::exchange::request as outgoing;
use crate::domain::dialect::Dialect;
use crate::domain::event::Attributes;
use crate::domain::headers::Headers;
use crate::domain::template::{AttemptFacts, Facts};
use crate::domain::webhook::secret::{RANDOM_BYTES, Secret};
use crate::domain::webhook::target::{Guard, Schemes, Target};

/// Forwards to so many endpoints at the receiver's port until stdin ends, with at most `slots` attempts at once to an endpoint. It
/// says its address on stderr, as the service does.
pub(crate) fn forward(endpoints: u32, receiver_port: u16, slots: usize) -> Result<(), Error> {
    // The layout of the service's own runtime.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::io("start a runtime"))?;
    let endpoints = (0..endpoints).map(|number| load::address(number, receiver_port));
    let relay = Arc::new(Relay::new(endpoints, slots).map_err(Error::io("build the forward-only relay"))?);
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(Error::io("listen"))?;
    let address = listener.local_addr().map_err(Error::io("listen"))?;
    runtime.spawn(accept(listener, move |stream| serve(stream, relay.clone())));
    writeln!(io::stderr(), "listening on http://{address}\nready").map_err(Error::io("say the address"))?;
    let end = io::stdin().read_to_end(&mut Vec::new()).map_err(Error::io("wait for the end of stdin"));
    runtime.shutdown_background();
    end.map(drop)
}

async fn serve(stream: TcpStream, relay: Arc<Relay>) {
    let service = service_fn(|request| relay.clone().answer(request));
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(BUFFER_BYTES_MAX);
    // A connection that breaks is the publisher's to report.
    if stream.set_nodelay(true).is_ok() {
        drop(builder.serve_connection(TokioIo::new(stream), service).await);
    }
}

struct Relay {
    response_capture: usize,
    connector: Connector,
    dialect: Arc<Dialect>,
    secret: Secret,
    endpoints: Vec<Endpoint>,
    /// Attempts at once over all endpoints.
    slots: Semaphore,
    next: AtomicU64,
    /// Never made: nobody stops a measurement gently.
    cut: Cut,
}

/// A connection as the connector hands it out.
type Kept = Box<Connection>;

struct Endpoint {
    target: Target,
    slots: Semaphore,
    kept: Mutex<Vec<Kept>>,
}

impl Relay {
    fn new(endpoints: impl Iterator<Item = SocketAddrV4>, slots: usize) -> io::Result<Self> {
        // The defaults of the service are those of a config without a file.
        let config = config::load(Sources { file: None, environment: Vec::new(), flags: Vec::new() });
        let config = config.map_err(|faults| io::Error::other(faults.to_string()))?;
        let guard = Guard { allow: vec!["127.0.0.0/8".parse().map_err(io::Error::other)?], own: Vec::new() };
        let endpoint = |address: SocketAddrV4| {
            let target =
                Target::parse(&format!("http://{address}/"), Schemes { http: true }, &guard).map_err(io::Error::other)?;
            Ok(Endpoint { target, slots: Semaphore::new(slots), kept: Mutex::default() })
        };
        let endpoints = endpoints.map(endpoint).collect::<io::Result<_>>()?;
        let connect_timeout = config.delivery.connect_timeout;
        let options = Options { guard, connect_timeout, resolvers: Vec::new(), ca_file: None };
        let connector = Connector::new(options).map_err(io::Error::other)?;
        let dialect = config.dialects.get(DEFAULT_DIALECT).cloned().ok_or(io::ErrorKind::NotFound)?;
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let secret = dialect.api.secret_format.generate(&random);
        let (slots, next, cut) = (Semaphore::new(config.delivery.in_flight), AtomicU64::new(0), Cut::new());
        let response_capture = usize::try_from(config.delivery.response_capture.bytes()).map_err(io::Error::other)?;
        Ok(Self { response_capture, connector, dialect, secret, endpoints, slots, next, cut })
    }

    /// 202 when every receiver has taken every event of the request; else 502, or one line for each event of a batch.
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let is_batch = request.headers().get(http::header::CONTENT_TYPE).is_some_and(|kind| kind == "application/x-ndjson");
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| body.slice_ref(line));
        let (status, said) = if is_batch {
            let taken = at_once(lines.map(|line| self.clone().forward(line))).await;
            let lines: String = taken.into_iter().map(|taken| if taken { TAKEN } else { NOT_TAKEN }).collect();
            (StatusCode::ACCEPTED, lines.into())
        } else {
            let taken = self.forward(body).await;
            (if taken { StatusCode::ACCEPTED } else { StatusCode::BAD_GATEWAY }, Bytes::from_static(br#"{"deliveries":1}"#))
        };
        let mut response = Response::new(Full::new(said));
        *response.status_mut() = status;
        Ok(response)
    }

    /// Whether every endpoint that the event is for has taken it.
    async fn forward(self: Arc<Self>, event: Bytes) -> bool {
        match event::to(&event) {
            Some(To::One(endpoint)) => self.deliver(endpoint, event).await,
            Some(To::All) => {
                let to = |endpoint| (self.clone(), endpoint, event.clone());
                let all = (0..).take(self.endpoints.len()).map(to);
                let taken = at_once(all.map(|(relay, endpoint, event)| async move { relay.deliver(endpoint, event).await }));
                taken.await.into_iter().all(|taken| taken)
            }
            None => false,
        }
    }

    async fn deliver(&self, endpoint: u32, body: Bytes) -> bool {
        let Some(endpoint) = usize::try_from(endpoint).ok().and_then(|at| self.endpoints.get(at)) else { return false };
        let (Ok(_slot), Ok(_other)) = (endpoint.slots.acquire().await, self.slots.acquire().await) else { return false };
        let mut kept = lock(&endpoint.kept).pop();
        let id = format!("evt_{:026}", self.next.fetch_add(1, Relaxed));
        let headers = self.headers(&id, &body);
        let Ok(request) = outgoing::Request::new(&endpoint.target, &headers, body) else { return false };
        let (timeout, response_capture) = (self.dialect.delivery.timeout, self.response_capture);
        let limits = Limits { timeout, response_capture, cut: &self.cut, metrics: None };
        let outcome = attempt(&self.connector, &mut kept, &request, limits).await;
        lock(&endpoint.kept).extend(kept);
        outcome.is_ok_and(|outcome| outcome.result.is_ok_and(|response| self.dialect.is_success(response.status)))
    }

    fn headers(&self, id: &str, body: &[u8]) -> Headers {
        let (now, attributes) = (clock::now(), Attributes::new());
        let (kind, version, environment, data) = ("bench", "1", "", b"");
        let facts = Facts { event_id: id, kind, time: now, version, attributes: &attributes, tenant: None, environment, data };
        let (attempt_unix, secrets) = (now.as_secs(), [&self.secret]);
        self.dialect.headers(&AttemptFacts { facts, delivery_id: id, attempt_unix, attempt_number: 1, secrets: &secrets, body })
    }
}

/// Starts all of it, and returns the results in order; work that panics has come to nothing.
async fn at_once(work: impl Iterator<Item = impl Future<Output = bool> + Send + 'static>) -> Vec<bool> {
    let (under_way, mut done): (Vec<_>, _) = (work.map(tokio::spawn).collect(), Vec::new());
    for ends in under_way {
        done.push(ends.await.unwrap_or(false));
    }
    done
}

const TAKEN: &str = "{\"status\":202}\n";
const NOT_TAKEN: &str = "{\"status\":502}\n";

/// Read at once from one connection, as the service does.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

//! The forward-only relay: takes events in, signs them as the standard dialect does, sends them on, and answers its publisher
//! when the receivers have answered. HTTP and signing are those of the service; there is no store, no queue, no retry.
//!
//! What it reaches is what this machine can forward at all. Bodies go on as they came, keys are not looked at.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::event::{self, To};
use super::{Error, part, plan};
use crate::clock;
use crate::config::checked::DEFAULT_DIALECT;
use crate::config::dialect;
use crate::config::fault::Faults;
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

/// Where to send.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) endpoints: u32,
    pub(super) receiver_port: u16,
    /// Attempts at once to one endpoint.
    pub(super) slots: usize,
}

/// Reports its address and serves until stdin ends.
pub(super) fn play() -> Result<(), Error> {
    let Some(orders) = part::orders::<Orders>()? else { return Ok(()) };
    // The layout of the service's own runtime.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("forward").build();
    let runtime = runtime.map_err(Error::io("start the runtime of the forward-only relay"))?;
    let address = runtime.block_on(start(&orders))?;
    part::report(Ok(address))?;
    part::orders::<()>()?;
    runtime.shutdown_background();
    Ok(())
}

async fn start(orders: &Orders) -> Result<SocketAddr, Error> {
    let relay = Arc::new(Relay::new(orders)?);
    let listening = Error::io("listen for the publisher");
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let (listener, address) = bound.and_then(|bound| bound.local_addr().map(|at| (bound, at))).map_err(listening)?;
    tokio::spawn(accept(listener, relay));
    Ok(address)
}

async fn accept(listener: TcpListener, relay: Arc<Relay>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, relay.clone()))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: TcpStream, relay: Arc<Relay>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(|request| relay.clone().answer(request));
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(BUFFER_BYTES_MAX);
    // A connection that breaks is the publisher's to report.
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}

struct Relay {
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

/// As the connector hands it out.
type Kept = Box<Connection>;

struct Endpoint {
    target: Target,
    slots: Semaphore,
    kept: Mutex<Vec<Kept>>,
}

impl Relay {
    fn new(orders: &Orders) -> Result<Self, Error> {
        let loopback = "127.0.0.0/8".parse().expect("a network");
        let guard = Guard { allow: vec![loopback], own: Vec::new() };
        let endpoints = (0..orders.endpoints).map(|number| Endpoint::new(number, orders, &guard)).collect::<Result<_, _>>()?;
        let options = Options { guard, connect_timeout: CONNECT_TIMEOUT, resolvers: Vec::new(), ca_file: None };
        let connector = Connector::new(options).map_err(|cause| unusable("make connections", cause))?;
        let dialect = standard()?;
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|cause| unusable("draw a secret", cause))?;
        let secret = dialect.api.secret_format.generate(&random);
        let (slots, next, cut) = (Semaphore::new(plan::IN_FLIGHT), AtomicU64::new(0), Cut::new());
        Ok(Self { connector, dialect, secret, endpoints, slots, next, cut })
    }

    /// 202 when every receiver has taken every event of the request; else 502, or one line for each of a batch.
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let is_batch = request.headers().get(http::header::CONTENT_TYPE).is_some_and(|kind| kind == "application/x-ndjson");
        let Ok(body) = request.into_body().collect().await.map(|body| body.to_bytes()) else {
            return Ok(response(StatusCode::BAD_REQUEST, Bytes::new()));
        };
        if is_batch {
            return Ok(response(StatusCode::ACCEPTED, self.forward_lines(&body).await));
        }
        let sent = self.forward(&body).await;
        let status = if sent { StatusCode::ACCEPTED } else { StatusCode::BAD_GATEWAY };
        Ok(response(status, Bytes::from_static(br#"{"deliveries":1}"#)))
    }

    async fn forward_lines(self: Arc<Self>, body: &Bytes) -> Bytes {
        let lines: Vec<Bytes> =
            body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| body.slice_ref(line)).collect();
        let mut sent = vec![false; lines.len()];
        let mut under_way = JoinSet::new();
        for (number, line) in lines.into_iter().enumerate() {
            let relay = self.clone();
            under_way.spawn(async move { (number, relay.forward(&line).await) });
        }
        while let Some(ended) = under_way.join_next().await {
            ended.into_iter().for_each(|(number, done)| sent[number] = done);
        }
        let statuses = sent.into_iter().map(|done| if done { "{\"status\":202}\n" } else { "{\"status\":502}\n" });
        statuses.collect::<String>().into()
    }

    /// Whether every endpoint that the event is for has taken it.
    async fn forward(self: &Arc<Self>, event: &Bytes) -> bool {
        match event::to(event) {
            Some(To::One(endpoint)) => self.deliver(endpoint, event.clone()).await,
            Some(To::All) => self.deliver_to_all(event).await,
            None => false,
        }
    }

    async fn deliver_to_all(self: &Arc<Self>, event: &Bytes) -> bool {
        let mut under_way = JoinSet::new();
        for endpoint in (0..).take(self.endpoints.len()) {
            let (relay, event) = (self.clone(), event.clone());
            under_way.spawn(async move { relay.deliver(endpoint, event).await });
        }
        let mut all = true;
        while let Some(ended) = under_way.join_next().await {
            all &= ended.unwrap_or(false);
        }
        all
    }

    async fn deliver(&self, endpoint: u32, body: Bytes) -> bool {
        let Some(endpoint) = usize::try_from(endpoint).ok().and_then(|at| self.endpoints.get(at)) else { return false };
        let (Ok(_slot), Ok(_place)) = (endpoint.slots.acquire().await, self.slots.acquire().await) else { return false };
        let mut kept = endpoint.kept().pop();
        let id = format!("evt_{:026}", self.next.fetch_add(1, Relaxed));
        let headers = self.headers(&id, &body);
        let Ok(request) = outgoing::Request::new(&endpoint.target, &headers, body) else { return false };
        let limits = Limits { timeout: self.dialect.delivery.timeout, response_capture: RESPONSE_CAPTURE, cut: &self.cut };
        let outcome = attempt(&self.connector, &mut kept, &request, limits).await;
        endpoint.kept().extend(kept);
        outcome.is_ok_and(|outcome| outcome.result.is_ok_and(|response| self.dialect.is_success(response.status)))
    }

    fn headers(&self, id: &str, body: &[u8]) -> Headers {
        let (now, attributes) = (clock::now(), Attributes::new());
        let facts = Facts {
            event_id: id,
            kind: "bench",
            time: now,
            version: "1",
            attributes: &attributes,
            tenant: None,
            environment: "",
            data: b"",
        };
        self.dialect.headers(&AttemptFacts {
            facts,
            delivery_id: id,
            attempt_unix: now.as_secs(),
            attempt_number: 1,
            secrets: &[&self.secret],
            body,
        })
    }
}

impl Endpoint {
    fn new(number: u32, orders: &Orders, guard: &Guard) -> Result<Self, Error> {
        let url = format!("http://{}/", plan::address(number, orders.receiver_port));
        let target =
            Target::parse(&url, Schemes { http: true }, guard).map_err(|cause| unusable("send to the receiver", cause))?;
        Ok(Self { target, slots: Semaphore::new(orders.slots), kept: Mutex::default() })
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn standard() -> Result<Arc<Dialect>, Error> {
    let mut faults = Faults::default();
    let standard = dialect::read_all(Vec::new(), &mut faults).remove(DEFAULT_DIALECT);
    standard.ok_or_else(|| unusable("read the standard dialect", faults))
}

fn unusable(action: &str, cause: impl std::fmt::Display) -> Error {
    Error::io(action)(io::Error::other(cause.to_string()))
}

fn response(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

/// `connect_timeout` of a config that does not name it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// `response_capture` of a config that does not name it.
const RESPONSE_CAPTURE: usize = 16 * 1024;

/// Read at once from one connection, as the service does.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

//! An endpoint that follows a script and remembers every request. It speaks HTTP/1.1 itself, so that it can also break it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::config::NOTIFY_SECRET;
use super::eventually;

/// What a request gets.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// An answer with a status, headers and body, after a delay.
    Answer { status: u16, headers: Vec<(String, String)>, body: Vec<u8>, after: Duration },
    /// Exactly these bytes, and then the end of the connection.
    Raw(Vec<u8>),
    /// The end of the connection, without an answer.
    Drop,
    /// A reset of the connection, without an answer.
    Reset,
    /// Nothing, for as long as the other side waits.
    Hang,
}

impl Reply {
    pub(crate) const OK: Self = Self::status(200);

    pub(crate) const fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: Vec::new(), after: Duration::ZERO }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub(crate) fn body(mut self, text: &str) -> Self {
        if let Self::Answer { body, .. } = &mut self {
            *body = text.as_bytes().to_vec();
        }
        self
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        if let Self::Answer { after, .. } = &mut self {
            *after = delay;
        }
        self
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// When its last byte came.
    pub(crate) at: Instant,
    /// The number of the connection that brought it, counted from 1.
    pub(crate) connection: u64,
    pub(crate) method: String,
    pub(crate) path: String,
    /// The headers in the order and spelling in which they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The status that the request got. `None` where the script had something else.
    pub(crate) answered: Option<u16>,
}

impl Received {
    /// Panics unless the request is signed as the operator's notices are. The `standardwebhooks` crate judges it.
    #[track_caller]
    pub(crate) fn is_signed_for_operator(&self) {
        let mut headers = http::HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, self.header(name).parse().expect("a header"));
        }
        let judge = standardwebhooks::Webhook::new(NOTIFY_SECRET).expect("a valid secret");
        judge.verify(&self.body, &headers).expect("signed with the operator's secret");
    }

    /// The value of a header. Case is ignored. Panics when it is absent.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        &found.unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).1
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// Listens until it is dropped, and then ends its connections too.
pub(crate) struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    state: Arc<State>,
    accept: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    scripts: Mutex<HashMap<String, Script>>,
    received: Mutex<Vec<Received>>,
    came: Notify,
    connections: AtomicU64,
    /// The number of connections that have not ended.
    open: AtomicU64,
}

/// Replies in order. After the last one it is repeated, or the list begins again.
struct Script {
    replies: Vec<Reply>,
    next: usize,
    in_turn: bool,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    /// Listens on the given address.
    pub(crate) async fn start_at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        Self::listen(listener, "http", None)
    }

    /// Listens with TLS. Also returns the certificate of its authority as PEM.
    pub(crate) async fn start_tls(names: &[&str]) -> (Self, String) {
        Self::start_tls_that(names, None).await
    }

    /// Listens with TLS, and demands a client certificate that the authority `clients`, given as PEM, has issued.
    pub(crate) async fn start_mutual_tls(names: &[&str], clients: &str) -> (Self, String) {
        Self::start_tls_that(names, Some(clients)).await
    }

    async fn start_tls_that(names: &[&str], clients: Option<&str>) -> (Self, String) {
        let (acceptor, authority) = tls(names, clients);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        (Self::listen(listener, "https", Some(acceptor)), authority)
    }

    fn listen(listener: TcpListener, scheme: &'static str, tls: Option<TlsAcceptor>) -> Self {
        let address = listener.local_addr().expect("bound");
        let state = Arc::<State>::default();
        let accept = tokio::spawn(accept(listener, Arc::clone(&state), tls));
        Self { address, scheme, state, accept }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Sets the replies to requests for a path. A path without a script gets 200.
    pub(crate) fn script(&self, path: &str, replies: impl Into<Vec<Reply>>) {
        self.set(path, Script { replies: replies.into(), next: 0, in_turn: false });
    }

    /// Sets replies to requests for a path that are given over and over in turn.
    pub(crate) fn script_in_turn(&self, path: &str, replies: impl Into<Vec<Reply>>) {
        self.set(path, Script { replies: replies.into(), next: 0, in_turn: true });
    }

    fn set(&self, path: &str, script: Script) {
        self.state.scripts.lock().expect("no panic in between").insert(path.to_owned(), script);
    }

    /// The requests for a path so far.
    pub(crate) fn received(&self, path: &str) -> Vec<Received> {
        self.state.received.lock().expect("no panic in between").iter().filter(|one| one.path == path).cloned().collect()
    }

    /// Looks at all requests so far without copying them.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&[Received]) -> T) -> T {
        at(&self.state.received.lock().expect("no panic in between"))
    }

    /// Waits until everything is read that was sent by a process which has ended.
    pub(crate) async fn drained(&self) {
        let ended = || async { (self.state.open.load(Ordering::SeqCst) == 0).then_some(()) };
        eventually("all connections end", Duration::from_secs(20), ended).await;
    }

    /// How many connections were made, with or without a request.
    pub(crate) fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Waits until `count` requests for a path have come. Panics at the deadline.
    pub(crate) async fn wait_for(&self, path: &str, count: usize, within: Duration) -> Vec<Received> {
        let enough = |received: &[Received]| received.iter().filter(|one| one.path == path).count() >= count;
        let came = self.wait_until(within, enough).await;
        let received = self.received(path);
        assert!(came, "{} of {count} requests to {path} within {within:?}", received.len());
        received
    }

    /// Waits until the requests satisfy a condition. Returns false at the deadline.
    pub(crate) async fn wait_until(&self, within: Duration, mut enough: impl FnMut(&[Received]) -> bool) -> bool {
        let wait = async {
            loop {
                let next = self.state.came.notified();
                if self.look(&mut enough) {
                    return;
                }
                next.await;
            }
        };
        tokio::time::timeout(within, wait).await.is_ok()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

/// A URL with a port on which nothing listens.
pub(crate) async fn refusing_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("http://{}/", listener.local_addr().expect("bound"))
}

async fn accept(listener: TcpListener, state: Arc<State>, tls: Option<TlsAcceptor>) {
    // The set ends the connections when this task ends.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = state.connections.fetch_add(1, Ordering::SeqCst) + 1;
        state.open.fetch_add(1, Ordering::SeqCst);
        let (state, tls) = (Arc::clone(&state), tls.clone());
        connections.spawn(async move {
            // How a connection ends is up to the script and the service.
            drop(converse(stream, number, &state, tls).await);
            state.open.fetch_sub(1, Ordering::SeqCst);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, number: u64, state: &State, tls: Option<TlsAcceptor>) -> io::Result<()> {
    match tls {
        None => plain(stream, number, state).await,
        Some(tls) => serve(tls.accept(stream).await?, number, state).await.map(drop),
    }
}

async fn plain(stream: TcpStream, number: u64, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(stream) = serve(stream, number, state).await? {
        stream.set_zero_linger()?;
    }
    Ok(())
}

/// Serves until the connection ends. Returns the stream when the script wants it reset.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, number: u64, state: &State) -> io::Result<Option<S>> {
    let mut stream = BufReader::new(stream);
    while let Some(received) = read(&mut stream, number).await? {
        match state.reply_to(received) {
            Reply::Answer { status, headers, body, after } => {
                tokio::time::sleep(after).await;
                stream.write_all(&answer(status, &headers, &body)).await?;
                stream.flush().await?;
            }
            Reply::Raw(bytes) => {
                stream.write_all(&bytes).await?;
                stream.shutdown().await?;
                return Ok(None);
            }
            Reply::Drop => return Ok(None),
            Reply::Reset => return Ok(Some(stream.into_inner())),
            Reply::Hang => while stream.read_u8().await.is_ok() {},
        }
    }
    Ok(None)
}

impl State {
    fn reply_to(&self, mut received: Received) -> Reply {
        let reply = self.scripts.lock().expect("no panic in between").get_mut(&received.path).map_or(Reply::OK, Script::next);
        received.answered = if let Reply::Answer { status, .. } = reply { Some(status) } else { None };
        self.received.lock().expect("no panic in between").push(received);
        self.came.notify_waiters();
        reply
    }
}

impl Script {
    fn next(&mut self) -> Reply {
        let count = self.replies.len();
        let place = if self.in_turn { self.next % count } else { self.next.min(count - 1) };
        let reply = self.replies[place].clone();
        self.next += 1;
        reply
    }
}

/// Reads one request, whose body has a `Content-Length`. `None` at the end of the connection.
async fn read<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, connection: u64) -> io::Result<Option<Received>> {
    let Some(first) = read_line(stream).await? else {
        return Ok(None);
    };
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(io::Error::other(format!("not a request line: {first:?}")));
    };
    let headers = read_headers(stream).await?;
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok(Some(Received { at: Instant::now(), connection, method, path, headers, body, answered: None }))
}

async fn read_headers<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while let Some(line) = read_line(stream).await?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| io::Error::other(format!("not a header: {line:?}")))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok(headers)
}

async fn read_line<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await?;
    Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn answer(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if status != 204 {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// Takes nobody whose certificate was not issued by this authority.
fn demanding(clients: &str) -> Arc<dyn ClientCertVerifier> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(clients.as_bytes()).expect("PEM")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("an authority is there")
}

fn tls(names: &[&str], clients: Option<&str>) -> (TlsAcceptor, String) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut authority = CertificateParams::new([]).expect("no names");
    // The authority needs a name of its own: a certificate whose issuer has the same name counts as self-signed.
    authority.distinguished_name.push(DnType::CommonName, "an authority for tests");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(names).expect("valid names").signed_by(&key, &authority).expect("signed");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("ring has them");
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(clients) => config.with_client_cert_verifier(demanding(clients)),
    };
    let config = config.with_single_cert(vec![leaf.der().clone()], key).expect("the key fits");
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}

//! Connections on this machine, with names from a scripted name server and certificates from an authority made for the test.

mod dns;
mod names;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipnet::IpNet;
use tokio::net::{TcpListener, TcpSocket};

use super::*;
use crate::domain::webhook::target::Schemes;

/// The text of every refusal, whatever its cause.
const REFUSED: &str = "the host's address is not one that this relay sends to";

/// Counts the connections to one port of one loopback address.
struct Canary {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Canary {
    async fn listen(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let canary = Self { address: listener.local_addr().unwrap(), connections: Arc::default() };
        let count = Arc::clone(&canary.connections);
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                held.push(stream);
            }
        });
        canary
    }

    async fn count(&self) -> usize {
        // The accepting task needs a turn to see what the kernel has already accepted.
        tokio::time::sleep(Duration::from_millis(30)).await;
        self.connections.load(Ordering::SeqCst)
    }
}

/// Options with a guard that allows `allow`, and with `resolver` as the name server.
fn options(allow: &[&str], resolver: Option<SocketAddr>) -> Options {
    let allow = allow.iter().map(|net| net.parse::<IpNet>().unwrap()).collect();
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    Options {
        guard: Guard { allow, own: Vec::new() },
        connect_timeout: Duration::from_millis(800),
        resolvers: vec![resolver.unwrap_or(nowhere)],
        ca_file: None,
    }
}

/// A target parsed under a guard that allows everything, so that only the connector's own guard can refuse it.
fn target(url: &str) -> Target {
    let all = ["0.0.0.0/0", "::/0"].map(|net| net.parse().unwrap()).into();
    Target::parse(url, Schemes { http: true }, &Guard { allow: all, own: Vec::new() }).unwrap()
}

async fn connect(options: Options, url: &str) -> Result<Box<Connection>, Failure> {
    Connector::new(options).unwrap().connect(&target(url), &Way::default()).await.map_err(failed)
}

fn failed(unconnected: Unconnected) -> Failure {
    match unconnected {
        Unconnected::Failed(failure) => failure,
        Unconnected::Shortage(shortage) => panic!("{shortage:?}"),
    }
}

async fn failure(options: Options, url: &str) -> Failure {
    connect(options, url).await.err().unwrap()
}

#[tokio::test]
async fn a_literal_address_is_judged_at_dialling_too() {
    let canary = Canary::listen("127.0.0.1:0").await;
    let port = canary.address.port();
    for host in
        ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "[::1]", "10.0.0.1", "[64:ff9b::7f00:1]"]
    {
        let failure = failure(options(&["192.168.0.0/16"], None), &format!("http://{host}:{port}/")).await;
        assert_eq!(failure, Failure::new(Class::Policy, REFUSED), "{host}");
    }
    assert_eq!(canary.count().await, 0);
    assert!(connect(options(&["127.0.0.1/32"], None), &format!("http://127.0.0.1:{port}/")).await.is_ok());
    assert_eq!(canary.count().await, 1);
}

#[tokio::test]
async fn localhost_leads_to_what_the_operator_opened() {
    let canary = Canary::listen("127.0.0.1:0").await;
    let url = format!("http://app.localhost:{}/", canary.address.port());
    assert!(connect(options(&["127.0.0.0/8", "::1/128"], None), &url).await.is_ok());
    assert_eq!(failure(options(&["10.0.0.0/8"], None), &url).await.class, Class::Policy);
    assert_eq!(canary.count().await, 1);
}

#[tokio::test]
async fn our_own_listener_is_refused_by_address_and_by_connection() {
    let canary = Canary::listen("127.0.0.1:0").await;
    for own in [canary.address, SocketAddr::from(([0, 0, 0, 0], canary.address.port()))] {
        let mut options = options(&["127.0.0.0/8"], None);
        options.guard.own = vec![own];
        let failure = failure(options, &format!("http://{}/", canary.address)).await;
        assert_eq!(failure, Failure::new(Class::Policy, REFUSED), "{own}");
    }
    assert_eq!(canary.count().await, 0);
}

/// An address that swallows packets: its queue is full of connections that nobody accepts, so the kernel drops further ones.
pub(super) struct Swallowing {
    pub(super) address: SocketAddr,
    _listener: TcpListener,
    _held: Vec<TcpStream>,
}

impl Swallowing {
    pub(super) async fn listen(address: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address.parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            held.push(stream);
        }
        Self { address, _listener: listener, _held: held }
    }
}

#[tokio::test]
async fn a_host_that_swallows_packets_is_given_up() {
    let swallowing = Swallowing::listen("127.0.0.1:0").await;
    let address = swallowing.address;
    let started = clock::steady();
    let failure = failure(options(&["127.0.0.0/8"], None), &format!("http://{address}/")).await;
    assert_eq!(failure, Failure::new(Class::Timeout, "connecting took longer than 800ms"));
    assert!((800..1_500).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
}

/// Settings are read at start and on reload, where there may be no runtime.
#[test]
fn a_connector_is_made_outside_of_a_runtime() {
    assert!(Connector::new(Options { resolvers: Vec::new(), ..options(&[], None) }).is_ok());
}

#[test]
fn a_bad_ca_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    let garbled = folder.path().join("garbled.pem");
    std::fs::write(&garbled, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    for (path, text) in
        [(empty, "holds no certificate"), (folder.path().join("none.pem"), "cannot read ca_file"), (garbled, "cannot be read")]
    {
        let options = Options { ca_file: Some(path.clone()), ..options(&[], None) };
        let error = Connector::new(options).err().unwrap().to_string();
        assert!(error.contains(text) && error.contains(path.to_str().unwrap()), "{error}");
    }
}

//! The receiver: all endpoints on one listener, one thread, one write for each answer. It keeps the [`Book`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;

use super::book::Book;
use super::frame::Messages;
use super::load::{self, Endpoints, Load, Manner};
use super::report::Received;
use super::{Error, event};
use crate::clock;

/// A receiver at work. Its thread ends with the value.
pub(super) struct Receiver {
    pub(super) port: u16,
    pub(super) book: SharedBook,
    _end: oneshot::Sender<()>,
}

/// The book of a run, for its publisher and its receiver.
pub(super) type SharedBook = Arc<Mutex<Book>>;

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receiver {
    pub(super) fn start(load: &Load) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Error::io("start the receiver"))?;
        let listening = runtime.block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0))?;
            socket.listen(BACKLOG).and_then(|listener| Ok((listener.local_addr()?.port(), listener)))
        });
        let (port, listener) = listening.map_err(Error::io("listen on all of loopback"))?;
        let (endpoints, book) = (load.endpoints, Arc::new(Mutex::new(Book::new(load.clone()))));
        let (_end, ended) = oneshot::channel::<()>();
        let shared = book.clone();
        runtime.spawn(accept(listener, move |stream| serve(stream, endpoints, shared.clone())));
        thread::spawn(move || drop(runtime.block_on(ended)));
        Ok(Self { port, book, _end })
    }

    /// Waits until all of so many events has come, or nothing more comes, then a while for events that come twice.
    pub(super) fn finish(&self, events: u64) -> Received {
        let (started_us, expected) = (clock::monotonic_micros(), lock(&self.book).expected(events));
        loop {
            let (came, last_us) = lock(&self.book).came();
            let silent_us = clock::monotonic_micros().saturating_sub(last_us.max(started_us));
            if came >= expected || Duration::from_micros(silent_us) > PATIENCE {
                break;
            }
            thread::sleep(LOOK);
        }
        thread::sleep(DOUBLES_GET);
        lock(&self.book).account(events)
    }
}

/// Gives each connection that comes to `serve`.
pub(super) async fn accept<W: Future<Output: Send> + Send + 'static>(listener: TcpListener, serve: impl Fn(TcpStream) -> W) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Serves one connection. An error of it is the relay's: an event that does not come is counted as lost.
async fn serve(mut stream: TcpStream, endpoints: Endpoints, book: SharedBook) -> io::Result<()> {
    let IpAddr::V4(address) = stream.local_addr()?.ip() else { return Ok(()) };
    let Some(endpoint) = load::endpoint(address).filter(|endpoint| *endpoint < endpoints.count) else { return Ok(()) };
    let (manner, mut messages) = (endpoints.manner(endpoint), Messages::default());
    stream.set_nodelay(true)?;
    if manner == Manner::Resetting {
        // A connection that is dropped with unread bytes in it is reset.
        return stream.readable().await;
    }
    while let Some(message) = messages.next(&mut stream).await? {
        if manner == Manner::Healthy {
            lock(&book).arrived(event::mark(message.body), endpoint, clock::monotonic_micros());
        }
        if manner != Manner::Hanging {
            stream.write_all(if manner == Manner::Healthy { OK } else { REFUSED }).await?;
        }
    }
    Ok(())
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REFUSED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";

/// Connections that wait to be accepted: thousands may come at once. The system lowers it to its own bound.
const BACKLOG: u32 = 65_535;

const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// When nothing comes for so long, the rest is lost. The first pause of the standard dialect is at most 6 s.
const PATIENCE: Duration = Duration::from_secs(15);

/// After the last event was seen, for events that come a second time.
const DOUBLES_GET: Duration = Duration::from_millis(250);

const LOOK: Duration = Duration::from_millis(5);

//! The receiver: all endpoints on one listener, one thread, one write for each answer. It keeps the [`Book`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::book::{Answer, Book, Received, Sent};
use super::event;
use super::frame::Messages;
use super::plan::{self, Endpoints, Manner};
use super::{Error, part};
use crate::clock;

/// What the receiver must know.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) endpoints: Endpoints,
    pub(super) fan_out: bool,
    /// Each delivery is refused once.
    pub(super) refuses_first: bool,
}

impl Orders {
    fn book(&self) -> Book {
        let book = Book::new(self.endpoints, self.fan_out);
        if self.refuses_first { book.of_retries() } else { book }
    }
}

type SharedBook = Arc<Mutex<Book>>;

/// Reports its port; told what was sent so far, it waits for all of it and reports what came, as often as it is told.
pub(super) fn play() -> Result<(), Error> {
    let Some(orders) = part::orders::<Orders>()? else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Error::io("start the receiver's runtime"))?.block_on(receive(orders))
}

async fn receive(orders: Orders) -> Result<(), Error> {
    let listener = listen().map_err(Error::io("listen on all of loopback"))?;
    let port = listener.local_addr().map_err(Error::io("read the receiver's port"))?.port();
    let book: SharedBook = Arc::new(Mutex::new(orders.book()));
    tokio::spawn(accept(listener, orders.endpoints, book.clone()));
    part::report(Ok(port))?;
    loop {
        let told = tokio::task::spawn_blocking(part::orders::<Sent>).await;
        let Some(sent) = told.map_err(|cause| Error::io("wait for orders")(cause.into()))?? else { return Ok(()) };
        part::report(Ok(account(&book, &sent).await))?;
    }
}

/// The wildcard address with the longest queue the system gives, since thousands of connections may come at once.
fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0))?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, endpoints: Endpoints, book: SharedBook) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, endpoints, book.clone()))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// One connection. Its errors are the relay's: what does not come is counted as lost.
async fn serve(stream: TcpStream, endpoints: Endpoints, book: SharedBook) -> io::Result<()> {
    let IpAddr::V4(address) = stream.local_addr()?.ip() else { return Ok(()) };
    let Some(endpoint) = plan::endpoint(address).filter(|endpoint| *endpoint < endpoints.count) else { return Ok(()) };
    stream.set_nodelay(true)?;
    match endpoints.manner(endpoint) {
        Manner::Healthy => answer(stream, Some((endpoint, book))).await,
        Manner::Refusing => answer(stream, None).await,
        Manner::Hanging => hang(stream).await,
        // Dropped with unread bytes in it, a connection is reset.
        Manner::Resetting => stream.readable().await,
    }
}

/// Answers as the book says, or refuses all where there is none.
async fn answer(mut stream: TcpStream, book: Option<(u32, SharedBook)>) -> io::Result<()> {
    let mut messages = Messages::new();
    while let Some(message) = messages.next(&mut stream).await? {
        let mark = event::mark(message.body);
        let said = book.as_ref().map(|(endpoint, book)| {
            book.lock().unwrap_or_else(PoisonError::into_inner).arrived(mark, *endpoint, clock::monotonic_micros())
        });
        stream.write_all(if said == Some(Answer::Taken) { OK } else { REFUSED }).await?;
    }
    Ok(())
}

/// Takes what comes until the peer gives up.
async fn hang(mut stream: TcpStream) -> io::Result<()> {
    let mut messages = Messages::new();
    while messages.next(&mut stream).await?.is_some() {}
    Ok(())
}

/// Waits until all has come, or nothing more comes, then a while for what comes twice.
async fn account(book: &SharedBook, sent: &Sent) -> Received {
    let started_us = clock::monotonic_micros();
    let expected = look(book, |book| book.expected(sent));
    loop {
        let (came, last_us) = look(book, |book| (book.deliveries(), book.last_us()));
        let silent_us = clock::monotonic_micros().saturating_sub(last_us.max(started_us));
        if came >= expected || Duration::from_micros(silent_us) > PATIENCE {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    tokio::time::sleep(DOUBLES_GET).await;
    look(book, |book| book.account(sent))
}

fn look<T>(book: &SharedBook, with: impl FnOnce(&mut Book) -> T) -> T {
    with(&mut book.lock().unwrap_or_else(PoisonError::into_inner))
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REFUSED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";

/// Connections that wait to be accepted; the system cuts it to its own most.
const BACKLOG: u32 = 65_535;

const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Without any arrival, what is missing is lost: longer than the first pause of the standard dialect, 5 s and a fifth more.
const PATIENCE: Duration = Duration::from_secs(15);

/// After the last event was seen, for what comes a second time.
const DOUBLES_GET: Duration = Duration::from_millis(250);

const LOOK: Duration = Duration::from_millis(5);

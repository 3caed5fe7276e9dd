//! The receiver: all endpoints on one listener, each an address of loopback, a thread for each connection.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use crate::http::{Message, Messages};

/// A receiver at work, until the process ends.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    count: Arc<AtomicU64>,
}

impl Receiver {
    /// Starts a receiver that answers each request as `answer` says, which is given how many requests came before.
    pub(crate) fn start(answer: impl Fn(&Message<'_>, u64) -> Answer + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let (port, count, answer) = (listener.local_addr()?.port(), Arc::<AtomicU64>::default(), Arc::new(answer));
        let counted = count.clone();
        thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let (answer, counted) = (answer.clone(), counted.clone());
                let connection = thread::Builder::new().stack_size(STACK_BYTES);
                // A connection that no thread is free for is closed, and its requests are made again.
                drop(connection.spawn(move || serve(stream, |message| answer(message, counted.fetch_add(1, Relaxed)))));
            }
        });
        Ok(Self { port, count })
    }

    /// A receiver that takes everything.
    pub(crate) fn taking() -> io::Result<Self> {
        Self::start(|_, _| Answer::Taken)
    }

    /// Requests that came so far.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Taken,
    /// 503.
    Refused,
    /// 503, to be tried again after so many seconds.
    Later(u64),
}

/// The address of an endpoint, an origin of its own.
pub(crate) fn address(endpoint: u32, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 0).to_bits() + endpoint), port)
}

fn serve(stream: TcpStream, answer: impl Fn(&Message<'_>) -> Answer) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut messages = Messages::new(stream);
    while let Some(message) = messages.next()? {
        let answer = match answer(&message) {
            Answer::Taken => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
            Answer::Refused => "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_owned(),
            Answer::Later(secs) => {
                format!("HTTP/1.1 503 Service Unavailable\r\nretry-after: {secs}\r\ncontent-length: 0\r\n\r\n")
            }
        };
        messages.stream.write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// Thousands of connections may be open; none goes deep.
const STACK_BYTES: usize = 256 * 1024;

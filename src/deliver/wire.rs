//! The byte stream under an HTTP connection, plain or TLS, and a note of what happened on it.
//!
//! The HTTP layer owns the stream and tells little of why it gave up. The [`Watch`] keeps what a delivery log needs to know:
//! whether a byte of a response came, and whether the stream ended, broke, or carried a head that is refused.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::head::{Fault, Head};

/// A connected stream to an endpoint.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A stream that notes what happens on it.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    watch: SharedWatch,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> (Self, SharedWatch) {
        let watch = SharedWatch::default();
        (Self { stream, watch: watch.clone() }, watch)
    }
}

/// What happened since the exchange began.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The head that is being received; `None` outside of one.
    head: Option<Head>,
    pub(super) received: bool,
    pub(super) end: Option<End>,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The peer closed it in order.
    Closed,
    Broken(io::ErrorKind),
    /// We gave up on it.
    Fault(Fault),
}

impl Watch {
    /// Forgets the last exchange and awaits a head.
    pub(super) fn begin(&mut self) {
        *self = Self { head: Some(Head::default()), ..Self::default() };
    }

    /// Whether the response's head is complete.
    pub(super) fn head_is_done(&self) -> bool {
        self.head.is_none()
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            self.end = self.end.or(Some(End::Closed));
            return Ok(());
        }
        self.received = true;
        match self.head.as_mut().map(|head| head.take(bytes)) {
            None | Some(Ok(false)) => {}
            Some(Ok(true)) => self.head = None,
            Some(Err(fault)) => {
                self.end = Some(End::Fault(fault));
                return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
            }
        }
        Ok(())
    }

    fn broke(&mut self, error: &io::Error) {
        self.end = self.end.or(Some(End::Broken(error.kind())));
    }
}

/// The watch, shared by the stream inside the HTTP layer and the connection around it. Both live in one task, so the lock is
/// never waited for.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedWatch(Arc<Mutex<Watch>>);

impl SharedWatch {
    pub(super) fn lock(&self) -> MutexGuard<'_, Watch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &result {
            self.lock().broke(error);
        }
        result
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        };
        match self.watch.note(read) {
            Poll::Ready(Ok(())) => Poll::Ready(self.watch.lock().take(&buf.filled()[before..])),
            other => other,
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
        };
        self.watch.note(written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_write_vectored(cx, bufs),
        };
        self.watch.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(tcp) => tcp.is_write_vectored(),
            Stream::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        };
        self.watch.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}

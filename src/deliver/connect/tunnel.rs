//! What a proxy is asked: for a tunnel to an address (RFC 9110 section 9.3.6), or for a request in absolute form (RFC 9112 section 3.2.2).
//!
//! The proxy is asked for the very address that was judged and never for a name, since it would look the name up by itself. The
//! certificate is still judged by the name.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::domain::delivery::outcome::{Class, Failure};
use crate::domain::webhook::egress::Proxy;
use crate::domain::webhook::secret::Secret;

/// What the requests on a connection to a proxy say besides.
pub(in crate::deliver) struct Via {
    /// The address that the proxy is asked for.
    pub(in crate::deliver) address: SocketAddr,
    pub(in crate::deliver) authorization: Option<Secret>,
}

/// Why there is no tunnel.
pub(super) enum Closed {
    /// The proxy did not reach the address; it may reach another.
    Unreached(Failure),
    Failed(Failure),
}

/// Asks the proxy for a tunnel to `address`, and waits for its answer.
pub(super) async fn open(mut tcp: TcpStream, proxy: &Proxy, address: SocketAddr) -> Result<TcpStream, Closed> {
    match ask(&mut tcp, proxy, address).await {
        Ok(Some(200..=299)) => Ok(tcp),
        Ok(Some(status @ 502..=504)) => Err(Closed::Unreached(answered(status))),
        Ok(Some(status)) => Err(Closed::Failed(refused(status).unwrap_or_else(|| answered(status)))),
        Ok(None) => Err(Closed::Failed(failure("the proxy answered CONNECT with what is not HTTP"))),
        Err(_) => Err(Closed::Failed(failure("the proxy closed the connection before it answered CONNECT"))),
    }
}

/// The failure that a status of the proxy's own stands for, whoever was asked for.
pub(in crate::deliver) fn refused(status: u16) -> Option<Failure> {
    (status == 407).then(|| failure("the proxy demands other credentials (407)"))
}

fn answered(status: u16) -> Failure {
    failure(&format!("the proxy answered {status} to CONNECT"))
}

fn failure(text: &str) -> Failure {
    Failure::new(Class::Connect, text)
}

/// The status of the answer. `None` when it is not HTTP, or something came behind it.
async fn ask(tcp: &mut TcpStream, proxy: &Proxy, address: SocketAddr) -> io::Result<Option<u16>> {
    let mut request = format!("CONNECT {address} HTTP/1.1\r\nhost: {address}\r\n");
    if let Some(authorization) = proxy.authorization() {
        // Writing into memory cannot fail.
        let _ = write!(request, "proxy-authorization: {}\r\n", authorization.expose());
    }
    tcp.write_all((request + "\r\n").as_bytes()).await?;
    let mut head = Vec::with_capacity(HEAD_BYTES);
    // One end of the tunnel speaks first, and that is this one. So nothing may stand behind the head.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_BYTES_MAX || tcp.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    Ok(status(&head))
}

fn status(head: &[u8]) -> Option<u16> {
    let line = str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

/// The room for the head of an answer. Most fit into it.
const HEAD_BYTES: usize = 512;

const HEAD_BYTES_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_an_answer_is_read() {
        assert_eq!(status(b"HTTP/1.1 200 Connection established\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407\r\nx: y\r\n\r\n"), Some(407));
        assert_eq!([status(b"SSH-2.0\r\n\r\n"), status(b"\r\n\r\n"), status(b"HTTP/1.1 abc\r\n\r\n")], [None; 3]);
    }
}

//! Readers of live streams beside the load: what the relay does for them is part of what it costs.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use super::Error;

/// Opens so many streams, and reads them off until the relay ends.
pub(super) fn read(count: u32, from: SocketAddr, key: &str) -> Result<(), Error> {
    let request = format!("GET /v1/deliveries/stream HTTP/1.1\r\nhost: {from}\r\nauthorization: Bearer {key}\r\n\r\n");
    for _ in 0..count {
        let stream = open(from, &request).map_err(Error::io("open a live stream"))?;
        thread::spawn(move || drain(stream));
    }
    Ok(())
}

/// Opens one, which must be taken.
fn open(from: SocketAddr, request: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(from)?;
    stream.write_all(request.as_bytes())?;
    let mut status = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut status)?;
    let is_taken = status.ends_with(b"200");
    is_taken.then_some(stream).ok_or_else(|| std::io::Error::other(String::from_utf8_lossy(&status)))
}

fn drain(mut stream: TcpStream) {
    let mut piece = vec![0; 64 << 10];
    while stream.read(&mut piece).is_ok_and(|count| count > 0) {}
}

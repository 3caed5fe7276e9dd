//! The publisher: events in NDJSON batches, over some connections at once.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::http::Messages;
use crate::{Events, Result, say};

/// What to publish.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) count: u64,
    /// Events per second; `None`: as fast as answers come.
    pub(crate) rate: Option<f64>,
    /// When to stop before that.
    pub(crate) until: Option<Instant>,
    /// Events in one request.
    pub(crate) batch: u64,
    pub(crate) connections: u32,
    pub(crate) events: Events,
}

/// Publishes all of it, and returns how many events that were. An event that is refused is an error.
pub(crate) fn publish(load: &Load, to: SocketAddr, key: &str) -> Result<u64> {
    let (next, started) = (AtomicU64::new(0), Instant::now());
    let sent: io::Result<u64> = thread::scope(|scope| {
        let send = || send(load, to, key, &next, started);
        let all: Vec<_> = (0..load.connections).map(|_| scope.spawn(send)).collect();
        all.into_iter().map(|one| one.join().unwrap_or_else(|_| Err(io::Error::other("a publisher panicked")))).sum()
    });
    Ok(sent.map_err(|cause| format!("cannot publish: {cause}"))?)
}

/// One connection's share.
fn send(load: &Load, to: SocketAddr, key: &str, next: &AtomicU64, started: Instant) -> io::Result<u64> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    let (mut messages, mut sent) = (Messages::new(stream), 0);
    loop {
        let first = next.fetch_add(load.batch, Relaxed);
        let count = load.batch.min(load.count.saturating_sub(first));
        let due = load.rate.map(|rate| started + Duration::from_secs_f64(first as f64 / rate));
        thread::sleep(due.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now())));
        if count == 0 || load.until.is_some_and(|until| Instant::now() >= until) {
            return Ok(sent);
        }
        let answer = messages.exchange(&request(load, first, count, to, key))?;
        let refused = answer.split(|byte| *byte == b'\n').find(|line| !line.is_empty() && !line.starts_with(br#"{"status":202"#));
        if let Some(line) = refused {
            return Err(io::Error::other(String::from_utf8_lossy(line)));
        }
        sent += count;
        if first % PROGRESS < load.batch && first > 0 {
            say(&format!("published {first} of {}", load.count));
        }
    }
}

fn request(load: &Load, first: u64, count: u64, to: SocketAddr, key: &str) -> Vec<u8> {
    let pad = "x".repeat(load.events.body_bytes.saturating_sub(r#"{"pad":""}"#.len()));
    let event = |number: u64| {
        format!("{{\"type\":\"bench.{}\",\"data\":{{\"pad\":\"{pad}\"}}}}\n", number % u64::from(load.events.endpoints))
    };
    let body: String = (first..first + count).map(event).collect();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: {to}\r\nauthorization: Bearer {key}\r\ncontent-type: application/x-ndjson\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// Events between two lines that tell how far it is.
const PROGRESS: u64 = 500_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_goes_to_one_endpoint_after_the_other() {
        let events = Events { body_bytes: 20, endpoints: 2 };
        let load = Load { count: 9, rate: None, until: None, batch: 3, connections: 1, events };
        let request = request(&load, 3, 2, SocketAddr::from(([127, 0, 0, 1], 80)), "k");
        let text = String::from_utf8(request).expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.ends_with(&format!("content-length: {}", body.len())));
        let line = |kind: &str| format!("{{\"type\":\"{kind}\",\"data\":{{\"pad\":\"xxxxxxxxxx\"}}}}\n");
        assert_eq!(body, line("bench.1") + &line("bench.0"));
    }
}

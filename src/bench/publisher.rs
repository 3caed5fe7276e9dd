//! The publisher: so many connections with at most one request under way on each, one thread, one write for each request.
//!
//! In an open loop a request is due at its time, whether or not a connection is free for it, and latencies count from then.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Error;
use super::event::{self, Mark};
use super::frame::{self, Messages};
use super::load::Load;
use super::receiver::{SharedBook, lock};
use super::report::{Spread, took_us};
use super::turns::{Turn, Turns};
use crate::clock;

/// What was published.
pub(super) struct Published {
    pub(super) events: u64,
    /// When the first request was due.
    pub(super) first_us: u64,
    /// From when a request was due until its answer.
    pub(super) latency: Spread,
}

/// Publishes the whole load on this thread, and notes in the book which events were not taken.
pub(super) fn publish(to: SocketAddr, key: &str, load: Load, book: SharedBook) -> Result<Published, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let published = runtime.and_then(|runtime| runtime.block_on(publish_all(to, head(to, key, load.batch), load, book)));
    published.map_err(Error::io("publish"))
}

async fn publish_all(to: SocketAddr, head: String, load: Load, book: SharedBook) -> io::Result<Published> {
    let mut streams = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let work = Arc::new(Work { head, turns: Turns::start(load), book });
    let mut tasks: JoinSet<_> = streams.into_iter().map(|stream| send(stream, Arc::clone(&work))).collect();
    let mut times_us = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        times_us.extend(ended.map_err(io::Error::from)??);
    }
    let latency = Spread::of(&mut times_us);
    Ok(Published { events: work.turns.events_taken(), first_us: work.turns.start_us, latency })
}

/// The head of each request up to the value of `content-length`.
fn head(to: SocketAddr, key: &str, batch: u64) -> String {
    let kind = if batch > 1 { "application/x-ndjson" } else { "application/json" };
    format!("POST /v1/events HTTP/1.1\r\nhost: {to}\r\nauthorization: Bearer {key}\r\ncontent-type: {kind}\r\ncontent-length: ")
}

/// What all connections share.
struct Work {
    head: String,
    turns: Arc<Turns>,
    book: SharedBook,
}

/// Sends requests on one connection until publishing is over, and returns how long each took.
async fn send(mut stream: TcpStream, work: Arc<Work>) -> io::Result<Vec<u32>> {
    let (mut messages, mut body, mut request, mut times_us) = (Messages::default(), Vec::new(), Vec::new(), Vec::new());
    while let Some(turn) = work.turns.take().await {
        work.write_request(turn, &mut body, &mut request);
        stream.write_all(&request).await?;
        let answer = messages.next(&mut stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        times_us.push(took_us(turn.due_us, clock::monotonic_micros()));
        let refused = refused(turn, frame::status(answer.head), answer.body);
        if !refused.is_empty() {
            lock(&work.book).refused(refused);
            // A relay that is busy is asked again, but not as fast as it can refuse.
            tokio::time::sleep(REFUSED_PAUSE).await;
        }
    }
    Ok(times_us)
}

impl Work {
    fn write_request(&self, turn: Turn, body: &mut Vec<u8>, request: &mut Vec<u8>) {
        let load = &self.turns.load;
        body.clear();
        for number in turn.first..turn.first + turn.count {
            event::write(load.to(number), Mark { number, due_us: turn.due_us }, &load.data, body);
            if load.batch > 1 {
                body.push(b'\n');
            }
        }
        request.clear();
        request.extend_from_slice(self.head.as_bytes());
        request.extend_from_slice(body.len().to_string().as_bytes());
        request.extend_from_slice(b"\r\n\r\n");
        request.extend_from_slice(body);
    }
}

/// Numbers of the events of a request that the relay did not take. A batch is answered with a line for each event.
fn refused(turn: Turn, status: u16, body: &[u8]) -> Vec<u64> {
    let mut lines = body.split(|byte| *byte == b'\n');
    let mut taken = || turn.count == 1 || lines.next().is_some_and(|line| line.starts_with(br#"{"status":202"#));
    (turn.first..turn.first + turn.count).filter(|_| status != 202 || !taken()).collect()
}

const REFUSED_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_was_not_taken_is_known_by_its_number() {
        let refused = |count, status, body: &str| refused(Turn { first: 4, count, due_us: 5 }, status, body.as_bytes());
        let lines = "{\"status\":202,\"id\":\"a\"}\n{\"title\":\"x\",\"status\":422}\n{\"status\":202,\"id\":\"b\"}\n";
        assert_eq!((refused(3, 202, lines), refused(3, 503, "")), (vec![5], vec![4, 5, 6]));
        assert_eq!((refused(1, 202, "{}"), refused(2, 202, "")), (vec![], vec![4, 5]));
    }
}

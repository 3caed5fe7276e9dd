//! The publisher: so many connections with at most one request under way on each, one thread, one write for each request.
//!
//! In a closed loop a connection sends as soon as it was answered, and an event is due when it is sent. In an open loop a request
//! is due at its [`Pace`](super::pace), whether or not a connection is free for it, and times count from then.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::book::Sent;
use super::event::{self, Mark};
use super::figures::{Spread, took_us};
use super::frame::{self, Messages};
use super::pace::Share;
use super::plan::{End, Load};
use super::turns::{Turn, Turns};
use super::{Error, part};
use crate::clock;

/// Where to publish what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) to: SocketAddr,
    pub(super) key: String,
    pub(super) load: Load,
    pub(super) share: Share,
}

/// What was published so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Published {
    pub(super) sent: Sent,
    /// When the first request of this lap was due.
    pub(super) first_us: u64,
    /// From when a request was due until its answer.
    pub(super) latency: Spread,
}

/// Reports that it is connected; told the end of a lap, it publishes until then and reports what, as often as it is told.
pub(super) fn play() -> Result<(), Error> {
    let Some(orders) = part::orders::<Orders>()? else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::io("start the publisher's runtime"))?;
    let connected = runtime.block_on(connect(&orders)).map_err(|cause| format!("cannot connect to the relay: {cause}"));
    let mut streams = match connected {
        Ok(streams) => streams,
        Err(what) => return part::report::<()>(Err(what)),
    };
    part::report(Ok(()))?;
    let (done, mut requests) = (Arc::default(), 0);
    while let Some(end) = part::orders::<End>()? {
        let published = runtime.block_on(async {
            renew(&mut streams, orders.to).await?;
            let turns = Turns::start(&orders.load, end, orders.share, requests);
            let shared = Arc::new(Shared { head: head(&orders), load: orders.load.clone(), turns, done: Arc::clone(&done) });
            let published = publish(&shared, &mut streams).await;
            requests = shared.turns.requests_taken();
            published
        });
        part::report(published.map_err(|cause| format!("lost a connection to the relay: {cause}")))?;
    }
    Ok(())
}

async fn connect(orders: &Orders) -> io::Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(orders.load.connections);
    for _ in 0..orders.load.connections {
        streams.push(connect_one(orders.to).await?);
    }
    Ok(streams)
}

async fn connect_one(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects anew where the relay has closed a connection that had nothing to do for long.
async fn renew(streams: &mut [TcpStream], to: SocketAddr) -> io::Result<()> {
    // The runtime learns of what was closed when it waits.
    tokio::time::sleep(Duration::from_millis(1)).await;
    for stream in streams {
        let waits = stream.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        if !waits {
            *stream = connect_one(to).await?;
        }
    }
    Ok(())
}

/// One lap.
async fn publish(shared: &Arc<Shared>, streams: &mut Vec<TcpStream>) -> io::Result<Published> {
    let mut tasks = JoinSet::new();
    for stream in streams.drain(..) {
        tasks.spawn(send_all(stream, shared.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        streams.push(ended.map_err(io::Error::from)??);
    }
    let mut done = shared.done.lock().unwrap_or_else(PoisonError::into_inner);
    done.refused.sort_unstable();
    let sent = Sent { events: shared.turns.events_taken(), refused: done.refused.clone() };
    Ok(Published { sent, first_us: shared.turns.first_us(), latency: Spread::of(&mut done.times_us) })
}

struct Shared {
    /// The request's head up to the value of `content-length`.
    head: String,
    load: Load,
    turns: Turns,
    /// In all laps.
    done: Arc<Mutex<Done>>,
}

#[derive(Default)]
struct Done {
    times_us: Vec<u32>,
    refused: Vec<u64>,
}

fn head(orders: &Orders) -> String {
    let kind = if orders.load.batch > 1 { "application/x-ndjson" } else { "application/json" };
    format!(
        "POST /v1/events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: {kind}\r\ncontent-length: ",
        orders.to, orders.key
    )
}

/// One connection's share of a lap.
async fn send_all(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<TcpStream> {
    let (mut messages, mut body, mut request) = (Messages::new(), Vec::new(), Vec::new());
    while let Some(turn) = shared.turns.take().await {
        write_request(&shared, &turn, &mut body, &mut request);
        stream.write_all(&request).await?;
        let answer = messages.next(&mut stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let now_us = clock::monotonic_micros();
        let refused = refused(&turn, frame::status(answer.head), answer.body);
        let none_taken = refused.len() as u64 == turn.count;
        shared.note(&turn, now_us, refused);
        if none_taken {
            // A relay that is busy is asked again, but not as fast as it can refuse.
            tokio::time::sleep(REFUSED_PAUSE).await;
        }
    }
    Ok(stream)
}

impl Shared {
    fn note(&self, turn: &Turn, now_us: u64, refused: Vec<u64>) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.times_us.push(took_us(turn.due_us, now_us));
        done.refused.extend(refused);
    }
}

fn write_request(shared: &Shared, turn: &Turn, body: &mut Vec<u8>, request: &mut Vec<u8>) {
    body.clear();
    for number in turn.first..turn.first + turn.count {
        event::write(shared.load.to(number), Mark { number, due_us: turn.due_us }, &shared.load.data, body);
        if shared.load.batch > 1 {
            body.push(b'\n');
        }
    }
    request.clear();
    request.extend_from_slice(shared.head.as_bytes());
    request.extend_from_slice(body.len().to_string().as_bytes());
    request.extend_from_slice(b"\r\n\r\n");
    request.extend_from_slice(body);
}

/// The events of a request that the relay did not take.
fn refused(turn: &Turn, status: u16, body: &[u8]) -> Vec<u64> {
    let numbers = turn.first..turn.first + turn.count;
    match status {
        202 if turn.count == 1 => Vec::new(),
        202 => {
            let mut lines = body.split(|byte| *byte == b'\n');
            let mut taken = || lines.next().is_some_and(|line| line.starts_with(br#"{"status":202"#));
            numbers.filter(|_| !taken()).collect()
        }
        _ => numbers.collect(),
    }
}

const REFUSED_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::plan::Endpoints;

    fn load(rate: f64, end: End, batch: u64) -> Load {
        let endpoints = Endpoints::all_healthy(3);
        Load { connections: 1, rate, end, batch, endpoints, fan_out: false, data: r#""a":1"#.into() }
    }

    fn turn(first: u64, count: u64) -> Turn {
        Turn { first, count, due_us: 5 }
    }

    #[test]
    fn what_was_not_taken_is_known_by_its_number() {
        let lines = b"{\"status\":202,\"id\":\"a\"}\n{\"title\":\"x\",\"status\":422}\n{\"status\":202,\"id\":\"b\"}\n";
        assert_eq!(refused(&turn(4, 3), 202, lines), [5]);
        assert_eq!(refused(&turn(4, 3), 503, b""), [4, 5, 6]);
        assert_eq!(refused(&turn(4, 1), 202, b"{}"), Vec::<u64>::new());
        assert_eq!(refused(&turn(4, 2), 202, b""), [4, 5]);
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_is_made_anew_and_others_are_kept() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let mut streams = vec![connect_one(to).await.unwrap(), connect_one(to).await.unwrap()];
        let (closed, _) = listener.accept().await.unwrap();
        let _kept = listener.accept().await.unwrap();
        drop(closed);
        let before = [&streams[0], &streams[1]].map(|stream| stream.local_addr().unwrap());
        renew(&mut streams, to).await.unwrap();
        let after = [&streams[0], &streams[1]].map(|stream| stream.local_addr().unwrap());
        assert!(before[0] != after[0] && before[1] == after[1]);
    }

    #[test]
    fn a_request_is_one_message() {
        let load = load(0.0, End::Events(9), 2);
        let orders =
            Orders { to: SocketAddr::from(([127, 0, 0, 1], 80)), key: "k".into(), load: load.clone(), share: Share::All };
        let turns = Turns::start(&load, load.end, Share::All, 0);
        let shared = Shared { head: head(&orders), load, turns, done: Arc::default() };
        let (mut body, mut request) = (Vec::new(), Vec::new());
        write_request(&shared, &turn(4, 2), &mut body, &mut request);
        let text = String::from_utf8(request).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-type: application/x-ndjson\r\ncontent-length: {}", body.len())));
        let lines: Vec<&str> = body.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with(r#"{"type":"bench.1","data":{"bench":"000000000004.0000000000000005","a":1}}"#), "{body}");
        assert!(lines[1].starts_with(r#"{"type":"bench.2","#));
    }
}

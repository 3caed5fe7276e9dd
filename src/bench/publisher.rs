//! The publisher: so many connections with at most one request under way on each, one thread, one write for each request.
//!
//! In a closed loop a connection sends as soon as it was answered, and an event is due when it is sent. In an open loop request
//! number n is due at start + n / rate, whether or not a connection is free for it, and times count from then. A thread of its
//! own gives out the turns, since the runtime's timers are too coarse for that.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::book::Sent;
use super::event::{self, Mark};
use super::figures::{Spread, took_us};
use super::frame::{self, Messages};
use super::plan::{End, Load};
use super::{Error, part};
use crate::clock;

/// Where to publish what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) to: SocketAddr,
    pub(super) key: String,
    pub(super) load: Load,
}

/// What was published.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Published {
    pub(super) sent: Sent,
    /// When the first request was due.
    pub(super) first_us: u64,
    /// From when a request was due until its answer.
    pub(super) latency: Spread,
}

/// Reports that it is connected; told to begin, it publishes and reports what.
pub(super) fn play() -> Result<(), Error> {
    let Some(orders) = part::orders::<Orders>()? else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::io("start the publisher's runtime"))?;
    let connected = runtime.block_on(connect(&orders)).map_err(|cause| format!("cannot connect to the relay: {cause}"));
    let streams = match connected {
        Ok(streams) => streams,
        Err(what) => return part::report::<()>(Err(what)),
    };
    part::report(Ok(()))?;
    if part::orders::<()>()?.is_none() {
        return Ok(());
    }
    let published = runtime.block_on(publish(orders, streams));
    part::report(published.map_err(|cause| format!("lost a connection to the relay: {cause}")))?;
    part::orders::<()>().map(drop)
}

async fn connect(orders: &Orders) -> io::Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(orders.load.connections);
    for _ in 0..orders.load.connections {
        let stream = TcpStream::connect(orders.to).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    Ok(streams)
}

async fn publish(orders: Orders, streams: Vec<TcpStream>) -> io::Result<Published> {
    let turns = Arc::new(Turns::start(&orders.load));
    let shared = Arc::new(Shared { head: head(&orders), load: orders.load, turns, done: Mutex::default() });
    let mut tasks = JoinSet::new();
    for stream in streams {
        tasks.spawn(send_all(stream, shared.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(io::Error::from)??;
    }
    let mut done = shared.done.lock().unwrap_or_else(PoisonError::into_inner);
    done.refused.sort_unstable();
    let sent = Sent { events: shared.turns.events_taken(), refused: std::mem::take(&mut done.refused) };
    Ok(Published { sent, first_us: shared.turns.start_us, latency: Spread::of(&mut done.times_us) })
}

struct Shared {
    /// The request's head up to the value of `content-length`.
    head: String,
    load: Load,
    turns: Arc<Turns>,
    done: Mutex<Done>,
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

/// One connection's share of the work.
async fn send_all(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
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
    Ok(())
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

/// One request: so many events from this one, due at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    first: u64,
    count: u64,
    due_us: u64,
}

/// Gives out turns until all are taken or the time is over.
struct Turns {
    start_us: u64,
    end_us: u64,
    batch: u64,
    events_max: u64,
    /// Number of the next request.
    next: AtomicU64,
    /// Requests per second, and the turns that are due.
    pace: Option<(f64, Arc<Semaphore>)>,
}

impl Turns {
    fn start(load: &Load) -> Self {
        let start_us = clock::monotonic_micros();
        let (events_max, lasts) = match load.end {
            End::Events(events) => (events, None),
            End::After(time) => (u64::MAX, Some(time)),
        };
        let lasts_us = lasts.and_then(|time| u64::try_from(time.as_micros()).ok()).unwrap_or(u64::MAX);
        let pace = (load.rate > 0.0).then(|| (load.rate / load.batch as f64, Arc::new(Semaphore::new(0))));
        let end_us = start_us.saturating_add(lasts_us);
        let turns = Self { start_us, end_us, batch: load.batch, events_max, next: AtomicU64::new(0), pace };
        if let Some((rate, due)) = &turns.pace {
            let (rate, due, turns_max) = (*rate, due.clone(), events_max.div_ceil(load.batch));
            std::thread::spawn(move || keep_pace(start_us, end_us, rate, turns_max, &due));
        }
        turns
    }

    /// The next request; `None`: publishing is over. In an open loop it waits until one is due.
    async fn take(&self) -> Option<Turn> {
        let now_us = clock::monotonic_micros();
        let number = self.next.load(Relaxed);
        let due_us = self.pace.as_ref().map_or(now_us, |(rate, _)| due_us(self.start_us, *rate, number));
        let first = number.checked_mul(self.batch)?;
        if first >= self.events_max || due_us >= self.end_us {
            return None;
        }
        // One thread takes all turns, so nobody came between.
        self.next.store(number + 1, Relaxed);
        if let Some((_, due)) = &self.pace {
            due.acquire().await.ok()?.forget();
        }
        Some(Turn { first, count: self.batch.min(self.events_max - first), due_us })
    }

    fn events_taken(&self) -> u64 {
        self.next.load(Relaxed).saturating_mul(self.batch).min(self.events_max)
    }
}

fn due_us(start_us: u64, rate: f64, number: u64) -> u64 {
    start_us.saturating_add(Duration::from_secs_f64(number as f64 / rate).as_micros().try_into().unwrap_or(u64::MAX))
}

/// Adds a permit whenever a turn becomes due. They are taken in the order of the turns, since the semaphore is fair.
fn keep_pace(start_us: u64, end_us: u64, rate: f64, turns_max: u64, due: &Semaphore) {
    for number in 0..turns_max {
        let due_us = due_us(start_us, rate, number);
        if due_us >= end_us {
            return;
        }
        let left_us = due_us.saturating_sub(clock::monotonic_micros());
        if left_us > 0 {
            std::thread::sleep(Duration::from_micros(left_us));
        }
        due.add_permits(1);
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

    #[tokio::test]
    async fn turns_cover_every_event_once() {
        let turns = Turns::start(&load(0.0, End::Events(7), 3));
        let mut taken = Vec::new();
        while let Some(turn) = turns.take().await {
            taken.push((turn.first, turn.count));
        }
        assert_eq!(taken, [(0, 3), (3, 3), (6, 1)]);
        assert_eq!(turns.events_taken(), 7);
    }

    #[tokio::test]
    async fn at_a_rate_every_turn_is_due_at_its_time() {
        let turns = Turns::start(&load(2_000.0, End::After(Duration::from_millis(10)), 2));
        let mut due = Vec::new();
        while let Some(turn) = turns.take().await {
            assert!(clock::monotonic_micros() >= turn.due_us);
            due.push(turn.due_us - turns.start_us);
        }
        assert_eq!(due, [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000]);
        assert_eq!(turns.events_taken(), 20);
    }

    #[test]
    fn what_was_not_taken_is_known_by_its_number() {
        let lines = b"{\"status\":202,\"id\":\"a\"}\n{\"title\":\"x\",\"status\":422}\n{\"status\":202,\"id\":\"b\"}\n";
        assert_eq!(refused(&turn(4, 3), 202, lines), [5]);
        assert_eq!(refused(&turn(4, 3), 503, b""), [4, 5, 6]);
        assert_eq!(refused(&turn(4, 1), 202, b"{}"), Vec::<u64>::new());
        assert_eq!(refused(&turn(4, 2), 202, b""), [4, 5]);
    }

    #[test]
    fn a_request_is_one_message() {
        let load = load(0.0, End::Events(9), 2);
        let orders = Orders { to: SocketAddr::from(([127, 0, 0, 1], 80)), key: "k".into(), load: load.clone() };
        let turns = Arc::new(Turns::start(&load));
        let shared = Shared { head: head(&orders), load, turns, done: Mutex::default() };
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

//! Reads the live stream of the service, and connects again where it was when the connection breaks.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{sleep, timeout};

use super::wait::may_pass;
use super::{ANSWER_BYTES_MAX, Answer, Call, Error, Service, connect};

/// What happened on the way.
#[derive(Debug)]
pub(crate) enum Seen<'a> {
    /// The stream is open: everything from here on comes, and what passed since the last time.
    Open,
    /// An event of this kind, with its JSON.
    Event(&'a str, &'a str),
    /// The connection broke for this reason. It is made again.
    Broke(Error),
}

/// Why following ended.
#[derive(Debug)]
pub(crate) enum Ended<F> {
    /// The service refused, or could not be reached at first.
    Asked(Error),
    /// What was seen could not be shown.
    Shown(F),
}

impl Service {
    /// Follows a stream until ^C, which is no error. Once it was open, the service may go away and come back.
    pub(crate) fn follow<F>(&self, call: &Call, mut show: impl FnMut(Seen<'_>) -> Result<(), F>) -> Result<(), Ended<F>> {
        self.runtime.block_on(async {
            let mut interrupted = pin!(tokio::signal::ctrl_c());
            let mut following = Following { service: self, call, last_id: None, was_open: false, was_good: false };
            let mut pause = PAUSE_MIN;
            let mut is_away = false;
            loop {
                let ended = tokio::select! {
                    _ = &mut interrupted => return Ok(()),
                    ended = following.once(&mut show, &mut is_away) => ended,
                };
                match ended {
                    Ended::Asked(error) if following.was_open && may_pass(&error) => {
                        pause = following.pause_behind(pause);
                        if !std::mem::replace(&mut is_away, true) {
                            show(Seen::Broke(error)).map_err(Ended::Shown)?;
                        }
                    }
                    ended => return Err(ended),
                }
                tokio::select! {
                    _ = &mut interrupted => return Ok(()),
                    () = sleep(drawn(pause)) => {}
                }
            }
        })
    }
}

/// A reader with its place in the stream.
struct Following<'a> {
    service: &'a Service,
    call: &'a Call,
    last_id: Option<String>,
    was_open: bool,
    /// Whether the last connection brought an event.
    was_good: bool,
}

impl Following<'_> {
    /// How long to wait behind a connection: longer each time, until one brings an event.
    fn pause_behind(&mut self, pause: Duration) -> Duration {
        if std::mem::take(&mut self.was_good) { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) }
    }

    /// Reads one connection to its end, and says why it ended.
    async fn once<F>(&mut self, show: &mut impl FnMut(Seen<'_>) -> Result<(), F>, is_away: &mut bool) -> Ended<F> {
        let (mut body, broken) = match self.open().await {
            Ok(open) => open,
            Err(error) => return Ended::Asked(error),
        };
        (self.was_open, *is_away) = (true, false);
        if let Err(failure) = show(Seen::Open) {
            return Ended::Shown(failure);
        }
        let mut events = Events::default();
        loop {
            match timeout(SILENT, body.frame()).await {
                Ok(Some(Ok(frame))) => events.take(frame.data_ref().unwrap_or(&Bytes::new())),
                Ok(Some(Err(error))) => return Ended::Asked(broken(error.to_string())),
                Ok(None) => return Ended::Asked(broken("the service ended it".into())),
                Err(_) => return Ended::Asked(broken(format!("nothing came for {} s", SILENT.as_secs()))),
            }
            if events.bytes.len() > ANSWER_BYTES_MAX {
                return Ended::Asked(broken("an event has no end".into()));
            }
            while let Some(event) = events.next() {
                self.was_good = true;
                if let Err(failure) = show(Seen::Event(&event.kind, &event.data)) {
                    return Ended::Shown(failure);
                }
            }
            self.last_id = events.last_id.clone().or(self.last_id.take());
        }
    }

    /// Asks for the stream. The second is how an end of the connection is told.
    async fn open(&self) -> Result<(Incoming, impl Fn(String) -> Error + use<>), Error> {
        let (socket, stream) = connect(&self.service.sockets).await?;
        let broken = {
            let socket = socket.clone();
            move |cause| Error::Broken { socket: socket.clone(), cause }
        };
        let call = Call { last_event_id: self.last_id.clone(), ..self.call.clone() };
        let request = call.request(self.service.tenant.as_deref()).map_err(|error| broken(error.to_string()))?;
        let answered = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        let answered = timeout(self.call.timeout, answered).await;
        let Ok(answered) = answered else { return Err(Error::Silent { socket, timeout: self.call.timeout }) };
        let response = answered.map_err(|error| broken(error.to_string()))?;
        let status = response.status().as_u16();
        if status == OK {
            return Ok((response.into_body(), broken));
        }
        let body = response.into_body().collect().await.map_err(|error| broken(error.to_string()))?.to_bytes();
        Err(Error::Refused(Answer { status, body, socket }.problem()))
    }
}

/// From half of a pause to all of it, so that readers who lost the same service do not come back together.
fn drawn(pause: Duration) -> Duration {
    let draw = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + pause.mul_f64(f64::from(draw) / f64::from(u32::MAX)) / 2
}

/// One event of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    kind: String,
    data: String,
}

/// Takes server-sent events out of bytes as they come (WHATWG HTML, 9.2.6), as far as the service writes them.
#[derive(Debug, Default)]
struct Events {
    bytes: Vec<u8>,
    last_id: Option<String>,
}

impl Events {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole event. Blocks without data are passed over; an id counts in any case.
    fn next(&mut self) -> Option<Event> {
        loop {
            let end = self.bytes.windows(2).position(|two| two == b"\n\n")?;
            let block = String::from_utf8_lossy(&self.bytes[..end]).into_owned();
            self.bytes.drain(..end + 2);
            let (mut kind, mut data) = (String::new(), None);
            for line in block.lines() {
                match line.split_once(": ") {
                    Some(("event", name)) => kind = name.to_owned(),
                    Some(("id", id)) => self.last_id = Some(id.to_owned()),
                    Some(("data", json)) => data = Some(json.to_owned()),
                    _ => {}
                }
            }
            if let Some(data) = data {
                return Some(Event { kind, data });
            }
        }
    }
}

const OK: u16 = 200;

/// A stream that says nothing for so long is dead: the service sends a comment every 15 s.
const SILENT: Duration = Duration::from_secs(45);

const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_connection_brings_an_event() {
        let service = Service::new(None, None).expect("a runtime");
        let call = Call::get("/v1/deliveries/stream");
        let mut following = Following { service: &service, call: &call, last_id: None, was_open: true, was_good: false };
        let mut pauses = vec![PAUSE_MIN];
        for was_good in [false, false, false, false, false, true, false] {
            following.was_good = was_good;
            pauses.push(following.pause_behind(pauses[pauses.len() - 1]));
        }
        assert_eq!(pauses.iter().map(Duration::as_millis).collect::<Vec<_>>(), [200, 400, 800, 1600, 3200, 5000, 200, 400]);
        assert!((0..99).map(|_| drawn(PAUSE_MAX)).all(|drawn| (PAUSE_MAX / 2..=PAUSE_MAX).contains(&drawn)));
    }

    #[test]
    fn events_come_out_of_any_pieces() {
        let text = "retry: 1000\nid: a\n\nevent: delivery\nid: b\ndata: {\"x\": \"ä\"}\n\n: the stream lives\n\nid: c\n\nevent: lost\nid: d\ndata: {}\n\n";
        for size in [1, 2, 7, text.len()] {
            let (mut events, mut seen) = (Events::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                events.take(piece);
                seen.extend(std::iter::from_fn(|| events.next()));
            }
            let event = |kind: &str, data: &str| Event { kind: kind.into(), data: data.into() };
            assert_eq!(seen, [event("delivery", "{\"x\": \"ä\"}"), event("lost", "{}")], "pieces of {size}");
            assert_eq!((events.last_id.as_deref(), events.bytes.len()), (Some("d"), 0));
        }
    }
}

//! How long a connection may take for its present phase. This guards against peers that open many connections and send little.
//!
//! ```text
//!            first byte              head complete            answer made
//!   Idle ───────────────▶ Head ─────────────────────▶ Busy ────────────────▶ Idle, or Head when part of the next one is there
//!   60 s                  10 s, whatever trickles in   body: 20 s of silence│  60 s, the sending of a short answer included
//!                                                                        ▼
//!                                                              Sending ───┘ a long answer: 30 s for each part
//! ```
//!
//! The HTTP library's own timer counts the wait for the first byte as part of the head, and makes a timer for each request.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::ahead::{Ahead, Length};

/// The phase of one HTTP/1.1 connection, shared by its stream and its requests.
pub(crate) struct Pace(Mutex<State>);

#[derive(Clone, Copy)]
struct State {
    phase: Phase,
    since: Instant,
    /// Whether a part of a refused body may still be on its way.
    unread: bool,
    ahead: Ahead,
    /// Whether a part of the next head came before the answer had left.
    next_began: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Busy,
    /// Parts of a long answer wait for their peer.
    Sending,
    Closing,
}

impl Pace {
    /// A new connection, which must send its first head within [`HEAD_MAX`].
    pub(crate) fn new(now: Instant) -> Self {
        Self(Mutex::new(State { phase: Phase::Head, since: now, unread: false, ahead: Ahead::new(), next_began: false }))
    }

    /// Takes note of bytes that came in. `now` is called only when the phase changes.
    pub(crate) fn received(&self, bytes: &[u8], now: impl FnOnce() -> Instant) {
        self.change(|state| {
            state.ahead.received(bytes);
            match state.phase {
                Phase::Idle => (state.phase, state.since) = (Phase::Head, now()),
                Phase::Sending => state.next_began = true,
                _ => {}
            }
        });
    }

    /// Takes note that a request's head is complete.
    pub(crate) fn began(&self, body: Length) {
        self.change(|state| {
            state.phase = Phase::Busy;
            state.ahead.began(body);
        });
    }

    /// Takes note that the answer is made. `unread` says that its body was perhaps not read to the end.
    pub(crate) fn answered(&self, now: Instant, unread: bool) {
        self.change(|state| {
            (state.phase, state.since, state.unread) = (Phase::Idle, now, unread);
            // The begin of the next request is in the library's buffer, so its time must run although no byte comes any more.
            state.next_began = !state.ahead.ends();
            if state.next_began {
                state.phase = Phase::Head;
            }
        });
    }

    /// Takes note that a part of a long answer was handed over and more will follow.
    pub(crate) fn taken(&self, now: Instant) {
        self.change(|state| (state.phase, state.since) = (Phase::Sending, now));
    }

    /// Takes note that the next part is still being made. The request counts as at work meanwhile.
    pub(crate) fn waits(&self, now: Instant) {
        self.change(|state| (state.phase, state.since) = (Phase::Busy, now));
    }

    /// Takes note that the last part of a long answer was handed over.
    pub(crate) fn sent(&self, now: Instant) {
        self.change(|state| {
            if state.phase != Phase::Closing {
                (state.phase, state.since) = (if state.next_began { Phase::Head } else { Phase::Idle }, now);
            }
        });
    }

    /// Takes note that the connection ends. Returns whether to wait for bytes that are still on their way: closing with unread
    /// bytes resets the connection, and the peer may never see why its request was refused.
    pub(crate) fn closing(&self, now: impl FnOnce() -> Instant) -> bool {
        let mut lingers = false;
        self.change(|state| {
            lingers = state.unread;
            if lingers && state.phase != Phase::Closing {
                (state.phase, state.since) = (Phase::Closing, now());
            }
        });
        lingers
    }

    /// When the connection is to be closed unless something happens before.
    pub(crate) fn deadline(&self) -> Instant {
        let state = self.state();
        let patience = match state.phase {
            Phase::Idle => IDLE_MAX,
            Phase::Head => HEAD_MAX,
            Phase::Busy => BUSY_MAX,
            Phase::Sending => STALLED_MAX,
            Phase::Closing => LINGER_MAX,
        };
        state.since + patience
    }

    fn state(&self) -> State {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

/// How long a connection may be without a request, including the sending of a short answer.
pub(in crate::api) const IDLE_MAX: Duration = Duration::from_secs(60);

/// How long a part of a long answer may wait for its peer. It holds room that others wait for.
pub(in crate::api) const STALLED_MAX: Duration = Duration::from_secs(30);

/// The time from the first byte of a request to the end of its head.
pub(in crate::api) const HEAD_MAX: Duration = Duration::from_secs(10);

/// The time for a whole request. It is longer than the longest requests take: a long poll, and a test of a slow endpoint.
pub(in crate::api) const BUSY_MAX: Duration = Duration::from_secs(600);

/// The time for the rest of a refused body, and for the goodbye of a connection past its deadline.
pub(in crate::api) const LINGER_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    const NO_BODY: Length = Length::Known(0);

    #[test]
    fn a_head_has_ten_seconds_however_it_trickles() {
        let start = Instant::now();
        let later = |secs| start + Duration::from_secs(secs);
        let pace = Pace::new(start);
        pace.received(GET, || later(9));
        assert_eq!(pace.deadline(), later(10));

        pace.began(NO_BODY);
        pace.answered(later(20), false);
        assert_eq!(pace.deadline(), later(80));

        pace.received(b"G", || later(30));
        pace.received(b"E", || later(39));
        assert_eq!(pace.deadline(), later(40));
    }

    #[test]
    fn half_a_head_behind_another_has_ten_seconds_too() {
        let start = Instant::now();
        let later = |secs| start + Duration::from_secs(secs);
        let pace = Pace::new(start);
        pace.received(&[GET, b"GET / HTTP/1.1"].concat(), || start);
        pace.began(NO_BODY);
        pace.answered(later(20), false);
        assert_eq!(pace.deadline(), later(30));
    }

    #[test]
    fn a_long_answer_has_thirty_seconds_for_each_part() {
        let start = Instant::now();
        let later = |secs| start + Duration::from_secs(secs);
        let pace = Pace::new(start);
        pace.received(GET, || start);
        pace.began(NO_BODY);
        pace.answered(start, false);
        for secs in [0, 29, 58] {
            pace.taken(later(secs));
            assert_eq!(pace.deadline(), later(secs + 30));
        }
        pace.waits(later(60));
        assert_eq!(pace.deadline(), later(60) + BUSY_MAX, "it is not the peer that is slow");
        pace.taken(later(70));
        pace.sent(later(75));
        assert_eq!(pace.deadline(), later(75) + IDLE_MAX);
        pace.taken(later(80));
        pace.received(b"GET", || later(81));
        pace.sent(later(82));
        assert_eq!(pace.deadline(), later(82) + HEAD_MAX, "its next request has begun");
    }

    #[test]
    fn only_an_unread_body_keeps_a_closing_connection() {
        let start = Instant::now();
        let pace = Pace::new(start);
        pace.answered(start, false);
        assert!(!pace.closing(|| start));
        pace.answered(start, true);
        assert!(pace.closing(|| start));
        assert!(pace.closing(|| start + Duration::from_secs(9)));
        assert_eq!(pace.deadline(), start + LINGER_MAX);
    }

    #[test]
    fn a_request_at_work_is_not_cut_by_its_bytes() {
        let start = Instant::now();
        let pace = Pace::new(start);
        pace.began(NO_BODY);
        pace.received(GET, || start);
        assert_eq!(pace.deadline(), start + BUSY_MAX);
    }
}

//! Reads one body: how much room it takes, and how long its sender may be silent.
//!
//! ```text
//!   first bytes ─────────▶ the first byte beyond ─────────▶ more ─────────▶ whole
//!   free on HTTP/1.1       room for all of it, waited for   │
//!                                                           ├─ slow: room for what has come, and more as it comes, or 503
//!                                                           └─ silent for 20 s: 408
//! ```
//!
//! A body that holds room never waits for more of it (`budget` says why), so its first claim is for its whole announced length.
//! It keeps that room as long as bytes come at a good rate.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::carrier::{Carrier, PATIENCE, too_large};
use crate::api::response::problem::Problem;
use crate::budget::{PartyShare, Requests};

/// A body that is being read, and the room that it has.
pub(in crate::api) struct Intake<'r, P> {
    requests: &'r Requests,
    /// Tells whom the body counts for. It is called only when the body needs room.
    party: P,
    carrier: Carrier,
    size: Size,
    share: Option<PartyShare>,
    beats: Option<Beats>,
    beat: Duration,
}

/// The length of a body, and its limit.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Size {
    /// The length that the head announced. `None` for a body in chunks.
    pub(in crate::api) announced: Option<usize>,
    pub(in crate::api) bytes_max: usize,
}

impl<'r, P: Fn() -> u64> Intake<'r, P> {
    pub(in crate::api) fn new(requests: &'r Requests, party: P, carrier: Carrier, size: Size) -> Self {
        Self { requests, party, carrier, size, share: None, beats: None, beat: BEAT }
    }

    /// The intake with another time between two looks at its sender's pace.
    #[cfg(test)]
    pub(in crate::api) fn beating(self, beat: Duration) -> Self {
        Self { beat, ..self }
    }

    /// Reads the body to its end. Returns its bytes and the room that they take.
    pub(in crate::api) async fn collect<B>(mut self, mut body: B) -> Result<(Bytes, Option<PartyShare>), Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut whole = Whole::Nothing;
        while let Some(frame) = self.next(&mut body, whole.len()).await? {
            let frame = frame.map_err(|_| Problem::Malformed("the body broke off, or its framing is wrong".into()))?;
            let Ok(data) = Frame::into_data(frame) else { continue };
            let come = whole.len() + data.len();
            if come > self.size.bytes_max {
                return Err(too_large(self.size.bytes_max));
            }
            self.make_room(come).await?;
            whole = whole.with(data, self.size.announced.unwrap_or_default());
        }
        if let Some(share) = &mut self.share {
            share.shrink(whole.len());
        }
        Ok((whole.into_bytes(), self.share))
    }

    /// Waits for the next part. A part that has come already needs no timer.
    async fn next<B>(&mut self, body: &mut B, come: usize) -> Result<Option<Result<Frame<Bytes>, B::Error>>, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if let Poll::Ready(frame) = poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await {
            return Ok(frame);
        }
        let beats = self.beats.get_or_insert_with(|| Beats::new(self.beat, come));
        loop {
            tokio::select! {
                biased;
                frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)) => return Ok(frame),
                _ = beats.ticks.tick() => match beats.judge(come) {
                    Pace::Good => {}
                    Pace::Slow => self.share.iter_mut().for_each(|share| share.shrink(come)),
                    Pace::Silent => return Err(Problem::Slow),
                },
            }
        }
    }

    /// Makes sure that there is room for `come` bytes, before they are kept.
    async fn make_room(&mut self, come: usize) -> Result<(), Problem> {
        let Some(share) = &mut self.share else { return self.claim(come).await };
        let has_room = share.bytes() >= come || share.try_grow(self.size.claim(come)) || share.try_grow(come);
        if has_room { Ok(()) } else { Err(CROWDED) }
    }

    /// Takes the first room of the body. Only here may a body wait for room.
    async fn claim(&mut self, come: usize) -> Result<(), Problem> {
        if come <= self.carrier.free_bytes() {
            return Ok(());
        }
        let (party, bytes) = ((self.party)(), self.size.claim(come));
        self.share = match self.carrier {
            Carrier::One => self.requests.take_within(party, bytes, PATIENCE).await,
            Carrier::Many => self.requests.try_take(party, bytes),
        };
        // The body waited for room, so its sender must not count as slow for that time.
        self.beats.iter_mut().for_each(|beats| beats.restart(come));
        self.share.as_ref().map(|_| ()).ok_or(CROWDED)
    }
}

impl Size {
    /// How much room a body of which `come` bytes have come should claim: for all that was announced, else for twice as much.
    fn claim(self, come: usize) -> usize {
        let guessed = || (2 * come).clamp(GUESSED_BYTES, GUESSED_BYTES.max(self.bytes_max));
        self.announced.unwrap_or_else(guessed).max(come)
    }
}

/// How fast a sender was between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Good,
    Slow,
    /// No byte has come for [`SILENT_BEATS`] looks.
    Silent,
}

/// Looks regularly at the pace of a body that does not come at once.
struct Beats {
    ticks: Interval,
    /// How many bytes had come at the last look.
    seen: usize,
    /// How many looks there were since the last byte.
    silent: u32,
}

impl Beats {
    fn new(beat: Duration, come: usize) -> Self {
        let mut ticks = interval(beat);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beats = Self { ticks, seen: come, silent: 0 };
        beats.restart(come);
        beats
    }

    /// Starts again, as if no look had been taken.
    fn restart(&mut self, come: usize) {
        self.ticks.reset();
        (self.seen, self.silent) = (come, 0);
    }

    fn judge(&mut self, come: usize) -> Pace {
        let since = come - self.seen;
        self.seen = come;
        self.silent = if since == 0 { self.silent + 1 } else { 0 };
        match since {
            _ if self.silent >= SILENT_BEATS => Pace::Silent,
            CLAIM_BEAT_BYTES.. => Pace::Good,
            _ => Pace::Slow,
        }
    }
}

/// The bytes of a body. A body mostly comes in one part, which is kept as it is. A small part is copied instead, so that the
/// buffer of its connection is free for the next request at once and not only when the event is on disk.
enum Whole {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Whole {
    fn with(self, data: Bytes, expected: usize) -> Self {
        match self {
            Self::Nothing if data.len() <= COPIED_BYTES_MAX => Self::One(Bytes::copy_from_slice(&data)),
            Self::Nothing => Self::One(data),
            Self::One(first) => {
                let mut many = BytesMut::with_capacity(expected.min(CAPACITY_BYTES_MAX).max(first.len() + data.len()));
                many.extend_from_slice(&first);
                many.extend_from_slice(&data);
                Self::Many(many)
            }
            Self::Many(mut many) => {
                // A peer that has sent so much will send the rest too. Doubling the buffer would hold the body twice for a
                // moment.
                if many.len() >= CAPACITY_BYTES_MAX && many.capacity() < expected {
                    many.reserve(expected - many.len());
                }
                many.extend_from_slice(&data);
                Self::Many(many)
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(bytes) => bytes.len(),
            Self::Many(bytes) => bytes.len(),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(bytes) => bytes,
            Self::Many(bytes) => bytes.freeze(),
        }
    }
}

/// The time between two looks at a sender's pace.
const BEAT: Duration = Duration::from_secs(1);

/// After so many looks without a byte, which is 20 s, a body is given up.
const SILENT_BEATS: u32 = 20;

/// How many bytes must come between two looks for a body to keep its claim. At that rate the largest body takes four minutes.
const CLAIM_BEAT_BYTES: usize = 64 << 10;

/// The first claim of a body of unknown length, unless its limit is less.
const GUESSED_BYTES: usize = 64 << 10;

/// The longest part that is copied: half of the buffer into which a connection is first read.
const COPIED_BYTES_MAX: usize = 4 * 1024;

/// The most bytes that are allocated ahead for a body because of its announced length alone.
const CAPACITY_BYTES_MAX: usize = 1 << 20;

const CROWDED: Problem = Problem::Unavailable("too many large requests at once; try again in a second");

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::Context;

    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
    use tokio::task::JoinHandle;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::budget::{BYTES_DEFAULT, Budget};

    const MIB: usize = 1 << 20;
    const SHORT: Duration = Duration::from_millis(15);

    /// A body whose parts are sent by the test.
    struct ByHand(UnboundedReceiver<usize>);

    impl Body for ByHand {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.poll_recv(cx).map(|part| part.map(|bytes| Ok(Frame::data(Bytes::from(vec![b'x'; bytes])))))
        }
    }

    type Collected = Result<(Bytes, Option<PartyShare>), Problem>;

    struct Sender {
        parts: UnboundedSender<usize>,
        taken: JoinHandle<Collected>,
    }

    impl Sender {
        /// Sends a body of the announced or of unknown length for a party.
        fn new(budget: &'static Budget, party: u64, announced: Option<usize>, carrier: Carrier) -> Self {
            let (parts, body) = unbounded_channel();
            let size = Size { announced, bytes_max: 16 * MIB };
            let intake = Intake::new(budget.requests(), move || party, carrier, size).beating(SHORT);
            Self { parts, taken: tokio::spawn(intake.collect(ByHand(body))) }
        }

        async fn sends(&self, bytes: usize) {
            self.parts.send(bytes).expect("it is read");
            sleep(Duration::from_millis(1)).await;
        }

        async fn ends(self) -> Collected {
            drop(self.parts);
            timeout(Duration::from_secs(10), self.taken).await.expect("soon").expect("no panic")
        }
    }

    fn budget() -> &'static Budget {
        Box::leak(Box::new(Budget::new(BYTES_DEFAULT)))
    }

    /// How many bytes a party could still take.
    fn free(budget: &Budget, party: u64) -> usize {
        std::iter::from_fn(|| budget.requests().try_take(party, 128 << 10)).collect::<Vec<_>>().len() * (128 << 10)
    }

    #[tokio::test]
    async fn a_silent_body_holds_only_what_has_come() {
        let budget = budget();
        let silent: Vec<_> = (0..8).map(|_| Sender::new(budget, 1, Some(2 * MIB), Carrier::One)).collect();
        for sender in &silent {
            sender.sends(100 << 10).await;
        }
        assert_eq!(free(budget, 2), 16 * MIB, "another has all of its own");
        sleep(4 * SHORT).await;
        assert!(free(budget, 1) >= 15 * MIB, "together they hold 800 KiB");
        for sender in silent {
            let gone = timeout(Duration::from_secs(10), sender.taken).await.expect("soon").expect("no panic");
            assert!(matches!(gone, Err(Problem::Slow)));
        }
        assert_eq!(free(budget, 1), 16 * MIB);
    }

    #[tokio::test]
    async fn a_body_that_holds_room_never_waits_for_more() {
        let budget = budget();
        let slow = Sender::new(budget, 1, Some(8 * MIB), Carrier::One);
        slow.sends(MIB).await;
        sleep(4 * SHORT).await;
        let rest = budget.requests().try_take(1, 15 * MIB).expect("it has what has come alone");
        slow.sends(MIB).await;
        assert!(matches!(slow.ends().await, Err(Problem::Unavailable(_))));
        drop(rest);

        let goes_on = Sender::new(budget, 1, Some(8 * MIB), Carrier::One);
        goes_on.sends(MIB).await;
        sleep(4 * SHORT).await;
        goes_on.sends(7 * MIB).await;
        let (bytes, share) = goes_on.ends().await.expect("there is room again");
        assert_eq!((bytes.len(), share.map(|share| share.bytes())), (8 * MIB, Some(8 * MIB)));
    }

    #[tokio::test]
    async fn a_body_without_room_waits_for_its_turn() {
        let budget = budget();
        let held = budget.requests().try_take(1, 16 * MIB);
        let waits = Sender::new(budget, 1, Some(MIB), Carrier::One);
        waits.sends(MIB).await;
        sleep(20 * SHORT).await;
        assert!(!waits.taken.is_finished(), "that it waits is not its sender's silence");
        drop(held);
        assert!(waits.ends().await.is_ok());
        let _held = budget.requests().try_take(1, 16 * MIB);
        let of_many = Sender::new(budget, 1, Some(MIB), Carrier::Many);
        of_many.sends(MIB).await;
        assert!(matches!(of_many.ends().await, Err(Problem::Unavailable(_))), "it would hold up its connection");
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_takes_room_as_it_grows() {
        let budget = budget();
        let grows = Sender::new(budget, 1, None, Carrier::One);
        for _ in 0..40 {
            grows.sends(100 << 10).await;
        }
        let (bytes, share) = grows.ends().await.expect("there is room");
        assert_eq!((bytes.len(), share.map(|share| share.bytes())), (4000 << 10, Some(4000 << 10)), "no more in the end");
        let small = Sender::new(budget, 1, None, Carrier::One);
        small.sends(16 << 10).await;
        assert!(small.ends().await.expect("taken").1.is_none(), "its first bytes are free");
    }

    #[test]
    fn a_sender_is_slow_below_its_rate_and_silent_after_twenty_looks() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let mut beats = Beats::new(BEAT, 100);
            assert_eq!(beats.judge(100 + CLAIM_BEAT_BYTES), Pace::Good);
            assert_eq!(beats.judge(101 + CLAIM_BEAT_BYTES), Pace::Slow);
            let silent: Vec<Pace> = (0..SILENT_BEATS).map(|_| beats.judge(101 + CLAIM_BEAT_BYTES)).collect();
            assert_eq!((silent[18], silent[19]), (Pace::Slow, Pace::Silent));
        });
        assert_eq!(BEAT * SILENT_BEATS, Duration::from_secs(20));
    }
}

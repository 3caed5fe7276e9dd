//! The life of a connection, whatever it speaks: until its peer goes, it takes too long, it gives way, or the service stops.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::pace::LINGER_MAX;
use super::shutdown::Stop;
use super::slots::Slot;
use crate::clock;

/// When a connection ends before its peer wants it to.
pub(in crate::api) struct Ends<'a, D, S> {
    /// When it is past its time.
    pub(in crate::api) deadline: D,
    /// Ready when the service's stop has come to it; looked at only when `stop` may have moved.
    pub(in crate::api) stopped: S,
    pub(in crate::api) stop: Stop,
    pub(in crate::api) slot: &'a Slot,
    /// How long its requests may still take once the connection was told to give way.
    pub(in crate::api) gives_way_within: Duration,
}

/// Runs a connection to its end; at a stop, and when it gives way, the requests at work are finished first. One that is past its
/// deadline, or gives way while its peer still sends a head or takes an answer, is told so, as far as its protocol can, and has
/// a second for that; one that gives way with a request at work has `gives_way_within`, a stranger no time at all.
///
/// Polled for every request, so it asks for its ends only when they can have changed.
pub(in crate::api) async fn drive<C, D, S>(mut connection: Pin<&mut C>, shut_down: impl Fn(Pin<&mut C>), ends: Ends<'_, D, S>)
where
    C: Future,
    D: Fn() -> std::time::Instant,
    S: Future<Output = ()>,
{
    let Ends { deadline, stopped, stop, slot, gives_way_within } = ends;
    let (mut stopped, mut told) = (pin!(stopped), pin!(slot.told()));
    let (mut is_stopped, mut is_told) = (false, false);
    let mut waits_as: Option<Waker> = None;
    let mut last: Option<Instant> = None;
    let mut gone_by: Option<Instant> = None;
    let mut patience = pin!(sleep_until(Instant::from_std(deadline())));
    poll_fn(|cx| {
        let waits = waits_as.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if !waits || stop.has_moved() || slot.is_told() {
            waits_as = Some(cx.waker().clone());
            if !is_stopped && stopped.as_mut().poll(cx).is_ready() {
                is_stopped = true;
                shut_down(connection.as_mut());
            }
            if !is_told && told.as_mut().poll(cx).is_ready() {
                is_told = true;
                if slot.is_stranger() {
                    return Poll::Ready(());
                }
                shut_down(connection.as_mut());
                let now = Instant::from_std(clock::steady());
                last = (!slot.is_at_work()).then_some(now + LINGER_MAX);
                gone_by = Some(now + gives_way_within);
            }
        }
        loop {
            // Its errors are the peer's: a reset, bytes that are not HTTP. The library has answered what can be answered.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let due = || Instant::from_std(deadline());
            let deadline = last.unwrap_or_else(|| gone_by.map_or_else(due, |by| by.min(due())));
            if deadline < patience.deadline() {
                patience.as_mut().reset(deadline);
            }
            if patience.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if patience.deadline() < deadline {
                patience.as_mut().reset(deadline);
            } else if last.is_some() {
                return Poll::Ready(());
            } else {
                last = Some(deadline + LINGER_MAX);
                shut_down(connection.as_mut());
            }
        }
    })
    .await;
}

/// For the requests of a connection that gives way: a long poll answers at once, a body of 16 MiB comes in that time, and who sends
/// or reads slowly must not keep others out.
pub(in crate::api) const GIVES_WAY_WITHIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::watch;

    use super::super::shutdown::Stage;
    use super::super::slots::{Group, Limits, Slots};
    use super::*;

    #[tokio::test]
    async fn who_is_slow_with_its_request_gives_way_all_the_same() {
        let began = clock::steady();
        let slots = Slots::new(Limits { all: 3, known: 1 }, began);
        let [slow, newcomer] = [1, 2].map(|from| slots.admit(Group::V4(from), began));
        slow.show(|| Group::Party(1)).unwrap();
        slow.works();
        newcomer.show(|| Group::Party(2)).unwrap();
        let (_press, stop) = watch::channel(Stage::Serving);
        let ends = Ends {
            deadline: || began + Duration::from_secs(600),
            stopped: pending(),
            stop: Stop::new(stop),
            slot: &slow,
            gives_way_within: Duration::from_millis(20),
        };
        drive(pin!(pending::<()>()), |_| {}, ends).await;
        let took = began.elapsed();
        assert!((LINGER_MAX..LINGER_MAX * 10).contains(&took), "{took:?}");
    }
}

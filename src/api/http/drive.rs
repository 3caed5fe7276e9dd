//! Runs a connection of either protocol until its peer goes, a deadline passes, it must leave, or the service stops.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::pace::LINGER_MAX;
use super::shutdown::Stop;
use super::slots::Slot;
use crate::clock;

/// The reasons for which a connection ends before its peer wants it to.
pub(in crate::api) struct Ends<'a, D, S> {
    /// The connection's present deadline. It is asked again whenever the deadline known before has passed.
    pub(in crate::api) deadline: D,
    /// Ready when the stop of the service has come to this connection. It is polled only when `stop` may have moved.
    pub(in crate::api) stopped: S,
    pub(in crate::api) stop: Stop,
    pub(in crate::api) slot: &'a Slot,
    /// How long the connection's requests may still take after it was told to leave.
    pub(in crate::api) gives_way_within: Duration,
}

/// Runs a connection to its end. At a stop, and when the connection must leave, the requests at work are finished first.
///
/// A connection past its deadline, or one that must leave while no request is at work, gets a second to say goodbye, as far as
/// its protocol can. One that must leave with a request at work gets `gives_way_within`. A stranger's connection is cut at once.
///
/// This future is polled for every request, so it looks for a reason to end only when one may have changed.
pub(in crate::api) async fn drive<C, D, S>(mut connection: Pin<&mut C>, shut_down: impl Fn(Pin<&mut C>), ends: Ends<'_, D, S>)
where
    C: Future,
    D: Fn() -> std::time::Instant,
    S: Future<Output = ()>,
{
    let Ends { deadline, stopped, stop, slot, gives_way_within } = ends;
    let (mut stopped, mut told_to_leave) = (pin!(stopped), pin!(slot.until_told_to_leave()));
    let (mut is_stopped, mut must_leave) = (false, false);
    let mut waits_as: Option<Waker> = None;
    let mut last: Option<Instant> = None;
    let mut gone_by: Option<Instant> = None;
    let mut patience = pin!(sleep_until(Instant::from_std(deadline())));
    poll_fn(|cx| {
        let waits = waits_as.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if !waits || stop.has_moved() || slot.must_leave() {
            waits_as = Some(cx.waker().clone());
            if !is_stopped && stopped.as_mut().poll(cx).is_ready() {
                is_stopped = true;
                shut_down(connection.as_mut());
            }
            if !must_leave && told_to_leave.as_mut().poll(cx).is_ready() {
                must_leave = true;
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
            // Errors of a connection are its peer's: a reset, or bytes that are not HTTP. The library has answered what can be
            // answered.
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

/// How long the requests of a connection may still take after it was told to leave. A long poll answers at once, a body of 16 MiB
/// comes within that time, and a slow peer must not keep others out.
pub(in crate::api) const GIVES_WAY_WITHIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::watch;

    use super::super::shutdown::Stage;
    use super::super::slots::{Group, Limits, Slots};
    use super::*;

    #[tokio::test]
    async fn a_slow_request_does_not_keep_a_connection_from_leaving() {
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

//! The life of a connection, whatever it speaks: until its peer goes, it takes too long, or the service stops.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Poll, Waker};

use tokio::time::{Instant, sleep_until};

use super::pace::LINGER_MAX;
use super::stop::Stop;

/// Runs a connection to its end; at a stop the requests at work are finished first. One that is past its deadline is told so, as
/// far as its protocol can, and has a second for that.
///
/// Polled for every request, so it asks for the stop only when that can have changed.
pub(super) async fn drive<C: Future>(
    mut connection: Pin<&mut C>,
    shut_down: impl Fn(Pin<&mut C>),
    deadline: impl Fn() -> std::time::Instant,
    mut stop: Stop,
) {
    let probe = stop.clone();
    let mut stopping = pin!(stop.pressed());
    let mut is_stopping = false;
    let mut waits_as: Option<Waker> = None;
    let mut last: Option<Instant> = None;
    let mut patience = pin!(sleep_until(Instant::from_std(deadline())));
    poll_fn(|cx| {
        let waits = waits_as.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if !is_stopping && (!waits || probe.has_moved()) {
            waits_as = Some(cx.waker().clone());
            is_stopping = stopping.as_mut().poll(cx).is_ready();
            if is_stopping {
                shut_down(connection.as_mut());
            }
        }
        loop {
            // Its errors are the peer's: a reset, bytes that are not HTTP. The library has answered what can be answered.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let deadline = last.unwrap_or_else(|| Instant::from_std(deadline()));
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

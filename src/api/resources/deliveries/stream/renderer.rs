//! The one task that fills the ring: takes changes from the store, prints their rows, and ends with the last reader.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Live;
use super::cursor::Place;
use super::frame::Frame;
use super::ring::{Printed, Ring};
use crate::api::request::context::aside;
use crate::domain::id::Node;
use crate::store::{Advance, Follower, Passed, Reached};

/// Fills the ring until nobody reads it, or the store ends.
pub(super) async fn run(live: Arc<Live>, node: Node, mut follower: Follower) {
    loop {
        tokio::select! {
            () = follower.wait() => if !follow(&live, node, &mut follower).await { break },
            () = live.left.notified() => {}
        }
        if live.readers() == 0 {
            let _turn = live.turning.lock().await;
            // A reader may have come meanwhile.
            if live.readers() == 0 {
                return end(&live, follower);
            }
        }
    }
    let _turn = live.turning.lock().await;
    end(&live, follower);
}

/// Has the next reader begin anew. Those who read see that the ring is another one.
fn end(live: &Live, follower: Follower) {
    drop(follower);
    live.lock().ring = Ring::default();
    live.bell.send_replace(());
}

/// Brings the next changes into the ring. False once nothing more comes.
async fn follow(live: &Arc<Live>, node: Node, follower: &mut Follower) -> bool {
    let taken = follower.take().await.inspect_err(|error| tracing::warn!("the live streams end: {error}"));
    let Ok(taken) = taken else { return false };
    let is_few = taken.passed.len() < FEW;
    let goes_on = fill(live, node, taken).await;
    if is_few {
        sleep(PAUSE).await;
    }
    goes_on
}

/// Prints the rows where that holds up no request, and adds them at once. False once the runtime ends.
async fn fill(live: &Arc<Live>, node: Node, taken: Advance) -> bool {
    let into = live.clone();
    let added = aside(move || {
        let mut place = into.lock().ring.newest_place();
        let Advance { passed, missed, reached } = taken;
        let rows = passed.into_iter().flat_map(|passed| printed(node, passed, &mut place)).collect();
        into.lock().ring.extend(&missed, rows, reached);
        into.bell.send_replace(());
    });
    added.await.is_ok()
}

/// The rows of one change: the attempt, and the delivery as the attempt left it. A reader that has seen the attempt alone comes back
/// for both. `place` is that of the last row.
fn printed(node: Node, Passed { view, attempt, reached }: Passed, place: &mut Place) -> Vec<Printed> {
    let (view, mut rows) = (Arc::new(view), Vec::with_capacity(2));
    if let Some((key, attempt)) = attempt {
        let before = Reached { attempts: reached.attempts.saturating_sub(1), ..reached };
        *place = place.next(before);
        rows.push(Printed { frame: Frame::attempt(node, &view, (key, &attempt), place), view: view.clone(), place: *place });
    }
    *place = place.next(reached);
    rows.push(Printed { frame: Frame::delivery(node, &view, place), view, place: *place });
    rows
}

/// With fewer changes than this, the task rests, so that more come together.
const FEW: usize = 32;

/// How long it rests. A row is shown so much later.
const PAUSE: Duration = Duration::from_millis(20);

//! The one task that fills the ring: takes changes from the store, prints their rows, and ends with the last reader.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Live;
use super::frame::Frame;
use super::ring::Ring;
use crate::api::request::context::aside;
use crate::domain::id::Node;
use crate::store::{Follower, Missed, Passed, Reached};

/// Fills the ring until nobody reads it, or the store ends.
pub(super) async fn run(live: Arc<Live>, node: Node, mut follower: Follower) {
    loop {
        tokio::select! {
            () = follower.wait() => if !follow(&live, node, &mut follower).await { break },
            () = live.left.notified() => {}
        }
        if live.lock().readers == 0 {
            let _turn = live.turning.lock().await;
            // A reader may have come meanwhile.
            if live.lock().readers == 0 {
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
    let Ok((passed, missed)) = taken else { return false };
    let is_few = passed.len() < FEW;
    let goes_on = fill(live, node, passed, missed).await;
    if is_few {
        sleep(PAUSE).await;
    }
    goes_on
}

/// Prints the rows where that holds up no request, and adds them. False once the runtime ends.
async fn fill(live: &Arc<Live>, node: Node, passed: Vec<Passed>, missed: Vec<Missed>) -> bool {
    let into = live.clone();
    let added = aside(move || {
        missed.iter().for_each(|missed| into.lock().ring.miss(missed));
        passed.into_iter().for_each(|passed| add(&into, node, passed));
        into.bell.send_replace(());
    });
    added.await.is_ok()
}

/// Adds the rows of one change: the attempt, and the delivery as the attempt left it. A reader that has seen the attempt alone comes
/// back for both.
fn add(live: &Live, node: Node, passed: Passed) {
    let Passed { view, attempt, reached } = passed;
    let view = Arc::new(view);
    if let Some((key, attempt)) = attempt {
        let before = Reached { attempts: reached.attempts.saturating_sub(1), ..reached };
        let place = live.lock().ring.next_place(before);
        let frame = Frame::attempt(node, &view, (key, &attempt), &place);
        live.lock().ring.add(view.clone(), frame, place);
    }
    let place = live.lock().ring.next_place(reached);
    let frame = Frame::delivery(node, &view, &place);
    live.lock().ring.add(view, frame, place);
}

/// With fewer changes than this, the task rests, so that more come together.
const FEW: usize = 32;

/// How long it rests. A row is shown so much later.
const PAUSE: Duration = Duration::from_millis(20);

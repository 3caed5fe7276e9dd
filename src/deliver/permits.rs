//! Permits of one endpoint's requests: its rate limit gives each at the moment in which the request leaves. An attempt may have
//! waited for memory or for an access token since it started, so starts that keep the rate would not be enough.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::queues::Queues;
use crate::clock;
use crate::domain::id::EndpointNo;
use crate::store::Live;

/// Where the requests of one delivery's turn get their permits.
pub(super) struct Permits<'a, W> {
    pub(super) queues: &'a Mutex<Queues<W>>,
    pub(super) live: &'a Live,
    pub(super) no: EndpointNo,
}

impl<W> Permits<'_, W> {
    /// Waits for the permit of a request that is about to leave, and returns how long that took. `None` when the rate limit lets the
    /// request leave only after [`PATIENCE`]: then it has no permit, and must not leave.
    pub(super) async fn take(&self) -> Option<Duration> {
        if self.live.rate_limit().is_none() {
            return Some(Duration::ZERO);
        }
        let now = clock::steady();
        let at = self.queues.lock().unwrap_or_else(PoisonError::into_inner).permit(self.no, now, PATIENCE)?;
        let wait = at.saturating_duration_since(now);
        if !wait.is_zero() {
            // The future is boxed since workers rarely wait, and there are thousands of them.
            Box::pin(tokio::time::sleep_until(at.into())).await;
        }
        Some(wait)
    }
}

/// The longest wait for a permit with a slot and a body in memory.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

//! Watches the space on the store's disk, so that events are refused before a write fails.

use std::path::Path;
use std::time::Duration;

use tracing::warn;

use crate::store::Store;

/// Looks every few seconds until the task is dropped.
pub(super) async fn watch(store: Store, path: Box<Path>) {
    let mut was_low = false;
    loop {
        let low = rustix::fs::statvfs(&*path).is_ok_and(|found| found.f_bavail.saturating_mul(found.f_frsize) < LOW_BYTES);
        if low && !was_low {
            warn!("less than {} MiB are free on the store's disk: events are refused until there is more", LOW_BYTES >> 20);
        }
        was_low = low;
        store.set_disk_low(low);
        tokio::time::sleep(EVERY).await;
    }
}

/// Enough for every commit under way and for retention to delete with.
const LOW_BYTES: u64 = 64 << 20;

const EVERY: Duration = Duration::from_secs(2);

//! Watches the space on the store's disk, so that writes are refused before one fails.

use std::time::Duration;

use tracing::error;

use crate::store::Store;

/// Looks at the disk every two seconds until the task is dropped, and logs when it can no longer look.
pub(in crate::server) async fn watch(store: Store) {
    let mut could = true;
    loop {
        let looking = store.clone();
        // This may write the ballast file, which takes a moment, so it runs on a thread for blocking work.
        let looked = tokio::task::spawn_blocking(move || looking.look_at_disk()).await;
        if let Ok(Err(cause)) = &looked
            && could
        {
            error!("the space on the store's disk is not known any more: {cause}");
        }
        could = matches!(looked, Ok(Ok(())));
        tokio::time::sleep(EVERY).await;
    }
}

/// The time between two looks. Room that is used meanwhile is subtracted from what the last look found.
const EVERY: Duration = Duration::from_secs(2);

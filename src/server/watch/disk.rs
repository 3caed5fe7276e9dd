//! Watches the space on the store's disk, so that writes are refused before one fails.

use std::time::Duration;

use tracing::error;

use crate::store::Store;

/// Looks every few seconds until the task is dropped.
pub(in crate::server) async fn watch(store: Store) {
    let mut could = true;
    loop {
        let looking = store.clone();
        // Making the ballast may take a moment.
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

/// What is taken in meanwhile is subtracted from what was found.
const EVERY: Duration = Duration::from_secs(2);

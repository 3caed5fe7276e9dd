//! Watches the store's files. A service whose files were unlinked would go on and answer 202 for events that nobody can find again.

use std::time::Duration;

use crate::store::{self, Store};

/// Looks at the files once a second until the task is dropped. When one is gone it calls `broken`, which ends the process.
pub(in crate::server) async fn watch(store: Store, broken: fn(store::Error)) {
    loop {
        if let Err(cause) = store.files_stand() {
            return broken(cause);
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The time between two looks. Events that are answered between the loss of a file and the next look may be lost with it.
const EVERY: Duration = Duration::from_secs(1);

//! Watches the store's files: a service that goes on while its store is unlinked answers for events that nobody will find again.

use std::time::Duration;

use crate::store::{self, Store};

/// Looks once a second until the task is dropped; `broken` ends the process.
pub(in crate::server) async fn watch(store: Store, broken: fn(store::Error)) {
    loop {
        if let Err(cause) = store.files_stand() {
            return broken(cause);
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// What is answered between two looks may be lost with the files.
const EVERY: Duration = Duration::from_secs(1);

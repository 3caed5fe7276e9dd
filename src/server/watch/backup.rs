//! Makes backups by themselves, as often as the config says.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::error;

use crate::clock;
use crate::config::checked::Backup;
use crate::store::{Shelf, Store};

/// Looks once a minute whether a backup is due, until the task is dropped. A plan that a reload brings counts at once.
pub(in crate::server) async fn watch(store: Store, mut plan: watch::Receiver<Option<Backup>>) {
    let mut failed_at = None;
    loop {
        let planned = plan.borrow_and_update().clone();
        if let Some(backup) = planned
            && may_try(failed_at)
        {
            failed_at = if look(&store, backup).await { None } else { Some(clock::steady()) };
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            changed = plan.changed() => match changed {
                // Another folder may have room.
                Ok(()) => failed_at = None,
                Err(_) => return,
            }
        }
    }
}

/// Makes a backup if it is time; false when that failed.
async fn look(store: &Store, backup: Backup) -> bool {
    // A config file that was named without its folder names paths without theirs.
    let folder = std::path::absolute(&backup.folder).unwrap_or(backup.folder);
    let shelf = Shelf { folder, keep: backup.keep };
    let newest = match store.newest_backup(shelf.clone()).await {
        Ok(newest) => newest,
        Err(cause) => {
            error!("the folder of backups cannot be read: {cause}");
            None
        }
    };
    let is_due = newest.is_none_or(|newest| store.now().since(newest) >= backup.every);
    !is_due || store.backup_to(shelf).await
}

/// Whether enough time has passed since a backup failed.
fn may_try(failed_at: Option<Instant>) -> bool {
    failed_at.is_none_or(|at| clock::steady().saturating_duration_since(at) >= AGAIN)
}

/// The time between two looks.
const EVERY: Duration = Duration::from_secs(60);

/// The time from a backup that failed to the next try, which reads the whole store again.
const AGAIN: Duration = Duration::from_secs(600);

//! Watches how long deliveries wait for the relay itself or its machine, so that it is not called ready while it cannot keep up.

use std::sync::Arc;
use std::time::Duration;

use crate::deliver::pump::Pump;
use crate::deliver::shortage::Shortage;
use crate::store::Store;

/// Looks every second until the task is dropped.
pub(in crate::server) async fn watch(store: Store, pump: Arc<Pump>) {
    loop {
        store.set_held_back(pump.held_back());
        store.set_shortage(pump.shortage().map(Shortage::text));
        tokio::time::sleep(EVERY).await;
    }
}

/// Well below the lateness that counts.
const EVERY: Duration = Duration::from_secs(1);

//! Watches how long deliveries wait for the relay or its machine, so that `/readyz` says no while they cannot keep up.

use std::sync::Arc;
use std::time::Duration;

use crate::deliver::pump::Pump;
use crate::deliver::shortage::Shortage;
use crate::store::Store;

/// Tells the store every second, until the task is dropped, how long deliveries are held back and what the machine lacks.
pub(in crate::server) async fn watch(store: Store, pump: Arc<Pump>) {
    loop {
        store.set_held_back(pump.held_back());
        store.set_shortage(pump.shortage().map(Shortage::text));
        tokio::time::sleep(EVERY).await;
    }
}

/// The time between two looks, well below the lateness that counts.
const EVERY: Duration = Duration::from_secs(1);

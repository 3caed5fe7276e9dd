//! Turns of tests: tests that measure time under load run alone, all others side by side.
//!
//! The lock is fair, so a test that holds a turn must not ask for a second one: services of one test share its turn.

use std::sync::{Arc, LazyLock};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Waits until no test runs alone.
pub(crate) async fn shared() -> Turn {
    Turn::Shared { _guard: Arc::new(Arc::clone(&TURNS).read_owned().await) }
}

/// Waits until no other test has a service.
pub(crate) async fn alone() -> Turn {
    Turn::Alone { _guard: Arc::new(Arc::clone(&TURNS).write_owned().await) }
}

/// A test's turn, held as long as its service runs.
#[derive(Clone)]
pub(crate) enum Turn {
    Shared { _guard: Arc<OwnedRwLockReadGuard<()>> },
    Alone { _guard: Arc<OwnedRwLockWriteGuard<()>> },
}

static TURNS: LazyLock<Arc<RwLock<()>>> = LazyLock::new(Arc::default);

//! What a panic in one of the store's threads means.

use crate::domain::exit::INTERNAL;

/// Without its writer the service would take events in and never answer.
pub(in crate::store) struct PanicEndsAll;

impl Drop for PanicEndsAll {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::exit(INTERNAL.into());
        }
    }
}

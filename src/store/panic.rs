//! What a panic in one of the store's threads means.

/// Without its writer the service would take events in and never answer.
pub(super) struct PanicEndsAll;

impl Drop for PanicEndsAll {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::exit(INTERNAL);
        }
    }
}

/// EX_SOFTWARE of sysexits.h.
const INTERNAL: i32 = 70;

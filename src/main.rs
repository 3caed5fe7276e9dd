//! Runs the command line; everything else is in the library.

use std::process::ExitCode;

/// A delivery makes some hundred small allocations, and half of them are freed by another thread than made them: with the
/// system's allocator that is a sixth of the relay's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hookwheel::cli::run()
}

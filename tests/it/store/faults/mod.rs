//! Whatever ends the process or the disk under it, every answer holds.
//!
//! Several tenants have an owner each. An owner makes one call after another, and keeps a book of the answers. Only the call that
//! was under way at a fault is in doubt, until the next start shows what happened. In the end every answered event is delivered
//! to every webhook that was to get it, or is shown as failed. Nothing else was sent, and nothing was sent again after the log
//! had shown it as delivered.

mod actor;
mod backup;
mod book;
mod call;
mod errors;
mod judge;
mod kills;
mod power;
mod settle;
mod site;
mod stage;
mod strace;
mod syscalls;

/// How many cases run: `few` in a usual run, `all` with `HOOKWHEEL_TEST_FAULTS=all`.
pub(crate) fn count(few: usize, all: usize) -> usize {
    if every_one() { all } else { few }
}

fn every_one() -> bool {
    std::env::var("HOOKWHEEL_TEST_FAULTS").is_ok_and(|asked| asked == "all")
}

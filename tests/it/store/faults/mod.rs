//! Whatever ends the process or the disk under it: what was answered holds.
//!
//! The owner of each of some tenants does one thing after another, and keeps a book of what was answered. Only the call that was
//! under way at a fault is in doubt, until the next start shows what became of it. In the end every event that was answered is
//! delivered to every webhook that was to get it, or shown as failed; nothing else was sent, and nothing again that the log had
//! shown as delivered.

mod actor;
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

/// As many as belong into every run; with `HOOKWHEEL_TEST_FAULTS=all`, all of them.
pub(crate) fn count(few: usize, all: usize) -> usize {
    if every_one() { all } else { few }
}

fn every_one() -> bool {
    std::env::var("HOOKWHEEL_TEST_FAULTS").is_ok_and(|asked| asked == "all")
}

//! The log on stderr: for a person on a terminal, for journald without what it adds itself.

use std::env;
use std::io::{IsTerminal, stderr};

use tracing_subscriber::filter::LevelFilter;

/// Starts logging at the level of `HOOKWHEEL_LOG` (error, warn, info, debug, trace; info). A second call changes nothing.
pub(super) fn start() {
    start_at(LevelFilter::INFO);
}

/// For `dev`, whose own lines say what happens: errors alone.
pub(super) fn start_quiet() {
    start_at(LevelFilter::ERROR);
}

fn start_at(usual: LevelFilter) {
    let level = env::var("HOOKWHEEL_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(usual);
    let colour = stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = tracing_subscriber::fmt().with_writer(stderr).with_max_level(level).with_ansi(colour).with_target(false);
    // Only a second start in one process fails, and then the first one's log goes on.
    if env::var_os("JOURNAL_STREAM").is_some() {
        drop(tracing::subscriber::set_global_default(log.without_time().finish()));
    } else {
        drop(tracing::subscriber::set_global_default(log.finish()));
    }
}

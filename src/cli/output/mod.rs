//! What a command says: lists, attempts, what to try, and the exit code.

pub(in crate::cli) mod attempts;
pub(in crate::cli) mod dev_log;
pub(in crate::cli) mod exit;
pub(in crate::cli) mod fate;
pub(in crate::cli) mod hint;
pub(in crate::cli) mod print;
pub(in crate::cli) mod progress;
pub(in crate::cli) mod shown;
pub(in crate::cli) mod table;
pub(in crate::cli) mod tail_log;
pub(in crate::cli) mod usage;
pub(in crate::cli) mod words;

//! What the command line says of itself: scripts for shells, and manual pages.

pub(in crate::cli) mod completions;
pub(in crate::cli) mod docs;
pub(in crate::cli) mod man;

//! A webhook: where it points, what it subscribes to, which of those events it leaves out, and its secrets.

pub(crate) mod endpoint;
// No webhook has a filter yet, so only its tests use it.
#[cfg(test)]
mod filter;
pub(crate) mod pattern;
pub(crate) mod secret;
pub(crate) mod target;

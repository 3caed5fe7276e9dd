//! A webhook: where it points, what it subscribes to, which of those events it leaves out, and its secrets.

pub(crate) mod effective;
pub(crate) mod egress;
pub(crate) mod endpoint;
pub(crate) mod filter;
pub(crate) mod metadata;
pub(crate) mod pattern;
pub(crate) mod sample;
pub(crate) mod secret;
pub(crate) mod settings;
pub(crate) mod target;

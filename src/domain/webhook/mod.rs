//! What a webhook is: where it points, what it subscribes to, and its secrets.

pub(crate) mod endpoint;
pub(crate) mod pattern;
pub(crate) mod secret;
pub(crate) mod target;

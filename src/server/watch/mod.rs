//! Tasks that look at something once in a while, as long as the service runs.

pub(in crate::server) mod backup;
pub(in crate::server) mod disk;
pub(in crate::server) mod files;
pub(in crate::server) mod lateness;

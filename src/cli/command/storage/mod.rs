//! What is done with the store as a whole: backups of a running service, and work on the store of a stopped one.

pub(in crate::cli) mod backup;
pub(in crate::cli) mod compact;
pub(in crate::cli) mod restore;
pub(in crate::cli) mod transfer;

//! What goes into the store and what comes out: commands, publications, views of deliveries and their changes, and facts for watchers.

pub(in crate::store) mod audit;
pub(in crate::store) mod backup;
pub(in crate::store) mod cached;
pub(in crate::store) mod change;
pub(in crate::store) mod command;
pub(in crate::store) mod finding;
pub(in crate::store) mod history;
pub(in crate::store) mod last;
pub(in crate::store) mod permit;
pub(in crate::store) mod progress;
pub(in crate::store) mod publication;
pub(in crate::store) mod replay;
pub(in crate::store) mod session;
pub(in crate::store) mod tenant;
pub(in crate::store) mod view;

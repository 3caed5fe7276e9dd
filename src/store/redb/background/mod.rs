//! Long work, of which each batch does a slice after its commands, so that no publisher waits for all of it. One file each.

pub(in crate::store) mod ages;
pub(in crate::store) mod audit;
pub(in crate::store) mod due;
pub(in crate::store) mod erase;
pub(in crate::store) mod fanout;
pub(in crate::store) mod index_flush;
pub(in crate::store) mod order;
pub(in crate::store) mod pace;
pub(in crate::store) mod relist;
pub(in crate::store) mod replay;
pub(in crate::store) mod resolve;
pub(in crate::store) mod retention;

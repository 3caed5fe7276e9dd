//! The journal in front of the tables: a commit that only adds to the hot path is one write and one sync here, and a checkpoint
//! brings many of them into the tables at once.

pub(in crate::store) mod checkpoint;
pub(in crate::store) mod entry;
pub(in crate::store) mod file;
pub(in crate::store) mod following;
pub(in crate::store) mod item;
pub(in crate::store) mod job;
pub(in crate::store) mod memtable;
pub(in crate::store) mod unflushed;

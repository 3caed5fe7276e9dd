//! The embedded engine: one redb file with a journal before it, and the one thread that writes both.
//!
//! | folder | what it knows |
//! |---|---|
//! | `journal` | what was committed and is not in the tables yet |
//! | `apply` | what each command does to the tables, inside the writer |
//! | `background` | long work, of which each batch does a slice after its commands |
//! | `read` | snapshots and queries of everyone but the writer; `read/metrics.rs` has what the writer counts too |
//! | `backup` | a store in another file: backups, and what is done with the file of a stopped store |
//! | `boot` | opening a store: recovery, upgrade, secrets, and checks of a closed one |
//! | `mend` | deriving again what can be derived when rows are damaged |

pub(in crate::store) mod abort;
pub(in crate::store) mod apply;
pub(in crate::store) mod backend;
pub(in crate::store) mod background;
pub(in crate::store) mod backup;
pub(in crate::store) mod batch;
pub(in crate::store) mod boot;
pub(in crate::store) mod bulk;
pub(in crate::store) mod committed;
pub(in crate::store) mod counted;
pub(in crate::store) mod entry_sum;
pub(in crate::store) mod journal;
pub(in crate::store) mod journaled_table;
pub(in crate::store) mod lazy_txn;
pub(in crate::store) mod medium;
pub(in crate::store) mod mend;
pub(in crate::store) mod read;
pub(in crate::store) mod schema;
pub(in crate::store) mod site;
pub(in crate::store) mod state;
pub(in crate::store) mod tables;
pub(in crate::store) mod thread;

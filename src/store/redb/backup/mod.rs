//! A store in another file: backups of a running store, and what is done with one while the service is stopped.
//!
//! ```text
//!  writer: all of the journal into the tables ─▶ snapshot ─▶ FILE.new ─▶ hash ─▶ FILE.json.new ─▶ FILE ─▶ FILE.json
//!  writers go on meanwhile                        copy          sync               sync            rename   rename
//! ```
//!
//! | file | what it knows |
//! |---|---|
//! | `copy` | how the rows of a snapshot go into another file, in bounded memory |
//! | `manifest` | the document beside a backup, and how its two files change places with those of the backup before |
//! | `place` | one store in the place of another |
//! | `room` | how much room a copy needs and leaves on its disk |
//! | `target` | where a backup may be written |
//! | `compact` | a stopped store written anew |
//! | `restore` | a backup in the place of a stopped store |
//! | `shelf` | the folder of scheduled backups |
//! | `take` | a backup from its snapshot to its place |
//! | `online` | backups of a running store, one at a time |

pub(in crate::store) mod compact;
pub(in crate::store) mod copy;
pub(in crate::store) mod manifest;
pub(in crate::store) mod online;
pub(in crate::store) mod place;
pub(in crate::store) mod restore;
pub(in crate::store) mod room;
pub(in crate::store) mod shelf;
pub(in crate::store) mod take;
pub(in crate::store) mod target;

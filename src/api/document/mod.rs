//! What the API answers, as types: it prints them, and the command line reads the very same, so that neither knows a member that the
//! other does not.
//!
//! Each file knows the documents of one resource and is data alone: what the members come from is the business of `resources`. A
//! member that is absent in some answers is an `Option` or a list with a default; null stands for what is known to be nothing. Members
//! that a reader does not know are passed over, so that a command can read the answer of a newer service. Besides the types of this
//! room nothing of the API is known to the command line, which `imports_point_down` checks.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod delivery;
pub(crate) mod event;
pub(crate) mod event_type;
pub(crate) mod explained;
pub(crate) mod key;
pub(crate) mod members;
pub(crate) mod moment;
pub(crate) mod problem;
pub(crate) mod session;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod tenant;
pub(crate) mod webhook;

use serde::Serialize;

use crate::domain::json::quote;

/// A document as a whole answer, which ends its line.
pub(in crate::api) fn line(document: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::with_capacity(BYTES_LIKELY);
    write(document, &mut line);
    line.push(b'\n');
    line
}

/// Appends a document as JSON.
pub(in crate::api) fn write(document: &impl Serialize, into: &mut Vec<u8>) {
    serde_json::to_writer(into, document).expect("a document is made of texts, numbers and lists, which JSON can hold");
}

/// Appends a document as JSON whose object is left open: more members follow.
pub(in crate::api) fn open(document: &impl Serialize, into: &mut Vec<u8>) {
    write(document, into);
    let end = into.pop();
    debug_assert_eq!(end, Some(b'}'), "a document is an object");
}

/// Appends a further member to an object that was left open and has members.
pub(in crate::api) fn member(name: &str, value: &impl Serialize, into: &mut Vec<u8>) {
    into.push(b',');
    quote(name, into);
    into.push(b':');
    write(value, into);
}

/// Enough for most documents.
const BYTES_LIKELY: usize = 512;

//! One field of a request that is wrong, and the pointer by which it is named.

use crate::domain::refusal::Refusal;

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// A JSON pointer into the body (RFC 6901), or a query parameter as `?name`.
    pub(crate) pointer: String,
    pub(crate) detail: String,
}

impl Wrong {
    pub(crate) fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: clipped(pointer.into()), detail: detail.into() }
    }

    /// What is wrong within the member `name`.
    pub(crate) fn inside(name: &str, refusal: Refusal) -> Self {
        let refusal = refusal.inside(name);
        Self::new(refusal.pointer, refusal.reason)
    }
}

/// Shortens a pointer, which holds names as they were sent, so that no answer grows with its request.
fn clipped(mut pointer: String) -> String {
    if pointer.len() > POINTER_BYTES_MAX {
        pointer.truncate(pointer.floor_char_boundary(POINTER_BYTES_MAX));
        pointer.push('…');
    }
    pointer
}

/// The JSON pointer to a member of the body (RFC 6901 section 3).
pub(crate) fn pointer(name: &str) -> String {
    format!("/{}", escaped(name))
}

/// One reference token of a JSON pointer.
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The longest pointer that is not shortened. It is longer than any valid attribute's name.
const POINTER_BYTES_MAX: usize = 256;

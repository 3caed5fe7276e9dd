//! What is wrong with a published document, and where. All checks of published documents return this error.

use std::borrow::Cow;

/// One reason why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// A JSON pointer (RFC 6901) into the document that was checked. It is empty for the whole document.
    pub(crate) pointer: String,
    /// A sentence that holds none of the document's values.
    pub(crate) reason: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(pointer: impl Into<String>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { pointer: pointer.into(), reason: reason.into() }
    }

    /// The same refusal, seen from outside the member or element `token` (RFC 6901 section 3).
    pub(crate) fn inside(mut self, token: &str) -> Self {
        self.pointer = format!("/{}{}", token.replace('~', "~0").replace('/', "~1"), self.pointer);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_grows_outwards_with_its_escapes() {
        assert_eq!(Refusal::new("", "no").inside("0").inside("a/b~").pointer, "/a~1b~0/0");
    }
}

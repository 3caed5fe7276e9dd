//! A setting as answers show it.

use std::borrow::Cow;

/// A setting as a member of an object: its name, and its value in JSON, with secret values masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    pub(crate) name: &'static str,
    pub(crate) json: Cow<'a, str>,
}

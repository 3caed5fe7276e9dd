//! A second name of a tenant, a webhook or an event, which its owner chooses.
//!
//! Wherever an id is taken, the uid is taken too. An id goes first: a text that is the id of one and the uid of another names the
//! one whose id it is. A uid never has the form of an id that hookwheel makes, so of webhooks no two can be meant; and of a tenant's events
//! none is published with an id that is another's uid, or the reverse.

use std::fmt;

use super::has_own_form;

/// 1 to [`BYTES_MAX`] of `A-Za-z0-9-_.`, and no id of hookwheel's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Uid(Box<str>);

impl Uid {
    /// Fails with what is wrong, as it goes behind the name of the member.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            _ if !is_id_or_uid(text) => Err("is not 1 to 256 of A-Za-z0-9-_."),
            // Whoever sends a path with such a segment takes it for the folder or the one above.
            "." | ".." => Err("is a segment that paths leave out; take a name"),
            TEST => Err("is a word of the API, which has a call of its own at that path; take another name"),
            _ if has_own_form(text) => Err("has the form of an id that hookwheel makes; take one of your own, like order-4711"),
            _ => Ok(Self(text.into())),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text can be an id or a uid. Each of them can stand in a path or a header without escapes.
pub(crate) fn is_id_or_uid(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain)
}

/// `POST /v1/webhooks/test` tests many webhooks, so a webhook of this name could not be reached by it.
const TEST: &str = "test";

/// The longest uid, in bytes.
const BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_plain_and_bounded() {
        for good in ["a", "order.4711-b_C", "evt_1", "...", &"x".repeat(256)] {
            assert_eq!(Uid::parse(good).map(|uid| uid.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "a/b", "é", "*", "a:b", ".", "..", "test", &"x".repeat(257)] {
            assert!(Uid::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_could_be_an_id_of_ours_is_no_uid() {
        for own in ["wh_01K0000000000000000000000A", "evt_01K0000000000000000000000A", "key_01K0000000000000000000000A"] {
            assert!(Uid::parse(own).is_err_and(|reason| reason.contains("hookwheel makes")) && is_id_or_uid(own), "{own}");
        }
    }
}

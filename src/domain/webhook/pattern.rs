//! The event types that a webhook subscribes to: `*`, `prefix.*`, or one type by its name.

use std::fmt;

/// One entry of a webhook's `events`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Pattern {
    All,
    /// All types that start with this text, however deep. The text ends with a dot.
    Under(Box<str>),
    Exact(Box<str>),
}

impl Pattern {
    /// Parses a pattern. Fails when a `*` stands anywhere but alone or behind a last dot, and when the name cannot be a type's.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::All);
        }
        let pattern = match text.strip_suffix('*') {
            Some(prefix) if prefix.len() > 1 && prefix.ends_with('.') => Self::Under(prefix.into()),
            Some(_) => return Err(STAR),
            None => Self::Exact(text.into()),
        };
        let (Self::Under(name) | Self::Exact(name)) = &pattern else { return Ok(pattern) };
        check_type_name(name).map(|()| pattern)
    }

    pub(crate) fn matches(&self, kind: &str) -> bool {
        match self {
            Self::All => true,
            Self::Under(prefix) => kind.starts_with(&**prefix),
            Self::Exact(name) => kind == &**name,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Under(prefix) => write!(f, "{prefix}*"),
            Self::Exact(name) => f.write_str(name),
        }
    }
}

/// Checks the name of an event type: 1 to 128 bytes without white space, control characters and `*`.
pub(crate) fn check_type_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > TYPE_BYTES_MAX {
        return Err("an event type's name is 1 to 128 bytes long");
    }
    if name.contains('*') {
        return Err(STAR);
    }
    if name.chars().any(|char| char.is_whitespace() || char.is_control()) {
        return Err("an event type's name has no white space and no control characters");
    }
    Ok(())
}

/// The longest name of an event type, in bytes. It leaves room for any convention, and fits into headers.
const TYPE_BYTES_MAX: usize = 128;

const STAR: &str = "`*` stands alone (every type) or behind a last dot (`decision.*`: every type that starts with `decision.`)";

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, kind: &str) -> bool {
        Pattern::parse(pattern).expect("a pattern").matches(kind)
    }

    #[test]
    fn a_prefix_matches_however_deep_but_not_itself() {
        assert!(matches("a.*", "a.b") && matches("a.*", "a.b.c") && matches("a.b.*", "a.b.c"));
        assert!(!matches("a.*", "a") && !matches("a.*", "ab.c") && !matches("a.b.*", "a.c"));
    }

    #[test]
    fn a_name_matches_itself_alone() {
        assert!(matches("a.b", "a.b") && !matches("a.b", "a.b.c") && !matches("a.b", "A.b"));
        assert!(matches("*", "anything"));
    }

    #[test]
    fn text_that_is_no_pattern_is_refused() {
        for text in ["", "a*", "*.a", "a.*.b", ".*", "**", "a b", "a\n", &"a".repeat(129)] {
            assert!(Pattern::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn patterns_print_as_they_read() {
        for text in ["*", "a.*", "a.b.*", "a.b"] {
            assert_eq!(Pattern::parse(text).expect("a pattern").to_string(), text);
        }
    }
}

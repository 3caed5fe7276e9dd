//! The headers of one message in one text. Every attempt logs two lists of headers, and each list costs one allocation.

use std::fmt;

use memchr::{memchr, memchr_iter};

use super::text::mask::mask;

/// Headers in the order in which they were added. A name may come more than once.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Headers {
    /// Each header as `name:value` and a line feed. HTTP allows no colon in a name and no line feed in a value.
    lines: String,
}

impl Headers {
    /// Headers with room for `bytes` bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { lines: String::with_capacity(bytes) }
    }

    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.push_with(name, |to| to.push_str(value));
    }

    /// Adds a header whose value `write` appends.
    pub(crate) fn push_with(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        debug_assert!(!name.contains([':', '\n']), "no header's name");
        self.lines.push_str(name);
        self.lines.push(':');
        let start = self.lines.len();
        write(&mut self.lines);
        if memchr(b'\n', &self.lines.as_bytes()[start..]).is_some() {
            let fit = self.lines[start..].replace('\n', " ");
            self.lines.replace_range(start.., &fit);
        }
        self.lines.push('\n');
    }

    /// Adds a header, with its name in lower case.
    pub(crate) fn push_with_lower(&mut self, name: &str, value: &str) {
        let start = self.lines.len();
        self.push(name, value);
        self.lines[start..start + name.len()].make_ascii_lowercase();
    }

    /// Appends a folded line to the value of the last header, after a space (RFC 9112 section 5.2).
    pub(crate) fn fold(&mut self, more: &str) {
        if self.lines.pop().is_some() {
            self.lines.push(' ');
            self.lines.push_str(&more.replace('\n', " "));
            self.lines.push('\n');
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        Lines(&self.lines)
    }

    /// The headers as a log may show them. The value of a secret header is replaced by its beginning and its length.
    pub(crate) fn masked(&self, is_secret: impl Fn(&str) -> bool) -> Self {
        let shown = |(name, value): (&str, &str)| {
            let value = if is_secret(name) { mask(value) } else { value.to_owned() };
            (name.to_owned(), value)
        };
        self.iter().map(shown).collect()
    }

    /// Keeps the first headers that fit into `bytes`, and adds a header that says how many were left out.
    pub(crate) fn cut(&mut self, bytes: usize) {
        if self.lines.len() <= bytes {
            return;
        }
        let kept = self.lines[..self.lines.floor_char_boundary(bytes)].rfind('\n').map_or(0, |end| end + 1);
        let left = memchr_iter(b'\n', &self.lines.as_bytes()[kept..]).count();
        self.lines.truncate(kept);
        self.lines.shrink_to_fit();
        self.push(LEFT_OUT, &format!("{left} more headers are not kept"));
    }

    /// How many bytes of memory the headers take.
    pub(crate) fn bytes(&self) -> usize {
        self.lines.len()
    }

    /// The value of the first header of this name. Case is ignored (RFC 9110 section 5.1).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// The headers that an iterator has not returned yet.
#[derive(Clone)]
struct Lines<'a>(&'a str);

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (line, rest) = self.0.split_at_checked(memchr(b'\n', self.0.as_bytes())? + 1)?;
        self.0 = rest;
        let colon = memchr(b':', line.as_bytes())?;
        Some((&line[..colon], &line[colon + 1..line.len() - 1]))
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let mut all = Self::default();
        headers.into_iter().for_each(|(name, value)| all.push(name.as_ref(), value.as_ref()));
        all
    }
}

/// The name of the header that says how many were left out. No real header has it, since it is no token.
pub(crate) const LEFT_OUT: &str = "…";

/// Whether a byte may stand in a header's name (RFC 9110 section 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Header values never reach a log.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn added_headers_come_out_in_order(given in prop::collection::vec(("[!-9;-~]{0,8}", "[^\n]{0,12}"), 0..5)) {
            let headers: Headers = given.iter().map(|(name, value)| (name, value)).collect();
            let found: Vec<_> = headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            prop_assert_eq!(found, given);
        }
    }

    #[test]
    fn a_value_is_one_line() {
        let headers: Headers = [("a", "b\nc:d"), ("e", "")].into_iter().collect();
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("a", "b c:d"), ("e", "")]);
    }

    #[test]
    fn a_folded_line_belongs_to_the_last_value() {
        let mut headers = Headers::default();
        headers.fold("onto nothing");
        headers.push_with_lower("X-A", "b");
        headers.fold("c\nd");
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("x-a", "b c d")]);
    }

    #[test]
    fn a_masked_value_shows_its_begin_and_its_length() {
        let headers: Headers = [("Authorization", "Bearer 0123456789"), ("x-key", "abc"), ("a", "b")].into_iter().collect();
        let masked = headers.masked(|name| name != "a");
        assert_eq!(masked.iter().collect::<Vec<_>>(), [("Authorization", "Bea…(17)"), ("x-key", "…(3)"), ("a", "b")]);
    }

    #[test]
    fn headers_that_are_cut_off_are_counted() {
        let mut headers: Headers = [("a", "1"), ("b", "é"), ("c", "3")].into_iter().collect();
        headers.cut(13);
        assert_eq!(headers.iter().count(), 3, "all of it fits");
        headers.cut(7);
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("a", "1"), ("…", "2 more headers are not kept")]);
    }

    #[test]
    fn names_compare_without_case_and_the_first_wins() {
        let headers: Headers = [("retry-after", "7"), ("Retry-After", "8")].into_iter().collect();
        assert_eq!(headers.get("Retry-After"), Some("7"));
        assert_eq!(headers.get("retry"), None);
    }

    #[test]
    fn debug_shows_names_alone() {
        let headers: Headers = [("set-cookie", "sesame")].into_iter().collect();
        assert_eq!(format!("{headers:?}"), "[\"set-cookie\"]");
    }
}

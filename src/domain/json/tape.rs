//! A document as a list of its values in the order of the text. It is read once and walked often, with one allocation in all.

use std::cmp::Ordering;

use super::{Fault, Kind, Scanner, Stop, character, escape};

/// Values in the order of the text. The name of a member stands before the member's value, as a string.
#[derive(Debug, Default)]
pub(crate) struct Tape<'a> {
    nodes: Vec<Node<'a>>,
}

/// The place of a value on its tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At(usize);

#[derive(Clone, Copy, Debug)]
struct Node<'a> {
    kind: Kind,
    /// The text of a scalar as it was written, a string without its quotes. It is empty for arrays and objects.
    raw: &'a str,
    is_escaped: bool,
    /// The place behind this value and everything inside it.
    end: usize,
}

impl<'a> Tape<'a> {
    /// Reads a whole document: one value with nothing but white space around it. Fails as [`super::scan`] does.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut tape = Self::default();
        tape.append(bytes)?;
        Ok(tape)
    }

    /// The place of the first value.
    pub(crate) const ROOT: At = At(0);

    /// Reads a whole document, and appends it to the tape.
    pub(crate) fn append(&mut self, bytes: &'a [u8]) -> Result<(), Fault> {
        let mut scanner = Scanner::new(bytes)?;
        scanner.white_space();
        let read = self.value(&mut scanner, 0).and_then(|()| scanner.end());
        read.map_err(|stop| scanner.fault(stop))
    }

    /// Begins an object whose members are appended one by one. [`Self::close`] ends it.
    pub(crate) fn open_object(&mut self) -> At {
        self.push(Kind::Object, "")
    }

    /// Ends the object that was opened at `at`.
    pub(crate) fn close(&mut self, at: At) {
        self.nodes[at.0].end = self.nodes.len();
    }

    /// Appends a string that is plain text and not JSON, so that no character of it is an escape.
    pub(crate) fn append_text(&mut self, text: &'a str) {
        self.push(Kind::String, text);
    }

    fn value(&mut self, scanner: &mut Scanner<'a>, depth: usize) -> Result<(), Stop> {
        match scanner.peek() {
            Some(b'{') => self.object(scanner, depth),
            Some(b'[') => self.array(scanner, depth),
            _ => self.scalar(scanner, depth),
        }
    }

    fn object(&mut self, scanner: &mut Scanner<'a>, depth: usize) -> Result<(), Stop> {
        let at = self.push(Kind::Object, "");
        let depth = scanner.deeper(depth)?;
        scanner.members(|scanner, name| {
            self.quoted(scanner.slice(name));
            self.value(scanner, depth)
        })?;
        self.close(at);
        Ok(())
    }

    fn array(&mut self, scanner: &mut Scanner<'a>, depth: usize) -> Result<(), Stop> {
        let at = self.push(Kind::Array, "");
        let depth = scanner.deeper(depth)?;
        scanner.elements(|scanner, _| self.value(scanner, depth))?;
        self.close(at);
        Ok(())
    }

    fn scalar(&mut self, scanner: &mut Scanner<'a>, depth: usize) -> Result<(), Stop> {
        let start = scanner.at();
        let kind = scanner.value(depth)?;
        let raw = scanner.slice(start..scanner.at());
        match kind {
            Kind::String => self.quoted(raw),
            kind => drop(self.push(kind, raw)),
        }
        Ok(())
    }

    fn quoted(&mut self, raw: &'a str) {
        let inner = &raw[1..raw.len() - 1];
        let at = self.push(Kind::String, inner);
        self.nodes[at.0].is_escaped = memchr::memchr(b'\\', inner.as_bytes()).is_some();
    }

    fn push(&mut self, kind: Kind, raw: &'a str) -> At {
        let at = self.nodes.len();
        self.nodes.push(Node { kind, raw, is_escaped: false, end: at + 1 });
        At(at)
    }

    pub(crate) fn kind(&self, at: At) -> Kind {
        self.nodes[at.0].kind
    }

    /// The text of the scalar at `at` as it was written, a string without its quotes. It is empty for arrays and objects.
    pub(crate) fn raw(&self, at: At) -> &'a str {
        self.nodes[at.0].raw
    }

    /// The string at `at`, to be compared.
    pub(crate) fn text(&self, at: At) -> Text<'a> {
        let node = &self.nodes[at.0];
        Text { raw: node.raw, is_escaped: node.is_escaped }
    }

    /// The elements of the array at `at`, in order.
    pub(crate) fn elements(&self, at: At) -> impl Iterator<Item = At> + use<'_, 'a> {
        let (mut next, end) = (at.0 + 1, self.nodes[at.0].end);
        std::iter::from_fn(move || {
            let here = (next < end).then_some(At(next))?;
            next = self.nodes[next].end;
            Some(here)
        })
    }

    /// The name and the value of each member of the object at `at`, in order, including names given twice.
    pub(crate) fn members(&self, at: At) -> impl Iterator<Item = (At, At)> + use<'_, 'a> {
        let mut each = self.elements(at);
        std::iter::from_fn(move || Some((each.next()?, each.next()?)))
    }
}

/// A string of a document. It is compared by code points, without being unescaped first.
///
/// Half of a surrogate pair counts as the code point of its number, so it equals no valid text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    raw: &'a str,
    is_escaped: bool,
}

impl<'a> Text<'a> {
    pub(crate) fn compare(self, other: &str) -> Ordering {
        if self.is_escaped { self.points().cmp(other.chars().map(u32::from)) } else { self.raw.cmp(other) }
    }

    pub(crate) fn starts_with(self, start: &str) -> bool {
        if !self.is_escaped {
            return self.raw.starts_with(start);
        }
        let mut points = self.points();
        start.chars().all(|char| points.next() == Some(char.into()))
    }

    pub(crate) fn ends_with(self, end: &str) -> bool {
        if !self.is_escaped {
            return self.raw.ends_with(end);
        }
        let before = self.points().count().checked_sub(end.chars().count());
        before.is_some_and(|before| self.points().skip(before).eq(end.chars().map(u32::from)))
    }

    fn points(self) -> Points<'a> {
        Points { rest: self.raw }
    }
}

/// The code points of a string with escapes.
struct Points<'a> {
    rest: &'a str,
}

impl Iterator for Points<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let first = self.rest.chars().next()?;
        let (point, rest) = match first {
            '\\' => self.escaped()?,
            char => (char.into(), &self.rest[char.len_utf8()..]),
        };
        self.rest = rest;
        Some(point)
    }
}

impl<'a> Points<'a> {
    fn escaped(&self) -> Option<(u32, &'a str)> {
        let (unit, rest) = escape(self.rest)?;
        let joined = character(unit, rest).map(|(char, rest)| (char.into(), rest));
        Some(joined.unwrap_or((unit.into(), rest)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::quote;
    use super::*;

    #[test]
    fn values_are_walked_in_the_order_of_the_text() {
        let tape = Tape::read(br#" {"a": [1, {"b": 2}, []], "c": "x", "a": null} "#).expect("a document");
        let members: Vec<_> = tape.members(Tape::ROOT).collect();
        let names: Vec<_> = members.iter().map(|(name, _)| tape.raw(*name)).collect();
        assert_eq!(names, ["a", "c", "a"]);
        let elements: Vec<_> = tape.elements(members[0].1).map(|at| (tape.kind(at), tape.raw(at))).collect();
        assert_eq!(elements, [(Kind::Number, "1"), (Kind::Object, ""), (Kind::Array, "")]);
        assert_eq!(tape.kind(members[2].1), Kind::Null);
    }

    #[test]
    fn text_that_the_scanner_refuses_makes_no_tape() {
        for text in ["", "[1,]", "{\"a\"}", "[] []", "\u{feff}1"] {
            assert_eq!(Tape::read(text.as_bytes()).err(), super::super::scan(text.as_bytes()).err(), "{text}");
        }
    }

    fn text(quoted: &str) -> (bool, bool, Ordering) {
        let tape = Tape::read(quoted.as_bytes()).expect("a string");
        let text = tape.text(Tape::ROOT);
        (text.starts_with("é\n"), text.ends_with("\n😀"), text.compare("é\n😀"))
    }

    #[test]
    fn a_string_is_compared_however_it_is_written() {
        for quoted in [r#""é\n😀""#, r#""\u00e9\u000a\ud83d\ude00""#, r#""\u00E9\n\uD83D\uDE00""#] {
            assert_eq!(text(quoted), (true, true, Ordering::Equal), "{quoted}");
        }
        assert_eq!(text(r#""\ud83d""#), (false, false, Ordering::Greater));
        assert_eq!(text(r#""\u00e9\n""#), (true, false, Ordering::Less));
    }

    proptest! {
        #[test]
        fn texts_compare_as_strings_do(a in "[ab\\n\"é\u{ffff}😀]{0,4}", b in "[ab\\n\"é\u{ffff}😀]{0,4}") {
            let mut quoted = Vec::new();
            quote(&a, &mut quoted);
            let tape = Tape::read(&quoted).unwrap();
            let text = tape.text(Tape::ROOT);
            prop_assert_eq!(text.compare(&b), a.cmp(&b));
            prop_assert_eq!(text.starts_with(&b), a.starts_with(&b));
            prop_assert_eq!(text.ends_with(&b), a.ends_with(&b));
        }
    }
}

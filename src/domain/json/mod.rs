//! JSON as bytes: a strict scanner, which checks text and finds places in it but builds no tree, and a tape of a document's values
//! for code that asks many questions about one document.
//!
//! The grammar is RFC 8259's and nothing more. Some text that the grammar allows would trouble a reader of values, and passes:
//! lone surrogates in escapes, `1e999`, numbers of thirty digits, names given twice. Values nested deeper than [`DEPTH_MAX`],
//! invalid UTF-8 and a byte order mark are refused. Every published event is scanned, so the scanner makes one pass and copies
//! nothing.

pub(crate) mod decimal;
pub(crate) mod ecmascript;
mod scanner;
pub(crate) mod tape;
mod text;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

pub(super) use scanner::{Scanner, Stop};
pub(super) use text::unescape_inner;
pub(super) use text::{character, escape, escape_ascii, escape_unit};
pub(crate) use text::{object_of_texts, quote, unescape};

/// The deepest nesting of arrays and objects that a value may have. `[]` has one level.
pub(crate) const DEPTH_MAX: usize = 128;

/// Why bytes are not JSON, and at which byte, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) reason: &'static str,
    pub(crate) kind: FaultKind,
}

/// Whether a text is no JSON, or JSON beyond the limits here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Grammar,
    /// RFC 8259 lets readers set this limit (sections 8.1 and 9).
    Limit,
}

impl Fault {
    fn grammar(at: usize, reason: &'static str) -> Self {
        Self { at, reason, kind: FaultKind::Grammar }
    }

    fn limit(at: usize, reason: &'static str) -> Self {
        Self { at, reason, kind: FaultKind::Limit }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.at)
    }
}

impl std::error::Error for Fault {}

/// The kind of a value, which its first byte tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    True,
    False,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// Whether the value is neither array nor object. An attribute must be so.
    pub(crate) fn is_scalar(self) -> bool {
        !matches!(self, Self::Array | Self::Object)
    }
}

/// A member of an object. The name has its escapes resolved; the value is as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) raw: &'a str,
    pub(crate) kind: Kind,
    /// Where the name begins in the scanned bytes.
    pub(crate) at: usize,
}

/// Checks a whole document: one value, with nothing but white space around it.
pub(crate) fn scan(bytes: &[u8]) -> Result<Kind, Fault> {
    let mut scanner = Scanner::new(bytes)?;
    scanner.white_space();
    let scanned = scanner.value(0).and_then(|kind| scanner.end().map(|()| kind));
    scanned.map_err(|stop| scanner.fault(stop))
}

/// Checks a whole document that is one object, and lists its members in order, including names given twice.
///
/// The object itself counts as no level, so a member's value may be as deep as a document of its own.
pub(crate) fn fields(bytes: &[u8]) -> Result<Vec<Field<'_>>, Fault> {
    let mut scanner = Scanner::new(bytes)?;
    scanner.white_space();
    let mut fields = Vec::with_capacity(FIELDS_LIKELY);
    let members = scanner.members(|scanner, name| {
        let start = scanner.at();
        let kind = scanner.value(0)?;
        fields.push((name, scanner.slice(start..scanner.at()), kind));
        Ok(())
    });
    members.and_then(|()| scanner.end()).map_err(|stop| scanner.fault(stop))?;
    fields.into_iter().map(|(name, raw, kind)| field(&scanner, name, raw, kind)).collect()
}

fn field<'a>(scanner: &Scanner<'a>, name: Range<usize>, raw: &'a str, kind: Kind) -> Result<Field<'a>, Fault> {
    let at = name.start;
    let name = unescape(scanner.slice(name)).ok_or(Fault::grammar(at, "a name with half of a surrogate pair"))?;
    Ok(Field { name, raw, kind, at })
}

/// The number of members of a usual publish request. A longer list only grows.
const FIELDS_LIKELY: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reason(bytes: &[u8]) -> &'static str {
        scan(bytes).expect_err("must be refused").reason
    }

    #[test]
    fn every_value_but_an_array_and_an_object_is_a_scalar() {
        for (kind, scalar) in [
            (Kind::Null, true),
            (Kind::True, true),
            (Kind::Number, true),
            (Kind::String, true),
            (Kind::Array, false),
            (Kind::Object, false),
        ] {
            assert_eq!(kind.is_scalar(), scalar, "{kind:?}");
        }
    }

    #[test]
    fn odd_but_valid_json_passes() {
        for text in ["\"\\ud800\"", "1e999", "123456789012345678901234567890", "{\"a\":1,\"a\":2}", " \t\r\n0 ", "-0.0E-0"] {
            assert!(scan(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn text_outside_the_grammar_is_refused() {
        for text in [
            "",
            " ",
            "01",
            "-",
            "+1",
            "1.",
            ".5",
            "1e",
            "1e+",
            "NaN",
            "nul",
            "nulls",
            "'a'",
            "[1,]",
            "[,]",
            "{,}",
            "{\"a\"}",
            "{a:1}",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "[1 2]",
            "[",
            "{",
            "\"",
            "\"\\",
            "\"\\u12\"",
            "\"\\x41\"",
            "\"\t\"",
            "\"\u{0}\"",
            "1 2",
            "[]]",
            "// c\n1",
            "0x1",
            "1_000",
            "\u{a0}1",
        ] {
            assert!(scan(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_fault_names_its_place() {
        assert_eq!(scan(b"{\"a\": tru}"), Err(Fault::grammar(6, "no value begins like this")));
        assert_eq!(scan(b"[1, 2").expect_err("unclosed").to_string(), "expected `,` or `]` at byte 5");
    }

    #[test]
    fn invalid_utf8_and_a_byte_order_mark_are_refused() {
        assert_eq!(reason(b"\"\xff\""), "invalid UTF-8");
        assert_eq!(reason(b"\"\xed\xa0\x80\""), "invalid UTF-8");
        assert_eq!(reason(b"\xef\xbb\xbf{}"), "a byte order mark");
    }

    #[test]
    fn depth_ends_at_128_levels() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(scan(nested(128).as_bytes()).is_ok());
        assert_eq!(reason(nested(129).as_bytes()), "nested deeper than 128 levels");
        assert_eq!(reason("{\"a\":".repeat(100_000).as_bytes()), "nested deeper than 128 levels");
        assert!(fields(format!("{{\"data\":{}}}", nested(128)).as_bytes()).is_ok());
        assert!(fields(format!("{{\"data\":{}}}", nested(129)).as_bytes()).is_err());
    }

    #[test]
    fn fields_are_names_and_raw_values_in_order() {
        let read = fields(br#" { "a\u0062" : [1, 2] , "c":"x\n", "d":1e999,"e":null,"f":{} } "#).expect("an object");
        let seen: Vec<_> = read.iter().map(|field| (field.name.as_ref(), field.raw, field.kind)).collect();
        let expected = [
            ("ab", "[1, 2]", Kind::Array),
            ("c", "\"x\\n\"", Kind::String),
            ("d", "1e999", Kind::Number),
            ("e", "null", Kind::Null),
            ("f", "{}", Kind::Object),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn fields_are_an_objects_only() {
        for text in ["[]", "1", "", "{} {}", "{\"\\ud800\":1}"] {
            assert!(fields(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn scanner_and_serde_agree_on_text_that_is_nearly_json(bytes in nearly_json()) {
            prop_assert_eq!(scan(&bytes).is_ok(), serde_accepts(&bytes), "{:?}", String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn fields_and_serde_agree(names in prop::collection::vec("[a-c\\u{1}\"é]{0,3}", 0..6), value in json_value()) {
            let members: Vec<_> = names.iter().map(|name| format!("{} : {value}", serde_json::json!(name))).collect();
            let text = format!("{{{}}}", members.join(" , "));
            let read = fields(text.as_bytes()).unwrap();
            prop_assert!(read.iter().map(|field| field.name.as_ref()).eq(names.iter().map(String::as_str)));
            prop_assert!(read.iter().all(|field| field.raw == value));
        }
    }

    /// What serde_json says of the bytes when it reads them as `IgnoredAny`, which neither computes numbers nor joins surrogates.
    fn serde_accepts(bytes: &[u8]) -> bool {
        serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() && std::str::from_utf8(bytes).is_ok()
    }

    fn json_value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just("false".to_owned()),
            "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
            any::<String>().prop_map(|text| serde_json::json!(text).to_string()),
            "\"(\\\\u[0-9a-fA-F]{4}|[a-z/]|\\\\[\"\\\\/bfnrt]){0,5}\"",
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let member = ("[a-z]{0,2}", inner.clone()).prop_map(|(name, value)| format!("\"{name}\" :{value}"));
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(|all| format!("[{}]", all.join(" ,"))),
                prop::collection::vec(member, 0..4).prop_map(|all| format!("{{ {}}}", all.join(", "))),
            ]
        })
    }

    /// A document of which up to two bytes are replaced, removed or added.
    fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
        let slips = prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, prop::sample::select(SLIPS)), 0..3);
        (json_value(), slips).prop_map(|(text, slips)| {
            let mut bytes = text.into_bytes();
            for (place, how, byte) in slips {
                let at = place.index(bytes.len().max(1));
                match how {
                    0 if at < bytes.len() => bytes[at] = byte,
                    1 if at < bytes.len() => drop(bytes.remove(at)),
                    _ => bytes.insert(at.min(bytes.len()), byte),
                }
            }
            bytes
        })
    }

    const SLIPS: &[u8] = b"{}[]\",:0-.eE+ut\\/ \n\x00\x1f\x7f\xc3\xa9\xff";
}

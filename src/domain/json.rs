//! JSON as bytes: our own strict scanner, which checks and finds places but builds no tree.
//!
//! The grammar is RFC 8259's and nothing more. What a reader of values would stumble over but the grammar allows passes: lone
//! surrogates in escapes, `1e999`, numbers of thirty digits, names given twice. Refused are values nested deeper than
//! [`DEPTH_MAX`], invalid UTF-8 and a byte order mark. Every publish goes through here, so it is one pass and copies nothing.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// Deepest nesting of arrays and objects that a value may have; `[]` has one level.
pub(crate) const DEPTH_MAX: usize = 128;

/// Why bytes are not JSON, and at which byte, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) reason: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.at)
    }
}

impl std::error::Error for Fault {}

/// What a value is, told by its first byte.
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
    /// Neither array nor object: what an attribute may be.
    pub(crate) fn is_scalar(self) -> bool {
        !matches!(self, Self::Array | Self::Object)
    }
}

/// One member of an object: its name with escapes resolved, its value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) raw: &'a str,
    pub(crate) kind: Kind,
    /// Where the name begins in the scanned bytes.
    pub(crate) at: usize,
}

/// Checks a whole document: one value, white space around it, nothing else.
pub(crate) fn scan(bytes: &[u8]) -> Result<Kind, Fault> {
    let mut scanner = Scanner::new(bytes)?;
    scanner.white_space();
    let kind = scanner.value(0)?;
    scanner.end().map(|()| kind)
}

/// Checks a whole document that is one object and lists its members in order, those given twice included.
///
/// The object itself is not counted as a level, so that a member's value may be as deep as a document of its own.
pub(crate) fn fields(bytes: &[u8]) -> Result<Vec<Field<'_>>, Fault> {
    let mut scanner = Scanner::new(bytes)?;
    scanner.white_space();
    let mut fields = Vec::with_capacity(FIELDS_LIKELY);
    scanner.members(|scanner, at, raw_name| {
        let name = unescape(raw_name).ok_or(Fault { at, reason: "a name with half of a surrogate pair" })?;
        let start = scanner.at;
        let kind = scanner.value(0)?;
        fields.push(Field { name, raw: scanner.since(start), kind, at });
        Ok(())
    })?;
    scanner.end().map(|()| fields)
}

/// The first member whose name an earlier one already has.
pub(crate) fn given_twice<'f, 'a>(fields: &'f [Field<'a>]) -> Option<&'f Field<'a>> {
    let mut seen = BTreeSet::new();
    fields.iter().find(|field| !seen.insert(&field.name))
}

/// What a scanned string, quotes included, stands for; `None` when half of a surrogate pair is in it, or it is no string.
pub(crate) fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    let mut rest = raw.strip_prefix('"')?.strip_suffix('"')?;
    let Some(first) = rest.find('\\') else { return Some(Cow::Borrowed(rest)) };
    let mut text = String::with_capacity(rest.len());
    let mut plain = first;
    loop {
        text.push_str(&rest[..plain]);
        let (unit, after) = escape(&rest[plain..])?;
        let (char, after) = character(unit, after)?;
        text.push(char);
        rest = after;
        match rest.find('\\') {
            Some(next) => plain = next,
            None => break,
        }
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

/// Appends `text` as a JSON string with its quotes, escaped as ECMAScript's `JSON.stringify` does (ECMA-262 25.5.2.3).
pub(crate) fn quote(text: &str, into: &mut Vec<u8>) {
    into.push(b'"');
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        into.extend_from_slice(&text.as_bytes()[done..at]);
        escape_ascii(byte, into);
        done = at + 1;
    }
    into.extend_from_slice(&text.as_bytes()[done..]);
    into.push(b'"');
}

/// One escape at the start of `text`: its UTF-16 code unit and what follows.
pub(super) fn escape(text: &str) -> Option<(u16, &str)> {
    let bytes = text.as_bytes();
    let unit = match bytes.get(1)? {
        b'b' => 0x08,
        b't' => 0x09,
        b'n' => 0x0a,
        b'f' => 0x0c,
        b'r' => 0x0d,
        b'u' => return Some((u16::from_str_radix(text.get(2..6)?, 16).ok()?, &text[6..])),
        byte @ (b'"' | b'\\' | b'/') => u16::from(*byte),
        _ => return None,
    };
    Some((unit, &text[2..]))
}

/// The character that a code unit begins, with the low half of a pair taken from the escape behind it.
pub(super) fn character(unit: u16, after: &str) -> Option<(char, &str)> {
    if let Some(char) = char::from_u32(u32::from(unit)) {
        return Some((char, after));
    }
    let (low, after) = after.starts_with("\\u").then(|| escape(after))??;
    let char = char::decode_utf16([unit, low]).next()?.ok()?;
    Some((char, after))
}

/// Appends the escape of an ASCII character that must not stand in a string as it is.
pub(super) fn escape_ascii(byte: u8, into: &mut Vec<u8>) {
    let short = match byte {
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        b'"' | b'\\' => byte,
        _ => return escape_unit(u16::from(byte), into),
    };
    into.extend_from_slice(&[b'\\', short]);
}

/// Appends `\u` and four lower-case digits.
pub(super) fn escape_unit(unit: u16, into: &mut Vec<u8>) {
    into.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        into.push(HEX_DIGITS[usize::from((unit >> shift) & 0xf)]);
    }
}

/// A place in a text that is known to be UTF-8. The readers expect white space to be skipped before them and skip none behind.
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        if bytes.starts_with(BYTE_ORDER_MARK) {
            return Err(Fault { at: 0, reason: "a byte order mark" });
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { text, bytes, at: 0 }),
            Err(error) => Err(Fault { at: error.valid_up_to(), reason: "invalid UTF-8" }),
        }
    }

    /// What was read since `start`, a place taken from this scanner.
    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// RFC 8259 section 2: space, tab, line feed, carriage return.
    pub(super) fn white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.white_space();
        if self.peek().is_none() { Ok(()) } else { Err(self.fault("something behind the value")) }
    }

    /// Reads one value that stands inside `depth` arrays and objects.
    pub(super) fn value(&mut self, depth: usize) -> Result<Kind, Fault> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| Kind::String),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| Kind::Number),
            Some(b't') => self.literal("true").map(|()| Kind::True),
            Some(b'f') => self.literal("false").map(|()| Kind::False),
            Some(b'n') => self.literal("null").map(|()| Kind::Null),
            Some(_) => Err(self.fault("no value begins like this")),
            None => Err(self.fault("the text ends where a value must be")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Kind, Fault> {
        let depth = self.deeper(depth)?;
        self.members(|scanner, _, _| scanner.value(depth).map(|_| ())).map(|()| Kind::Object)
    }

    fn array(&mut self, depth: usize) -> Result<Kind, Fault> {
        let depth = self.deeper(depth)?;
        self.elements(|scanner, _| scanner.value(depth).map(|_| ())).map(|()| Kind::Array)
    }

    /// One level more than `depth`, refused past [`DEPTH_MAX`].
    pub(super) fn deeper(&self, depth: usize) -> Result<usize, Fault> {
        if depth < DEPTH_MAX { Ok(depth + 1) } else { Err(self.fault("nested deeper than 128 levels")) }
    }

    /// Reads an object; `each` is called where a member's value begins, with the place and raw text of its name, and reads it.
    pub(super) fn members<E: From<Fault>>(
        &mut self,
        mut each: impl FnMut(&mut Self, usize, &'a str) -> Result<(), E>,
    ) -> Result<(), E> {
        self.byte(b'{', "expected an object")?;
        self.white_space();
        if self.skipped(b'}') {
            return Ok(());
        }
        loop {
            let start = self.at;
            let name = self.string()?;
            self.white_space();
            self.byte(b':', "expected `:` behind a name")?;
            self.white_space();
            each(self, start, name)?;
            self.white_space();
            if self.skipped(b'}') {
                return Ok(());
            }
            self.byte(b',', "expected `,` or `}`")?;
            self.white_space();
        }
    }

    /// Reads an array; `each` is called where an element begins, with its index, and reads it.
    pub(super) fn elements<E: From<Fault>>(&mut self, mut each: impl FnMut(&mut Self, usize) -> Result<(), E>) -> Result<(), E> {
        self.byte(b'[', "expected an array")?;
        self.white_space();
        if self.skipped(b']') {
            return Ok(());
        }
        for index in 0.. {
            each(self, index)?;
            self.white_space();
            if self.skipped(b']') {
                break;
            }
            self.byte(b',', "expected `,` or `]`")?;
            self.white_space();
        }
        Ok(())
    }

    /// Reads a string and returns it as written, quotes included.
    pub(super) fn string(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        self.byte(b'"', "expected a string")?;
        loop {
            let rest = &self.bytes[self.at..];
            let Some(plain) = rest.iter().position(|&byte| byte < b' ' || byte == b'"' || byte == b'\\') else {
                return Err(Fault { at: self.bytes.len(), reason: "the text ends inside a string" });
            };
            self.at += plain;
            match rest[plain] {
                b'"' => break,
                b'\\' => self.skip_escape()?,
                _ => return Err(self.fault("a control character inside a string")),
            }
        }
        self.at += 1;
        Ok(self.since(start))
    }

    fn skip_escape(&mut self) -> Result<(), Fault> {
        let rest = &self.bytes[self.at + 1..];
        let length = match rest {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'u', a, b, c, d, ..] if [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return Err(self.fault("an escape that JSON does not have")),
        };
        self.at += length;
        Ok(())
    }

    /// RFC 8259 section 6.
    pub(super) fn number(&mut self) -> Result<(), Fault> {
        self.skipped(b'-');
        if !self.skipped(b'0') {
            self.digits()?;
        }
        if self.skipped(b'.') {
            self.digits()?;
        }
        if self.skipped(b'e') || self.skipped(b'E') {
            let _sign = self.skipped(b'+') || self.skipped(b'-');
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) { Err(self.fault("a number with a leading zero")) } else { Ok(()) }
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.fault("expected a digit")) }
    }

    pub(super) fn literal(&mut self, word: &str) -> Result<(), Fault> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault("no value begins like this"));
        }
        self.at += word.len();
        Ok(())
    }

    fn skipped(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn byte(&mut self, byte: u8, otherwise: &'static str) -> Result<(), Fault> {
        if self.skipped(byte) { Ok(()) } else { Err(self.fault(otherwise)) }
    }

    fn fault(&self, reason: &'static str) -> Fault {
        Fault { at: self.at, reason }
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Members of a usual publish request; more only grow the list.
const FIELDS_LIKELY: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reason(bytes: &[u8]) -> &'static str {
        scan(bytes).expect_err("must be refused").reason
    }

    #[test]
    fn what_readers_stumble_over_passes() {
        for text in ["\"\\ud800\"", "1e999", "123456789012345678901234567890", "{\"a\":1,\"a\":2}", " \t\r\n0 ", "-0.0E-0"] {
            assert!(scan(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_the_grammar_lacks_is_refused() {
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
        assert_eq!(scan(b"{\"a\": tru}"), Err(Fault { at: 6, reason: "no value begins like this" }));
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

    #[test]
    fn a_name_given_twice_is_found_whatever_its_spelling() {
        let read = fields(br#"{"a":1,"b":2,"\u0061":3,"b":4}"#).expect("an object");
        assert_eq!(given_twice(&read).map(|field| (field.name.as_ref(), field.at)), Some(("a", 13)));
        assert_eq!(given_twice(&read[..2]), None);
    }

    #[test]
    fn half_a_surrogate_pair_stands_for_no_text() {
        for raw in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\ud800""#, r#""\ud800x""#, r#""\ud800\n""#] {
            assert_eq!(unescape(raw), None, "{raw}");
        }
        assert_eq!(unescape(r#""\ud83d\ude00!""#).as_deref(), Some("😀!"));
    }

    proptest! {
        #[test]
        fn quoting_and_serde_agree(text in any::<String>()) {
            let mut quoted = Vec::new();
            quote(&text, &mut quoted);
            prop_assert_eq!(String::from_utf8(quoted).unwrap(), serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn unescaping_undoes_every_spelling(text in any::<String>(), by_code in any::<u64>()) {
            let mut raw = String::from("\"");
            for (at, char) in text.chars().enumerate() {
                if by_code >> (at % 64) & 1 == 1 || char < ' ' || char == '"' || char == '\\' {
                    char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| raw.push_str(&format!("\\u{unit:04X}")));
                } else {
                    raw.push(char);
                }
            }
            raw.push('"');
            prop_assert!(scan(raw.as_bytes()).is_ok());
            let read = unescape(&raw);
            prop_assert_eq!(read.as_deref(), Some(text.as_str()));
        }

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
            prop_assert_eq!(given_twice(&read).is_some(), names.iter().collect::<BTreeSet<_>>().len() < names.len());
        }
    }

    /// serde_json's verdict by `IgnoredAny`, which neither computes numbers nor joins surrogates.
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

    /// A document with up to two of its bytes replaced, removed or added.
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

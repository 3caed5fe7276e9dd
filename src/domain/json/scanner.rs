//! The scanner: it walks over the bytes by RFC 8259's grammar, and stops where they leave it.

use std::ops::Range;

use super::{DEPTH_MAX, Fault, Kind};

/// Why the scanner stopped. It stands where the cause was found. This is one byte, so that results on the hot path fit into a
/// register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Stop {
    NoValue,
    NoMore,
    TooDeep,
    GoesOn,
    NoObject,
    NoArray,
    NoColon,
    NoComma,
    NoCommaInArray,
    NoString,
    OpenString,
    Control,
    Escape,
    LeadingZero,
    NoDigit,
}

impl Stop {
    pub(in crate::domain) fn text(self) -> &'static str {
        match self {
            Self::NoValue => "no value begins like this",
            Self::NoMore => "the text ends where a value must be",
            Self::TooDeep => "nested deeper than 128 levels",
            Self::GoesOn => "something behind the value",
            Self::NoObject => "expected an object",
            Self::NoArray => "expected an array",
            Self::NoColon => "expected `:` behind a name",
            Self::NoComma => "expected `,` or `}`",
            Self::NoCommaInArray => "expected `,` or `]`",
            Self::NoString => "expected a string",
            Self::OpenString => "the text ends inside a string",
            Self::Control => "a control character inside a string",
            Self::Escape => "an escape that JSON does not have",
            Self::LeadingZero => "a number with a leading zero",
            Self::NoDigit => "expected a digit",
        }
    }
}

/// A place in a text that is UTF-8. The reading functions expect that white space before a value is skipped, and skip none after
/// it.
pub(in crate::domain) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(in crate::domain) fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        if bytes.starts_with(BYTE_ORDER_MARK) {
            return Err(Fault::limit(0, "a byte order mark"));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { text, bytes, at: 0 }),
            Err(error) => Err(Fault::limit(error.valid_up_to(), "invalid UTF-8")),
        }
    }

    /// The text of a range that this scanner returned.
    pub(in crate::domain) fn slice(&self, place: Range<usize>) -> &'a str {
        &self.text[place]
    }

    pub(in crate::domain) fn at(&self) -> usize {
        self.at
    }

    /// The fault for `stop`, with the place where the scanner stands.
    pub(super) fn fault(&self, stop: Stop) -> Fault {
        let fault = if stop == Stop::TooDeep { Fault::limit } else { Fault::grammar };
        fault(self.at, stop.text())
    }

    pub(in crate::domain) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Skips white space: space, tab, line feed and carriage return (RFC 8259 section 2).
    pub(in crate::domain) fn white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    pub(in crate::domain) fn end(&mut self) -> Result<(), Stop> {
        self.white_space();
        if self.peek().is_none() { Ok(()) } else { Err(Stop::GoesOn) }
    }

    /// Reads one value that stands inside `depth` arrays and objects.
    pub(in crate::domain) fn value(&mut self, depth: usize) -> Result<Kind, Stop> {
        match self.peek() {
            Some(b'"') => self.string().map(|()| Kind::String),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| Kind::Number),
            Some(b't') => self.literal("true").map(|()| Kind::True),
            Some(b'f') => self.literal("false").map(|()| Kind::False),
            Some(b'n') => self.literal("null").map(|()| Kind::Null),
            Some(_) => Err(Stop::NoValue),
            None => Err(Stop::NoMore),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Kind, Stop> {
        let depth = self.deeper(depth)?;
        self.members(|scanner, _| scanner.value(depth).map(|_| ())).map(|()| Kind::Object)
    }

    fn array(&mut self, depth: usize) -> Result<Kind, Stop> {
        let depth = self.deeper(depth)?;
        self.elements(|scanner, _| scanner.value(depth).map(|_| ())).map(|()| Kind::Array)
    }

    /// One level more than `depth`. Fails past [`DEPTH_MAX`].
    pub(in crate::domain) fn deeper(&self, depth: usize) -> Result<usize, Stop> {
        if depth < DEPTH_MAX { Ok(depth + 1) } else { Err(Stop::TooDeep) }
    }

    /// Reads an object. At each member's value, `each` is called with the place of the member's name, and must read the value.
    pub(in crate::domain) fn members<E: From<Stop>>(
        &mut self,
        mut each: impl FnMut(&mut Self, Range<usize>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.byte(b'{', Stop::NoObject)?;
        self.white_space();
        if self.skipped(b'}') {
            return Ok(());
        }
        loop {
            let start = self.at;
            self.string()?;
            let name = start..self.at;
            self.white_space();
            self.byte(b':', Stop::NoColon)?;
            self.white_space();
            each(self, name)?;
            self.white_space();
            if self.skipped(b'}') {
                return Ok(());
            }
            self.byte(b',', Stop::NoComma)?;
            self.white_space();
        }
    }

    /// Reads an array. At each element `each` is called with its index, and must read the element.
    pub(in crate::domain) fn elements<E: From<Stop>>(
        &mut self,
        mut each: impl FnMut(&mut Self, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.byte(b'[', Stop::NoArray)?;
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
            self.byte(b',', Stop::NoCommaInArray)?;
            self.white_space();
        }
        Ok(())
    }

    /// Reads a string with its quotes.
    pub(in crate::domain) fn string(&mut self) -> Result<(), Stop> {
        self.byte(b'"', Stop::NoString)?;
        loop {
            self.at += plain_bytes(&self.bytes[self.at..]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.skip_escape()?,
                Some(_) => return Err(Stop::Control),
                None => return Err(Stop::OpenString),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn skip_escape(&mut self) -> Result<(), Stop> {
        let rest = &self.bytes[self.at + 1..];
        let length = match rest {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'u', a, b, c, d, ..] if [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return Err(Stop::Escape),
        };
        self.at += length;
        Ok(())
    }

    /// Reads a number (RFC 8259 section 6).
    pub(in crate::domain) fn number(&mut self) -> Result<(), Stop> {
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
        if matches!(self.peek(), Some(b'0'..=b'9')) { Err(Stop::LeadingZero) } else { Ok(()) }
    }

    fn digits(&mut self) -> Result<(), Stop> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Stop::NoDigit) }
    }

    pub(in crate::domain) fn literal(&mut self, word: &str) -> Result<(), Stop> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(Stop::NoValue);
        }
        self.at += word.len();
        Ok(())
    }

    fn skipped(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn byte(&mut self, byte: u8, otherwise: Stop) -> Result<(), Stop> {
        if self.skipped(byte) { Ok(()) } else { Err(otherwise) }
    }
}

/// How many bytes stand before the next quote, backslash or control character.
///
/// It looks at eight bytes at a time, since strings are most of a document.
fn plain_bytes(rest: &[u8]) -> usize {
    let (chunks, tail) = rest.as_chunks();
    for (at, chunk) in chunks.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*chunk));
        if special != 0 {
            return at * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let plain = tail.iter().take_while(|&&byte| byte >= b' ' && byte != b'"' && byte != b'\\').count();
    rest.len() - tail.len() + plain
}

/// Sets the high bit of each byte that ends a run of plain bytes. Only the lowest bit that is set is reliable: the borrow of the
/// subtraction may set bits above it.
fn special_bytes(eight: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let is_zero = |bytes: u64| bytes.wrapping_sub(EACH) & !bytes;
    let control = eight.wrapping_sub(EACH * 0x20) & !eight;
    (control | is_zero(eight ^ (EACH * 0x22)) | is_zero(eight ^ (EACH * 0x5c))) & (EACH * 0x80)
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

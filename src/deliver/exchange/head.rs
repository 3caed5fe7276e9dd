//! Reads the head of a response. The status counts as soon as the blank line has come, whatever else is wrong with the head.
//!
//! ```text
//!   bytes ──▶ Scanner: status line? ▸ interim heads skipped ▸ blank line ──▶ Head: status, headers, framing of the body
//! ```
//!
//! An endpoint that said "success" has taken the event, so an odd head must not make it come again: bare line feeds, folded lines
//! and lines that are no header are tolerated. Where two readers could disagree about such a head, its connection is not used
//! again. Pure: bytes go in, a value comes out.

use bytes::{Buf, BytesMut};
use memchr::memchr;

use super::framing::Framing;
use crate::domain::headers::{Headers, LEFT_OUT, is_token};

/// Searches the received bytes for the end of the head. It looks at each byte once, however the bytes are cut into pieces.
#[derive(Debug, Default)]
pub(in crate::deliver) struct Scanner {
    /// Where the line begins that is being received.
    line: usize,
    /// How many bytes of that line were searched and hold no line feed.
    looked: usize,
    has_status_line: bool,
    /// How many bytes of interim heads were skipped.
    interim: usize,
    /// Whether blank lines came before the status line.
    blanks: bool,
}

impl Scanner {
    /// Skips interim heads, and takes the final head out of `received` once all of it has come. `None` until then.
    pub(in crate::deliver) fn scan(&mut self, received: &mut BytesMut) -> Result<Option<Head>, Fault> {
        while let Some(end) = self.end_of_line(received) {
            let line = without_return(&received[self.line..end]);
            let is_blank = line.is_empty();
            if !is_blank && !self.has_status_line {
                StatusLine::parse(line)?;
            }
            check_size(end + 1)?;
            if is_blank && self.has_status_line {
                if let Some(head) = self.end_head(received, end + 1)? {
                    return Ok(Some(head));
                }
            } else {
                self.blanks |= is_blank;
                self.has_status_line = !is_blank || self.has_status_line;
                (self.line, self.looked) = (end + 1, 0);
            }
        }
        self.check_rest(received).map(|()| None)
    }

    /// The part of a final head that has come, if its status is known. For use when there is no memory for the rest.
    pub(in crate::deliver) fn cut_short(&self, received: &mut BytesMut) -> Option<Head> {
        let head = Head::begun(&received[..self.line], self.blanks).ok().filter(|head| !head.is_interim())?;
        received.clear();
        Some(head)
    }

    /// Whether a byte of the response has come.
    pub(in crate::deliver) fn has_begun(&self) -> bool {
        self.line + self.looked + self.interim > 0
    }

    fn end_of_line(&mut self, received: &[u8]) -> Option<usize> {
        let from = self.line + self.looked;
        let feed = memchr(b'\n', &received[from..]);
        self.looked = received.len() - self.line;
        feed.map(|feed| from + feed)
    }

    fn end_head(&mut self, received: &mut BytesMut, bytes: usize) -> Result<Option<Head>, Fault> {
        let head = Head::parse(&received[..bytes], self.blanks)?;
        received.advance(bytes);
        if !head.is_interim() {
            return Ok(Some(head));
        }
        *self = Self { interim: self.interim + bytes, blanks: self.blanks, ..Self::default() };
        if self.interim > INTERIM_BYTES_MAX { Err(Fault::Interim) } else { Ok(None) }
    }

    /// Checks the beginning of a line that has no end yet. Another protocol may never send a line feed, so its first bytes must
    /// refuse it.
    fn check_rest(&self, received: &[u8]) -> Result<(), Fault> {
        check_size(received.len())?;
        let begun = &received[self.line..];
        let may_begin_status = VERSION.iter().zip(begun).all(|(wanted, byte)| wanted == byte);
        if self.has_status_line || may_begin_status || begun == b"\r" { Ok(()) } else { Err(Fault::Status) }
    }
}

fn check_size(bytes: usize) -> Result<(), Fault> {
    if bytes > HEAD_BYTES_MAX { Err(Fault::Large) } else { Ok(()) }
}

/// The head of a response.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::deliver) struct Head {
    pub(in crate::deliver) status: u16,
    /// The headers in the order in which they came, with names in lower case and folded lines joined.
    pub(in crate::deliver) headers: Headers,
    pub(in crate::deliver) framing: Framing,
    /// Whether the head allows another exchange on the connection.
    pub(in crate::deliver) keeps_alive: bool,
}

impl Head {
    fn parse(bytes: &[u8], blanks_before: bool) -> Result<Self, Fault> {
        let mut lines = bytes.split(|byte| *byte == b'\n').map(without_return).skip_while(|line| line.is_empty());
        let status = StatusLine::parse(lines.next().unwrap_or_default())?;
        let mut fields = Fields { headers: Headers::with_capacity(bytes.len()), ..Fields::default() };
        lines.for_each(|line| fields.take(line));
        if fields.count > HEADERS_MAX {
            return Err(Fault::Many);
        }
        let framing = Framing::from_head(status.code, &fields.headers);
        let is_plain = !blanks_before && !fields.odd && fields.count <= PLAIN_HEADERS_MAX && is_plain(bytes);
        let speaks_on = status.minor == b'1' && status.code != SWITCHING_PROTOCOLS && !closes(&fields.headers);
        let keeps_alive = is_plain && framing.is_certain() && speaks_on;
        let mut headers = fields.headers;
        headers.cut(KEPT_BYTES_MAX);
        Ok(Self { status: status.code, headers, framing, keeps_alive })
    }

    /// A head whose rest is not waited for, made of the lines that have come. Its connection cannot be used again.
    fn begun(bytes: &[u8], blanks_before: bool) -> Result<Self, Fault> {
        let mut head = Self { framing: Framing::Empty, keeps_alive: false, ..Self::parse(bytes, blanks_before)? };
        head.headers.push(LEFT_OUT, "the rest of the response was not read: too many large ones came at once");
        Ok(head)
    }

    /// Whether another head follows. After 101 none does, so it counts as final.
    fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != SWITCHING_PROTOCOLS
    }
}

struct StatusLine {
    minor: u8,
    code: u16,
}

impl StatusLine {
    /// Parses a status line as `HTTP/1.1 200 OK`, with or without a reason (RFC 9112 section 4).
    fn parse(line: &[u8]) -> Result<Self, Fault> {
        let rest = line.strip_prefix(VERSION).ok_or(Fault::Status)?;
        match *rest {
            [minor, b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ref reason @ ..]
                if minor.is_ascii_digit() && matches!(reason, [] | [b' ', ..]) =>
            {
                let digit = |byte: u8| u16::from(byte - b'0');
                Ok(Self { minor, code: digit(a) * 100 + digit(b) * 10 + digit(c) })
            }
            _ => Err(Fault::Status),
        }
    }
}

/// The header lines of a head, read one after the other.
#[derive(Default)]
struct Fields {
    headers: Headers,
    /// How many lines began a header, including headers that were dropped.
    count: usize,
    /// Whether a line was folded, dropped, or written in a way that no careful sender writes.
    odd: bool,
    /// Whether the last header was kept, so that a folded line belongs to it.
    kept: bool,
}

impl Fields {
    fn take(&mut self, line: &[u8]) {
        match line {
            [] => {}
            [b' ' | b'\t', ..] => self.fold(line),
            _ => {
                self.count += 1;
                self.kept = self.count <= HEADERS_MAX && self.field(line).is_some();
                self.odd |= !self.kept;
            }
        }
    }

    /// Takes a line that continues the line before it (`obs-fold`, RFC 9112 section 5.2).
    fn fold(&mut self, line: &[u8]) {
        self.odd = true;
        if self.kept {
            self.headers.fold(&String::from_utf8_lossy(line.trim_ascii()));
        }
    }

    fn field(&mut self, line: &[u8]) -> Option<()> {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let written = name.trim_ascii_end();
        self.odd |= written.len() < name.len();
        let name = std::str::from_utf8(written).ok().filter(|name| !name.is_empty() && name.bytes().all(is_token))?;
        self.headers.push_with_lower(name, &String::from_utf8_lossy(value));
        Some(())
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether every line ends in CR LF, none holds a control character, and the head is no larger than a careful server sends.
fn is_plain(bytes: &[u8]) -> bool {
    let ends_well = |pair: &[u8]| match pair {
        [b'\r', next] => *next == b'\n',
        [before, b'\n'] => *before == b'\r',
        [byte, _] => !byte.is_ascii_control() || matches!(byte, b'\t' | b'\n'),
        _ => true,
    };
    bytes.len() <= PLAIN_BYTES_MAX && bytes.windows(2).all(ends_well)
}

/// Whether the endpoint announces that it closes the connection (RFC 9112 section 9.6).
fn closes(headers: &Headers) -> bool {
    let of_connection = headers.iter().filter(|(name, _)| *name == "connection");
    of_connection.flat_map(|(_, value)| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case("close"))
}

/// Why a response has no status that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::deliver) enum Fault {
    #[error("what the endpoint sent does not begin with an HTTP/1.1 status line")]
    Status,
    #[error("the response's head is larger than {} KiB", HEAD_BYTES_MAX / 1024)]
    Large,
    #[error("the response has more than {HEADERS_MAX} headers")]
    Many,
    #[error("the endpoint sent more than {} MiB of interim (1xx) responses and no final one", INTERIM_BYTES_MAX >> 20)]
    Interim,
}

/// The beginning of a status line.
const VERSION: &[u8] = b"HTTP/1.";

const SWITCHING_PROTOCOLS: u16 = 101;

/// The largest head that is read. Some security products and single sign-on servers set cookies of tens of kilobytes.
pub(in crate::deliver) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The most headers of a head that is read.
pub(in crate::deliver) const HEADERS_MAX: usize = 256;

/// The most bytes of all interim heads of one response. They are skipped and not kept: ten times what any server sends, and
/// little work.
pub(in crate::deliver) const INTERIM_BYTES_MAX: usize = 1 << 20;

/// The most bytes of a head's headers that are kept, for the log and while the body comes.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// The most bytes, and the most headers, of a head whose connection may be used again. A server that sends more is seldom in
/// order.
pub(in crate::deliver) const PLAIN_BYTES_MAX: usize = 16 * 1024;
const PLAIN_HEADERS_MAX: usize = 64;

#[cfg(test)]
mod tests;

//! Watches the bytes of a response's head before they are parsed, and stops what no honest server sends.
//!
//! The HTTP parser behind it is lenient where proxies disagree with each other (a line that ends in LF alone) and has no bound
//! on interim responses. Here every byte of a head counts, interim heads included, until the last one ends.
//! Pure: bytes in, a verdict out.

/// Where in the response's head the bytes have come to.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Bytes of all heads so far.
    bytes: usize,
    /// Finished lines of this head, the status line among them.
    lines: usize,
    /// Bytes of the line that has begun.
    column: usize,
    last: u8,
    code: [u8; 3],
}

impl Head {
    /// Takes the next bytes; whether the head of the final response ended in them.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        for &byte in bytes {
            if self.step(byte)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn step(&mut self, byte: u8) -> Result<bool, Fault> {
        self.bytes += 1;
        if self.bytes > HEAD_BYTES_MAX {
            return Err(Fault::Large);
        }
        self.column += 1;
        let last = std::mem::replace(&mut self.last, byte);
        match (last, byte) {
            (b'\r', b'\n') => self.end_line(),
            (b'\r', _) | (_, b'\n') => Err(Fault::LineEnd),
            (_, b'\r' | b'\t') => Ok(false),
            (_, 0..0x20 | 0x7f) => Err(Fault::Control),
            _ => Ok(self.note(byte)),
        }
    }

    /// Keeps the status code: `HTTP/1.1 200`, columns 10 to 12 (RFC 9112 section 4).
    fn note(&mut self, byte: u8) -> bool {
        if let (0, 10..=12) = (self.lines, self.column) {
            self.code[self.column - 10] = byte;
        }
        false
    }

    fn end_line(&mut self) -> Result<bool, Fault> {
        let blank = std::mem::take(&mut self.column) == 2;
        match self.lines {
            0 if blank => Err(Fault::Status),
            _ if blank && self.is_interim() => {
                *self = Self { bytes: self.bytes, ..Self::default() };
                Ok(false)
            }
            _ if blank => Ok(true),
            lines if lines > HEADERS_MAX => Err(Fault::Many),
            lines => {
                self.lines = lines + 1;
                Ok(false)
            }
        }
    }

    /// 101 is final: nothing that was asked for follows it.
    fn is_interim(&self) -> bool {
        self.code[0] == b'1' && self.code != *b"101"
    }
}

/// What is wrong with a response's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the response's head, interim responses included, is larger than {HEAD_BYTES_MAX} bytes")]
    Large,
    #[error("the response has more than {HEADERS_MAX} headers")]
    Many,
    #[error("a line of the response's head does not end in CR LF")]
    LineEnd,
    #[error("the response's head contains a control character")]
    Control,
    #[error("the response begins with a blank line in place of a status line")]
    Status,
}

/// Bound on the heads of one response together, interim ones included.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most headers of one head.
pub(super) const HEADERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str) -> Result<bool, Fault> {
        Head::default().take(text.as_bytes())
    }

    #[test]
    fn a_head_ends_with_its_blank_line_wherever_it_is_cut() {
        let text = b"HTTP/1.1 200 OK\r\na: b\tc\r\n\r\n";
        for cut in 0..text.len() {
            let mut head = Head::default();
            assert_eq!(head.take(&text[..cut]), Ok(false));
            assert_eq!(head.take(&text[cut..]), Ok(true), "cut at {cut}");
        }
    }

    #[test]
    fn an_interim_response_is_followed_by_another() {
        assert_eq!(take("HTTP/1.1 100 Continue\r\n\r\n"), Ok(false));
        assert_eq!(take("HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), Ok(true));
        assert_eq!(take("HTTP/1.1 101 Switching\r\n\r\n"), Ok(true));
    }

    #[test]
    fn interim_responses_count_together() {
        let one = "HTTP/1.1 100 Continue\r\n\r\n";
        assert_eq!(take(&one.repeat(HEAD_BYTES_MAX / one.len())), Ok(false));
        assert_eq!(take(&one.repeat(HEAD_BYTES_MAX / one.len() + 1)), Err(Fault::Large));
    }

    #[test]
    fn line_ends_and_control_characters_are_strict() {
        for text in [
            "HTTP/1.1 200 OK\n\n",
            "HTTP/1.1 200 OK\r\na: b\nc: d\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n",
            "HTTP/1.1 200 OK\r\r\n\r\n",
        ] {
            assert_eq!(take(text), Err(Fault::LineEnd), "{text:?}");
        }
        for text in ["HTTP/1.1 200 OK\r\na: \0\r\n\r\n", "HTTP/1.1 200 \x1b[0m\r\n\r\n", "HTTP/1.1 200 OK\r\na\x7f: b\r\n\r\n"] {
            assert_eq!(take(text), Err(Fault::Control), "{text:?}");
        }
        assert_eq!(take("\r\nHTTP/1.1 200 OK\r\n\r\n"), Err(Fault::Status));
    }

    #[test]
    fn headers_are_counted() {
        let head = |headers: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(headers));
        assert_eq!(take(&head(HEADERS_MAX)), Ok(true));
        assert_eq!(take(&head(HEADERS_MAX + 1)), Err(Fault::Many));
    }
}

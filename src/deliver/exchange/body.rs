//! Separates the body of a response from the bytes that come, and keeps the first part of it. Pure: bytes go in, a step comes
//! out.

use bytes::{Buf, BytesMut};

use super::framing::Framing;

/// A body that is being received.
#[derive(Debug)]
pub(in crate::deliver) struct Body {
    state: State,
    kept: Vec<u8>,
    /// The most bytes that are kept.
    capture: usize,
    /// Whether the framing says clearly where the body ends, so that its end is worth waiting for.
    has_clear_end: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of the body are still to come.
    Length(u64),
    UntilClose,
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    /// The last chunk has come, and so many bytes of trailers after it.
    Trailers(usize),
    Unclear,
    Ended,
}

/// What follows from the bytes that have come so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::deliver) enum Step {
    /// More bytes are needed.
    More,
    /// The body is complete. Bytes that are left do not belong to it.
    End,
    /// The body is longer than what is kept.
    Longer,
    Malformed(&'static str),
}

impl Body {
    pub(in crate::deliver) fn new(framing: &Framing, capture: usize) -> Self {
        let state = match framing {
            Framing::Empty | Framing::Length(0) => State::Ended,
            Framing::Length(bytes) => State::Length(*bytes),
            Framing::Chunked | Framing::OddlyChunked(_) => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
            Framing::Unclear(_) => State::Unclear,
        };
        let has_clear_end = framing.fault().is_none();
        Self { state, kept: Vec::new(), capture, has_clear_end }
    }

    /// Takes the bytes that belong to the body out of `received`.
    pub(in crate::deliver) fn take(&mut self, received: &mut BytesMut) -> Step {
        loop {
            match self.advance(received) {
                Ok(true) => {}
                Ok(false) => return Step::More,
                Err(step) => return step,
            }
        }
    }

    /// Whether more of the body is worth waiting for: its end is clear, and fewer bytes are kept than may be.
    pub(in crate::deliver) fn is_awaited(&self) -> bool {
        self.has_clear_end && !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.kept.len() >= self.capture
    }

    /// Ends a body whose endpoint has closed the connection. Fails, and says what is missing, when the body ends in another way.
    pub(in crate::deliver) fn close(&self) -> Result<(), String> {
        match self.state {
            State::Ended | State::UntilClose | State::Unclear => Ok(()),
            State::Length(left) => Err(format!("the endpoint closed the connection with {left} bytes of the body to come")),
            _ => Err("the endpoint closed the connection before the body's last chunk".to_owned()),
        }
    }

    /// The number of bytes that are kept.
    pub(in crate::deliver) fn kept(&self) -> usize {
        self.kept.len()
    }

    pub(in crate::deliver) fn into_kept(self) -> Vec<u8> {
        self.kept
    }

    /// Takes one step. Returns false when more bytes are needed.
    fn advance(&mut self, received: &mut BytesMut) -> Result<bool, Step> {
        match self.state {
            State::Ended => Err(Step::End),
            State::UntilClose => self.keep(received, u64::MAX).map(|_| false),
            State::Unclear => self.keep(received, u64::MAX).and(Err(Step::End)),
            State::Length(left) => self.counted(received, left, State::Length, State::Ended),
            State::ChunkData(left) => self.counted(received, left, State::ChunkData, State::ChunkEnd),
            State::ChunkSize => self.line(received, |line| match chunk_size(line)? {
                0 => Ok(State::Trailers(0)),
                bytes => Ok(State::ChunkData(bytes)),
            }),
            State::ChunkEnd => self.line(received, |line| match line {
                b"" => Ok(State::ChunkSize),
                _ => Err(Step::Malformed("a chunk of the body is longer than its size says")),
            }),
            State::Trailers(before) => self.line(received, |line| match before + line.len() {
                _ if line.is_empty() => Ok(State::Ended),
                bytes if bytes > TRAILER_BYTES_MAX => Err(Step::Malformed("the body's trailers are too long")),
                bytes => Ok(State::Trailers(bytes)),
            }),
        }
    }

    /// Takes data of which `left` bytes are still to come. The state becomes `same` with the rest, or `then` when nothing is
    /// left.
    fn counted(&mut self, received: &mut BytesMut, left: u64, same: fn(u64) -> State, then: State) -> Result<bool, Step> {
        let left = left - self.keep(received, left)?;
        self.state = if left == 0 { then } else { same(left) };
        if left > 0 && self.is_full() { Err(Step::Longer) } else { Ok(left == 0) }
    }

    /// Takes at most `most` bytes of data, and returns how many.
    fn keep(&mut self, received: &mut BytesMut, most: u64) -> Result<u64, Step> {
        let taken = usize::try_from(most).unwrap_or(usize::MAX).min(received.len());
        let fits = taken.min(self.capture.saturating_sub(self.kept.len()));
        self.kept.extend_from_slice(&received[..fits]);
        received.advance(taken);
        if fits < taken { Err(Step::Longer) } else { Ok(taken as u64) }
    }

    /// Takes one whole line between chunks, and goes to the state that `next` makes of it.
    fn line(&mut self, received: &mut BytesMut, next: impl FnOnce(&[u8]) -> Result<State, Step>) -> Result<bool, Step> {
        let Some(end) = received.iter().position(|byte| *byte == b'\n') else {
            let long = received.len() > LINE_BYTES_MAX;
            return if long { Err(Step::Malformed("a line between the body's chunks is too long")) } else { Ok(false) };
        };
        let line = received[..end].strip_suffix(b"\r");
        self.state = next(line.ok_or(Step::Malformed("a line between the body's chunks does not end in CR LF"))?)?;
        received.advance(end + 1);
        Ok(true)
    }
}

/// The size at the start of a chunk's line (RFC 9112 section 7.1). Extensions behind it are ignored.
fn chunk_size(line: &[u8]) -> Result<u64, Step> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = line[digits..].trim_ascii_start();
    let text = std::str::from_utf8(&line[..digits]).ok().filter(|_| rest.is_empty() || rest[0] == b';');
    let size = text.filter(|text| text.len() <= SIZE_DIGITS_MAX).and_then(|text| u64::from_str_radix(text, 16).ok());
    size.ok_or(Step::Malformed("the size of one of the body's chunks cannot be read"))
}

/// The longest line between chunks: a size and some extensions.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// The most digits of a chunk's size, so that it fits into 60 bits.
const SIZE_DIGITS_MAX: usize = 15;

/// The most bytes of all trailers of a body together. Trailers are not kept.
const TRAILER_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAPTURE: usize = 8;

    /// Feeds `bytes` in pieces of `by` bytes. Returns the last step, what was kept, and how many bytes were left.
    fn take(framing: &Framing, bytes: &[u8], by: usize) -> (Step, Vec<u8>, usize) {
        let (mut body, mut received) = (Body::new(framing, CAPTURE), BytesMut::new());
        let mut step = body.take(&mut received);
        let mut pieces = bytes.chunks(by);
        while step == Step::More
            && let Some(piece) = pieces.next()
        {
            received.extend_from_slice(piece);
            step = body.take(&mut received);
        }
        (step, body.into_kept(), received.len() + pieces.map(<[u8]>::len).sum::<usize>())
    }

    fn chunked(bytes: &str) -> (Step, Vec<u8>, usize) {
        let whole = take(&Framing::Chunked, bytes.as_bytes(), usize::MAX);
        let (step, kept, _) = take(&Framing::Chunked, bytes.as_bytes(), 1);
        assert_eq!((step, &kept), (whole.0, &whole.1), "{bytes:?} byte by byte");
        whole
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        for by in [1, 3, 100] {
            assert_eq!(take(&Framing::Empty, b"next", by), (Step::End, vec![], 4));
            assert_eq!(take(&Framing::Length(0), b"next", by), (Step::End, vec![], 4));
            assert_eq!(take(&Framing::Length(2), b"oknext", by), (Step::End, b"ok".to_vec(), 4));
            assert_eq!(take(&Framing::Length(9), b"ok", by), (Step::More, b"ok".to_vec(), 0));
            assert_eq!(take(&Framing::UntilClose, b"ok", by), (Step::More, b"ok".to_vec(), 0));
        }
        assert_eq!(take(&Framing::Unclear(""), b"ok", 100), (Step::End, vec![], 2), "asked before a byte had come");
        assert_eq!(chunked("2\r\nok\r\n0\r\n\r\nnext"), (Step::End, b"ok".to_vec(), 4));
        assert_eq!(chunked("1;x=y\r\no\r\n001 ;z\r\nk\r\n0\r\na: b\r\nc\r\n\r\n"), (Step::End, b"ok".to_vec(), 0));
        assert_eq!(chunked("2\r\nok\r\n0\r\n").0, Step::More);
    }

    #[test]
    fn no_more_is_kept_than_the_capture() {
        assert_eq!(take(&Framing::Length(8), b"12345678", 100).0, Step::End);
        assert_eq!(take(&Framing::UntilClose, b"12345678", 100).0, Step::More);
        for framing in [Framing::Length(9), Framing::UntilClose] {
            let (step, kept, _) = take(&framing, b"123456789", 100);
            assert_eq!((step, &kept[..]), (Step::Longer, &b"12345678"[..]));
        }
        assert_eq!(take(&Framing::Length(9), b"12345678", 100).0, Step::Longer, "a ninth byte is announced");
        assert_eq!(take(&Framing::Chunked, b"9\r\n12345678", 100).0, Step::Longer);
        assert_eq!(take(&Framing::Chunked, b"8\r\n12345678\r\n0\r\n\r\n", 100).0, Step::End);
    }

    #[test]
    fn malformed_chunks_are_seen() {
        for bytes in [
            "x\r\nok\r\n0\r\n\r\n",
            "-2\r\nok\r\n0\r\n\r\n",
            "2\nok\r\n0\r\n\r\n",
            "2\r\nokk\r\n0\r\n\r\n",
            "2 2\r\nok\r\n0\r\n\r\n",
            "fffffffffffffffff\r\nok",
            "\r\nok\r\n",
            "0x2\r\nok\r\n0\r\n\r\n",
            ";\r\nok\r\n",
            "2;a\nb\r\nok\r\n0\r\n\r\n",
        ] {
            assert!(matches!(chunked(bytes).0, Step::Malformed(_)), "{bytes:?}");
        }
        for endless in ["1".repeat(LINE_BYTES_MAX + 1), format!("0\r\n{}", "a: b\r\n".repeat(TRAILER_BYTES_MAX))] {
            assert!(matches!(take(&Framing::Chunked, endless.as_bytes(), 1_000).0, Step::Malformed(_)));
        }
    }

    #[test]
    fn an_early_close_says_what_is_missing() {
        let closed = |framing: &Framing, bytes: &str| {
            let mut body = Body::new(framing, CAPTURE);
            body.take(&mut BytesMut::from(bytes));
            body.close()
        };
        assert_eq!(closed(&Framing::UntilClose, "ok"), Ok(()));
        assert_eq!(closed(&Framing::Length(2), "ok"), Ok(()));
        assert!(closed(&Framing::Length(7), "ok").unwrap_err().contains("5 bytes"));
        assert!(closed(&Framing::Chunked, "2\r\nok\r\n").unwrap_err().contains("last chunk"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic_and_pieces_change_nothing(bytes in "[0-9a-f;\r\n xk]{0,40}", by in 1_usize..5) {
            let whole = take(&Framing::Chunked, bytes.as_bytes(), usize::MAX);
            let pieces = take(&Framing::Chunked, bytes.as_bytes(), by);
            prop_assert_eq!(matches!(whole.0, Step::End), matches!(pieces.0, Step::End));
            if matches!(whole.0, Step::End) {
                prop_assert_eq!(whole, pieces);
            }
        }
    }
}

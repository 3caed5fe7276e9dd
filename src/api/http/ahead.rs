//! Finds out whether a peer has begun to send its next request behind the present one. The HTTP library reads both at once and
//! does not tell.
//!
//! Bytes are counted from the end of a head on, and compared with the length that the head announced. For a body in chunks, and
//! for a request without a body, the last bytes tell: both end with an empty line, and a head that has come in part does not.

/// The bytes that came in since the last answer ended.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Ahead {
    /// The newest three bytes, in the order in which they came.
    tail: [u8; 3],
    /// The number of bytes behind the end of the head. `None` when the end was not seen, or came together with another head's.
    behind: Option<u64>,
    body: Length,
}

/// The length of a body, as its request's head announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Length {
    Known(u64),
    /// The body comes in chunks, and ends with an empty line.
    Chunks,
}

impl Ahead {
    pub(in crate::api) fn new() -> Self {
        Self { tail: [0; 3], behind: None, body: Length::Known(0) }
    }

    /// Takes note of bytes that came in.
    pub(in crate::api) fn received(&mut self, bytes: &[u8]) {
        let known = self.behind.map(|behind| behind + bytes.len() as u64);
        self.behind = known.or_else(|| head_end(self.tail, bytes).map(|end| (bytes.len() - end) as u64));
        self.tail = last_three(self.tail, bytes);
    }

    /// Takes note that the head is complete, and of its body's length.
    pub(in crate::api) fn began(&mut self, body: Length) {
        self.body = body;
    }

    /// Takes note that the request is answered and its body read. Returns whether surely nothing came behind it: for a request
    /// with a body that itself came behind another request this is not known, so the answer is false.
    pub(in crate::api) fn ends(&mut self) -> bool {
        let is_last = match self.body {
            Length::Known(length) if length > 0 => self.behind == Some(length),
            _ => self.tail.ends_with(b"\n\n") || self.tail == *b"\n\r\n",
        };
        (self.behind, self.body) = (None, Length::Known(0));
        is_last
    }
}

/// Where the first empty line within `bytes` ends; `tail` are the three bytes before them.
fn head_end(tail: [u8; 3], bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'\n', &bytes[from..]) {
        let end = from + at + 1;
        let last = last_three(tail, &bytes[..end]);
        if last.ends_with(b"\n\n") || last == *b"\n\r\n" {
            return Some(end);
        }
        from = end;
    }
    None
}

fn last_three([a, b, c]: [u8; 3], bytes: &[u8]) -> [u8; 3] {
    match *bytes {
        [] => [a, b, c],
        [d] => [b, c, d],
        [d, e] => [c, d, e],
        [.., d, e, f] => [d, e, f],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    const POST: &[u8] = b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\n";

    /// Feeds one request in the given parts, and returns whether nothing came behind it.
    fn ends(parts: &[&[u8]], body: Length) -> bool {
        let mut ahead = Ahead::new();
        parts.iter().for_each(|part| ahead.received(part));
        ahead.began(body);
        ahead.ends()
    }

    #[test]
    fn a_request_that_comes_alone_is_the_last() {
        assert!(ends(&[GET], Length::Known(0)));
        assert!(ends(&[b"GET / HTTP/1.1\n\n"], Length::Known(0)));
        assert!(ends(&[POST, b"abc"], Length::Known(3)));
        assert!(ends(&[&POST[..POST.len() - 2], b"\r", b"\n", b"a", b"bc"], Length::Known(3)));
        assert!(ends(&[b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"], Length::Chunks));
    }

    #[test]
    fn half_a_head_behind_a_request_is_seen() {
        assert!(!ends(&[GET, b"GET"], Length::Known(0)));
        assert!(!ends(&[POST, b"abcG"], Length::Known(3)));
        assert!(!ends(&[POST, b"a", b"bc", b"GET / HTTP/1.1\r\nhost: a\r\n"], Length::Known(3)));
        assert!(!ends(&[b"POST / HTTP/1.1\r\n\r\n0\r\n\r\nG"], Length::Chunks));
    }

    #[test]
    fn each_request_is_counted_from_its_own_head() {
        let mut ahead = Ahead::new();
        for _ in 0..3 {
            ahead.received(&[POST, b"abc"].concat());
            ahead.began(Length::Known(3));
            assert!(ahead.ends());
        }
    }
}

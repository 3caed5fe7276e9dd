//! Whether a peer has begun to send its next request behind the one at work: the library takes both in at once, and does not say.
//!
//! Bytes are counted from the end of a head on, and what the head announced of a body is taken off. Of a body in chunks, and of
//! a request without one, the last bytes tell: half a head never ends with an empty line.

/// What came in since the end of the last answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Ahead {
    /// The newest bytes, the last one last.
    tail: [u8; 3],
    /// Bytes behind the end of the head; `None`: it was not seen, or another one came with it.
    behind: Option<u64>,
    body: Length,
}

/// What a head says of its body's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Length {
    Known(u64),
    /// Its end is an empty line.
    Chunks,
}

impl Ahead {
    pub(in crate::api) fn new() -> Self {
        Self { tail: [0; 3], behind: None, body: Length::Known(0) }
    }

    /// Bytes came in.
    pub(in crate::api) fn received(&mut self, bytes: &[u8]) {
        let known = self.behind.map(|behind| behind + bytes.len() as u64);
        self.behind = known.or_else(|| head_end(self.tail, bytes).map(|end| (bytes.len() - end) as u64));
        self.tail = last_three(self.tail, bytes);
    }

    /// The head is complete.
    pub(in crate::api) fn began(&mut self, body: Length) {
        self.body = body;
    }

    /// The request is answered and its body was taken in: whether nothing came behind it. A request that itself came behind
    /// another one and had a body is not known to be the last.
    pub(in crate::api) fn ends(&mut self) -> bool {
        let is_last = match self.body {
            Length::Known(length) if length > 0 => self.behind == Some(length),
            _ => self.tail.ends_with(b"\n\n") || self.tail == *b"\n\r\n",
        };
        (self.behind, self.body) = (None, Length::Known(0));
        is_last
    }
}

/// Where the first empty line ends within the bytes.
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

    /// One request from what came, in the parts given.
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

//! HTTP/1.1 messages of the fixed shape that both ends of a measurement send: a head, `content-length`, a body. One at a time,
//! no chunks. What a real peer needs besides is left out, since publisher and receiver share the machine with what is measured.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The lengths of a message's two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    head: usize,
    body: usize,
}

/// The frame of a message that begins here; `None`: its head is not complete.
fn frame(bytes: &[u8]) -> io::Result<Option<Frame>> {
    let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else { return Ok(None) };
    let lines = bytes[..end].split(|byte| *byte == b'\n');
    let length = lines.filter_map(|line| value(line, b"content-length:")).next();
    let body = length.map_or(Ok(0), |text| text.parse().map_err(|_| io::Error::other("content-length is no number")))?;
    Ok(Some(Frame { head: end + 4, body }))
}

fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let (start, rest) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then(|| str::from_utf8(rest).ok().map(str::trim))?
}

/// The status of a response's head; 0: it is none.
pub(super) fn status(head: &[u8]) -> u16 {
    let digits = head.get(9..12).and_then(|digits| str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// A message as it came.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) head: &'a [u8],
    pub(super) body: &'a [u8],
}

/// The messages of one connection, in a buffer that is used again for each.
pub(super) struct Messages {
    buffer: Vec<u8>,
    filled: usize,
    /// Bytes at the front of the message that was given last.
    given: usize,
}

impl Messages {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; BUFFER_BYTES], filled: 0, given: 0 }
    }

    /// Waits for the next whole message; `None`: the peer closed the connection between two.
    pub(super) async fn next(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Message<'_>>> {
        self.buffer.copy_within(self.given..self.filled, 0);
        self.filled -= std::mem::take(&mut self.given);
        let frame = loop {
            match frame(&self.buffer[..self.filled])? {
                Some(frame) if self.filled >= frame.head + frame.body => break frame,
                found => self.make_room(found)?,
            }
            match stream.read(&mut self.buffer[self.filled..]).await? {
                0 if self.filled == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.filled += count,
            }
        };
        self.given = frame.head + frame.body;
        let (head, rest) = self.buffer.split_at(frame.head);
        Ok(Some(Message { head, body: &rest[..frame.body] }))
    }

    fn make_room(&mut self, frame: Option<Frame>) -> io::Result<()> {
        let needed = frame.map_or(self.filled + 1, |frame| frame.head + frame.body + 1);
        if needed > MESSAGE_BYTES_MAX {
            return Err(io::Error::other("a message is too large"));
        }
        if needed > self.buffer.len() {
            self.buffer.resize(needed.next_power_of_two(), 0);
        }
        Ok(())
    }
}

/// More than one message of the usual size, so that one read takes all of it and knows that there is no more.
const BUFFER_BYTES: usize = 4 * 1024;

/// A batch of 10,000 events, and as much again.
const MESSAGE_BYTES_MAX: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[test]
    fn a_head_says_how_long_the_body_is() {
        let found = |text: &str| frame(text.as_bytes()).unwrap();
        assert_eq!(found("POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\nabc"), Some(Frame { head: 39, body: 12 }));
        assert_eq!(found("HTTP/1.1 200 OK\r\n\r\n"), Some(Frame { head: 19, body: 0 }));
        assert_eq!(found("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n"), None);
        assert!(frame(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").is_err());
    }

    #[test]
    fn a_status_stands_at_its_place() {
        assert_eq!(status(b"HTTP/1.1 202 Accepted\r\n"), 202);
        assert_eq!(status(b"HTTP/1.1"), 0);
    }

    #[tokio::test]
    async fn messages_come_whole_however_they_were_cut() {
        let (mut near, mut far) = tokio::io::duplex(64);
        let long = "x".repeat(10_000);
        let sent = format!("A\r\ncontent-length: 2\r\n\r\nhiB\r\ncontent-length: 10000\r\n\r\n{long}C\r\n\r\n");
        tokio::spawn(async move { near.write_all(sent.as_bytes()).await });
        let mut messages = Messages::new();
        let mut seen = Vec::new();
        while let Some(message) = messages.next(&mut far).await.unwrap() {
            seen.push((message.head[0], message.body.len()));
        }
        assert_eq!(seen, [(b'A', 2), (b'B', 10_000), (b'C', 0)]);
    }

    #[tokio::test]
    async fn an_end_within_a_message_is_an_error() {
        let mut cut: &[u8] = b"A\r\ncontent-length: 2\r\n\r\nh";
        assert!(Messages::new().next(&mut cut).await.is_err());
    }
}

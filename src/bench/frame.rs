//! HTTP/1.1 messages of the fixed shape that both ends of a measurement send: a head, `content-length`, a body. One at a time,
//! without chunks. All else that HTTP has is left out, since publisher and receiver share the machine with the relay.

use std::{io, mem};

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The lengths of head and body of the message that `bytes` begin with; `None`: its head is not complete.
fn frame(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let head = str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let body = length.map_or(Ok(0), |(_, text)| text.trim().parse().map_err(io::Error::other))?;
    Ok(Some((end + 4, body)))
}

/// The status that a response's head gives; 0: the head is malformed.
pub(super) fn status(head: &[u8]) -> u16 {
    let digits = head.get(9..12).and_then(|digits| str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// A whole message.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) head: &'a [u8],
    pub(super) body: &'a [u8],
}

/// The messages of one connection, in a buffer that is used again for each.
#[derive(Default)]
pub(super) struct Messages {
    buffer: Vec<u8>,
    /// Bytes at the front of the buffer that belong to the message returned last.
    returned: usize,
}

impl Messages {
    /// Waits for the next whole message; `None`: the peer closed the connection between two messages.
    pub(super) async fn next(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Message<'_>>> {
        self.buffer.drain(..mem::take(&mut self.returned));
        let (head, body) = loop {
            if let Some(frame) = frame(&self.buffer)?.filter(|(head, body)| self.buffer.len() >= head + body) {
                break frame;
            }
            self.buffer.reserve(READ_BYTES);
            match stream.read_buf(&mut self.buffer).await? {
                0 if self.buffer.is_empty() => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => {}
            }
        };
        self.returned = head + body;
        let (head, rest) = self.buffer.split_at(head);
        Ok(Some(Message { head, body: &rest[..body] }))
    }
}

/// More than a message of the usual size, so that one read takes all of it and knows that there is no more.
const READ_BYTES: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[test]
    fn a_head_says_status_and_length() {
        let found = |text: &str| frame(text.as_bytes()).unwrap();
        assert_eq!(found("POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\nabc"), Some((39, 12)));
        assert_eq!(found("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n"), None);
        assert_eq!((status(b"HTTP/1.1 202 Accepted\r\n"), status(b"HTTP/1.1")), (202, 0));
    }

    #[tokio::test]
    async fn messages_come_whole_however_they_were_cut() {
        let (mut near, mut far) = tokio::io::duplex(64);
        let sent = format!("A\r\ncontent-length: 2\r\n\r\nhiB\r\ncontent-length: 10000\r\n\r\n{}C\r\n", "x".repeat(10_000));
        tokio::spawn(async move { near.write_all(sent.as_bytes()).await });
        let mut messages = Messages::default();
        for expected in [(b'A', 2), (b'B', 10_000)] {
            let message = messages.next(&mut far).await.unwrap().unwrap();
            assert_eq!((message.head[0], message.body.len()), expected);
        }
        assert!(messages.next(&mut far).await.is_err());
    }
}

//! Whole HTTP/1.1 messages on a blocking stream: a head, `content-length`, a body. That is all that publisher and receiver need.

use std::io::{self, Read, Write};

use serde_json::Value;

/// Reads and writes the messages of one connection.
pub(crate) struct Messages<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
    /// Bytes at the front of the buffer that belong to the message returned last.
    returned: usize,
}

/// A message as it came.
pub(crate) struct Message<'a> {
    /// The head, without the empty line behind it.
    pub(crate) head: &'a str,
    pub(crate) body: &'a [u8],
}

impl<S: Read + Write> Messages<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), returned: 0 }
    }

    /// Waits for the next message. `None` when the peer closed the connection between two messages.
    pub(crate) fn next(&mut self) -> io::Result<Option<Message<'_>>> {
        self.buffer.drain(..std::mem::take(&mut self.returned));
        let (head, body) = loop {
            if let Some(frame) = frame(&self.buffer)?.filter(|(head, body)| self.buffer.len() >= head + 4 + body) {
                break frame;
            }
            let mut piece = [0; 16 * 1024];
            match self.stream.read(&mut piece)? {
                0 if self.buffer.is_empty() => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.buffer.extend_from_slice(&piece[..count]),
            }
        };
        self.returned = head + 4 + body;
        let (head, rest) = self.buffer.split_at(head);
        Ok(Some(Message { head: str::from_utf8(head).map_err(io::Error::other)?, body: &rest[4..4 + body] }))
    }

    /// Sends a request and returns the body of the answer, which must have status 200 or 202.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> io::Result<&[u8]> {
        self.stream.write_all(request)?;
        let answer = self.next()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        match answer.head.get(9..12) {
            Some("200" | "202") => Ok(answer.body),
            _ => Err(io::Error::other(format!("{}\n{}", answer.head, String::from_utf8_lossy(answer.body)))),
        }
    }

    /// Gets a JSON document. `key` is empty where none is needed.
    pub(crate) fn get(&mut self, path: &str, key: &str) -> io::Result<Value> {
        let authorization = if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
        let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{authorization}\r\n");
        serde_json::from_slice(self.exchange(request.as_bytes())?).map_err(io::Error::other)
    }
}

impl Message<'_> {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }
}

/// The lengths of the head and the body of the message at the start of `bytes`. `None` while the head is not complete.
fn frame(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else { return Ok(None) };
    let head = str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
    let length = header(head, "content-length").map_or(Ok(0), |text| text.parse().map_err(io::Error::other))?;
    Ok(Some((end, length)))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream with known bytes to read. It accepts everything that is written.
    struct Known(&'static [u8]);

    impl Read for Known {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = into.len().min(3);
            self.0.read(&mut into[..count])
        }
    }

    impl Write for Known {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn messages_come_whole_however_they_were_cut() {
        let sent = b"POST /a HTTP/1.1\r\nContent-Length: 2\r\nwebhook-id: e\r\n\r\nhiHTTP/1.1 200 OK\r\n\r\n";
        let mut messages = Messages::new(Known(sent));
        let first = messages.next().expect("whole").expect("there");
        assert_eq!((first.body, first.header("Webhook-Id")), (&b"hi"[..], Some("e")));
        assert_eq!(messages.next().expect("whole").expect("there").body, b"");
        assert!(messages.next().expect("the end").is_none());
        assert!(Messages::new(Known(b"HTTP/1.1 503 No\r\n\r\n")).exchange(b"").is_err());
        assert!(Messages::new(Known(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh")).next().is_err());
    }
}

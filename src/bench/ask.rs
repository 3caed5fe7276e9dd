//! What a measurement asks the service that it measures, over the API as anyone would.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

/// A way to the API, with the operator's key.
#[derive(Clone, Debug)]
pub(super) struct Api {
    pub(super) address: SocketAddr,
    pub(super) operator: String,
}

/// What the service counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Since it started.
    pub(super) commits: u64,
    /// That are kept.
    pub(super) events: u64,
    /// Deliveries that are not finished.
    pub(super) pending: u64,
}

impl Api {
    /// `None` where it does not say.
    pub(super) fn counts(&self) -> Option<Counts> {
        let said = self.get("/v1/admin/status", &self.operator)?;
        let number = |name: &str| said[name].as_u64();
        Some(Counts { commits: number("commits")?, events: number("events")?, pending: number("pending")? })
    }

    /// One answer on a connection of its own; `None` unless it is 200 with JSON.
    pub(super) fn get(&self, path: &str, key: &str) -> Option<Value> {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n", self.address);
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        read(&answer)
    }
}

fn read(answer: &str) -> Option<Value> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| serde_json::from_str(body).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_found_is_an_answer() {
        assert_eq!(read("HTTP/1.1 200 OK\r\na: b\r\n\r\n{\"a\":1}"), Some(serde_json::json!({"a": 1})));
        assert_eq!(read("HTTP/1.1 404 Not Found\r\na: b\r\n\r\n{\"a\":1}"), None);
        assert_eq!(read("HTTP/1.1 200 OK\r\na: b\r\n\r\n{"), None);
    }
}

//! A name server that answers by a script, for names that lead to private addresses.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Answers A and AAAA questions over UDP until it is dropped. Names without a script do not exist.
pub(crate) struct NameServer {
    address: SocketAddr,
    scripts: Scripts,
    task: JoinHandle<()>,
}

/// By name, the lists of addresses to answer with. Each question of a family gets the next list; the last list stays.
type Scripts = Arc<Mutex<HashMap<String, Vec<Vec<IpAddr>>>>>;

impl NameServer {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("bound");
        let scripts = Scripts::default();
        let task = tokio::spawn(answer_all(socket, Arc::clone(&scripts)));
        Self { address, scripts, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets what a name leads to. Each question about IPv4 gets the next list; questions about IPv6 get those of the last list.
    pub(crate) fn script(&self, name: &str, answers: &[&[&str]]) {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().expect("an address")).collect();
        self.scripts.lock().expect("no panic in between").insert(name.to_owned(), answers.iter().map(parse).collect());
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer_all(socket: UdpSocket, scripts: Scripts) {
    let mut buffer = [0; 1024];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        if let Some(answer) = answer(&buffer[..length], &scripts) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// The answer to a message with one question (RFC 1035 section 4): the question again, and a record for each address.
fn answer(query: &[u8], scripts: &Scripts) -> Option<Vec<u8>> {
    let (name, end) = question(query)?;
    let kind = u16::from_be_bytes(query.get(end..end + 2)?.try_into().ok()?);
    let addresses = addresses(&name, kind, scripts);
    let code = if addresses.is_none() { NAME_ERROR } else { 0 };
    let records: Vec<_> = addresses.unwrap_or_default().into_iter().map(record).collect();
    let mut message = query[..2].to_vec();
    message.extend([0x85, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    message.extend(&query[HEADER..end + 4]);
    message.extend(records.concat());
    Some(message)
}

/// The name of the question in lower case, and where the question's type stands.
fn question(query: &[u8]) -> Option<(String, usize)> {
    let mut at = HEADER;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
}

fn addresses(name: &str, kind: u16, scripts: &Scripts) -> Option<Vec<IpAddr>> {
    let mut scripts = scripts.lock().expect("no panic in between");
    let script = scripts.get_mut(name)?;
    let list = if kind == A && script.len() > 1 { script.remove(0) } else { script.last()?.clone() };
    Some(
        list.into_iter()
            .filter(|address| if kind == A { address.is_ipv4() } else { kind == AAAA && address.is_ipv6() })
            .collect(),
    )
}

/// A record of the name in the question, with a time to live of zero.
fn record(address: IpAddr) -> Vec<u8> {
    let (kind, bytes) = match address {
        IpAddr::V4(address) => (A, address.octets().to_vec()),
        IpAddr::V6(address) => (AAAA, address.octets().to_vec()),
    };
    let head = [0xc0, HEADER as u8, 0, kind as u8, 0, 1, 0, 0, 0, 0, 0, bytes.len() as u8];
    [&head[..], &bytes].concat()
}

const HEADER: usize = 12;
const A: u16 = 1;
const AAAA: u16 = 28;
const NAME_ERROR: u8 = 3;

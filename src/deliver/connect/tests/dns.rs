//! A name server that answers by a script.

use std::sync::Mutex;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

use super::*;

/// The answer to one query.
pub(super) enum Answer {
    /// The addresses of the family that was asked for.
    Addresses(Vec<IpAddr>),
    /// An alias for another name, together with that name's addresses.
    Alias(&'static str, Vec<IpAddr>),
    Code(ResponseCode),
    /// A truncated answer, which asks the client to use TCP, where nobody listens.
    Truncated,
    Silence,
}

/// The server's address, and the names that it was asked for.
pub(super) struct Dns {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Dns {
    /// `script` gets a query's type, and how many queries of that type came before it.
    pub(super) async fn new(ttl: u32, script: impl Fn(RecordType, usize) -> Answer + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let dns = Self { address: socket.local_addr().unwrap(), asked: Arc::default() };
        let asked = Arc::clone(&dns.asked);
        tokio::spawn(async move {
            let (mut buffer, mut v4, mut v6) = ([0; 1_500], 0, 0);
            while let Ok((bytes, from)) = socket.recv_from(&mut buffer).await {
                let query = Message::from_vec(&buffer[..bytes]).unwrap();
                let (name, kind) = (query.queries[0].name().clone(), query.queries[0].query_type());
                asked.lock().unwrap().push(name.to_string());
                let count = if kind == RecordType::A { &mut v4 } else { &mut v6 };
                if let Some(reply) = reply(query, name, ttl, script(kind, *count)) {
                    socket.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
                }
                *count += 1;
            }
        });
        dns
    }

    /// A server that gives the same answer to every query.
    pub(super) async fn always(answer: impl Fn() -> Answer + Send + 'static) -> Self {
        Self::new(60, move |_, _| answer()).await
    }

    pub(super) async fn with_addresses(addresses: &[&str]) -> Self {
        let addresses = ips(addresses);
        Self::always(move || Answer::Addresses(addresses.clone())).await
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub(super) fn ips(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|ip| ip.parse().unwrap()).collect()
}

fn reply(query: Message, name: Name, ttl: u32, answer: Answer) -> Option<Message> {
    let kind = query.queries[0].query_type();
    let mut reply = query.into_response();
    reply.metadata.recursion_available = true;
    let records = |name: Name, list: Vec<IpAddr>| {
        let of_kind = list.into_iter().filter(move |ip| ip.is_ipv4() == (kind == RecordType::A));
        of_kind.map(move |ip| Record::from_rdata(name.clone(), ttl, data(ip))).collect::<Vec<_>>()
    };
    match answer {
        Answer::Silence => return None,
        Answer::Code(code) => reply.metadata.response_code = code,
        Answer::Truncated => reply.metadata.truncation = true,
        Answer::Addresses(list) => reply.answers = records(name, list),
        Answer::Alias(to, list) => {
            let to = Name::from_ascii(to).unwrap();
            reply.answers = vec![Record::from_rdata(name, ttl, RData::CNAME(CNAME(to.clone())))];
            reply.answers.extend(records(to, list));
        }
    }
    Some(reply)
}

fn data(ip: IpAddr) -> RData {
    match ip {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    }
}

//! Reads a live stream as a client does that knows no more than the rules of server-sent events.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use super::{Answer, Client};

/// One event of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) data: Value,
}

/// A stream that is open.
pub(crate) struct Stream {
    body: Incoming,
    text: String,
    come: VecDeque<Event>,
    /// The last id that it gave, also without an event.
    pub(crate) last_id: String,
    /// How many comments it gave.
    pub(crate) comments: usize,
}

impl Client {
    /// Opens a stream, which must be taken.
    pub(crate) async fn stream(&self, path: &str) -> Stream {
        match self.try_stream(path).await {
            Ok(stream) => stream,
            Err(answer) => panic!("{path}: {} {}", answer.status, answer.text()),
        }
    }

    /// Opens a stream. An answer that is none is given back.
    pub(crate) async fn try_stream(&self, path: &str) -> Result<Stream, Answer> {
        let mut connection = self.connect().await.expect("a connection");
        let mut request = Request::get(path).header("host", "127.0.0.1");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::new())).expect("a request");
        let (head, body) = connection.sender.send_request(request).await.expect("an answer").into_parts();
        if head.status != StatusCode::OK {
            let body = body.collect().await.expect("a body").to_bytes();
            return Err(Answer { status: head.status.as_u16(), headers: head.headers, body });
        }
        assert_eq!(head.headers["content-type"], "text/event-stream");
        let mut stream = Stream { body, text: String::new(), come: VecDeque::new(), last_id: String::new(), comments: 0 };
        // What is published from here on is in it.
        while stream.last_id.is_empty() {
            assert!(stream.read().await, "the stream begins with an id");
        }
        Ok(stream)
    }

    /// Opens a stream where another one was.
    pub(crate) async fn stream_behind(&self, path: &str, id: &str) -> Stream {
        self.clone().with_header("last-event-id", id).stream(path).await
    }
}

impl Stream {
    /// The next event.
    pub(crate) async fn next(&mut self) -> Event {
        let next = timeout(WITHIN, async {
            while self.come.is_empty() {
                assert!(self.read().await, "the stream has ended");
            }
            self.come.pop_front().expect("an event")
        });
        next.await.expect("an event in time")
    }

    /// The next events up to the first that is as wanted, which is the last of them.
    pub(crate) async fn until(&mut self, is_wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut all = Vec::new();
        loop {
            all.push(self.next().await);
            if is_wanted(&all[all.len() - 1]) {
                return all;
            }
        }
    }

    /// What comes within a time.
    pub(crate) async fn within(&mut self, time: Duration) -> Vec<Event> {
        let _ = timeout(time, async { while self.read().await {} }).await;
        self.come.drain(..).collect()
    }

    /// Waits until the service ends the stream.
    pub(crate) async fn ended(&mut self, within: Duration) -> bool {
        timeout(within, async { while self.read().await {} }).await.is_ok()
    }

    /// Reads a piece. False at the end.
    async fn read(&mut self) -> bool {
        let Some(Ok(frame)) = self.body.frame().await else { return false };
        self.text.push_str(std::str::from_utf8(frame.data_ref().map_or(&[][..], |data| data)).expect("UTF-8"));
        while let Some((block, rest)) = self.text.split_once("\n\n") {
            let (block, rest) = (block.to_owned(), rest.to_owned());
            self.take(&block);
            self.text = rest;
        }
        true
    }

    fn take(&mut self, block: &str) {
        let (mut kind, mut data) = (String::new(), None);
        for line in block.lines() {
            match line.split_once(": ") {
                Some(("", _)) => self.comments += 1,
                Some(("event", name)) => kind = name.to_owned(),
                Some(("id", id)) => self.last_id = id.to_owned(),
                Some(("data", json)) => data = Some(serde_json::from_str(json).expect("JSON")),
                Some(("retry", _)) => {}
                other => panic!("{other:?} in {block}"),
            }
        }
        if let Some(data) = data {
            self.come.push_back(Event { kind, data });
        }
    }
}

const WITHIN: Duration = Duration::from_secs(20);

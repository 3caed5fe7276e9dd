//! `tail`: what it prints, how it comes back to a service that restarted, and how it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver as Lines, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::api::text;
use crate::harness::config::Config;
use crate::harness::ran;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

/// A run of `tail`, which is killed with this.
struct Tail {
    child: Child,
    lines: Lines<String>,
}

impl Tail {
    fn start(service: &Service, arguments: &[&str]) -> Self {
        let mut command = ran::command();
        command.current_dir(service.folder()).arg("tail").args(arguments).args(["--socket", "admin.sock"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let stdout = child.stdout.take().expect("piped");
        let (told, lines) = channel();
        thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(20)).expect("a line in time")
    }

    fn json(&self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The next rows up to an end of a delivery, which is the last of them.
    fn until_end(&self) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        while all.last().is_none_or(|row| row["type"] != "delivery" || row["status"] != "succeeded") {
            all.push(self.json());
        }
        all
    }

    /// ^C; the exit code, and all of stderr.
    fn interrupt(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        let status = std::process::Command::new("kill").args(["-s", "INT", &pid]).status().expect("kill is there");
        assert!(status.success());
        let code = self.child.wait().expect("it ends").code();
        let mut said = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
        (code, said)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tail_prints_a_line_for_each_thing_that_happens() {
    let receiver = Receiver::start().await;
    receiver.script("/", [Reply::status(503), Reply::status(204)]);
    let service = Service::start(&Config::retrying(&["300ms"])).await;
    let acme = service.acme();
    acme.subscribe(&receiver.url("/"), &["*"]).await;
    let tail = Tail::start(&service, &["--tenant", "shop/acme", "--type", "order.*"]);
    let ready = Tail::start(&service, &["--tenant", "shop/acme", "--json"]);
    assert_eq!(ready.json(), json!({"type": "ready"}));
    let mut first = String::new();
    // The other one may be a little later.
    while first.is_empty() {
        acme.publish_new("order.paid").await;
        first = tail.lines.recv_timeout(Duration::from_secs(2)).unwrap_or_default();
    }
    let lines = [first, tail.line(), tail.line(), tail.line(), tail.line()];
    let words = ["new", "[503]", "waits", "[204]", "succeeded"];
    for (line, word) in lines.iter().zip(words) {
        assert!(line[10..].starts_with(word) && line.contains("order.paid") && line.contains("dlv_"), "{line} is no {word}");
        assert!(line.contains(&receiver.url("/")), "{line}");
    }
    assert!(lines[1].contains("attempt 1, ") && lines[2].contains("next in "), "{lines:?}");
    let (code, said) = tail.interrupt();
    assert_eq!((code, said.as_str()), (Some(0), ""), "^C is how it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tail_comes_back_and_says_so() {
    let receiver = Receiver::start().await;
    let mut service = Service::start(&Config::quick().tenant("bolt")).await;
    let acme = service.acme();
    acme.subscribe(&receiver.url("/"), &["*"]).await;
    let tail = Tail::start(&service, &["--all", "--json"]);
    assert_eq!(tail.json(), json!({"type": "ready"}));
    let first = acme.publish_new("a.b").await;
    let rows = tail.until_end();
    assert_eq!(rows.iter().map(|row| text(&row["type"])).collect::<Vec<_>>(), ["delivery", "attempt", "delivery"]);
    assert!(rows.iter().all(|row| row["event_id"] == *first && row["tenant"] == "acme"), "{rows:?}");
    service.kill9();
    assert_eq!(tail.json(), json!({"type": "reconnecting"}));
    service.start_again().await;
    let second = service.acme().publish_new("a.b").await;
    assert_eq!(tail.json(), json!({"type": "ready"}));
    let rows = tail.until_end();
    assert!(rows.iter().all(|row| row["event_id"] == *second), "nothing comes twice: {rows:?}");
    assert!(rows.iter().any(|row| row["type"] == "attempt"));
    let (code, said) = tail.interrupt();
    assert_eq!(code, Some(0));
    assert!(said.contains("connecting again"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tail_says_why_it_cannot_begin() {
    let mut service = Service::start(&Config::quick()).await;
    service.cli(&["tail", "--tenant", "shop/acne"]).expect(1).complains(&["did you mean `acme`"]);
    service.cli(&["tail", "--webhook", "nobody", "--tenant", "shop/acme"]).expect(1).complains(&["nobody"]);
    service.kill9();
    service.cli(&["tail"]).expect(69).complains(&["no hookwheel service answers"]);
}

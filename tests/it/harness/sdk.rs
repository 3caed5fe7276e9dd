//! Receivers in other languages: the programs of `tests/sdk/`, which know nothing of this crate.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use super::api::WITHIN;
use super::client::{Address, Client};

/// A running receiver. It ends when it is dropped.
pub(crate) struct Sdk {
    child: Child,
    says: Receiver<String>,
    hears: ChildStdin,
    address: SocketAddr,
}

impl Sdk {
    pub(crate) fn python(program: &str) -> Self {
        Self::start(Command::new(root().join("target/venv/bin/python")).arg(sdk(program)))
    }

    pub(crate) fn node(program: &str) -> Self {
        Self::start(node().arg(sdk(program)))
    }

    fn start(command: &mut Command) -> Self {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}; tests/install installs it"));
        let hears = child.stdin.take().expect("piped");
        let (sender, says) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        std::thread::spawn(move || lines.for_each(|line| drop(sender.send(line))));
        let line = says.recv_timeout(WITHIN).unwrap_or_else(|_| panic!("{command:?} does not say where it listens"));
        let port: u16 = line.trim_start_matches("listening ").parse().unwrap_or_else(|_| panic!("{line:?}"));
        Self { child, says, hears, address: ([127, 0, 0, 1], port).into() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Tells a judge the secret that it must verify requests with from now on.
    pub(crate) fn knows(&mut self, judge: &str, secret: &str) {
        writeln!(self.hears, "{judge} {secret}").expect("it listens");
        assert_eq!(self.says.recv_timeout(WITHIN).as_deref(), Ok("ok"));
    }

    /// Sends a request past the relay, as a forger or a replay would. Returns the status of the answer.
    pub(crate) async fn status(&self, path: &str, headers: &[(String, String)], body: &str) -> u16 {
        let client = Client::of_another(Address::Tcp(self.address));
        let client = headers.iter().fold(client, |client, (name, value)| client.with_header(name, value));
        client.send(http::Method::POST, path, "application/json", body.to_owned().into()).await.status
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Node with the packages of `tests/sdk/package.json`.
pub(crate) fn node() -> Command {
    let mut command = Command::new("node");
    command.env("NODE_PATH", root().join("target/sdk/node_modules"));
    command
}

fn sdk(program: &str) -> PathBuf {
    root().join("tests/sdk").join(program)
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

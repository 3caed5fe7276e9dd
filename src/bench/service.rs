//! hookwheel under measurement: `serve` as it is shipped, on a config that differs from the defaults in what [`DIFFERENCES`] says.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use serde_json::Value;

use super::plan::{self, Load};
use super::{Error, part};

/// What differs from a config that says nothing.
pub(super) const DIFFERENCES: &str = "allow_private = [\"127.0.0.0/8\"]";

/// The same where there is one endpoint.
pub(super) const ONE_ENDPOINT_DIFFERENCE: &str = "in_flight_per_endpoint";

/// A running service. Dropping it kills the process, waits for it and removes its folder.
pub(super) struct Service {
    child: Child,
    address: SocketAddr,
    operator: String,
    pub(super) publisher_key: String,
    folder: Folder,
}

impl Service {
    /// Starts it on an empty store in a folder of its own below `dir`, and waits until it is ready.
    pub(super) fn start(dir: &Path, load: &Load, receiver_port: u16) -> Result<Self, Error> {
        let folder = Folder::make(dir)?;
        let [operator, publisher_key] = [key()?, key()?];
        folder.write("operator.key", &operator)?;
        folder.write("publisher.key", &publisher_key)?;
        folder.write(CONFIG, &config(load, receiver_port))?;
        let mut command = part::this_binary()?;
        command.args(["serve", "-c", CONFIG]).current_dir(&folder.0).stdin(Stdio::null()).stdout(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HOOKWHEEL_")) {
            command.env_remove(name);
        }
        let mut child = command.env("NO_COLOR", "1").stderr(Stdio::piped()).spawn().map_err(Error::io("start hookwheel"))?;
        let log = child.stderr.take();
        // From here on the process ends with the value.
        let mut service = Self { child, address: SocketAddr::from(([0, 0, 0, 0], 0)), operator, publisher_key, folder };
        service.address = until_ready(log)?;
        Ok(service)
    }

    /// The number of its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that its store takes up on disk.
    pub(super) fn store_bytes(&self) -> u64 {
        fs::metadata(self.folder.0.join(STORE)).map_or(0, |found| found.blocks() * BLOCK_BYTES)
    }

    /// Commits since it started; `None` where it does not say.
    pub(super) fn commits(&self) -> Option<u64> {
        let request = format!(
            "GET /v1/admin/status HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
            self.address, self.operator
        );
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let said: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
        said["commits"].as_u64()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        part::end(&mut self.child);
    }
}

/// Reads the log until it says `ready`, and goes on reading so that the service never waits for a reader.
fn until_ready(log: Option<ChildStderr>) -> Result<SocketAddr, Error> {
    let (to, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let lines = log.into_iter().flat_map(|log| BufReader::new(log).lines().map_while(Result::ok));
        // Nobody listens once it is ready.
        lines.for_each(|line| drop(to.send(line)));
    });
    let (mut said, mut address) = (String::new(), None);
    loop {
        match lines.recv_timeout(START_MAX) {
            Ok(line) if line.ends_with(" ready") && address.is_some() => break,
            Ok(line) => {
                address = address.or_else(|| line.split_once("listening on http://")?.1.trim().parse().ok());
                said.push_str(&line);
                said.push('\n');
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(Error::Service(said)),
        }
    }
    address.ok_or(Error::Service(said))
}

fn config(load: &Load, receiver_port: u16) -> String {
    let slots = match load.endpoints.count {
        1 => format!("{ONE_ENDPOINT_DIFFERENCE} = {}\n", load.slots()),
        _ => String::new(),
    };
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_socket = \"admin.sock\"\n\
         [storage]\npath = \"{STORE}\"\n\
         [delivery]\n{DIFFERENCES}\n{slots}\
         [operator]\nkeys = [{{ name = \"bench\", secret_file = \"operator.key\" }}]\n\
         [[provider]]\nname = \"bench\"\ndialect = \"standard\"\n\
         [[provider.tenant]]\nid = \"bench\"\nkeys = [{{ name = \"bench\", secret_file = \"publisher.key\" }}]\n"
    );
    for number in 0..load.endpoints.count {
        let (address, kind) = (plan::address(number, receiver_port), load.kind(number));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "[[provider.tenant.webhook]]\nname = \"w{number}\"\nurl = \"http://{address}/\"\nevents = [\"{kind}\"]"
        );
    }
    text
}

fn key() -> Result<String, Error> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|cause| Error::io("draw a key")(io::Error::other(cause)))?;
    Ok(hex::encode(random))
}

/// A folder that is removed with the value.
struct Folder(PathBuf);

impl Folder {
    fn make(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(format!("hookwheel-bench-{}", std::process::id()));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(Error::io(format!("make the folder {}", path.display())))?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.0.join(name);
        let mut options = fs::OpenOptions::new();
        let file = options.create_new(true).write(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(Error::io(format!("write {}", path.display())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it is seen by whoever named the folder.
        drop(fs::remove_dir_all(&self.0));
    }
}

const CONFIG: &str = "hookwheel.toml";
const STORE: &str = "hookwheel.redb";

/// The unit of a file's blocks, whatever the disk's is (stat(2)).
const BLOCK_BYTES: u64 = 512;

/// Between two lines of a starting service: many webhooks take a while to be written.
const START_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::plan::{End, Endpoints};

    fn text(count: u32, fan_out: bool) -> String {
        let endpoints = Endpoints::all_healthy(count);
        let load = Load { connections: 1, rate: 0.0, end: End::Events(1), batch: 1, endpoints, fan_out, data: String::new() };
        config(&load, 9000)
    }

    #[test]
    fn the_config_differs_in_what_is_said_to_differ() {
        let one = text(1, false);
        assert!(one.contains("[delivery]\nallow_private = [\"127.0.0.0/8\"]\nin_flight_per_endpoint = 256\n["), "{one}");
        assert!(text(2, false).contains("[delivery]\nallow_private = [\"127.0.0.0/8\"]\n["));
    }

    #[test]
    fn every_endpoint_has_an_origin_and_a_type() {
        let two = text(2, false);
        assert!(two.ends_with("name = \"w1\"\nurl = \"http://127.1.0.1:9000/\"\nevents = [\"bench.1\"]\n"), "{two}");
        assert_eq!(text(2, true).matches("events = [\"bench.all\"]").count(), 2);
    }
}

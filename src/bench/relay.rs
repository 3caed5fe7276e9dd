//! The relay that is measured, in a process of its own: forward-only, or hookwheel as it is shipped.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::load::Load;
use super::process::memory_bytes;
use super::report::Run;
use super::site::{self, Site};
use super::{Error, Plan};
use crate::clock;

/// A relay that is ready. Dropping it kills the process, waits for its end and removes its folder.
pub(super) struct Relay {
    child: Child,
    pub(super) address: SocketAddr,
    /// The folder of hookwheel.
    pub(super) site: Option<Site>,
    /// From the start of the process until it said that it is ready.
    pub(super) start_to_ready: Duration,
    /// Bytes of memory that it held then.
    pub(super) idle_bytes: u64,
}

impl Relay {
    pub(super) fn start(run: Run, plan: &Plan, load: &Load, receiver_port: u16) -> Result<Self, Error> {
        let site = (run == Run::Store).then(|| Site::make(&plan.dir, load, receiver_port)).transpose()?;
        let started = clock::steady();
        let mut child = command(site.as_ref(), load, receiver_port)?.spawn().map_err(Error::io("start the relay"))?;
        let log = child.stderr.take();
        // From here on the process ends with the value.
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let mut relay = Self { child, address: nowhere, site, start_to_ready: Duration::ZERO, idle_bytes: 0 };
        relay.address = until_ready(log).map_err(|said| Error::Start { run, said })?;
        relay.start_to_ready = clock::steady().saturating_duration_since(started);
        [relay.idle_bytes, _] = memory_bytes(relay.id());
        Ok(relay)
    }

    /// The number of its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // An error means that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// This very program, whatever its file is called, as `serve` in the folder or as the forward-only relay.
fn command(site: Option<&Site>, load: &Load, receiver_port: u16) -> Result<Command, Error> {
    let mut command = std::env::current_exe().map(Command::new).map_err(Error::io("find this program's own file"))?;
    match site {
        Some(site) => command.args(["serve", "-c", site::CONFIG]).current_dir(&site.folder).stdin(Stdio::null()),
        None => {
            let orders = [load.endpoints.count.to_string(), receiver_port.to_string(), load.slots().to_string()];
            // It ends with its stdin, and so with this process.
            command.arg("bench-forward").args(orders).stdin(Stdio::piped())
        }
    };
    command.env_clear().env("NO_COLOR", "1").stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(command)
}

/// Reads a relay's log until it says `ready`, and returns the address that it listens on, or else all that it said. A thread goes
/// on reading behind that, so that the relay never waits for a reader.
fn until_ready(log: Option<ChildStderr>) -> Result<SocketAddr, String> {
    let mut lines = log.into_iter().flat_map(|log| BufReader::new(log).lines().map_while(Result::ok));
    let (mut said, mut address) = (String::new(), None);
    for line in lines.by_ref() {
        if let Some(address) = address.filter(|_| line.ends_with("ready")) {
            thread::spawn(move || lines.for_each(drop));
            return Ok(address);
        }
        address = address.or_else(|| line.split_once("listening on http://")?.1.trim().parse().ok());
        said.extend([&line, "\n"]);
    }
    Err(said)
}

//! hookwheel under measurement: `serve` as it is shipped, in the folder of a [`Site`].

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::ask::Api;
use super::machine::{self, Memory};
use super::site::{self, Site};
use super::{Error, part};
use crate::clock;

/// A running service. Dropping it kills the process, waits for it and removes its folder.
pub(super) struct Service {
    child: Child,
    pub(super) api: Api,
    /// From the start of the process until it says that it is ready.
    pub(super) start_to_ready: Duration,
    /// What it holds when it is ready and has nothing to do yet.
    pub(super) idle: Memory,
    pub(super) site: Site,
}

impl Service {
    /// Starts it on the site's store, or on a new one, and waits until it is ready.
    pub(super) fn start(site: Site) -> Result<Self, Error> {
        let mut command = part::this_binary()?;
        command.args(["serve", "-c", site::CONFIG]).current_dir(site.folder()).stdin(Stdio::null()).stdout(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HOOKWHEEL_")) {
            command.env_remove(name);
        }
        let started = clock::steady();
        let mut child = command.env("NO_COLOR", "1").stderr(Stdio::piped()).spawn().map_err(Error::io("start hookwheel"))?;
        let log = child.stderr.take();
        let api = Api { address: SocketAddr::from(([0, 0, 0, 0], 0)), operator: site.operator.clone() };
        // From here on the process ends with the value.
        let mut service = Self { child, api, start_to_ready: Duration::ZERO, idle: Memory::default(), site };
        service.api.address = until_ready(log)?;
        service.start_to_ready = clock::steady().saturating_duration_since(started);
        service.idle = machine::memory(service.id());
        Ok(service)
    }

    /// The number of its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
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

/// Between two lines of a starting service: many webhooks take a while to be written.
const START_MAX: Duration = Duration::from_secs(60);

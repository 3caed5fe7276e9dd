//! hookwheel under measurement: `serve` in a folder of its own, which is removed in the end.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::http::Messages;
use crate::receiver::address;
use crate::{Result, say};

/// A folder with a config, a key and perhaps a store. It is removed with the value.
pub(crate) struct Site {
    binary: PathBuf,
    folder: TempDir,
}

/// What a config says besides its webhooks.
pub(crate) struct Settings<'a> {
    pub(crate) endpoints: u32,
    pub(crate) receiver_port: u16,
    /// Lines of `[storage]`.
    pub(crate) storage: &'a str,
    /// A pause before the one retry; `None`: the standard dialect's schedule.
    pub(crate) retry: Option<&'a str>,
}

/// A running service. Dropping it kills the process, as `kill -9` does, and waits for its end.
pub(crate) struct Service {
    child: Child,
    folder: PathBuf,
    pub(crate) address: SocketAddr,
    /// From the start of the process until it said that it is ready.
    pub(crate) start_to_ready: Duration,
}

/// What the service counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Events that are kept.
    pub(crate) events: u64,
    /// Deliveries that are not finished.
    pub(crate) pending: u64,
}

impl Site {
    pub(crate) fn make(binary: &Path, dir: &Path, settings: &Settings<'_>) -> Result<Self> {
        let binary = fs::canonicalize(binary).map_err(|cause| format!("cannot use {}: {cause}", binary.display()))?;
        let made = tempfile::Builder::new().prefix("hookwheel-bench-").tempdir_in(dir);
        let folder = made.map_err(|cause| format!("cannot make a folder in {}: {cause}", dir.display()))?;
        for (name, text) in [(KEY_FILE, KEY), (CONFIG, &config(settings))] {
            let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(folder.path().join(name));
            file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|cause| format!("cannot write {name}: {cause}"))?;
        }
        Ok(Self { binary, folder })
    }

    /// Starts the service and waits until it is ready.
    pub(crate) fn start(&self) -> Result<Service> {
        let started = Instant::now();
        let mut command = Command::new(&self.binary);
        command.args(["serve", "-c", CONFIG]).current_dir(self.folder.path()).env_clear().env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|cause| format!("cannot start {}: {cause}", self.binary.display()))?;
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let folder = self.folder.path().to_owned();
        let mut service = Service { child, folder, address: nowhere, start_to_ready: Duration::ZERO };
        service.address = until_ready(service.child.stderr.take())?;
        service.start_to_ready = started.elapsed();
        Ok(service)
    }

    /// Bytes on disk of the store and of the files beside it that begin with its name.
    pub(crate) fn store_bytes(&self) -> u64 {
        let all = fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        let of_store = all.filter(|file| file.file_name().to_string_lossy().starts_with(STORE));
        of_store.filter_map(|file| file.metadata().ok()).map(|found| found.blocks() * BLOCK_BYTES).sum()
    }
}

impl Service {
    /// Asks the admin socket, where no key is needed.
    pub(crate) fn counts(&self) -> Result<Counts> {
        let stream = UnixStream::connect(self.folder.join(SOCKET))?;
        let status = Messages::new(stream).get("/v1/admin/status", "")?;
        let number = |name: &str| status[name].as_u64().ok_or_else(|| format!("the status has no number of {name}"));
        Ok(Counts { events: number("events")?, pending: number("pending")? })
    }

    /// Waits until so many deliveries are not finished, or none is finished for a while.
    pub(crate) fn wait_for_pending(&self, pending: u64) -> Result<()> {
        let (mut before, mut since) = (u64::MAX, Instant::now());
        loop {
            let now = self.counts()?.pending;
            if now <= pending {
                return Ok(());
            }
            if now != before {
                (before, since) = (now, Instant::now());
            }
            if since.elapsed() > PATIENCE {
                return Err(format!("{now} deliveries wait, and {pending} should").into());
            }
            thread::sleep(LOOK);
        }
    }

    /// One call of the API, with the key of the tenant, on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        Ok(Messages::new(TcpStream::connect(self.address)?).get(path, KEY)?)
    }

    /// Bytes of memory that the process holds, and the most that it has held.
    pub(crate) fn memory(&self) -> [u64; 2] {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
        ["VmRSS:", "VmHWM:"].map(|name| line(name).unwrap_or(0) * 1024)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // An error means that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn config(settings: &Settings<'_>) -> String {
    let retry = settings.retry.map(|pause| {
        format!("[dialect.bench]\nextends = \"standard\"\n[dialect.bench.retry]\nschedule = [\"{pause}\"]\njitter = 0.0\n")
    });
    let dialect = if retry.is_some() { "bench" } else { "standard" };
    let slots = if settings.endpoints == 1 { "in_flight_per_endpoint = 256\n" } else { "" };
    let webhook = |number: u32| {
        let address = address(number, settings.receiver_port);
        format!("[[provider.tenant.webhook]]\nname = \"w{number}\"\nurl = \"http://{address}/\"\nevents = [\"bench.{number}\"]\n")
    };
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_socket = \"{SOCKET}\"\n[storage]\npath = \"{STORE}\"\n{}\n\
         [delivery]\nallow_private = [\"127.0.0.0/8\"]\n{slots}{}[[provider]]\nname = \"bench\"\ndialect = \"{dialect}\"\n\
         [[provider.tenant]]\nid = \"bench\"\nkeys = [{{ name = \"bench\", secret_file = \"{KEY_FILE}\" }}]\n{}",
        settings.storage,
        retry.unwrap_or_default(),
        (0..settings.endpoints).map(webhook).collect::<String>()
    )
}

/// Reads the log until it says `ready`, and returns the address that the service listens on. A thread goes on reading behind that,
/// so that the service never waits for a reader.
fn until_ready(log: Option<ChildStderr>) -> Result<SocketAddr> {
    let mut lines = log.into_iter().flat_map(|log| BufReader::new(log).lines().map_while(std::result::Result::ok));
    let (mut said, mut address) = (String::new(), None);
    for line in lines.by_ref() {
        if let Some(address) = address.filter(|_| line.ends_with(" ready")) {
            thread::spawn(move || lines.filter(|line| line.contains("ERROR")).for_each(|line| say(&line)));
            return Ok(address);
        }
        address = address.or_else(|| line.split_once("listening on http://")?.1.trim().parse().ok());
        said.extend([&line, "\n"]);
    }
    Err(format!("hookwheel did not start; it said:\n{said}").into())
}

/// The one key, for loopback and the length of a measurement.
pub(crate) const KEY: &str = "bench0bench0bench0bench0bench0bench0bench0bench0bench0bench0benc";

const KEY_FILE: &str = "publisher.key";
const CONFIG: &str = "hookwheel.toml";
const SOCKET: &str = "admin.sock";
const STORE: &str = "hookwheel.redb";

/// The unit of a file's blocks, whatever the disk's is (stat(2)).
const BLOCK_BYTES: u64 = 512;

/// How long nothing may change before what is missing never comes.
const PATIENCE: Duration = Duration::from_secs(30);

const LOOK: Duration = Duration::from_millis(20);

//! The built binary as a service, in a folder of its own that is removed with it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use tempfile::TempDir;

use super::client::{Address, Answer, Client};
use super::config::{self, Config};
use super::disk::Disk;
use super::disk::medium::Medium;
use super::eventually;
use super::ran::{self, Ran};
use super::turn::{self, Turn};

/// A service that is ready. Dropping it kills the process, waits for its end, and removes the folder.
pub(crate) struct Service {
    process: Process,
    address: SocketAddr,
    folder: TempDir,
    environment: Vec<(String, String)>,
    setting: Setting,
    _turn: Turn,
}

/// The surroundings in which a service is started.
#[derive(Default)]
struct Setting {
    /// The disk that the service runs on, if it has one of its own.
    disk: Option<Disk>,
    /// The most files that the service may have open.
    files: Option<u32>,
    /// Words before the binary that start it, such as a tracer.
    behind: Vec<String>,
}

impl Service {
    /// Starts a service beside the services of other tests.
    pub(crate) async fn start(config: &Config) -> Self {
        Self::start_in_turn(config, turn::shared().await).await
    }

    pub(crate) async fn start_in_turn(config: &Config, turn: Turn) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::start_in(folder, config, Vec::new(), Setting::default(), turn).await
    }

    /// Starts a service with a limit of open files.
    pub(crate) async fn start_with_files(config: &Config, files: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let setting = Setting { files: Some(files), ..Setting::default() };
        Self::start_in(folder, config, Vec::new(), setting, turn::shared().await).await
    }

    /// Starts a service with its store on a disk of `mebibytes`. `None`, with a message, for a user who may not mount a disk.
    pub(crate) async fn start_on_disk(config: &Config, mebibytes: u32) -> Option<Self> {
        let turn = turn::shared().await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let disk = Disk::mount(folder.path(), mebibytes)?;
        let environment = vec![(STORAGE_PATH.to_owned(), format!("disk/{}", config::STORE))];
        let setting = Setting { disk: Some(disk), ..Setting::default() };
        Some(Self::start_in(folder, config, environment, setting, turn).await)
    }

    /// Starts a service with its store on a medium whose power can be cut, and behind the words of a tracer, if there are any.
    pub(crate) async fn start_on(medium: &Medium, config: &Config, tracer: &[String], turn: Turn) -> Self {
        let store = medium.folder().join(config::STORE).display().to_string();
        let environment = vec![(STORAGE_PATH.to_owned(), store)];
        let setting = Setting { behind: [&medium.inside(), tracer].concat(), ..Setting::default() };
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::start_in(folder, config, environment, setting, turn).await
    }

    /// Starts a service that sees files of its folder in place of files of the machine, by their paths. `None`, with a message,
    /// for a user who may not do that.
    pub(crate) async fn start_with_files_in_place(config: &Config, files: &[(&str, &str)]) -> Option<Self> {
        if fs::metadata("/proc/self").is_ok_and(|process| process.uid() != 0) {
            eprintln!("skipped: only root can put files in the place of others");
            return None;
        }
        let mounts: String = files.iter().map(|(file, path)| format!("mount --bind {file} {path} && ")).collect();
        let script = format!("{mounts}exec \"$0\" \"$@\"");
        let behind = ["unshare", "--mount", "sh", "-c", &script].map(str::to_owned).into();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let setting = Setting { behind, ..Setting::default() };
        Some(Self::start_in(folder, config, Vec::new(), setting, turn::shared().await).await)
    }

    /// Starts a service with additional environment, which it also has at every later start.
    pub(crate) async fn start_with(config: &Config, environment: &[(&str, &str)]) -> Self {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::start_in(folder, config, environment, Setting::default(), turn::shared().await).await
    }

    async fn start_in(
        folder: TempDir,
        config: &Config,
        environment: Vec<(String, String)>,
        setting: Setting,
        turn: Turn,
    ) -> Self {
        config.write(folder.path());
        let (process, address) = Process::start(folder.path(), &environment, &setting).await;
        Self { process, address, folder, environment, setting, _turn: turn }
    }

    /// Ends the process at once, as `kill -9` does.
    pub(crate) fn kill9(&mut self) {
        self.process.kill();
    }

    /// Starts the service again on the same files.
    pub(crate) async fn start_again(&mut self) {
        (self.process, self.address) = Process::start(self.folder.path(), &self.environment, &self.setting).await;
    }

    /// Starts the service again behind a tracer that may end it. Returns how it ended, if it did so before it was ready.
    pub(crate) async fn try_to_start_again(&mut self, tracer: &[String]) -> Option<ExitStatus> {
        let command = ran::command_behind(&[&self.setting.behind, tracer].concat());
        self.process = Process::spawn(command, self.folder.path(), &self.environment);
        match self.process.until_ready(self.folder.path(), &self.environment).await {
            Ok(address) => self.address = address,
            Err(ended) => return Some(ended),
        }
        None
    }

    /// Starts the service again with another config on the same store.
    pub(crate) async fn start_again_with(&mut self, config: &Config) {
        config.write(self.folder.path());
        self.start_again().await;
    }

    /// Sends a signal by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.child.id().to_string();
        let status = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid]).status().expect("sh is there");
        assert!(status.success(), "kill -s {name} {pid}");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Sends SIGTERM. Returns how the service ended, and after how long.
    pub(crate) async fn terminate(&mut self) -> (ExitStatus, Duration) {
        self.signal("TERM");
        self.ended().await
    }

    /// Waits until the service has ended by itself. Returns how it ended, and after how long.
    pub(crate) async fn ended(&mut self) -> (ExitStatus, Duration) {
        let since = Instant::now();
        let child = Mutex::new(&mut self.process.child);
        let exited = || async { child.lock().expect("no panic in between").try_wait().expect("a child of ours") };
        let status = eventually("the service ends", EXIT_MAX, exited).await;
        (status, since.elapsed())
    }

    /// Returns how the service ended by itself, if it did so within a time.
    pub(crate) async fn ended_within(&mut self, within: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + within;
        loop {
            let ended = self.process.child.try_wait().expect("a child of ours");
            if ended.is_some() || Instant::now() >= until {
                return ended;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Stops the service gracefully, and checks the closed store by `check --store`.
    pub(crate) async fn stop_and_check(&mut self) {
        let (status, _) = self.terminate().await;
        assert!(status.success(), "{status}\n{}", self.stderr());
        self.check_store();
    }

    /// Checks a store that nobody has open by `check --store`.
    pub(crate) fn check_store(&self) {
        let path = self.environment.iter().find(|(name, _)| name == STORAGE_PATH);
        let store = self.folder().join(path.map_or(config::STORE, |(_, path)| path));
        let mut command = ran::command_behind(&self.setting.behind);
        let output = command.args(["check", "--store"]).arg(store).output().expect("the binary starts");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "check --store: {}\n{said}", output.status);
    }

    /// Runs a command of the binary against this service.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let socket = self.folder().join(config::SOCKET);
        ran::command().args(arguments).env("HOOKWHEEL_SOCKET", socket).output().expect("the binary starts")
    }

    /// Runs a command of the binary as from a shell, in the service's folder.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Ran {
        ran::run(self.folder(), &[("HOOKWHEEL_SOCKET", config::SOCKET)], arguments)
    }

    /// A bare connection to the API.
    pub(crate) async fn connect(&self) -> tokio::net::TcpStream {
        tokio::net::TcpStream::connect(self.address).await.expect("the service listens")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The most memory in bytes that the process has had since its last start (`VmHWM`, proc_pid_status(5)).
    pub(crate) fn peak_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.child.id());
        let status = fs::read_to_string(path).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: u64 = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok()).expect("a number of kB");
        kib << 10
    }

    /// The beginning of the service's URLs.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client without a key.
    pub(crate) fn stranger(&self) -> Client {
        Client::new(Address::Tcp(self.address))
    }

    pub(crate) fn operator(&self) -> Client {
        self.stranger().with_key(&config::secret(config::OPERATOR))
    }

    pub(crate) fn provider(&self, name: &str) -> Client {
        self.stranger().with_key(&config::secret(name))
    }

    pub(crate) fn tenant(&self, provider: &str, id: &str) -> Client {
        self.stranger().with_key(&config::secret(&format!("{provider}-{id}")))
    }

    /// A client as tenant `acme` of provider `shop`, which most tests need.
    pub(crate) fn acme(&self) -> Client {
        self.tenant("shop", "acme")
    }

    /// A client over the admin socket, where file permissions are the authentication.
    pub(crate) fn admin(&self) -> Client {
        Client::new(Address::Unix(self.folder().join(config::SOCKET)))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The disk that the service was started on.
    pub(crate) fn disk(&self) -> &Disk {
        self.setting.disk.as_ref().expect("started on a disk")
    }

    /// The processor time that all threads of the service have used.
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.child.id())).expect("it runs");
        let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 =
            behind_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a count")).sum();
        // Linux reports it in hundredths of a second.
        Duration::from_millis(ticks * 10)
    }

    /// What the service has written to stderr since its last start.
    pub(crate) fn stderr(&self) -> String {
        self.process.stderr.text()
    }
}

struct Process {
    child: Child,
    stderr: Stderr,
}

impl Process {
    async fn start(folder: &Path, environment: &[(String, String)], setting: &Setting) -> (Self, SocketAddr) {
        let command = match setting {
            Setting { disk: Some(disk), .. } => disk.command(),
            Setting { files: Some(files), .. } => ran::command_with_files(*files),
            Setting { behind, .. } => ran::command_behind(behind),
        };
        let mut process = Self::spawn(command, folder, environment);
        let ready = process.until_ready(folder, environment).await;
        let address = ready.unwrap_or_else(|ended| panic!("the service ended: {ended}\n{}", process.stderr.text()));
        (process, address)
    }

    fn spawn(mut command: Command, folder: &Path, environment: &[(String, String)]) -> Self {
        command.args(["serve", "-c", config::FILE]).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let stderr = Stderr::new();
        let child = command.stderr(stderr.sink()).spawn().expect("the binary starts");
        Self { child, stderr }
    }

    /// Waits until the service is ready, and returns its address. Fails when it ends before.
    async fn until_ready(&mut self, folder: &Path, environment: &[(String, String)]) -> Result<SocketAddr, ExitStatus> {
        let address = self.address().await?;
        let other = environment.iter().find(|(name, _)| name == "HOOKWHEEL_SERVER_ADMIN_SOCKET");
        self.ready(folder.join(other.map_or(config::SOCKET, |(_, path)| path))).await?;
        Ok(address)
    }

    async fn address(&mut self) -> Result<SocketAddr, ExitStatus> {
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Some(address) = self.stderr.address() {
                return Ok(address);
            }
            self.must_live(deadline, "did not say where it listens")?;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn ready(&mut self, socket: PathBuf) -> Result<(), ExitStatus> {
        let deadline = Instant::now() + START_MAX;
        let client = Client::new(Address::Unix(socket));
        // A service without room for events is not ready, but does everything else.
        let ready = |answer: &Answer| answer.status == 200 || answer.text().contains("events are taken again");
        while !client.try_send(Method::GET, "/readyz", "", Bytes::new()).await.is_ok_and(|answer| ready(&answer)) {
            self.must_live(deadline, "is not ready")?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn must_live(&mut self, deadline: Instant, what: &str) -> Result<(), ExitStatus> {
        match self.child.try_wait().expect("a child of ours") {
            Some(ended) => Err(ended),
            None if Instant::now() < deadline => Ok(()),
            None => panic!("the service {what}\n{}", self.stderr.text()),
        }
    }

    fn kill(&mut self) {
        // An error means that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("stderr of the service:\n{}", self.stderr.text());
        }
    }
}

/// The stderr of a process: a file, so that a line can be read as soon as the process has written it.
struct Stderr(File);

impl Stderr {
    fn new() -> Self {
        Self(tempfile::tempfile().expect("a temporary file"))
    }

    /// The end that the process writes to.
    fn sink(&self) -> Stdio {
        self.0.try_clone().expect("a second handle").into()
    }

    fn text(&self) -> String {
        let size = self.0.metadata().expect("a file").len();
        let mut said = vec![0; usize::try_from(size).expect("small")];
        self.0.read_exact_at(&mut said, 0).expect("a file only grows");
        String::from_utf8(said).expect("the log is UTF-8")
    }

    fn address(&self) -> Option<SocketAddr> {
        let text = self.text();
        let (_, rest) = text.split_once("listening on http")?.1.split_once("://")?;
        rest.split(|c: char| c.is_whitespace() || c == '/').next()?.parse().ok()
    }
}

/// The binary under test: the one that cargo built, or `HOOKWHEEL_TEST_BINARY` to measure another build.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("HOOKWHEEL_TEST_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_hookwheel").into(), PathBuf::from)
}

const STORAGE_PATH: &str = "HOOKWHEEL_STORAGE_PATH";

const START_MAX: Duration = Duration::from_secs(20);

/// The longest time that a stop may take. Attempts get 8 s and the process ends within 10 s; the rest is for a busy machine.
const EXIT_MAX: Duration = Duration::from_secs(15);

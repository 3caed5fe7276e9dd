//! A run of the binary that ends by itself, as from a shell.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::service::binary;

/// The output and the exit code of a run.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// The exit code, or -1 when a signal ended the run.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ran {
    /// Panics unless the run ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// The run's stdout as one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Panics unless stderr holds all the words.
    #[track_caller]
    pub(crate) fn complains(&self, words: &[&str]) {
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {self:?}");
        }
    }
}

/// The binary, without `HOOKWHEEL_*` variables of the test run, since an unknown one is a fault to the service.
pub(crate) fn command() -> Command {
    undisturbed(Command::new(binary()))
}

/// The binary, started by other words before it, such as those of `nsenter` and `strace`.
pub(crate) fn command_behind(words: &[String]) -> Command {
    let Some((first, rest)) = words.split_first() else { return command() };
    let mut command = undisturbed(Command::new(first));
    command.args(rest).arg(binary());
    command
}

/// The binary with a limit of open files.
pub(crate) fn command_with_files(files: u32) -> Command {
    let mut command = undisturbed(Command::new("sh"));
    command.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]).arg(binary());
    command
}

pub(crate) fn undisturbed(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HOOKWHEEL_")) {
        command.env_remove(name);
    }
    command.env_remove("NOTIFY_SOCKET").env_remove("CREDENTIALS_DIRECTORY");
    command
}

/// Runs the binary in a folder, with some more environment. Kills it when it takes longer than [`RUN_MAX`].
pub(crate) fn run(folder: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command = command();
    command.args(arguments).current_dir(folder).envs(environment.iter().copied());
    finish(command.stdin(Stdio::null()))
}

/// Runs a prepared command to its end.
pub(crate) fn finish(command: &mut Command) -> Ran {
    let since = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            break Some(status);
        }
        if since.elapsed() > RUN_MAX {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        thread::sleep(Duration::from_millis(2));
    };
    let took = since.elapsed();
    let [stdout, stderr] = [stdout, stderr].map(|reader| reader.join().expect("no panic in between"));
    let status = status.unwrap_or_else(|| panic!("{command:?} still ran after {RUN_MAX:?}\n{stdout}\n{stderr}"));
    Ran { code: status.code().unwrap_or(-1), stdout, stderr, took }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    let mut pipe = pipe.expect("piped");
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The longest run. Nothing here takes as long, even on a busy machine.
const RUN_MAX: Duration = Duration::from_secs(20);

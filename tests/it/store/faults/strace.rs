//! Faults at exact system calls, injected by `strace`: a signal or an error in the place of the n-th call of a thread.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where a fault comes, and which. `strace` counts the calls of each thread by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) call: &'static str,
    /// The number of the call, counted from 1.
    pub(super) nth: usize,
    /// The fault as `strace -e inject=` names it. A delay comes first, so that an answer that comes too early gets out.
    pub(super) what: &'static str,
    /// Whether all later calls get the fault too.
    pub(super) lasting: bool,
}

impl Fault {
    fn option(&self) -> String {
        let Self { call, nth, what, .. } = self;
        let later = if self.lasting { "+" } else { "" };
        format!("--inject={call}:{what}:when={nth}{later}")
    }
}

/// Words that trace all threads of the command behind them. The command stays a child of whoever starts it.
pub(super) fn words(fault: Option<Fault>, log: &Path) -> Vec<String> {
    let mut words = vec!["strace".to_owned(), "-D".to_owned(), "-f".to_owned(), "-qq".to_owned()];
    words.extend(options(fault, log));
    words
}

fn options(fault: Option<Fault>, log: &Path) -> Vec<String> {
    let log = log.display().to_string();
    let options = ["-o".to_owned(), log, format!("--trace={TRACED}")];
    options.into_iter().chain(fault.map(|fault| fault.option())).collect()
}

/// A tracer of one thread, which stops tracing when it is dropped.
pub(super) struct Tracer(Child);

impl Tracer {
    /// Attaches to the thread with this name, and returns when it is traced.
    pub(super) async fn attach(pid: u32, thread: &str, fault: Option<Fault>, log: &Path) -> Self {
        let found = threads(pid).into_iter().find(|(_, name)| name == thread);
        let (id, _) = found.unwrap_or_else(|| panic!("no thread {thread} in {pid}"));
        let mut command = Command::new("strace");
        command.args(["-qq", "-p", &id.to_string()]).args(options(fault, log)).stdin(Stdio::null());
        let mut tracer = Self(command.spawn().expect("tests/install brings strace"));
        let (status, deadline) = (format!("/proc/{pid}/task/{id}/status"), Instant::now() + ATTACH_MAX);
        while !fs::read_to_string(&status).is_ok_and(|status| status.lines().any(traced)) {
            let ended = tracer.0.try_wait().expect("a child of ours");
            assert!(ended.is_none() && Instant::now() < deadline, "strace is not attached to {status}: {ended:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tracer
    }
}

impl Tracer {
    /// Attaches to all threads of a process, those to come too, and traces the calls about some files alone.
    pub(super) async fn attach_to_files(pid: u32, files: &[&Path], fault: Option<Fault>, log: &Path) -> Self {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-p", &pid.to_string()]).args(files.iter().flat_map(|file| [Path::new("-P"), file]));
        command.args(options(fault, log)).stdin(Stdio::null());
        let mut tracer = Self(command.spawn().expect("tests/install brings strace"));
        let deadline = Instant::now() + ATTACH_MAX;
        let status = |id: u32| fs::read_to_string(format!("/proc/{pid}/task/{id}/status")).unwrap_or_default();
        while !threads(pid).into_iter().all(|(id, _)| status(id).lines().any(traced)) {
            let ended = tracer.0.try_wait().expect("a child of ours");
            assert!(ended.is_none() && Instant::now() < deadline, "strace is not attached to {pid}: {ended:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tracer
    }
}

impl Drop for Tracer {
    /// Lets go of the thread and ends.
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn traced(line: &str) -> bool {
    line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0")
}

/// The threads of a process, with the 15 characters of their names that the kernel keeps.
fn threads(pid: u32) -> Vec<(u32, String)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten();
    let named = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        Some((task.file_name().to_str()?.parse().ok()?, name.trim_end().to_owned()))
    };
    tasks.filter_map(named).collect()
}

/// How often a call was made by the thread that made it most often.
pub(super) fn calls(log: &Path, call: &str) -> usize {
    let text = fs::read_to_string(log).expect("strace has written it");
    let mut by_thread: HashMap<&str, usize> = HashMap::new();
    for line in text.lines() {
        // With several threads a line begins with the thread's id.
        let (thread, rest) = line.split_once(' ').filter(|(id, _)| id.parse::<u32>().is_ok()).unwrap_or(("", line));
        if rest.trim_start().strip_prefix(call).is_some_and(|rest| rest.starts_with('(')) {
            *by_thread.entry(thread).or_default() += 1;
        }
    }
    by_thread.into_values().max().unwrap_or_default()
}

/// Whether the fault came.
pub(super) fn was_injected(log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|text| text.contains("(INJECTED)"))
}

pub(super) const KILL: &str = "signal=SIGKILL";
pub(super) const EIO: &str = "error=EIO:delay_enter=2000";
pub(super) const ENOSPC: &str = "error=ENOSPC:delay_enter=2000";

/// The call does nothing and reports success.
pub(super) const PRETEND: &str = "retval=0";

/// How long a tracer may take to start on a busy machine.
const ATTACH_MAX: Duration = Duration::from_secs(30);

/// The calls that write, and those that make it durable.
const TRACED: &str = "pwrite64,write,fdatasync,fsync,ftruncate,fallocate,rename";

//! `dev` on a laptop: the commands that it prints work, and it leaves nothing behind that it was not asked to keep.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::ran::{self, Ran, run};
use crate::harness::turn;

#[tokio::test]
async fn the_commands_that_dev_prints_work_as_printed() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    for arguments in [&[][..], &["--ephemeral"], &["--data", "kept here"]] {
        let dev = Dev::start(folder.path(), arguments);
        let sent = dev.paste(&dev.entry("Try"));
        assert!(sent.code == 0 && sent.stdout.contains("queued -> 1 endpoint"), "{sent:?}\n{}", dev.text());
        dev.wait_for("<-- [200] POST 127.0.0.1:");
        let secret = dev.entry("Secret");
        let (kept, command) = secret.split_once("; ").expect("two parts");
        assert_eq!(kept, if arguments == ["--ephemeral"] { "made for this run" } else { "kept between runs" });
        let shown = dev.paste(command.strip_suffix(" shows it").expect("a command"));
        assert!(shown.stdout.starts_with("whsec_"), "{shown:?}");
    }
}

#[tokio::test]
async fn an_ephemeral_dev_leaves_no_folder_behind() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    for signal in ["TERM", "INT"] {
        let mut dev = Dev::start(folder.path(), &["--ephemeral"]);
        let made: Vec<_> =
            fs::read_dir(folder.path().join("tmp")).expect("read").map(|entry| entry.expect("one").path()).collect();
        let [data] = &made[..] else { panic!("{made:?}") };
        assert_eq!(fs::metadata(data).expect("there").permissions().mode() & 0o777, 0o700, "nobody else's");
        assert!(data.join("hookwheel.redb").exists());
        dev.end(signal);
        assert_eq!(fs::read_dir(folder.path().join("tmp")).expect("read").count(), 0, "after SIG{signal}");
    }
}

#[tokio::test]
async fn dev_reads_the_clock_as_its_user_does() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dev = Dev::start_with(folder.path(), &["--ephemeral"], &[("TZ", "<+0545>-5:45")]);
    dev.wait_for("Times are local, UTC+05:45.");
}

#[tokio::test]
async fn dev_explains_its_refusals_in_its_own_words() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let refused = dev_run(folder.path(), &["--ephemeral", "--port", &port]).expect(75);
    refused.complains(&[&format!("127.0.0.1:{port}"), "dev --ephemeral --port 0"]);
    dev_run(folder.path(), &["--forward-to", "99999"]).expect(2).complains(&["a port is a number from 1 to 65535"]);
    let _first = Dev::start(folder.path(), &["--data", "one"]);
    let second = dev_run(folder.path(), &["--data", "one", "--port", "0"]).expect(75);
    second.complains(&["another service answers there", "status --socket "]);
}

fn dev_run(folder: &Path, arguments: &[&str]) -> Ran {
    let home = folder.to_str().expect("plain");
    run(folder, &[("HOME", home), ("XDG_RUNTIME_DIR", ""), ("XDG_DATA_HOME", "")], &[&["dev"], arguments].concat())
}

/// A `dev` that is ready, on a free port and for a user whose session has no runtime folder.
struct Dev {
    child: Child,
    said: Arc<Mutex<String>>,
    home: std::path::PathBuf,
}

impl Dev {
    fn start(home: &Path, arguments: &[&str]) -> Self {
        Self::start_with(home, arguments, &[])
    }

    fn start_with(home: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        fs::create_dir_all(home.join("tmp")).expect("made");
        let mut command = ran::command();
        command.args(["dev", "--port", "0"]).args(arguments).envs(environment.iter().copied());
        let mut child = at_home(&mut command, home).stdout(Stdio::piped()).spawn().expect("the binary starts");
        let said = follow(child.stdout.take().expect("piped"));
        let dev = Self { child, said, home: home.to_owned() };
        dev.wait_for("Ready in ");
        dev
    }

    /// The text behind a label of the header.
    fn entry(&self, label: &str) -> String {
        let text = self.text();
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(label));
        line.unwrap_or_else(|| panic!("no {label}: {text}")).trim().to_owned()
    }

    /// Runs a line as if it were pasted into a second terminal of the same user.
    fn paste(&self, line: &str) -> Ran {
        let mut command = Command::new("sh");
        ran::finish(at_home(command.args(["-c", line]), &self.home))
    }

    fn wait_for(&self, words: &str) {
        let deadline = Instant::now() + WITHIN;
        while !self.text().contains(words) {
            assert!(Instant::now() < deadline, "no {words:?} in {}", self.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn text(&self) -> String {
        self.said.lock().expect("no panic in between").clone()
    }

    fn end(&mut self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", signal, &pid]).status().expect("sh is there");
        assert!(sent.success());
        let status = self.child.wait().expect("a child of ours");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // An error means that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn at_home<'c>(command: &'c mut Command, home: &Path) -> &'c mut Command {
    for name in ["XDG_RUNTIME_DIR", "XDG_DATA_HOME", "HOOKWHEEL_SOCKET"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("TMPDIR", home.join("tmp")).current_dir(home).stdin(Stdio::null())
}

fn follow(pipe: std::process::ChildStdout) -> Arc<Mutex<String>> {
    let said = Arc::<Mutex<String>>::default();
    let sink = said.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            sink.lock().expect("no panic in between").push_str(&(line + "\n"));
        }
    });
    said
}

const WITHIN: Duration = Duration::from_secs(20);

//! Follows the README as a newcomer does: runs every `sh` block as it is printed, in order, in one fresh folder, and compares the
//! output with what the README shows.
//!
//! A block goes on running when the text behind it opens a second terminal; `^C` in the text stops it. Commands that a test
//! cannot run have stand-ins on the path, and nothing else is replaced:
//!
//! | command | stand-in |
//! |---|---|
//! | `cargo run --release -- …` | the binary under test, which is `target/release/hookwheel` too |
//! | `tests/run` | nothing: it would run this test |
//! | `sudo …` | the same with a folder for the root of the file system; `systemctl enable --now` starts what the unit starts |

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::service::binary;
use crate::harness::turn;

#[tokio::test]
async fn every_block_of_the_readme_does_what_it_says() {
    let _turn = turn::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    furnish(folder.path());
    let blocks = blocks(&fs::read_to_string(root("README.md")).expect("the README is there"));
    assert!(blocks.iter().filter(|block| block.is_shell).count() >= 12, "they are found");
    let said = run(folder.path(), &script(&blocks, folder.path()));
    let background = |at: &usize| fs::read_to_string(folder.path().join(format!(".{at}.out"))).unwrap_or_default();
    let behind: String = (0..blocks.len()).map(|at| background(&at)).collect();
    let shown: Vec<&str> = blocks.iter().filter(|block| !block.is_shell).flat_map(|block| block.lines.lines()).collect();
    for error in said.lines().filter(|line| line.starts_with("error:")) {
        assert!(shown.iter().any(|line| shows(line, error)), "{error}\n{said}");
    }
    for (at, block) in blocks.iter().enumerate() {
        match block.is_shell {
            true => block.check_end(at, &blocks, &said),
            false => block.check_shown(at, &said, &behind),
        }
    }
}

/// A fenced block, and the text before it.
#[derive(Debug, Default)]
struct Block {
    before: String,
    lines: String,
    is_shell: bool,
    /// Whether the text after the block opens a second terminal.
    goes_on: bool,
}

impl Block {
    /// Checks that the block ends well, unless its output is an error.
    fn check_end(&self, at: usize, blocks: &[Self], said: &str) {
        let errs = blocks.get(at + 1).is_some_and(|next| !next.is_shell && next.lines.starts_with("error:"));
        let end = said.lines().find_map(|line| line.strip_prefix(&format!("@@{at} ended ")));
        let fits = if errs { end.is_some_and(|end| end != "0") } else { end == Some("0") };
        assert!(fits, "{end:?} of\n{}\n{said}", self.lines);
    }

    /// Checks that each line that the README shows stands in the output of the blocks before it, or of what runs in the
    /// background.
    fn check_shown(&self, at: usize, said: &str, behind: &str) {
        // The picture at the top is no output.
        if at == 0 || !said.contains(&format!("@@{} ended", at - 1)) {
            return;
        }
        for line in self.lines.lines() {
            assert!(said.lines().chain(behind.lines()).any(|one| shows(line, one)), "nobody says {line:?}\n{said}\n{behind}");
        }
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut before, mut open) = (String::new(), None::<Block>);
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(kind), None) => {
                let goes_on = before.contains("second terminal");
                blocks.last_mut().into_iter().for_each(|last| last.goes_on = goes_on);
                open = Some(Block { before: std::mem::take(&mut before), is_shell: kind == "sh", ..Block::default() });
            }
            (None, Some(block)) => block.lines += &format!("{line}\n"),
            (None, None) => before += &format!("{line}\n"),
        }
    }
    blocks
}

/// All blocks as one script for one shell, so that exported variables reach later blocks.
fn script(blocks: &[Block], folder: &Path) -> String {
    let mut script = "stop() { for group in $running; do kill -s INT -- -$group; wait $group; done; running=; }\n".to_owned();
    for (at, block) in blocks.iter().enumerate().skip(1) {
        if block.before.contains("^C") {
            script += "stop\n";
        }
        match (block.is_shell, block.goes_on) {
            (false, _) => script += &wait_for(&block.lines),
            (true, false) => _ = writeln!(script, "{}echo \"@@{at} ended $?\"", with_ends(&block.lines)),
            (true, true) => {
                fs::write(folder.join(format!(".{at}.sh")), &block.lines).expect("written");
                let start = format!("setsid sh .{at}.sh > .{at}.out 2>&1 &\nrunning=\"$running $!\"\n");
                let wait = format!("for try in $(seq 300); do grep -qi ready .{at}.out && break; sleep 0.1; done\n");
                _ = writeln!(script, "{start}{wait}grep -qi ready .{at}.out; echo \"@@{at} ended $?\"");
            }
        }
    }
    script + "stop\n"
}

/// The lines of a block; a command that runs until somebody presses ^C is pressed it after a moment, and must not end by itself.
fn with_ends(lines: &str) -> String {
    let ended = |line: &str| match line.contains("until ^C") {
        true => format!("timeout -s INT 1 {line}\n[ $? = 124 ] || echo 'error: a command ended before ^C'\n"),
        false => format!("{line}\n"),
    };
    lines.lines().map(ended).collect()
}

/// Waits a moment for a background process to print what is shown.
fn wait_for(shown: &str) -> String {
    let last = shown.lines().last().unwrap_or_default();
    let pieces = last.split(|char: char| char.is_ascii_digit() || "…'\"".contains(char));
    let longest = pieces.max_by_key(|piece| piece.len()).unwrap_or_default();
    format!("for try in $(seq 50); do cat .*.out | grep -qF -- '{longest}' && break; sleep 0.1; done\n")
}

/// Whether a line matches the one that is shown: `…` stands for anything, and a number for any number.
fn shows(shown: &str, said: &str) -> bool {
    let (shown, said) = (without_numbers(shown), without_numbers(said));
    let mut rest = said.as_str();
    let found = |piece: &str| {
        let at = rest.find(piece)?;
        rest = &rest[at + piece.len()..];
        Some(())
    };
    shown.split('…').map(found).all(|found| found.is_some())
}

fn without_numbers(line: &str) -> String {
    let mut text = String::new();
    for char in line.chars() {
        match char {
            '0'..='9' if text.ends_with('0') => {}
            '0'..='9' => text.push('0'),
            char => text.push(char),
        }
    }
    text.replace(" ms", " s")
}

/// Makes a folder like a built checkout, with the stand-ins.
fn furnish(folder: &Path) {
    for name in ["systemd", "packaging"] {
        symlink(root(name), folder.join(name)).expect("linked");
    }
    for made in ["target/release", "tests", "stand-ins", "root/usr/bin", "root/usr/lib/sysusers.d", "root/etc/systemd/system"] {
        fs::create_dir_all(folder.join(made)).expect("made");
    }
    fs::create_dir_all(folder.join("root/var/lib/hookwheel")).expect("made");
    symlink(binary(), folder.join("target/release/hookwheel")).expect("linked");
    for (name, text) in [("tests/run", "exit 0"), ("stand-ins/cargo", CARGO), ("stand-ins/sudo", SUDO)] {
        fs::write(folder.join(name), format!("#!/bin/sh\n{text}\n")).expect("written");
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).expect("set");
    }
}

/// Runs the script to its end, in a network of its own where that is possible, so that the README's port is free.
fn run(folder: &Path, script: &str) -> String {
    fs::write(folder.join(".all.sh"), format!("cd {folder:?}\n{script}")).expect("written");
    let own_network = "ip link set lo up && exec sh .all.sh";
    let alone = Command::new("unshare").args(ALONE).args(["ip", "link", "set", "lo", "up"]).output();
    let mut command = match alone.is_ok_and(|output| output.status.success()) {
        true => Command::new("unshare"),
        false => Command::new("sh"),
    };
    match command.get_program() == "unshare" {
        true => command.args(ALONE).args(["sh", "-c", own_network]),
        false => command.arg(".all.sh"),
    };
    let output = File::create(folder.join(".all.out")).expect("made");
    let path = format!("{0}/stand-ins:{0}/root/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin", folder.display());
    command.env_clear().env("PATH", path).env("HOME", folder).env("ROOT", folder.join("root")).current_dir(folder);
    command.stdin(Stdio::null()).stdout(output.try_clone().expect("a second handle")).stderr(output).process_group(0);
    let mut child = command.spawn().expect("a shell is there");
    let deadline = Instant::now() + WITHIN;
    while child.try_wait().expect("a child of ours").is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    // The whole group is killed, with everything that the stand-ins started.
    drop(Command::new("sh").args(["-c", "kill -s KILL -- -$0", &child.id().to_string()]).stderr(Stdio::null()).status());
    child.wait().expect("a child of ours");
    fs::read_to_string(folder.join(".all.out")).expect("text")
}

fn root(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Words that make a network, and that end all processes with the first one.
const ALONE: [&str; 6] = ["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"];

const CARGO: &str = "[ \"$1 $2 $3\" = 'run --release --' ] || exit 1\nshift 3\nexec target/release/hookwheel \"$@\"";

const SUDO: &str = r#"
unset HOOKWHEEL_SOCKET
for word in "$@"; do
    shift
    case $word in /*) word=$ROOT$word ;; esac
    set -- "$@" "$word"
done
export HOOKWHEEL_SERVER_ADMIN_SOCKET="$ROOT/run/hookwheel/admin.sock" HOOKWHEEL_STORAGE_PATH="$ROOT/var/lib/hookwheel/hookwheel.redb"
case "$*" in
systemd-sysusers) exec systemd-sysusers --root="$ROOT" ;;
'systemctl enable --now hookwheel')
    [ -f "$ROOT/etc/systemd/system/hookwheel.service" ] && grep -q ^hookwheel: "$ROOT/etc/passwd" || exit 1
    start=$(sed -n 's/^ExecStart=//p' "$ROOT/etc/systemd/system/hookwheel.service")
    $(for word in $start; do case $word in /*) echo "$ROOT$word" ;; *) echo "$word" ;; esac; done) &
    exec hookwheel status --wait --socket "$HOOKWHEEL_SERVER_ADMIN_SOCKET" ;;
systemctl*) exit 0 ;;
hookwheel*) exec "$@" --socket "$HOOKWHEEL_SERVER_ADMIN_SOCKET" ;;
*) exec "$@" ;;
esac"#;

/// The longest time for the script. Most of it is the delivery that example.com does not take.
const WITHIN: Duration = Duration::from_secs(90);

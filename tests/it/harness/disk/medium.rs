//! A disk whose power can be cut: ext4 in a file. The file holds only what was synced.
//!
//! Data written to the file system stays in the page cache of the mount until it is synced, or has been there for
//! `dirty_expire_centisecs` (30 s). The file behind the mount holds what a disk would hold at that moment. A mounted copy of it
//! is the disk after a power cut. The mount lives in a namespace of its own, as long as a process that waits there, so it goes
//! with the test, however the test ends.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::super::ran;

/// A mounted disk. Dropping it removes the mount and the file.
pub(crate) struct Medium {
    folder: TempDir,
    /// The process that holds the namespace until its stdin ends.
    holder: Child,
}

impl Medium {
    /// Makes a disk of `mebibytes`. `None`, with a message, where it cannot be mounted.
    pub(crate) fn new(mebibytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let image = folder.path().join(IMAGE);
        let file = fs::File::create(&image).expect("a new file");
        file.set_len(u64::from(mebibytes) << 20).expect("a sparse file");
        let made = ran::finish(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image));
        made.expect(0);
        Self::mount(folder)
    }

    /// The disk as it would be if its power were cut at this moment. Whoever writes to it must be stopped.
    pub(crate) fn after_power_cut(&self) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let copy = Command::new("cp").arg("--sparse=always").args([self.image(), folder.path().join(IMAGE)]).status();
        assert!(copy.expect("cp is there").success(), "the image can be copied");
        Self::mount(folder).expect("what was mounted once is mounted again")
    }

    fn mount(folder: TempDir) -> Option<Self> {
        if fs::metadata("/proc/self").is_ok_and(|process| process.uid() != 0) {
            eprintln!("skipped: only root can mount the disk whose power this test cuts");
            return None;
        }
        let mount = "mkdir -p mount && mount -o loop \"$0\" mount && echo mounted && exec cat";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", mount, IMAGE]).current_dir(folder.path());
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("util-linux is there");
        let mut said = [0; 8];
        let mounted = std::io::Read::read_exact(holder.stdout.as_mut().expect("piped"), &mut said);
        let medium = Self { folder, holder };
        if mounted.is_err() {
            eprintln!("skipped: no loop device can be mounted here");
            return None;
        }
        Some(medium)
    }

    /// Words that start a command inside the namespace, where it sees the mount, in the folder in which it is started.
    pub(crate) fn inside(&self) -> Vec<String> {
        let enter = format!(
            "exec nsenter --mount=/proc/{}/ns/mnt sh -c 'cd \"$0\" && exec \"$@\"' \"$PWD\" \"$0\" \"$@\"",
            self.holder.id()
        );
        ["sh", "-c", &enter].map(str::to_owned).to_vec()
    }

    /// The mount's path for processes inside the namespace.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().join("mount")
    }

    /// The mount's path for processes outside the namespace.
    pub(crate) fn seen_from_outside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.folder().strip_prefix("/").expect("an absolute path"))
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join(IMAGE)
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// Waits until no thread of a stopped process is in the kernel, where a write may still be under way.
pub(crate) fn wait_until_all_stand(pid: u32) {
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten();
    while !threads().all(|thread| state(&thread.path()).is_none_or(|state| matches!(state, 'T' | 't'))) {
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
}

/// The letter behind the name in `stat`: `T` is stopped, `t` is stopped and traced. See proc(5).
fn state(thread: &Path) -> Option<char> {
    let stat = fs::read_to_string(thread.join("stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

const IMAGE: &str = "image";

//! A small disk of one test, which outlives the services that are started on it.

pub(crate) mod medium;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::ran;

/// A disk mounted at `disk` in a folder. Only processes inside see it, and it goes when it is dropped.
pub(crate) struct Disk {
    /// The process whose namespace holds the mount.
    holder: Child,
    folder: PathBuf,
}

impl Disk {
    /// Mounts a disk. `None`, with a message, for a user who may not mount.
    pub(crate) fn mount(folder: &Path, mebibytes: u32) -> Option<Self> {
        if fs::metadata("/proc/self").is_ok_and(|process| process.uid() != 0) {
            eprintln!("skipped: only root can mount the small disk that this test fills");
            return None;
        }
        let mount = format!("mkdir -p disk && mount -t tmpfs -o size={mebibytes}m tmpfs disk && echo mounted && exec cat");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &mount]).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().expect("unshare is there");
        let mut said = String::new();
        BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut said).expect("the disk is mounted");
        assert_eq!(said, "mounted\n");
        Some(Self { holder, folder: folder.into() })
    }

    /// The binary, started inside a folder that has the disk.
    pub(crate) fn command(&self) -> Command {
        let mut command = ran::undisturbed(Command::new("nsenter"));
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id()));
        command.args(["sh", "-c", "cd \"$0\" && exec \"$@\""]).arg(&self.folder).arg(super::service::binary());
        command
    }

    /// The disk's path as seen from outside.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/{}/cwd/disk", self.holder.id()).into()
    }

    /// Writes a file so large that `left` bytes stay free.
    pub(crate) fn fill(&self, name: &str, left: u64) {
        let found = free_bytes(&self.path());
        let file = fs::File::create(self.path().join(name)).expect("the file is made");
        let mut rest = found.saturating_sub(left);
        let zeros = vec![0; 1 << 20];
        while rest > 0 {
            let piece = usize::try_from(rest.min(zeros.len() as u64)).expect("a mebibyte");
            if std::io::Write::write_all(&mut &file, &zeros[..piece]).is_err() {
                return;
            }
            rest -= piece as u64;
        }
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path().join(name)).expect("it was there");
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // An error means that the process has ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn free_bytes(path: &Path) -> u64 {
    let output = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(path).output().expect("stat is there");
    let text = String::from_utf8(output.stdout).expect("numbers");
    let mut numbers = text.split_whitespace().map(|number| number.parse::<u64>().expect("a number"));
    numbers.next().zip(numbers.next()).map(|(blocks, bytes)| blocks * bytes).expect("two numbers")
}

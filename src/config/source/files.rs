//! Reads files. An error says why a file cannot be read, and what to do about it.
//!
//! Only plain files are opened, and only so much of them is read: a pipe or a device in a wrong place blocks nobody.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::config::fault::Remedy;
use crate::domain::text::shell::quoted;
use crate::domain::text::system::words;
use crate::domain::units::Size;

/// A file's bytes and its permissions.
pub(crate) struct Contents {
    pub(crate) bytes: Vec<u8>,
    pub(crate) mode: u32,
}

/// Reads a plain file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: Size) -> Result<Contents, Unreadable> {
    let about = fs::metadata(path).map_err(|error| Unreadable::from_io(error, path))?;
    check_kind(&about)?;
    let file = File::open(path).map_err(|error| Unreadable::from_io(error, path))?;
    let mut bytes = Vec::new();
    let read = file.take(limit.bytes() + 1).read_to_end(&mut bytes).map_err(|error| Unreadable::from_io(error, path))?;
    if read as u64 > limit.bytes() {
        return Err(Unreadable::TooLarge(limit));
    }
    Ok(Contents { bytes, mode: about.permissions().mode() & 0o7777 })
}

fn check_kind(about: &Metadata) -> Result<(), Unreadable> {
    match about {
        about if about.is_file() => Ok(()),
        about if about.is_dir() => Err(Unreadable::Directory),
        _ => Err(Unreadable::NotPlain),
    }
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it does not exist")]
    Missing,
    #[error("it is a directory")]
    Directory,
    #[error("it is a pipe, a socket or a device, not a plain file")]
    NotPlain,
    #[error("permission denied to user {user}; {file}")]
    Denied { user: String, file: String, is_folder: bool },
    #[error("it is larger than {0}")]
    TooLarge(Size),
    #[error("{}", words(.0))]
    Io(io::Error),
}

impl Unreadable {
    pub(crate) fn from_io(error: io::Error, path: &Path) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::IsADirectory => Self::Directory,
            io::ErrorKind::PermissionDenied => Self::Denied { user: me(), file: described(path), is_folder: path.is_dir() },
            _ => Self::Io(error),
        }
    }

    /// What to do about it; `missing` is the advice for a file that is not there.
    pub(crate) fn remedy(&self, path: &Path, missing: Remedy) -> Remedy {
        let path = shown(path);
        match self {
            Self::Missing => missing,
            Self::Directory => Remedy::run(format!("ls {path}")),
            Self::NotPlain => Remedy::advice("put the text into a plain file in its place"),
            // Members of its group can list and enter a folder when they may read and execute it.
            Self::Denied { is_folder: true, .. } => Remedy::run(format!("sudo chgrp {} {path} && sudo chmod 0750 {path}", gid())),
            Self::Denied { .. } => Remedy::run(format!("sudo chgrp {} {path} && sudo chmod 0640 {path}", gid())),
            Self::TooLarge(_) | Self::Io(_) => Remedy::run(format!("ls -l {path}")),
        }
    }
}

/// A path quoted for a shell.
pub(crate) fn shown(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// The parts of a shell's line before and behind a command that prints a new file. They make the folder where there is none, and
/// work as root where the folder belongs to another user.
pub(crate) fn made_in(path: &Path) -> (String, String) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let sudo = if is_anothers(folder) { "sudo " } else { "" };
    let before = if folder.exists() { String::new() } else { format!("{sudo}mkdir -p {} && ", shown(folder)) };
    let into = if sudo.is_empty() { format!(" > {}", shown(path)) } else { format!(" | sudo tee {} > /dev/null", shown(path)) };
    (before, into)
}

/// Whether the nearest folder that is there belongs to another user and takes no files of this one.
fn is_anothers(folder: &Path) -> bool {
    let above = folder.ancestors().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let Some(about) = above.filter_map(|folder| fs::metadata(folder).ok()).next() else { return false };
    let own = fs::metadata("/proc/self").map_or(0, |about| about.uid());
    own != 0 && about.uid() != own && about.permissions().mode() & 0o002 == 0
}

/// The number of this process's group, which `chgrp` takes in place of a name.
fn gid() -> u32 {
    fs::metadata("/proc/self").map_or(0, |about| about.gid())
}

/// The user that this process runs as, as in `998 (hookwheel)`.
fn me() -> String {
    fs::metadata("/proc/self").map_or_else(|_| "unknown".to_owned(), |about| named(about.uid(), "/etc/passwd"))
}

/// Permissions and owner of a file, as in `the file is 0600, owner 0 (root), group 0 (root)`, as far as this process may see them.
fn described(path: &Path) -> String {
    let Ok(about) = fs::metadata(path) else { return "it is in a folder that this user may not enter".to_owned() };
    let (owner, group) = (named(about.uid(), "/etc/passwd"), named(about.gid(), "/etc/group"));
    let what = if about.is_dir() { "folder" } else { "file" };
    format!("the {what} is {:04o}, owner {owner}, group {group}", about.permissions().mode() & 0o7777)
}

/// Looks a number up in a file of `name:password:number:…` lines (passwd(5), group(5)).
fn named(number: u32, file: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let is_it = |line: &&str| line.split(':').nth(2).is_some_and(|id| id == number.to_string());
    let name = text.lines().find(is_it).and_then(|line| line.split(':').next());
    name.map_or_else(|| number.to_string(), |name| format!("{number} ({name})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_a_device_and_a_missing_file_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(matches!(read(folder.path(), Size(9)), Err(Unreadable::Directory)));
        assert!(matches!(read(&folder.path().join("x"), Size(9)), Err(Unreadable::Missing)));
        assert!(matches!(read(Path::new("/dev/zero"), Size(9)), Err(Unreadable::NotPlain)));
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        fs::write(&path, b"12345").expect("written");
        assert_eq!(read(&path, Size(5)).map(|contents| contents.bytes).expect("small enough"), b"12345");
        assert!(matches!(read(&path, Size(4)), Err(Unreadable::TooLarge(Size(4)))));
    }

    #[test]
    fn a_denied_file_names_the_user_and_what_the_file_is() {
        let path = Path::new("/etc/passwd");
        let denied = Unreadable::from_io(io::ErrorKind::PermissionDenied.into(), path);
        let printed = denied.to_string();
        assert!(printed.starts_with(&format!("permission denied to user {}", me())), "{printed}");
        assert!(printed.contains("owner 0 (root)"), "{printed}");
        let mended = format!("sudo chgrp {} /etc/passwd && sudo chmod 0640 /etc/passwd", gid());
        assert_eq!(denied.remedy(path, Remedy::None), Remedy::Run(mended));
        let folder = Path::new("/etc");
        let denied = Unreadable::from_io(io::ErrorKind::PermissionDenied.into(), folder);
        assert!(denied.to_string().contains("the folder is 0755"), "{denied}");
        assert_eq!(
            denied.remedy(folder, Remedy::None),
            Remedy::Run(format!("sudo chgrp {} /etc && sudo chmod 0750 /etc", gid()))
        );
    }

    #[test]
    fn a_number_without_a_name_stays_a_number() {
        assert_eq!(named(4_294_967_294, "/etc/passwd"), "4294967294");
        assert_eq!(named(0, "/etc/passwd"), "0 (root)");
    }
}

//! What can go wrong with the store itself. Any failed write ends the process: see `redb::thread`.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::domain::text::system::words;

/// A store that cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {action} {}: {}", .path.display(), words(.cause))]
    File { action: &'static str, path: PathBuf, cause: std::io::Error },
    #[error("{path} is in use by another hookwheel; ask it with `hookwheel status`", path = .0.display())]
    InUse(PathBuf),
    #[error("{path} was written by a newer hookwheel (store version {found}, this one reads up to {known}); nothing was touched", path = .path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("{path} was written by an older hookwheel (store version {found}, this one checks {known}); nothing was touched", path = .path.display())]
    Older { path: PathBuf, found: u32, known: u32 },
    #[error("{path} is not a hookwheel store: {why}", path = .path.display())]
    Foreign { path: PathBuf, why: String },
    #[error("{path} is damaged and cannot be opened: {why}; nothing was touched", path = .path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("{path} is not there, but {beside} is; no new store was made in its place", path = .path.display(), beside = .beside.display())]
    StoreMissing { path: PathBuf, beside: PathBuf },
    #[error("{path} is gone or was replaced while the service ran", path = .0.display())]
    Gone(PathBuf),
    #[error("the master key {key} does not open this store's secrets; put the key back that it was made with", key = .0.display())]
    WrongKey(PathBuf),
    /// The master key is open to others.
    #[error("{why}")]
    Open { why: String, remedy: String },
    #[error("no backup can be written to {path}: {why}", path = .path.display())]
    Target { path: PathBuf, why: &'static str },
    #[error("not enough room for {path}: {needs} bytes must be free on its disk, and {free} are", path = .path.display())]
    NoRoom { path: PathBuf, needs: u64, free: u64 },
    #[error("{path} is no whole backup: {why}", path = .path.display())]
    Backup { path: PathBuf, why: String },
    #[error("{path} is no backup that can be restored as it is: {why}", path = .path.display())]
    Faults { path: PathBuf, why: String },
    #[error("the secrets in this backup open with the master key {fingerprint}, which its service had from {file}; {}", key_found(.path, .found.as_deref()))]
    KeyNeeded {
        /// Where the key was looked for.
        path: PathBuf,
        fingerprint: String,
        file: String,
        /// The fingerprint of another key that is there.
        found: Option<String>,
    },
    #[error("{path} is there already; nothing was touched", path = .0.display())]
    Stands(PathBuf),
    #[error("the journal of {path} is not as the service left it; nothing was touched", path = .0.display())]
    NotAsLeft(PathBuf),
    #[error("{path} is not whole: {why}; nothing was replaced", path = .path.display())]
    Pages { path: PathBuf, why: String },
    /// Rows are missing of a copy, or of the table that it was made of.
    #[error(
        "table `{table}` counts {counted} rows, of which {copied} could be copied, so pages of the store are damaged; nothing was replaced"
    )]
    Short { table: &'static str, counted: u64, copied: u64 },
    #[error("the service is stopping")]
    Stopping,
    #[error("cannot read the store: {0}")]
    Redb(Box<redb::Error>),
    #[error("the store holds a damaged record in table `{table}`: {why}")]
    Damaged { table: &'static str, why: &'static str },
    #[error("a secret in the store cannot be opened with this master key")]
    Sealed,
    #[error("the operating system gave no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Error {
    /// Whether there was no room on the disk, or none that this user may take.
    pub(super) fn is_disk_full(&self) -> bool {
        let cause = match self {
            Self::File { cause, .. } => cause,
            Self::Redb(error) => match &**error {
                redb::Error::Io(cause) => cause,
                _ => return false,
            },
            _ => return false,
        };
        matches!(cause.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
    }
}

fn key_found(path: &std::path::Path, found: Option<&str>) -> String {
    match found {
        Some(other) => format!("{} is another key, {other}", path.display()),
        None => format!("{} is not there", path.display()),
    }
}

macro_rules! from_redb {
    ($($kind:ty),*) => {
        $(impl From<$kind> for Error {
            fn from(cause: $kind) -> Self {
                Self::Redb(Box::new(cause.into()))
            }
        })*
    };
}

from_redb!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::DatabaseError,
    redb::CursorError,
    redb::CompactionError
);

impl From<redb::SetDurabilityError> for Error {
    fn from(cause: redb::SetDurabilityError) -> Self {
        Self::Redb(Box::new(cause.into()))
    }
}

impl From<getrandom::Error> for Error {
    fn from(cause: getrandom::Error) -> Self {
        Self::Random(cause)
    }
}

/// A damaged record is logged and passed over, so that it stops nothing else.
pub(super) fn intact<T>(read: Option<Result<T, Error>>) -> Result<Option<T>, Error> {
    match read.transpose() {
        Err(fault @ Error::Damaged { .. }) => {
            tracing::error!("{fault}; it is passed over");
            Ok(None)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_known_whoever_met_it() {
        let full = || std::io::Error::from(ErrorKind::StorageFull);
        assert!(Error::File { action: "write", path: "store".into(), cause: full() }.is_disk_full());
        assert!(Error::from(redb::StorageError::Io(full())).is_disk_full());
        assert!(!Error::from(redb::StorageError::Io(ErrorKind::PermissionDenied.into())).is_disk_full());
        assert!(!Error::from(redb::StorageError::PreviousIo).is_disk_full());
    }
}

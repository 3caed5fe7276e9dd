//! A wall clock that a test moves, by libfaketime (faketime(1)). The steady clock stays as it is.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

/// How far a service's wall clock is from the machine's.
pub(crate) struct Clock {
    folder: TempDir,
}

impl Clock {
    pub(crate) fn ahead(by: &str) -> Self {
        let clock = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        clock.set(by);
        clock
    }

    /// Sets the difference, such as `+1d`, `-30m` or `+0`. A running service sees it at its next look.
    pub(crate) fn set(&self, by: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, by).expect("the offset is written");
        fs::rename(new, self.file()).expect("the offset is moved into place");
    }

    /// The environment that gives the clock to a service.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

/// The library's path. Debian keeps it below a folder of the architecture.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    found.find(|file| file.exists()).expect("the package faketime, which tests/install brings")
}

//! Notices changes of the files on this machine that a connector is made of.

use std::env;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Files and folders, each with the stamp that it had when it was looked at.
#[derive(Debug)]
pub(super) struct Sources(Vec<(PathBuf, Option<Stamp>)>);

/// Properties of a file that change when it is rewritten in place or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
}

impl Sources {
    /// Takes stamps of the files that a connector reads. It must run before they are read, so that a change in between is seen at
    /// the next look.
    pub(super) fn look(ca_file: Option<&Path>) -> Self {
        let of_variable = |name| env::var_os(name).into_iter().flat_map(|value| env::split_paths(&value).collect::<Vec<_>>());
        let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().flat_map(of_variable);
        let system = SYSTEM.iter().map(PathBuf::from);
        Self::new(ca_file.map(Into::into).into_iter().chain(named).chain(system))
    }

    fn new(paths: impl Iterator<Item = PathBuf>) -> Self {
        Self(paths.map(|path| (path.clone(), Stamp::read(&path))).collect())
    }

    /// The first file whose stamp has changed. It costs some ten system calls.
    pub(super) fn changed(&self) -> Option<&Path> {
        self.0.iter().find(|(path, stamp)| Stamp::read(path) != *stamp).map(|(path, _)| &**path)
    }
}

impl Stamp {
    /// The file's stamp; `None` when the file is absent or cannot be seen.
    fn read(path: &Path) -> Option<Self> {
        path.metadata().ok().as_ref().map(Self::of_metadata)
    }

    fn of_metadata(meta: &Metadata) -> Self {
        Self { file: (meta.dev(), meta.ino()), bytes: meta.size(), modified: (meta.mtime(), meta.mtime_nsec()) }
    }
}

/// Files that name servers and hosts are read from, and folders in which distributions keep certificates of authorities: those
/// that rustls-native-certs tries.
const SYSTEM: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/ssl/certs",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_certificates_of_the_system_are_looked_at() {
        let sources = Sources::look(Some(Path::new("/own/ca.pem")));
        let paths: Vec<_> = sources.0.iter().filter_map(|(path, _)| path.to_str()).collect();
        for path in ["/own/ca.pem", "/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt"] {
            assert!(paths.contains(&path), "{path}");
        }
    }

    #[test]
    fn a_file_that_is_written_replaced_made_or_removed_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["written", "replaced", "made", "removed"].map(|name| folder.path().join(name));
        for path in [&paths[0], &paths[1], &paths[3]] {
            std::fs::write(path, "before").unwrap();
        }
        let sources = paths.clone().map(|path| Sources::new([path].into_iter()));
        assert!(sources.iter().all(|sources| sources.changed().is_none()));
        std::fs::write(&paths[0], "longer than before").unwrap();
        std::fs::write(folder.path().join("new"), "before").unwrap();
        std::fs::rename(folder.path().join("new"), &paths[1]).unwrap();
        std::fs::write(&paths[2], "made").unwrap();
        std::fs::remove_file(&paths[3]).unwrap();
        for (sources, path) in sources.iter().zip(&paths) {
            assert_eq!(sources.changed(), Some(&**path));
        }
    }
}

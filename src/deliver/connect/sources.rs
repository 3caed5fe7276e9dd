//! The files of this machine that connecting depends on, and whether they have changed since they were read.

use std::env;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Files and folders, each with what it looked like.
#[derive(Debug)]
pub(super) struct Sources(Vec<(PathBuf, Option<Stamp>)>);

/// What changes with a file's content, whether it was written in place or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
}

impl Sources {
    /// Looks at what a connector reads: before it reads, so that a change meanwhile is seen at the next look.
    pub(super) fn look(ca_file: Option<&Path>) -> Self {
        let of_variable = |name| env::var_os(name).into_iter().flat_map(|value| env::split_paths(&value).collect::<Vec<_>>());
        let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().flat_map(of_variable);
        let system = SYSTEM.iter().map(PathBuf::from);
        Self::of(ca_file.map(Into::into).into_iter().chain(named).chain(system))
    }

    fn of(paths: impl Iterator<Item = PathBuf>) -> Self {
        Self(paths.map(|path| (path.clone(), Stamp::of(&path))).collect())
    }

    /// The first that looks different now. Asks the file system some ten times.
    pub(super) fn changed(&self) -> Option<&Path> {
        self.0.iter().find(|(path, stamp)| Stamp::of(path) != *stamp).map(|(path, _)| &**path)
    }
}

impl Stamp {
    /// `None`: it is not there, or not to be seen.
    fn of(path: &Path) -> Option<Self> {
        path.metadata().ok().as_ref().map(Self::of_metadata)
    }

    fn of_metadata(meta: &Metadata) -> Self {
        Self { file: (meta.dev(), meta.ino()), bytes: meta.size(), modified: (meta.mtime(), meta.mtime_nsec()) }
    }
}

/// Where names come from, and where distributions keep the certificates of authorities (those that rustls-native-certs tries).
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
        let sources = paths.clone().map(|path| Sources::of([path].into_iter()));
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

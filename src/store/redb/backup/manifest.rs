//! `FILE.json`, and how a backup's two files take the places of those of the backup before.
//!
//! ```text
//!  before   FILE   FILE.json
//!     1     FILE   FILE.json   FILE.new   FILE.json.new      written and synced
//!     2     FILE*  FILE.json              FILE.json.new      FILE.new was renamed to FILE
//!     3     FILE*  FILE.json*                                FILE.json.new was renamed to FILE.json
//! ```
//!
//! A kill in 1 leaves the old backup whole, and a kill in 2 the new one: `FILE.json.new` is its manifest, since `FILE.new` is gone.
//! Whoever reads a backup or writes another to its place goes by that.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::store::error::Error;
use crate::store::files::{failed, sync_folder, unlinked, with_suffix};
use crate::store::message::backup::Manifest;

/// A file beside a backup.
pub(in crate::store) fn beside(backup: &Path, suffix: &str) -> PathBuf {
    with_suffix(backup, suffix)
}

/// The manifest of the backup that stands at `path`.
pub(in crate::store) fn read(path: &Path) -> Result<Manifest, Error> {
    let document = if is_half_swapped(path) { beside(path, DOCUMENT_FRESH) } else { beside(path, DOCUMENT) };
    read_document(&document)
}

/// The manifest in a file of its own.
pub(in crate::store) fn read_document(document: &Path) -> Result<Manifest, Error> {
    let bytes = fs::read(document).map_err(|cause| failed("read", document, cause))?;
    let refused = |why: String| Error::Backup { path: document.into(), why };
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|wrong| refused(format!("it cannot be read: {wrong}")))?;
    if manifest.format > Manifest::FORMAT {
        return Err(refused(format!("it is of a newer form, {}", manifest.format)));
    }
    Ok(manifest)
}

/// Puts a backup that was written to `FILE.new` and synced in its place, with its manifest.
pub(in crate::store) fn swap(path: &Path, manifest: &Manifest) -> Result<(), Error> {
    let mut document = serde_json::to_vec_pretty(manifest).expect("a manifest is made of texts and numbers");
    document.push(b'\n');
    write_synced(&beside(path, DOCUMENT_FRESH), &document)?;
    sync_folder(path)?;
    rename(&beside(path, FRESH), path)?;
    sync_folder(path)?;
    rename(&beside(path, DOCUMENT_FRESH), &beside(path, DOCUMENT))?;
    sync_folder(path)
}

/// Brings a swap to its end that a kill cut short, or takes back what it had written.
pub(in crate::store) fn finish_swap(path: &Path) -> Result<(), Error> {
    if is_half_swapped(path) {
        rename(&beside(path, DOCUMENT_FRESH), &beside(path, DOCUMENT))?;
        return sync_folder(path);
    }
    take_back(path)
}

/// Removes what was written for a backup that has not changed places.
pub(in crate::store) fn take_back(path: &Path) -> Result<(), Error> {
    remove(&beside(path, DOCUMENT_FRESH))?;
    remove(&beside(path, FRESH))
}

/// Whether the backup has changed places and its manifest has not.
fn is_half_swapped(path: &Path) -> bool {
    beside(path, DOCUMENT_FRESH).exists() && !beside(path, FRESH).exists()
}

/// Removes a backup with its manifest, which goes last: a backup without it is none.
pub(in crate::store) fn remove_backup(path: &Path) -> Result<(), Error> {
    remove(path)?;
    remove(&beside(path, DOCUMENT))
}

/// Removes a file, if it is there.
pub(in crate::store) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(failed("remove", path, cause)),
        _ => Ok(()),
    }
}

pub(in crate::store) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(|cause| failed("move into place", from, cause))
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let written = || -> std::io::Result<()> {
        let mut file = unlinked().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    written().map_err(|cause| failed("write", path, cause))
}

/// The length of a file and its SHA-256 in hex. `watch` is told of each piece that was read, and may end it.
pub(in crate::store) fn hashed(path: &Path, watch: &mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<(u64, String), Error> {
    let (mut hash, mut length, mut piece) = (Sha256::new(), 0, vec![0; PIECE_BYTES]);
    let mut file = File::open(path).map_err(|cause| failed("read", path, cause))?;
    loop {
        let read = match file.read(&mut piece) {
            Ok(0) => return Ok((length, hex::encode(hash.finalize()))),
            Ok(read) => read,
            Err(cause) if cause.kind() == ErrorKind::Interrupted => continue,
            Err(cause) => return Err(failed("read", path, cause)),
        };
        hash.update(&piece[..read]);
        length += read as u64;
        watch(&piece[..read])?;
    }
}

/// Behind the path of a backup: what is written until it is whole, its manifest, and that manifest until it takes its place.
pub(in crate::store) const FRESH: &str = ".new";
pub(in crate::store) const DOCUMENT: &str = ".json";
pub(in crate::store) const DOCUMENT_FRESH: &str = ".json.new";

const PIECE_BYTES: usize = 256 << 10;

#[cfg(test)]
pub(in crate::store) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::store::message::backup::SealingKey;

    pub(in crate::store) fn manifest(sha256: &str) -> Manifest {
        Manifest {
            format: Manifest::FORMAT,
            hookwheel: "0.1.0".into(),
            store_version: 5,
            taken_at: "2026-03-01T10:02:11Z".into(),
            bytes: 3,
            sha256: sha256.into(),
            events: 1,
            pending: 0,
            tables: BTreeMap::from([("event".into(), 1)]),
            damaged: 0,
            sealing_key: SealingKey { included: false, fingerprint: "00".into(), file: "/k".into() },
        }
    }

    fn written(path: &Path, suffix: &str, text: &str) {
        fs::write(beside(path, suffix), text).unwrap();
    }

    fn document(sha256: &str) -> String {
        serde_json::to_string(&manifest(sha256)).unwrap()
    }

    /// A backup to a place where one stands, cut between any two of its steps.
    #[test]
    fn a_swap_cut_at_any_step_leaves_a_backup_with_its_own_manifest() {
        for step in 0..=3 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("backup");
            written(&path, "", "old");
            written(&path, DOCUMENT, &document("old"));
            written(&path, FRESH, "new");
            if step > 0 {
                written(&path, DOCUMENT_FRESH, &document("new"));
            }
            if step > 1 {
                rename(&beside(&path, FRESH), &path).unwrap();
            }
            if step > 2 {
                rename(&beside(&path, DOCUMENT_FRESH), &beside(&path, DOCUMENT)).unwrap();
            }
            for look in ["as it was left", "once another begins"] {
                assert_eq!(read(&path).unwrap().sha256, fs::read_to_string(&path).unwrap(), "cut after step {step}, {look}");
                finish_swap(&path).unwrap();
            }
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left behind after step {step}");
        }
    }

    #[test]
    fn a_swap_leaves_the_new_backup_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        written(&path, "", "old");
        written(&path, DOCUMENT, &document("old"));
        written(&path, FRESH, "new");
        swap(&path, &manifest("new")).unwrap();
        assert_eq!((read(&path).unwrap().sha256, fs::read_to_string(&path).unwrap()), ("new".into(), "new".into()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_manifest_of_a_newer_form_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        written(&path, DOCUMENT, &serde_json::to_string(&Manifest { format: 2, ..manifest("x") }).unwrap());
        assert!(read(&path).unwrap_err().to_string().contains("newer form"));
        written(&path, DOCUMENT, "{}");
        assert!(read(&path).unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn a_file_has_the_hash_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hashed(&path, &mut |_| Ok(())).unwrap(), (3, expected.into()));
    }
}

//! What is known of backups: the manifest beside each one, and how the backup under way and the last one are doing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

/// `FILE.json` beside a backup `FILE`: what it holds, and by which its bytes are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The version of this document: [`Manifest::FORMAT`].
    pub(crate) format: u32,
    /// The version of hookwheel that wrote the backup.
    pub(crate) hookwheel: String,
    /// The version of the store's layout in the backup.
    pub(crate) store_version: u32,
    /// When the snapshot was taken, in RFC 3339. Everything that was answered before is in the backup.
    pub(crate) taken_at: String,
    /// The length of the backup's file.
    pub(crate) bytes: u64,
    /// The SHA-256 of the backup's file, in hex.
    pub(crate) sha256: String,
    /// Events in the backup.
    pub(crate) events: u64,
    /// Deliveries in the backup that have not ended.
    pub(crate) pending: u64,
    /// Rows of each table.
    pub(crate) tables: BTreeMap<String, u64>,
    /// Rows that are damaged in the store and stand in the backup as they are.
    pub(crate) damaged: u64,
    pub(crate) sealing_key: SealingKey,
}

impl Manifest {
    /// The version of the document that this release writes. A document of a later version is refused.
    pub(crate) const FORMAT: u32 = 1;
}

/// The key that the secrets in a backup are sealed with. It is never in the backup itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealingKey {
    /// Always false.
    pub(crate) included: bool,
    /// The beginning of a hash of the key, by which the right one is told from others.
    pub(crate) fingerprint: String,
    /// The file that the service had the key from.
    pub(crate) file: String,
}

/// A backup under way.
#[derive(Debug)]
pub(crate) struct BackupRunning {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) started_at: Timestamp,
    rows: AtomicU64,
    rows_total: AtomicU64,
}

impl BackupRunning {
    pub(in crate::store) fn new(number: u64, path: &Path, started_at: Timestamp) -> Self {
        Self { number, path: path.into(), started_at, rows: AtomicU64::new(0), rows_total: AtomicU64::new(0) }
    }

    /// Rows that were copied so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Rows that are to be copied; 0 before the snapshot was taken.
    pub(crate) fn rows_total(&self) -> u64 {
        self.rows_total.load(Relaxed)
    }

    pub(in crate::store) fn expect(&self, rows: u64) {
        self.rows_total.store(rows, Relaxed);
    }

    pub(in crate::store) fn add(&self, rows: u64) {
        self.rows.fetch_add(rows, Relaxed);
    }
}

/// A backup that came to its end.
#[derive(Clone, Debug)]
pub(crate) struct BackupEnded {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Timestamp,
    /// What is in the file, or why there is none.
    pub(crate) result: Result<Manifest, String>,
}

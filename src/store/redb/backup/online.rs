//! Backups of a running store, one at a time. The writer goes on meanwhile: for a backup it makes one commit to the tables, as it
//! does for every change of a webhook, and the copy is made of a snapshot behind that commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::ReadableDatabase;

use super::room::Room;
use super::shelf::Shelf;
use super::take::{Of, Watch, take};
use super::target::Target;
use crate::domain::time::Timestamp;
use crate::store::error::Error;
use crate::store::handle::Store;
use crate::store::message::backup::{BackupEnded, BackupRunning, Manifest};
use crate::store::message::command::By;
use crate::store::shared::Shared;

/// Why no backup was begun.
#[derive(Debug)]
pub(crate) enum NotBegun {
    /// Another one is under way, to this path.
    Busy(PathBuf),
    /// It can be written nowhere, or not there.
    Refused(Error),
}

/// A backup that has its place and its file, and is to be run.
pub(crate) struct Begun {
    place: Place,
    target: Target,
    room: Room,
    /// Who asks for it. `None`: it is made by itself.
    by: Option<By>,
}

/// The one place of a backup under way. Dropping it gives the place back.
struct Place {
    shared: Arc<Shared>,
    running: Arc<BackupRunning>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.backups.forget(&self.running);
    }
}

impl Store {
    /// Takes the place of the backup under way, and looks whether a file can be written to `path` and has room there.
    pub(in crate::store) async fn prepare_backup(&self, path: PathBuf, by: Option<By>) -> Result<Begun, NotBegun> {
        let shared = self.shared.clone();
        let begun = tokio::task::spawn_blocking(move || begin(shared, &path, by)).await;
        begun.unwrap_or(Err(NotBegun::Refused(Error::Stopping)))
    }

    /// Makes a backup of all that was answered before this was called.
    pub(crate) async fn run_backup(&self, begun: Begun) -> Result<Manifest, Error> {
        let Begun { place, target, room, by } = begun;
        let path = target.path.clone();
        let made = self.made(place.running.clone(), target, room, by).await;
        self.note(&place.running, &made.as_ref().map(Manifest::clone).map_err(ToString::to_string), &path);
        made
    }

    async fn made(&self, running: Arc<BackupRunning>, target: Target, room: Room, by: Option<By>) -> Result<Manifest, Error> {
        let taken_at = self.shared.dial.now();
        self.flush(&target.path, by).await.map_err(|_| Error::Stopping)?;
        let (database, shared) = (self.reader.database.clone(), self.shared.clone());
        let copying = tokio::task::spawn_blocking(move || {
            let snapshot = database.begin_read()?;
            let of = Of { sealer: &shared.sealer, taken_at };
            take(&snapshot, target, of, room, &mut Watching { running: &running, shared: &shared })
        });
        // Only damaged pages make redb panic.
        let damaged = || Error::Unreadable { path: self.shared.path.clone(), why: "its pages are damaged".into() };
        copying.await.unwrap_or_else(|_| Err(damaged()))
    }

    /// Tells the operator how a backup ended: in the log, in `status` and in the metrics.
    fn note(&self, running: &BackupRunning, made: &Result<Manifest, String>, path: &Path) {
        let (gauges, path) = (&self.metrics().gauges, path.display());
        gauges.backup_ended(made.is_ok());
        match made {
            Ok(manifest) => {
                gauges.backed_up(running.started_at);
                tracing::info!(bytes = manifest.bytes, events = manifest.events, "backup: {path} is whole");
                if manifest.damaged > 0 {
                    tracing::warn!("backup: {} rows in {path} are damaged, as they are in the store", manifest.damaged);
                }
            }
            Err(why) => tracing::error!("backup: {path} was not written: {why}"),
        }
        self.shared.backups.end(running, self.shared.dial.now(), made.clone());
    }

    /// The backup under way, the last one that ended in this life of the service, and when the last one that succeeded began.
    pub(crate) fn backups(&self) -> (Option<Arc<BackupRunning>>, Option<BackupEnded>, Option<Timestamp>) {
        self.shared.backups.look()
    }

    /// When the newest backup in a folder was begun. Backups of earlier lives of the service count as those of this one.
    pub(crate) async fn newest_backup(&self, shelf: Shelf) -> Result<Option<Timestamp>, Error> {
        let now = self.now();
        let looked = tokio::task::spawn_blocking(move || shelf.newest(now)).await;
        let newest = looked.unwrap_or(Err(Error::Stopping))?;
        if let Some(at) = newest {
            self.metrics().gauges.backed_up(self.shared.backups.made_before(at));
        }
        Ok(newest)
    }

    /// Makes a backup in a folder, and removes the oldest there when there are too many. Returns false when there is no new backup.
    pub(crate) async fn backup_to(&self, shelf: Shelf) -> bool {
        let (path, keeper) = (shelf.place(self.now()), shelf.clone());
        let prepared = tokio::task::spawn_blocking(move || keeper.make().and_then(|()| keeper.tidy())).await;
        if let Err(why) = prepared.unwrap_or(Err(Error::Stopping)) {
            return self.not_begun(&path, &why);
        }
        let begun = match self.prepare_backup(path.clone(), None).await {
            Ok(begun) => begun,
            // It is tried again at the next look.
            Err(NotBegun::Busy(_)) => return true,
            Err(NotBegun::Refused(why)) => return self.not_begun(&path, &why),
        };
        if self.run_backup(begun).await.is_err() {
            return false;
        }
        let pruned = tokio::task::spawn_blocking(move || shelf.prune(&path)).await;
        match pruned.unwrap_or(Err(Error::Stopping)) {
            Ok(gone) => {
                gone.iter().for_each(|path| tracing::info!("backup: {} was removed, there are newer ones", path.display()))
            }
            Err(why) => tracing::error!("backup: the oldest could not be removed: {why}"),
        }
        true
    }

    /// Tells the operator that a backup could not be begun; always false.
    fn not_begun(&self, path: &Path, why: &Error) -> bool {
        if let Ok(running) = self.shared.backups.begin(path, self.now()) {
            self.note(&running, &Err(why.to_string()), path);
        }
        false
    }

    /// Ends the backup under way within a moment, as failed.
    pub(crate) fn stop_backups(&self) {
        self.shared.backups.stop();
    }
}

fn begin(shared: Arc<Shared>, path: &Path, by: Option<By>) -> Result<Begun, NotBegun> {
    let running = shared.backups.begin(path, shared.dial.now()).map_err(NotBegun::Busy)?;
    let room = Room::new(path, &shared.path, shared.live_bytes.load(std::sync::atomic::Ordering::Relaxed));
    let place = Place { shared, running };
    let judged = Target::new(path, &place.shared.path).and_then(|target| room.before(path).map(|()| target));
    let target = judged.map_err(NotBegun::Refused)?;
    Ok(Begun { place, target, room, by })
}

/// Counts what was copied, and ends the copy when the service stops.
struct Watching<'a> {
    running: &'a BackupRunning,
    shared: &'a Shared,
}

impl Watch for Watching<'_> {
    fn expect(&mut self, rows: u64) {
        self.running.expect(rows);
    }

    fn copied(&mut self, rows: u64) -> Result<(), Error> {
        self.running.add(rows);
        if self.shared.backups.is_stopping() { Err(Error::Stopping) } else { Ok(()) }
    }
}

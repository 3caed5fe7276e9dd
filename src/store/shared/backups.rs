//! Which backup is under way, and how the last one ended. One is made at a time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::time::Timestamp;
use crate::store::message::backup::{BackupEnded, BackupRunning, Manifest};

/// The backups of one life of the service.
#[derive(Debug, Default)]
pub(in crate::store) struct Backups {
    state: Mutex<State>,
    stops: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    made: u64,
    running: Option<Arc<BackupRunning>>,
    last: Option<BackupEnded>,
    last_success: Option<Timestamp>,
}

impl Backups {
    /// Takes the one place. An error: another backup is under way, to that path.
    pub(in crate::store) fn begin(&self, path: &Path, now: Timestamp) -> Result<Arc<BackupRunning>, PathBuf> {
        let mut state = self.state();
        if let Some(running) = &state.running {
            return Err(running.path.clone());
        }
        state.made += 1;
        let running = Arc::new(BackupRunning::new(state.made, path, now));
        state.running = Some(running.clone());
        Ok(running)
    }

    /// Gives the place back without a word, unless that was done before.
    pub(in crate::store) fn forget(&self, running: &BackupRunning) {
        let mut state = self.state();
        if state.running.as_ref().is_some_and(|known| known.number == running.number) {
            state.running = None;
        }
    }

    /// Gives the place back, and notes how the backup ended.
    pub(in crate::store) fn end(&self, running: &BackupRunning, now: Timestamp, result: Result<Manifest, String>) {
        let mut state = self.state();
        let BackupRunning { number, path, started_at, .. } = running;
        if result.is_ok() {
            state.last_success = Some(*started_at);
        }
        state.last = Some(BackupEnded { number: *number, path: path.clone(), started_at: *started_at, ended_at: now, result });
        state.running = None;
    }

    /// Notes a backup that an earlier life of the service made. Returns when the last one that succeeded began.
    pub(in crate::store) fn made_before(&self, at: Timestamp) -> Timestamp {
        let mut state = self.state();
        let newest = state.last_success.map_or(at, |known| known.max(at));
        state.last_success = Some(newest);
        newest
    }

    /// The backup under way, the last one that ended in this life of the service, and when the last one that succeeded began.
    pub(in crate::store) fn look(&self) -> (Option<Arc<BackupRunning>>, Option<BackupEnded>, Option<Timestamp>) {
        let state = self.state();
        (state.running.clone(), state.last.clone(), state.last_success)
    }

    /// Ends the backup under way soon, and every one after it.
    pub(in crate::store) fn stop(&self) {
        self.stops.store(true, Relaxed);
    }

    pub(in crate::store) fn is_stopping(&self) -> bool {
        self.stops.load(Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1_000)
    }

    #[test]
    fn one_backup_is_made_at_a_time() {
        let backups = Backups::default();
        let first = backups.begin(Path::new("/a"), at(1)).unwrap();
        assert_eq!(backups.begin(Path::new("/b"), at(2)).unwrap_err(), Path::new("/a"));
        backups.end(&first, at(3), Err("the disk is full".into()));
        assert_eq!(backups.begin(Path::new("/b"), at(4)).unwrap().number, 2);
    }

    #[test]
    fn a_failure_leaves_the_time_of_the_last_success() {
        let backups = Backups::default();
        backups.made_before(at(5));
        backups.made_before(at(3));
        let running = backups.begin(Path::new("/a"), at(9)).unwrap();
        backups.end(&running, at(10), Err("the disk is full".into()));
        let (running, last, success) = backups.look();
        assert!(running.is_none() && last.unwrap().result.is_err());
        assert_eq!(success, Some(at(5)));
    }

    #[test]
    fn what_was_not_begun_is_not_told() {
        let backups = Backups::default();
        let first = backups.begin(Path::new("/a"), at(1)).unwrap();
        backups.forget(&first);
        backups.begin(Path::new("/a"), at(1)).unwrap();
        backups.forget(&first);
        assert!(backups.look().0.is_some(), "the place is another's");
        backups.forget(&backups.look().0.unwrap());
        let (running, last, _) = backups.look();
        assert!(running.is_none() && last.is_none());
    }
}

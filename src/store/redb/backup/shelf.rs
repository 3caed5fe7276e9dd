//! The folder of scheduled backups: each is named after its time, and the oldest goes when there are more than are kept.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::manifest::{self, DOCUMENT};
use crate::domain::time::Timestamp;
use crate::store::error::Error;
use crate::store::files::{failed, with_suffix};

/// A folder, and how many backups stay in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shelf {
    pub(crate) folder: PathBuf,
    pub(crate) keep: usize,
}

impl Shelf {
    /// Makes the folder, for its owner alone, if it is not there.
    pub(in crate::store) fn make(&self) -> Result<(), Error> {
        match fs::DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(cause) if cause.kind() != ErrorKind::AlreadyExists => Err(failed("make the folder", &self.folder, cause)),
            _ => Ok(()),
        }
    }

    /// Where the backup of a time goes.
    pub(in crate::store) fn place(&self, at: Timestamp) -> PathBuf {
        self.folder.join(name(at))
    }

    /// When the newest backup was begun, of those that are not of a later time than now. `None`: there is none.
    pub(in crate::store) fn newest(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        Ok(self.backups()?.into_iter().map(|(at, _)| at).filter(|at| *at <= now).max())
    }

    /// Removes what backups left behind that were killed.
    pub(in crate::store) fn tidy(&self) -> Result<(), Error> {
        let names = self.names()?;
        let left = names.iter().filter_map(|name| name.strip_suffix(manifest::FRESH));
        let left = left.map(|name| name.strip_suffix(DOCUMENT).unwrap_or(name)).filter(|name| time_of(name).is_some());
        left.map(|name| self.folder.join(name)).try_for_each(|path| manifest::finish_swap(&path))
    }

    /// Removes the oldest backups beyond those that are kept; never the one that was just made.
    pub(in crate::store) fn prune(&self, made: &Path) -> Result<Vec<PathBuf>, Error> {
        let mut backups = self.backups()?;
        backups.sort();
        let more = backups.len().saturating_sub(self.keep);
        let gone: Vec<PathBuf> = backups.into_iter().take(more).map(|(_, path)| path).filter(|path| path != made).collect();
        gone.iter().try_for_each(|path| manifest::remove_backup(path))?;
        Ok(gone)
    }

    /// The scheduled backups that are whole: those with a manifest.
    fn backups(&self) -> Result<Vec<(Timestamp, PathBuf)>, Error> {
        let found = self.names()?.into_iter().filter_map(|name| Some((time_of(&name)?, self.folder.join(name))));
        Ok(found.filter(|(_, path)| with_suffix(path, DOCUMENT).exists()).collect())
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(failed("read", &self.folder, cause)),
        };
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }
}

/// `hookwheel-20260301T100211Z.redb`
fn name(at: Timestamp) -> String {
    let time: String = at.rfc3339_secs().chars().filter(|letter| !"-:".contains(*letter)).collect();
    format!("{BEFORE}{time}{BEHIND}")
}

/// The time in the name of a scheduled backup; `None`: the file is another one.
fn time_of(name: &str) -> Option<Timestamp> {
    let time = name.strip_prefix(BEFORE)?.strip_suffix(BEHIND)?;
    let part = |from, to| time.get(from..to);
    let (date, clock) = (time.get(..8)?, time.get(9..15)?);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if time.len() != 16 || part(8, 9)? != "T" || part(15, 16)? != "Z" || !digits(date) || !digits(clock) {
        return None;
    }
    let text = format!("{}-{}-{}T{}:{}:{}Z", part(0, 4)?, part(4, 6)?, part(6, 8)?, part(9, 11)?, part(11, 13)?, part(13, 15)?);
    Timestamp::parse_rfc3339(&text).ok()
}

const BEFORE: &str = "hookwheel-";
const BEHIND: &str = ".redb";

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u64) -> Timestamp {
        Timestamp::from_millis(1_776_695_520_000 + hour * 3_600_000)
    }

    fn shelf(keep: usize) -> (tempfile::TempDir, Shelf) {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf { folder: folder.path().join("backups"), keep };
        shelf.make().unwrap();
        shelf.make().unwrap();
        (folder, shelf)
    }

    fn put(shelf: &Shelf, hour: u64) -> PathBuf {
        let path = shelf.place(at(hour));
        fs::write(&path, "").unwrap();
        fs::write(with_suffix(&path, DOCUMENT), "{}").unwrap();
        path
    }

    #[test]
    fn a_name_tells_its_time() {
        assert_eq!(name(at(0)), "hookwheel-20260420T143200Z.redb");
        assert_eq!(time_of(&name(at(7))), Some(at(7)));
        let others =
            ["hookwheel.redb", "hookwheel-20260420T143200Z.redb.json", "hookwheel-2026042öT14320Z.redb", "hookwheel-.redb"];
        assert_eq!(others.map(time_of), [None; 4]);
        assert_eq!(time_of("hookwheel-20261320T143200Z.redb"), None, "there is no such month");
    }

    #[test]
    fn the_oldest_go_and_other_files_stay() {
        let (_folder, shelf) = shelf(2);
        let [first, second, third] = [1, 2, 3].map(|hour| put(&shelf, hour));
        let (mine, half) = (shelf.folder.join("mine.redb"), shelf.place(at(0)));
        fs::write(&mine, "").unwrap();
        fs::write(&half, "").unwrap();
        assert_eq!(shelf.prune(&third).unwrap(), [first.as_path()]);
        assert_eq!([&first, &second, &third, &mine, &half].map(|path| path.exists()), [false, true, true, true, true]);
        assert!(!with_suffix(&first, DOCUMENT).exists());
    }

    /// The clock was wrong once, and backups of a time to come are newer than the one that was just made.
    #[test]
    fn the_backup_that_was_just_made_stays() {
        let (_folder, shelf) = shelf(1);
        let [made, ahead] = [1, 9].map(|hour| put(&shelf, hour));
        assert!(shelf.prune(&made).unwrap().is_empty() && made.exists() && ahead.exists());
        assert_eq!(shelf.newest(at(2)).unwrap(), Some(at(1)));
        assert_eq!(shelf.newest(at(0)).unwrap(), None);
    }

    #[test]
    fn what_a_kill_left_behind_is_removed() {
        let (_folder, shelf) = shelf(1);
        let path = put(&shelf, 1);
        let left = [manifest::beside(&shelf.place(at(2)), manifest::FRESH), shelf.folder.join("mine.redb.new")];
        left.iter().for_each(|path| fs::write(path, "").unwrap());
        shelf.tidy().unwrap();
        assert_eq!((path.exists(), left[0].exists(), left[1].exists()), (true, false, true));
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_backups() {
        let shelf = Shelf { folder: "/none/such".into(), keep: 1 };
        assert_eq!(shelf.newest(at(1)).unwrap(), None);
        assert!(shelf.make().unwrap_err().to_string().contains("/none/such"));
    }
}

//! What lies between the store and its two files while they are open: nothing, but in tests a power supply that may fail.
//!
//! Each write, change of length and sync of the store's file and of the journal passes through here. In the service they pass
//! unseen, at no cost.

#[cfg(not(test))]
use std::fs::File;
use std::io;

#[cfg(test)]
pub(crate) use power::{Power, Surge};

/// Where the store's files lie.
#[derive(Clone, Debug, Default)]
pub(crate) struct Medium {
    #[cfg(test)]
    power: Option<std::sync::Arc<Power>>,
}

/// One open file on a medium.
#[derive(Debug)]
pub(in crate::store) struct Track {
    #[cfg(test)]
    power: Option<(std::sync::Arc<Power>, usize)>,
}

#[cfg(not(test))]
impl Medium {
    /// Follows a file that was opened.
    pub(in crate::store) fn follow(&self, _file: &File) -> io::Result<Track> {
        Ok(Track {})
    }
}

#[cfg(not(test))]
impl Track {
    /// Passes a write of `data` at `offset`.
    pub(in crate::store) fn write(&self, _offset: u64, _data: &[u8], write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        write()
    }

    /// Passes a change of the file's length.
    pub(in crate::store) fn set_len(&self, _len: u64, set: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        set()
    }

    /// Passes a sync.
    pub(in crate::store) fn sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        sync()
    }
}

#[cfg(test)]
mod power {
    //! A power supply that fails at a chosen write or sync. What was written since the last sync of its file is then lost, kept or
    //! torn, as a draw says.

    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    use super::*;

    /// The power of one simulated machine.
    #[derive(Debug, Default)]
    pub(crate) struct Power(Mutex<Supply>);

    #[derive(Debug, Default)]
    struct Supply {
        files: Vec<Watched>,
        /// Writes, changes of length and syncs that passed since the files were opened.
        passed: u64,
        /// The power fails at the one with this number.
        fails_at: Option<u64>,
        is_off: bool,
    }

    #[derive(Debug)]
    struct Watched {
        file: File,
        /// Since its last sync, oldest first.
        unsynced: Vec<Step>,
    }

    /// A change of a file, and what undoes it.
    #[derive(Debug)]
    enum Step {
        Write { offset: u64, new: Vec<u8>, old: Vec<u8>, old_len: u64 },
        SetLen { len: u64, old_len: u64, tail: Vec<u8> },
    }

    /// What becomes of the unsynced changes of the files when the power fails.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Surge {
        /// All of them are kept, as after `kill -9`.
        Keeps,
        Loses,
        /// Each is kept, lost, or torn at a sector.
        Tears,
    }

    impl Power {
        /// Lets the power fail after so many more writes, changes of length and syncs.
        pub(crate) fn fail_after(&self, steps: u64) {
            let mut supply = self.supply();
            supply.fails_at = Some(supply.passed + steps + 1);
        }

        /// Lets the power fail now.
        pub(crate) fn fail(&self) {
            self.supply().is_off = true;
        }

        pub(crate) fn is_off(&self) -> bool {
            self.supply().is_off
        }

        /// Makes of the files what is found after the power came back. Nobody may have them open. `draw` gives numbers below its
        /// argument.
        pub(crate) fn restore(&self, surge: Surge, mut draw: impl FnMut(u64) -> u64) -> io::Result<()> {
            let mut supply = self.supply();
            for watched in std::mem::take(&mut supply.files) {
                watched.restore(surge, &mut draw)?;
            }
            *supply = Supply::default();
            Ok(())
        }

        fn supply(&self) -> MutexGuard<'_, Supply> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Supply {
        /// Whether a step passes: an error once the power is off. The last that is begun may still be done, in part.
        fn pass(&mut self) -> io::Result<bool> {
            if self.is_off {
                return Err(io::Error::other("the power is off"));
            }
            self.passed += 1;
            self.is_off = self.fails_at == Some(self.passed);
            Ok(!self.is_off)
        }
    }

    impl Watched {
        fn restore(self, surge: Surge, draw: &mut impl FnMut(u64) -> u64) -> io::Result<()> {
            if surge == Surge::Keeps {
                return Ok(());
            }
            self.unsynced.iter().rev().try_for_each(|step| step.undo(&self.file))?;
            if surge == Surge::Loses {
                return Ok(());
            }
            self.unsynced.iter().try_for_each(|step| match draw(3) {
                0 => Ok(()),
                1 => step.redo(&self.file),
                _ => step.tear(&self.file, draw),
            })
        }
    }

    impl Step {
        fn undo(&self, file: &File) -> io::Result<()> {
            match self {
                Self::Write { offset, old, old_len, .. } => {
                    file.write_all_at(old, *offset)?;
                    file.set_len(*old_len)
                }
                Self::SetLen { len, old_len, tail } => {
                    file.set_len(*old_len)?;
                    file.write_all_at(tail, *len)
                }
            }
        }

        fn redo(&self, file: &File) -> io::Result<()> {
            match self {
                Self::Write { offset, new, .. } => file.write_all_at(new, *offset),
                Self::SetLen { len, .. } => file.set_len(*len),
            }
        }

        /// Each sector of a write is kept or lost.
        fn tear(&self, file: &File, draw: &mut impl FnMut(u64) -> u64) -> io::Result<()> {
            let Self::Write { offset, new, .. } = self else { return Ok(()) };
            for (number, sector) in new.chunks(SECTOR_BYTES).enumerate() {
                if draw(2) == 0 {
                    file.write_all_at(sector, offset + (number * SECTOR_BYTES) as u64)?;
                }
            }
            Ok(())
        }
    }

    impl Medium {
        /// A medium that this power runs.
        pub(crate) fn powered_by(power: Arc<Power>) -> Self {
            Self { power: Some(power) }
        }

        pub(in crate::store) fn follow(&self, file: &File) -> io::Result<Track> {
            let Some(power) = &self.power else { return Ok(Track { power: None }) };
            let mut supply = power.supply();
            supply.files.push(Watched { file: file.try_clone()?, unsynced: Vec::new() });
            Ok(Track { power: Some((power.clone(), supply.files.len() - 1)) })
        }
    }

    impl Track {
        pub(in crate::store) fn write(&self, offset: u64, data: &[u8], write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
            let change = |file: &File| {
                let old_len = file.metadata()?.len();
                let there = old_len.saturating_sub(offset).min(data.len() as u64);
                let mut old = vec![0; usize::try_from(there).expect("no more than the data")];
                file.read_exact_at(&mut old, offset)?;
                Ok(Step::Write { offset, new: data.to_vec(), old, old_len })
            };
            self.change(change, write)
        }

        pub(in crate::store) fn set_len(&self, len: u64, set: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
            let change = |file: &File| {
                let old_len = file.metadata()?.len();
                let mut tail = vec![0; usize::try_from(old_len.saturating_sub(len)).expect("files of tests are small")];
                file.read_exact_at(&mut tail, len)?;
                Ok(Step::SetLen { len, old_len, tail })
            };
            self.change(change, set)
        }

        /// On a medium with a power supply a sync only makes last what was written: nothing waits for a disk.
        pub(in crate::store) fn sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
            let Some((power, number)) = &self.power else { return sync() };
            let mut supply = power.supply();
            if !supply.pass()? {
                return Err(io::Error::other("the power failed at a sync"));
            }
            supply.files[*number].unsynced.clear();
            Ok(())
        }

        fn change(
            &self,
            change: impl FnOnce(&File) -> io::Result<Step>,
            make: impl FnOnce() -> io::Result<()>,
        ) -> io::Result<()> {
            let Some((power, number)) = &self.power else { return make() };
            let mut supply = power.supply();
            let passes = supply.pass()?;
            let watched = &mut supply.files[*number];
            watched.unsynced.push(change(&watched.file)?);
            make()?;
            if passes { Ok(()) } else { Err(io::Error::other("the power failed at a write")) }
        }
    }

    /// What a disk writes whole.
    const SECTOR_BYTES: usize = 512;

    #[cfg(test)]
    mod tests {
        use super::*;

        /// A file with `synced` on disk and `unsynced` written over its beginning, after a failure.
        fn after(surge: Surge) -> Vec<u8> {
            let file = tempfile::NamedTempFile::new().unwrap();
            let power = Arc::new(Power::default());
            let track = Medium::powered_by(power.clone()).follow(file.as_file()).unwrap();
            let write = |byte: u8, len: usize| {
                let data = vec![byte; len];
                track.write(0, &data, || file.as_file().write_all_at(&data, 0))
            };
            write(1, 2_000).unwrap();
            track.sync(|| Ok(())).unwrap();
            track.set_len(1_000, || file.as_file().set_len(1_000)).unwrap();
            power.fail_after(1);
            write(2, 600).unwrap();
            assert!(write(3, 1_500).is_err() && write(4, 1).is_err() && power.is_off());
            drop(track);
            let mut number = 0;
            power
                .restore(surge, |below| {
                    number += 1;
                    [1, 2, 0, 1, 0, 1, 1][(number - 1) % 7] % below
                })
                .unwrap();
            assert!(!power.is_off());
            std::fs::read(file.path()).unwrap()
        }

        #[test]
        fn what_was_not_synced_is_lost_kept_or_torn() {
            assert_eq!(after(Surge::Loses), [1; 2_000]);
            assert_eq!(after(Surge::Keeps), [3; 1_500]);
            let torn = after(Surge::Tears);
            assert_eq!((torn.len(), torn[0], torn[511], torn[512], torn[999]), (1_000, 2, 2, 1, 1));
        }
    }
}

//! A store's file as redb sees it on trial: what is written stays in memory, and the file as it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{DatabaseError, StorageBackend};

use crate::store::redb::backend::locks_of_its_file;

/// One file with what was written over it.
#[derive(Debug)]
pub(in crate::store) struct Overlay {
    file: FileBackend,
    written: Mutex<Written>,
}

#[derive(Default)]
struct Written {
    blocks: BTreeMap<u64, Box<[u8]>>,
    len: u64,
    /// How much of the file still shows; behind it are zeros.
    shows: u64,
}

impl Overlay {
    pub(in crate::store) fn new(file: File) -> Result<Self, DatabaseError> {
        let len = file.metadata()?.len();
        let written = Mutex::new(Written { blocks: BTreeMap::new(), len, shows: len });
        Ok(Self { file: FileBackend::new(file)?, written })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block of the file as it is, with zeros behind what shows.
    fn block(&self, start: u64, shows: u64) -> io::Result<Box<[u8]>> {
        let mut block = vec![0; BLOCK_BYTES].into_boxed_slice();
        let there = usize::try_from(shows.saturating_sub(start)).map_or(BLOCK_BYTES, |left| left.min(BLOCK_BYTES));
        self.file.read(start, &mut block[..there])?;
        Ok(block)
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > written.len) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if written.blocks.is_empty() && written.shows == written.len {
            return self.file.read(offset, out);
        }
        let mut done = 0;
        while done < out.len() {
            let (start, within) = place(offset + done as u64);
            let piece = (BLOCK_BYTES - within).min(out.len() - done);
            let to = &mut out[done..done + piece];
            match written.blocks.get(&start) {
                Some(block) => to.copy_from_slice(&block[within..within + piece]),
                None => to.copy_from_slice(&self.block(start, written.shows)?[within..within + piece]),
            }
            done += piece;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written();
        (written.len, written.shows) = (len, written.shows.min(len));
        written.blocks.retain(|start, _| *start < len);
        let (last, within) = place(len);
        if let Some(block) = written.blocks.get_mut(&last) {
            block[within..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        let mut done = 0;
        while done < data.len() {
            let (start, within) = place(offset + done as u64);
            let piece = (BLOCK_BYTES - within).min(data.len() - done);
            let mut block = match written.blocks.remove(&start) {
                Some(block) => block,
                None => self.block(start, written.shows)?,
            };
            block[within..within + piece].copy_from_slice(&data[done..done + piece]);
            written.blocks.insert(start, block);
            done += piece;
        }
        written.len = written.len.max(offset + data.len() as u64);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    locks_of_its_file!();
}

/// The text shows sizes alone, since the blocks hold events.
impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Written({} blocks, {} bytes)", self.blocks.len(), self.len)
    }
}

/// Where the block of an offset begins, and how far behind that the offset is.
fn place(offset: u64) -> (u64, usize) {
    let within = offset % BLOCK_BYTES as u64;
    (offset - within, usize::try_from(within).unwrap_or(0))
}

/// redb writes whole pages of this size and its header.
const BLOCK_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_shows_what_was_written_and_leaves_the_file_alone(
            len in 0..20_000_usize,
            calls in proptest::collection::vec((any::<bool>(), 0..20_000_usize, 1..9_000_usize, any::<u8>()), 1..20),
        ) {
            let mut model: Vec<u8> = (0..=250).cycle().take(len).collect();
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&model).unwrap();
            let before = model.clone();
            let overlay = Overlay::new(file.reopen().unwrap()).unwrap();
            for (write, at, count, byte) in calls {
                if write {
                    overlay.write(at as u64, &vec![byte; count]).unwrap();
                    model.resize(model.len().max(at + count), 0);
                    model[at..at + count].fill(byte);
                } else {
                    overlay.set_len(at as u64).unwrap();
                    model.resize(at, 0);
                }
                let mut seen = vec![0; model.len()];
                overlay.read(0, &mut seen).unwrap();
                prop_assert!(seen == model && overlay.len().unwrap() == model.len() as u64);
                prop_assert!(overlay.read(model.len() as u64, &mut [0]).is_err());
            }
            prop_assert!(std::fs::read(file.path()).unwrap() == before);
        }
    }
}

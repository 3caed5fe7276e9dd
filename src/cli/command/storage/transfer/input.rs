//! The lines of a file that is imported: opened if it is sealed, bounded in length, each with the number of its place.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::age::{self, ARMOR, MAGIC, Opening};
use crate::api::document::backup::export::LINE_BYTES_MAX;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::fate::file_failure;
use crate::cli::output::hint::Hint;

/// The lines of one file.
pub(super) struct Input {
    path: PathBuf,
    from: Box<dyn BufRead>,
    /// The number of the last line that was read, from 1.
    pub(super) line: u64,
    pub(super) bytes_read: u64,
    /// How long the file is; 0 where nobody knows.
    pub(super) bytes: u64,
}

impl Input {
    /// Opens a file, or stdin for `-`. A sealed one needs the passphrase.
    pub(super) fn open(path: &Path, passphrase: Option<&str>) -> Result<Self, Failure> {
        let unread = |cause: &io::Error| file_failure("read", path, cause);
        let (from, bytes): (Box<dyn Read>, u64) = match path.as_os_str() == "-" {
            true => (Box::new(io::stdin()), 0),
            false => {
                let file = File::open(path).map_err(|cause| unread(&cause))?;
                let bytes = file.metadata().map_or(0, |found| found.len());
                (Box::new(file), bytes)
            }
        };
        let mut from = BufReader::with_capacity(BUFFER, from);
        let begins = |text: &str, from: &mut BufReader<_>| -> Result<bool, Failure> {
            Ok(from.fill_buf().map_err(|cause| unread(&cause))?.starts_with(text.as_bytes()))
        };
        if begins(ARMOR, &mut from)? {
            let told =
                format!("{} is sealed in letters; `age -d` opens it, and what that prints can be imported", path.display());
            return Err(Failure::negative(told, Hint::text("age -d FILE | hookwheel import -")));
        }
        let is_sealed = begins(MAGIC, &mut from)?;
        let from: Box<dyn BufRead> = match (is_sealed, passphrase) {
            (false, _) => Box::new(from),
            (true, Some(passphrase)) => {
                let opening = Opening::new(from, passphrase).map_err(|why| sealed(path, &why))?;
                Box::new(BufReader::with_capacity(BUFFER, opening))
            }
            (true, None) => {
                let told = format!("{} is sealed; name the file with its passphrase", path.display());
                return Err(Failure::usage(told, Hint::again_with_value("--passphrase-file", "FILE")));
            }
        };
        Ok(Self { path: path.into(), from, line: 0, bytes_read: 0, bytes })
    }

    /// The next line without its end. `None`: there is none.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut line = Vec::new();
        let read = self.from.by_ref().take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|cause| self.broken(&cause))?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        self.bytes_read += read as u64;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.len() > LINE_BYTES_MAX - 1 {
            return Err(self.wrong(&format!("is longer than {} MiB, the most that a line has", LINE_BYTES_MAX >> 20)));
        }
        if std::str::from_utf8(&line).is_err() {
            return Err(self.wrong("is not UTF-8"));
        }
        Ok(Some(line))
    }

    /// All that is left, at most `most` bytes.
    pub(super) fn rest(&mut self, most: u64) -> Result<Vec<u8>, Failure> {
        let mut all = Vec::new();
        self.from.by_ref().take(most + 1).read_to_end(&mut all).map_err(|cause| self.broken(&cause))?;
        if all.len() as u64 > most {
            let told = format!(
                "{} is longer than {} MiB, the most that is read of another service's file",
                self.path.display(),
                most >> 20
            );
            return Err(Failure::negative(told, None));
        }
        Ok(all)
    }

    /// Something is wrong with the line that was read last.
    pub(super) fn wrong(&self, what: &str) -> Failure {
        Failure::negative(format!("{}:{}: the line {what}", self.path.display(), self.line), None)
    }

    fn broken(&self, cause: &io::Error) -> Failure {
        let place = format!("{}:{}", self.path.display(), self.line + 1);
        match cause.get_ref().and_then(|inner| inner.downcast_ref::<age::Error>()) {
            Some(why) => Failure::negative(format!("{place}: the sealed file cannot be read on: {why}"), None),
            None => Failure::new(Exit::StoreIo, format!("{place}: cannot read on: {cause}"), None),
        }
    }
}

fn sealed(path: &Path, why: &age::Error) -> Failure {
    Failure::negative(format!("{} cannot be opened: {why}", path.display()), None)
}

const BUFFER: usize = 64 << 10;

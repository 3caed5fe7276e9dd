//! `backup`: has the running service write its store to a file.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::api::document::backup::{Backup as Made, Backups, Ended};
use crate::cli::args::Reach;
use crate::cli::client::{Call, Service};
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::progress::Progress;
use crate::cli::output::words::{count, plain, size};

/// Write a backup of the running service to FILE, with what is in it to FILE.json
///
/// The service itself writes the file, as its own user, and goes on meanwhile. All that was answered before is in it. A backup that
/// stands there is replaced once the new one is whole. The key that opens its secrets is not in it: keep a copy of that apart.
#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// The file of the backup, in a folder that the service may write to
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    reach: Reach,
}

impl Backup {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let path = whole_path(&self.file)?;
        let service = self.reach.service()?;
        let begun: Backups = service.ask(Call::post(PATH, json!({ "path": path }).to_string()))?.read()?;
        let number = begun.running.map(|running| running.number).unwrap_or_default();
        let ended = wait(&service, number, out)?;
        match (&ended.backup, &ended.error) {
            (Some(made), _) => told(&ended, made, out),
            (None, why) => Err(failed(&ended.path, why.as_deref())),
        }
    }
}

/// Waits until the backup with this number has ended.
fn wait(service: &Service, number: u64, out: &Out) -> Result<Ended, Failure> {
    let mut progress = Progress::new("backup", out);
    loop {
        let said: Backups = service.ask(Call::get(PATH))?.read()?;
        match said {
            Backups { running: Some(running), .. } if running.number == number => progress.at(running.rows, running.rows_total),
            Backups { last: Some(last), .. } if last.number == number => return Ok(last),
            _ => return Err(Failure::negative("the service has begun another backup; its log says how this one ended", None)),
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn told(ended: &Ended, made: &Made, out: &Out) -> Result<Exit, Failure> {
    if out.json {
        out.line(serde_json::to_string(ended).unwrap_or_default())?;
        return Ok(Exit::Ok);
    }
    out.line(plain(&line(&ended.path, made)))?;
    if made.damaged > 0 {
        out.note(format!("warning: {} in it are damaged, as they are in the store", count(made.damaged, "row")));
    }
    out.note(format!("note: {}", made.sealing_key.note));
    Ok(Exit::Ok)
}

fn line(path: &str, made: &Made) -> String {
    let (events, size) = (count(made.events, "event"), size(made.bytes));
    format!("ok  {path}: {events}, {} pending, {size}, SHA-256 {}", made.pending, made.sha256)
}

fn failed(path: &str, why: Option<&str>) -> Failure {
    let why = why.unwrap_or("the service did not say why");
    Failure::new(Exit::StoreIo, format!("no backup was written to {path}: {why}"), Hint::service("status"))
}

/// The file as the service finds it, whatever folder this command runs in.
fn whole_path(file: &Path) -> Result<String, Failure> {
    let unfit = |why: &str| Failure::usage(format!("no backup can be written to `{}`: {why}", file.display()), None);
    let path = std::path::absolute(file).map_err(|_| unfit("it names no file"))?;
    path.into_os_string().into_string().map_err(|_| unfit("its path is not UTF-8"))
}

const PATH: &str = "/v1/admin/backup";

/// The time between two looks. A small store takes less than one.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::document::backup::fixture;

    #[test]
    fn a_backup_is_told_in_one_line() {
        let ended = fixture::ended();
        let made = ended.backup.expect("it succeeded");
        assert_eq!(line(&ended.path, &made), "ok  /b/h.redb: 3 events, 1 pending, 2.0 KiB, SHA-256 ab");
    }

    #[test]
    fn a_relative_path_is_of_the_folder_of_this_command() {
        let path = whole_path(Path::new("a/b.redb")).expect("a path");
        assert!(path.starts_with('/') && path.ends_with("/a/b.redb"), "{path}");
        assert_eq!(whole_path(Path::new("")).unwrap_err().exit, Exit::Usage);
    }
}

//! `export`: writes what the running service holds as a file of lines.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::age::{self, Sealing};
use super::passphrase;
use crate::api::document::backup::export::{Config, End, FORMAT, Header, Kind, Page, VERSION};
use crate::cli::args::Reach;
use crate::cli::calls;
use crate::cli::client::{Call, Service};
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::fate::file_failure;
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::progress::Progress;
use crate::cli::output::shown;
use crate::cli::output::words::{count, plain};
use crate::clock;

/// Write what the running service holds to FILE, one JSON object a line: what another relay imports
///
/// Providers, event types, tenants and webhooks, then events and deliveries with their attempts. Secrets, credentials and keys are left
/// out, unless a passphrase seals the whole file. What is published while the file is written is not in it.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// The file to write; - is stdout
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Write secrets, credentials and the hashes of keys too, into a file that the passphrase seals (age)
    #[arg(long, requires = "passphrase_file")]
    with_secrets: bool,

    /// A file with the passphrase that seals the export
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,

    /// Leave out events and deliveries
    #[arg(long)]
    no_log: bool,

    /// Write what this config file comes to into the export, for people; no secrets and keys
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Replace the file that stands there
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    reach: Reach,
}

impl Export {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let passphrase = self.passphrase_file.as_deref().map(passphrase).transpose()?;
        let config = self.config.as_deref().map(config_line).transpose()?;
        let service = self.reach.service()?;
        let to = Target::open(&self.file, self.force)?;
        let written = match &passphrase {
            Some(passphrase) => {
                let sealing = Sealing::new(to, passphrase).map_err(|why| unsealed(&self.file, &why))?;
                let (sealing, counts) = self.write(sealing, config.as_ref(), &service, out)?;
                sealing.finish().and_then(Target::finish).map(|()| counts)
            }
            None => {
                let (to, counts) = self.write(to, config.as_ref(), &service, out)?;
                to.finish().map(|()| counts)
            }
        };
        let counts = written.map_err(|cause| unwritten(&self.file, &cause))?;
        self.told(&counts, passphrase.is_some(), out)
    }

    /// Writes all lines, and answers how many of each kind there were.
    fn write<W: Write>(
        &self,
        to: W,
        config: Option<&Config>,
        service: &Service,
        out: &Out,
    ) -> Result<(W, Vec<(String, u64)>), Failure> {
        let mut lines = Lines { to, counts: Vec::new(), file: &self.file };
        lines.line(&Header {
            kind: Default::default(),
            format: FORMAT.into(),
            version: VERSION,
            hookwheel: env!("CARGO_PKG_VERSION").into(),
            made_at: clock::now().into(),
            secrets: self.with_secrets,
        })?;
        config.map_or(Ok(()), |config| lines.counted("config", &json_of(config)))?;
        let mut progress = Progress::new("export", out);
        let mut cursor = None;
        loop {
            let secrets = self.with_secrets.then(|| "true".to_owned());
            let log = self.no_log.then(|| "false".to_owned());
            let call = Call::get(PATH).query([("cursor", cursor), ("secrets", secrets), ("log", log)]).within(PIECE_WITHIN);
            let page = lines.page(service.ask(call)?.text()?)?;
            progress.at(lines.of("event"), page.events.max(lines.of("event")));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let records = lines.counts.iter().map(|(_, count)| count).sum();
        lines.line(&End { kind: Default::default(), records })?;
        Ok((lines.to, lines.counts))
    }

    fn told(&self, counts: &[(String, u64)], sealed: bool, out: &Out) -> Result<Exit, Failure> {
        let file = self.file.display().to_string();
        let of = |kind: &str| counts.iter().find(|(known, _)| known == kind).map_or(0, |(_, count)| *count);
        if out.json && !is_stdout(&self.file) {
            let kinds: serde_json::Map<String, serde_json::Value> =
                counts.iter().map(|(kind, count)| (kind.clone(), (*count).into())).collect();
            out.line(json!({ "file": file, "sealed": sealed, "secrets": self.with_secrets, "records": kinds }))?;
            return Ok(Exit::Ok);
        }
        let told = [("tenant", "tenant"), ("webhook", "webhook"), ("event", "event"), ("delivery", "delivery")];
        let told: Vec<String> = told.iter().map(|(kind, noun)| counted(of(kind), noun)).collect();
        let line = plain(&format!("ok  {file}: {}", told.join(", ")));
        if is_stdout(&self.file) {
            out.note(line)
        } else {
            out.line(line)?
        }
        if !self.with_secrets && of("webhook") > 0 {
            out.note("note: it has no secrets and no keys; --with-secrets writes them into a file that a passphrase seals");
        }
        Ok(Exit::Ok)
    }
}

fn counted(number: u64, noun: &str) -> String {
    match noun {
        "delivery" if number != 1 => format!("{number} deliveries"),
        noun => count(number, noun),
    }
}

/// The lines that were written.
struct Lines<'a, W> {
    to: W,
    counts: Vec<(String, u64)>,
    file: &'a Path,
}

impl<W: Write> Lines<'_, W> {
    fn line(&mut self, line: &impl Serialize) -> Result<(), Failure> {
        self.raw(&json_of(line))
    }

    fn raw(&mut self, line: &str) -> Result<(), Failure> {
        let written = self.to.write_all(line.as_bytes()).and_then(|()| self.to.write_all(b"\n"));
        written.map_err(|cause| unwritten(self.file, &cause))
    }

    fn counted(&mut self, kind: &str, line: &str) -> Result<(), Failure> {
        match self.counts.iter_mut().find(|(known, _)| known == kind) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((kind.into(), 1)),
        }
        self.raw(line)
    }

    fn of(&self, kind: &str) -> u64 {
        self.counts.iter().find(|(known, _)| known == kind).map_or(0, |(_, count)| *count)
    }

    /// Writes the lines of one answer but its last, which says where the next one begins.
    fn page(&mut self, answer: &str) -> Result<Page, Failure> {
        let (lines, last) = answer.rsplit_once('\n').unwrap_or(("", answer));
        for line in lines.lines() {
            let Kind { kind } = serde_json::from_str(line).map_err(|_| not_understood())?;
            self.counted(&kind, line)?;
        }
        serde_json::from_str(last).map_err(|_| not_understood())
    }
}

/// Where an export goes: a new file that takes its name when it is whole, or stdout.
struct Target {
    to: BufWriter<Box<dyn Write>>,
    /// The file itself, its name until it is whole, and its name.
    file: Option<(File, PathBuf, PathBuf)>,
}

impl Target {
    fn open(path: &Path, force: bool) -> Result<Self, Failure> {
        if is_stdout(path) {
            return Ok(Self { to: BufWriter::new(Box::new(io::stdout())), file: None });
        }
        if !force && path.exists() {
            let told = format!("{} is there already; nothing was written", path.display());
            return Err(Failure::usage(told, Hint::again_with("--force")));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let fresh = path.with_file_name(name);
        let mut options = OpenOptions::new();
        let made = options.write(true).create(true).truncate(true).mode(PRIVATE).open(&fresh);
        let file = made.map_err(|cause| file_failure("write", &fresh, &cause))?;
        let to = file.try_clone().map_err(|cause| file_failure("write", &fresh, &cause))?;
        Ok(Self { to: BufWriter::with_capacity(BUFFER, Box::new(to)), file: Some((file, fresh, path.into())) })
    }

    /// Brings all to the disk, and gives the file its name.
    fn finish(mut self) -> io::Result<()> {
        self.to.flush()?;
        let Some((file, fresh, path)) = self.file.take() else { return Ok(()) };
        file.sync_all()?;
        fs::rename(&fresh, &path)
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// An export that did not come to its end leaves no file.
impl Drop for Target {
    fn drop(&mut self) {
        if let Some((_, fresh, _)) = &self.file {
            // The error that is told matters more.
            drop(fs::remove_file(fresh));
        }
    }
}

fn config_line(file: &Path) -> Result<Config, Failure> {
    let config = calls::config(file, true)?;
    let settings = RawValue::from_string(shown::whole(&config).to_string()).unwrap_or_default();
    Ok(Config { kind: Default::default(), file: file.display().to_string(), settings })
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn json_of(line: &impl Serialize) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

fn unwritten(file: &Path, cause: &io::Error) -> Failure {
    if is_stdout(file) && cause.kind() == io::ErrorKind::BrokenPipe {
        return Failure::closed_pipe();
    }
    Failure::new(Exit::StoreIo, format!("cannot write {}: {cause}; no file was made", file.display()), Hint::text("df -h"))
}

fn unsealed(file: &Path, why: &age::Error) -> Failure {
    Failure::new(Exit::Internal, format!("{} cannot be sealed: {why}", file.display()), None)
}

fn not_understood() -> Failure {
    Failure::new(
        Exit::Internal,
        "the service answered with what is no part of an export; it may be of another release",
        Hint::plain("version"),
    )
}

const PATH: &str = "/v1/admin/export";

/// A piece begins by bringing the journal into the tables.
const PIECE_WITHIN: Duration = Duration::from_secs(120);

/// It may hold secrets, and holds what customers were sent in any case.
const PRIVATE: u32 = 0o600;

const BUFFER: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_where_the_next_one_begins() {
        let mut lines = Lines { to: Vec::new(), counts: Vec::new(), file: Path::new("f") };
        let answer = "{\"kind\":\"event\",\"id\":\"a\"}\n{\"kind\":\"event\"}\n{\"kind\":\"page\",\"next\":\"c\",\"events\":2}";
        assert_eq!(lines.page(answer).expect("understood").next.as_deref(), Some("c"));
        assert_eq!(lines.of("event"), 2);
        assert_eq!(lines.to, b"{\"kind\":\"event\",\"id\":\"a\"}\n{\"kind\":\"event\"}\n");
        assert_eq!(lines.page("{\"kind\":\"page\",\"next\":null,\"events\":2}").expect("understood").next, None);
        assert_eq!(lines.page("<html>").unwrap_err().exit, Exit::Internal);
    }

    #[test]
    fn an_export_that_ends_early_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.ndjson");
        drop(Target::open(&path, false).expect("opened"));
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 0);
        let mut target = Target::open(&path, false).expect("opened");
        target.write_all(b"x\n").expect("written");
        target.finish().expect("finished");
        assert_eq!(fs::read(&path).expect("read"), b"x\n");
        assert!(Target::open(&path, false).is_err_and(|failure| failure.exit == Exit::Usage), "it is there");
    }
}

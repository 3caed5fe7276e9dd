//! `import`: gives the lines of an export to the running service, a few at a time.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;
use serde_json::value::RawValue;

use super::input::Input;
use super::{passphrase, svix};
use crate::api::document::backup::export::{End, FORMAT, Header, Imported, Kind, LINE_BYTES_MAX, Status, VERSION};
use crate::cli::args::Reach;
use crate::cli::client::{Call, Service};
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::progress::Progress;
use crate::cli::output::words::plain;

/// Import FILE, which `hookwheel export` wrote, into the running service
///
/// What is there already and equal is left, so an import that was broken off can be made again. Plain settings that differ are changed;
/// the state, secrets and credentials of a webhook that is there, events and deliveries never are, and nothing that was deleted or
/// revoked here comes back. Imported deliveries are history: what had not ended fails as `imported`, and is sent again when you ask for
/// it. A line that is refused is named, and stops no other.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The file to read; - is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Whose file it is: that of another service, as JSON
    #[arg(long, value_enum, value_name = "SERVICE")]
    from: Option<From>,

    /// The provider that gets what another service's file holds [default: default]
    #[arg(long, value_name = "NAME", requires = "from")]
    provider: Option<String>,

    /// A file with the passphrase that opens a sealed export
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,

    #[command(flatten)]
    reach: Reach,
}

/// Services whose files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    /// The answer of Svix's `environment/export`, with applications and their endpoints as its lists show them
    Svix,
}

impl Import {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let passphrase = self.passphrase_file.as_deref().map(passphrase).transpose()?;
        let mut input = Input::open(&self.file, passphrase.as_ref().map(|text| text.as_str()))?;
        let service = self.reach.service()?;
        let mut sending = Sending::new(&service, out);
        let ended = match self.from {
            Some(From::Svix) => self.svix(&mut input, &mut sending),
            None => lines(&mut input, &mut sending),
        };
        // What was taken in is told, also where the rest of the file cannot be read.
        let sent = ended.and_then(|()| sending.send());
        let summary = sending.summary;
        summary.told(&self.file.display().to_string(), out)?;
        sent?;
        Ok(if summary.refused == 0 { Exit::Ok } else { Exit::Negative })
    }

    fn svix(&self, input: &mut Input, sending: &mut Sending<'_>) -> Result<(), Failure> {
        let text = input.rest(svix::BYTES_MAX)?;
        let provider = self.provider.as_deref().unwrap_or("default");
        for (place, line) in svix::lines(&text, provider).map_err(|why| unfit(&self.file, &why))? {
            sending.add(place, line)?;
        }
        Ok(())
    }
}

fn unfit(file: &std::path::Path, why: &str) -> Failure {
    Failure::negative(format!("{} is no file of Svix: {why}", file.display()), Hint::plain("docs move"))
}

/// Sends the lines of an export, of which the first and the last are checked here.
fn lines(input: &mut Input, sending: &mut Sending<'_>) -> Result<(), Failure> {
    let header = input.next()?.ok_or_else(|| Failure::negative("the file is empty: no line says what it is", None))?;
    check_header(&header).map_err(|why| input.wrong(&why))?;
    let mut records = 0;
    while let Some(line) = input.next()? {
        if kind_of(&line) == "end" {
            return check_end(&line, records, input);
        }
        records += 1;
        sending.add(format!("line {}", input.line), line)?;
        sending.progress.at(input.bytes_read, input.bytes);
    }
    sending.send()?;
    let line = input.line;
    let told = format!("the file was cut off behind line {line}: its last line, `end`, is missing; what stands before was taken");
    Err(Failure::negative(told, Hint::plain("export FILE")))
}

fn check_header(line: &[u8]) -> Result<(), String> {
    let header: Header = serde_json::from_slice(line).map_err(|_| NO_HEADER.to_owned())?;
    if header.format != FORMAT {
        return Err(NO_HEADER.into());
    }
    if header.version > VERSION {
        return Err(format!(
            "says that the file is of version {} of its format, which hookwheel {} wrote; this one reads up to version {VERSION}: import it \
             with that release or a later one",
            header.version, header.hookwheel
        ));
    }
    Ok(())
}

fn check_end(line: &[u8], records: u64, input: &mut Input) -> Result<(), Failure> {
    let End { records: told, .. } = serde_json::from_slice(line).map_err(|_| input.wrong("ends the file, and cannot be read"))?;
    if told != records {
        return Err(
            input.wrong(&format!("counts {told} lines before it, and there are {records}: some were taken out or put in"))
        );
    }
    match input.next()? {
        Some(_) => Err(input.wrong("stands behind the last one, `end`")),
        None => Ok(()),
    }
}

fn kind_of(line: &[u8]) -> String {
    serde_json::from_slice(line).map_or_else(|_| String::new(), |Kind { kind }| kind)
}

/// Lines on their way to the service.
struct Sending<'a> {
    service: &'a Service,
    out: &'a Out,
    progress: Progress<'a>,
    /// The place and the kind of each line that waits, and their text.
    waiting: Vec<(String, String)>,
    body: Vec<u8>,
    /// The ids that webhooks have here, by those in the file, where they differ.
    webhooks: HashMap<String, String>,
    summary: Summary,
}

impl<'a> Sending<'a> {
    fn new(service: &'a Service, out: &'a Out) -> Self {
        let progress = Progress::new("import", out);
        let (waiting, body, webhooks) = (Vec::new(), Vec::new(), HashMap::new());
        Self { service, out, progress, waiting, body, webhooks, summary: Summary::default() }
    }

    fn add(&mut self, place: String, line: Vec<u8>) -> Result<(), Failure> {
        let kind = kind_of(&line);
        // Only then is it known which id a webhook has here.
        let is_next_part = self.waiting.last().is_some_and(|(_, before)| before == "webhook" && kind != "webhook");
        let is_full = self.waiting.len() >= LINES || self.body.len() + line.len() >= BYTES;
        if is_next_part || is_full {
            self.send()?;
        }
        let line = if kind == "delivery" { self.renamed(line) } else { line };
        self.body.extend_from_slice(&line);
        self.body.push(b'\n');
        let named = if kind == "webhook" { webhook_id(&line) } else { String::new() };
        self.waiting.push((place, kind));
        if !named.is_empty() {
            // Read again when the answer says that it has another one here.
            self.summary.named.push((self.waiting.len() - 1, named));
        }
        Ok(())
    }

    /// A delivery by the id that its webhook has here.
    fn renamed(&self, line: Vec<u8>) -> Vec<u8> {
        if self.webhooks.is_empty() {
            return line;
        }
        let Ok(mut members) = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(&line) else { return line };
        let here = members.get("webhook_id").and_then(|id| serde_json::from_str::<String>(id.get()).ok());
        let Some(here) = here.and_then(|id| self.webhooks.get(&id)) else { return line };
        let Ok(here) = serde_json::value::to_raw_value(here) else { return line };
        members.insert("webhook_id".into(), here);
        serde_json::to_vec(&members).unwrap_or(line)
    }

    /// Sends what waits, and takes note of what became of each line.
    fn send(&mut self) -> Result<(), Failure> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let call = Call::post(PATH, std::mem::take(&mut self.body)).within(WITHIN);
        let answer = self.service.ask(call)?;
        let results: Result<Vec<Imported>, _> = answer.text()?.lines().map(serde_json::from_str).collect();
        let results = results.ok().filter(|results| results.len() == self.waiting.len()).ok_or_else(not_understood)?;
        for (index, named) in std::mem::take(&mut self.summary.named) {
            results[index].id.iter().for_each(|here| _ = self.webhooks.insert(named.clone(), here.clone()));
        }
        for ((place, kind), result) in std::mem::take(&mut self.waiting).into_iter().zip(results) {
            self.summary.add(&place, &kind, result, self.out);
        }
        Ok(())
    }
}

fn webhook_id(line: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Named {
        id: String,
    }
    serde_json::from_slice(line).map_or_else(|_| String::new(), |Named { id }| id)
}

fn not_understood() -> Failure {
    Failure::new(
        Exit::Internal,
        "the service answered with what is no result of an import; it may be of another release",
        Hint::plain("version"),
    )
}

/// What became of all lines.
#[derive(Default)]
struct Summary {
    added: u64,
    changed: u64,
    left: u64,
    refused: u64,
    faults: Vec<serde_json::Value>,
    notes: Vec<serde_json::Value>,
    /// The webhooks among the lines that wait, by their index there.
    named: Vec<(usize, String)>,
}

impl Summary {
    fn add(&mut self, place: &str, kind: &str, Imported { status, detail, .. }: Imported, out: &Out) {
        let count = match status {
            Status::Added => &mut self.added,
            Status::Changed => &mut self.changed,
            Status::Left => &mut self.left,
            Status::Refused => &mut self.refused,
        };
        *count += 1;
        let Some(detail) = detail else { return };
        let kind = if kind.is_empty() { "no record" } else { kind };
        let list = if status == Status::Refused { &mut self.faults } else { &mut self.notes };
        if list.len() < TOLD_MAX {
            if !out.json {
                out.note(format!("{place}: {kind}{}: {detail}", if status == Status::Refused { " refused" } else { "" }));
            }
            list.push(json!({ "place": place, "kind": kind, "detail": detail }));
        }
    }

    fn told(&self, file: &str, out: &Out) -> Result<(), Failure> {
        let Self { added, changed, left, refused, faults, notes, .. } = self;
        if out.json {
            return out.line(json!({
                "file": file, "added": added, "changed": changed, "left": left, "refused": refused, "faults": faults, "notes": notes,
            }));
        }
        let unsaid = refused.saturating_sub(faults.len() as u64);
        if unsaid > 0 {
            out.note(format!("{unsaid} more lines were refused"));
        }
        let mark = if *refused == 0 { "ok " } else { "-- " };
        out.line(plain(&format!("{mark} {file}: {added} added, {changed} changed, {left} left, {refused} refused")))
    }
}

const PATH: &str = "/v1/admin/import";
const NO_HEADER: &str = "is no first line of an export, which names the format `hookwheel-export`; for the file of another service name it with --from";

/// A commit for each few hundred lines, and for each webhook.
const WITHIN: Duration = Duration::from_secs(300);

/// Lines of one request, and their bytes, unless one alone has more.
const LINES: usize = 1_000;
const BYTES: usize = 2 << 20;

/// Refused lines that are named, and as many notes.
const TOLD_MAX: usize = 100;

const _: () = assert!(BYTES < LINE_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_begins_with_a_header_of_a_known_version() {
        let header = |format: &str, version: u32| {
            let line = format!(
                r#"{{"kind":"header","format":"{format}","version":{version},"hookwheel":"9.0.0","made_at":"2026-01-01T00:00:00Z","secrets":false,"more":1}}"#
            );
            check_header(line.as_bytes())
        };
        assert_eq!(header(FORMAT, VERSION), Ok(()));
        let newer = header(FORMAT, VERSION + 1).expect_err("newer");
        assert!(newer.contains("hookwheel 9.0.0 wrote"), "{newer}");
        assert!(header("soup", VERSION).is_err() && check_header(b"{").is_err());
    }

    #[test]
    fn a_line_has_its_kind_or_none() {
        assert_eq!([kind_of(br#"{"id":1,"kind":"event"}"#), kind_of(b"[]")], ["event", ""]);
    }
}

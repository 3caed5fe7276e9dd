//! `doctor`: what is wrong with a stopped store, what was saved of it, and what to do.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::api::document::moment::Moment;
use crate::cli::calls;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::{Called, Hint};
use crate::cli::output::print::Out;
use crate::cli::output::words::json_line;
use crate::cli::output::words::{count, plain};
use crate::config::DEFAULT_FILE;
use crate::store::{Aside, Diagnosis, HeldEvent, Salvaged};

/// Examine the store of a stopped service: what is wrong, what to do, and what was put aside
///
/// Changes nothing without --acknowledge.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// The config file, which names the store
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,

    /// Examine this store file instead
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    store: Option<PathBuf>,

    /// Take note that you have seen what was found: it is told no more, and events are taken again
    #[arg(long)]
    acknowledge: bool,

    /// Write every record that is not damaged to this new file, one JSON object a line
    ///
    /// It holds events with their bodies. Secrets in it are sealed as they are in the store.
    #[arg(long, value_name = "OUT", conflicts_with = "acknowledge")]
    salvage: Option<PathBuf>,
}

impl Doctor {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let file = match &self.store {
            Some(file) => file.clone(),
            None => calls::config(&self.config, true)?.storage.path,
        };
        match self {
            Self { salvage: Some(to), .. } => salvage(&file, &to, out),
            Self { acknowledge: true, .. } => acknowledge(&file, out),
            _ => examine(&file, out),
        }
    }
}

fn acknowledge(file: &Path, out: &Out) -> Result<Exit, Failure> {
    let seen = calls::acknowledge(file)?;
    match out.json {
        true => out.line(json!({ "acknowledged": seen }))?,
        false => out.line(format!("ok  {} acknowledged", count(seen, "finding")))?,
    }
    Ok(Exit::Ok)
}

fn salvage(file: &Path, to: &Path, out: &Out) -> Result<Exit, Failure> {
    let salvaged = calls::salvage(file, to)?;
    let Salvaged { saved, lost, unread, from_journals } = &salvaged;
    match out.json {
        true => out.line(json!({
            "file": to.display().to_string(),
            "saved": saved,
            "from_journals": from_journals,
            "damaged": lost,
            "not_read_whole": unread,
        }))?,
        false => out.line(plain(&salvage_lines(to, &salvaged)))?,
    }
    Ok(Exit::Ok)
}

fn salvage_lines(to: &Path, salvaged: &Salvaged) -> String {
    let Salvaged { saved, lost, unread, from_journals } = salvaged;
    let all: u64 = saved.values().sum();
    let mut lines = vec![format!("ok  {}: {}", to.display(), count(all, "record"))];
    lines.extend(saved.iter().map(|(table, rows)| format!("  {table}: {rows}")));
    lines.extend(Some(*from_journals).filter(|rows| *rows > 0).map(|rows| format!("{rows} of them stood in a journal alone")));
    lines.extend(lost.iter().map(|(table, rows)| format!("left out: {} of table `{table}`", count(*rows, "damaged record"))));
    lines.extend(unread.iter().map(|table| format!("not read whole: table `{table}`, in which pages are damaged")));
    lines.join("\n")
}

fn examine(file: &Path, out: &Out) -> Result<Exit, Failure> {
    let diagnosis = calls::examine(file)?;
    match out.json {
        true => out.line(json_line(&told(&diagnosis, out.called())))?,
        false => out.line(lines(&diagnosis))?,
    }
    acknowledging(&diagnosis).filter(|_| !out.json).iter().for_each(|hint| out.hint(hint));
    Ok(if is_well(&diagnosis) { Exit::Ok } else { Exit::Negative })
}

fn is_well(diagnosis: &Diagnosis) -> bool {
    diagnosis.report.is_clean() && diagnosis.findings.is_empty()
}

/// A diagnosis as JSON.
#[derive(Serialize)]
struct Told<'a> {
    advice: Vec<&'static str>,
    deliveries: u64,
    events: u64,
    faults: &'a [String],
    findings: Vec<FindingTold>,
    ok: bool,
    pending: u64,
    put_aside: Vec<AsideTold<'a>>,
    quarantine: Vec<RowTold<'a>>,
    r#try: Option<String>,
}

#[derive(Serialize)]
struct FindingTold {
    at: Moment,
    commits: u64,
    events: u64,
    holds_back_publishing: bool,
    kind: &'static str,
    rows: u64,
    text: String,
}

#[derive(Serialize)]
struct AsideTold<'a> {
    commits: u64,
    events: Vec<EventTold<'a>>,
    file: String,
}

#[derive(Serialize)]
struct EventTold<'a> {
    id: &'a str,
    in_store: bool,
    provider: &'a str,
    tenant: Option<&'a str>,
    r#type: &'a str,
}

#[derive(Serialize)]
struct RowTold<'a> {
    at: Moment,
    key: String,
    table: &'a str,
    why: &'a str,
}

fn told<'a>(diagnosis: &'a Diagnosis, called: &Called) -> Told<'a> {
    let Diagnosis { report, findings, quarantine, asides, .. } = diagnosis;
    let finding = findings.iter().map(|finding| FindingTold {
        at: finding.at.into(),
        commits: finding.batches,
        events: finding.events,
        holds_back_publishing: finding.kind.holds_back(),
        kind: finding.kind.name(),
        rows: finding.rows,
        text: finding.to_string(),
    });
    let rows =
        quarantine.iter().map(|row| RowTold { at: row.at.into(), key: hex::encode(&row.key), table: &row.table, why: &row.why });
    Told {
        advice: advice(diagnosis),
        deliveries: report.deliveries,
        events: report.events,
        faults: &report.faults,
        findings: finding.collect(),
        ok: is_well(diagnosis),
        pending: report.pending,
        put_aside: asides.iter().map(aside).collect(),
        quarantine: rows.collect(),
        r#try: acknowledging(diagnosis).map(|hint| hint.line(called)),
    }
}

fn aside(aside: &Aside) -> AsideTold<'_> {
    AsideTold {
        commits: aside.commits,
        events: aside.events.iter().map(held_event).collect(),
        file: aside.path.display().to_string(),
    }
}

fn held_event(held: &HeldEvent) -> EventTold<'_> {
    let HeldEvent { id, kind, provider, tenant, is_kept, .. } = held;
    EventTold { id, in_store: *is_kept, provider, tenant: tenant.as_deref(), r#type: kind }
}

fn lines(diagnosis: &Diagnosis) -> String {
    let report = &diagnosis.report;
    let counts = format!("{} events, {} deliveries, {} pending", report.events, report.deliveries, report.pending);
    let mut lines = vec![format!("{}  {counts}", if is_well(diagnosis) { "ok" } else { "not ok" })];
    lines.extend(diagnosis.findings.iter().map(|finding| format!("found {}: {finding}", finding.at)));
    // A finding that nobody acknowledged is one of the faults too.
    let told: Vec<String> = diagnosis.findings.iter().map(ToString::to_string).collect();
    let faults: Vec<&String> = report.faults.iter().filter(|fault| !told.contains(fault)).collect();
    lines.extend(faults.iter().take(SHOWN).map(|fault| format!("fault: {fault}")));
    lines.extend(more(faults.len(), "faults"));
    for row in diagnosis.quarantine.iter().take(SHOWN) {
        lines.push(format!("in quarantine: table `{}`, row {}: {}", row.table, hex::encode(&row.key), row.why));
    }
    lines.extend(more(diagnosis.quarantine.len(), "rows in quarantine"));
    for aside in &diagnosis.asides {
        lines.extend(aside_lines(aside));
    }
    lines.extend(advice(diagnosis).into_iter().map(|advice| format!("next: {advice}")));
    plain(&lines.join("\n"))
}

fn aside_lines(aside: &Aside) -> Vec<String> {
    let missing = aside.events.iter().filter(|held| !held.is_kept).count();
    let (commits, events) = (count(aside.commits, "commit"), count(aside.events.len() as u64, "event"));
    let mut lines = vec![format!("put aside: {}: {commits}, {events}, {missing} of them not in the store", aside.path.display())];
    for held in aside.events.iter().filter(|held| !held.is_kept).take(SHOWN) {
        let tenant = held.tenant.as_deref().unwrap_or("*");
        lines.push(format!("  {}  {}  {}/{tenant}", held.id, held.kind, held.provider));
    }
    lines.extend(more(missing, "events"));
    lines
}

fn more(all: usize, what: &str) -> Option<String> {
    (all > SHOWN).then(|| format!("… and {} more {what}; --json shows all", all - SHOWN))
}

/// What a person does, in the order in which it is done.
fn advice(diagnosis: &Diagnosis) -> Vec<&'static str> {
    let mut advice = Vec::new();
    if diagnosis.findings.iter().any(|finding| finding.kind.holds_back()) {
        advice.push(
            "look for the journal where the disk was mounted before, and put it back while the store has not been started again",
        );
    }
    if diagnosis.asides.iter().any(|aside| aside.events.iter().any(|held| !held.is_kept)) {
        advice.push("publish again what was put aside and is not in the store, if its publisher does not");
    }
    if !diagnosis.quarantine.is_empty() {
        advice.push("make again what the rows in quarantine held: webhooks, keys, event types");
    }
    if diagnosis.noted < diagnosis.findings.len() {
        advice.push("start and stop the service, which keeps note of what it finds, and look again");
    }
    if diagnosis.noted > 0 {
        advice.push("acknowledge what was found when that has been seen to: events are taken again, and it is told no more");
    }
    if diagnosis.findings.is_empty() && !diagnosis.report.is_clean() {
        advice
            .push("start the service, which derives again what it can; what is damaged after that needs the newest clean backup");
        advice.push("save what is whole with `hookwheel doctor --salvage OUT` if there is no such backup");
    }
    advice
}

/// The command that ends the telling: this one once more, about the same store.
fn acknowledging(diagnosis: &Diagnosis) -> Option<Hint> {
    (diagnosis.noted > 0).then(|| Hint::again_with("--acknowledge"))
}

/// Rows, events and faults that are printed.
const SHOWN: usize = 20;

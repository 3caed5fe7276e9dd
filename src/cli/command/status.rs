//! `status`, `reload`, `version`: how the service is, and that it should read its config again.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::api::document::status::{self as document, Doubt, Reloaded};
use crate::cli::args::{self, Reach};
use crate::cli::client::wait::{may_pass, until};
use crate::cli::client::{Answer, Call, ConfigFault, Error, Service};
use crate::cli::output::exit::{Exit, Failure, Said};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::{Out, Paint};
use crate::cli::output::table::{Column, table};
use crate::cli::output::words::{count, duration, folded, plain, size};

/// Show whether the service is ready, and how much it has to do
///
/// Exits with 1 when it is not ready.
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Wait until it is ready
    #[arg(long)]
    wait: bool,

    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = args::duration, requires = "wait")]
    timeout: Duration,

    /// Show instead what each table takes of the store's file, for which the service reads all of it
    #[arg(long, conflicts_with = "wait")]
    tables: bool,

    #[command(flatten)]
    reach: Reach,
}

impl Status {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let service = self.reach.service()?;
        if self.tables {
            return tables(&service, out);
        }
        let answer = if self.wait { self.wait_for(&service)? } else { ask(&service)? };
        let said: document::Status = answer.read()?;
        match out.json {
            true => out.line(answer.text()?)?,
            false => out.line(lines(&said, out.paint, out.width))?,
        }
        Ok(if said.ready { Exit::Ok } else { Exit::Negative })
    }

    /// Until it is ready; else the last answer, or why there was none.
    fn wait_for(&self, service: &Service) -> Result<Answer, Error> {
        let mut last = None;
        let ready = until(self.timeout, || {
            let answer = match ask(service) {
                Err(error) if !may_pass(&error) => return Err(error),
                answer => answer,
            };
            let ready = answer.as_ref().ok().is_some_and(|answer| answer.read::<document::Status>().is_ok_and(|said| said.ready));
            last = Some(answer);
            Ok(ready.then_some(()))
        });
        ready.and_then(|_| last.unwrap_or_else(|| ask(service)))
    }
}

fn ask(service: &Service) -> Result<Answer, Error> {
    service.ask(Call::get("/v1/admin/status").within(STATUS_TIMEOUT))
}

fn tables(service: &Service, out: &Out) -> Result<Exit, Failure> {
    let answer = service.ask(Call::get("/v1/admin/tables").within(TABLES_TIMEOUT))?;
    if out.json {
        out.line(answer.text()?)?;
        return Ok(Exit::Ok);
    }
    let mut said = answer.read::<document::Tables>()?.tables;
    said.sort_by_key(|table| std::cmp::Reverse(table.file_bytes));
    out.line(table(&TABLES, &said.iter().map(row).collect::<Vec<_>>(), out.width))?;
    Ok(Exit::Ok)
}

fn row(table: &document::Table) -> Vec<String> {
    vec![plain(&table.name), table.rows.to_string(), size(table.bytes), size(table.file_bytes)]
}

/// The answer as a person reads it, in the width of the terminal, if there is one.
fn lines(said: &document::Status, paint: Paint, width: Option<usize>) -> String {
    let folded = |text: &str| folded(&plain(text), VALUES_AT, width);
    let ready = if said.ready { paint.green("ready") } else { paint.red("not ready") };
    let uptime = duration(Duration::from_secs(said.uptime_s));
    let mut lines = vec![format!("hookwheel {}  {ready}  up {uptime}", plain(&said.version))];
    lines.extend(said.reasons.iter().map(|reason| format!("  because   {}", folded(reason))));
    lines.extend(said.warnings.iter().map(|warning| format!("  {}   {}", paint.yellow("warning"), folded(warning))));
    lines.push(format!("  webhooks  {}", webhooks(said, paint)));
    lines.push(format!("  queue     {}", queue(said)));
    let late = Some(said.oldest_due_late_ms).filter(|late| *late > 0).map(Duration::from_millis);
    lines.extend(late.map(|late| format!("  late by   {}", duration(late))));
    lines.extend(said.clock.doubt.as_ref().map(|doubt| format!("  clock     {}", paint.yellow(&folded(&clock(doubt))))));
    lines.push(format!("  store     {}", store(said, paint)));
    lines.extend(backups(said, paint).iter().map(|backup| format!("  backup    {}", folded(backup))));
    lines.extend(said.findings.iter().map(|finding| format!("  {}     {}", paint.red("found"), folded(finding))));
    lines.join("\n")
}

fn webhooks(said: &document::Status, paint: Paint) -> String {
    let document::Status { webhooks, disabled, removed, .. } = *said;
    let active = webhooks.saturating_sub(disabled + removed);
    let counted = |count: u64, word: &str| match count {
        0 => format!("0 {word}"),
        some => paint.yellow(&format!("{some} {word}")),
    };
    let removed = if removed == 0 { String::new() } else { format!(", {}", counted(removed, "removed from the file")) };
    format!("{active} active, {}{removed}", counted(disabled, "disabled"))
}

fn queue(said: &document::Status) -> String {
    let writes = Some(said.queue).filter(|waiting| *waiting > 0).map(|waiting| format!(", {waiting} writes waiting"));
    format!("{} pending{}", said.pending, writes.unwrap_or_default())
}

/// What is wrong with the wall clock, and until when that is held against it.
fn clock(doubt: &Doubt) -> String {
    let left = duration(Duration::from_secs(doubt.left_s));
    format!("{} for {left}; `hookwheel clock accept` if it is right", doubt.detail)
}

/// Its size, and what is wrong with it.
fn store(said: &document::Status, paint: Paint) -> String {
    let (events, used) = (count(said.events, "event"), size(said.store_bytes));
    let most = format!("at most {}", size(said.store_bytes_max));
    let full = said.full.then(|| paint.red("full: publishing is refused"));
    let low = said.disk_low.then(|| paint.red("the disk is nearly full"));
    let quarantined = Some(said.quarantined).filter(|rows| *rows > 0);
    let damaged = quarantined.map(|rows| paint.red(&format!("{} in quarantine", count(rows, "damaged row"))));
    let facts: Vec<String> = [Some(events), Some(used), Some(most), full, low, damaged].into_iter().flatten().collect();
    facts.join(", ")
}

/// When the last backup was made, how the one under way goes, and why there is none. Nothing where no backup is known.
fn backups(said: &document::Status, paint: Paint) -> Option<String> {
    let backups = &said.backups;
    let last = backups.last_success_at.map(|at| format!("of {at}"));
    let running = backups.running.as_ref().map(|running| match running.rows_total {
        0 => format!("{} is being written", running.path),
        total => format!("{} is being written, {} %", running.path, running.rows.min(total) * 100 / total),
    });
    let failed = backups.last.as_ref().and_then(|last| last.error.as_ref());
    let failed = failed.map(|why| paint.red(&format!("the last one failed: {why}")));
    let facts: Vec<String> = [last, running, failed].into_iter().flatten().collect();
    (!facts.is_empty()).then(|| facts.join(", "))
}

/// Read the config again and apply it whole, or keep the old one and say why
#[derive(Args, Debug)]
pub(crate) struct Reload {
    #[command(flatten)]
    reach: Reach,
}

impl Reload {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let answer = self.reach.service()?.ask(Call::post("/v1/admin/reload", "")).map_err(|error| refused(error, out))?;
        if out.json {
            out.line(answer.text()?)?;
            return Ok(Exit::Ok);
        }
        let said: Reloaded = answer.read()?;
        let is_same = said.added.is_empty() && said.changed.is_empty() && said.removed.is_empty();
        out.line(plain(if is_same { "reload: nothing changed" } else { &said.changes }))?;
        Ok(Exit::Ok)
    }
}

/// A config that was not taken is an invalid one, wherever it was judged: its faults are told as `check` tells them.
fn refused(error: Error, out: &Out) -> Failure {
    match error {
        Error::Refused(problem) if problem.status == UNPROCESSABLE => {
            if !out.json {
                out.note("the new config was not taken, and the old one stays");
            }
            match problem.faults.is_empty() {
                true => Failure::new(Exit::InvalidConfig, problem.detail, None),
                false => Failure::from_faults(Exit::InvalidConfig, problem.faults.into_iter().map(said).collect()),
            }
        }
        error => error.into(),
    }
}

fn said(fault: ConfigFault) -> Said {
    Said { message: fault.detail, location: fault.place, hint: fault.line.map(Hint::Text) }
}

/// Show the version
#[derive(Args, Debug)]
pub(crate) struct Version {}

impl Version {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let version = env!("CARGO_PKG_VERSION");
        match out.json {
            true => out.line(json!({ "version": version }))?,
            false => out.line(format!("hookwheel {version}"))?,
        }
        Ok(Exit::Ok)
    }
}

/// Where a line's value begins, behind its word.
const VALUES_AT: usize = 12;

const TABLES: [Column; 4] =
    [Column::kept("TABLE"), Column::kept("ROWS"), Column::whole("KEYS AND VALUES", 1), Column::kept("IN THE FILE")];

/// Enough to read a store of some 100 GiB from a good disk; the service ends a call after ten minutes.
const TABLES_TIMEOUT: Duration = Duration::from_secs(600);

/// A service that cannot say within this time how it is, is not ready.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

const UNPROCESSABLE: u16 = 422;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::document::backup::{self as document_backups, Ended};
    use crate::api::document::status::fixture::status;
    use crate::cli::client::Problem;
    use crate::cli::output::hint::Called;
    use crate::cli::output::print::Colour;

    fn problem(status: u16) -> Error {
        Error::Refused(Problem { status, detail: "x".into(), missing: None, errors: Vec::new(), faults: Vec::new() })
    }

    #[test]
    fn a_status_is_a_short_block() {
        let doubt = Doubt { off_s: 3_600, left_s: 5_400, detail: "the wall clock jumped ahead by 1h: nothing goes".into() };
        let calm = status();
        let said = document::Status {
            ready: false,
            reasons: vec!["a due delivery waits for 6 s".into()],
            warnings: vec!["the certificate ends".into()],
            webhooks: 5,
            disabled: 1,
            events: 7,
            pending: 3,
            queue: 4,
            oldest_due_late_ms: 6_500,
            full: true,
            clock: document::Clock { state: "ahead".into(), doubt: Some(doubt), ..calm.clock.clone() },
            ..calm
        };
        let expected = "hookwheel 0.1.0  not ready  up 1 m 30 s\n\
                        \x20 because   a due delivery waits for 6 s\n\
                        \x20 warning   the certificate ends\n\
                        \x20 webhooks  4 active, 1 disabled\n\
                        \x20 queue     3 pending, 4 writes waiting\n\
                        \x20 late by   6 s\n\
                        \x20 clock     the wall clock jumped ahead by 1h: nothing goes for 1 h 30 m; `hookwheel clock accept` if it is right\n\
                        \x20 store     7 events, 1.5 KiB, at most 10.0 GiB, full: publishing is refused";
        assert_eq!(lines(&said, Paint::OFF, None), expected);
        let narrow = lines(&said, Paint::OFF, Some(80));
        let clock = "  clock     the wall clock jumped ahead by 1h: nothing goes for 1 h 30 m;\n            `hookwheel clock accept` if it is right";
        assert!(narrow.contains(clock), "{narrow}");
    }

    #[test]
    fn a_backup_that_failed_stands_beside_the_last_one_that_did_not() {
        let at = Some(crate::domain::time::Timestamp::EPOCH.into());
        let ended = crate::api::document::backup::fixture::ended();
        let told = |error: Option<&str>, running| {
            let last = Some(Ended { error: error.map(Into::into), ..ended.clone() });
            let backups = document_backups::Backups { running, last, last_success_at: at };
            backups_line(&document::Status { backups, ..status() })
        };
        assert_eq!(told(None, None), "of 1970-01-01T00:00:00Z");
        assert_eq!(told(Some("no room"), None), "of 1970-01-01T00:00:00Z, the last one failed: no room");
        let running = document_backups::Running {
            number: 3,
            path: "/b/i.redb".into(),
            started_at: crate::domain::time::Timestamp::EPOCH.into(),
            rows: 1,
            rows_total: 4,
        };
        assert_eq!(told(None, Some(running)), "of 1970-01-01T00:00:00Z, /b/i.redb is being written, 25 %");
    }

    fn backups_line(said: &document::Status) -> String {
        backups(said, Paint::OFF).expect("a backup is known")
    }

    #[test]
    fn of_a_calm_service_nothing_is_said_that_is_not_so() {
        let expected = "hookwheel 0.1.0  ready  up 1 m 30 s\n\
                        \x20 webhooks  0 active, 0 disabled\n\
                        \x20 queue     0 pending\n\
                        \x20 store     0 events, 1.5 KiB, at most 10.0 GiB";
        assert_eq!(lines(&status(), Paint::OFF, None), expected);
    }

    #[test]
    fn a_refused_config_exits_as_check_would() {
        for (status, exit) in [(422, Exit::InvalidConfig), (409, Exit::Negative), (403, Exit::Permission), (503, Exit::Negative)]
        {
            let out = Out::new(true, Colour::Never, Called::default());
            assert_eq!(refused(problem(status), &out).exit, exit, "{status}");
        }
    }
}

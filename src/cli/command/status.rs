//! `status`, `reload`, `version`: how the service is, and that it should read its config again.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::args::{self, Reach};
use crate::cli::client::wait::{may_pass, until};
use crate::cli::client::{Answer, Call, ConfigFault, Error, Service};
use crate::cli::output::exit::{Exit, Failure, Said};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::{Out, Paint};
use crate::cli::output::words::{cell, count, duration, folded, plain, size};

/// Show whether the service is ready, and how much it has to do; exit with 1 when it is not ready
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Wait until it is ready
    #[arg(long)]
    wait: bool,

    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = args::duration, requires = "wait")]
    timeout: Duration,

    #[command(flatten)]
    reach: Reach,
}

impl Status {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let service = self.reach.service()?;
        let answer = if self.wait { self.wait_for(&service)? } else { status(&service)? };
        let said = answer.value()?;
        match out.json {
            true => out.line(answer.text()?)?,
            false => out.line(lines(&said, out.paint, out.width))?,
        }
        Ok(if is_ready(&said) { Exit::Ok } else { Exit::Negative })
    }

    /// Until it is ready; else the last answer, or why there was none.
    fn wait_for(&self, service: &Service) -> Result<Answer, Error> {
        let mut last = None;
        let ready = until(self.timeout, || {
            let answer = match status(service) {
                Err(error) if !may_pass(&error) => return Err(error),
                answer => answer,
            };
            let ready = answer.as_ref().ok().is_some_and(|answer| answer.value().is_ok_and(|said| is_ready(&said)));
            last = Some(answer);
            Ok(ready.then_some(()))
        });
        ready.and_then(|_| last.unwrap_or_else(|| status(service)))
    }
}

fn status(service: &Service) -> Result<Answer, Error> {
    service.ask(Call::get("/v1/admin/status").within(STATUS_TIMEOUT))
}

fn is_ready(said: &Value) -> bool {
    said["ready"] == true
}

/// The answer as a person reads it, in the width of the terminal, if there is one.
fn lines(said: &Value, paint: Paint, width: Option<usize>) -> String {
    let folded = |text: &str| folded(&plain(text), VALUES_AT, width);
    let ready = if is_ready(said) { paint.green("ready") } else { paint.red("not ready") };
    let uptime = number(said, "uptime_s").map(|secs| format!("  up {}", duration(Duration::from_secs(secs))));
    let mut lines = vec![format!("hookwheel {}  {ready}{}", cell(said, "version"), uptime.unwrap_or_default())];
    let reasons = said["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
    lines.extend(reasons.map(|reason| format!("  because   {}", folded(reason))));
    let warnings = said["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    lines.extend(warnings.map(|warning| format!("  {}   {}", paint.yellow("warning"), folded(warning))));
    lines.extend(number(said, "webhooks").map(|all| format!("  webhooks  {}", webhooks(all, said, paint))));
    lines.extend(number(said, "pending").map(|pending| format!("  queue     {}", queue(pending, said))));
    let late = number(said, "oldest_due_late_ms").filter(|late| *late > 0).map(Duration::from_millis);
    lines.extend(late.map(|late| format!("  late by   {}", duration(late))));
    lines.extend(clock(said).map(|clock| format!("  clock     {}", paint.yellow(&folded(&clock)))));
    lines.extend(store(said, paint).map(|store| format!("  store     {store}")));
    let findings = said["findings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    lines.extend(findings.map(|finding| format!("  {}     {}", paint.red("found"), folded(finding))));
    lines.join("\n")
}

fn webhooks(all: u64, said: &Value, paint: Paint) -> String {
    let Some(disabled) = number(said, "disabled") else { return all.to_string() };
    let removed = number(said, "removed").unwrap_or_default();
    let active = all.saturating_sub(disabled + removed);
    let counted = |count: u64, word: &str| match count {
        0 => format!("0 {word}"),
        some => paint.yellow(&format!("{some} {word}")),
    };
    let removed = if removed == 0 { String::new() } else { format!(", {}", counted(removed, "removed from the file")) };
    format!("{active} active, {}{removed}", counted(disabled, "disabled"))
}

fn queue(pending: u64, said: &Value) -> String {
    let writes = number(said, "queue").filter(|waiting| *waiting > 0).map(|waiting| format!(", {waiting} writes waiting"));
    format!("{pending} pending{}", writes.unwrap_or_default())
}

/// What is wrong with the wall clock, and until when that is held against it.
fn clock(said: &Value) -> Option<String> {
    let clock = &said["clock"];
    let left = number(clock, "left_s").map(Duration::from_secs)?;
    Some(format!("{} for {}; `hookwheel clock accept` if it is right", cell(clock, "detail"), duration(left)))
}

/// Its size as far as it is told, and what is wrong with it.
fn store(said: &Value, paint: Paint) -> Option<String> {
    let events = number(said, "events").map(|events| count(events, "event"));
    let used = number(said, "store_bytes").map(size);
    let most = number(said, "store_bytes_max").map(|bytes| format!("at most {}", size(bytes)));
    let full = (said["full"] == true).then(|| paint.red("full: publishing is refused"));
    let low = (said["disk_low"] == true).then(|| paint.red("the disk is nearly full"));
    let quarantined = number(said, "quarantined").filter(|rows| *rows > 0);
    let damaged = quarantined.map(|rows| paint.red(&format!("{} in quarantine", count(rows, "damaged row"))));
    let facts: Vec<String> = [events, used, most, full, low, damaged].into_iter().flatten().collect();
    (!facts.is_empty()).then(|| facts.join(", "))
}

fn number(said: &Value, member: &str) -> Option<u64> {
    said[member].as_u64()
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
        let said = answer.value()?;
        let changes = said["changes"].as_str().filter(|changes| !changes.is_empty()).unwrap_or("reload: nothing changed");
        out.line(plain(changes))?;
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
                false => Failure::of(Exit::InvalidConfig, problem.faults.into_iter().map(said).collect()),
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

/// A service that cannot say within this time how it is, is not ready.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

const UNPROCESSABLE: u16 = 422;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::Problem;
    use crate::cli::output::hint::Called;
    use crate::cli::output::print::Colour;

    fn problem(status: u16) -> Error {
        Error::Refused(Problem { status, detail: "x".into(), missing: None, errors: Vec::new(), faults: Vec::new() })
    }

    #[test]
    fn a_status_is_a_short_block() {
        let said = json!({
            "ready": false, "reasons": ["a due delivery waits for 6 s"], "warnings": ["the certificate ends"], "version": "0.1.0", "uptime_s": 90, "webhooks": 5,
            "disabled": 1, "events": 7, "pending": 3, "queue": 4, "oldest_due_late_ms": 6500, "full": true,
            "clock": { "state": "ahead", "off_s": 3600, "left_s": 5400, "detail": "the wall clock jumped ahead by 1h: nothing goes" },
            "store_bytes": 1536, "store_bytes_max": 10_737_418_240_u64,
        });
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
    fn what_a_service_does_not_tell_is_left_out() {
        let said = json!({ "ready": true, "version": "0.1.0", "webhooks": 2, "pending": 0, "queue": 0, "oldest_due_late_ms": 0 });
        assert_eq!(lines(&said, Paint::OFF, None), "hookwheel 0.1.0  ready\n  webhooks  2\n  queue     0 pending");
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

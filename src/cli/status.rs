//! `status`, `reload`, `version`: how the service is, and that it should read its config again.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::args::{self, Reach};
use super::client::{Answer, Call, Error, Service};
use super::exit::{Exit, Failure};
use super::print::{Out, Paint};
use super::wait::until;
use super::words::{cell, count, duration, plain, size};

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
            false => out.line(lines(&said, out.paint))?,
        }
        Ok(if is_ready(&said) { Exit::Ok } else { Exit::Negative })
    }

    /// Until it is ready; else the last answer, or why there was none.
    fn wait_for(&self, service: &Service) -> Result<Answer, Error> {
        let mut last = None;
        let ready = until(self.timeout, || {
            let answer = match status(service) {
                Err(error) if !is_starting(&error) => return Err(error),
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

/// Whether this may be a service that is not yet there.
fn is_starting(error: &Error) -> bool {
    match error {
        Error::NoService { .. } | Error::Silent { .. } | Error::Broken { .. } => true,
        Error::Refused(problem) => problem.status == UNAVAILABLE,
        _ => false,
    }
}

fn is_ready(said: &Value) -> bool {
    said["ready"] == true
}

/// The answer as a person reads it.
fn lines(said: &Value, paint: Paint) -> String {
    let ready = if is_ready(said) { paint.green("ready") } else { paint.red("not ready") };
    let uptime = said["uptime_s"].as_u64().map(Duration::from_secs).map(duration).unwrap_or_default();
    let mut lines = vec![format!("hookwheel {}  {ready}  up {uptime}", cell(said, "version"))];
    lines.extend(said["reason"].as_str().map(|reason| format!("  reason    {}", plain(reason))));
    let webhooks = &said["webhooks"];
    let (active, disabled) = (webhooks["active"].as_u64().unwrap_or_default(), webhooks["disabled"].as_u64().unwrap_or_default());
    let marked = if disabled > 0 { paint.yellow(&format!("{disabled} disabled")) } else { "0 disabled".into() };
    lines.push(format!("  webhooks  {active} active, {marked}"));
    lines.extend(queue(&said["queue"]).map(|queue| format!("  queue     {queue}")));
    lines.extend(said["late_ms"].as_u64().map(|late| format!("  late by   {}", duration(Duration::from_millis(late)))));
    lines.extend(store(&said["store"]).map(|store| format!("  store     {store}")));
    lines.join("\n")
}

fn queue(queue: &Value) -> Option<String> {
    let pending = queue["pending"].as_u64().or_else(|| queue.as_u64())?;
    let in_flight = queue["in_flight"].as_u64().map(|number| format!(", {number} in flight")).unwrap_or_default();
    let held = queue["held"].as_u64().map(|number| format!(", {number} held")).unwrap_or_default();
    Some(format!("{pending} pending{in_flight}{held}"))
}

fn store(store: &Value) -> Option<String> {
    let used = size(store["bytes"].as_u64()?);
    let most = store["max_bytes"].as_u64().map(|bytes| format!(" of at most {}", size(bytes))).unwrap_or_default();
    Some(format!("{used}{most}  {}", cell(store, "path")).trim_end().to_owned())
}

/// Read the config again and apply it whole, or keep the old one and say why
#[derive(Args, Debug)]
pub(crate) struct Reload {
    #[command(flatten)]
    reach: Reach,
}

impl Reload {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let answer = self.reach.service()?.ask(Call::post("/v1/admin/reload", "")).map_err(refused)?;
        if out.json {
            out.line(answer.text()?)?;
            return Ok(Exit::Ok);
        }
        let said = answer.value()?;
        let changes: Vec<&str> = said["changes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if changes.is_empty() {
            out.line("reload: nothing changed")?;
            return Ok(Exit::Ok);
        }
        out.line(format!("reload: {}", count(changes.len() as u64, "change")))?;
        changes.iter().try_for_each(|change| out.line(format!("  {}", plain(change))))?;
        Ok(Exit::Ok)
    }
}

/// A config that was not taken is an invalid one, wherever it was judged.
fn refused(error: Error) -> Failure {
    let by_config = matches!(&error, Error::Refused(problem) if matches!(problem.status, 400..=499) && !matches!(problem.status, 401 | 403 | 404));
    let failure = Failure::from(error);
    if by_config {
        failure.exiting(Exit::InvalidConfig).hinting("hookwheel check; the service goes on with its old config")
    } else {
        failure
    }
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

/// A service that cannot say within this time how it is, is not ready.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

const UNAVAILABLE: u16 = 503;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::Problem;

    fn problem(status: u16) -> Error {
        Error::Refused(Problem { status, detail: "x".into(), errors: Vec::new() })
    }

    #[test]
    fn a_status_is_a_short_block() {
        let said = json!({
            "ready": false, "reason": "no commit for 6 s", "version": "0.1.0", "uptime_s": 90,
            "queue": { "pending": 3, "in_flight": 1, "held": 2 }, "webhooks": { "active": 4, "disabled": 1 },
            "late_ms": 1500, "store": { "path": "/var/lib/x.redb", "bytes": 1536, "max_bytes": 10_737_418_240_u64 },
        });
        let expected = "hookwheel 0.1.0  not ready  up 1 m 30 s\n\
                        \x20 reason    no commit for 6 s\n\
                        \x20 webhooks  4 active, 1 disabled\n\
                        \x20 queue     3 pending, 1 in flight, 2 held\n\
                        \x20 late by   1 s\n\
                        \x20 store     1.5 KiB of at most 10.0 GiB  /var/lib/x.redb";
        assert_eq!(lines(&said, Paint::OFF), expected);
    }

    #[test]
    fn a_service_that_is_not_there_yet_is_waited_for() {
        assert!(is_starting(&Error::NoService { tried: Vec::new() }));
        assert!(is_starting(&problem(503)));
        assert!(!is_starting(&Error::Denied("/x".into())));
        assert!(!is_starting(&problem(403)));
    }

    #[test]
    fn a_refused_config_exits_as_check_would() {
        for (status, exit) in
            [(422, Exit::InvalidConfig), (409, Exit::InvalidConfig), (403, Exit::Permission), (503, Exit::Unreachable)]
        {
            assert_eq!(refused(problem(status)).exit, exit, "{status}");
        }
    }
}

//! `replay`: many deliveries that are sent again in the background.

use std::thread;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::api::document::delivery::replay::{EndedStatus, Replay as Document, ReplayCount, ReplayState};
use crate::cli::args::{self, Target};
use crate::cli::client::{Answer, Call, Page, Service};
use crate::cli::command::webhooks;
use crate::cli::named::Name;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::progress::Progress;
use crate::cli::output::table::Column;
use crate::cli::output::words::{in_cell, json_line};
use crate::cli::whose::{TENANT, Whose, listed};
use crate::clock;
use crate::domain::rate::Rate;

/// Send many deliveries again, in the background
#[derive(Debug, Subcommand)]
pub(crate) enum Replay {
    /// Send again what has ended and matches; `webhooks recover` sends what a webhook has missed
    Start(Box<Start>),
    /// List replays, newest first
    #[command(visible_alias = "ls")]
    List(List),
    /// Show a replay and how far it has come
    Show(One),
    /// Have a replay send nothing more until it is resumed; what it has sent goes on
    Pause(One),
    /// Have a paused replay go on
    Resume(One),
    /// Have a replay send nothing more; what it has sent goes on
    Cancel(One),
}

#[derive(Args, Debug)]
pub(crate) struct Start {
    /// Only deliveries to this webhook, by its id or its name
    #[arg(long, value_name = "WEBHOOK")]
    webhook: Option<Name>,

    /// Only of this event type, or of all that begin so: prefix.*
    #[arg(long = "type", value_name = "TYPE", value_parser = args::event_types)]
    kind: Option<String>,

    /// Only those that ended so
    #[arg(long, value_enum)]
    status: Option<Ended>,

    /// Only those whose newest response had this status
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(100..=599))]
    code: Option<u16>,

    /// Of events from this time on, or from so long ago, as in 2h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = args::when)]
    since: String,

    /// Of events until this time, or until so long ago [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = args::when)]
    until: Option<String>,

    /// Make a new event of each old one, with an id of its own, instead of sending the old ones again
    #[arg(long)]
    new_id: bool,

    /// At most so many in a time, as in 100/s or 600/m
    #[arg(long, value_name = "RATE", value_parser = args::rate)]
    rate: Option<Rate>,

    /// Only count what matches
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,

    /// Wait until all of it has ended
    #[arg(long)]
    wait: bool,

    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = args::duration, requires = "wait")]
    timeout: Duration,

    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only those in this state
    #[arg(long, value_enum)]
    state: Option<Word>,

    /// How many, at most 250
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=250))]
    limit: u16,

    /// Where to go on, as the last list said
    #[arg(long)]
    cursor: Option<String>,

    #[command(flatten)]
    whose: Whose,
}

/// One replay, which its id finds in every tenant.
#[derive(Args, Debug)]
pub(crate) struct One {
    /// The replay's id
    #[arg(value_parser = args::id)]
    replay: String,

    #[command(flatten)]
    target: Target,
}

/// A word of the API as an option takes it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Ended {
    Succeeded,
    Failed,
}

/// A word of the API as an option takes it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Word {
    Running,
    Paused,
    Done,
    Cancelled,
}

impl Ended {
    fn name(self) -> &'static str {
        match self {
            Self::Succeeded => EndedStatus::Succeeded.name(),
            Self::Failed => EndedStatus::Failed.name(),
        }
    }
}

impl Word {
    fn name(self) -> &'static str {
        match self {
            Self::Running => ReplayState::Running.name(),
            Self::Paused => ReplayState::Paused.name(),
            Self::Done => ReplayState::Done.name(),
            Self::Cancelled => ReplayState::Cancelled.name(),
        }
    }
}

impl Replay {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        match self {
            Self::Start(start) => start.run(out),
            Self::List(list) => list.run(out),
            Self::Show(one) => one.ask(|id| Call::get(path(id, "")), out),
            Self::Pause(one) => one.ask(|id| Call::post(path(id, "/pause"), ""), out),
            Self::Resume(one) => one.ask(|id| Call::post(path(id, "/resume"), ""), out),
            Self::Cancel(one) => one.ask(|id| Call::delete(path(id, "")), out),
        }
    }
}

impl Start {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let webhook = self.webhook.as_ref().map(|webhook| webhooks::find::find(&self.target, webhook)).transpose()?;
        let service = self.target.service_of_one()?;
        let id = webhook.as_ref().map(|(_, id)| id.as_str());
        let answer = service.ask(Call::post("/v1/replays", json_line(&self.wish(id))).within(COUNTING_MAX))?;
        if self.dry_run {
            return counted(&answer, out);
        }
        if self.wait {
            return wait(&service, answer.object::<Document>()?.id, self.timeout, out);
        }
        told(&answer, out)
    }

    fn wish<'a>(&'a self, webhook: Option<&'a str>) -> Wish<'a> {
        let status = self.status.map(Ended::name);
        let filter = WishFilter {
            webhook,
            r#type: self.kind.as_deref(),
            status,
            code: self.code,
            since: &self.since,
            until: self.until.as_deref(),
        };
        Wish { filter, new_id: self.new_id, rate: self.rate.map(|rate| rate.to_string()), dry_run: self.dry_run }
    }
}

impl List {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let answer = self.whose.service()?.ask(Call::get("/v1/admin/replays").query(self.query()))?;
        if out.json {
            out.line(answer.text()?)?;
            return Ok(Exit::Ok);
        }
        let page: Page<Document> = answer.read()?;
        let rows: Vec<Vec<String>> = page.rows.iter().map(row).collect();
        match rows.is_empty() {
            true => out.note(self.whose.has_no("replays")),
            false => out.line(listed(&COLUMNS, rows, self.whose.tenant(), out.width))?,
        }
        if let Some(next) = page.next {
            out.note("there are more");
            out.hint(&Hint::again_with_value("--cursor", next));
        }
        Ok(Exit::Ok)
    }

    fn query(&self) -> [(&'static str, Option<String>); 4] {
        [
            ("tenant", self.whose.tenant().map(str::to_owned)),
            ("state", self.state.map(|word| word.name().to_owned())),
            ("limit", Some(self.limit.to_string())),
            ("cursor", self.cursor.clone()),
        ]
    }
}

impl One {
    fn ask(self, call: impl FnOnce(&str) -> Call, out: &Out) -> Result<Exit, Failure> {
        told(&self.target.reach.service()?.ask(call(&self.replay))?, out)
    }
}

fn path(id: &str, what: &str) -> String {
    format!("/v1/replays/{id}{what}")
}

fn counted(answer: &Answer, out: &Out) -> Result<Exit, Failure> {
    match out.json {
        true => out.line(answer.text()?)?,
        false => out.line(format!("{} would be sent again", deliveries(answer.object::<ReplayCount>()?.matched)))?,
    }
    Ok(Exit::Ok)
}

fn told(answer: &Answer, out: &Out) -> Result<Exit, Failure> {
    match out.json {
        true => out.line(answer.text()?)?,
        false => out.line(line(&answer.object::<Document>()?))?,
    }
    Ok(Exit::Ok)
}

/// Watches a replay until it has ended, or its time is over.
fn wait(service: &Service, id: String, limit: Duration, out: &Out) -> Result<Exit, Failure> {
    let end = clock::steady() + limit;
    let mut progress = Progress::new("replay", out);
    loop {
        let answer = service.ask(Call::get(path(&id, "")))?;
        let replay: Document = answer.object()?;
        let exit = exit_of(&replay).or_else(|| (clock::steady() >= end).then_some(Exit::NotEnded));
        if let Some(exit) = exit {
            drop(progress);
            told(&answer, out)?;
            if matches!(exit, Exit::NotEnded) {
                out.note("it goes on in the background");
                out.hint(&Hint::service(format!("replay show {id}")));
            }
            return Ok(exit);
        }
        progress.at(replay.done, replay.matched);
        thread::sleep(LOOK_EVERY);
    }
}

/// How a replay ended. `None`: it runs. One that is paused is waited for no longer, since it may stay so.
fn exit_of(replay: &Document) -> Option<Exit> {
    match replay.state {
        ReplayState::Running => None,
        ReplayState::Done if replay.failed == 0 => Some(Exit::Ok),
        ReplayState::Done | ReplayState::Cancelled | ReplayState::Paused => Some(Exit::Negative),
    }
}

fn line(replay: &Document) -> String {
    let Document { id, state, matched, done, failed, skipped, .. } = replay;
    let reason = replay.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let skipped = if *skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
    format!("{id}  {}{reason}: {done} of {} have ended again, {failed} failed{skipped}", state.name(), deliveries(*matched))
}

fn deliveries(count: u64) -> String {
    if count == 1 { "1 delivery".to_owned() } else { format!("{count} deliveries") }
}

fn row(replay: &Document) -> Vec<String> {
    let figures = [replay.matched, replay.done, replay.failed].map(|figure| figure.to_string());
    let [matched, done, failed] = &figures;
    let (created, filter) = (replay.created_at.to_string(), &replay.filter);
    let (webhook, tenant) = (filter.webhook.as_deref().unwrap_or("all"), replay.tenant.as_deref().unwrap_or_default());
    [&*replay.id, replay.state.name(), matched, done, failed, &*created, webhook, tenant].map(in_cell).to_vec()
}

/// What the call takes.
#[derive(Serialize)]
struct Wish<'a> {
    filter: WishFilter<'a>,
    new_id: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
    dry_run: bool,
}

#[derive(Serialize)]
struct WishFilter<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    since: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<&'a str>,
}

const COLUMNS: [Column; 8] = [
    Column::kept("ID"),
    Column::kept("STATE"),
    Column::whole("MATCHED", 2),
    Column::kept("DONE"),
    Column::kept("FAILED"),
    Column::whole("CREATED", 3),
    Column::text("WEBHOOK", 4),
    Column::text(TENANT, 1),
];

/// The time between two looks at a replay.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long the service may take to count what matches: a million deliveries take some seconds.
const COUNTING_MAX: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::document::delivery::replay::ReplayFilter;
    use crate::domain::time::Timestamp;

    fn replay(state: ReplayState, failed: u64) -> Document {
        let at = Timestamp::EPOCH;
        let filter = ReplayFilter { webhook: None, kind: None, status: None, code: None, since: at.into(), until: at.into() };
        Document {
            id: "rpl_1".into(),
            state,
            reason: None,
            matched: 7,
            done: 5,
            failed,
            skipped: 0,
            filter,
            new_id: false,
            rate: None,
            created_at: at.into(),
            ended_at: None,
            tenant: None,
        }
    }

    #[test]
    fn a_replay_is_told_in_one_line() {
        let paused = Document { reason: Some("webhook_inactive".into()), skipped: 2, ..replay(ReplayState::Paused, 1) };
        assert_eq!(line(&paused), "rpl_1  paused (webhook_inactive): 5 of 7 deliveries have ended again, 1 failed, 2 skipped");
        assert_eq!(line(&replay(ReplayState::Done, 0)), "rpl_1  done: 5 of 7 deliveries have ended again, 0 failed");
    }

    #[test]
    fn a_failed_delivery_is_a_negative_answer() {
        let exit = |state, failed| exit_of(&replay(state, failed)).map(|exit| exit as u8);
        assert_eq!((exit(ReplayState::Running, 1), exit(ReplayState::Done, 0)), (None, Some(0)));
        assert_eq!([exit(ReplayState::Done, 1), exit(ReplayState::Cancelled, 0), exit(ReplayState::Paused, 0)], [Some(1); 3]);
    }
}

//! `deliveries`: the log of what was sent, sending again, and ending what waits.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::webhooks;
use crate::api::document::delivery::{Reason, Row, Status, Whole};
use crate::cli::args::{self, Target};
use crate::cli::client::{Call, Page};
use crate::cli::named::Name;
use crate::cli::output::attempts;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::table::Column;
use crate::cli::output::words::in_cell;
use crate::cli::whose::{TENANT, Whose, listed};
use crate::domain::delivery::End;
use crate::domain::id::has_own_form;

/// List, show, retry and cancel deliveries
#[derive(Debug, Subcommand)]
pub(crate) enum Deliveries {
    /// List deliveries, newest first
    #[command(visible_alias = "ls")]
    List(Box<List>),
    /// Show one delivery with every attempt: request, response, time
    Show(One),
    /// Send a delivery again now
    Retry(One),
    /// End a delivery that waits, as failed; an attempt under way may still succeed. `webhooks purge` ends all of a webhook
    Cancel(One),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only those with this status
    #[arg(long, value_enum)]
    status: Option<Word>,

    /// Only of this event type, or of all that begin so: prefix.*
    #[arg(long = "type", value_name = "TYPE", value_parser = args::event_types)]
    kind: Option<String>,

    /// Only those whose newest response had this status
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(100..=599))]
    code: Option<u16>,

    /// From this time, or from so long ago, as in 10m
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = args::when)]
    since: Option<String>,

    /// Until this time, or until so long ago
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = args::when)]
    until: Option<String>,

    /// Only those of this event, by its id or its uid
    #[arg(long, value_name = "ID", value_parser = args::id_or_uid)]
    event: Option<String>,

    /// Only those to this webhook, by its id, its name or its uid
    #[arg(long, value_name = "WEBHOOK")]
    webhook: Option<Name>,

    /// Only tests, or with --test=false none
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    test: Option<bool>,

    /// How many, at most 250
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=250))]
    limit: u16,

    /// Where to go on, as the last list said
    #[arg(long)]
    cursor: Option<String>,

    #[command(flatten)]
    whose: Whose,
}

/// One delivery, which its id finds in every tenant.
#[derive(Args, Debug)]
pub(crate) struct One {
    /// The delivery's id
    #[arg(value_parser = args::id)]
    delivery: String,

    #[command(flatten)]
    target: Target,
}

/// A word of the API as an option takes it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Word {
    Pending,
    Succeeded,
    Failed,
    Held,
}

impl Word {
    pub(crate) fn status(self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Succeeded => Status::Succeeded,
            Self::Failed => Status::Failed,
            Self::Held => Status::Held,
        }
    }
}

impl Deliveries {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        match self {
            Self::List(list) => list.run(out),
            Self::Show(one) => one.show(out),
            Self::Retry(one) => one.retry(out),
            Self::Cancel(one) => one.cancel(out),
        }
    }
}

impl List {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let service = self.whose.service()?;
        let find = |webhook| webhooks::find::find_among(&service, self.whose.tenant(), webhook);
        let webhook = self.webhook.as_ref().map(find).transpose()?;
        let of = [("tenant", self.tenant().map(str::to_owned)), ("webhook", webhook)];
        let answer = service.ask(Call::get("/v1/admin/deliveries").query(self.query().into_iter().chain(of)))?;
        if out.json {
            out.line(answer.text()?)?;
            return Ok(Exit::Ok);
        }
        let page: Page<Row> = answer.read()?;
        let rows: Vec<Vec<String>> = page.rows.iter().map(row).collect();
        match rows.is_empty() {
            true => self.nothing(out),
            false => out.line(listed(&COLUMNS, rows, self.tenant(), out.width))?,
        }
        if let Some(next) = page.next {
            out.note("there are more");
            out.hint(&Hint::again_with_value("--cursor", next));
        }
        Ok(Exit::Ok)
    }

    /// Whose deliveries are listed. A webhook belongs to one tenant, and so does an event whose id the service made, so these are found
    /// in every tenant unless one is named.
    fn tenant(&self) -> Option<&str> {
        let is_found_anywhere = self.webhook.is_some() || self.event.as_deref().is_some_and(has_own_form);
        if is_found_anywhere { self.whose.named() } else { self.whose.tenant() }
    }

    /// What is said of an empty list. With filters, the hint is the list without them.
    fn nothing(&self, out: &Out) {
        let filtered = self.query().iter().any(|(name, value)| *name != "limit" && value.is_some()) || self.webhook.is_some();
        match filtered {
            true => {
                out.note("no deliveries match");
                out.hint(&self.whose.hint("deliveries list"));
            }
            false => out.note(self.whose.has_no("deliveries")),
        }
    }

    fn query(&self) -> [(&'static str, Option<String>); 9] {
        [
            ("status", self.status.map(|word| word.status().name().to_owned())),
            ("type", self.kind.clone()),
            ("code", self.code.map(|code| code.to_string())),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("event", self.event.clone()),
            ("test", self.test.map(|test| test.to_string())),
            ("limit", Some(self.limit.to_string())),
            ("cursor", self.cursor.clone()),
        ]
    }
}

fn row(row: &Row) -> Vec<String> {
    let delivery = &row.delivery;
    let next = delivery.next_attempt_at.map(|at| at.to_string()).unwrap_or_default();
    let (attempts, created, whose) = (row.attempts.to_string(), delivery.created_at.to_string(), whose(row));
    let cells = [&*delivery.id, &*delivery.event_type, delivery.status.name(), &*why(row), &*attempts];
    cells.into_iter().chain([&*created, &*next, &*whose, &*delivery.url]).map(in_cell).collect()
}

/// `PROVIDER/TENANT` of a row.
pub(crate) fn whose(row: &Row) -> String {
    row.owner.as_ref().map(|owner| format!("{}/{}", owner.provider, owner.tenant)).unwrap_or_default()
}

/// Why a delivery is held or has failed; else how its last attempt ended. Of a delivery whose last attempt failed the result of that
/// attempt says more.
pub(crate) fn why(row: &Row) -> String {
    match &row.delivery.reason {
        None | Some(Reason::Ended(End::Exhausted)) => webhooks::last(row.last_code, row.last_error.as_deref()),
        Some(reason) => reason.name().trim_start_matches(OF_THE_WEBHOOK).to_owned(),
    }
}

/// How reasons begin that lie in the webhook; a narrow list leaves it out.
const OF_THE_WEBHOOK: &str = "webhook_";

const COLUMNS: [Column; 9] = [
    Column::kept("ID"),
    Column::text("TYPE", 3),
    Column::kept("STATUS"),
    Column::whole("LAST", 2),
    Column::whole("ATTEMPTS", 4),
    Column::whole("CREATED", 5),
    Column::whole("NEXT", 6),
    Column::text(TENANT, 1),
    Column::text("URL", 7),
];

impl One {
    fn show(self, out: &Out) -> Result<Exit, Failure> {
        let answer = self.target.reach.service()?.ask(Call::get(format!("/v1/deliveries/{}", self.delivery)))?;
        match out.json {
            true => out.line(answer.text()?)?,
            false => out.line(attempts::delivery(&answer.object::<Whole>()?, out.paint))?,
        }
        Ok(Exit::Ok)
    }

    fn retry(self, out: &Out) -> Result<Exit, Failure> {
        let answer = self.target.reach.service()?.ask(Call::post(format!("/v1/deliveries/{}/retry", self.delivery), ""))?;
        match out.json {
            true => out.line(answer.text()?)?,
            false => out.line(format!("{}  queued", self.delivery))?,
        }
        Ok(Exit::Ok)
    }

    fn cancel(self, out: &Out) -> Result<Exit, Failure> {
        self.target.reach.service()?.ask(Call::delete(format!("/v1/deliveries/{}", self.delivery)))?;
        match out.json {
            true => out.line(json!({ "id": self.delivery, "cancelled": true }))?,
            false => out.line(format!("{}  cancelled", self.delivery))?,
        }
        Ok(Exit::Ok)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::api::document::delivery::fixture;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        list: List,
    }

    #[test]
    fn an_id_that_the_service_made_is_found_in_every_tenant() {
        let tenant = |arguments: &[&str]| {
            let line = Line::try_parse_from(std::iter::once(&"list").chain(arguments)).expect("parsed");
            line.list.tenant().map(str::to_owned)
        };
        let event = "evt_01M8ECM8H0000FRXQENF7Z9WZQ";
        assert_eq!(tenant(&["--event", event]), None);
        assert_eq!(tenant(&["--webhook", "wh_01M8ECKAP5GWQZA2XQHTWJPQ6X"]), None);
        assert_eq!(tenant(&["--event", event, "--tenant", "acme/t1"]).as_deref(), Some("acme/t1"));
        assert_eq!(tenant(&["--event", "in-1"]).as_deref(), Some("default/default"), "a publisher's id is its tenant's");
        assert_eq!((tenant(&[]).as_deref(), tenant(&["--all"])), (Some("default/default"), None));
    }

    #[test]
    fn a_list_says_why_a_delivery_is_held_or_has_failed() {
        let why_of = |reason: Option<Reason>| {
            let mut row = Row { last_code: Some(503), last_error: Some("status".into()), ..fixture::row(Status::Held) };
            row.delivery.reason = reason;
            why(&row)
        };
        assert_eq!([None, Some(Reason::Ended(End::Exhausted))].map(why_of), ["503", "503"]);
        let others = [Reason::Ended(End::Cancelled), Reason::WebhookDisabled, Reason::Other("webhook_paused".into())];
        assert_eq!(others.map(|reason| why_of(Some(reason))), ["cancelled", "disabled", "paused"]);
    }
}

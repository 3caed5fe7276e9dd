//! `tail`: deliveries and attempts as they happen.

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use crate::api::document::delivery::{AttemptRow, Row};
use crate::cli::args;
use crate::cli::client::stream::{Ended, Seen};
use crate::cli::client::{Call, Service};
use crate::cli::command::deliveries::Word;
use crate::cli::command::webhooks;
use crate::cli::named::Name;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::print::Out;
use crate::cli::output::tail_log::Lines;
use crate::cli::output::words::count;
use crate::cli::whose::Whose;
use crate::clock;
use crate::config::moment::parse_moment;
use crate::domain::id::has_own_form;

/// Follow deliveries and attempts as they happen, until ^C
///
/// When the service goes away it is waited for, and what passed meanwhile is shown: every attempt and every end.
#[derive(Args, Debug)]
pub(crate) struct Tail {
    /// Only deliveries that come to this status, with the attempts that bring them there
    #[arg(long, value_enum)]
    status: Option<Word>,

    /// Only of this event type, or of all that begin so: prefix.*
    #[arg(long = "type", value_name = "TYPE", value_parser = args::event_types)]
    kind: Option<String>,

    /// Only those whose newest response has this status
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(100..=599))]
    code: Option<u16>,

    /// Only of events published from this time on, or from so long ago, as in 10m
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = args::when)]
    since: Option<String>,

    /// Only of events published until this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = args::when)]
    until: Option<String>,

    /// Only those of this event
    #[arg(long, value_name = "ID", value_parser = args::id)]
    event: Option<String>,

    /// Only those to this webhook, by its id or its name
    #[arg(long, value_name = "WEBHOOK")]
    webhook: Option<Name>,

    /// Only tests, or with --test=false none
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    test: Option<bool>,

    #[command(flatten)]
    whose: Whose,
}

impl Tail {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let service = self.whose.service_for(self.tenant())?;
        let call = Call::get("/v1/deliveries/stream").query(self.query(&service)?);
        let shown = Shown { out, lines: Lines { paint: out.paint, zone: clock::zone() } };
        let mut is_first = true;
        let ended = service.follow(&call, |seen| shown.show(seen, std::mem::take(&mut is_first)));
        ended.map(|()| Exit::Ok).map_err(|ended| match ended {
            Ended::Asked(error) => error.into(),
            Ended::Shown(failure) => failure,
        })
    }

    /// Whose deliveries are shown. A webhook belongs to one tenant, and so does an event whose id the service made, so these are found
    /// in every tenant unless one is named.
    fn tenant(&self) -> Option<&str> {
        let ids = [self.event.as_deref(), self.webhook.as_ref().map(Name::as_str)];
        let is_found_anywhere = ids.into_iter().flatten().any(has_own_form);
        if is_found_anywhere { self.whose.named() } else { self.whose.tenant() }
    }

    fn query(&self, service: &Service) -> Result<[(&'static str, Option<String>); 8], Failure> {
        let find = |webhook| webhooks::find::find_among(service, self.whose.tenant(), webhook);
        Ok([
            ("status", self.status.map(|word| word.status().name().to_owned())),
            ("type", self.kind.clone()),
            ("code", self.code.map(|code| code.to_string())),
            ("since", self.since.as_deref().map(at_once)),
            ("until", self.until.as_deref().map(at_once)),
            ("event", self.event.clone()),
            ("webhook", self.webhook.as_ref().map(find).transpose()?),
            ("test", self.test.map(|test| test.to_string())),
        ])
    }
}

/// The moment that a text names by now. As time goes on, and the stream is asked for again, it stays the same.
fn at_once(text: &str) -> String {
    parse_moment(text, clock::now()).map_or_else(|_| text.to_owned(), |moment| moment.to_string())
}

/// Shows what comes.
struct Shown<'a> {
    out: &'a Out,
    lines: Lines,
}

impl Shown<'_> {
    fn show(&self, seen: Seen<'_>, is_first: bool) -> Result<(), Failure> {
        match seen {
            Seen::Event(kind, data) if self.out.json => self.out.line(with_type(kind, data)),
            Seen::Event(kind, data) => self.event(kind, data),
            Seen::Open if self.out.json => self.out.line(json!({ "type": "ready" })),
            Seen::Open if is_first => Ok(()),
            Seen::Open => {
                self.out.note("connected again; what passed meanwhile follows");
                Ok(())
            }
            Seen::Broke(error) => {
                self.out.note(format!("{error}; connecting again"));
                if self.out.json { self.out.line(json!({ "type": "reconnecting" })) } else { Ok(()) }
            }
        }
    }

    /// A line for a person. An event of a newer service is passed over.
    fn event(&self, kind: &str, data: &str) -> Result<(), Failure> {
        let line = match kind {
            "delivery" => self.lines.delivery(&read::<Row>(data)?, clock::now()),
            "attempt" => Some(self.lines.attempt(&read::<AttemptRow>(data)?)),
            "lost" => {
                let rows = count(read::<Lost>(data)?.count, "row");
                self.out.note(format!("{rows} passed too fast, whatever the filters; `hookwheel deliveries list` has them"));
                None
            }
            _ => None,
        };
        line.map_or(Ok(()), |line| self.out.line(line))
    }
}

/// The data of `lost`.
#[derive(Deserialize)]
struct Lost {
    count: u64,
}

fn read<'a, T: Deserialize<'a>>(data: &'a str) -> Result<T, Failure> {
    let unread =
        |error| Failure::new(Exit::Internal, format!("the stream cannot be read: {error}; is it of another version?"), None);
    serde_json::from_str(data).map_err(unread)
}

/// The object with its kind as its first member, which no row has.
fn with_type(kind: &str, data: &str) -> String {
    match data.strip_prefix('{') {
        Some("}") => format!(r#"{{"type":"{kind}"}}"#),
        Some(members) => format!(r#"{{"type":"{kind}",{members}"#),
        None => data.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_ago_stays_where_it_was() {
        let named = at_once("10m");
        assert!(parse_moment(&named, clock::now()).is_ok_and(|moment| moment < clock::now()) && named != "10m", "{named}");
        assert_eq!(at_once(&named), named);
    }

    #[test]
    fn a_line_says_of_which_kind_it_is() {
        assert_eq!(with_type("lost", r#"{"count":3}"#), r#"{"type":"lost","count":3}"#);
        assert_eq!(with_type("odd", "{}"), r#"{"type":"odd"}"#);
    }
}

//! `audit`: who changed what, from where, and when.

use clap::Args;
use serde_json::value::RawValue;

use crate::api::document::audit::{Actor, Entry};
use crate::api::document::members::Members;
use crate::cli::args::{self, Reach};
use crate::cli::client::{Call, Page};
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::table::{Column, table};
use crate::cli::output::words::{cell, in_cell};

/// List who changed what, newest first
///
/// Every change by the API, the command line and the config file is here; secrets are masked. `--json` prints what each was before
/// and after.
#[derive(Args, Debug)]
pub(crate) struct Audit {
    /// Only changes by this actor: key, socket or file, a key's id or name, uid:0
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,

    /// Only changes of this object: its id, PROVIDER/TENANT for all of a tenant, or a kind: webhook, delivery, key, tenant, event_type,
    /// config, clock, backup, replay
    #[arg(long, value_name = "OBJECT")]
    object: Option<String>,

    /// Only changes by this call, as in 'DELETE /v1/webhooks/{id}', or start, or reload
    #[arg(long, value_name = "CALL")]
    call: Option<String>,

    /// From this time, or from so long ago, as in 10m
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = args::when)]
    since: Option<String>,

    /// Until this time, or until so long ago
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = args::when)]
    until: Option<String>,

    /// How many, at most 250
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=250))]
    limit: u16,

    /// Where to go on, as the last list said
    #[arg(long)]
    cursor: Option<String>,

    #[command(flatten)]
    reach: Reach,
}

impl Audit {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let answer = self.reach.service()?.ask(Call::get("/v1/admin/audit").query(self.query()))?;
        if out.json {
            out.line(answer.text()?)?;
            return Ok(Exit::Ok);
        }
        let page: Page<Entry> = answer.read()?;
        let rows: Vec<Vec<String>> = page.rows.iter().map(row).collect();
        match rows.is_empty() {
            true => self.nothing(page.next.is_some(), out),
            false => out.line(table(&COLUMNS, &rows, out.width))?,
        }
        if let Some(next) = page.next {
            out.note("there are more");
            out.hint(&Hint::again_with_value("--cursor", next));
        }
        Ok(Exit::Ok)
    }

    /// What is said of a page without rows. A page looks at a bounded number of changes, so more may follow.
    fn nothing(&self, has_more: bool, out: &Out) {
        let filters = [&self.actor, &self.object, &self.call, &self.since, &self.until, &self.cursor];
        match filters.iter().any(|filter| filter.is_some()) {
            _ if has_more => out.note("none of the changes that were looked at match"),
            true => {
                out.note("no changes match");
                out.hint(&Hint::service("audit"));
            }
            false => out.note("nothing was changed yet"),
        }
    }

    fn query(&self) -> [(&'static str, Option<String>); 7] {
        [
            ("actor", self.actor.clone()),
            ("object", self.object.clone()),
            ("call", self.call.clone()),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("limit", Some(self.limit.to_string())),
            ("cursor", self.cursor.clone()),
        ]
    }
}

fn row(entry: &Entry) -> Vec<String> {
    let Entry { at, actor, address, call, object, .. } = entry;
    let named = if object.name.is_empty() { &object.id } else { &object.name };
    let (at, object, tenant) = (at.to_string(), format!("{} {named}", object.kind), object.tenant.as_deref().unwrap_or_default());
    let (what, from) = (what(entry), address.as_deref().unwrap_or_default());
    [&*at, &*by(actor), call, &*object, tenant, &*what, from].map(in_cell).to_vec()
}

/// A key by its name, else by its id; whoever else by what they came through.
fn by(actor: &Actor) -> String {
    match (actor.kind.as_str(), actor.id.as_deref()) {
        ("key", Some(id)) if actor.name.is_empty() => id.to_owned(),
        ("socket", Some(user)) => format!("{} {user}", actor.name),
        _ => actor.name.clone(),
    }
}

/// `url: https://a/ → https://b/`, or what there is of an object that was made; of one that is gone, that it is.
fn what(entry: &Entry) -> String {
    let [before, after] = [&entry.before, &entry.after].map(|text| text.as_deref().map(members).unwrap_or_default());
    if entry.after.is_none() {
        return "gone".into();
    }
    let was = |name: &str| before.iter().find(|(known, _)| known == name).map(|(_, value)| cell(value));
    let one = |(name, value): &(String, Box<RawValue>)| match was(name) {
        Some(was) => format!("{name}: {was} → {}", cell(value)),
        None => format!("{name}: {}", cell(value)),
    };
    let gone = before.iter().filter(|(name, _)| after.iter().all(|(known, _)| known != name));
    let told = after.iter().map(one).chain(gone.map(|(name, value)| format!("{name}: {} → –", cell(value))));
    told.filter(|told| !told.ends_with(": ")).collect::<Vec<_>>().join(", ")
}

fn members(object: &RawValue) -> Vec<(String, Box<RawValue>)> {
    serde_json::from_str::<Members<Box<RawValue>>>(object.get()).map(|members| members.0).unwrap_or_default()
}

const COLUMNS: [Column; 7] = [
    Column::kept("AT"),
    Column::text("BY", 1),
    Column::text("CALL", 4),
    Column::text("OBJECT", 2),
    Column::text("TENANT", 5),
    Column::text("CHANGE", 3),
    Column::whole("FROM", 6),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(before: &str, after: &str) -> Entry {
        let text = format!(
            r#"{{"id":"aud_1","at":"2026-03-01T10:02:11Z","actor":{{"kind":"key","id":"key_1","name":"ci"}},"address":"192.0.2.1",
               "call":"PATCH /v1/webhooks/{{id}}","object":{{"kind":"webhook","id":"wh_1","name":"billing","tenant":"acme/t1"}},
               "before":{before},"after":{after}}}"#
        );
        serde_json::from_str(&text).expect("an entry")
    }

    #[test]
    fn a_change_is_told_by_what_differs() {
        let told = |before: &str, after: &str| what(&entry(before, after));
        assert_eq!(told(r#"{"url":"x"}"#, r#"{"url":"y"}"#), "url: x → y");
        assert_eq!(told("null", r#"{"name":"","url":"y","events":["a","b"]}"#), "url: y, events: a,b");
        assert_eq!(told(r#"{"timeout":"5s"}"#, "{}"), "timeout: 5s → –");
        assert_eq!(told(r#"{"url":"x"}"#, "null"), "gone");
    }

    #[test]
    fn a_row_names_who_did_it_and_from_where() {
        let row = row(&entry("null", "{}"));
        let wanted = ["2026-03-01T10:02:11Z", "ci", "PATCH /v1/webhooks/{id}", "webhook billing", "acme/t1", "", "192.0.2.1"];
        assert_eq!(row, wanted);
    }

    #[test]
    fn whoever_has_no_name_is_told_by_an_id_or_a_way() {
        let of = |kind: &str, id: Option<&str>, name: &str| {
            by(&Actor { kind: kind.into(), id: id.map(Into::into), name: name.into() })
        };
        assert_eq!([of("key", Some("key_1"), ""), of("key", Some("key_1"), "ci")], ["key_1", "ci"]);
        assert_eq!(of("socket", Some("uid:0"), "admin socket"), "admin socket uid:0");
        assert_eq!([of("socket", None, "dev"), of("file", Some("/etc/h.toml"), "config file")], ["dev", "config file"]);
    }
}

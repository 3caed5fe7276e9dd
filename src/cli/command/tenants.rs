//! `tenants`: the customers of providers.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::document::members::Members;
use crate::api::document::tenant::Tenant;
use crate::cli::args::{self, Reach};
use crate::cli::client::{Answer, Call, Everything, Served};
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::table::{Column, table};
use crate::cli::output::words::json_line;
use crate::cli::output::words::{in_cell, record};
use crate::domain::rate::Rate;

/// List, show, describe and delete tenants: the customers of a provider
#[derive(Debug, Subcommand)]
pub(crate) enum Tenants {
    /// List tenants, oldest first
    #[command(visible_alias = "ls")]
    List(List),
    /// Show one tenant
    Show(Show),
    /// Delete a tenant: its webhooks, keys and secrets at once, then its events and log; `show` tells how far that has come
    #[command(visible_alias = "rm")]
    Delete(Delete),
    /// Replace the description of a tenant, or make the tenant; an option left out clears its value
    Put(Box<Put>),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only those of this provider
    #[arg(long, value_name = "NAME", value_parser = args::id)]
    provider: Option<String>,

    /// Only those whose id, uid or name holds this text, in small or capital letters
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    #[command(flatten)]
    reach: Reach,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    /// The tenant
    #[arg(value_name = "PROVIDER/TENANT", value_parser = args::one_tenant)]
    tenant: (String, String),

    #[command(flatten)]
    reach: Reach,
}

#[derive(Args, Debug)]
pub(crate) struct Put {
    /// The tenant
    #[arg(value_name = "PROVIDER/TENANT", value_parser = args::one_tenant)]
    tenant: (String, String),

    /// What it is called
    #[arg(long)]
    name: Option<String>,

    /// What bodies print as its environment [default: Production]
    #[arg(long, value_name = "TEXT")]
    environment: Option<String>,

    /// A name and a text of your own, as in plan=gold; may be repeated
    #[arg(long, value_name = "NAME=TEXT", value_parser = metadata)]
    metadata: Vec<(String, String)>,

    /// A second name, taken wherever its id is
    #[arg(long, value_parser = args::uid)]
    uid: Option<String>,

    /// How long its events and deliveries are kept, as in 30d [default: retention of the config]
    #[arg(long, value_name = "TIME", value_parser = retention)]
    retention: Option<String>,

    /// How often an event may be published for it, as in 1000/s, 600/m or 50/h [default: as often as the service takes them]
    #[arg(long, value_name = "RATE", value_parser = args::rate)]
    rate_limit: Option<Rate>,

    #[command(flatten)]
    reach: Reach,
}

#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// The tenant
    #[arg(value_name = "PROVIDER/TENANT", value_parser = args::one_tenant)]
    tenant: (String, String),

    #[command(flatten)]
    reach: Reach,
}

impl Tenants {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        match self {
            Self::List(list) => list.run(out),
            Self::Show(show) => show.run(out),
            Self::Delete(delete) => delete.run(out),
            Self::Put(put) => put.run(out),
        }
    }
}

impl List {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let filters = [("provider", self.provider.as_deref()), ("search", self.search.as_deref())];
        let filters: Vec<_> = filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let tenants: Vec<Served<Tenant>> = self.reach.service()?.rows("/v1/admin/tenants", &filters)?;
        if out.json {
            out.line(json_line(&Everything::new(tenants)))?;
            return Ok(Exit::Ok);
        }
        let rows: Vec<Vec<String>> = tenants.iter().map(|tenant| row(tenant)).collect();
        match rows.is_empty() {
            true if filters.is_empty() => {
                out.note("there are no tenants");
                out.hint(&Hint::service("tenants put default/customer-1 --name 'Customer 1'"));
            }
            true => {
                out.note("no tenants match");
                out.hint(&Hint::service("tenants list"));
            }
            false => out.line(table(&COLUMNS, &rows, out.width))?,
        }
        Ok(Exit::Ok)
    }
}

fn row(tenant: &Tenant) -> Vec<String> {
    let id = format!("{}/{}", tenant.provider, tenant.id);
    let created = tenant.created_at.map(|at| at.to_string()).unwrap_or_default();
    let rate = tenant.rate_limit.as_deref().unwrap_or_default();
    let from = match (tenant.deleting, tenant.removed) {
        (Some(_), _) => "deleting",
        (None, true) => "removed",
        (None, false) => tenant.owner.name(),
    };
    [&*id, &*tenant.name, &*tenant.environment, rate, from, &*created].map(in_cell).to_vec()
}

impl Show {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let (provider, tenant) = &self.tenant;
        whole(&self.reach.service()?.ask(Call::get(format!("/v1/admin/tenants/{provider}/{tenant}")))?, out)
    }
}

impl Delete {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let (provider, tenant) = &self.tenant;
        let answer = self.reach.service()?.ask(Call::delete(format!("/v1/admin/tenants/{provider}/{tenant}")))?;
        match out.json {
            true => out.line(answer.text()?)?,
            false => out.line(format!("{provider}/{tenant}  deleted; its events and its log go now"))?,
        }
        Ok(Exit::Ok)
    }
}

impl Put {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let (provider, tenant) = &self.tenant;
        whole(&self.reach.service()?.ask(Call::put(format!("/v1/admin/tenants/{provider}/{tenant}"), self.body()))?, out)
    }

    fn body(&self) -> String {
        let metadata = self.metadata.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let (name, environment) = (self.name.as_deref(), self.environment.as_deref());
        json_line(&Wish {
            name,
            environment,
            metadata,
            uid: self.uid.as_deref(),
            retention: self.retention.as_deref(),
            rate_limit: self.rate_limit.map(|rate| rate.to_string()),
        })
    }
}

/// What the call takes.
#[derive(Serialize)]
struct Wish<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<String>,
}

fn whole(answer: &Answer, out: &Out) -> Result<Exit, Failure> {
    match out.json {
        true => out.line(answer.text()?)?,
        false => out.line(record(&answer.read::<Members<Box<RawValue>>>()?, ORDER))?,
    }
    Ok(Exit::Ok)
}

fn metadata(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, text)) if !name.is_empty() => Ok((name.into(), text.into())),
        _ => Err("it is not NAME=TEXT"),
    }
}

fn retention(text: &str) -> Result<String, String> {
    args::duration(text).map(|_| text.to_owned())
}

const COLUMNS: [Column; 6] = [
    Column::kept("TENANT"),
    Column::text("NAME", 1),
    Column::text("ENVIRONMENT", 2),
    Column::whole("RATE", 3),
    Column::whole("FROM", 4),
    Column::whole("CREATED", 5),
];

/// The members of a tenant in the order a person asks for them.
const ORDER: &[&str] =
    &["id", "uid", "provider", "name", "environment", "retention", "rate_limit", "metadata", "owner", "removed"];

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        put: Put,
    }

    #[test]
    fn only_what_is_said_of_a_tenant_is_sent() {
        let body = |arguments: &[&str]| {
            let line = Line::try_parse_from([&["put", "acme/t1"], arguments].concat()).expect("parsed");
            line.put.body()
        };
        assert_eq!(body(&[]), "{}");
        let given = [
            "--name",
            "Customer",
            "--metadata",
            "plan=gold=x",
            "--metadata",
            "b=",
            "--rate-limit",
            "600/m",
            "--uid",
            "crm.1",
            "--retention",
            "30d",
        ];
        assert_eq!(
            body(&given),
            r#"{"name":"Customer","metadata":{"b":"","plan":"gold=x"},"uid":"crm.1","retention":"30d","rate_limit":"600/m"}"#
        );
        for bad in [["--metadata", "=x"], ["--uid", "a/b"], ["--retention", "7"], ["--rate-limit", "fast"]] {
            assert!(Line::try_parse_from([&["put", "acme/t1"][..], &bad].concat()).is_err(), "{bad:?}");
        }
        assert!(Line::try_parse_from(["put", "acme/*"]).is_err());
    }
}

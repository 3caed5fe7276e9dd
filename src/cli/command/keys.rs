//! `keys`: API keys for those who come over the network. The admin socket needs none.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;

use crate::api::document::key as document;
use crate::cli::args::{self, Reach};
use crate::cli::client::{Call, Everything, Served, in_path};
use crate::cli::named::Name;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::table::{Column, table};
use crate::cli::output::words::json_line;
use crate::cli::output::words::{in_cell, plain};
use crate::domain::rate::Rate;

/// Make, list and revoke API keys
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key and print it, this once
    New(Box<New>),
    /// List keys, the file's among them; never the keys themselves
    #[command(visible_alias = "ls")]
    List(List),
    /// Revoke a key at once
    Revoke(Revoke),
}

#[derive(Args, Debug)]
pub(crate) struct New {
    /// What the key is called in lists
    name: Name,

    /// Acts for this tenant
    #[arg(long, value_name = "PROVIDER/TENANT", default_value = args::DEFAULT_TENANT, value_parser = args::one_tenant)]
    tenant: (String, String),

    /// Acts for this provider: publishes for all its tenants, and with the scope manage has all that is theirs, their keys too
    #[arg(long, value_name = "NAME", value_parser = args::id, conflicts_with_all = ["operator", "tenant"])]
    provider: Option<String>,

    /// May do everything
    #[arg(long, conflicts_with_all = ["tenant", "scopes"])]
    operator: bool,

    /// What the key may do [default: all; of a provider's key publish]
    #[arg(long, value_enum, value_delimiter = ',')]
    scopes: Vec<Scope>,

    /// What it is for, in words
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// When the key expires: a time, or how long from now, as in 30d [default: never]
    #[arg(long, value_name = "TIME", value_parser = args::to_come)]
    expires: Option<String>,

    /// How often it may be used, as in 1000/s, 600/m or 50/h; each event counts [default: as often as the service takes calls]
    #[arg(long, value_name = "RATE", value_parser = args::rate)]
    rate_limit: Option<Rate>,

    #[command(flatten)]
    reach: Reach,
}

/// A word of the API as an option takes it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scope {
    /// Events and connections
    Publish,
    /// Every GET
    Read,
    /// Everything else, and read
    Manage,
}

impl Scope {
    fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Read => "read",
            Self::Manage => "manage",
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    reach: Reach,
}

#[derive(Args, Debug)]
pub(crate) struct Revoke {
    /// Its id, key_…, or its name
    key: Name,

    #[command(flatten)]
    reach: Reach,
}

impl Keys {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        match self {
            Self::New(new) => new.run(out),
            Self::List(list) => list.run(out),
            Self::Revoke(revoke) => revoke.run(out),
        }
    }
}

impl New {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let answer = self.reach.service()?.ask(Call::post("/v1/admin/keys", json_line(&self.wish())))?;
        if out.json {
            out.line(answer.text()?)?;
            return Ok(Exit::Ok);
        }
        let made: document::NewKey = answer.read()?;
        // Alone on stdout, so that KEY=$(hookwheel keys new …) holds the key.
        out.line(&made.key)?;
        out.note(format!("{}  {}  made; the key is shown once", made.known.id, plain(&made.known.name)));
        Ok(Exit::Ok)
    }

    fn wish(&self) -> Wish<'_> {
        let (provider, tenant) = match &self.provider {
            _ if self.operator => (None, None),
            Some(provider) => (Some(&**provider), None),
            None => (Some(&*self.tenant.0), Some(&*self.tenant.1)),
        };
        let scopes = self.scopes.iter().map(|scope| scope.name()).collect();
        Wish {
            name: self.name.as_str(),
            operator: self.operator,
            provider,
            tenant,
            scopes,
            description: self.description.as_deref(),
            expires_at: self.expires.as_deref(),
            rate_limit: self.rate_limit.map(|rate| rate.to_string()),
        }
    }
}

/// What is asked for when a key is made.
#[derive(Serialize)]
struct Wish<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    operator: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<String>,
}

impl List {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let keys: Vec<Served<document::Key>> = self.reach.service()?.rows("/v1/admin/keys", &[])?;
        if out.json {
            out.line(json_line(&Everything::new(keys)))?;
            return Ok(Exit::Ok);
        }
        let rows: Vec<Vec<String>> = keys.iter().map(|key| row(key)).collect();
        match rows.is_empty() {
            true => {
                out.note("there are no keys");
                out.hint(&Hint::service("keys new my-app"));
            }
            false => out.line(table(&COLUMNS, &rows, out.width))?,
        }
        Ok(Exit::Ok)
    }
}

fn row(key: &document::Key) -> Vec<String> {
    let parts: Vec<&str> = [&key.provider, &key.tenant].into_iter().flatten().map(String::as_str).collect();
    let of = if parts.is_empty() { "operator".into() } else { parts.join("/") };
    let scopes = key.scopes.as_ref().map(|scopes| scopes.join(",")).unwrap_or_default();
    let created = key.created_at.map(|at| at.to_string()).unwrap_or_default();
    // The key that it was made with, else who made it.
    let maker = key.made_by.as_deref().unwrap_or_else(|| key.owner.name());
    let expires = key.expires_at.map(|at| at.to_string()).unwrap_or_default();
    let used = key.last_used_at.map(|at| at.to_string()).unwrap_or_default();
    let rate = key.rate_limit.as_deref().unwrap_or_default();
    [&*key.id, &*key.name, &*of, &*scopes, &*created, &*used, &*expires, rate, maker].map(in_cell).to_vec()
}

impl Revoke {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let service = self.reach.service()?;
        let id = find(&service.rows("/v1/admin/keys", &[])?, &self.key)?;
        service.ask(Call::delete(format!("/v1/admin/keys/{}", in_path(&id))))?;
        match out.json {
            true => out.line(json!({ "id": id, "revoked": true }))?,
            false => out.line(format!("{id}  revoked"))?,
        }
        Ok(Exit::Ok)
    }
}

/// The id of a key that is named by its id or its name.
fn find(keys: &[document::Key], key: &Name) -> Result<String, Failure> {
    if keys.iter().any(|known| known.id == key.as_str()) {
        return Ok(key.as_str().to_owned());
    }
    let named: Vec<&str> = keys.iter().filter(|known| known.name == key.as_str()).map(|known| known.id.as_str()).collect();
    key.only(&named, "key", Hint::service("keys list"))
}

const COLUMNS: [Column; 9] = [
    Column::kept("ID"),
    Column::text("NAME", 1),
    Column::text("OF", 2),
    Column::whole("SCOPES", 3),
    Column::whole("CREATED", 5),
    Column::whole("USED", 6),
    Column::whole("EXPIRES", 7),
    Column::whole("RATE", 8),
    Column::whole("FROM", 4),
];

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::api::document::key::fixture::key;
    use crate::cli::output::hint::Called;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        new: New,
    }

    fn body(arguments: &[&str]) -> String {
        json_line(&Line::try_parse_from(std::iter::once(&"new").chain(arguments)).expect("parsed").new.wish())
    }

    #[test]
    fn a_key_is_a_tenants_a_providers_or_the_operators() {
        assert_eq!(body(&["ci"]), r#"{"name":"ci","provider":"default","tenant":"default"}"#);
        let scoped = r#"{"name":"ci","provider":"acme","tenant":"t1","scopes":["publish","read"]}"#;
        assert_eq!(body(&["ci", "--tenant", "acme/t1", "--scopes", "publish,read"]), scoped);
        assert_eq!(body(&["ci", "--provider", "acme"]), r#"{"name":"ci","provider":"acme"}"#);
        let manages = r#"{"name":"ci","provider":"acme","scopes":["publish","manage"]}"#;
        assert_eq!(body(&["ci", "--provider", "acme", "--scopes", "publish,manage"]), manages);
        let terms = ["ci", "--operator", "--description", "d", "--expires", "2100-01-01T00:00:00Z", "--rate-limit", "5/s"];
        let expected =
            r#"{"name":"ci","operator":true,"description":"d","expires_at":"2100-01-01T00:00:00.000000Z","rate_limit":"5/s"}"#;
        assert_eq!(body(&terms), expected);
        assert_eq!(body(&["ci", "--operator"]), r#"{"name":"ci","operator":true}"#);
    }

    #[test]
    fn a_key_is_revoked_by_its_id_or_a_name_that_is_its_own() {
        let keys = [("key_1", "ci"), ("key_file_acme.t1.my key", "my key"), ("key_3", "x"), ("key_4", "x")];
        let keys = keys.map(|(id, name)| key(id, name));
        let found = |named: &str| find(&keys, &named.parse().expect("a name"));
        assert_eq!(found("ci").as_deref(), Ok("key_1"));
        assert_eq!(found("key_3").as_deref(), Ok("key_3"));
        assert_eq!(found("key_file_acme.t1.my key").as_deref(), Ok("key_file_acme.t1.my key"));
        assert_eq!(found("key_9").expect_err("none").exit, Exit::Negative);
        let two = found("x").expect_err("two");
        assert_eq!(two.exit, Exit::Usage);
        assert!(two.human(&Called::default()).contains("2 keys are named `x`: key_3, key_4"), "{two:?}");
    }

    #[test]
    fn a_list_says_whose_a_key_is() {
        let of = |provider: Option<&str>, tenant: Option<&str>| {
            let [provider, tenant] = [provider, tenant].map(|name| name.map(str::to_owned));
            row(&document::Key { provider, tenant, ..key("key_1", "k") })[2].clone()
        };
        assert_eq!([of(Some("acme"), Some("t1")), of(Some("acme"), None), of(None, None)], ["acme/t1", "acme", "operator"]);
    }
}

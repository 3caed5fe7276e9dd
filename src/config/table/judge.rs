//! Checks the values of a webhook's table by the rules of the domain: its dialect, its URL, its event types, its secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::dialect::{Dialect, UnknownType, UnknownTypes};
use crate::domain::refusal::Refusal;
use crate::domain::text::nearest::nearest;
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::Setting;
use crate::domain::webhook::target::{Guard, OPENED_BY, Reason, Schemes, Target};

use super::value::{Wrong, string};
use crate::config::checked::{Delivery, Server};
use crate::config::dialect::built_in;
use crate::config::fault::{Faults, Placed, Remedy};
use crate::config::source::document::Value;

/// The dialects that there are, and the addresses that may be dialled.
#[derive(Debug)]
pub(crate) struct Judge {
    /// The dialects that are built in, and those of the files without a fault.
    pub(crate) dialects: BTreeMap<String, Arc<Dialect>>,
    /// All names of dialects that the files define, also of those with a fault, so that such a dialect is one fault and not one more for
    /// each webhook that uses it.
    defined: Vec<String>,
    /// Whether every file could be read. Only then an unknown dialect is surely defined nowhere.
    complete: bool,
    danger_allow_http: bool,
    guard: Guard,
}

impl Judge {
    pub(crate) fn new(
        dialects: BTreeMap<String, Arc<Dialect>>,
        defined: Vec<String>,
        complete: bool,
        server: &Server,
        delivery: &Delivery,
    ) -> Self {
        let guard = Guard { allow: delivery.allow_private.clone(), own: vec![server.listen] };
        Self { dialects, defined, complete, danger_allow_http: delivery.danger_allow_http, guard }
    }

    /// Notes a dialect that is neither built in nor defined.
    pub(crate) fn check_name(&self, name: &Placed<String>, faults: &mut Faults) {
        let known = self.dialects.contains_key(&name.value) || self.defined.contains(&name.value);
        if self.complete && !known {
            faults.add(&name.location, format!("unknown dialect `{}`", name.value), self.name_remedy(&name.value));
        }
    }

    fn name_remedy(&self, name: &str) -> Remedy {
        let names: Vec<&str> = self.dialects.keys().map(String::as_str).collect();
        match nearest(name, names.iter().copied()) {
            Some(near) => format!("dialect = \"{near}\"").into(),
            None => Remedy::Advice(format!("there are {}, and your own as `[dialect.NAME]`", names.join(", "))),
        }
    }

    /// Reads an endpoint's URL into its canonical form.
    pub(crate) fn url(&self, value: Value, dialect: &str) -> Result<String, Wrong> {
        let text = string(value, URL_EXAMPLE)?;
        self.target(&text, dialect).map(|target| target.url().to_owned()).map_err(|reason| refused_url(&reason))
    }

    fn target(&self, url: &str, dialect: &str) -> Result<Target, Reason> {
        // Whether an unknown dialect takes plain http is not known, so that is no second fault.
        let http = self.dialects.get(dialect).is_none_or(|dialect| dialect.api.plain_http) || self.danger_allow_http;
        Target::parse(url, Schemes { http }, &self.guard)
    }

    /// What stands against a setting of a webhook besides its form.
    pub(crate) fn setting(&self, setting: &Setting, dialect: &str) -> Vec<Refusal> {
        let mut refusals = self.dialects.get(dialect).map(|dialect| setting.conflicts(dialect)).unwrap_or_default();
        let url = setting.url().and_then(|(pointer, url)| Some((pointer, self.target(url, dialect).err()?)));
        refusals.extend(url.map(|(pointer, reason)| match reason.can_be_opened() {
            true => Refusal::new(pointer, format!("cannot be used: {reason}; {OPENED_BY}")),
            false => Refusal::new(pointer, format!("cannot be used: {reason}")),
        }));
        refusals
    }

    /// Reads an entry of `events`: a name, `prefix.*` or `*`.
    pub(crate) fn pattern(&self, value: Value, spoken: Spoken<'_>) -> Result<Pattern, Wrong> {
        let text = string(value, Remedy::advice(PATTERNS))?;
        let pattern =
            Pattern::parse(&text).map_err(|why| Wrong::new(format!("holds {text:?}: {why}"), Remedy::advice(PATTERNS)))?;
        let dialect = self.dialects.get(spoken.dialect).filter(|_| spoken.unknown_types != Some(UnknownTypes::Pass));
        let known = dialect.map_or(Ok(()), |dialect| dialect.check_pattern(&pattern));
        known.map_err(|unknown| unknown_type(unknown, spoken.dialect))?;
        Ok(pattern)
    }

    /// Notes a secret that the dialect cannot sign with.
    pub(crate) fn check_secret(&self, secret: &Placed<Secret>, dialect: &str, faults: &mut Faults) {
        let Some(dialect) = self.dialects.get(dialect) else { return };
        if let Err(reason) = dialect.api.secret_format.accept(secret.value.expose()) {
            let message = format!("the dialect `{}` cannot use the secret in this file: {reason}", dialect.name);
            faults.add(
                &secret.location,
                message,
                Remedy::advice("leave `secret_file` out, and the relay makes a secret that fits"),
            );
        }
    }
}

fn unknown_type(unknown: UnknownType, dialect: &str) -> Wrong {
    let remedy = match unknown.nearest {
        Some(near) => format!("\"{near}\"").into(),
        None if built_in().iter().any(|(name, _)| *name == dialect) => Remedy::ours(format!("dialects show {dialect}")),
        None => Remedy::advice("its `[[dialect.NAME.event_type]]` list those that it has"),
    };
    Wrong::new(format!("holds `{}`, which the dialect `{dialect}` does not have", unknown.name), remedy)
}

/// What a provider says that its webhooks are checked by.
#[derive(Clone, Copy)]
pub(crate) struct Spoken<'a> {
    pub(crate) dialect: &'a str,
    /// What the provider says about unknown event types, if it does. Types that were added to its catalogue by the API are not known
    /// here, so `refuse` refuses nothing that the dialect takes.
    pub(crate) unknown_types: Option<UnknownTypes>,
}

fn refused_url(reason: &Reason) -> Wrong {
    let remedy = if reason.can_be_opened() { Remedy::advice(OPENED_BY) } else { URL_EXAMPLE.into() };
    Wrong::new(format!("cannot be used: {reason}"), remedy)
}

const URL_EXAMPLE: &str = "url = \"https://hooks.example.com/path\"";

const PATTERNS: &str = "it takes names (`invoice.paid`), everything below a prefix (`invoice.*`), or everything (`*`)";

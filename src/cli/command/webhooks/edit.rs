//! `webhooks edit`: changes what is given, and leaves the rest.

use clap::Args;
use serde::Serialize;

use super::settings::{Given, Settings};
use super::{find, url, whole};
use crate::cli::args::{self, Target};
use crate::cli::client::Call;
use crate::cli::named::Name;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::print::Out;
use crate::cli::output::words::json_line;

#[derive(Args, Debug)]
pub(crate) struct Edit {
    /// Its id, its name or its uid
    webhook: Name,

    /// Where deliveries are sent from now on
    #[arg(long, value_parser = url)]
    url: Option<String>,

    /// Event types instead of those so far: names, prefix.*, or *; separated by commas, or repeated
    #[arg(long, value_name = "TYPES", value_delimiter = ',', value_parser = args::event_types)]
    events: Vec<String>,

    /// What it is called from now on
    #[arg(long)]
    name: Option<Name>,

    /// What it is for, in words
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    #[command(flatten)]
    settings: Settings,

    #[command(flatten)]
    target: Target,
}

impl Edit {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let changes = self.changes()?;
        if changes.is_empty() {
            return Err(Failure::usage("nothing was given to change; `hookwheel webhooks edit --help` lists what can be", None));
        }
        let (service, id) = find(&self.target, &self.webhook)?;
        whole(&service.ask(Call::patch(format!("/v1/webhooks/{id}"), json_line(&changes)))?, out)
    }

    fn changes(&self) -> Result<Changes<'_>, Failure> {
        Ok(Changes {
            url: self.url.as_deref(),
            events: &self.events,
            name: self.name.as_ref().map(Name::as_str),
            description: self.description.as_deref(),
            settings: self.settings.given()?,
        })
    }
}

/// What is asked for when a webhook is changed. It has no `Debug`, so that no credential reaches a log.
#[derive(Serialize)]
struct Changes<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    events: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(flatten)]
    settings: Given,
}

impl Changes<'_> {
    fn is_empty(&self) -> bool {
        let Self { url, events, name, description, settings } = self;
        url.is_none() && events.is_empty() && name.is_none() && description.is_none() && settings.0.is_empty()
    }
}

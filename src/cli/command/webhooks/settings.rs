//! What `webhooks add` and `webhooks edit` set besides URL, event types, name and description.

use std::convert::Infallible;

use clap::Args;
use serde_json::value::{RawValue, to_raw_value};

use crate::api::document::members::Members;
use crate::cli::args;
use crate::cli::output::exit::Failure;
use crate::domain::webhook::secret::Secret;

#[derive(Args, Debug, Default)]
pub(crate) struct Settings {
    /// A second name that is taken wherever its id is; null for none
    #[arg(long)]
    uid: Option<String>,

    /// Only events that this filter matches: JSON, @FILE, or - for stdin; null for every event
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,

    /// Only events of these channels: names separated by commas, or repeated; an empty name for every event
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    channels: Option<Vec<String>>,

    /// What is kept with it and shown: a JSON object of strings, @FILE, or - for stdin
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,

    /// How long an attempt may take, from 1s to 60s; null for what the dialect says
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,

    /// When an attempt is made again, as in {"schedule":["1m","5m"]}: JSON, @FILE, or - for stdin; null for what the dialect says
    #[arg(long, value_name = "JSON")]
    retry: Option<String>,

    /// When failures disable it, as in {"consecutive":10}, 0 for never: JSON, @FILE, or - for stdin; null for what the dialect says
    #[arg(long, value_name = "JSON")]
    disable: Option<String>,

    /// How many attempts are made at once, from 1 to 1024; null for what the config says
    #[arg(long, value_name = "COUNT")]
    concurrency: Option<String>,

    /// How often an attempt may start, as in 10/s, 600/m or 50/h; null for no limit
    #[arg(long, value_name = "RATE")]
    rate_limit: Option<String>,

    /// Which share of its events it gets, above 0 and up to 1, as in 0.1; null for all
    #[arg(long, value_name = "SHARE")]
    sample: Option<String>,

    /// Whether its deliveries are made one at a time, in the order of publication: true or false
    #[arg(long, value_name = "BOOL")]
    ordered: Option<String>,

    /// What follows when a delivery of an ordered one has failed: next, or hold to disable it; null for next
    #[arg(long, value_name = "WHAT")]
    on_failure: Option<String>,

    /// What each attempt is sent with besides, as in {"X-Api-Key":"…"}: JSON, @FILE, or - for stdin; null for nothing. Shown masked
    #[arg(long, value_name = "JSON", value_parser = hidden)]
    headers: Option<Secret>,

    /// How each attempt is authorized, as in {"type":"bearer","token":"…"}, also basic and oauth2: JSON, @FILE, or - for stdin; null
    /// for not at all. Shown masked
    #[arg(long, value_name = "JSON", value_parser = hidden)]
    auth: Option<Secret>,

    /// The TLS of its connections, as in {"client_cert":"PEM","client_key":"PEM","ca":"PEM"}: JSON, @FILE, or - for stdin; null for
    /// what the config says. The key is shown masked
    #[arg(long, value_name = "JSON", value_parser = hidden)]
    tls: Option<Secret>,

    /// The proxy that attempts leave through, as in http://user:pass@host:3128, or none; null for what the config says. The password
    /// is shown masked
    #[arg(long, value_name = "URL", value_parser = hidden)]
    proxy: Option<Secret>,
}

/// Settings as members of a request. They go out as they were written, with every digit.
pub(crate) type Given = Members<Box<RawValue>, &'static str>;

impl Settings {
    /// The settings that were given, as members of the request.
    pub(crate) fn given(&self) -> Result<Given, Failure> {
        let json = |option, given: &Option<String>| given.as_deref().map(|json| args::json_of(option, json)).transpose();
        let members = [
            ("uid", self.uid.as_deref().map(text)),
            ("filter", json("--filter", &self.filter)?),
            ("channels", self.channels.as_deref().map(list)),
            ("metadata", json("--metadata", &self.metadata)?),
            ("timeout", self.timeout.as_deref().map(text)),
            ("retry", json("--retry", &self.retry)?),
            ("disable", json("--disable", &self.disable)?),
            ("concurrency", json("--concurrency", &self.concurrency)?),
            ("rate_limit", self.rate_limit.as_deref().map(text)),
            ("sample", json("--sample", &self.sample)?),
            ("ordered", json("--ordered", &self.ordered)?),
            ("on_failure", self.on_failure.as_deref().map(text)),
            ("headers", secret_json("--headers", self.headers.as_ref())?),
            ("auth", secret_json("--auth", self.auth.as_ref())?),
            ("tls", secret_json("--tls", self.tls.as_ref())?),
            ("proxy", self.proxy.as_ref().map(|url| text(url.expose()))),
        ];
        Ok(Members(members.into_iter().filter_map(|(name, json)| Some((name, json?))).collect()))
    }
}

/// An option that may hold credentials. Its `Debug` does not show it.
fn hidden(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

fn secret_json(option: &str, given: Option<&Secret>) -> Result<Option<Box<RawValue>>, Failure> {
    given.map(|json| args::json_of(option, json.expose())).transpose()
}

/// A text; null takes a setting away.
fn text(text: &str) -> Box<RawValue> {
    let json = if text == "null" { to_raw_value(&()) } else { to_raw_value(text) };
    json.expect("text always prints as JSON")
}

/// A list of names; null where there is none.
fn list(names: &[String]) -> Box<RawValue> {
    let names: Vec<_> = names.iter().filter(|name| !name.is_empty()).collect();
    let list = if names.is_empty() { to_raw_value(&()) } else { to_raw_value(&names) };
    list.expect("text always prints as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::hint::Called;
    use crate::cli::output::words::json_line;

    #[test]
    fn a_filter_goes_out_byte_for_byte() {
        let settings = Settings { filter: Some(r#"{"data": {"n": 1e999}}"#.into()), ..Settings::default() };
        let printed = json_line(&settings.given().expect("JSON"));
        assert_eq!(printed, r#"{"filter":{"data": {"n": 1e999}}}"#);
        assert!(Settings::default().given().expect("nothing").0.is_empty());
    }

    #[test]
    fn channels_are_a_list_and_an_empty_name_takes_them_away() {
        assert_eq!(list(&["a".into(), "b".into()]).get(), r#"["a","b"]"#);
        assert_eq!(list(&[String::new()]).get(), "null");
    }

    #[test]
    fn a_filter_that_is_no_json_names_its_option() {
        let failure = Settings { filter: Some("{a:1}".into()), ..Settings::default() }.given().expect_err("no JSON");
        assert!(failure.human(&Called::default()).contains("--filter @body.json"));
    }
}

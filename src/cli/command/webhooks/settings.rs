//! What `webhooks add` and `webhooks edit` set besides URL, event types, name and description.

use clap::Args;
use serde_json::value::RawValue;

use crate::api::document::members::Members;
use crate::cli::args;
use crate::cli::output::exit::Failure;

#[derive(Args, Debug, Default)]
pub(crate) struct Settings {
    /// Only events that this filter matches: JSON, @FILE, or - for stdin; null for every event
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,
}

/// Settings as members of a request. They go out as they were written, with every digit.
pub(crate) type Given = Members<Box<RawValue>, &'static str>;

impl Settings {
    /// The settings that were given, as members of the request.
    pub(crate) fn given(&self) -> Result<Given, Failure> {
        let filter = self.filter.as_deref().map(|filter| args::json_of("--filter", filter)).transpose()?;
        Ok(Members(filter.into_iter().map(|filter| ("filter", filter)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::hint::Called;
    use crate::cli::output::print::json_line;

    #[test]
    fn a_filter_goes_out_byte_for_byte() {
        let settings = Settings { filter: Some(r#"{"data": {"n": 1e999}}"#.into()) };
        let printed = json_line(&settings.given().expect("JSON"));
        assert_eq!(printed, r#"{"filter":{"data": {"n": 1e999}}}"#);
        assert!(Settings::default().given().expect("nothing").0.is_empty());
    }

    #[test]
    fn a_filter_that_is_no_json_names_its_option() {
        let failure = Settings { filter: Some("{a:1}".into()) }.given().expect_err("no JSON");
        assert!(failure.human(&Called::default()).contains("--filter @body.json"));
    }
}

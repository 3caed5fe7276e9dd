//! `webhooks test`: one delivery now, shown with its request and response.

use clap::Args;
use serde_json::json;

use super::find;
use crate::api::document::delivery::{Status, Whole};
use crate::cli::args::{self, Target};
use crate::cli::client::Call;
use crate::cli::named::Name;
use crate::cli::output::attempts;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::print::Out;

#[derive(Args, Debug)]
pub(crate) struct Test {
    /// Its id, its name or its uid
    webhook: Name,

    /// The event type
    #[arg(long = "type", value_name = "TYPE", value_parser = args::event_type)]
    kind: Option<String>,

    /// Its data: JSON, @FILE, or - for stdin
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,

    #[command(flatten)]
    target: Target,
}

impl Test {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let (service, id) = find(&self.target, &self.webhook)?;
        let call = Call::post(format!("/v1/webhooks/{id}/test"), self.body()?).within(attempts::TEST_TIMEOUT);
        let answer = service.ask(call)?;
        let whole: Whole = answer.object()?;
        match out.json {
            true => out.line(answer.text()?)?,
            false => out.line(attempts::delivery(&whole, out.paint))?,
        }
        Ok(tested(whole.delivery.status))
    }

    /// Put together as text, so that the data stays as it was written.
    fn body(&self) -> Result<String, Failure> {
        let kind = self.kind.as_ref().map(|kind| format!("\"event_type\":{}", json!(kind)));
        let data = self.data.as_ref().map(|data| args::json(data)).transpose()?;
        let members = [kind, data.map(|data| format!("\"data\":{}", data.get()))];
        Ok(format!("{{{}}}", members.into_iter().flatten().collect::<Vec<_>>().join(",")))
    }
}

/// A test that still waits for its turn has no result yet.
fn tested(status: Status) -> Exit {
    match status {
        Status::Succeeded => Exit::Ok,
        Status::Pending => Exit::NotEnded,
        Status::Failed | Status::Held => Exit::Negative,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_succeeds_fails_or_has_not_ended() {
        let ends = [Status::Succeeded, Status::Failed, Status::Pending].map(tested);
        assert_eq!(ends, [Exit::Ok, Exit::Negative, Exit::NotEnded]);
    }

    #[test]
    fn a_test_sends_the_data_as_it_was_written() {
        let target = Target { reach: args::Reach { socket: None }, tenant: None };
        let test = |kind: Option<&str>, data: Option<&str>| Test {
            webhook: "w".parse().expect("a name"),
            kind: kind.map(str::to_owned),
            data: data.map(str::to_owned),
            target: target.clone(),
        };
        assert_eq!(test(None, None).body().expect("a body"), "{}");
        let body = test(Some("a\"b"), Some("{\"n\": 1e999}")).body().expect("a body");
        assert_eq!(body, r#"{"event_type":"a\"b","data":{"n": 1e999}}"#);
    }
}

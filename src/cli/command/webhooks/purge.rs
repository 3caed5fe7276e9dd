//! `webhooks purge`: ending all that waits for one.

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::api::document::delivery::Status;
use crate::cli::args::{self, Target};
use crate::cli::client::Call;
use crate::cli::command::webhooks;
use crate::cli::named::Name;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::words::json_line;

#[derive(Args, Debug)]
pub(crate) struct Purge {
    /// Its id, its name or its uid
    webhook: Name,

    /// What waits: pending while the webhook is active, else held
    #[arg(long, value_enum)]
    status: Waiting,

    /// Of events up to this time, or up to so long ago, as in 2h [default: all that were published before the call]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = args::when)]
    until: Option<String>,

    #[command(flatten)]
    target: Target,
}

/// A word of the API as an option takes it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Waiting {
    Pending,
    Held,
}

impl Purge {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let (service, id) = webhooks::find::find(&self.target, &self.webhook)?;
        let status = self.status.status().name();
        let wish = Wish { status, until: self.until.as_deref() };
        let answer = service.ask(Call::post(format!("/v1/webhooks/{id}/purge"), json_line(&wish)))?;
        if out.json {
            out.line(answer.text()?)?;
            return Ok(Exit::Ok);
        }
        out.line(format!("{id}  what is {status} ends as cancelled"))?;
        out.hint(&Hint::tenants(format!("deliveries list --webhook {id} --status {status}")));
        Ok(Exit::Ok)
    }
}

impl Waiting {
    fn status(self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Held => Status::Held,
        }
    }
}

/// What the call takes.
#[derive(Serialize)]
struct Wish<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<&'a str>,
}

//! `login-link`: signs an operator in to the dashboard without a key.

use clap::Args;

use crate::api::document::key;
use crate::cli::args::Reach;
use crate::cli::client::Call;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::print::Out;

/// Print a link that opens the dashboard: it works once, for 15 minutes
///
/// Whoever opens it first is signed in as the operator, for 12 hours or until the service restarts. It begins with `[server] public_url`,
/// or with the address that the service listens on.
#[derive(Args, Debug)]
pub(crate) struct LoginLink {
    #[command(flatten)]
    reach: Reach,
}

impl LoginLink {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let answer = self.reach.service()?.ask(Call::post("/v1/admin/login-links", ""))?;
        let key::LoginLink { url, expires_at } = answer.read()?;
        match out.json {
            true => out.line(answer.text()?)?,
            false => {
                out.line(&url)?;
                out.note(format!("it works once, until {expires_at}"));
            }
        }
        Ok(Exit::Ok)
    }
}

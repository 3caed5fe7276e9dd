//! `verify`: checks one captured delivery as its receiver should, and says why it does not hold. Needs no service.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::dialects::unknown;
use crate::cli::args;
use crate::cli::calls;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::words::{duration, plain};
use crate::clock;
use crate::domain::dialect::Dialect;
use crate::domain::signature::{Claim, Mismatch, Signature, Tolerance};
use crate::domain::webhook::secret::Secret;

/// Check the signature of a captured delivery
///
/// The secret comes from a file, never from the command line, where other users of the machine could read it.
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// The file with the webhook's secret, or - for stdin
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,

    /// The dialect that it was sent in, as in standard
    #[arg(long, value_name = "NAME")]
    dialect: String,

    /// The config file, for a dialect of your own
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The body as it came: @FILE, or - for stdin
    #[arg(long, value_name = "@FILE")]
    body: String,

    /// A header as it came, 'Name: value'; may be repeated
    #[arg(long = "header", short = 'H', value_name = "HEADER", value_parser = header)]
    headers: Vec<(String, String)>,

    /// How far its timestamp may be from this clock, where the dialect signs one
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = args::duration)]
    tolerance: Duration,

    /// Take a timestamp of any age
    #[arg(long, conflicts_with = "tolerance")]
    ignore_timestamp: bool,

    /// Say why it does not hold
    #[arg(long)]
    explain: bool,
}

impl Verify {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let dialects = calls::dialects(self.config.as_deref())?;
        let dialect = dialects.get(&self.dialect).ok_or_else(|| unknown(&self.dialect, &dialects))?;
        let signature = dialect.signature.as_ref().ok_or_else(|| unsigned(&self.dialect))?;
        let secret = Secret::new(args::secret(&self.secret_file)?.as_str());
        let body = args::bytes(&self.body)?;
        match self.check(dialect, signature, &secret, &body) {
            Ok(()) => said(out, "ok  the signature is right", None),
            Err(mismatch) if self.explain => said(out, &format!("no  {}", verdict(&mismatch)), Some(&mismatch)),
            Err(mismatch) => Err(refused(&mismatch)),
        }
    }

    fn check(&self, dialect: &Dialect, signature: &Signature, secret: &Secret, body: &[u8]) -> Result<(), Mismatch> {
        let claim = Claim {
            id: self.carrying(dialect, "$event.id"),
            timestamp: self.carrying(dialect, "$attempt.unix"),
            signature: self.header(&signature.header),
            body,
        };
        let tolerance = Tolerance { now_secs: clock::now().as_secs(), within: self.tolerance };
        signature.verify(&[secret], &claim, (!self.ignore_timestamp).then_some(tolerance))
    }

    /// The value of the header in which this dialect carries a fact.
    fn carrying(&self, dialect: &Dialect, slot: &str) -> Option<&str> {
        let header = dialect.headers.iter().find(|header| header.value.template() == slot)?;
        self.header(header.name.as_str())
    }

    /// Header names compare without case (RFC 9110 section 5.1).
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The verdict on a delivery that does not verify. A right signature is not called wrong because it is old.
fn verdict(mismatch: &Mismatch) -> &'static str {
    match mismatch {
        Mismatch::ClockSkew { .. } => "the timestamp is not within the tolerance",
        _ => "the signature is not right",
    }
}

/// The mismatch in words, spans of time in units that a person reads.
fn why(mismatch: &Mismatch) -> String {
    match mismatch {
        Mismatch::ClockSkew { secs, direction, tolerance_secs } => {
            let [off, most] = [*secs, *tolerance_secs].map(|secs| duration(Duration::from_secs(secs)));
            format!("the signature is right, but its timestamp is {off} {direction} this clock; allowed are {most}")
        }
        other => other.to_string(),
    }
}

fn refused(mismatch: &Mismatch) -> Failure {
    match mismatch {
        Mismatch::ClockSkew { .. } => Failure::negative(why(mismatch), Hint::instead("--tolerance", "--ignore-timestamp")),
        _ => Failure::negative(verdict(mismatch), Hint::again_with("--explain")),
    }
}

fn said(out: &Out, verdict: &str, mismatch: Option<&Mismatch>) -> Result<Exit, Failure> {
    let why = mismatch.map(|mismatch| plain(&why(mismatch)));
    match out.json {
        true => out.line(json!({ "valid": why.is_none(), "why": why }))?,
        false => out.line(why.as_ref().map_or_else(|| verdict.to_owned(), |why| format!("{verdict}\n    {why}")))?,
    }
    Ok(if why.is_none() { Exit::Ok } else { Exit::Negative })
}

fn unsigned(name: &str) -> Failure {
    Failure::usage(format!("the dialect {name} signs nothing, so there is nothing to verify"), Hint::config("dialects list"))
}

/// `Name: value`, as curl and captures write it.
fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is 'Name: value'")?;
    let name = name.trim();
    if name.is_empty() { Err("a header has a name before its colon".into()) } else { Ok((name.into(), value.trim().into())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::hint::Called;

    #[test]
    fn a_right_signature_that_is_old_is_not_called_wrong() {
        let old = refused(&Mismatch::ClockSkew { secs: 90, direction: "behind", tolerance_secs: 60 });
        let said = old.human(&Called::default());
        assert!(said.starts_with("error: the signature is right, but its timestamp is 1 m 30 s behind this clock"), "{said}");
        assert!(said.ends_with("try: --ignore-timestamp"), "{said}");
        let wrong = refused(&Mismatch::WrongSecret).human(&Called::default());
        assert!(wrong.starts_with("error: the signature is not right") && wrong.ends_with("try: --explain"), "{wrong}");
    }

    #[test]
    fn a_header_is_cut_at_its_first_colon() {
        assert_eq!(header("X-Sig: sha256=a:b "), Ok(("X-Sig".into(), "sha256=a:b".into())));
        assert!(header(": x").is_err());
        assert!(header("x").is_err());
    }
}

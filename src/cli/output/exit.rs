//! How a command ends: the exit code, and the messages that are printed when it fails.

use std::process::ExitCode;

use serde::Serialize;

use super::hint::{Called, Hint};
use super::words::json_line;
use super::words::plain;
use crate::domain::exit;

/// The exit code of a command. The numbers above 4 are those of sysexits.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Ok = 0,
    /// The command did its work and found that the answer is no: a delivery failed, a signature does not match, or the service
    /// refused the call or is not ready.
    Negative = 1,
    Usage = 2,
    WarningsDenied = 3,
    /// The command began something, as with `--wait`, and its time ran out before that had ended.
    NotEnded = 4,
    Unreachable = 69,
    Internal = exit::INTERNAL,
    StoreIo = exit::STORE_IO,
    /// Another process uses the address or the socket. Trying again later may help.
    Bind = 75,
    Permission = 77,
    InvalidConfig = 78,
}

impl Exit {
    /// The name of the exit code in the JSON of an error.
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Negative => "negative",
            Self::Usage => "usage",
            Self::WarningsDenied => "warnings",
            Self::NotEnded => "timeout",
            Self::Unreachable => "unreachable",
            Self::Internal => "internal",
            Self::StoreIo => "store",
            Self::Bind => "bind",
            Self::Permission => "permission",
            Self::InvalidConfig => "config",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed: its exit code and the messages for stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// The messages. The list is empty when the command ends in silence, as it does when the reader of its output has gone.
    faults: Vec<Said>,
}

/// A failure as JSON.
#[derive(Serialize)]
struct Told<'a> {
    error: ErrorTold<'a>,
}

#[derive(Serialize)]
struct ErrorTold<'a> {
    /// The name of the exit code.
    code: &'static str,
    /// All messages. Left out for a single message without a place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FaultTold<'a>>,
    hint: Option<String>,
    message: &'a str,
}

#[derive(Serialize)]
struct FaultTold<'a> {
    hint: Option<String>,
    message: &'a str,
    place: Option<&'a str>,
}

/// One message of a failure, with the place in a file that it is about and the command to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Said {
    pub(in crate::cli) message: String,
    pub(in crate::cli) location: Option<String>,
    pub(in crate::cli) hint: Option<Hint>,
}

impl Failure {
    /// Makes a failure with one message. `hint` is the command that may help, `None` when there is none.
    pub(crate) fn new(exit: Exit, message: impl Into<String>, hint: impl Into<Option<Hint>>) -> Self {
        Self { exit, faults: vec![Said { message: message.into(), location: None, hint: hint.into() }] }
    }

    /// Makes a failure with [`Exit::Usage`]: the command was typed in a form that does not exist.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<Option<Hint>>) -> Self {
        Self::new(Exit::Usage, message, hint)
    }

    /// Makes a failure with [`Exit::Negative`].
    pub(crate) fn negative(message: impl Into<String>, hint: impl Into<Option<Hint>>) -> Self {
        Self::new(Exit::Negative, message, hint)
    }

    /// Makes a failure with several messages.
    pub(in crate::cli) fn from_faults(exit: Exit, faults: Vec<Said>) -> Self {
        Self { exit, faults }
    }

    /// Makes the end of a command whose stdout was closed by its reader. It prints nothing and exits with 0.
    pub(crate) fn closed_pipe() -> Self {
        Self { exit: Exit::Ok, faults: Vec::new() }
    }

    /// Replaces the hint of every message.
    pub(crate) fn with_hint(mut self, hint: Hint) -> Self {
        self.faults.iter_mut().for_each(|said| said.hint = Some(hint.clone()));
        self
    }

    /// Appends `words` to every message.
    pub(crate) fn with_more(mut self, words: &str) -> Self {
        self.faults.iter_mut().for_each(|said| said.message.push_str(words));
        self
    }

    /// Prints the failure for a person: each message with its place, and its hint on a line of its own.
    pub(crate) fn human(&self, called: &Called) -> String {
        let lines: Vec<String> = self.faults.iter().map(|said| said.human(called)).collect();
        lines.join("\n")
    }

    /// Prints the failure as one JSON object. Its member `errors` lists all messages; it is left out for a single message without a
    /// place.
    pub(crate) fn json(&self, called: &Called) -> String {
        let Some(first) = self.faults.first() else { return String::new() };
        let has_more = self.faults.len() > 1 || first.location.is_some();
        let errors = self.faults.iter().filter(|_| has_more).map(|said| said.told(called)).collect();
        let (code, hint) = (self.exit.name(), first.hint(called));
        json_line(&Told { error: ErrorTold { code, errors, hint, message: &first.message } })
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.faults.is_empty()
    }
}

impl Said {
    fn human(&self, called: &Called) -> String {
        let location = self.location.as_ref().map_or_else(String::new, |location| format!("   {location}"));
        let hint = self.hint(called).map_or_else(String::new, |hint| format!("\n  try: {hint}"));
        plain(&format!("error: {}{location}{hint}", self.message))
    }

    fn told(&self, called: &Called) -> FaultTold<'_> {
        FaultTold { hint: self.hint(called), message: &self.message, place: self.location.as_deref() }
    }

    fn hint(&self, called: &Called) -> Option<String> {
        self.hint.as_ref().map(|hint| hint.line(called))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_that_scripts_rely_on() {
        let all = [
            (Exit::Ok, 0),
            (Exit::Negative, 1),
            (Exit::Usage, 2),
            (Exit::WarningsDenied, 3),
            (Exit::NotEnded, 4),
            (Exit::Unreachable, 69),
            (Exit::Internal, 70),
            (Exit::StoreIo, 74),
            (Exit::Bind, 75),
            (Exit::Permission, 77),
            (Exit::InvalidConfig, 78),
        ];
        for (exit, number) in all {
            assert_eq!(exit as u8, number);
        }
    }

    #[test]
    fn an_error_ends_with_its_hint_if_it_has_one() {
        let called = Called::default();
        let failure = Failure::negative("no such webhook", Hint::tenants("webhooks list"));
        assert_eq!(failure.human(&called), "error: no such webhook\n  try: hookwheel webhooks list");
        let expected = r#"{"error":{"code":"negative","hint":"hookwheel webhooks list","message":"no such webhook"}}"#;
        assert_eq!(failure.json(&called), expected);
        let failure = Failure::negative("that is how it is", None);
        assert_eq!(failure.human(&called), "error: that is how it is");
        assert!(failure.json(&called).contains(r#""hint":null"#));
    }
}

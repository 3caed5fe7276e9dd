//! What to try: a command that works as pasted, for the service, the tenant and the config that this one was called for.
//!
//! ```text
//!  $ hookwheel webhooks show x --tenant acme/t1 --socket s
//!  error: no webhook is named `x`
//!    try: hookwheel webhooks list --socket s --tenant acme/t1      Hint::tenants("webhooks list")
//! ```

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::ArgMatches;

pub(crate) use crate::domain::text::shell::quoted;

/// A command to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Ours: what stands behind the program's name, and the options of the first command that it takes too.
    Ours(String, &'static [Asked]),
    /// What was typed, with this option in place of what it was.
    Again { option: String, value: Option<String> },
    /// What was typed, with a flag in place of an option that has a value.
    Instead { option: &'static str, flag: &'static str },
    /// What was typed, once more.
    Repeat,
    /// What was typed, behind another command, as `sudo`.
    Before(&'static str),
    /// What was typed, by root, about the service at this socket: `sudo` keeps no variable of the user's.
    AsRoot(PathBuf),
    /// What was typed, with its word at this place put right.
    Corrected(String, String),
    /// Ours between other words of a shell's line, as in `mkdir -p x && hookwheel config default > x/y`.
    Within { before: String, words: String, after: String },
    /// Another program's command, or what is to stand in the config.
    Text(String),
}

/// An option by which a command says what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Socket,
    Tenant,
    Config,
}

/// How this program was called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Called {
    /// The program as it was typed, then its arguments.
    line: Vec<String>,
    socket: Option<String>,
    tenant: Option<String>,
    config: Option<String>,
}

impl Hint {
    /// Of a command that needs no service.
    pub(crate) fn plain(words: impl Into<String>) -> Self {
        Self::Ours(words.into(), &[])
    }

    /// Of one that asks the service.
    pub(crate) fn service(words: impl Into<String>) -> Self {
        Self::Ours(words.into(), &[Asked::Socket])
    }

    /// Of one that asks the service for a tenant.
    pub(crate) fn tenants(words: impl Into<String>) -> Self {
        Self::Ours(words.into(), &[Asked::Socket, Asked::Tenant])
    }

    /// Of one that reads the config.
    pub(crate) fn config(words: impl Into<String>) -> Self {
        Self::Ours(words.into(), &[Asked::Config])
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// What was typed, with a flag.
    pub(crate) fn again_with(flag: &'static str) -> Self {
        Self::Again { option: flag.into(), value: None }
    }

    /// What was typed, with another value of an option.
    pub(crate) fn again_with_value(option: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Again { option: option.into(), value: Some(value.into()) }
    }

    /// What was typed, with `flag` instead of `option` and its value.
    pub(crate) fn instead(option: &'static str, flag: &'static str) -> Self {
        Self::Instead { option, flag }
    }

    /// As it is pasted.
    pub(crate) fn line(&self, called: &Called) -> String {
        match self {
            Self::Ours(words, asked) => called.ours(words, asked),
            Self::Again { option, value } => called.again(option, value.as_deref()),
            Self::Instead { option, flag } => words(&[without(&called.line, option, true), vec![(*flag).to_owned()]].concat()),
            Self::Repeat => words(&called.line),
            Self::Before(command) => format!("{command} {}", words(&called.line)),
            Self::AsRoot(socket) => format!("sudo {}", called.again("--socket", Some(&socket.to_string_lossy()))),
            Self::Corrected(wrong, right) => called.corrected(wrong, right),
            Self::Within { before, words, after } => format!("{before}{}{after}", called.ours(words, &[])),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Called {
    /// What clap read of the arguments; the program first.
    pub(crate) fn new(arguments: &[OsString], matches: &ArgMatches) -> Self {
        let mut leaf = matches;
        while let Some((_, below)) = leaf.subcommand() {
            leaf = below;
        }
        let given = |name: &str| {
            // A variable is there for the next command too.
            let said = leaf.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
            let value = if said { leaf.get_raw(name)?.next() } else { None };
            value.map(text).filter(|value| !value.is_empty())
        };
        let known = |name: &str| leaf.try_contains_id(name).is_ok_and(|known| known).then(|| given(name)).flatten();
        Self {
            line: arguments.iter().map(text).collect(),
            socket: known("socket"),
            tenant: known("tenant"),
            config: known("config"),
        }
    }

    /// When nothing could be read of the arguments.
    pub(crate) fn unread(arguments: &[OsString]) -> Self {
        Self { line: arguments.iter().map(text).collect(), ..Self::default() }
    }

    /// The same for another service.
    pub(crate) fn with_socket(self, socket: Option<String>) -> Self {
        Self { socket, ..self }
    }

    fn program(&self) -> String {
        self.line.first().map_or_else(|| PROGRAM.to_owned(), |program| quoted(program))
    }

    fn ours(&self, words: &str, asked: &[Asked]) -> String {
        let mut line = format!("{} {words}", self.program());
        for option in asked {
            let (name, value) = match option {
                Asked::Socket => ("--socket", &self.socket),
                Asked::Tenant => ("--tenant", &self.tenant),
                Asked::Config => ("-c", &self.config),
            };
            if let Some(value) = value {
                line.push_str(&format!(" {name} {}", quoted(value)));
            }
        }
        line
    }

    /// With the first word that is `wrong`, or an option with its value behind `=`, replaced.
    fn corrected(&self, wrong: &str, right: &str) -> String {
        let mut line = self.line.clone();
        let joined = format!("{wrong}=");
        if let Some(word) = line.iter_mut().skip(1).find(|word| *word == wrong || word.starts_with(&joined)) {
            *word = word.replacen(wrong, right, 1);
        }
        words(&line)
    }

    fn again(&self, option: &str, value: Option<&str>) -> String {
        let mut line = without(&self.line, option, value.is_some());
        line.push(option.to_owned());
        line.extend(value.map(str::to_owned));
        words(&line)
    }
}

/// The words of a line without an option, in either of its forms, and its value.
fn without(line: &[String], option: &str, has_value: bool) -> Vec<String> {
    let joined = format!("{option}=");
    let mut left = Vec::with_capacity(line.len() + 2);
    let mut words = line.iter();
    while let Some(word) = words.next() {
        if word == option {
            if has_value {
                words.next();
            }
        } else if !word.starts_with(&joined) {
            left.push(word.clone());
        }
    }
    left
}

fn words(line: &[String]) -> String {
    line.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn text(argument: impl AsRef<OsStr>) -> String {
    argument.as_ref().to_string_lossy().into_owned()
}

/// What the program is called when nobody typed it.
const PROGRAM: &str = "hookwheel";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn called(line: &[&str]) -> Called {
        let arguments: Vec<OsString> = line.iter().map(OsString::from).collect();
        let matches = crate::cli::Cli::command().try_get_matches_from(&arguments).expect("parsed");
        Called::new(&arguments, &matches)
    }

    #[test]
    fn a_hint_is_about_what_the_command_was_about() {
        let called = called(&["target/hookwheel", "webhooks", "show", "x", "--tenant", "acme/*", "--socket", "a b"]);
        assert_eq!(
            Hint::tenants("webhooks list").line(&called),
            "target/hookwheel webhooks list --socket 'a b' --tenant 'acme/*'"
        );
        assert_eq!(Hint::service("status").line(&called), "target/hookwheel status --socket 'a b'");
        assert_eq!(Hint::plain("dialects list").line(&called), "target/hookwheel dialects list");
        assert_eq!(Hint::Before("sudo").line(&called), "sudo target/hookwheel webhooks show x --tenant 'acme/*' --socket 'a b'");
        let by_root = Hint::AsRoot("/run/a b.sock".into()).line(&called);
        assert_eq!(by_root, "sudo target/hookwheel webhooks show x --tenant 'acme/*' --socket '/run/a b.sock'");
        let checked = self::called(&["hookwheel", "check", "-c", "a.toml"]);
        assert_eq!(Hint::config("config show").line(&checked), "hookwheel config show -c a.toml");
    }

    #[test]
    fn what_was_left_out_stays_left_out() {
        let called = called(&["hookwheel", "webhooks", "list"]);
        assert_eq!(Hint::tenants("webhooks list").line(&called), "hookwheel webhooks list");
        assert_eq!(Hint::config("check").line(&Called::default()), "hookwheel check");
    }

    #[test]
    fn the_same_again_has_an_option_once() {
        let called = called(&["hookwheel", "deliveries", "list", "--cursor=a", "--webhook", "x y"]);
        let again = Hint::again_with_value("--cursor", "b").line(&called);
        assert_eq!(again, "hookwheel deliveries list --webhook 'x y' --cursor b");
        let called = self::called(&["hookwheel", "deliveries", "list", "--cursor", "a"]);
        assert_eq!(Hint::again_with_value("--cursor", "b").line(&called), "hookwheel deliveries list --cursor b");
        assert_eq!(Hint::again_with("--json").line(&called), "hookwheel deliveries list --cursor a --json");
    }
}

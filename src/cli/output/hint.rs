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
    /// One of our commands: the words behind the program's name, and which options of the failed command it repeats.
    Ours(String, &'static [Asked]),
    /// The line that was typed, with this option set to another value.
    Again { option: String, value: Option<String> },
    /// The line that was typed, with a flag in place of an option and its value.
    Instead { option: &'static str, flag: &'static str },
    /// The line that was typed, unchanged.
    Repeat,
    /// The line that was typed, behind another command, as `sudo`.
    Before(&'static str),
    /// The line that was typed, run by root and with this socket named, since `sudo` keeps no variable of the user's.
    AsRoot(PathBuf),
    /// The line that was typed, with the first word replaced by the second.
    Corrected(String, String),
    /// One of our commands between other words of a shell's line, as in `mkdir -p x && hookwheel config default > x/y`.
    Within { before: String, words: String, after: String },
    /// Another program's command, or a line for the config.
    Text(String),
}

/// An option that one command hands on to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Socket,
    Tenant,
    Config,
}

/// The command line of this process, from which hints are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Called {
    /// The program as it was typed, then its arguments.
    line: Vec<String>,
    socket: Option<String>,
    tenant: Option<String>,
    config: Option<String>,
}

impl Hint {
    /// A command that needs no service.
    pub(crate) fn plain(words: impl Into<String>) -> Self {
        Self::Ours(words.into(), &[])
    }

    /// A command that asks the service; it repeats `--socket`.
    pub(crate) fn service(words: impl Into<String>) -> Self {
        Self::Ours(words.into(), &[Asked::Socket])
    }

    /// A command that asks the service about a tenant; it repeats `--socket` and `--tenant`.
    pub(crate) fn tenants(words: impl Into<String>) -> Self {
        Self::Ours(words.into(), &[Asked::Socket, Asked::Tenant])
    }

    /// A command that reads the config; it repeats `-c`.
    pub(crate) fn config(words: impl Into<String>) -> Self {
        Self::Ours(words.into(), &[Asked::Config])
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The line that was typed, with a flag added.
    pub(crate) fn again_with(flag: &'static str) -> Self {
        Self::Again { option: flag.into(), value: None }
    }

    /// The line that was typed, with another value of an option.
    pub(crate) fn again_with_value(option: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Again { option: option.into(), value: Some(value.into()) }
    }

    /// The line that was typed, with `flag` instead of `option` and its value.
    pub(crate) fn instead(option: &'static str, flag: &'static str) -> Self {
        Self::Instead { option, flag }
    }

    /// The hint as a shell or the config takes it.
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
    /// Reads a command line that clap understood. `arguments` begin with the program.
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

    /// Reads a command line that clap did not understand: only its words are known.
    pub(crate) fn unread(arguments: &[OsString]) -> Self {
        Self { line: arguments.iter().map(text).collect(), ..Self::default() }
    }

    /// The same command line about the service at another socket.
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

    /// The line with its first word `wrong` replaced, also where that is an option with its value behind `=`.
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

/// The words of a line without an option and its value, whether they were one word or two.
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

/// The program's name where it was not typed.
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
    fn a_hint_repeats_the_socket_tenant_and_config() {
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
    fn a_hint_adds_no_option_that_was_not_typed() {
        let called = called(&["hookwheel", "webhooks", "list"]);
        assert_eq!(Hint::tenants("webhooks list").line(&called), "hookwheel webhooks list");
        assert_eq!(Hint::config("check").line(&Called::default()), "hookwheel check");
    }

    #[test]
    fn a_repeated_line_has_each_option_once() {
        let called = called(&["hookwheel", "deliveries", "list", "--cursor=a", "--webhook", "x y"]);
        let again = Hint::again_with_value("--cursor", "b").line(&called);
        assert_eq!(again, "hookwheel deliveries list --webhook 'x y' --cursor b");
        let called = self::called(&["hookwheel", "deliveries", "list", "--cursor", "a"]);
        assert_eq!(Hint::again_with_value("--cursor", "b").line(&called), "hookwheel deliveries list --cursor b");
        assert_eq!(Hint::again_with("--json").line(&called), "hookwheel deliveries list --cursor a --json");
    }
}

//! Where a command's words go: data to stdout, the rest to stderr, in colour only where a person looks.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style};
use terminal_size::{Width, terminal_size_of};

use super::exit::{Exit, Failure};
use super::hint::{Called, Hint};
use super::words::{plain, plain_json};
use crate::domain::text::system::words;

/// The output of one run of the program: data on stdout, everything else on stderr.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    pub(crate) json: bool,
    /// The colours of stdout.
    pub(crate) paint: Paint,
    /// The width of stdout in characters; `None`: it is no terminal.
    pub(crate) width: Option<usize>,
    errors: Paint,
    called: Arc<Called>,
}

impl Out {
    pub(crate) fn new(json: bool, colour: Colour, called: Called) -> Self {
        let paint = colour.on(io::stdout().is_terminal());
        let width = terminal_size_of(io::stdout()).map(|(Width(width), _)| width.into());
        Self { json, paint, width, errors: colour.on(io::stderr().is_terminal()), called: called.into() }
    }

    /// Prints one line of data: JSON where that was asked for, else text in which words from strangers were made [`plain`].
    pub(crate) fn line(&self, text: impl Display) -> Result<(), Failure> {
        let text = text.to_string();
        let text = if self.json { plain_json(&text) } else { text };
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(|error| lost(&error))
    }

    /// Prints one line on stderr.
    pub(crate) fn note(&self, text: impl Display) {
        complain(&plain(&text.to_string()));
    }

    /// Prints a hint on stderr.
    pub(crate) fn hint(&self, hint: &Hint) {
        self.note(format!("  try: {}", hint.line(&self.called)));
    }

    /// The command line of this process.
    pub(crate) fn called(&self) -> &Called {
        &self.called
    }

    /// Prints a failure on stderr, as text or as JSON.
    pub(crate) fn failure(&self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        if self.json {
            return complain(&plain_json(&failure.json(&self.called)));
        }
        for line in failure.human(&self.called).lines() {
            complain(&self.errors.error(line));
        }
    }
}

/// Writes to stderr. That it takes no more cannot be told to anybody.
fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The failure of a write to stdout: a closed pipe ends the program silently, any other cause is told.
fn lost(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::closed_pipe();
    }
    Failure::new(Exit::StoreIo, format!("cannot write to stdout: {}", words(error)), Hint::text("df -h"))
}

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    Always,
    Never,
}

impl Colour {
    fn on(self, terminal: bool) -> Paint {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        self.decide(terminal && !dumb, set("NO_COLOR"), set("CLICOLOR_FORCE"))
    }

    fn decide(self, terminal: bool, no_color: bool, forced: bool) -> Paint {
        Paint(match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => !no_color && (terminal || forced),
        })
    }
}

/// Colours, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    #[cfg(test)]
    pub(crate) const OFF: Self = Self(false);
    #[cfg(test)]
    pub(crate) const ON: Self = Self(true);

    pub(crate) fn green(self, text: &str) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default(), text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    fn error(self, line: &str) -> String {
        match line.strip_prefix(ERROR) {
            Some(rest) => format!("{}{rest}", self.with(AnsiColor::Red.on_default().bold(), ERROR)),
            None => line.to_owned(),
        }
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

const ERROR: &str = "error:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_unless_someone_says_otherwise() {
        let auto = |terminal, no_color, forced| Colour::Auto.decide(terminal, no_color, forced).0;
        assert!(auto(true, false, false));
        assert!(!auto(false, false, false));
        assert!(!auto(true, true, false));
        assert!(!auto(true, true, true));
        assert!(auto(false, false, true));
        assert!(Colour::Always.decide(false, true, false).0);
        assert!(!Colour::Never.decide(true, false, true).0);
    }

    #[test]
    fn without_colour_text_stays_as_it_is() {
        assert_eq!(Paint::OFF.red("[500]"), "[500]");
        assert_eq!(Paint::ON.red("[500]"), "\u{1b}[31m[500]\u{1b}[0m");
        assert_eq!(Paint::OFF.error("error: x"), "error: x");
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let failure = lost(&io::ErrorKind::BrokenPipe.into());
        assert_eq!(failure.exit, Exit::Ok);
        assert!(failure.is_silent());
        assert_eq!(lost(&io::ErrorKind::StorageFull.into()).exit, Exit::StoreIo);
    }
}

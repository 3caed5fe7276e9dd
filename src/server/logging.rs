//! The log on stderr: text for a person, the same without time and level for journald, which adds them itself, or JSON with one
//! object a line.
//!
//! ```text
//!   2026-11-27T04:05:06.123456Z  INFO ready                    text
//!   <6>ready                                                   to journald, which knows the time (sd-daemon(3))
//!   {"timestamp":"…","level":"INFO","message":"ready"}         JSON
//! ```
//!
//! No line carries an escape sequence to a terminal, whatever text from strangers is logged.

use std::env;
use std::fmt::{self, Write as _};
use std::io::{IsTerminal, stderr};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, format};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Registry, fmt as layer, reload};

use crate::config::checked::{Log, LogFormat, LogLevel};
use crate::domain::text::plain::is_command;

/// Starts the log with these settings, or gives them to a log that runs already.
pub(super) fn set(log: Log) {
    STYLE.json.store(log.format == LogFormat::Json, Relaxed);
    STYLE.journal.store(log.format != LogFormat::Text && is_journal(), Relaxed);
    match LEVEL.get() {
        // This fails only when the log is gone, and it lives as long as the process.
        Some(level) => drop(level.reload(targets(log.level))),
        None => start(log.level),
    }
}

fn start(level: LogLevel) {
    let (targets, handle) = reload::Layer::new(targets(level));
    let colour = stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = layer::layer().with_writer(stderr).with_ansi(colour).event_format(Lines::new(colour));
    // This fails only at a second start in one process, and then the log of the first goes on.
    if tracing::subscriber::set_global_default(Registry::default().with(targets).with(lines)).is_ok() {
        drop(LEVEL.set(handle));
    }
}

/// Lets through what this program logs, down to `level`, and of its libraries warnings and errors alone: below that level they
/// print heads of requests, with keys in them.
fn targets(level: LogLevel) -> Targets {
    let level = filter(level);
    Targets::new().with_target(env!("CARGO_CRATE_NAME"), level).with_default(level.min(LevelFilter::WARN))
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Whether stderr is the very stream that journald gave us (systemd.exec(5), `$JOURNAL_STREAM`): a shell that inherits the
/// variable may write elsewhere.
fn is_journal() -> bool {
    let Ok(found) = rustix::fs::fstat(stderr()) else { return false };
    env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stream(&stream, found.st_dev, found.st_ino))
}

fn is_stream(stream: &str, device: u64, inode: u64) -> bool {
    let parts = stream.split_once(':').and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
    parts == Some((device, inode))
}

/// The form of the lines, which a reload changes.
#[derive(Debug)]
struct Style {
    json: AtomicBool,
    journal: AtomicBool,
}

/// Writes a log event as text, as text for journald, or as JSON.
struct Lines {
    text: Format<Full>,
    /// Text without the time.
    bare: Format<Full, ()>,
    json: Format<Json>,
}

impl Lines {
    fn new(colour: bool) -> Self {
        let text = format().with_target(false).with_ansi(colour);
        Self {
            bare: text.clone().without_time().with_level(false),
            json: format().json().flatten_event(true).with_target(false),
            text,
        }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (json, journal) = (STYLE.json.load(Relaxed), STYLE.journal.load(Relaxed));
        let mut lines = String::new();
        match (json, journal) {
            (true, _) => self.json.format_event(ctx, Writer::new(&mut lines), event)?,
            (false, true) => self.bare.format_event(ctx, Writer::new(&mut lines), event)?,
            (false, false) => self.text.format_event(ctx, Writer::new(&mut lines), event)?,
        }
        let prefix = if journal { priority(*event.metadata().level()) } else { "" };
        to.write_str(&safe(&lines, prefix, json))
    }
}

/// Each line of a message behind the prefix. The escape characters in it are those of our colours: those of the message were
/// escaped when it was formatted.
fn safe(lines: &str, prefix: &str, json: bool) -> String {
    let mut safe = String::with_capacity(lines.len() + prefix.len());
    for line in lines.lines() {
        safe.push_str(prefix);
        for char in line.chars() {
            match char {
                '\t' | '\u{1b}' => safe.push(char),
                char if is_command(char) && json => _ = write!(safe, "\\u{:04x}", u32::from(char)),
                char if is_command(char) => safe.extend(char.escape_unicode()),
                char => safe.push(char),
            }
        }
        safe.push('\n');
    }
    safe
}

/// The priority of a level, as sd-daemon(3) numbers them: error, warning, informational, debug.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

static STYLE: Style = Style { json: AtomicBool::new(false), journal: AtomicBool::new(false) };

static LEVEL: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journals_stream_is_known_by_device_and_inode() {
        assert!(is_stream("8:1234", 8, 1234));
        for other in ["8:1235", "9:1234", "8", "", "8:", "8:1234:5", "a:b"] {
            assert!(!is_stream(other, 8, 1234), "{other}");
        }
    }

    #[test]
    fn no_line_commands_a_terminal() {
        assert_eq!(safe("a\u{9b}2J\u{202e}b\r\n", "", false), "a\\u{9b}2J\\u{202e}b\n");
        assert_eq!(safe("{\"a\":\"\u{9b}\u{202e}\"}\n", "", true), "{\"a\":\"\\u009b\\u202e\"}\n");
        assert_eq!(safe("\u{1b}[32m INFO\u{1b}[0m x\n", "", false), "\u{1b}[32m INFO\u{1b}[0m x\n");
    }

    #[test]
    fn each_line_of_a_message_has_its_priority() {
        assert_eq!(safe("one\n  two\n", priority(Level::ERROR), false), "<3>one\n<3>  two\n");
        assert_eq!([Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE].map(priority), ["<4>", "<6>", "<7>", "<7>"]);
    }
}

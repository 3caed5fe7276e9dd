//! Measures a built hookwheel from outside. What a user needs is in `hookwheel bench`; this program repeats it by turns for several
//! binaries, and measures what needs a store that is full, killed or swept. `README.md` says which figure comes from which command.

mod figures;
mod http;
mod kept;
mod late;
mod noise;
mod pending;
mod publisher;
mod receiver;
mod rows;
mod service;
mod table;
mod turns;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Why something could not be measured, as a sentence.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures a built hookwheel from outside
#[derive(Parser)]
struct Cli {
    /// A binary to measure; several are measured by turns
    #[arg(long, value_name = "PATH", default_value = "target/quick/hookwheel")]
    binary: Vec<PathBuf>,

    /// Where stores are made
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Repeat `hookwheel bench` by turns
    Turns(turns::Turns),
    /// Time starts after kill -9 with so many deliveries that wait for a retry
    Pending(pending::Pending),
    /// Time lists and compare rates on a store with so many finished deliveries
    Rows(rows::Rows),
    /// Time retries of so many deliveries that fail once, evenly over a second
    Late(late::Late),
    /// Measure what the store takes for each finished delivery that is kept
    Kept(kept::Kept),
}

/// What every measurement of a service needs.
#[derive(Args, Clone, Copy)]
struct Events {
    /// Size of an event's data
    #[arg(long, value_name = "N", default_value_t = 700)]
    body_bytes: usize,

    /// Number of endpoints
    #[arg(long, value_name = "N", default_value_t = 1)]
    endpoints: u32,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let measured = match &cli.command {
        Command::Turns(turns) => turns.run(&cli.binary, &cli.dir),
        Command::Pending(pending) => pending.run(&cli.binary, &cli.dir),
        Command::Rows(rows) => rows.run(&cli.binary, &cli.dir),
        Command::Late(late) => late.run(&cli.binary, &cli.dir),
        Command::Kept(kept) => kept.run(&cli.binary, &cli.dir),
    };
    let written = measured.and_then(|report| Ok(writeln!(io::stdout(), "{report}")?));
    let Err(cause) = written else { return ExitCode::SUCCESS };
    say(&format!("error: {cause}"));
    ExitCode::FAILURE
}

/// Tells whoever waits; a stderr that is closed is nobody.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A time as `90s`, `500ms` or `2m`.
fn time(text: &str) -> std::result::Result<Duration, String> {
    let at = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a time is a number with ms, s, m or h, as in 90s".into()),
    };
    let number: u64 = number.parse().map_err(|_| "a time begins with a number, as in 90s")?;
    Ok(Duration::from_millis(number.saturating_mul(millis)))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!((time("90s"), time("500ms")), (Ok(Duration::from_secs(90)), Ok(Duration::from_millis(500))));
        assert!(time("90").is_err() && time("s").is_err() && time("1.5s").is_err());
    }
}

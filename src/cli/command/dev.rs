//! `dev`: the whole relay on a laptop, without config and key, and what it shows.

use std::env;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use url::Url;

use crate::cli::client::sockets::{dev_folder, runtime_socket, usual_sockets};
use crate::cli::output::dev_log::{self, Screen};
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::{args, calls};
use crate::clock;
use crate::config::checked::LogLevel;
use crate::server::{self, DevOptions, Seen};

/// Run a relay for development: no config, no key, loopback only
#[derive(Args, Debug)]
pub(crate) struct Dev {
    /// Deliver to this URL, or to this port of this machine, instead of a receiver inside
    #[arg(long, value_name = "URL|PORT", value_parser = forward)]
    forward_to: Option<String>,

    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = PORT)]
    port: u16,

    /// Where events and the secret are kept [default: hookwheel/dev in the user's data folder]
    #[arg(long, value_name = "DIR", conflicts_with = "ephemeral")]
    data: Option<PathBuf>,

    /// Keep nothing between runs
    #[arg(long)]
    ephemeral: bool,

    /// Where the other commands find it [default: hookwheel/dev.sock in $XDG_RUNTIME_DIR, else dev.sock in the data folder]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// What to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,

    /// Show the secret that deliveries are signed with
    #[arg(long)]
    print_secret: bool,

    /// Fail this share of the attempts, 0 to 1, to see retries
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share)]
    fail_rate: f64,

    /// Wait this long before each attempt
    #[arg(long, default_value = "0s", value_name = "TIME", value_parser = args::duration)]
    latency: Duration,
}

/// How `dev` tells what happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line for each event, attempt and result
    #[default]
    Lines,
    /// The header alone
    Quiet,
    /// One JSON object a line
    Json,
}

impl Dev {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let output = if out.json { Output::Json } else { self.output };
        let mut screen = Screen { paint: out.paint, zone: clock::zone(), called: out.called().clone() };
        let out = out.clone();
        let show = move |seen| {
            if let Seen::Ready(ready) = &seen {
                let socket = (!is_found(Path::new(&ready.socket))).then(|| ready.socket.clone());
                screen.called = screen.called.clone().with_socket(socket);
            }
            shown(&seen, output, &screen, &out)
        };
        calls::dev(self.options()?, show).map_err(failed)?;
        Ok(Exit::Ok)
    }

    fn options(self) -> Result<DevOptions, Failure> {
        let variable = |name: &str| env::var_os(name);
        let data = match (self.ephemeral, self.data) {
            (true, _) => None,
            (false, Some(folder)) => Some(folder),
            (false, None) => Some(dev_folder(&variable).ok_or_else(no_home)?),
        };
        Ok(DevOptions {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.port),
            forward_to: self.forward_to,
            data: data.map(absolute),
            socket: self.socket.map(absolute).or_else(|| runtime_socket(&variable)),
            print_secret: self.print_secret,
            fail_rate: self.fail_rate,
            latency: self.latency,
            log_level: log_level(variable("HOOKWHEEL_LOG"))?,
        })
    }
}

/// When the port is taken, the hint names `--port`, which chooses another.
fn failed(error: server::Error) -> Failure {
    let is_port = matches!(error, server::Error::Bind { .. });
    let failure = Failure::from(error);
    if is_port { failure.with_hint(Hint::again_with_value("--port", "0")) } else { failure }
}

/// Whether a command without `--socket` finds this service: no other service answers at the places where it looks first.
fn is_found(socket: &Path) -> bool {
    if let Some(named) = env::var_os(args::SOCKET_VARIABLE).filter(|named| !named.is_empty()) {
        return Path::new(&named) == socket;
    }
    let usual = usual_sockets(&|name| env::var_os(name));
    usual.iter().find(|path| *path == socket || UnixStream::connect(path).is_ok()).is_some_and(|first| first == socket)
}

/// The path as the header shows it: absolute, so that it works from any folder.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// The level of the log. `dev` shows what happens by its own lines, so by default the log tells errors only.
fn log_level(said: Option<OsString>) -> Result<LogLevel, Failure> {
    let Some(said) = said.filter(|said| !said.is_empty()) else { return Ok(LogLevel::Error) };
    let unknown = || {
        let known: Vec<&str> = LogLevel::NAMES.iter().map(|(name, _)| *name).collect();
        let message = format!("HOOKWHEEL_LOG is `{}`; there are {}", said.to_string_lossy(), known.join(", "));
        Failure::usage(message, Hint::text("unset HOOKWHEEL_LOG"))
    };
    said.to_str().and_then(LogLevel::parse).ok_or_else(unknown)
}

fn no_home() -> Failure {
    Failure::usage("there is no folder to keep events in: HOME is not set", Hint::again_with("--ephemeral"))
}

/// Prints one fact. Breaks the loop when stdout was closed by its reader.
fn shown(seen: &Seen, output: Output, screen: &Screen, out: &Out) -> ControlFlow<()> {
    match show(seen, output, screen, out) {
        Ok(()) => ControlFlow::Continue(()),
        Err(failure) => {
            out.failure(&failure);
            ControlFlow::Break(())
        }
    }
}

fn show(seen: &Seen, output: Output, screen: &Screen, out: &Out) -> Result<(), Failure> {
    match (output, seen) {
        (Output::Json, Seen::Ready(ready)) => out.line(dev_log::ready_json(ready)),
        (_, Seen::Ready(ready)) => out.line(screen.header(ready)),
        (Output::Json, Seen::Fact(fact)) => out.line(dev_log::json(fact)),
        (Output::Lines, Seen::Fact(fact)) => out.line(screen.lines(fact)),
        (Output::Quiet, Seen::Fact(_)) => Ok(()),
        (_, Seen::Missed(count)) => {
            out.note(format!("{count} lines were left out; {} has them all", screen.line(&Hint::tenants("deliveries list"))));
            Ok(())
        }
    }
}

/// A port, `host:port`, or a URL of http or https.
fn forward(text: &str) -> Result<String, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let url = match text.parse::<u16>() {
        Ok(0) => return Err("a port is a number from 1 to 65535".into()),
        Ok(port) => format!("http://localhost:{port}/"),
        Err(_) if is_number => return Err("a port is a number from 1 to 65535".into()),
        Err(_) if text.contains("://") => text.to_owned(),
        Err(_) => format!("http://{text}"),
    };
    let read = Url::parse(&url).map_err(|error| format!("it is neither a port nor a URL: {error}"))?;
    let known = matches!(read.scheme(), "http" | "https");
    if known { Ok(read.into()) } else { Err("a URL begins with http:// or https://".into()) }
}

fn share(text: &str) -> Result<f64, String> {
    let read = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    read.ok_or_else(|| "a share is a number from 0 to 1, as in 0.2".into())
}

/// The default port, to which the README and all examples publish.
const PORT: u16 = 8080;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::hint::Called;

    #[test]
    fn a_port_is_one_of_this_machine() {
        assert_eq!(forward("3000").as_deref(), Ok("http://localhost:3000/"));
        assert_eq!(forward("127.0.0.1:3000/hooks").as_deref(), Ok("http://127.0.0.1:3000/hooks"));
        assert_eq!(forward("https://example.com").as_deref(), Ok("https://example.com/"));
        for bad in ["", "ftp://x", "70000:x", "http://"] {
            assert!(forward(bad).is_err(), "{bad}");
        }
        for bad in ["0", "65536", "99999", "123456789012345678901234567890"] {
            assert_eq!(forward(bad).expect_err(bad), "a port is a number from 1 to 65535");
        }
    }

    #[test]
    fn a_taken_port_names_the_option_that_dev_has() {
        let taken = server::Error::Bind { at: "127.0.0.1:8080".into(), cause: std::io::ErrorKind::AddrInUse.into() };
        let failure = failed(taken);
        assert_eq!(failure.exit, Exit::Bind);
        assert!(failure.human(&Called::default()).ends_with("  try: --port 0"), "{failure:?}");
    }

    #[test]
    fn the_level_of_the_log_is_a_known_word() {
        assert_eq!(log_level(None), Ok(LogLevel::Error));
        assert_eq!(log_level(Some("debug".into())), Ok(LogLevel::Debug));
        assert_eq!(log_level(Some("loud".into())).expect_err("unknown").exit, Exit::Usage);
    }

    #[test]
    fn a_share_is_between_nothing_and_all() {
        assert_eq!(share("0.2"), Ok(0.2));
        for bad in ["-0.1", "1.1", "NaN", "half"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}

//! `dev`: the whole relay on a laptop, without config and key, and what it shows.

use std::env;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use url::Url;

use super::client::{dev_folder, runtime_socket};
use super::exit::{Exit, Failure};
use super::lines;
use super::print::Out;
use super::{args, doors};
use crate::server::{DevOptions, Seen};

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
        let (out, output) = (*out, if out.json { Output::Json } else { self.output });
        doors::dev(self.options()?, move |seen| shown(&seen, output, &out))?;
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
        })
    }
}

/// As the header shows it, so that it can be used from another folder.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

fn no_home() -> Failure {
    Failure::usage("there is no folder to keep events in: HOME is not set", "hookwheel dev --data DIR, or --ephemeral")
}

/// Prints one thing that happened; breaks when nobody reads any more.
fn shown(seen: &Seen, output: Output, out: &Out) -> ControlFlow<()> {
    match show(seen, output, out) {
        Ok(()) => ControlFlow::Continue(()),
        Err(failure) => {
            out.failure(&failure);
            ControlFlow::Break(())
        }
    }
}

fn show(seen: &Seen, output: Output, out: &Out) -> Result<(), Failure> {
    match (output, seen) {
        (Output::Json, Seen::Ready(ready)) => out.line(lines::ready_json(ready)),
        (_, Seen::Ready(ready)) => out.line(lines::header(ready, out.paint)),
        (Output::Json, Seen::Fact(fact)) => out.line(lines::json(fact)),
        (Output::Lines, Seen::Fact(fact)) => out.line(lines::lines(fact, out.paint)),
        (Output::Quiet, Seen::Fact(_)) => Ok(()),
        (_, Seen::Missed(count)) => {
            out.note(format!("{count} lines were left out; hookwheel deliveries list has them all"));
            Ok(())
        }
    }
}

/// A port, `host:port`, or a URL of http or https.
fn forward(text: &str) -> Result<String, String> {
    let url = match text.parse::<u16>() {
        Ok(port) => format!("http://localhost:{port}/"),
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

/// Where the README and every example publish to.
const PORT: u16 = 8080;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_one_of_this_machine() {
        assert_eq!(forward("3000").as_deref(), Ok("http://localhost:3000/"));
        assert_eq!(forward("127.0.0.1:3000/hooks").as_deref(), Ok("http://127.0.0.1:3000/hooks"));
        assert_eq!(forward("https://example.com").as_deref(), Ok("https://example.com/"));
        for bad in ["", "ftp://x", "70000:x", "http://"] {
            assert!(forward(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_is_between_nothing_and_all() {
        assert_eq!(share("0.2"), Ok(0.2));
        for bad in ["-0.1", "1.1", "NaN", "half"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}

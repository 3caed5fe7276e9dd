//! The processes of a measurement and how they talk: one JSON value a line, orders on stdin, reports on stdout. A part ends when
//! its stdin does, so none outlives the one that started it.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;

/// What a process does in a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Receiver,
    Publisher,
    Forward,
    Fill,
}

impl Role {
    pub(crate) const ALL: [Self; 4] = [Self::Receiver, Self::Publisher, Self::Forward, Self::Fill];

    /// As the command line names it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Publisher => "publisher",
            Self::Forward => "forward",
            Self::Fill => "fill",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A part as the one who started it sees it. Dropping it kills the process and waits for its end.
pub(super) struct Part {
    role: Role,
    child: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Part {
    /// Starts this binary in another role.
    pub(super) fn start(role: Role, orders: &impl Serialize) -> Result<Self, Error> {
        let mut command = this_binary()?;
        command.args([PART, role.as_str()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io(format!("start the {role}")))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Part { role, what: "has no pipes".into() });
        };
        let mut part = Self { role, child, orders: stdin, reports: BufReader::new(stdout) };
        part.tell(orders)?;
        Ok(part)
    }

    /// The number of its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn tell(&mut self, value: &impl Serialize) -> Result<(), Error> {
        write_line(&mut self.orders, value).map_err(|cause| self.wrong(format!("takes no orders: {cause}")))
    }

    /// Waits for its next report.
    pub(super) fn hear<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let mut line = String::new();
        let read = self.reports.read_line(&mut line).map_err(|cause| self.wrong(format!("cannot be heard: {cause}")))?;
        if read == 0 {
            return Err(self.wrong("ended too early"));
        }
        let said: Result<T, String> = serde_json::from_str(&line).map_err(|cause| self.wrong(format!("spoke badly: {cause}")))?;
        said.map_err(|what| self.wrong(what))
    }

    fn wrong(&self, what: impl Into<String>) -> Error {
        Error::Part { role: self.role, what: what.into() }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Kills a process and waits for its end. An error means that it has ended already.
pub(super) fn end(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}

/// This very program, whatever its file is called now.
pub(super) fn this_binary() -> Result<Command, Error> {
    std::env::current_exe().map(Command::new).map_err(Error::io("find this program's own file"))
}

/// Inside a part: the next orders; `None`: there will be no more.
pub(super) fn orders<T: DeserializeOwned>() -> Result<Option<T>, Error> {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line).map_err(Error::io("read orders"))?;
    if read == 0 {
        return Ok(None);
    }
    serde_json::from_str(&line).map(Some).map_err(|cause| Error::io("read orders")(cause.into()))
}

/// Inside a part: says a result, or what went wrong.
pub(super) fn report<T: Serialize>(said: Result<T, String>) -> Result<(), Error> {
    write_line(&mut io::stdout().lock(), &said).map_err(Error::io("report"))
}

fn write_line(into: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    into.write_all(&line)?;
    into.flush()
}

/// The hidden command that plays a part.
pub(super) const PART: &str = "bench-part";

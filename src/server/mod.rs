//! Puts one service together, owns its tasks, and keeps the order of its start and its end.
//!
//! ```text
//!   start:     config ▸ TCP bound ▸ store opened ▸ admin socket bound ▸ pump ▸ webhooks of the file in line ▸ writer ▸ API ▸
//!              due table loaded ▸ READY
//!   shutdown:  intake closed ▸ attempts get 8 s ▸ writer writes what waits ▸ store closed
//! ```

mod descriptors;
mod dev;
mod dump;
mod listen;
mod loader;
mod logging;
mod notify;
mod paths;
mod receiver;
mod reload;
mod run;
mod signals;
mod watch;
mod wiring;

use std::io;
use std::path::{Path, PathBuf};

pub(crate) use dev::{DevOptions, Forward, Ready, Seen, dev};
pub(crate) use run::credentials;

use crate::config::Sources;
use crate::config::fault::Faults;
use crate::deliver::connect;
use crate::domain::text::system::words;
use crate::store;

/// Why the service did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the config has {} faults", .0.len())]
    Config(Faults),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("cannot {action}: {}", words(.cause))]
    Io { action: String, cause: io::Error },
    /// Another process has the address, or the machine does not have it yet. To try again may help.
    #[error("cannot listen on {at}: {}", words(.cause))]
    Bind { at: String, cause: io::Error },
    /// Another service answers at the admin socket.
    #[error("cannot listen on the admin socket {}: another service answers there", .0.display())]
    Taken(PathBuf),
    /// A path of the config leads nowhere. To try again does not help.
    #[error("cannot use {what} {}: {}", .path.display(), words(.cause))]
    Path { what: &'static str, path: PathBuf, cause: io::Error },
    #[error(transparent)]
    Connector(#[from] connect::Error),
}

impl Error {
    fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { action: action.into(), cause }
    }

    fn path(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Path { what, path: path.to_owned(), cause }
    }
}

/// Runs the service until SIGTERM or SIGINT.
pub(crate) fn serve<E>(sources: Sources<'_, E>) -> Result<(), Error>
where
    E: IntoIterator<Item = (String, String)>,
{
    let loader = loader::Loader::new(sources);
    let config = loader.load().map_err(Error::Config)?;
    logging::set(config.server.log);
    let runtime = runtime()?;
    runtime.block_on(run::until_signal(run::Plan { config, loader: Some(loader), entrance: crate::api::Entrance::Tcp }, |_| {
        std::future::pending()
    }))
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("hookwheel").build();
    built.map_err(Error::io("start the runtime"))
}

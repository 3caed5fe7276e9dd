//! `serve`: the service.

use std::path::PathBuf;

use clap::Args;

use crate::cli::calls;
use crate::cli::output::exit::{Exit, Failure};
use crate::config::{DEFAULT_FILE, Flag};

/// Run the service, in the foreground
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The config file; conf.d/*.toml beside it are read too
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub(crate) config: PathBuf,

    /// Where to listen, instead of at server.listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,

    /// The admin socket, instead of server.admin_socket
    #[arg(long, value_name = "PATH")]
    admin_socket: Option<String>,

    /// The store's file, instead of storage.path
    #[arg(long, value_name = "FILE")]
    storage: Option<String>,
}

impl Serve {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let flags = self.flags();
        calls::serve(&self.config, flags)?;
        Ok(Exit::Ok)
    }

    /// The flags that were given, as the keys they stand for.
    fn flags(&self) -> Vec<Flag> {
        let all = [
            ("--listen", "server", "listen", &self.listen),
            ("--admin-socket", "server", "admin_socket", &self.admin_socket),
            ("--storage", "storage", "path", &self.storage),
        ];
        let given = all.into_iter().filter_map(|(name, section, key, value)| Some((name, section, key, value.clone()?)));
        given.map(|(name, section, key, value)| Flag { name, section, key, value }).collect()
    }
}

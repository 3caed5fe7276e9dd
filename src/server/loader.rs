//! Loads the config again from the sources that it came from.

use std::path::PathBuf;

use crate::config::checked::Config;
use crate::config::fault::Faults;
use crate::config::{self, Flag, Sources};

/// The sources of the config: the file is read again each time, environment and flags are those of the start.
pub(super) struct Loader {
    file: Option<PathBuf>,
    environment: Vec<(String, String)>,
    flags: Vec<Flag>,
}

impl Loader {
    pub(super) fn new<E: IntoIterator<Item = (String, String)>>(sources: Sources<'_, E>) -> Self {
        let environment = sources.environment.into_iter().collect();
        Self { file: sources.file.map(Into::into), environment, flags: sources.flags }
    }

    pub(super) fn load(&self) -> Result<Config, Faults> {
        let environment = self.environment.iter().cloned();
        config::load(Sources { file: self.file.as_deref(), environment, flags: self.flags.clone() })
    }
}

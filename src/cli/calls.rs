//! What the command line calls of the rest of the crate. Its other files call nothing outside `cli`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::output::exit::Failure;
use crate::bench::{self, Plan, Report};
use crate::config::checked::Config;
use crate::config::fault::Faults;
use crate::config::{self, Flag, Sources, dialect};
use crate::docs;
use crate::domain::dialect::Dialect;
use crate::domain::text::nearest::nearest;
use crate::server::{self, DevOptions, Seen};
use crate::store;

/// Runs the service until it is told to stop.
pub(crate) fn serve(config: &Path, flags: Vec<Flag>) -> Result<(), Failure> {
    Ok(server::serve(sources(config, environment(), flags))?)
}

/// Runs `dev` until it is told to stop, or `show` breaks since it finds nobody reading.
pub(crate) fn dev(options: DevOptions, show: impl FnMut(Seen) -> ControlFlow<()> + Send + 'static) -> Result<(), server::Error> {
    server::dev(options, show)
}

/// Measures what `plan` names; `tell` hears what comes next.
pub(crate) fn bench(plan: &Plan, tell: impl FnMut(&str)) -> Result<Report, Failure> {
    Ok(bench::run(plan, tell)?)
}

/// Forwards for a measurement until stdin ends.
pub(crate) fn bench_forward(endpoints: u32, receiver_port: u16, slots: usize) -> Result<(), Failure> {
    Ok(bench::forward(endpoints, receiver_port, slots)?)
}

/// Reads and checks a config, and changes nothing.
pub(crate) fn config(file: &Path, with_environment: bool) -> Result<Config, Faults> {
    config_with(file, with_environment, Vec::new())
}

/// The same with flags over it.
pub(crate) fn config_with(file: &Path, with_environment: bool, flags: Vec<Flag>) -> Result<Config, Faults> {
    let environment = if with_environment { environment() } else { Vec::new() };
    config::load(sources(file, environment, flags))
}

/// What a config file may hold, as a JSON Schema.
pub(crate) fn config_schema() -> serde_json::Value {
    config::schema()
}

/// All pages of the documentation but the first.
pub(crate) fn docs_contents() -> Vec<docs::Part> {
    docs::contents()
}

/// The page of the documentation at a path.
pub(crate) fn docs_page(path: &str) -> Option<docs::Page> {
    docs::page(path)
}

/// The path of a page that is nearly this one.
pub(crate) fn docs_nearest(path: &str) -> Option<String> {
    let pages = docs::contents().into_iter().flat_map(|part| part.pages);
    let paths: Vec<String> = pages.map(|(path, _)| path).collect();
    nearest(path, paths.iter().map(String::as_str)).map(str::to_owned)
}

/// A page of the documentation as text, with lines of at most `width` columns but for code.
pub(crate) fn docs_text(page: &docs::Page, width: usize, bold: impl Fn(&str) -> String) -> String {
    docs::terminal::text(&page.markdown, width, bold)
}

/// Checks a closed store.
pub(crate) fn store(file: &Path) -> Result<store::Report, store::Error> {
    store::check(file)
}

/// Examines a closed store.
pub(crate) fn examine(file: &Path) -> Result<store::Diagnosis, store::Error> {
    store::examine(file)
}

/// Writes what can be read of a closed store to a new file.
pub(crate) fn salvage(file: &Path, to: &Path) -> Result<store::Salvaged, store::Error> {
    store::salvage(file, to)
}

/// Takes note that somebody has seen what was wrong with a closed store.
pub(crate) fn acknowledge(file: &Path) -> Result<u64, store::Error> {
    store::acknowledge(file)
}

/// Puts a backup in the place of a closed store; `tell` hears how many bytes of how many are copied.
pub(crate) fn restore(
    backup: &Path,
    store: &Path,
    (force, accept_faults): (bool, bool),
    tell: &mut dyn FnMut(u64, u64),
) -> Result<store::Restored, store::Error> {
    let credentials = server::credentials();
    store::restore(store::Restoring { backup, store, credentials: credentials.as_deref(), force, accept_faults }, tell)
}

/// Writes a closed store anew; `tell` hears how many rows of how many are written.
pub(crate) fn compact(file: &Path, tell: &mut dyn FnMut(u64, u64)) -> Result<store::Compacted, store::Error> {
    store::compact(file, tell)
}

/// The dialects by name: those that are built in, and those of a config where one is named.
pub(crate) fn dialects(file: Option<&Path>) -> Result<BTreeMap<String, Arc<Dialect>>, Faults> {
    let mut faults = Faults::default();
    if let Some(file) = file {
        return config(file, false).map(|config| config.dialects);
    }
    let built_in = dialect::read_all(Vec::new(), &mut faults);
    faults.or(built_in)
}

/// The whole file of a dialect, as it would be written without `extends`.
pub(crate) fn dialect_file(known: &Dialect) -> String {
    dialect::effective(known)
}

fn sources(file: &Path, environment: Vec<(String, String)>, flags: Vec<Flag>) -> Sources<'_, Vec<(String, String)>> {
    Sources { file: Some(file), environment, flags }
}

/// Every variable; one that is not UTF-8 is no setting of ours, and is shown as far as it can be.
fn environment() -> Vec<(String, String)> {
    let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

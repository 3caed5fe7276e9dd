//! The folder of one service under measurement: its config, its keys and its store.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Error;
use super::plan::{self, Load};
use super::special::Special;

/// What differs from a config that says nothing.
pub(super) const DIFFERENCES: &str = "allow_private = [\"127.0.0.0/8\"]";

/// The same where there is one endpoint.
pub(super) const ONE_ENDPOINT_DIFFERENCE: &str = "in_flight_per_endpoint";

/// A folder with everything that a service needs, removed with the value.
pub(super) struct Site {
    folder: Folder,
    pub(super) operator: String,
    pub(super) publisher_key: String,
}

impl Site {
    /// Makes a folder of its own below `dir`, without a store.
    pub(super) fn make(dir: &Path, load: &Load, special: Special, receiver_port: u16) -> Result<Self, Error> {
        let folder = Folder::make(dir, receiver_port)?;
        let [operator, publisher_key] = [key()?, key()?];
        folder.write("operator.key", &operator)?;
        folder.write("publisher.key", &publisher_key)?;
        folder.write(CONFIG, &config(load, special, receiver_port))?;
        Ok(Self { folder, operator, publisher_key })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Bytes that the store takes up on disk, with what stands beside it under its name.
    pub(super) fn store_bytes(&self) -> u64 {
        let all = fs::read_dir(&self.folder.0).into_iter().flatten().flatten();
        let of_store = all.filter(|file| file.file_name().to_string_lossy().starts_with(STORE));
        of_store.filter_map(|file| file.metadata().ok()).map(|found| found.blocks() * BLOCK_BYTES).sum()
    }
}

fn config(load: &Load, special: Special, receiver_port: u16) -> String {
    let slots = match load.endpoints.count {
        1 => format!("{ONE_ENDPOINT_DIFFERENCE} = {}\n", load.slots()),
        _ => String::new(),
    };
    let storage = special.storage().map(|line| line + "\n").unwrap_or_default();
    let (dialect, dialect_table) = (special.dialect(), special.dialect_table());
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_socket = \"admin.sock\"\n\
         [storage]\npath = \"{STORE}\"\n{storage}\
         [delivery]\n{DIFFERENCES}\n{slots}\
         [operator]\nkeys = [{{ name = \"bench\", secret_file = \"operator.key\" }}]\n\
         {dialect_table}[[provider]]\nname = \"{OWNER}\"\ndialect = \"{dialect}\"\n\
         [[provider.tenant]]\nid = \"{OWNER}\"\nkeys = [{{ name = \"bench\", secret_file = \"publisher.key\" }}]\n"
    );
    for number in 0..load.endpoints.count {
        let (address, kind) = (plan::address(number, receiver_port), load.kind(number));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "[[provider.tenant.webhook]]\nname = \"w{number}\"\nurl = \"http://{address}/\"\nevents = [\"{kind}\"]"
        );
    }
    text
}

fn key() -> Result<String, Error> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|cause| Error::io("draw a key")(io::Error::other(cause)))?;
    Ok(hex::encode(random))
}

/// A folder that is removed with the value.
struct Folder(PathBuf);

impl Folder {
    /// Two services at the same time have two receivers, whose ports tell their folders apart.
    fn make(dir: &Path, receiver_port: u16) -> Result<Self, Error> {
        let path = dir.join(format!("hookwheel-bench-{}-{receiver_port}", std::process::id()));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(Error::io(format!("make the folder {}", path.display())))?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.0.join(name);
        let mut options = fs::OpenOptions::new();
        let file = options.create_new(true).write(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(Error::io(format!("write {}", path.display())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it is seen by whoever named the folder.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The one provider, and its one tenant.
pub(super) const OWNER: &str = "bench";

/// The config's name in its folder.
pub(super) const CONFIG: &str = "hookwheel.toml";

const STORE: &str = "hookwheel.redb";

/// The unit of a file's blocks, whatever the disk's is (stat(2)).
const BLOCK_BYTES: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::plan::{End, Endpoints};

    fn text(count: u32, fan_out: bool) -> String {
        let endpoints = Endpoints::all_healthy(count);
        let load = Load { connections: 1, rate: 0.0, end: End::Events(1), batch: 1, endpoints, fan_out, data: String::new() };
        config(&load, Special::Nothing, 9000)
    }

    #[test]
    fn the_config_differs_in_what_is_said_to_differ() {
        let one = text(1, false);
        assert!(one.contains("[delivery]\nallow_private = [\"127.0.0.0/8\"]\nin_flight_per_endpoint = 256\n["), "{one}");
        assert!(text(2, false).contains("[delivery]\nallow_private = [\"127.0.0.0/8\"]\n["));
    }

    #[test]
    fn what_a_special_measurement_needs_stands_in_the_config() {
        let endpoints = Endpoints::all_healthy(1);
        let load =
            Load { connections: 1, rate: 0.0, end: End::Events(1), batch: 1, endpoints, fan_out: false, data: String::new() };
        let rows = config(&load, Special::Rows(1), 9);
        assert!(rows.contains("path = \"hookwheel.redb\"\nmax_bytes = \"64GiB\"\n[delivery]"), "{rows}");
        let late = config(&load, Special::Late(1), 9);
        assert!(late.contains("[dialect.bench]\nextends = \"standard\"\n"), "{late}");
        assert!(late.contains("[[provider]]\nname = \"bench\"\ndialect = \"bench\"\n"), "{late}");
    }

    #[test]
    fn every_endpoint_has_an_origin_and_a_type() {
        let two = text(2, false);
        assert!(two.ends_with("name = \"w1\"\nurl = \"http://127.1.0.1:9000/\"\nevents = [\"bench.1\"]\n"), "{two}");
        assert_eq!(text(2, true).matches("events = [\"bench.all\"]").count(), 2);
    }
}

//! The folder of hookwheel's run: its config, its keys and its store.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use tempfile::TempDir;

use super::load::{self, Load};
use super::{Error, event};

/// A folder with everything that a service needs, removed with the value.
pub(super) struct Site {
    pub(super) folder: TempDir,
    pub(super) publisher_key: String,
}

impl Site {
    /// Makes the folder in `dir`, without a store.
    pub(super) fn make(dir: &Path, load: &Load, receiver_port: u16) -> Result<Self, Error> {
        make(dir, &config(load, receiver_port)).map_err(Error::io(format!("make a folder with a config in {}", dir.display())))
    }

    /// Bytes on disk of the store and of the files beside it that begin with its name.
    pub(super) fn store_bytes(&self) -> u64 {
        let all = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let of_store = all.filter(|file| file.file_name().to_string_lossy().starts_with(STORE));
        of_store.filter_map(|file| file.metadata().ok()).map(|found| found.blocks() * BLOCK_BYTES).sum()
    }
}

fn make(dir: &Path, config: &str) -> io::Result<Site> {
    let folder =
        tempfile::Builder::new().prefix("hookwheel-bench-").permissions(Permissions::from_mode(0o700)).tempdir_in(dir)?;
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let publisher_key = hex::encode(random);
    let key_file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(folder.path().join("publisher.key"));
    key_file?.write_all(publisher_key.as_bytes())?;
    fs::write(folder.path().join(CONFIG), config)?;
    Ok(Site { folder, publisher_key })
}

/// What a run's config says and an empty config does not, as it is printed.
pub(super) fn differences(load: &Load) -> Vec<String> {
    let slots = (load.endpoints.count == 1).then(|| format!("in_flight_per_endpoint = {}", load.slots()));
    std::iter::once(String::from("allow_private = [\"127.0.0.0/8\"]")).chain(slots).collect()
}

fn config(load: &Load, receiver_port: u16) -> String {
    let webhook = |number: u32| {
        // Of as many events as there are endpoints, each endpoint gets the one of its number.
        let (address, kind) = (load::address(number, receiver_port), event::kind(load.to(number.into())));
        format!("[[provider.tenant.webhook]]\nname = \"w{number}\"\nurl = \"http://{address}/\"\nevents = [\"{kind}\"]\n")
    };
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_socket = \"admin.sock\"\n[storage]\npath = \"{STORE}\"\n\
         [delivery]\n{}\n[[provider]]\nname = \"bench\"\ndialect = \"standard\"\n\
         [[provider.tenant]]\nid = \"bench\"\nkeys = [{{ name = \"bench\", secret_file = \"publisher.key\" }}]\n{}",
        differences(load).join("\n"),
        (0..load.endpoints.count).map(webhook).collect::<String>()
    )
}

/// The config's name in its folder.
pub(super) const CONFIG: &str = "hookwheel.toml";

const STORE: &str = "hookwheel.redb";

/// The unit of a file's blocks, whatever the disk's is (stat(2)).
const BLOCK_BYTES: u64 = 512;

//! A folder with a config in it, for tests.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::checked::Config;
use super::fault::{Faults, Remedy};
use super::{Flag, Sources, load};

pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    /// With the files that the bad configs speak of.
    pub(super) fn new(main: &str) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        folder.write("hookwheel.toml", main, 0o644);
        for (name, text, mode) in FILES {
            folder.write(name, text, *mode);
        }
        folder
    }

    pub(super) fn write(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("set");
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn load(&self) -> Result<Config, Faults> {
        self.load_with(&[], Vec::new())
    }

    pub(super) fn load_with(&self, environment: &[(&str, &str)], flags: Vec<Flag>) -> Result<Config, Faults> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(Sources { file: Some(&self.path("hookwheel.toml")), environment, flags })
    }

    /// What is wrong, with places relative to the folder.
    pub(super) fn faults(&self) -> String {
        let printed = self.load().expect_err("a bad config").to_string();
        self.relative(&printed)
    }

    pub(super) fn relative(&self, printed: &str) -> String {
        let folder: &Path = self.0.path();
        printed.replace(&format!("{}/", folder.display()), "")
    }
}

/// A new certificate and its key, as PEM.
pub(super) fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["relay.example".to_owned()]).expect("made");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// The same, valid from the first of January to the first of April 2026.
pub(super) fn certificate_of_a_spring() -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut asked = rcgen::CertificateParams::new(["relay.example".to_owned()]).expect("a name");
    (asked.not_before, asked.not_after) = (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2026, 4, 1));
    (asked.self_signed(&key).expect("made").pem(), key.serialize_pem())
}

const FILES: &[(&str, &str, u32)] = &[
    ("keys/one", "hwk_0123456789abcdefghijklmnop\n", 0o600),
    ("keys/two", "hwk_abcdefghijklmnop0123456789\n", 0o640),
    ("keys/signing", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n", 0o600),
    ("keys/open", "hwk_0123456789abcdefghijklmnop\n", 0o644),
    ("keys/short", "hwk_0123456789\n", 0o600),
    ("keys/empty", "\n", 0o600),
    ("tls/text.pem", "this is no certificate\n", 0o600),
];

/// Whether a config or a shell takes what is to be tried. A value stands in the place of the wrong one.
pub(in crate::config) fn can_be_pasted(remedy: &Remedy) -> bool {
    let parses = |toml: &str| toml.parse::<toml::Table>().is_ok();
    match remedy {
        Remedy::Write(toml) => parses(toml) || parses(&format!("key = {toml}")),
        Remedy::Run(_) | Remedy::Ours { .. } => {
            let line = remedy.line().unwrap_or_default();
            Command::new("sh").args(["-n", "-c", &line]).status().is_ok_and(|status| status.success())
        }
        Remedy::Advice(_) | Remedy::None => true,
    }
}

//! The config: read as it was typed, with the place of each value, and checked into what it means.
//!
//! ```text
//!  hookwheel.toml ─┐                                    settings: [server] [storage] [delivery]
//!  conf.d/*.toml ──┴▶ gather ──▶ document ──┐              ▲
//!  HOOKWHEEL_… ─────▶ layers ───────────────┴▶ take ───────┼──▶ checked::Config ──▶ reload: what changed
//!  --flags ─────────▶                                      ▼
//!                                                       owners: providers, tenants, webhooks, keys
//! ```
//!
//! Reading never stops at a fault: each is noted with its place and what to try, and all are shown at once. Nothing outside
//! [`load`] touches a file, and nothing here changes one.

#[cfg(test)]
mod bad_configs;
pub(crate) mod checked;
pub(crate) mod dangers;
pub(crate) mod dialect;
pub(crate) mod fault;
#[cfg(test)]
mod fixture;
pub(crate) mod moment;
pub(crate) mod reload;
mod schema;
pub(crate) mod site;
pub(crate) mod source;
mod table;

use std::path::Path;

use checked::{Config, Setting};
use fault::Faults;
pub(crate) use schema::schema;
use source::document::Table;
use source::gather::{Gathered, gather};
pub(crate) use source::layers::Flag;
use source::layers::{Said, put_over, said};
use source::places::Places;
use source::shape::Shape;
use table::judge::Judge;
use table::keys::Keys;
use table::owners::Owners;
use table::section::Section;
pub(crate) use table::settings::IN_FLIGHT_PER_ENDPOINT;

/// Where the config comes from.
#[derive(Debug)]
pub(crate) struct Sources<'a, E> {
    /// Absent: the defaults, the environment and the flags alone.
    pub(crate) file: Option<&'a Path>,
    /// Every variable there is; those of others are left alone.
    pub(crate) environment: E,
    pub(crate) flags: Vec<Flag>,
}

/// Reads and checks everything, and changes nothing; on a fault, all of them.
pub(crate) fn load<E>(sources: Sources<'_, E>) -> Result<Config, Faults>
where
    E: IntoIterator<Item = (String, String)>,
{
    let mut faults = Faults::default();
    let gathered = sources.file.map_or_else(Gathered::nothing, |file| gather(file, &mut faults));
    let said = said(sources.environment, sources.flags, &mut faults);
    let config = check(gathered, &said, &mut faults);
    faults.or(config)
}

fn check(gathered: Gathered, said: &[Said], faults: &mut Faults) -> Config {
    let Gathered { mut root, files, exposed, complete } = gathered;
    let places = Places::new(&root);
    let mut settings = Vec::new();
    let server = table::settings::server(section("server", &mut root, said, faults, &mut settings));
    let storage = table::settings::storage(section("storage", &mut root, said, faults, &mut settings));
    let delivery = table::settings::delivery(section("delivery", &mut root, said, faults, &mut settings));
    faults.record("", "dialect", || Shape::NamedTables);
    let own = root.table("dialect", faults).map_or_else(Vec::new, |mut table| table.rest());
    let defined = own.iter().map(|entry| entry.key.clone()).collect();
    let judge = Judge::new(dialect::read_all(own, faults), defined, complete, &server, &delivery);
    let mut owners = Owners { judge: &judge, keys: Keys::default(), faults };
    let (operator, providers) = (owners.operator(&mut root), owners.providers(&mut root));
    root.finish(faults);
    Config { server, storage, delivery, operator, providers, dialects: judge.dialects, settings, places, files, exposed }
}

/// Takes one of the three tables of single values, with what stands over it.
fn section<'a>(
    name: &'static str,
    root: &mut Table,
    said: &[Said],
    faults: &'a mut Faults,
    settings: &'a mut Vec<Setting>,
) -> Section<'a> {
    let mut table = root.table(name, faults).unwrap_or_default();
    put_over(&mut table, name, said);
    Section { name, table, faults, settings }
}

/// Where `serve` looks when no file is named.
pub(crate) const DEFAULT_FILE: &str = "/etc/hookwheel/hookwheel.toml";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::fault::Location;
    use super::fixture::Folder;
    use super::*;
    use crate::domain::units::Size;

    const FULL: &str = r#"
[server]
listen = "0.0.0.0:443"
admin_socket = "run/admin.sock"
[storage]
path = "store/hookwheel.redb"
retention = "14d"
[delivery]
allow_private = ["10.0.0.0/8"]
resolvers = ["192.0.2.53"]
[operator]
keys = [{ name = "ops", secret_file = "keys/one" }]
notify_url = "https://ops.example.com/hooks"
[[provider]]
name = "aioka"
dialect = "aioka"
[[provider.tenant]]
id = "acme"
keys = [{ name = "acme", secret_file = "keys/two", scopes = ["manage"] }]
[[provider.tenant.webhook]]
name = "billing"
url = "https://billing.example.com/hooks"
events = ["verdict.new", "macro.*"]
[[webhook]]
name = "all"
url = "http://example.com"
events = ["*"]
secret_file = "keys/signing"
"#;

    fn setting<'a>(config: &'a Config, name: &str) -> &'a Setting {
        config.settings.iter().find(|setting| setting.name == name).expect("a known setting")
    }

    #[test]
    fn a_whole_file_is_read_as_meant() {
        let folder = Folder::new(FULL);
        let config = folder.load().expect("valid");
        assert_eq!(config.server.listen.to_string(), "0.0.0.0:443");
        assert_eq!(config.storage.path, folder.path("store/hookwheel.redb"));
        assert_eq!(config.storage.retention, Duration::from_secs(14 * 86_400));
        assert_eq!(config.storage.max_bytes, Size::gib(10));
        assert_eq!(config.delivery.resolvers[0].port(), 53);
        assert_eq!(config.operator.keys[0].name, "ops");
        let names: Vec<_> = config.webhooks().map(|(provider, tenant, webhook)| webhook.full_name(provider, tenant)).collect();
        assert_eq!(names, ["aioka/acme/billing", "all"]);
        let scopes = config.providers[0].tenants[0].keys[0].scopes;
        assert_eq!(scopes.names(), ["manage"]);
        assert_eq!(config.providers[0].tenants[0].environment, "Production");
    }

    #[test]
    fn an_empty_file_and_no_file_give_the_defaults() {
        let empty = Folder::new("").load().expect("valid");
        let none = load(Sources { file: None, environment: [], flags: vec![] }).expect("valid");
        assert_eq!(empty.settings, none.settings);
        assert_eq!(none.server.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(none.server.admin_socket, Path::new("/run/hookwheel/admin.sock"));
        assert_eq!((none.delivery.in_flight, none.delivery.in_flight_per_endpoint), (4096, 16));
        assert!(none.providers.is_empty() && none.operator.keys.is_empty());
    }

    #[test]
    fn every_setting_is_noted_once_under_the_name_its_variable_has() {
        let config = Folder::new("").load().expect("valid");
        let noted: Vec<String> = config.settings.iter().map(|setting| setting.name.clone()).collect();
        let known =
            table::settings::KEYS.iter().flat_map(|(section, keys)| keys.iter().map(move |key| format!("{section}.{key}")));
        assert_eq!(noted, known.collect::<Vec<_>>());
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let folder =
            Folder::new("[server]\nlisten = \"127.0.0.1:1\"\n[delivery]\nin_flight = 100\nresponse_capture = \"1KiB\"\n");
        let environment = [("HOOKWHEEL_SERVER_LISTEN", "127.0.0.1:2"), ("HOOKWHEEL_DELIVERY_IN_FLIGHT", "200")];
        let flag = Flag { name: "--listen", section: "server", key: "listen", value: "127.0.0.1:3".into() };
        let config = folder.load_with(&environment, vec![flag]).expect("valid");
        assert_eq!(setting(&config, "server.listen").location, Location::Flag("--listen".into()));
        assert_eq!(config.server.listen.port(), 3);
        assert_eq!(setting(&config, "delivery.in_flight").location, Location::Environment("HOOKWHEEL_DELIVERY_IN_FLIGHT".into()));
        assert_eq!(config.delivery.in_flight, 200);
        let capture = setting(&config, "delivery.response_capture");
        assert_eq!(
            (capture.value.as_str(), folder.relative(&capture.location.to_string())),
            ("\"1KiB\"", "hookwheel.toml:5:20".into())
        );
        assert_eq!(setting(&config, "storage.retention").location, Location::Default);
    }

    #[test]
    fn a_wrong_variable_and_a_wrong_flag_are_faults_that_name_them() {
        let flag = Flag { name: "--listen", section: "server", key: "listen", value: "8080".into() };
        let faults = Folder::new("").load_with(&[("HOOKWHEEL_STORAGE_RETENTION", "7")], vec![flag]).expect_err("bad").to_string();
        assert!(
            faults.contains("it has no unit; there are ms, s, m, h, d, w   environment HOOKWHEEL_STORAGE_RETENTION"),
            "{faults}"
        );
        assert!(faults.contains("`listen` is `8080`, not an IP address and a port   flag --listen"), "{faults}");
    }

    #[test]
    fn a_path_from_the_environment_is_not_relative_to_the_file() {
        let config = Folder::new("").load_with(&[("HOOKWHEEL_STORAGE_PATH", "x.redb")], vec![]).expect("valid");
        assert_eq!(config.storage.path, Path::new("x.redb"));
    }

    #[test]
    fn fewer_attempts_in_all_are_fewer_for_each_endpoint() {
        let config = Folder::new("[delivery]\nin_flight = 8\n").load().expect("valid");
        assert_eq!((config.delivery.in_flight, config.delivery.in_flight_per_endpoint), (8, 8));
    }

    #[test]
    fn a_secret_stands_beside_the_file_that_names_it() {
        let folder = Folder::new("");
        folder.write(
            "conf.d/a.toml",
            "[[webhook]]\nname = \"a\"\nurl = \"https://a.example\"\nevents = [\"*\"]\nsecret_file = \"s\"",
            0o644,
        );
        folder.write("conf.d/s", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\r\n", 0o600);
        let config = folder.load().expect("valid");
        let (_, _, webhook) = config.webhooks().next().expect("one");
        assert_eq!(
            webhook.secret.as_ref().map(|secret| secret.expose()),
            Some("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
        );
        assert!(!format!("{config:?}").contains("MDEyMzQ1"));
    }

    #[test]
    fn names_and_keys_that_stand_in_two_files_name_both_places() {
        let folder = Folder::new("[[provider]]\nname = \"a\"\nkeys = [{ name = \"k\", secret_file = \"keys/one\" }]\n");
        folder.write(
            "conf.d/b.toml",
            "[[provider]]\nname = \"a\"\nkeys = [{ name = \"k\", secret_file = \"../keys/one\" }]\n",
            0o644,
        );
        let faults = folder.faults();
        let both =
            ["the provider `a` stands here and in hookwheel.toml:2:8; ", "the same key stands here and in hookwheel.toml:3:37; "];
        assert!(both.iter().all(|message| faults.contains(message)), "{faults}");
        assert!(faults.contains("   conf.d/b.toml:2:8") && faults.contains("   conf.d/b.toml:3:37"), "{faults}");
    }

    #[test]
    fn an_unreadable_file_does_not_make_other_names_unknown() {
        let folder = Folder::new("[[provider]]\nname = \"a\"\ndialect = \"mine\"\n");
        folder.write("conf.d/b.toml", "[dialect.mine\n", 0o644);
        assert!(!folder.faults().contains("unknown dialect"));
    }

    #[test]
    fn top_level_webhooks_join_a_default_tenant_that_has_a_table() {
        let webhook = "url = \"https://a.example\"\nevents = [\"*\"]\n";
        let owner = "[[provider]]\nname = \"default\"\n[[provider.tenant]]\nid = \"default\"\n";
        let folder = Folder::new(&format!(
            "[[webhook]]\nname = \"a\"\n{webhook}{owner}[[provider.tenant.webhook]]\nname = \"b\"\n{webhook}"
        ));
        let config = folder.load().expect("valid");
        assert_eq!((config.providers.len(), config.webhooks().count()), (1, 2));
    }

    const EXAMPLE: &str = include_str!("../../packaging/hookwheel.toml");

    #[test]
    fn the_packaged_file_says_nothing_but_defaults() {
        let packaged = Folder::new(EXAMPLE).load().expect("valid");
        let empty = Folder::new("").load().expect("valid");
        assert_eq!(packaged.settings, empty.settings);
        assert!(packaged.providers.is_empty());
    }

    #[test]
    fn what_the_packaged_file_shows_as_defaults_are_the_defaults() {
        let key = |setting: &Setting| setting.name.rsplit('.').next().map(str::to_owned).unwrap_or_default();
        let shown = |setting: &Setting| EXAMPLE.contains(&format!("# {} = {}\n", key(setting), setting.value));
        let settings = Folder::new("").load().expect("valid").settings;
        let with_default = settings.iter().filter(|setting| !setting.value.is_empty() && setting.value != "[]");
        let hidden: Vec<_> = with_default.filter(|setting| !shown(setting)).collect();
        assert!(hidden.is_empty(), "{hidden:?}");
    }

    #[test]
    fn the_packaged_file_is_valid_with_every_comment_opened() {
        let folder = Folder::new(&opened(EXAMPLE));
        for name in ["ops", "acme", "tenant-1", "decisions", "receiver", "token"] {
            folder.write(&format!("keys/{name}"), format!("{name}_0123456789abcdefghijklmnop"), 0o600);
        }
        folder.write("keys/notify", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", 0o600);
        let (certificate, key) = fixture::certificate();
        folder.write("tls/cert.pem", &certificate, 0o644);
        folder.write("tls/internal-ca.pem", &certificate, 0o644);
        folder.write("tls/client.pem", &certificate, 0o644);
        folder.write("tls/client.key", &key, 0o600);
        folder.write("tls/key.pem", key, 0o640);
        let config = folder.load().expect("valid");
        assert_eq!(config.webhooks().count(), 2);
    }

    /// Without the `# ` of each line that is TOML and not a sentence.
    fn opened(text: &str) -> String {
        let lines = text.lines().map(|line| match line.strip_prefix("# ") {
            Some(toml) if toml.starts_with('[') || toml.split(' ').nth(1) == Some("=") => toml,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Checks a text as if it were the only file; its secrets are not there.
    fn checked(text: &str) -> Faults {
        let mut faults = Faults::default();
        if let Some(root) = source::document::parse(Path::new("hookwheel.toml"), text, &mut faults) {
            check(Gathered { root, ..Gathered::nothing() }, &[], &mut faults);
        }
        faults
    }

    #[test]
    fn nesting_without_end_is_a_fault_of_syntax() {
        for (open, close) in [("[", "]"), ("{ a = ", "}")] {
            let text = format!("a = {}1{}", open.repeat(50_000), close.repeat(50_000));
            assert!(!checked(&text).is_empty());
        }
        assert!(!checked(&format!("{}a = 1", "a.".repeat(50_000))).is_empty());
    }

    proptest! {
        #[test]
        fn no_damage_to_a_file_breaks_its_reading(at in 0..FULL.len(), length in 0..40usize, put in "[ -~\n]{0,8}") {
            let end = (at + length).min(FULL.len());
            checked(&format!("{}{put}{}", &FULL[..at], &FULL[end..]));
        }

        #[test]
        fn no_text_breaks_the_reading(text: String) {
            checked(&text);
        }
    }
}

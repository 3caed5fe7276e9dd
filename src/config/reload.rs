//! Compares two configs, for a reload. A change that needs a restart is refused together with all the others.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use crate::domain::dialect::Dialect;
use crate::domain::webhook::secret::Secret;

use super::checked::{Config, Key, Provider, Setting, Tenant, Tls, Webhook};
use super::fault::{Fault, Faults, Remedy};
use super::table::owners::default_owner;

/// What differs between two configs. An error when the new one needs a restart: then nothing of it may be applied.
pub(crate) fn diff(old: &Config, new: &Config) -> Result<Changes, Faults> {
    let refused = restart_needed(&old.settings, &new.settings);
    if !refused.is_empty() {
        return Err(Faults::of(refused));
    }
    Ok(Changes {
        webhooks: Difference::of(&webhooks(old), &webhooks(new), webhook_changes),
        keys: Difference::of(&keys(old), &keys(new), key_changes),
        tenants: Difference::of(&tenants(old), &tenants(new), tenant_changes),
        providers: Difference::of(&providers(old), &providers(new), provider_changes),
        dialects: Difference::of(&dialects(old), &dialects(new), dialect_changes),
        settings: Difference::of(&settings(old), &settings(new), single_changes),
    })
}

/// The differences between two configs, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Webhooks, named `NAME` where provider and tenant are `default`, else `PROVIDER/TENANT/NAME`.
    pub(crate) webhooks: Difference,
    /// Keys, named `operator/NAME`, `PROVIDER/NAME` or `PROVIDER/TENANT/NAME`.
    pub(crate) keys: Difference,
    /// Tenants, named `PROVIDER/TENANT`.
    pub(crate) tenants: Difference,
    pub(crate) providers: Difference,
    /// Dialects that the files define.
    pub(crate) dialects: Difference,
    /// Settings, named as in `delivery.in_flight` and `operator.notify_url`.
    pub(crate) settings: Difference,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.kinds().iter().all(|(_, difference)| **difference == Difference::default())
    }

    /// What is new, by its kind and name.
    pub(crate) fn added(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.kinds().into_iter().flat_map(|(kind, of)| of.added.iter().map(move |name| (kind, name.as_str())))
    }

    /// What differs, by its kind.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (&'static str, &Changed)> {
        self.kinds().into_iter().flat_map(|(kind, of)| of.changed.iter().map(move |changed| (kind, changed)))
    }

    /// What is gone, by its kind and name.
    pub(crate) fn removed(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.kinds().into_iter().flat_map(|(kind, of)| of.removed.iter().map(move |name| (kind, name.as_str())))
    }

    fn kinds(&self) -> [(&'static str, &Difference); 6] {
        [
            ("webhook", &self.webhooks),
            ("key", &self.keys),
            ("tenant", &self.tenants),
            ("provider", &self.providers),
            ("dialect", &self.dialects),
            ("setting", &self.settings),
        ]
    }

    /// `+1 webhook (billing), +2 keys (…)`, or `+0`.
    fn group(&self, sign: char, names: impl Fn(&Difference) -> Vec<String>) -> String {
        let kinds = self.kinds().map(|(kind, difference)| (kind, names(difference)));
        let some: Vec<String> =
            kinds.iter().filter(|(_, names)| !names.is_empty()).map(|(kind, names)| counted(sign, kind, names)).collect();
        if some.is_empty() { format!("{sign}0") } else { some.join(", ") }
    }
}

/// `reload: +1 webhook (billing), ~1 webhook (crm: url), -0`.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let added = self.group('+', |difference| difference.added.clone());
        let changed = self.group('~', |difference| difference.changed.iter().map(ToString::to_string).collect());
        let removed = self.group('-', |difference| difference.removed.clone());
        write!(f, "reload: {added}, {changed}, {removed}")
    }
}

/// What differs of one kind: added and changed in the new config's order, removed in the order of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) added: Vec<String>,
    pub(crate) changed: Vec<Changed>,
    pub(crate) removed: Vec<String>,
}

/// One that is in both, and what of it differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) name: String,
    /// Empty when it has one value only.
    pub(crate) fields: Vec<&'static str>,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fields.as_slice() {
            [] => f.write_str(&self.name),
            fields => write!(f, "{}: {}", self.name, fields.join(" ")),
        }
    }
}

impl Difference {
    /// `changes` says which fields differ, `None` when none does.
    fn of<T: Copy>(old: &[(String, T)], new: &[(String, T)], changes: impl Fn(T, T) -> Option<Vec<&'static str>>) -> Self {
        let mut before: BTreeMap<&str, T> = old.iter().map(|(name, item)| (name.as_str(), *item)).collect();
        let mut difference = Self::default();
        for (name, item) in new {
            match before.remove(name.as_str()) {
                None => difference.added.push(name.clone()),
                Some(old) => difference.changed.extend(changes(old, *item).map(|fields| Changed { name: name.clone(), fields })),
            }
        }
        difference.removed = before.into_keys().map(str::to_owned).collect();
        difference
    }
}

fn restart_needed(old: &[Setting], new: &[Setting]) -> Vec<Fault> {
    let pairs = old.iter().zip(new).filter(|(old, new)| old.value != new.value && NEEDS_RESTART.contains(&new.name.as_str()));
    pairs.map(|(old, new)| refused(old, new)).collect()
}

fn refused(old: &Setting, new: &Setting) -> Fault {
    let [from, to] = [old, new].map(|setting| if setting.value.is_empty() { "nothing" } else { &setting.value });
    let message = format!("a reload cannot change `{}` from {from} to {to}, and nothing was changed", new.name);
    let remedy = Remedy::advice("restart the service to change it");
    Fault { location: new.location.clone(), message, remedy }
}

fn webhooks(config: &Config) -> Vec<(String, &Webhook)> {
    config.webhooks().map(|(provider, tenant, webhook)| (webhook.full_name(provider, tenant), webhook)).collect()
}

fn webhook_changes(old: &Webhook, new: &Webhook) -> Option<Vec<&'static str>> {
    let own = [
        ("url", old.url != new.url),
        ("events", old.events != new.events),
        ("description", old.description != new.description),
        ("secret", old.secret != new.secret),
    ];
    let settings = old.settings.differences(&new.settings).into_iter().map(|name| (name, true));
    changed(&own.into_iter().chain(settings).collect::<Vec<_>>())
}

fn keys(config: &Config) -> Vec<(String, &Key)> {
    let mut keys = named_keys("operator", &config.operator.keys);
    for provider in &config.providers {
        keys.extend(named_keys(&provider.name, &provider.keys));
        for tenant in &provider.tenants {
            keys.extend(named_keys(&format!("{}/{}", provider.name, tenant.id), &tenant.keys));
        }
    }
    keys
}

fn named_keys<'a>(owner: &str, keys: &'a [Key]) -> Vec<(String, &'a Key)> {
    keys.iter().map(|key| (format!("{owner}/{}", key.name), key)).collect()
}

fn key_changes(old: &Key, new: &Key) -> Option<Vec<&'static str>> {
    changed(&[
        ("key", old.hash != new.hash),
        ("scopes", old.scopes != new.scopes),
        ("rate_limit", old.rate_limit != new.rate_limit),
    ])
}

/// The default tenant is there whether the files speak of it or not.
fn tenants(config: &Config) -> Vec<(String, &Tenant)> {
    let of = |provider: &'_ Provider, tenant: &Tenant| format!("{}/{}", provider.name, tenant.id);
    let named = providers(config).into_iter().map(|(_, provider)| provider);
    let mut tenants: Vec<_> =
        named.flat_map(|provider| provider.tenants.iter().map(move |tenant| (of(provider, tenant), tenant))).collect();
    let default = IMPLIED.tenants.iter().map(|tenant| (of(&IMPLIED, tenant), tenant)).next();
    tenants.extend(default.filter(|(name, _)| tenants.iter().all(|(other, _)| other != name)));
    tenants
}

fn tenant_changes(old: &Tenant, new: &Tenant) -> Option<Vec<&'static str>> {
    changed(&[
        ("environment", old.environment != new.environment),
        ("retention", old.retention != new.retention),
        ("rate_limit", old.rate_limit != new.rate_limit),
    ])
}

/// The default provider is there whether the files speak of it or not.
fn providers(config: &Config) -> Vec<(String, &Provider)> {
    let is_named = config.providers.iter().any(|provider| provider.name == IMPLIED.name);
    let implied = (!is_named).then_some(&*IMPLIED);
    config.providers.iter().chain(implied).map(|provider| (provider.name.clone(), provider)).collect()
}

/// The default provider with the default tenant, as they are without a table of their own.
static IMPLIED: LazyLock<Provider> = LazyLock::new(default_owner);

fn provider_changes(old: &Provider, new: &Provider) -> Option<Vec<&'static str>> {
    changed(&[
        ("dialect", old.dialect != new.dialect),
        ("unknown_types", old.unknown_types != new.unknown_types),
        ("validate", old.validate != new.validate),
        ("create_tenants", old.create_tenants != new.create_tenants),
    ])
}

fn dialects(config: &Config) -> Vec<(String, &Dialect)> {
    config.dialects.iter().map(|(name, dialect)| (name.clone(), &**dialect)).collect()
}

fn dialect_changes(old: &Dialect, new: &Dialect) -> Option<Vec<&'static str>> {
    (old != new).then(Vec::new)
}

/// The three tables of single values, and what `[operator]` has besides keys. A secret is compared, never named; a certificate
/// by what is in its file, since a renewed one has the old one's path.
fn settings(config: &Config) -> Vec<(String, Single<'_>)> {
    let settings = config.settings.iter().map(|setting| match setting.name.as_str() {
        "server.tls_cert" => (setting.name.clone(), Single::Certificate(&setting.value, config.server.tls.as_ref())),
        _ => (setting.name.clone(), Single::Shown(&setting.value)),
    });
    let url = Single::Shown(config.operator.notify_url.as_deref().unwrap_or_default());
    let secret = Single::Hidden(config.operator.notify_secret.as_ref());
    let operator = [("operator.notify_url".to_owned(), url), ("operator.notify_secret_file".to_owned(), secret)];
    settings.chain(operator).collect()
}

/// A value that stands alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Single<'a> {
    Shown(&'a str),
    Hidden(Option<&'a Secret>),
    Certificate(&'a str, Option<&'a Tls>),
}

fn single_changes(old: Single<'_>, new: Single<'_>) -> Option<Vec<&'static str>> {
    (old != new).then(Vec::new)
}

fn changed(fields: &[(&'static str, bool)]) -> Option<Vec<&'static str>> {
    let fields: Vec<_> = fields.iter().filter(|(_, differs)| *differs).map(|(field, _)| *field).collect();
    (!fields.is_empty()).then_some(fields)
}

/// `+2 webhooks (a, b)`; of many only the first are named.
fn counted(sign: char, kind: &str, names: &[String]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    let shown = names[..names.len().min(NAMES_SHOWN)].join(", ");
    let more = names.len().saturating_sub(NAMES_SHOWN);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{sign}{} {kind}{plural} ({shown}{more})", names.len())
}

/// The store is open, the sockets are bound, and callers know them by these names.
const NEEDS_RESTART: [&str; 3] = ["server.listen", "server.admin_socket", "storage.path"];

/// A log line is read by people.
const NAMES_SHOWN: usize = 10;

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, Folder};
    use super::*;

    fn compared(old: &str, new: &str) -> Result<Changes, String> {
        let folder = Folder::new(old);
        let before = folder.load().expect("valid");
        folder.write("hookwheel.toml", new, 0o644);
        diff(&before, &folder.load().expect("valid")).map_err(|refused| folder.relative(&refused.to_string()))
    }

    fn webhook(name: &str, url: &str) -> String {
        format!("[[webhook]]\nname = \"{name}\"\nurl = \"https://{url}\"\nevents = [\"*\"]\n")
    }

    #[test]
    fn webhooks_are_named_with_what_changed() {
        let old = webhook("crm", "a.example") + &webhook("old", "a.example");
        let new = webhook("billing", "b.example") + &webhook("crm", "b.example");
        let printed = compared(&old, &new).expect("applicable").to_string();
        assert_eq!(printed, "reload: +1 webhook (billing), ~1 webhook (crm: url), -1 webhook (old)");
    }

    #[test]
    fn the_order_and_the_lines_of_a_file_change_nothing() {
        let (a, b) = (webhook("a", "a.example"), webhook("b", "a.example"));
        let changes = compared(&format!("{a}{b}"), &format!("# a line more\n{b}{a}")).expect("applicable");
        assert!(changes.is_empty(), "{changes}");
        assert_eq!(changes.to_string(), "reload: +0, ~0, -0");
    }

    #[test]
    fn owners_keys_and_settings_are_compared() {
        let old =
            "[delivery]\nin_flight = 5\n[[provider]]\nname = \"p\"\nkeys = [{ name = \"k\", secret_file = \"keys/one\" }]\n";
        let new = "[delivery]\nin_flight = 6\n[[provider]]\nname = \"p\"\ndialect = \"aioka\"\n[[provider.tenant]]\nid = \"t\"\n\
                   keys = [{ name = \"k\", secret_file = \"keys/one\" }]\n";
        let printed = compared(old, new).expect("applicable").to_string();
        let wanted = "reload: +1 key (p/t/k), +1 tenant (p/t), ~1 provider (p: dialect), \
                      ~2 settings (delivery.in_flight, delivery.in_flight_per_endpoint), -1 key (p/k)";
        assert_eq!(printed, wanted);
    }

    #[test]
    fn a_changed_dialect_changes_what_extends_it() {
        let old = "[dialect.a]\nextends = \"decisio\"\n[dialect.b]\nextends = \"a\"\n[dialect.c]\nextends = \"decisio\"\n";
        let new = format!("# moved\n{}", old.replacen("\"decisio\"", "\"decisio\"\ndelivery = { timeout = \"20s\" }", 1));
        let printed = compared(old, &new).expect("applicable").to_string();
        assert_eq!(printed, "reload: +0, ~2 dialects (a, b), -0");
    }

    #[test]
    fn a_changed_key_file_changes_its_key() {
        let folder = Folder::new(
            "[operator]\nkeys = [{ name = \"ops\", secret_file = \"keys/one\" }]\nnotify_url = \"https://a.example\"\n",
        );
        let before = folder.load().expect("valid");
        folder.write("keys/one", "another_key_of_enough_characters", 0o600);
        let changes = diff(&before, &folder.load().expect("valid")).expect("applicable");
        assert_eq!(changes.to_string(), "reload: +0, ~1 key (operator/ops: key), -0");
    }

    #[test]
    fn what_needs_a_restart_is_refused_whole_and_by_name() {
        let new = "[server]\nlisten = \"127.0.0.1:1\"\n[storage]\npath = \"/x\"\n[delivery]\nin_flight = 5\n";
        let printed = compared("", new).expect_err("refused");
        let wanted = "error: a reload cannot change `server.listen` from \"127.0.0.1:8080\" to \"127.0.0.1:1\", and nothing was \
                      changed; restart the service to change it   hookwheel.toml:2:10\n";
        assert!(printed.starts_with(wanted), "{printed}");
        assert!(printed.contains("`storage.path`") && !printed.contains("in_flight"), "{printed}");
    }

    #[test]
    fn the_default_tenant_neither_comes_nor_goes() {
        let provider = "[[provider]]\nname = \"p\"\n";
        let printed = |old: &str, new: &str| compared(old, new).expect("applicable").to_string();
        assert_eq!(printed("", &webhook("a", "a.example")), "reload: +1 webhook (a), ~0, -0");
        assert_eq!(printed(&webhook("a", "a.example"), provider), "reload: +1 provider (p), ~0, -1 webhook (a)");
        assert_eq!(
            printed("", "[[provider]]\nname = \"default\"\ndialect = \"aioka\"\n"),
            "reload: +0, ~1 provider (default: dialect), -0"
        );
        let changes = compared("", &webhook("a", "a.example")).expect("applicable");
        assert_eq!(changes.added().collect::<Vec<_>>(), [("webhook", "a")]);
        assert_eq!((changes.changed().count(), changes.removed().count()), (0, 0));
    }

    #[test]
    fn a_renewed_certificate_is_a_change() {
        let folder = Folder::new("[server]\ntls_cert = \"tls.pem\"\ntls_key = \"tls.pem\"\n");
        let renew = || {
            let (certificate, key) = fixture::certificate();
            folder.write("tls.pem", certificate + &key, 0o600);
            folder.load().expect("valid")
        };
        let (before, after) = (renew(), renew());
        assert_eq!(diff(&before, &after).expect("applicable").to_string(), "reload: +0, ~1 setting (server.tls_cert), -0");
        assert!(diff(&after, &folder.load().expect("valid")).expect("applicable").is_empty());
    }

    #[test]
    fn of_many_names_the_first_are_shown() {
        let many: String = (0..12).map(|at| webhook(&format!("w{at}"), "a.example")).collect();
        let printed = compared("", &many).expect("applicable").to_string();
        assert!(printed.contains("+12 webhooks (w0, ") && printed.contains("w9 and 2 more), ~0"), "{printed}");
    }
}

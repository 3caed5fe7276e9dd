//! Reads `[operator]`, `[[provider]]` with their tenants and webhooks, and the top-level `[[webhook]]`.

use crate::domain::id::uid::Uid;
use crate::domain::schema::Validate;
use crate::domain::tenant::RETENTIONS;
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::UID;

use super::judge::{Judge, Spoken};
use super::keys::{Keys, OwnerKind};
use super::names::Names;
use super::webhook_settings::settings;
use crate::config::checked::{DEFAULT_DIALECT, DEFAULT_OWNER, Operator, Provider, Tenant, UNKNOWN_TYPES, VALIDATE, Webhook};
use crate::config::dialect::parts::word;
use crate::config::fault::{Faults, Location, Placed, Remedy};
use crate::config::source::document::Table;
use crate::config::source::secret_file;
use crate::config::source::shape::Shape;

/// Reads the owners of a config, with what they share while they are read.
pub(crate) struct Owners<'a> {
    pub(crate) judge: &'a Judge,
    pub(crate) keys: Keys,
    pub(crate) faults: &'a mut Faults,
}

/// What the webhooks of one tenant are called, each with its place.
#[derive(Default)]
struct Called {
    names: Names<String>,
    uids: Names<Uid>,
}

impl Called {
    fn of(webhooks: &[Webhook]) -> Self {
        let names = webhooks.iter().map(|webhook| (webhook.name.clone(), webhook.location.clone()));
        let uids = webhooks.iter().filter_map(|webhook| Some((webhook.settings.uid.clone()?, webhook.location.clone())));
        Self { names: Names::with(names), uids: Names::with(uids) }
    }
}

impl Owners<'_> {
    /// Takes the table `operator` out of the root.
    pub(crate) fn operator(&mut self, root: &mut Table) -> Operator {
        let Some(mut table) = root.table("operator", self.faults) else { return Operator::default() };
        let keys = self.keys.take(&mut table, OwnerKind::Operator, self.faults);
        let url = self.url(&mut table, "notify_url", DEFAULT_DIALECT);
        let notify_secret = self.notify_secret(&mut table, url.is_some());
        table.finish(self.faults);
        Operator { keys, notify_url: url, notify_secret }
    }

    /// Takes the tables `provider` and `webhook` out of the root.
    pub(crate) fn providers(&mut self, root: &mut Table) -> Vec<Provider> {
        let mut names = Names::default();
        let tables = root.tables("provider", self.faults);
        let mut providers: Vec<Provider> = tables.into_iter().filter_map(|table| self.provider(table, &mut names)).collect();
        let webhooks = root.tables("webhook", self.faults);
        if !webhooks.is_empty() {
            self.top_level(webhooks, &mut providers);
        }
        providers
    }

    fn provider(&mut self, mut table: Table, names: &mut Names<String>) -> Option<Provider> {
        let name = table.id("name", "\"acme\"", self.faults);
        let dialect = self.dialect(&mut table);
        let sets = ["validate", "unknown_types", "create_tenants"].into_iter().filter(|key| table.has(key)).collect();
        let unknown_types = word(&mut table, "unknown_types", &UNKNOWN_TYPES, self.faults).map(|word| word.value);
        let validate = word(&mut table, "validate", &VALIDATE, self.faults).map_or(Validate::Off, |word| word.value);
        let create_tenants = table.boolean("create_tenants", self.faults).is_some_and(|create| create.value);
        let keys = self.keys.take(&mut table, OwnerKind::Provider, self.faults);
        let tenants = self.tenants(&mut table, Spoken { dialect: &dialect, unknown_types });
        table.finish(self.faults);
        let name = name?;
        let what = format!("the provider `{}`", name.value);
        names.once(name.value.clone(), &name.location, &what, "one [[provider]] holds the tenants of both", self.faults);
        self.check_default(&name, &tenants);
        Some(Provider { name: name.value, dialect, unknown_types, validate, create_tenants, sets, keys, tenants })
    }

    /// The default tenant is there without the file, so what the file said of its retention would outlast the file.
    fn check_default(&mut self, provider: &Placed<String>, tenants: &[Tenant]) {
        let is_kept_apart = |tenant: &Tenant| tenant.id == DEFAULT_OWNER && tenant.retention.is_some();
        if provider.value == DEFAULT_OWNER && tenants.iter().any(is_kept_apart) {
            let message = "the tenant `default/default` has a `retention` of its own, which only the API can give it";
            self.faults.add(&provider.location, message, Remedy::advice("say it as `retention` under [storage]"));
        }
    }

    fn dialect(&mut self, table: &mut Table) -> String {
        let Some(dialect) = table.string("dialect", self.faults) else { return DEFAULT_DIALECT.to_owned() };
        self.judge.check_name(&dialect, self.faults);
        dialect.value
    }

    fn tenants(&mut self, provider: &mut Table, spoken: Spoken<'_>) -> Vec<Tenant> {
        let mut names = Names::default();
        let tables = provider.tables("tenant", self.faults);
        tables.into_iter().filter_map(|table| self.tenant(table, spoken, &mut names)).collect()
    }

    fn tenant(&mut self, mut table: Table, spoken: Spoken<'_>, names: &mut Names<String>) -> Option<Tenant> {
        let id = table.id("id", "\"acme\"", self.faults);
        let environment = table.has("environment").then(|| table.label("environment", "\"Sandbox\"", self.faults));
        let retention = table.duration("retention", RETENTIONS, self.faults);
        let rate_limit = table.rate("rate_limit", self.faults).map(|rate| rate.value);
        let keys = self.keys.take(&mut table, OwnerKind::Tenant, self.faults);
        let webhooks = table.tables("webhook", self.faults);
        let webhooks = self.webhooks(webhooks, spoken, &mut Called::default());
        table.finish(self.faults);
        let id = id?;
        let what = format!("the tenant `{}`", id.value);
        names.once(id.value.clone(), &id.location, &what, "one [[provider.tenant]] holds the webhooks of both", self.faults);
        let environment = environment.flatten().map_or_else(|| DEFAULT_ENVIRONMENT.to_owned(), |given| given.value);
        let retention = retention.map(|retention| retention.value);
        Some(Tenant { id: id.value, environment, retention, rate_limit, keys, webhooks })
    }

    fn webhooks(&mut self, tables: Vec<Table>, spoken: Spoken<'_>, called: &mut Called) -> Vec<Webhook> {
        tables.into_iter().filter_map(|table| self.webhook(table, spoken, called)).collect()
    }

    fn webhook(&mut self, mut table: Table, spoken: Spoken<'_>, called: &mut Called) -> Option<Webhook> {
        let location = table.location.clone();
        let name = table.label("name", "\"billing\"", self.faults);
        if !table.has("url") {
            table.missing("url", "\"https://hooks.example.com/path\"", self.faults);
        }
        let url = self.url(&mut table, "url", spoken.dialect);
        let events = self.events(&mut table, spoken);
        let description = table.string("description", self.faults).map(|text| text.value);
        let secret = self.secret(&mut table, "secret_file", spoken.dialect);
        let uid_location = table.entry(UID).map(|entry| entry.value.location.clone());
        let settings = settings(&mut table, |setting| self.judge.setting(setting, spoken.dialect), self.faults);
        table.finish(self.faults);
        let (name, description) = (name?, description.unwrap_or_default());
        let what = format!("the webhook `{}`", name.value);
        let advice = "give each webhook of a tenant a name of its own";
        called.names.once(name.value.clone(), &name.location, &what, advice, self.faults);
        if let (Some(uid), Some(location)) = (&settings.uid, uid_location) {
            let (what, advice) = (format!("the uid `{uid}`"), "give each webhook of a tenant a uid of its own, or none");
            called.uids.once(uid.clone(), &location, &what, advice, self.faults);
        }
        Some(Webhook { name: name.value, url: url?, events: events?, description, secret, settings, location })
    }

    /// Top-level webhooks join the provider and tenant `default`, which may also have tables of their own.
    fn top_level(&mut self, tables: Vec<Table>, providers: &mut Vec<Provider>) {
        let location = tables.first().map(|table| table.location.clone()).unwrap_or_default();
        let provider = self.default_provider(&location, providers);
        let unknown_types = provider.unknown_types;
        let tenant = default_tenant(&mut provider.tenants);
        let mut called = Called::of(&tenant.webhooks);
        let spoken = Spoken { dialect: DEFAULT_DIALECT, unknown_types };
        tenant.webhooks.extend(self.webhooks(tables, spoken, &mut called));
    }

    fn default_provider<'p>(&mut self, location: &Location, providers: &'p mut Vec<Provider>) -> &'p mut Provider {
        let at = providers.iter().position(|provider| provider.name == DEFAULT_OWNER).unwrap_or(providers.len());
        if at == providers.len() {
            providers.push(default_owner());
        }
        let provider = &mut providers[at];
        if provider.dialect != DEFAULT_DIALECT {
            let message =
                format!("a top-level [[webhook]] belongs to the provider `default`, whose dialect is `{}`", provider.dialect);
            self.faults.add(
                location,
                message,
                Remedy::advice("put it under its tenant, as [[provider.tenant.webhook]], or name that provider otherwise"),
            );
        }
        provider
    }

    fn url(&mut self, table: &mut Table, key: &str, dialect: &str) -> Option<String> {
        let judge = self.judge;
        self.faults.record(&table.path, key, || Shape::Text);
        let taken = table.take(key, self.faults, |value, _| judge.url(value, dialect))?;
        Some(taken.value)
    }

    fn events(&mut self, table: &mut Table, spoken: Spoken<'_>) -> Option<Vec<Pattern>> {
        if !table.has("events") {
            table.missing("events", EVENTS_EXAMPLE, self.faults);
        }
        let judge = self.judge;
        self.faults.record(&table.path, "events", || Shape::list(Shape::Text));
        let events = table.list("events", self.faults, EVENTS_EXAMPLE, |value| judge.pattern(value, spoken))?;
        if events.value.is_empty() {
            self.faults.add(
                &events.location,
                "`events` names none; `*` stands for every one",
                format!("events = {EVENTS_EXAMPLE}"),
            );
        }
        Some(events.value.into_iter().map(|event| event.value).collect())
    }

    fn secret(&mut self, table: &mut Table, key: &str, dialect: &str) -> Option<Secret> {
        let file = table.path(key, self.faults)?;
        let secret = Placed::new(secret_file::secret(&file, self.faults)?, file.location);
        self.judge.check_secret(&secret, dialect, self.faults);
        Some(secret.value)
    }

    fn notify_secret(&mut self, table: &mut Table, has_url: bool) -> Option<Secret> {
        let location = table.entry("notify_secret_file").map(|entry| entry.location.clone());
        let secret = self.secret(table, "notify_secret_file", DEFAULT_DIALECT);
        if let (Some(location), false) = (location, has_url) {
            self.faults.add(
                &location,
                "`notify_secret_file` is given without `notify_url`",
                "notify_url = \"https://ops.example.com/hooks\"",
            );
        }
        secret
    }
}

/// The provider `default` with its tenant `default`, as they are where no file names them.
pub(in crate::config) fn default_owner() -> Provider {
    let (name, dialect) = (DEFAULT_OWNER.to_owned(), DEFAULT_DIALECT.to_owned());
    let mut tenants = Vec::new();
    default_tenant(&mut tenants);
    let (sets, keys) = (Vec::new(), Vec::new());
    Provider { name, dialect, unknown_types: None, validate: Validate::Off, create_tenants: false, sets, keys, tenants }
}

fn default_tenant(tenants: &mut Vec<Tenant>) -> &mut Tenant {
    let at = tenants.iter().position(|tenant| tenant.id == DEFAULT_OWNER).unwrap_or(tenants.len());
    if at == tenants.len() {
        let (id, environment) = (DEFAULT_OWNER.to_owned(), DEFAULT_ENVIRONMENT.to_owned());
        tenants.push(Tenant { id, environment, retention: None, rate_limit: None, keys: Vec::new(), webhooks: Vec::new() });
    }
    &mut tenants[at]
}

/// The value of `$tenant.environment` where the file names none.
const DEFAULT_ENVIRONMENT: &str = "Production";

const EVENTS_EXAMPLE: &str = "[\"invoice.*\"]";

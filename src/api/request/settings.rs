//! What the API must know of the config: who may ask, how each provider speaks, where webhooks may point.
//!
//! One value, never changed: a reload puts a new one in its place, and a request works with the one it began with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::judged::Judged;
use crate::api::pages::sites::Sites;
use crate::api::response::problem::Problem;
use crate::config::checked::{self, Config};
use crate::config::dangers::Dangers;
use crate::domain::access::{Key, KeyHash, Maker, Role, Terms};
use crate::domain::dialect::Dialect;
use crate::domain::provider::ProviderSettings;
use crate::domain::rate::Rate;
use crate::domain::resource::Resource;
use crate::domain::schema::Validate;
use crate::domain::text::nearest::nearest;
use crate::domain::time::Timestamp;
use crate::domain::webhook::effective::Defaults;
use crate::domain::webhook::egress::ByProxy;
use crate::domain::webhook::endpoint::Endpoint;
use crate::domain::webhook::target::{Guard, Schemes};
use crate::store::{Described, Tenants};

/// The config as the API reads it.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The keys of the files; the others are the store's.
    keys: HashMap<KeyHash, Arc<Key>>,
    providers: HashMap<Box<str>, Arc<Provider>>,
    /// Where each webhook of the files stands.
    files: HashMap<FileWebhook, Box<str>>,
    /// The first of the config's files, as it is called in answers.
    pub(crate) file: Box<str>,
    danger_allow_http: bool,
    /// What `status` warns of.
    pub(crate) dangers: Dangers,
    /// Who reads the metrics without a key.
    pub(crate) metrics_allow: Vec<IpNet>,
    /// `[storage] max_bytes`.
    pub(crate) store_bytes_max: u64,
    /// What counts for every webhook that says nothing else.
    pub(crate) defaults: Defaults,
    /// How long an old secret signs beside a new one.
    pub(crate) rotation_overlap: Duration,
    /// Judges the literal addresses of new URLs.
    pub(crate) guard: Guard,
    /// By which names a browser may call the dashboard.
    pub(crate) sites: Sites,
}

/// A provider: its dialect, and what is known of its tenants.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    pub(crate) name: Arc<str>,
    pub(crate) dialect: Arc<Dialect>,
    /// Whether an event makes its tenant when there is none.
    pub(crate) create_tenants: bool,
    /// What becomes of an event whose data does not match the schema of its type.
    pub(crate) validate: Validate,
    /// Which of `validate`, `unknown_types` and `create_tenants` the config file sets.
    pub(crate) sets: Vec<&'static str>,
    /// What published types were probably meant as.
    pub(crate) judged: Arc<Judged>,
    /// Of the tenants that the config file lists.
    listed: HashMap<Box<str>, Listed>,
    /// Of the tenants that the API described; the file's word goes first.
    described: Option<Tenants>,
    environment: Arc<str>,
}

/// What the config file says of a tenant.
#[derive(Clone, Debug)]
struct Listed {
    environment: Arc<str>,
    rate_limit: Option<Rate>,
}

impl Settings {
    /// Provider and tenant `default` with dialect `standard` are always there; `None` when a dialect of the config is unknown
    /// to `dialect`, which a checked config never names.
    pub(crate) fn new(config: &Config, dialect: impl Fn(&str) -> Option<Arc<Dialect>>, guard: Guard) -> Option<Self> {
        let standard = Provider::new(checked::DEFAULT_OWNER, dialect(checked::DEFAULT_DIALECT)?);
        let mut providers = HashMap::from([(checked::DEFAULT_OWNER.into(), Arc::new(standard))]);
        for provider in &config.providers {
            let known = Provider::of(provider, spoken(provider, dialect(&provider.dialect)?));
            providers.insert(provider.name.as_str().into(), Arc::new(known));
        }
        Some(Self {
            keys: keys(config).map(|key| (key.hash, Arc::new(key))).collect(),
            providers,
            files: config.webhooks().map(|(provider, tenant, webhook)| place(provider, tenant, webhook)).collect(),
            file: config.files.first().map(|file| file.to_string_lossy().into()).unwrap_or_default(),
            danger_allow_http: config.delivery.danger_allow_http,
            dangers: Dangers::of(config),
            metrics_allow: config.server.metrics_allow.clone(),
            store_bytes_max: config.storage.max_bytes.bytes(),
            defaults: Defaults {
                per_endpoint: config.delivery.in_flight_per_endpoint,
                has_proxy: matches!(config.delivery.proxy.as_deref(), Some(ByProxy::Through(_))),
            },
            rotation_overlap: config.delivery.rotation_overlap,
            sites: Sites::new(config, guard.own.first().copied().unwrap_or(config.server.listen)),
            guard,
        })
    }

    pub(crate) fn key(&self, hash: &KeyHash) -> Option<&Arc<Key>> {
        self.keys.get(hash)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.values()
    }

    pub(crate) fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.get(name)
    }

    /// The provider that an operator names; else the problem says which known one was probably meant.
    pub(crate) fn known_provider(&self, name: &str) -> Result<&Arc<Provider>, Problem> {
        self.provider(name).ok_or_else(|| Problem::Unknown {
            what: Resource::Provider,
            name: name.into(),
            near: nearest(name, self.providers.keys().map(|known| &**known)).map(Into::into),
        })
    }

    pub(crate) fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// The file, line and column that a file-owned webhook comes from, while it stands there.
    pub(crate) fn place(&self, endpoint: &Endpoint) -> Option<&str> {
        let webhook = (endpoint.provider.clone(), endpoint.tenant.clone(), endpoint.definition.name.clone());
        self.files.get(&webhook).map(|location| &**location)
    }

    /// Which URLs a webhook of this dialect may have.
    pub(crate) fn schemes(&self, dialect: &Dialect) -> Schemes {
        Schemes { http: dialect.api.plain_http || self.danger_allow_http }
    }
}

impl Provider {
    /// With nothing known of its tenants.
    pub(crate) fn new(name: &str, dialect: Arc<Dialect>) -> Self {
        let (listed, environment) = (HashMap::new(), ENVIRONMENT.into());
        let (create_tenants, validate, judged) = (false, Validate::Off, Arc::default());
        let sets = Vec::new();
        Self { name: name.into(), dialect, create_tenants, validate, sets, judged, listed, described: None, environment }
    }

    fn of(provider: &checked::Provider, dialect: Arc<Dialect>) -> Self {
        let listed = provider.tenants.iter().map(|tenant| {
            let (environment, rate_limit) = (tenant.environment.as_str().into(), tenant.rate_limit);
            (tenant.id.as_str().into(), Listed { environment, rate_limit })
        });
        let listed = listed.collect();
        let (create_tenants, validate) = (provider.create_tenants, provider.validate);
        let sets = provider.sets.clone();
        Self { listed, create_tenants, validate, sets, ..Self::new(&provider.name, dialect) }
    }

    /// The same provider with another dialect.
    pub(crate) fn speaking(&self, dialect: Arc<Dialect>) -> Self {
        Self { dialect, judged: Arc::default(), ..self.clone() }
    }

    /// The same provider with what the API says of it, where the config file says nothing.
    pub(crate) fn with_settings(self, settings: &ProviderSettings) -> Self {
        let is_free = |name: &str| !self.sets.contains(&name);
        let validate = settings.validate.filter(|_| is_free("validate")).unwrap_or(self.validate);
        let create_tenants = settings.create_tenants.filter(|_| is_free("create_tenants")).unwrap_or(self.create_tenants);
        let dialect = match settings.unknown_types.filter(|_| is_free("unknown_types")) {
            Some(unknown_types) => Arc::new(self.dialect.with_unknown_types(unknown_types)),
            None => self.dialect.clone(),
        };
        Self { validate, create_tenants, ..self.speaking(dialect) }
    }

    /// The same provider with what the API says of its tenants.
    pub(crate) fn with_tenants(self, described: Option<Tenants>) -> Self {
        Self { described, ..self }
    }

    /// A tenant's `$tenant.environment`: the file's, the API's, or `Production`.
    pub(crate) fn environment(&self, tenant: Option<&str>) -> Arc<str> {
        let known = tenant.and_then(|tenant| match self.listed.get(tenant) {
            Some(listed) => Some(&listed.environment),
            None => self.described(tenant)?.environment.as_ref(),
        });
        known.unwrap_or(&self.environment).clone()
    }

    /// How often an event may be published for a tenant: as the file says, or the API; `None`: as often as the service takes them.
    pub(crate) fn rate_limit(&self, tenant: &str) -> Option<Rate> {
        self.listed.get(tenant).map_or_else(|| self.described(tenant)?.rate_limit, |listed| listed.rate_limit)
    }

    /// The id of the provider's tenant that this text names, by its id or its uid. A text that names none stays as it is.
    pub(crate) fn tenant_called<'a>(&'a self, text: &'a str) -> &'a str {
        self.described.as_ref().and_then(|known| known.ids.get(text)).map_or(text, |id| id)
    }

    fn described(&self, tenant: &str) -> Option<&Described> {
        self.described.as_ref()?.described.get(tenant)
    }
}

/// The dialect as the provider wants it.
fn spoken(provider: &checked::Provider, dialect: Arc<Dialect>) -> Arc<Dialect> {
    match provider.unknown_types {
        None => dialect,
        Some(unknown_types) => Arc::new(dialect.with_unknown_types(unknown_types)),
    }
}

/// Provider, tenant and name of a file-owned webhook.
type FileWebhook = (Box<str>, Box<str>, Box<str>);

fn place(provider: &checked::Provider, tenant: &checked::Tenant, webhook: &checked::Webhook) -> (FileWebhook, Box<str>) {
    let name = (provider.name.as_str().into(), tenant.id.as_str().into(), webhook.name.as_str().into());
    (name, webhook.location.to_string().into())
}

fn keys(config: &Config) -> impl Iterator<Item = Key> {
    let operator = config.operator.keys.iter().map(|key| file_key(key, key.name.clone(), Role::Operator));
    operator.chain(config.providers.iter().flat_map(provider_keys))
}

fn provider_keys(provider: &checked::Provider) -> impl Iterator<Item = Key> {
    let name = &provider.name;
    let own = provider.keys.iter().map(move |key| file_key(key, format!("{name}.{}", key.name), provider_role(name, key)));
    own.chain(provider.tenants.iter().flat_map(move |tenant| tenant.keys.iter().map(move |key| tenant_key(name, tenant, key))))
}

fn provider_role(provider: &str, key: &checked::Key) -> Role {
    Role::Provider { provider: provider.into(), scopes: key.scopes }
}

fn tenant_key(provider: &str, tenant: &checked::Tenant, key: &checked::Key) -> Key {
    let role = Role::Tenant { provider: provider.into(), tenant: tenant.id.as_str().into(), scopes: key.scopes };
    file_key(key, format!("{provider}.{}.{}", tenant.id, key.name), role)
}

/// Names are unique within their owner alone, so the id carries the owner too.
fn file_key(key: &checked::Key, id: String, role: Role) -> Key {
    let id = format!("{FILE_KEY}{id}").into();
    let (name, terms) = (key.name.as_str().into(), Terms { rate_limit: key.rate_limit, ..Terms::default() });
    Key { id, name, role, hash: key.hash, created_at: Timestamp::EPOCH, maker: Maker::NOT_KEPT, terms }
}

/// How the id of a key from a file begins.
pub(crate) const FILE_KEY: &str = "key_file_";

/// Of a tenant whose environment nobody named.
const ENVIRONMENT: &str = "Production";

#[cfg(test)]
pub(crate) mod fixture {
    //! Settings for tests: provider `default`, and provider `acme` whose tenant `t1` is in a sandbox.

    use super::*;
    use crate::domain::access::Scopes;
    use crate::domain::delivery::retry::{Policy, Retry};
    use crate::domain::dialect::{Api, Counted, Delivery, Disable, EventRules, EventTypes, SecretPolicy, Success, WebhookField};
    use crate::domain::template::{Body, Numbers, Precision};
    use crate::domain::webhook::secret::Format;
    use crate::store::KnownTenants;

    /// A dialect that demands and signs nothing; tests set what they need.
    pub(crate) fn dialect(template: &str, numbers: Numbers) -> Dialect {
        Dialect {
            name: "plain".into(),
            description: "".into(),
            api: Api {
                wrap: "".into(),
                webhook: WebhookField::ALL.to_vec(),
                secret: SecretPolicy::Generated,
                secret_format: Format::parse("whsec_{base62:32}").unwrap(),
                max_webhooks_per_key: 0,
                unique_name: false,
                shows_removed: true,
                plain_http: false,
            },
            event: EventRules::default(),
            body: Body::parse(template, numbers, Precision::Seconds).unwrap(),
            unique_time: false,
            headers: Vec::new(),
            signature: None,
            delivery: Delivery {
                success: Success::Any2xx,
                timeout: Duration::from_secs(15),
                retry_after: false,
                gone: false,
                pin_url: false,
                one_slot_after: Vec::new(),
            },
            retry: Retry { policy: Policy::Schedule(Vec::new()), jitter: 0.0 },
            disable: Disable { consecutive: 10, count: Counted::Deliveries },
            event_types: EventTypes::default(),
        }
    }

    pub(crate) fn provider(name: &str, dialect: Dialect) -> Arc<Provider> {
        let mut provider = Provider::new(name, Arc::new(dialect));
        let rate_limit = Some("2/h".parse().unwrap());
        provider.listed.insert("t1".into(), Listed { environment: "Sandbox".into(), rate_limit });
        Arc::new(provider)
    }

    pub(crate) fn settings(keys: Vec<Key>) -> Settings {
        let plain = || dialect(r#"{"data":$data}"#, Numbers::AsPublished);
        let providers = ["default", "acme"].map(|name| (name.into(), provider(name, plain())));
        Settings {
            keys: keys.into_iter().map(|key| (key.hash, Arc::new(key))).collect(),
            providers: HashMap::from(providers),
            files: HashMap::new(),
            file: "hookwheel.toml".into(),
            danger_allow_http: false,
            dangers: Dangers::default(),
            metrics_allow: Vec::new(),
            store_bytes_max: u64::MAX,
            defaults: Defaults { per_endpoint: 16, has_proxy: false },
            rotation_overlap: Duration::from_secs(86_400),
            guard: Guard::default(),
            sites: Sites::default(),
        }
    }

    pub(crate) fn tenant(provider: &str, tenant: &str, scopes: Scopes) -> Role {
        Role::Tenant { provider: provider.into(), tenant: tenant.into(), scopes }
    }

    #[test]
    fn a_tenant_nobody_named_is_in_production() {
        let settings = settings(Vec::new());
        let acme = settings.provider("acme").unwrap();
        assert_eq!(&*acme.environment(Some("t1")), "Sandbox");
        assert_eq!(&*acme.environment(Some("t2")), "Production");
        assert_eq!(&*acme.environment(None), "Production");
    }

    #[test]
    fn the_file_has_its_say_of_a_tenant_before_the_api() {
        let described = |environment: &str| Described { environment: Some(environment.into()), rate_limit: None };
        let described = ["t1", "t2"].map(|id| (id.into(), described("Staging"))).into();
        let ids = [("crm.1".into(), "t1".into())].into();
        let tenants = Arc::new(KnownTenants { described, ids });
        let acme = Provider::clone(settings(Vec::new()).provider("acme").unwrap()).with_tenants(Some(tenants));
        assert_eq!(["crm.1", "t1", "crm.2"].map(|text| acme.tenant_called(text)), ["t1", "t1", "crm.2"]);
        let environments = ["t1", "t2", "t3"].map(|id| acme.environment(Some(id)).to_string());
        assert_eq!(environments, ["Sandbox", "Staging", "Production"]);
        assert_eq!(acme.rate_limit("t1").map(|rate| rate.to_string()).as_deref(), Some("2/h"));
        assert_eq!(acme.rate_limit("t2"), None);
    }
}

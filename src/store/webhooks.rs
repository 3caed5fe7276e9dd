//! Changes of webhooks, inside the writer: made by the API, by the config file, or by what deliveries came to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::batch::Batch;
use super::error::Error;
use super::fact::Fact;
use super::op::{Dialects, FileSays, FromFile, NewWebhook, Redefine, WebhookOp};
use super::registry::{Listing, Registry};
use super::{Denied, Owned, record};
use crate::domain::endpoint::{Definition, Endpoint, LiveSecret, Owner, Standing, Why};
use crate::domain::id::{EndpointNo, EventKey, TenantNo, webhook_id};
use crate::domain::secret::Secret;

type Answer = Result<Result<Arc<Endpoint>, Denied>, Error>;

impl Batch<'_, '_> {
    pub(super) fn webhook(&mut self, op: WebhookOp) -> Answer {
        match op {
            WebhookOp::Create(new) => self.create(new),
            WebhookOp::Update { no, redefine, unique_name } => self.update(no, redefine, unique_name),
            WebhookOp::Enable(no) => self.change(no, |endpoint| endpoint.enabled()),
            WebhookOp::Disable(no) => self.change_own(no, |endpoint, now| endpoint.disabled(Why::ByHand, now)),
            WebhookOp::Delete(no) => self.change_own(no, |mut endpoint, now| {
                endpoint.standing = Standing::Deleted { at: now };
                endpoint
            }),
            WebhookOp::Rotate { no, secret, overlap } => self.rotate(no, secret, overlap),
        }
    }

    /// Makes all that the file owns what the file says. Webhooks that it no longer names are disabled, and so are all of a
    /// provider or tenant that it no longer names, whose keys are revoked; nothing that was disabled for another reason is enabled.
    pub(super) fn sync(&mut self, file: FileSays) -> Result<Result<Vec<Arc<Endpoint>>, Denied>, Error> {
        if let Some(taken) = file.webhooks.iter().find(|webhook| self.is_taken(webhook, &file.dialects)) {
            let FromFile { owned: Owned { provider, tenant }, definition, .. } = taken;
            return Ok(Err(Denied::NameTakenByApi(format!("{provider}/{tenant}/{}", definition.name).into())));
        }
        self.shared.registry_mut().dialects = file.dialects.into_iter().collect();
        let left = self.list_tenants(&file.tenants)?;
        self.revoke_left(&left)?;
        let mut known = self.file_owned();
        let mut kept = Vec::with_capacity(file.webhooks.len());
        for webhook in file.webhooks {
            let old = known.remove(&(webhook.owned.clone(), webhook.definition.name.clone()));
            kept.push(self.sync_one(webhook, old)?);
        }
        let others = self.follow_owners(&left);
        let active = known.into_values().filter(|endpoint| endpoint.is_active());
        let gone: Vec<Endpoint> = active.map(|endpoint| self.without_file(endpoint)).collect();
        for endpoint in gone.into_iter().chain(others) {
            self.set_endpoint(Arc::new(endpoint))?;
        }
        Ok(Ok(kept))
    }

    /// Whether the API made a webhook whose name the file wants, where names are unique.
    fn is_taken(&self, file: &FromFile, dialects: &Dialects) -> bool {
        let unique = dialects.iter().any(|(provider, dialect)| *provider == file.owned.provider && dialect.api.unique_name);
        let theirs = |other: &Arc<Endpoint>| !other.is_file_owned() && other.definition.name == file.definition.name;
        unique && self.webhooks_of(&file.owned).iter().any(theirs)
    }

    fn without_file(&self, endpoint: Arc<Endpoint>) -> Endpoint {
        Endpoint::clone(&endpoint).disabled(Why::NotInFile, self.now)
    }

    /// Webhooks made by the API whose provider or tenant went or came back. One of a tenant that went earlier stands as it was
    /// set since.
    fn follow_owners(&self, left: &HashSet<TenantNo>) -> Vec<Endpoint> {
        let registry = self.shared.registry();
        let made = self.all_webhooks(&registry).into_iter().filter(|endpoint| !endpoint.is_file_owned());
        let changed = made.filter_map(|endpoint| {
            let named = registry.dialects.contains_key(&endpoint.provider);
            let gone = registry.listing(endpoint.tenant_no) == Listing::Gone;
            match endpoint.standing {
                Standing::Active if !named || left.contains(&endpoint.tenant_no) => {
                    Some(Endpoint::clone(&endpoint).disabled(Why::NotInFile, self.now))
                }
                Standing::Disabled { why: Why::NotInFile, .. } if named && !gone => Some(Endpoint::clone(&endpoint).enabled()),
                _ => None,
            }
        });
        changed.collect()
    }

    /// Writes a webhook, and starts what its new standing asks for.
    pub(super) fn set_endpoint(&mut self, endpoint: Arc<Endpoint>) -> Result<(), Error> {
        let before = self.entry(endpoint.no).map(|entry| entry.endpoint.standing);
        let mut bytes = Vec::new();
        record::write_endpoint(&endpoint, &self.shared.sealer, &mut bytes)?;
        self.tables.endpoint()?.insert(endpoint.no.0, &*bytes)?;
        self.after.dirty = true;
        self.after.changed.insert(endpoint.no, endpoint.clone());
        if before.is_some_and(|before| before != endpoint.standing) {
            self.standing_changed(endpoint)?;
        }
        Ok(())
    }

    fn standing_changed(&mut self, endpoint: Arc<Endpoint>) -> Result<(), Error> {
        match endpoint.standing {
            Standing::Active => self.woken(&endpoint)?,
            Standing::Disabled { why, .. } => {
                self.park_pending(endpoint.no)?;
                self.fell_asleep(&endpoint, why)?;
            }
            Standing::Deleted { .. } => self.end_pending(endpoint.no)?,
        }
        self.after.committed.standings.push(endpoint);
        Ok(())
    }

    fn woken(&mut self, endpoint: &Endpoint) -> Result<(), Error> {
        let (at, webhook) = (self.now, endpoint.id.to_string());
        self.fact(|| Fact::Enabled { at, webhook });
        if let Some(cursor) = self.memory.backlogs.get_mut(&endpoint.no) {
            cursor.after = 0;
            cursor.more = true;
            self.after.committed.backlogs.push((endpoint.no, true));
        }
        self.notify_standing(endpoint, None)
    }

    fn fell_asleep(&mut self, endpoint: &Endpoint, why: Why) -> Result<(), Error> {
        let (at, webhook) = (self.now, endpoint.id.to_string());
        self.fact(|| Fact::Disabled { at, webhook, why: why.text() });
        self.log_disabled(endpoint, why);
        self.notify_standing(endpoint, Some(why))
    }

    /// Says so in the log, once it is true: a warning where nobody asked for it.
    fn log_disabled(&mut self, endpoint: &Endpoint, why: Why) {
        let (webhook, name) = (endpoint.id.clone(), endpoint.definition.name.clone());
        let (tenant, reason) = (format!("{}/{}", endpoint.provider, endpoint.tenant), why.text());
        self.answer(move || match why {
            Why::ByHand | Why::NotInFile => info!(%webhook, %name, tenant, reason, "a webhook was disabled"),
            Why::Failures(_) | Why::Gone => warn!(%webhook, %name, tenant, reason, "a webhook was disabled"),
        });
    }

    fn create(&mut self, new: NewWebhook) -> Answer {
        // A maker without a limit may have made a hundred thousand: they are not looked through in vain.
        let is_limited = new.limit > 0 && matches!(new.owner, Owner::Key(_));
        let mine = if new.unique_name || is_limited { self.webhooks_of(&new.owned) } else { Vec::new() };
        if new.unique_name && mine.iter().any(|other| other.definition.name == new.definition.name) {
            return Ok(Err(Denied::NameTaken(new.definition.name)));
        }
        if is_limited && self.count_made(&mine, &new) >= new.limit as usize {
            return Ok(Err(Denied::TooMany(new.limit)));
        }
        let secrets = new.secret.into_iter().map(|secret| LiveSecret { secret, until: None }).collect();
        self.make(&new.owned, new.definition, new.owner, secrets).map(Ok)
    }

    /// Webhooks that count for a key: what it made, and what revoked keys of its tenant made, or a new key would be a new limit.
    fn count_made(&self, mine: &[Arc<Endpoint>], new: &NewWebhook) -> usize {
        let registry = self.shared.registry();
        let kept: HashSet<&str> = registry.keys().map(|key| &*key.id).chain(new.file_keys.iter().map(|id| &**id)).collect();
        let counts = |owner: &Owner| match owner {
            Owner::Key(id) => *owner == new.owner || !kept.contains(&**id),
            Owner::File | Owner::Operator => false,
        };
        mine.iter().filter(|other| counts(&other.owner)).count()
    }

    fn make(
        &mut self,
        owned: &Owned,
        definition: Definition,
        owner: Owner,
        secrets: Vec<LiveSecret>,
    ) -> Result<Arc<Endpoint>, Error> {
        let tenant_no = self.tenant_no(&owned.provider, &owned.tenant)?;
        self.memory.counters.last_endpoint += 1;
        let endpoint = Arc::new(Endpoint {
            no: EndpointNo(self.memory.counters.last_endpoint),
            id: webhook_id(self.now, super::random::tail()?).into(),
            provider: owned.provider.clone(),
            tenant: owned.tenant.clone(),
            tenant_no,
            definition,
            owner,
            created_at: self.now,
            changed_at: self.now,
            standing: Standing::Active,
            failures: 0,
            secrets,
        });
        self.set_endpoint(endpoint.clone())?;
        Ok(endpoint)
    }

    fn update(&mut self, no: EndpointNo, redefine: Redefine, unique_name: bool) -> Answer {
        let Some(entry) = self.entry(no) else { return Ok(Err(Denied::NoWebhook)) };
        let owned = Owned { provider: entry.endpoint.provider.clone(), tenant: entry.endpoint.tenant.clone() };
        let definition = redefine(&entry.endpoint.definition);
        let taken = |other: &Arc<Endpoint>| other.no != no && other.definition.name == definition.name;
        if unique_name && self.webhooks_of(&owned).iter().any(taken) {
            return Ok(Err(Denied::NameTaken(definition.name)));
        }
        self.change_own(no, |mut endpoint, now| {
            endpoint.definition = definition;
            endpoint.changed_at = now;
            endpoint
        })
    }

    fn rotate(&mut self, no: EndpointNo, secret: Secret, overlap: Duration) -> Answer {
        if self.shared.secret_from_file(no) {
            return Ok(Err(Denied::SecretFromFile));
        }
        let now = self.now;
        self.change(no, |endpoint| rotated(endpoint, secret, overlap, now))
    }

    /// A change that the config file forbids for its own webhooks.
    fn change_own(
        &mut self,
        no: EndpointNo,
        change: impl FnOnce(Endpoint, crate::domain::time::Timestamp) -> Endpoint,
    ) -> Answer {
        let now = self.now;
        if self.entry(no).is_some_and(|entry| entry.endpoint.is_file_owned()) {
            return Ok(Err(Denied::FileOwned));
        }
        self.change(no, |endpoint| change(endpoint, now))
    }

    fn change(&mut self, no: EndpointNo, change: impl FnOnce(Endpoint) -> Endpoint) -> Answer {
        let Some(entry) = self.entry(no).filter(|entry| !entry.endpoint.is_deleted()) else {
            return Ok(Err(Denied::NoWebhook));
        };
        let changed = Arc::new(change(Endpoint::clone(&entry.endpoint)));
        self.set_endpoint(changed.clone())?;
        Ok(Ok(changed))
    }

    fn sync_one(&mut self, file: FromFile, known: Option<Arc<Endpoint>>) -> Result<Arc<Endpoint>, Error> {
        let Some(known) = known else {
            let secret = file.secret.or(file.fresh_secret);
            let secrets = secret.into_iter().map(|secret| LiveSecret { secret, until: None }).collect();
            return self.make(&file.owned, file.definition, Owner::File, secrets);
        };
        let changed = from_file(Endpoint::clone(&known), file, self.now);
        if same(&known, &changed) {
            return Ok(known);
        }
        let changed = Arc::new(changed);
        self.set_endpoint(changed.clone())?;
        Ok(changed)
    }

    /// A tenant's webhooks that are not deleted, as this transaction has them.
    pub(super) fn webhooks_of(&self, owned: &Owned) -> Vec<Arc<Endpoint>> {
        let registry = self.shared.registry();
        let tenant = registry.tenant(&owned.provider, &owned.tenant);
        let known = tenant.into_iter().flat_map(|no| registry.webhooks(no, EndpointNo(0))).map(|entry| &entry.endpoint);
        let unchanged = known.filter(|endpoint| !self.after.changed.contains_key(&endpoint.no));
        let changed = self.after.changed.values().filter(|endpoint| Some(endpoint.tenant_no) == tenant);
        unchanged.chain(changed).filter(|endpoint| !endpoint.is_deleted()).cloned().collect()
    }

    /// Every webhook as this transaction has it.
    fn all_webhooks(&self, registry: &Registry) -> Vec<Arc<Endpoint>> {
        let unchanged =
            registry.entries().map(|entry| &entry.endpoint).filter(|known| !self.after.changed.contains_key(&known.no));
        unchanged.chain(self.after.changed.values()).cloned().collect()
    }

    /// The file's webhooks by what makes them the same: provider, tenant and name.
    fn file_owned(&self) -> HashMap<(Owned, Box<str>), Arc<Endpoint>> {
        let known = self.all_webhooks(&self.shared.registry()).into_iter();
        let identity = |endpoint: &Endpoint| {
            let owned = Owned { provider: endpoint.provider.clone(), tenant: endpoint.tenant.clone() };
            (owned, endpoint.definition.name.clone())
        };
        known.filter(|endpoint| endpoint.is_file_owned()).map(|endpoint| (identity(&endpoint), endpoint)).collect()
    }

    /// The newest key that an event of this moment can have.
    pub(super) fn newest_key(&self) -> EventKey {
        EventKey(self.memory.counters.last_key)
    }
}

fn rotated(mut endpoint: Endpoint, secret: Secret, overlap: Duration, now: crate::domain::time::Timestamp) -> Endpoint {
    endpoint.secrets.retain(|held| held.until.is_none_or(|until| now < until));
    endpoint.secrets.iter_mut().for_each(|held| held.until = Some(held.until.unwrap_or(now + overlap).min(now + overlap)));
    if overlap.is_zero() {
        endpoint.secrets.clear();
    }
    endpoint.secrets.insert(0, LiveSecret { secret, until: None });
    endpoint.secrets.truncate(SECRETS_MAX);
    endpoint
}

fn from_file(mut endpoint: Endpoint, file: FromFile, now: crate::domain::time::Timestamp) -> Endpoint {
    if endpoint.definition != file.definition {
        endpoint.definition = file.definition;
        endpoint.changed_at = now;
    }
    if endpoint.is_out_of_file() {
        // Back in the file is not a new start: the count of failures goes on.
        endpoint.standing = Standing::Active;
    }
    match file.secret {
        Some(secret) if endpoint.secrets.first().is_none_or(|held| held.secret != secret) => {
            rotated(endpoint, secret, file.overlap, now)
        }
        _ => endpoint,
    }
}

fn same(a: &Endpoint, b: &Endpoint) -> bool {
    a.definition == b.definition && a.standing == b.standing && a.secrets.len() == b.secrets.len() && {
        let newest = |endpoint: &Endpoint| endpoint.secrets.first().map(|held| held.secret.clone());
        newest(a) == newest(b)
    }
}

/// Live secrets of one webhook: each is a signature in the header of every attempt.
const SECRETS_MAX: usize = 10;

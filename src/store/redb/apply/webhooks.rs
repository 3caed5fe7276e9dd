//! Changes of webhooks, inside the writer: made by the API, by the config file, or by what deliveries came to.

use std::collections::{HashMap, HashSet};
use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::domain::id::{EndpointNo, EventKey, webhook_id};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Definition, Endpoint, LiveSecret, Owner, WebhookState, Why};
use crate::domain::webhook::secret::Secret;
use crate::store::error::Error;
use crate::store::message::command::{DesiredState, FileWebhook, NewWebhook, Redefine, WebhookOp};
use crate::store::message::progress::Fact;
use crate::store::redb::batch::Batch;
use crate::store::rules::tenants::Listing;
use crate::store::shared::registry::{Audience, Registry};
use crate::store::{Denied, Owned, record};

type Answer = Result<Result<Arc<Endpoint>, Denied>, Error>;

impl Batch<'_, '_> {
    pub(in crate::store) fn webhook(&mut self, op: WebhookOp) -> Answer {
        match op {
            WebhookOp::Create(new) => self.create(new),
            WebhookOp::Update { no, redefine } => self.update(no, redefine),
            WebhookOp::Enable(no) if self.is_removed(no) => Ok(Err(Denied::Removed)),
            WebhookOp::Enable(no) => self.change(no, |endpoint| endpoint.enabled()),
            WebhookOp::Disable(no) => self.change_own(no, |endpoint, now| endpoint.disabled(Why::ByHand, now)),
            WebhookOp::Delete(no) if self.is_removed(no) => self.delete(no),
            WebhookOp::Delete(no) => self.change_own(no, Endpoint::deleted),
            WebhookOp::Rotate { no, secret, overlap } => self.rotate(no, secret, overlap),
        }
    }

    /// Makes all that the file owns what the file says. Webhooks that it does not name any more are removed, and so are all of a
    /// provider or tenant that it does not name any more, whose keys are revoked; nothing that was disabled is enabled.
    pub(in crate::store) fn sync(&mut self, file: DesiredState) -> Result<Result<Vec<Arc<Endpoint>>, Denied>, Error> {
        let mut known = self.file_owned();
        if let Some(taken) = self.taken_by_api(&file.webhooks, &known) {
            let FileWebhook { owned: Owned { provider, tenant }, definition, .. } = taken;
            return Ok(Err(Denied::NameTakenByApi(format!("{provider}/{tenant}/{}", definition.name).into())));
        }
        self.shared.registry_mut().dialects = file.dialects.into_iter().collect();
        let left = self.list_tenants(&file.tenants)?;
        self.revoke_left(&left)?;
        self.know_file_keys(file.keys);
        let mut kept = Vec::with_capacity(file.webhooks.len());
        for webhook in file.webhooks {
            let old = known.remove(&webhook.identity());
            kept.push(self.sync_one(webhook, old)?);
        }
        let at = self.after_all();
        let gone = known.into_values().filter(|endpoint| !endpoint.is_removed());
        let gone: Vec<Endpoint> = gone.map(|endpoint| Endpoint::clone(&endpoint).removed(at)).collect();
        for endpoint in gone {
            self.set_endpoint(Arc::new(endpoint))?;
        }
        self.follow_owners()?;
        Ok(Ok(kept))
    }

    /// A time that is later than every event, also when the clock went back.
    fn after_all(&self) -> Timestamp {
        self.now.max(self.newest_key().time()) + Duration::from_millis(1)
    }

    /// One that is new in the file while the API made a webhook of that name. One that was there before names were unique stays.
    fn taken_by_api<'f>(&self, file: &'f [FileWebhook], known: &HashMap<Identity, Arc<Endpoint>>) -> Option<&'f FileWebhook> {
        let new = file.iter().filter(|webhook| !known.contains_key(&webhook.identity()));
        let mut taken = new.filter(|webhook| self.holder(&webhook.owned, &webhook.definition.name, EndpointNo(0)).is_some());
        taken.next()
    }

    /// Removes webhooks made by the API whose provider or tenant went, and restores those whose came back.
    pub(in crate::store) fn follow_owners(&mut self) -> Result<(), Error> {
        for endpoint in self.to_follow(self.after_all()) {
            self.set_endpoint(Arc::new(endpoint))?;
        }
        Ok(())
    }

    fn to_follow(&self, at: Timestamp) -> Vec<Endpoint> {
        let registry = self.shared.registry();
        let is_out = |endpoint: &Endpoint| {
            !registry.dialects.contains_key(&endpoint.provider) || registry.listing(endpoint.tenant_no) == Listing::Gone
        };
        let made = self.all_webhooks(&registry).into_iter().filter(|endpoint| !endpoint.is_file_owned());
        let changed = made.filter(|endpoint| is_out(endpoint) != endpoint.is_removed());
        let changed = changed.map(|endpoint| Endpoint::clone(&endpoint));
        changed.map(|endpoint| if is_out(&endpoint) { endpoint.removed(at) } else { endpoint.restored() }).collect()
    }

    /// Writes a webhook, and starts what its new standing asks for.
    pub(in crate::store) fn set_endpoint(&mut self, endpoint: Arc<Endpoint>) -> Result<(), Error> {
        let before = self.entry(endpoint.no).map(|entry| entry.endpoint.standing);
        let mut bytes = Vec::new();
        record::write_endpoint(&endpoint, &self.shared.sealer, &mut bytes)?;
        self.tables.endpoint()?.insert(endpoint.no.0, &*bytes)?;
        self.after.changed.insert(endpoint.no, endpoint.clone());
        if let Some(before) = before.filter(|before| discriminant(before) != discriminant(&endpoint.standing)) {
            self.standing_changed(before, endpoint)?;
        }
        Ok(())
    }

    fn standing_changed(&mut self, before: WebhookState, endpoint: Arc<Endpoint>) -> Result<(), Error> {
        match endpoint.standing {
            WebhookState::Active => self.woken(&endpoint)?,
            // Back in the file as disabled as it was: everything is parked, and everybody knows.
            WebhookState::Disabled { .. } if before != WebhookState::Active => {}
            WebhookState::Disabled { .. } | WebhookState::Removed { .. } => {
                if endpoint.is_removed() {
                    self.end_tests(endpoint.no)?;
                }
                self.park_pending(endpoint.no)?;
                self.fell_asleep(&endpoint)?;
            }
            WebhookState::Deleted { .. } => self.end_pending(endpoint.no)?,
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
        self.notify_standing(endpoint)
    }

    fn fell_asleep(&mut self, endpoint: &Endpoint) -> Result<(), Error> {
        let (at, webhook) = (self.now, endpoint.id.to_string());
        let why = endpoint.stopped().map(|(_, why)| why).unwrap_or_default();
        self.log_stopped(endpoint, why.clone());
        self.fact(|| Fact::Disabled { at, webhook, why });
        self.notify_standing(endpoint)
    }

    /// Says so in the log, once it is true: a warning where nobody asked for it.
    fn log_stopped(&mut self, endpoint: &Endpoint, reason: String) {
        let (webhook, name, standing) = (endpoint.id.clone(), endpoint.definition.name.clone(), endpoint.standing);
        let tenant = format!("{}/{}", endpoint.provider, endpoint.tenant);
        self.answer(move || match standing {
            WebhookState::Disabled { why: Why::Failures(_) | Why::Gone, .. } => {
                warn!(%webhook, %name, tenant, reason, "a webhook was disabled");
            }
            WebhookState::Removed { .. } => info!(%webhook, %name, tenant, reason, "a webhook was removed"),
            _ => info!(%webhook, %name, tenant, reason, "a webhook was disabled"),
        });
    }

    fn create(&mut self, new: NewWebhook) -> Answer {
        if let Some(holder) = self.holder(&new.owned, &new.definition.name, EndpointNo(0)) {
            return Ok(Err(taken(&holder)));
        }
        if !new.restores && self.shared.registry().is_gone(&new.owned.provider, &new.owned.tenant) {
            return Ok(Err(Denied::TenantRemoved(new.owned.tenant)));
        }
        // A maker without a limit may have made a hundred thousand: they are not looked through in vain.
        let is_limited = new.limit > 0 && matches!(new.owner, Owner::Key(_));
        if is_limited && self.count_made(&self.webhooks_of(&new.owned), &new) >= new.limit as usize {
            return Ok(Err(Denied::TooMany(new.limit)));
        }
        let secrets = new.secret.into_iter().map(|secret| LiveSecret { secret, until: None }).collect();
        self.make(&new.owned, new.definition, new.owner, secrets).map(Ok)
    }

    /// Webhooks that count for a key: what it made, and what revoked keys of its tenant made, or a new key would be a new limit.
    fn count_made(&self, mine: &[Arc<Endpoint>], new: &NewWebhook) -> usize {
        let registry = self.shared.registry();
        let of_file: HashSet<&str> = new.file_keys.iter().map(|id| &**id).collect();
        let is_kept = |id: &str| of_file.contains(id) || registry.key_called(id).is_some();
        let counts = |owner: &Owner| match owner {
            Owner::Key(id) => *owner == new.owner || !is_kept(id),
            Owner::File | Owner::Operator | Owner::Provider(_) => false,
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
        let tenant_no = self.make_tenant(&owned.provider, &owned.tenant)?;
        self.memory.counters.last_endpoint += 1;
        let endpoint = Arc::new(Endpoint {
            no: EndpointNo(self.memory.counters.last_endpoint),
            id: webhook_id(self.now, crate::store::writer::random::tail()?).into(),
            provider: owned.provider.clone(),
            tenant: owned.tenant.clone(),
            tenant_no,
            definition,
            owner,
            created_at: self.now,
            changed_at: self.now,
            standing: WebhookState::Active,
            failures: 0,
            secrets,
            pins_from: Timestamp::EPOCH,
        });
        self.set_endpoint(endpoint.clone())?;
        Ok(endpoint)
    }

    fn update(&mut self, no: EndpointNo, redefine: Redefine) -> Answer {
        let Some(entry) = self.entry(no) else { return Ok(Err(Denied::NoWebhook)) };
        let owned = Owned { provider: entry.endpoint.provider.clone(), tenant: entry.endpoint.tenant.clone() };
        let definition = redefine(&entry.endpoint.definition);
        let renamed = definition.name != entry.endpoint.definition.name;
        if renamed && let Some(holder) = self.holder(&owned, &definition.name, no) {
            return Ok(Err(taken(&holder)));
        }
        self.change_own(no, |mut endpoint, now| {
            endpoint.definition = definition;
            endpoint.changed_at = now;
            endpoint
        })
    }

    /// The webhook of a tenant that has this name, but for one of them. Many may have none.
    fn holder(&self, owned: &Owned, name: &str, but: EndpointNo) -> Option<Arc<Endpoint>> {
        if name.is_empty() {
            return None;
        }
        let registry = self.shared.registry();
        let tenant = registry.tenant(&owned.provider, &owned.tenant)?;
        let changed = &self.after.changed;
        let known = registry.named(Audience::Tenant(tenant), name).map(|entry| &entry.endpoint);
        let known = known.filter(|endpoint| !changed.contains_key(&endpoint.no));
        let fresh = changed.values().filter(|endpoint| endpoint.tenant_no == tenant && *endpoint.definition.name == *name);
        known.chain(fresh).find(|endpoint| endpoint.no != but && !endpoint.is_deleted()).cloned()
    }

    fn is_removed(&self, no: EndpointNo) -> bool {
        self.entry(no).is_some_and(|entry| entry.endpoint.is_removed())
    }

    fn delete(&mut self, no: EndpointNo) -> Answer {
        let now = self.now;
        self.change(no, |endpoint| endpoint.deleted(now))
    }

    fn rotate(&mut self, no: EndpointNo, secret: Secret, overlap: Duration) -> Answer {
        if self.shared.secret_from_file(no) {
            return Ok(Err(Denied::SecretFromFile));
        }
        let now = self.now;
        self.change(no, |endpoint| rotated(endpoint, secret, overlap, now))
    }

    /// A change that the config file forbids for its own webhooks.
    fn change_own(&mut self, no: EndpointNo, change: impl FnOnce(Endpoint, Timestamp) -> Endpoint) -> Answer {
        let now = self.now;
        if self.entry(no).is_some_and(|entry| entry.endpoint.is_file_owned()) {
            return Ok(Err(if self.is_removed(no) { Denied::Removed } else { Denied::FileOwned }));
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

    fn sync_one(&mut self, file: FileWebhook, known: Option<Arc<Endpoint>>) -> Result<Arc<Endpoint>, Error> {
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
    pub(in crate::store) fn webhooks_of(&self, owned: &Owned) -> Vec<Arc<Endpoint>> {
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
    fn file_owned(&self) -> HashMap<Identity, Arc<Endpoint>> {
        let known = self.all_webhooks(&self.shared.registry()).into_iter().filter(|endpoint| !endpoint.is_deleted());
        let identity = |endpoint: &Endpoint| {
            let owned = Owned { provider: endpoint.provider.clone(), tenant: endpoint.tenant.clone() };
            (owned, endpoint.definition.name.clone())
        };
        known.filter(|endpoint| endpoint.is_file_owned()).map(|endpoint| (identity(&endpoint), endpoint)).collect()
    }

    /// The newest key that an event of this moment can have.
    pub(in crate::store) fn newest_key(&self) -> EventKey {
        EventKey(self.memory.counters.last_key)
    }
}

/// What makes a webhook of the file the same one: provider, tenant and name.
type Identity = (Owned, Box<str>);

impl FileWebhook {
    fn identity(&self) -> Identity {
        (self.owned.clone(), self.definition.name.clone())
    }
}

/// Why a name cannot be had.
fn taken(holder: &Endpoint) -> Denied {
    let (name, id) = (holder.definition.name.clone(), holder.id.clone());
    if holder.is_removed() { Denied::NameOfRemoved { name, id } } else { Denied::NameTaken(name) }
}

fn rotated(mut endpoint: Endpoint, secret: Secret, overlap: Duration, now: Timestamp) -> Endpoint {
    endpoint.secrets.retain(|held| held.until.is_none_or(|until| now < until));
    endpoint.secrets.iter_mut().for_each(|held| held.until = Some(held.until.unwrap_or(now + overlap).min(now + overlap)));
    if overlap.is_zero() {
        endpoint.secrets.clear();
    }
    endpoint.secrets.insert(0, LiveSecret { secret, until: None });
    endpoint.secrets.truncate(SECRETS_MAX);
    endpoint
}

fn from_file(endpoint: Endpoint, file: FileWebhook, now: Timestamp) -> Endpoint {
    let mut endpoint = endpoint.restored();
    if endpoint.definition != file.definition {
        endpoint.definition = file.definition;
        endpoint.changed_at = now;
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

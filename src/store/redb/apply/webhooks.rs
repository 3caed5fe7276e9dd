//! Changes of webhooks, inside the writer: made by the API, by the config file, or by what deliveries came to.

mod holders;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use redb::ReadableTable;
use tracing::{info, warn};

use crate::domain::id::{EndpointNo, EventKey, webhook_id};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Definition, Endpoint, Owner, WebhookState, Why};
use crate::domain::webhook::secret::Secret;
use crate::store::error::{Error, intact};
use crate::store::message::audit::{FileChanges, Origin, shown};
use crate::store::message::command::{DesiredState, FileWebhook, NewWebhook, OldWebhook, Redefine, WebhookOp};
use crate::store::message::progress::Fact;
use crate::store::record::Listing;
use crate::store::redb::batch::Batch;
use crate::store::rules::config_sync::{self, Identity};
use crate::store::rules::webhooks::{self, Follows, Holders, Standing};
use crate::store::shared::registry::Registry;
use crate::store::{Denied, Owned, record};

type Answer = Result<Result<Arc<Endpoint>, Denied>, Error>;

impl Batch<'_, '_> {
    /// Changes a webhook as somebody asked for.
    pub(in crate::store) fn webhook(&mut self, op: WebhookOp, by: &Origin) -> Answer {
        let before = op.no().and_then(|no| self.entry(no)).map(|entry| entry.endpoint);
        let answer = self.webhook_op(op)?;
        if let Ok(after) = &answer {
            self.audit(by, shown::webhook(before.as_deref(), after))?;
        }
        self.audit_consequences(by)?;
        Ok(answer)
    }

    fn webhook_op(&mut self, op: WebhookOp) -> Answer {
        match op {
            WebhookOp::Create(new) => self.create(new),
            WebhookOp::Update { no, redefine } => self.update(no, redefine),
            WebhookOp::Enable(no) => self.change(no, |endpoint, _| webhooks::enable(endpoint)),
            WebhookOp::Disable(no) => self.change(no, webhooks::disable),
            WebhookOp::Delete(no) => self.change(no, webhooks::delete),
            WebhookOp::Import { no, webhook, redefine } => self.import(no, *webhook, redefine),
            WebhookOp::Rotate { no, secret, overlap } => {
                let is_from_file = self.shared.secret_from_file(no);
                self.change(no, |endpoint, now| webhooks::rotate(endpoint, secret, overlap, is_from_file, now))
            }
        }
    }

    /// Makes all that the file owns what the file says. Webhooks that it does not name any more are removed, and so are all of a
    /// provider or tenant that it does not name any more, whose keys are revoked; nothing that was disabled is enabled.
    pub(in crate::store) fn sync(
        &mut self,
        file: DesiredState,
        by: &Origin,
    ) -> Result<Result<Vec<Arc<Endpoint>>, Denied>, Error> {
        let mut known = self.file_owned();
        if let Some(taken) = self.taken_by_api(&file.webhooks, &known) {
            return Ok(Err(config_sync::taken(taken)));
        }
        if let Some((webhook, holder)) = self.uid_taken_by_api(&file.webhooks) {
            return Ok(Err(config_sync::uid_taken(webhook, &holder)));
        }
        self.shared.registry_mut().dialects = file.dialects.into_iter().collect();
        let mut brought = FileChanges::default();
        let left = self.list_tenants(&file.tenants, &file.retentions, &mut brought)?;
        self.revoke_left(&left, &mut brought)?;
        self.know_file_keys(file.keys);
        let mut kept = Vec::with_capacity(file.webhooks.len());
        for webhook in file.webhooks {
            let old = known.remove(&webhook.identity());
            let new = self.sync_one(webhook, old.clone())?;
            brought.webhook(old.as_deref(), &new);
            kept.push(new);
        }
        let at = config_sync::after_all(self.newest_key(), self.now);
        for known in known.into_values() {
            self.sync_unnamed(&known, at, &mut brought)?;
        }
        self.follow_owners()?;
        let unlisted = self.after.consequences.unlisted();
        self.audit(by, shown::config(&file.file, file.changes, brought, unlisted))?;
        self.audit_consequences(by)?;
        Ok(Ok(kept))
    }

    /// A webhook that the file does not name: it is removed, and gives its uid to the one of the file that has it by then.
    fn sync_unnamed(&mut self, known: &Endpoint, at: Timestamp, brought: &mut FileChanges) -> Result<(), Error> {
        let owned = Owned { provider: known.provider.clone(), tenant: known.tenant.clone() };
        let has_lost = self.uid_holder(&owned, &known.definition, known.no).is_some();
        let removed = config_sync::unnamed(known, at);
        removed.iter().for_each(|removed| brought.removed(removed));
        match (removed, has_lost) {
            (Some(removed), false) => self.follow(removed),
            (None, false) => Ok(()),
            (removed, true) => self.follow(config_sync::without_uid(removed.unwrap_or_else(|| known.clone()))),
        }
    }

    /// Removes webhooks made by the API whose provider or tenant went, and restores those whose came back.
    pub(in crate::store) fn follow_owners(&mut self) -> Result<(), Error> {
        let at = config_sync::after_all(self.newest_key(), self.now);
        self.to_follow(at).into_iter().try_for_each(|endpoint| self.follow(endpoint))
    }

    /// Writes a webhook that goes or comes back as a consequence of another change.
    pub(in crate::store) fn follow(&mut self, endpoint: Endpoint) -> Result<(), Error> {
        let before = self.entry(endpoint.no).map(|entry| entry.endpoint);
        self.after.consequences.note(|| shown::webhook(before.as_deref(), &endpoint));
        self.set_endpoint(Arc::new(endpoint))
    }

    fn to_follow(&self, at: Timestamp) -> Vec<Endpoint> {
        let registry = self.shared.registry();
        let followed = |endpoint: Arc<Endpoint>| {
            let is_provider_known = registry.dialects.contains_key(&endpoint.provider);
            config_sync::followed(&endpoint, is_provider_known, registry.listing(endpoint.tenant_no), at)
        };
        self.all_webhooks(&registry).into_iter().filter_map(followed).collect()
    }

    /// Writes a webhook, and starts what its new standing asks for.
    pub(in crate::store) fn set_endpoint(&mut self, endpoint: Arc<Endpoint>) -> Result<(), Error> {
        let before = self.entry(endpoint.no).map(|entry| entry.endpoint);
        let mut bytes = Vec::new();
        record::write_endpoint(&endpoint, &self.shared.sealer, &mut bytes)?;
        self.tables.endpoint()?.insert(endpoint.no.0, &*bytes)?;
        if endpoint.is_deleted() {
            self.memory.buried.iter_mut().for_each(|buried| _ = buried.insert(endpoint.id.clone()));
        }
        self.after.changed.insert(endpoint.no, endpoint.clone());
        self.follow_order(before.as_deref(), &endpoint)?;
        let Some(before) = before else { return Ok(()) };
        self.shared.measure_disabled(before.state, endpoint.state);
        if before.definition.settings.rate_limit != endpoint.definition.settings.rate_limit {
            self.after.committed.repaced.push(endpoint.no);
        }
        let follows = webhooks::follows(before.state, endpoint.state);
        follows.map_or(Ok(()), |follows| self.state_changed(follows, endpoint))
    }

    /// Begins or ends the order of a webhook's deliveries, as its setting says.
    fn follow_order(&mut self, before: Option<&Endpoint>, after: &Endpoint) -> Result<(), Error> {
        let is_ordered = |endpoint: &Endpoint| endpoint.definition.settings.ordered && !endpoint.is_deleted();
        match (before.map(is_ordered), is_ordered(after)) {
            (None, true) => self.memory.order.add(after.no),
            (Some(false), true) => self.start_order(after.no)?,
            (Some(true), false) => self.end_order(after.no),
            _ => {}
        }
        Ok(())
    }

    fn state_changed(&mut self, follows: Follows, endpoint: Arc<Endpoint>) -> Result<(), Error> {
        if !endpoint.is_active() {
            self.stop_replays(&endpoint);
        }
        match follows {
            Follows::Woken => self.woken(&endpoint)?,
            Follows::StaysDisabled => {}
            Follows::Stopped { ends_tests } => {
                if ends_tests {
                    self.end_tests(endpoint.no)?;
                }
                self.park_pending(endpoint.no)?;
                self.fell_asleep(&endpoint)?;
            }
            // What waits for it ends as the tenant's deliveries are erased.
            Follows::Deleted if self.shared.registry().listing(endpoint.tenant_no) == Listing::Deleting => {}
            Follows::Deleted => self.end_pending(endpoint.no)?,
        }
        self.after.committed.state_changes.push(endpoint);
        Ok(())
    }

    fn woken(&mut self, endpoint: &Endpoint) -> Result<(), Error> {
        let (at, webhook) = (self.now, endpoint.id.to_string());
        self.fact(|| Fact::Enabled { at, webhook });
        if let Some(cursor) = self.memory.backlogs.get_mut(&endpoint.no) {
            cursor.after = 0;
            cursor.more = true;
            self.announce_backlog(endpoint.no);
        }
        self.notify_state(endpoint)
    }

    fn fell_asleep(&mut self, endpoint: &Endpoint) -> Result<(), Error> {
        let (at, webhook) = (self.now, endpoint.id.to_string());
        let why = endpoint.stopped().map(|(_, why)| why).unwrap_or_default();
        self.log_stopped(endpoint, why.clone());
        self.fact(|| Fact::Disabled { at, webhook, why });
        self.notify_state(endpoint)
    }

    /// Says so in the log, once it is true: a warning where nobody asked for it.
    fn log_stopped(&mut self, endpoint: &Endpoint, reason: String) {
        let (webhook, name, standing) = (endpoint.id.clone(), endpoint.definition.name.clone(), endpoint.state);
        let tenant = format!("{}/{}", endpoint.provider, endpoint.tenant);
        self.answer(move || match standing {
            WebhookState::Disabled { why: Why::Failures(_) | Why::Gone | Why::Held, .. } => {
                warn!(%webhook, %name, tenant, reason, "a webhook was disabled");
            }
            WebhookState::Removed { .. } => info!(%webhook, %name, tenant, reason, "a webhook was removed"),
            _ => info!(%webhook, %name, tenant, reason, "a webhook was disabled"),
        });
    }

    fn create(&mut self, new: NewWebhook) -> Answer {
        let of_name = self.holder(&new.owned, &new.definition.name, EndpointNo(0));
        let of_uid = self.uid_holder(&new.owned, &new.definition, EndpointNo(0));
        let standing = Standing {
            holders: Holders { of_name: of_name.as_deref(), of_uid: of_uid.as_deref() },
            tenant: self.shared.registry().listing_of(&new.owned.provider, &new.owned.tenant),
            // A maker without a limit may have made a hundred thousand: they are not looked through in vain.
            made: if webhooks::is_limited(&new) { self.count_made(&new) } else { 0 },
        };
        match webhooks::may_create(&new, standing) {
            Ok(()) => self.make(new.owned, new.definition, new.owner, new.secret).map(Ok),
            Err(denied) => Ok(Err(denied)),
        }
    }

    fn import(&mut self, no: Option<EndpointNo>, old: OldWebhook, redefine: Redefine) -> Answer {
        let known = self.webhook_called(&old.id).map(|endpoint| endpoint.no).or(no);
        if let Some(entry) = known.and_then(|no| self.entry(no)) {
            return self.import_over(&entry.endpoint, &old.owned, redefine);
        }
        if self.is_buried(&old.id)? {
            return Ok(Err(Denied::Deleted));
        }
        let of_name = self.holder(&old.owned, &old.definition.name, EndpointNo(0));
        let of_uid = self.uid_holder(&old.owned, &old.definition, EndpointNo(0));
        let holders = Holders { of_name: of_name.as_deref(), of_uid: of_uid.as_deref() };
        let listing = self.shared.registry().listing_of(&old.owned.provider, &old.owned.tenant);
        if let Err(denied) = webhooks::may_import(&old.owned, holders, listing) {
            return Ok(Err(denied));
        }
        let tenant_no = self.make_tenant(&old.owned.provider, &old.owned.tenant)?;
        self.memory.counters.last_endpoint += 1;
        let no = EndpointNo(self.memory.counters.last_endpoint);
        self.put_changed(webhooks::imported(no, tenant_no, old)).map(Ok)
    }

    /// Whether a webhook with this id was deleted here, as far as its tombstone is kept. The first question reads all tombstones.
    fn is_buried(&mut self, id: &str) -> Result<bool, Error> {
        if self.memory.buried.is_none() {
            let mut buried = HashSet::new();
            for row in self.tables.endpoint()?.range::<u32>(..)? {
                let (no, value) = row?;
                let read = record::read_endpoint(EndpointNo(no.value()), &self.shared.sealer, value.value());
                let read = intact(Some(read))?;
                buried.extend(read.filter(Endpoint::is_deleted).map(|endpoint| endpoint.id));
            }
            self.memory.buried = Some(buried);
        }
        Ok(self.memory.buried.as_ref().is_some_and(|buried| buried.contains(id)))
    }

    /// Gives a webhook that stands what an import tells of its definition.
    fn import_over(&mut self, stands: &Endpoint, owned: &Owned, redefine: Redefine) -> Answer {
        let definition = redefine(&stands.definition);
        let of_name = self.holder(owned, &definition.name, stands.no);
        let of_uid = self.uid_holder(owned, &definition, stands.no);
        let holders = Holders { of_name: of_name.as_deref(), of_uid: of_uid.as_deref() };
        self.change(stands.no, |endpoint, now| webhooks::overwritten(endpoint, owned, definition, holders, now))
    }

    fn count_made(&self, new: &NewWebhook) -> usize {
        let mine = self.webhooks_of(&new.owned);
        let registry = self.shared.registry();
        let of_file: HashSet<&str> = new.file_keys.iter().map(|id| &**id).collect();
        let is_kept = |owner: &Owner| match owner {
            Owner::Key(id) => of_file.contains(&**id) || registry.key_called(id).is_some(),
            Owner::File | Owner::Operator | Owner::Provider(_) => true,
        };
        mine.iter().filter(|other| webhooks::counts(&other.owner, &new.owner, is_kept(&other.owner))).count()
    }

    fn make(
        &mut self,
        owned: Owned,
        definition: Definition,
        owner: Owner,
        secret: Option<Secret>,
    ) -> Result<Arc<Endpoint>, Error> {
        let tenant_no = self.make_tenant(&owned.provider, &owned.tenant)?;
        self.memory.counters.last_endpoint += 1;
        let no = EndpointNo(self.memory.counters.last_endpoint);
        let id = webhook_id(self.now, crate::store::writer::random::tail()?).into();
        let endpoint = webhooks::created(webhooks::Identity { no, id, tenant_no, owned }, definition, owner, secret, self.now);
        let endpoint = Arc::new(endpoint);
        self.set_endpoint(endpoint.clone())?;
        Ok(endpoint)
    }

    fn update(&mut self, no: EndpointNo, redefine: Redefine) -> Answer {
        let Some(entry) = self.entry(no) else { return Ok(Err(Denied::NoWebhook)) };
        let owned = Owned { provider: entry.endpoint.provider.clone(), tenant: entry.endpoint.tenant.clone() };
        let definition = redefine(&entry.endpoint.definition);
        let (of_name, of_uid) = (self.holder(&owned, &definition.name, no), self.uid_holder(&owned, &definition, no));
        let holders = Holders { of_name: of_name.as_deref(), of_uid: of_uid.as_deref() };
        self.change(no, |endpoint, now| webhooks::update(endpoint, definition, holders, now))
    }

    /// Writes what a rule makes of a webhook, or says why it makes nothing of it.
    fn change(&mut self, no: EndpointNo, rule: impl FnOnce(&Endpoint, Timestamp) -> Result<Endpoint, Denied>) -> Answer {
        let Some(entry) = self.entry(no) else { return Ok(Err(Denied::NoWebhook)) };
        match rule(&entry.endpoint, self.now) {
            Ok(changed) => self.put_changed(changed).map(Ok),
            Err(denied) => Ok(Err(denied)),
        }
    }

    fn put_changed(&mut self, changed: Endpoint) -> Result<Arc<Endpoint>, Error> {
        let changed = Arc::new(changed);
        self.set_endpoint(changed.clone())?;
        Ok(changed)
    }

    fn sync_one(&mut self, mut file: FileWebhook, known: Option<Arc<Endpoint>>) -> Result<Arc<Endpoint>, Error> {
        let Some(known) = known else {
            let secret = file.take_secret();
            return self.make(file.owned, file.definition, Owner::File, secret);
        };
        match config_sync::synced(&known, file, self.now) {
            Some(changed) => self.put_changed(changed),
            None => Ok(known),
        }
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
        let known = self.all_webhooks(&self.shared.registry()).into_iter();
        known.filter_map(|endpoint| Some((config_sync::identity(&endpoint)?, endpoint))).collect()
    }

    /// The newest key that an event of this moment can have.
    pub(in crate::store) fn newest_key(&self) -> EventKey {
        EventKey(self.memory.counters.last_key)
    }
}

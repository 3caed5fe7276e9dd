//! What a caller asks the store to change: each is an operation that waits in its tenant's line for the writer, and is answered
//! once the commit is on disk.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::handle::Store;
use super::message::audit::Origin;
use super::message::command::{
    Asked, By, DesiredState, Limits, NewKey, NewWebhook, OldWebhook, Op, Purge, Recover, Recovered, TestRun, WebhookOp,
};
use super::message::history::{Old, Taken};
use super::message::publication::{Accepted, Publication};
use super::message::replay::{EventReplay, NewReplay, NotReplayed, Replay, ReplayOp, ReplaySlice};
use super::message::session::{NewConnection, Opened};
use super::message::tenant::{NewTenant, Tenant};
use super::redb::backup::online::{Begun, NotBegun};
use super::redb::read::recover::Walk;
use super::writer::turns::Line;
use super::{Denied, Error, Owned};
use crate::domain::access::Role;
use crate::domain::dialect::EventType;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::provider::{ProviderChange, ProviderSettings};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Definition, Endpoint};
use crate::domain::webhook::secret::Secret;

/// Somebody who is about to ask for one change. Each change leaves a row in the audit log, in the same commit.
pub(crate) struct Commands<'a> {
    store: &'a Store,
    by: By,
}

impl Store {
    /// Names who asks for a change.
    pub(crate) fn by(&self, origin: Origin) -> Commands<'_> {
        Commands { store: self, by: Arc::new(origin) }
    }

    /// Asks as a test does.
    #[cfg(test)]
    pub(crate) fn by_test(&self) -> Commands<'_> {
        self.by(Origin::test())
    }

    pub(crate) fn set_limits(&self, limits: Limits) {
        self.shared.budget.resize(limits.memory);
        self.inbox.event(Op::Limits(limits));
    }

    pub(crate) async fn test(&self, no: EndpointNo, publication: Publication) -> Result<TestRun, Denied> {
        let bytes = publication.bytes();
        self.ask_with(self.line_of_webhook(no), bytes, |to| Op::Test(no, Box::new(publication), to)).await?
    }

    pub(crate) async fn open_connection(&self, new: NewConnection) -> Result<Opened, Denied> {
        self.ask(self.line_of_owned(&new.owned), |to| Op::OpenConnection(new, to)).await?
    }

    pub(crate) async fn close_connection(&self, owned: Owned, id: &str) -> Result<(), Denied> {
        self.ask(self.line_of_owned(&owned), |to| Op::CloseConnection(owned, id.into(), to)).await?
    }

    /// Brings to the disk which keys were used since the last call, and when.
    pub(crate) fn keep_key_uses(&self) {
        let uses = self.shared.registry().new_uses();
        if !uses.is_empty() {
            self.inbox.event(Op::KeyUses(uses));
        }
    }

    /// Brings all that was answered so far into the tables, so that a walk over them sees it.
    pub(crate) async fn settle(&self) -> Result<(), Denied> {
        self.flush(Path::new(""), None).await
    }

    /// Brings all that was answered so far into the tables, for a backup to this path.
    pub(super) async fn flush(&self, path: &Path, by: Option<By>) -> Result<(), Denied> {
        self.ask(Line::COMMON, |to| Op::Flush(path.into(), by, to)).await?
    }

    /// Sends again what a piece of a replay's walk has found.
    pub(super) async fn replay_slice(&self, owned: &Owned, slice: ReplaySlice) -> Result<(), Denied> {
        self.ask(self.line_of_owned(owned), |to| Op::ReplaySlice(slice, to)).await?
    }

    fn line_of_owned(&self, owned: &Owned) -> Line {
        self.inbox.line(&owned.provider, &owned.tenant)
    }

    fn line_of_webhook(&self, no: EndpointNo) -> Line {
        self.webhook_no(no).map_or(Line::COMMON, |webhook| self.inbox.line(&webhook.provider, &webhook.tenant))
    }

    /// The line of a key's owner, so that a revoke stays behind what the key published.
    fn line_of_key(&self, id: &str) -> Line {
        let registry = self.shared.registry();
        match registry.key_called(id).map(|key| &key.role) {
            None | Some(Role::Operator) => Line::COMMON,
            Some(Role::Provider { provider, .. }) => self.line_of_owned(&Owned::all_of(provider)),
            Some(Role::Tenant { provider, tenant, .. }) => self.inbox.line(provider, tenant),
        }
    }

    /// Puts an operation in a line and waits for its answer.
    async fn ask<T>(&self, line: Line, op: impl FnOnce(oneshot::Sender<T>) -> Op) -> Result<T, Denied> {
        self.ask_with(line, 0, op).await
    }

    /// Puts an operation in a line, where it counts as `bytes` of an event, and waits for its answer.
    async fn ask_with<T>(&self, line: Line, bytes: usize, op: impl FnOnce(oneshot::Sender<T>) -> Op) -> Result<T, Denied> {
        let (to, answer) = oneshot::channel();
        self.inbox.request(line, op(to), bytes).map_err(|_| Denied::Closing)?;
        answer.await.map_err(|_| Denied::Closing)
    }
}

impl Commands<'_> {
    pub(crate) async fn create_webhook(self, new: NewWebhook) -> Result<Arc<Endpoint>, Denied> {
        self.webhook_op(WebhookOp::Create(new)).await
    }

    pub(crate) async fn update_webhook(
        self,
        no: EndpointNo,
        redefine: impl FnOnce(&Definition) -> Definition + Send + 'static,
    ) -> Result<Arc<Endpoint>, Denied> {
        self.webhook_op(WebhookOp::Update { no, redefine: Box::new(redefine) }).await
    }

    pub(crate) async fn enable_webhook(self, no: EndpointNo) -> Result<Arc<Endpoint>, Denied> {
        self.webhook_op(WebhookOp::Enable(no)).await
    }

    pub(crate) async fn disable_webhook(self, no: EndpointNo) -> Result<Arc<Endpoint>, Denied> {
        self.webhook_op(WebhookOp::Disable(no)).await
    }

    pub(crate) async fn delete_webhook(self, no: EndpointNo) -> Result<(), Denied> {
        self.webhook_op(WebhookOp::Delete(no)).await.map(drop)
    }

    /// The new secret signs at once; the old ones sign too for `overlap`.
    pub(crate) async fn rotate_secret(self, no: EndpointNo, secret: Secret, overlap: Duration) -> Result<Arc<Endpoint>, Denied> {
        self.webhook_op(WebhookOp::Rotate { no, secret, overlap }).await
    }

    /// Makes providers, tenants and webhooks what the file says; answers the webhooks in the order given.
    pub(crate) async fn sync(self, file: DesiredState) -> Result<Vec<Arc<Endpoint>>, Denied> {
        let with_secret: Vec<bool> = file.webhooks.iter().map(|webhook| webhook.secret.is_some()).collect();
        let endpoints = self.store.ask(Line::COMMON, |to| Op::Sync(Box::new(file), self.by.clone(), to)).await??;
        let held: HashSet<EndpointNo> =
            endpoints.iter().zip(with_secret).filter_map(|(endpoint, held)| held.then_some(endpoint.no)).collect();
        self.store.shared.set_secrets_from_file(held);
        Ok(endpoints)
    }

    pub(crate) async fn retry(self, key: DeliveryKey) -> Result<(), Denied> {
        self.store.ask(self.store.line_of_webhook(key.endpoint), |to| Op::Retry(key, self.by.clone(), to)).await?
    }

    /// Ends a delivery that waits, as cancelled.
    pub(crate) async fn cancel(self, key: DeliveryKey) -> Result<(), Denied> {
        self.store.ask(self.store.line_of_webhook(key.endpoint), |to| Op::Cancel(key, self.by.clone(), to)).await?
    }

    /// Begins to end what waits for a webhook, as cancelled. From the answer on none of it starts; a slice of it ends in each
    /// commit.
    pub(crate) async fn purge(self, no: EndpointNo, purge: Purge) -> Result<(), Denied> {
        self.store.ask(self.store.line_of_webhook(no), |to| Op::Purge(no, purge, self.by.clone(), to)).await?
    }

    /// Brings back what failed or was missed in a window of time, and returns how many deliveries that were.
    pub(crate) async fn recover(self, no: EndpointNo, since: Timestamp, until: Timestamp, what: Recover) -> Result<u64, Denied> {
        let asked = Box::new(Asked { by: self.by.clone(), since, until, what });
        // Also when there is nothing to bring back: a disabled webhook is refused.
        let mut brought = self.recover_slice(no, Vec::new(), Some(asked)).await?;
        for (_, walk) in [(what.failed, Walk::Failed), (what.missed, Walk::Missed)].into_iter().filter(|(asked, _)| *asked) {
            let mut after = Some(EventKey(EventKey::at(since).0.saturating_sub(1)));
            while let Some(from) = after {
                let window = (from, EventKey::up_to(until));
                let piece = self.store.aside(move |reader| reader.to_recover(no, walk, window)).await.map_err(unreadable)?;
                for found in piece.found.chunks(RECOVER) {
                    brought += self.recover_slice(no, found.to_vec(), None).await?;
                }
                after = piece.next;
            }
        }
        Ok(brought)
    }

    /// Brings back what a walk has found, in one commit, and returns how many deliveries that were.
    pub(super) async fn recover_slice(
        &self,
        no: EndpointNo,
        found: Vec<Recovered>,
        asked: Option<Box<Asked>>,
    ) -> Result<u64, Denied> {
        self.store.ask(self.store.line_of_webhook(no), |to| Op::Recover(no, found, asked, to)).await?
    }

    /// Begins a replay.
    pub(crate) async fn begin_replay(self, new: NewReplay) -> Result<Arc<Replay>, Denied> {
        let owned = new.owned.clone();
        self.replay_op(&owned, ReplayOp::Create(Box::new(new))).await
    }

    /// Has a replay send nothing more until it is resumed.
    pub(crate) async fn pause_replay(self, replay: &Replay) -> Result<Arc<Replay>, Denied> {
        self.replay_op(&replay.owned, ReplayOp::Pause(replay.no)).await
    }

    /// Has a replay go on.
    pub(crate) async fn resume_replay(self, replay: &Replay) -> Result<Arc<Replay>, Denied> {
        self.replay_op(&replay.owned, ReplayOp::Resume(replay.no)).await
    }

    /// Has a replay send nothing more.
    pub(crate) async fn cancel_replay(self, replay: &Replay) -> Result<Arc<Replay>, Denied> {
        self.replay_op(&replay.owned, ReplayOp::Cancel(replay.no)).await
    }

    /// Publishes an event again as a new one. Both name the other.
    pub(crate) async fn replay_event(self, replay: EventReplay) -> Result<Accepted, NotReplayed> {
        let (line, bytes) =
            (self.store.inbox.line(&replay.publication.provider, replay.publication.listed_under()), replay.publication.bytes());
        let asked = self.store.ask_with(line, bytes, |to| Op::ReplayEvent(Box::new(replay), self.by.clone(), to)).await;
        asked.map_err(NotReplayed::Denied)?
    }

    async fn replay_op(self, owned: &Owned, op: ReplayOp) -> Result<Arc<Replay>, Denied> {
        self.store.ask(self.store.line_of_owned(owned), |to| Op::Replay(op, self.by.clone(), to)).await?
    }

    /// Sets one event type of a provider, beside those of its dialect or in place of one.
    pub(crate) async fn put_event_type(self, provider: &str, event_type: EventType) -> Result<(), Denied> {
        self.store
            .ask(self.store.line_of_owned(&Owned::all_of(provider)), |to| {
                Op::PutEventType(provider.into(), event_type, self.by.clone(), to)
            })
            .await?
    }

    /// Takes away an event type that a provider added, or its words for one of its dialect.
    pub(crate) async fn drop_event_type(self, provider: &str, name: &str) -> Result<(), Denied> {
        self.store
            .ask(self.store.line_of_owned(&Owned::all_of(provider)), |to| {
                Op::DropEventType(provider.into(), name.into(), self.by.clone(), to)
            })
            .await?
    }

    pub(crate) async fn add_key(self, new: NewKey) -> Result<(), Denied> {
        self.store.ask(Line::COMMON, |to| Op::AddKey(Box::new(new), self.by.clone(), to)).await?
    }

    pub(crate) async fn revoke_key(self, id: &str) -> Result<(), Denied> {
        self.store.ask(self.store.line_of_key(id), |to| Op::RevokeKey(id.into(), self.by.clone(), to)).await?
    }

    /// Describes a tenant, and makes one that is not there. Answers the tenant, and whether it was made.
    pub(crate) async fn describe_tenant(self, new: NewTenant) -> Result<(Tenant, bool), Denied> {
        self.store.ask(self.store.line_of_owned(&new.owned), |to| Op::DescribeTenant(Box::new(new), self.by.clone(), to)).await?
    }

    /// Changes what the API says of a provider, and answers it.
    pub(crate) async fn set_provider(self, provider: &str, change: ProviderChange) -> Result<ProviderSettings, Denied> {
        let line = self.store.line_of_owned(&Owned::all_of(provider));
        self.store.ask(line, |to| Op::SetProvider(provider.into(), change, self.by.clone(), to)).await?
    }

    /// Deletes a tenant: its webhooks, keys and secrets at once, the rest of it a slice in each commit. Answers how far that has come.
    pub(crate) async fn delete_tenant(self, owned: Owned) -> Result<Tenant, Denied> {
        self.store.ask(self.store.line_of_owned(&owned), |to| Op::DeleteTenant(owned, self.by.clone(), to)).await?
    }

    /// The operator says that the wall clock is right; false when nobody doubted that.
    pub(crate) async fn accept_clock(self) -> Result<bool, Denied> {
        self.store.ask(Line::COMMON, |to| Op::AcceptClock(self.by.clone(), to)).await?
    }

    /// Takes parts of the history of another relay, all of a few, each whole or not at all. Answers what became of each.
    pub(crate) async fn take_history(self, parts: Vec<Old>) -> Result<Vec<Taken>, Denied> {
        self.store.ask(Line::COMMON, |to| Op::History(parts, self.by.clone(), to)).await?
    }

    /// Takes over a webhook of another relay, in the place of the one that has its id here.
    pub(crate) async fn import_webhook(
        self,
        no: Option<EndpointNo>,
        webhook: OldWebhook,
        redefine: impl FnOnce(&Definition) -> Definition + Send + 'static,
    ) -> Result<Arc<Endpoint>, Denied> {
        self.webhook_op(WebhookOp::Import { no, webhook: Box::new(webhook), redefine: Box::new(redefine) }).await
    }

    /// Takes the place of the backup under way, and looks whether a file can be written to `path` and has room there.
    pub(crate) async fn begin_backup(self, path: PathBuf) -> Result<Begun, NotBegun> {
        self.store.prepare_backup(path, Some(self.by.clone())).await
    }

    async fn webhook_op(self, op: WebhookOp) -> Result<Arc<Endpoint>, Denied> {
        let line = match (&op, op.no()) {
            (WebhookOp::Create(new), _) => self.store.line_of_owned(&new.owned),
            (WebhookOp::Import { webhook, .. }, _) => self.store.line_of_owned(&webhook.owned),
            (_, no) => no.map_or(Line::COMMON, |no| self.store.line_of_webhook(no)),
        };
        self.store.ask(line, |to| Op::Webhook(Box::new(op), self.by.clone(), to)).await?
    }
}

/// Nothing more is brought back of a store that cannot be read. The log says why.
fn unreadable(fault: Error) -> Denied {
    tracing::error!("deliveries to recover cannot be read: {fault}");
    Denied::Closing
}

/// Deliveries that one commit of [`Commands::recover`] brings back.
const RECOVER: usize = 500;

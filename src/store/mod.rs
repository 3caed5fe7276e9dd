//! The durable side: events, deliveries, webhooks and keys in one redb file with a journal before it, and the schedule that brings
//! deliveries back.
//!
//! ```text
//!  api ── accept, create, retry … ─┐                       ┌─ answers, after the commit
//!                                  ▼                       │
//!  deliver ── finish, refill ──▶ inbox ──▶ writer thread ──┤
//!                                          │ one commit for all that waits: to the journal, or to the tables
//!                                          │ wheel, backlog, fan-out, retention: a slice in each batch
//!                                          ▼
//!                                   Committed ──▶ deliver (deliveries to attempt now)
//! ```
//!
//! One thread writes. It owns the wheel too, so what is armed in memory and what stands in the due table never disagree.
//! Everything else reads snapshots, through `reads.rs`. Nothing outside this room sees a redb type.

mod commands;
mod error;
mod files;
mod handle;
mod message;
mod reads;
mod record;
mod redb;
mod replays;
mod rules;
mod shared;
#[cfg(test)]
pub(crate) mod stepped;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use commands::Commands;
pub(crate) use error::Error;
pub(crate) use handle::{Follower, Machine, Options, Store};
pub(crate) use message::audit::{Actor, AuditFilter, FileChanges, Origin, Row as AuditRow};
pub(crate) use message::backup::{BackupEnded, BackupRunning, Manifest, SealingKey};
pub(crate) use message::change::{Advance, EndedAt, Missed, Passed, Reached};
pub(crate) use message::command::{
    Committed, DesiredState, Dialects, Dropped, FileWebhook, Finished, Lane, Limits, NewKey, NewWebhook, OldWebhook, Purge,
    Ready, Recover, TestRun,
};
pub(crate) use message::history::{Named as EventName, Old, OldDelivery, OldEvent, Row as HistoryRow, Taken};
pub(crate) use message::permit::{ENDPOINT_PERMITS, Live};
pub(crate) use message::progress::{Attempted, Fact};
pub(crate) use message::publication::{Accepted, Publication, Refusal, Unwanted};
pub(crate) use message::replay::{EventReplay, Ids, NewReplay, NotReplayed, Replay, ReplayFilter, ReplayState};
pub(crate) use message::session::{Connection, NewConnection};
pub(crate) use message::tenant::{Deletion, NewTenant, Tenant, TenantFilter};
pub(crate) use message::view::{
    Attempt, AttemptClass, AttemptFilter, AttemptPage, AttemptView, Counts, Facts, Filter, Fit, Of, Owners, Page, Space, Status,
    View, WebhookFilter, WebhookPage, WebhookView, status,
};
pub(crate) use redb::apply::tallies::KEPT as STATISTICS_KEPT;
pub(crate) use redb::backup::compact::{Compacted, compact};
pub(crate) use redb::backup::online::NotBegun;
pub(crate) use redb::backup::restore::{Restored, Restoring, restore};
pub(crate) use redb::backup::shelf::Shelf;
pub(crate) use redb::boot::check::{Report, check};
pub(crate) use redb::boot::doctor::{Aside, Diagnosis, HeldEvent, acknowledge, examine};
pub(crate) use redb::boot::salvage::{Salvaged, salvage};
#[cfg(test)]
pub(crate) use redb::medium::{Medium, Power, Surge};
pub(crate) use redb::read::begin::{Begin, Begun};
pub(crate) use redb::read::sizes::TableSize;
pub(crate) use rules::event_types::{CATALOGUE_BYTES_MAX, EVENT_TYPES_MAX};
pub(crate) use rules::webhooks::SECRETS_MAX;
pub(crate) use shared::Health;
use shared::Shared;
#[cfg(test)]
pub(crate) use shared::described::KnownTenants;
pub(crate) use shared::described::{Added, Described, Tenants};
pub(crate) use shared::dial::{consequence, described};

use crate::domain::event::Event;

/// A tenant of a provider, by their ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Owned {
    pub(crate) provider: Box<str>,
    pub(crate) tenant: Box<str>,
}

impl Owned {
    /// The owner of an event. An event for all tenants belongs to its provider's [`ALL_TENANTS`].
    fn from_event(event: &Event) -> Self {
        Self { provider: (&*event.provider).into(), tenant: listed_under(event.tenant.as_deref()).into() }
    }

    fn all_of(provider: &str) -> Self {
        Self { provider: provider.into(), tenant: ALL_TENANTS.into() }
    }
}

/// The tenant that an event is listed under: its own, or its provider's [`ALL_TENANTS`].
fn listed_under(tenant: Option<&str>) -> &str {
    tenant.unwrap_or(ALL_TENANTS)
}

/// Why a change was refused. Nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("no such webhook")]
    NoWebhook,
    #[error("no such delivery")]
    NoDelivery,
    #[error("this webhook belongs to the config file; change it there and run `hookwheel reload`")]
    FileOwned,
    #[error("this webhook's secret comes from a file; change that file and run `hookwheel reload`")]
    SecretFromFile,
    #[error("the webhook is disabled; `enable` it first")]
    Disabled,
    #[error("the webhook was deleted")]
    Deleted,
    #[error("the delivery has ended already; what has ended cannot be cancelled")]
    Ended,
    #[error("the webhook is active, so nothing of it is held; purge what is `pending`")]
    NothingHeld,
    #[error("the webhook is not active, so all that waits for it is held; purge what is `held`")]
    NothingPending,
    #[error("this webhook is being purged; try again when that has come to its end")]
    BeingPurged,
    #[error(
        "this webhook, or its tenant or provider, was taken out of the config file; put it back there and run `hookwheel reload`"
    )]
    Removed,
    #[error("the webhook {0} is there already, of another tenant")]
    OfOtherTenant(Box<str>),
    #[error("a webhook named `{0}` exists already")]
    NameTaken(Box<str>),
    #[error("`{name}` is the name of {id}, which was taken out of the config file; delete that one first")]
    NameOfRemoved { name: Box<str>, id: Box<str> },
    #[error("the webhook `{0}` of the config file has the name of one that the API made; name it otherwise, or delete that one")]
    NameTakenByApi(Box<str>),
    #[error("the uid `{uid}` is that of {holder}; take another, or take it away from that one first")]
    UidTaken { uid: Box<str>, holder: Box<str> },
    #[error(
        "the webhook `{webhook}` of the config file has the uid `{uid}`, which is that of {holder}; take another, or take it away from \
         that one first"
    )]
    UidTakenByApi { webhook: Box<str>, uid: Box<str>, holder: Box<str> },
    #[error("this key, or a revoked one, has made {0} webhooks, which is the limit; delete one first")]
    TooMany(u32),
    #[error("no such event")]
    NoEvent,
    #[error("no such replay")]
    NoReplay,
    #[error("the replay has ended already")]
    ReplayEnded,
    #[error("this tenant has {0} replays that have not ended, which is the limit; wait for one of them, or cancel it")]
    TooManyReplays(usize),
    #[error("deliveries of this tenant are being counted for another replay; try again when that has its answer")]
    CountUnderWay,
    #[error("no such open connection")]
    NoConnection,
    #[error("the connection `{0}` is open with another link; close it first")]
    ConnectionOpen(Box<str>),
    #[error("this provider has {0} event types of its own, which is the limit")]
    TooManyTypes(usize),
    #[error(
        "this provider's own event types would take more than {0} MiB with their examples, which is the limit; shorten examples, or \
         delete types that are not used"
    )]
    CatalogueFull(usize),
    #[error("what may not be deleted yet fills the store; this is taken again when deliveries end or `max_bytes` is raised")]
    Full,
    #[error("the disk is nearly full; this is taken again when space is freed")]
    DiskLow,
    #[error("no such event type")]
    NoEventType,
    #[error("no such key")]
    NoKey,
    #[error("this key belongs to the config file; change it there and run `hookwheel reload`")]
    KeyInFile,
    #[error("the key that this key was to be made with was revoked")]
    KeyRevoked,
    #[error("the key {0} was revoked here")]
    KeyWasRevoked(Box<str>),
    #[error("keys of this provider have made {0} keys, which is the limit; revoke those that are not used")]
    TooManyKeys(usize),
    #[error(
        "the tenant `{0}` was taken out of the config file; put it back there and run `hookwheel reload`, or make its next key as \
         the operator"
    )]
    TenantRemoved(Box<str>),
    #[error("this tenant belongs to the config file; change it there and run `hookwheel reload`")]
    TenantInFile,
    #[error("the uid `{uid}` is the id of another tenant, by which that is found; take another")]
    UidIsId { uid: Box<str> },
    #[error("no such tenant")]
    NoTenant,
    #[error("the tenant `{0}` is being deleted; try again when that has come to its end, which `hookwheel tenants show` tells")]
    TenantDeleting(Box<str>),
    #[error("the default tenant is always there; delete its webhooks and revoke its keys instead")]
    DefaultTenant,
    #[error("the service is stopping")]
    Closing,
}

/// The provider of operational events. No config can name it, since a provider's name holds no dot.
pub(crate) const OPERATOR_PROVIDER: &str = "hookwheel.operator";
pub(crate) const OPERATOR_TENANT: &str = "operator";

/// The name under which a provider's events for all its tenants are listed. No tenant can have it.
const ALL_TENANTS: &str = "*";

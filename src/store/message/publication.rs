//! What goes in when an event is published, and what comes back.

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::access::Key;
use crate::domain::channels::Channels;
use crate::domain::dialect::Dialect;
use crate::domain::event::{Attributes, attribute_bytes};
use crate::domain::id::uid::Uid;
use crate::domain::time::Timestamp;

/// An event as a publisher sent it. All checks that need no store were made.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    pub(crate) provider: Arc<str>,
    pub(crate) dialect: Arc<Dialect>,
    /// The tenant. `None` for all tenants of the provider.
    pub(crate) tenant: Option<Box<str>>,
    /// Whether the event makes its tenant when that does not exist.
    pub(crate) makes_tenant: bool,
    /// The tenant's environment, for `$tenant.environment`.
    pub(crate) environment: Arc<str>,
    /// The publisher's own id. `None` when the store makes one.
    pub(crate) id: Option<Box<str>>,
    /// The publisher's second name for the event.
    pub(crate) uid: Option<Uid>,
    pub(crate) kind: Box<str>,
    /// The data as the dialect prints it: byte for byte, or by ECMAScript's rules.
    pub(crate) data: Bytes,
    pub(crate) occurred_at: Option<Timestamp>,
    pub(crate) attributes: Attributes,
    pub(crate) connection: Option<Box<str>>,
    pub(crate) channels: Channels,
    pub(crate) idempotency_key: Option<Box<str>>,
    /// The SHA-256 over everything that makes two publications the same. It is read only when there is an `id`, a `uid` or an
    /// `idempotency_key`.
    pub(crate) content: [u8; 32],
    /// The name of the only webhook that gets the event, where the dialect routes by an attribute.
    pub(crate) link: Option<Box<str>>,
    /// Whether a test call made the event, so that it is not listed among the events.
    pub(crate) test: bool,
    /// What is kept with the event as [`crate::domain::event::Event::schema_errors`].
    pub(crate) schema_errors: Box<str>,
    /// Whether the schema of its type refuses it, for what `schema_errors` says. Then it is taken only as a repetition of an event that
    /// was accepted before, by another schema.
    pub(crate) is_refused: bool,
    /// The key that the event came with. When that is revoked, events that still wait are refused.
    pub(crate) by: Option<Arc<Key>>,
}

impl Publication {
    /// An event of the relay itself, for its operator.
    pub(in crate::store) fn operational(dialect: Arc<Dialect>, kind: &str, data: &serde_json::Value) -> Self {
        let tenant = crate::store::OPERATOR_TENANT.into();
        Self::of_type_and_data(crate::store::OPERATOR_PROVIDER.into(), tenant, dialect, kind, data.to_string().into())
    }

    /// An event with nothing but what every event has.
    pub(crate) fn of_type_and_data(provider: Arc<str>, tenant: Box<str>, dialect: Arc<Dialect>, kind: &str, data: Bytes) -> Self {
        Self {
            provider,
            dialect,
            tenant: Some(tenant),
            makes_tenant: true,
            environment: "Production".into(),
            id: None,
            uid: None,
            kind: kind.into(),
            data,
            occurred_at: None,
            attributes: Attributes::new(),
            connection: None,
            channels: Channels::default(),
            idempotency_key: None,
            content: [0; 32],
            link: None,
            test: false,
            schema_errors: Box::default(),
            is_refused: false,
            by: None,
        }
    }

    pub(in crate::store) fn listed_under(&self) -> &str {
        crate::store::listed_under(self.tenant.as_deref())
    }

    /// How many bytes of memory it takes while it waits for the disk.
    pub(in crate::store) fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(attribute_bytes).sum::<usize>();
        self.data.len() + self.schema_errors.len() + attributes + self.channels.bytes() + size_of::<Self>()
    }
}

/// A publication that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) id: Box<str>,
    /// How many webhooks match.
    pub(crate) deliveries: u32,
    /// Whether the same content was published before. Then this is the first answer once more.
    pub(crate) repeated: bool,
    /// Set when no webhook matches. The event's type may be misspelt.
    pub(crate) unwanted: Option<Unwanted>,
}

/// An event that no webhook matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Unwanted {
    /// The tenant. `None` for all tenants of the provider.
    pub(crate) tenant: Option<Box<str>>,
    pub(crate) kind: Box<str>,
}

/// Why a publication was refused. Nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("an event with id `{0}` exists with other content")]
    IdTaken(Box<str>),
    #[error("the uid `{uid}` is that of the event {holder}, which has other content or another id")]
    UidTaken { uid: Box<str>, holder: Box<str> },
    #[error("the data does not match the schema of its type")]
    Schema {
        /// What was wrong, as [`Publication::schema_errors`] has it.
        errors: Box<str>,
    },
    #[error("this Idempotency-Key was used with other content")]
    KeyTaken,
    #[error("what may not be deleted yet fills the store; events are taken again when deliveries end or `max_bytes` is raised")]
    Full,
    #[error("the disk is nearly full; events are taken again when space is freed")]
    DiskLow,
    #[error(
        "what the store lost with its journal is not known; events are taken again when `hookwheel doctor --acknowledge` was run"
    )]
    JournalLost,
    #[error(
        "there is no tenant `{0}`; it comes to be by the config file, by a key or a webhook that is made for it, or with \
         `create_tenants = true` of its provider by its first event"
    )]
    NoTenant(Box<str>),
    #[error(
        "the tenant `{0}` was taken out of the config file; put it back there and run `hookwheel reload`, or make a key or a webhook \
         for it"
    )]
    TenantRemoved(Box<str>),
    #[error("the tenant has no webhook named `{link}`")]
    NoLink {
        /// The attribute that named the webhook.
        attribute: Box<str>,
        link: Box<str>,
    },
    #[error("too many events wait to be written; try again in a second")]
    Busy,
    #[error("the key was revoked before the event was on disk")]
    KeyRevoked,
    #[error("the service is stopping")]
    Closing,
}

/// Why the store refuses events, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Pressure {
    None,
    /// Unfinished deliveries fill `max_bytes`.
    Full,
    DiskLow,
    /// The journal was lost, so nobody knows what is missing, and no one has acknowledged that yet.
    JournalLost,
}

impl Pressure {
    /// The refusal of an event. `None` when events are taken.
    pub(in crate::store) fn refusal(self) -> Option<Refusal> {
        match self {
            Self::None => None,
            Self::Full => Some(Refusal::Full),
            Self::DiskLow => Some(Refusal::DiskLow),
            Self::JournalLost => Some(Refusal::JournalLost),
        }
    }
}

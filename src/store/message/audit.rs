//! The audit log: who changed what, from where, and what it was before and after.
//!
//! Whoever asks for a change says so with an [`Origin`], which travels with the command to the writer. The writer puts a [`Row`]
//! into the same commit as the change, so that a crash leaves both or neither. A change that nobody asked for, as a webhook that
//! failures disable, has no origin and no row: an operational event tells of it.

pub(in crate::store) mod consequences;
pub(in crate::store) mod document;
pub(in crate::store) mod shown;

use crate::domain::access::Key;
use crate::domain::id::AuditKey;
use crate::domain::time::Timestamp;
use crate::store::Owned;
use document::Document;

/// Who asks for a change, from where, and by which call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) actor: Actor,
    /// The IP address of the peer, for a request over the network. Empty: nobody came over the network.
    pub(crate) address: Box<str>,
    /// The method and path of the API's call, as in `POST /v1/webhooks`; `start` or `reload` for what the config file brings about.
    pub(crate) call: Box<str>,
}

/// Who makes a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(crate) kind: ActorKind,
    /// The id of a key, the user of a socket's peer as in `uid:1000`, the path of a file. Empty where nothing is known.
    pub(crate) id: Box<str>,
    /// The name of a key, or what kind of socket or file it is, for people.
    pub(crate) name: Box<str>,
}

/// By which right somebody makes a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActorKind {
    /// An API key, of the operator, a provider or a tenant.
    Key,
    /// A socket that needs no key: the admin socket, or the one of `dev`.
    Socket,
    /// The config file, read at a start or by SIGHUP.
    File,
}

impl ActorKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Socket => "socket",
            Self::File => "file",
        }
    }
}

impl Actor {
    pub(crate) fn key(key: &Key) -> Self {
        Self { kind: ActorKind::Key, id: key.id.clone(), name: key.name.clone() }
    }

    /// Whoever may open the admin socket. `user` is the number of the user on the other side, where the system tells it.
    pub(crate) fn admin_socket(user: Option<u32>) -> Self {
        let id = user.map(|user| format!("uid:{user}")).unwrap_or_default();
        Self { kind: ActorKind::Socket, id: id.into(), name: "admin socket".into() }
    }

    /// Whoever works at the laptop on which `dev` runs.
    pub(crate) fn dev() -> Self {
        Self { kind: ActorKind::Socket, id: "".into(), name: "dev".into() }
    }

    pub(crate) fn file(path: &str) -> Self {
        Self { kind: ActorKind::File, id: path.into(), name: "config file".into() }
    }
}

#[cfg(test)]
impl Origin {
    /// What a test asks for at the admin socket.
    pub(crate) fn test() -> Self {
        Self { actor: Actor::admin_socket(Some(0)), address: "".into(), call: "TEST".into() }
    }
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) kind: ObjectKind,
    /// Its id. A tenant's is `PROVIDER/TENANT`, an event type's `PROVIDER/NAME`, a provider's its name, a backup's its path.
    pub(crate) id: Box<str>,
    /// Its name for people. Empty for what has none.
    pub(crate) name: Box<str>,
    /// The tenant that owns it. `None` for what belongs to no tenant.
    pub(crate) owner: Option<Owned>,
}

/// What kind of thing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Webhook,
    Delivery,
    Key,
    Tenant,
    EventType,
    /// The config as the files, the environment and the flags have it.
    Config,
    /// The wall clock, which the operator says is right.
    Clock,
    Backup,
    Provider,
    Replay,
    Event,
    /// Events and deliveries that were taken over from another relay.
    History,
}

impl ObjectKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Delivery => "delivery",
            Self::Key => "key",
            Self::Tenant => "tenant",
            Self::EventType => "event_type",
            Self::Config => "config",
            Self::Clock => "clock",
            Self::Backup => "backup",
            Self::Provider => "provider",
            Self::Replay => "replay",
            Self::Event => "event",
            Self::History => "history",
        }
    }
}

/// What the config file changed, by kinds and names as in `webhook acme/t1/billing`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileChanges {
    pub(crate) added: Vec<String>,
    pub(crate) changed: Vec<String>,
    pub(crate) removed: Vec<String>,
}

/// One change: what was changed, and what of it was so before and is so after. Nothing stands where the object was not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Change {
    pub(in crate::store) object: Object,
    pub(in crate::store) before: Option<Document>,
    pub(in crate::store) after: Option<Document>,
}

/// The SHA-256 of a row: of its key and of its record, which holds the hash of the row before. So no row can be changed, taken out
/// or put in between without a change of all that follow.
pub(in crate::store) type Hash = [u8; 32];

/// A row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: AuditKey,
    /// The service's time of the commit.
    pub(crate) at: Timestamp,
    pub(crate) origin: Origin,
    pub(crate) object: Object,
    /// JSON objects of some KiB at most.
    pub(crate) before: Option<Box<str>>,
    pub(crate) after: Option<Box<str>>,
    /// The hash of the row before. All zeros for the first row of a store.
    pub(in crate::store) previous: Hash,
}

/// Which rows a list shows: those that every given member fits.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditFilter {
    /// The kind, the id or the name of an actor.
    pub(crate) actor: Option<Box<str>>,
    /// The kind or the id of an object, or the tenant that owns it, as `PROVIDER/TENANT`.
    pub(crate) object: Option<Box<str>>,
    /// A call with its method, or its path alone.
    pub(crate) call: Option<Box<str>>,
    /// Inclusive.
    pub(crate) since: Option<Timestamp>,
    /// Exclusive.
    pub(crate) until: Option<Timestamp>,
}

/// Some rows, newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditPage {
    pub(crate) rows: Vec<Row>,
    /// The last row that was looked at, when there may be more.
    pub(crate) next: Option<AuditKey>,
}

impl AuditFilter {
    pub(in crate::store) fn takes(&self, row: &Row) -> bool {
        let Row { origin, object, at, .. } = row;
        let fits = |asked: &Option<Box<str>>, is: &dyn Fn(&str) -> bool| asked.as_deref().is_none_or(is);
        let is_actor = |text: &str| [origin.actor.kind.name(), &origin.actor.id, &origin.actor.name].contains(&text);
        let is_object = |text: &str| [object.kind.name(), &object.id].contains(&text) || object.is_owned_by(text);
        let is_call = |text: &str| *origin.call == *text || origin.call.split_once(' ').is_some_and(|(_, path)| path == text);
        fits(&self.actor, &is_actor)
            && fits(&self.object, &is_object)
            && fits(&self.call, &is_call)
            && self.since.is_none_or(|since| *at >= since)
            && self.until.is_none_or(|until| *at < until)
    }
}

impl Object {
    fn is_owned_by(&self, text: &str) -> bool {
        let owned = self.owner.as_ref().zip(text.split_once('/'));
        owned.is_some_and(|(owner, (provider, tenant))| *owner.provider == *provider && *owner.tenant == *tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let owner = Some(Owned { provider: "acme".into(), tenant: "t1".into() });
        Row {
            key: AuditKey(1),
            at: Timestamp::from_secs(10),
            origin: Origin {
                actor: Actor { kind: ActorKind::Key, id: "key_1".into(), name: "ci".into() },
                address: "192.0.2.1".into(),
                call: "PATCH /v1/webhooks/{id}".into(),
            },
            object: Object { kind: ObjectKind::Webhook, id: "wh_1".into(), name: "billing".into(), owner },
            before: None,
            after: None,
            previous: [0; 32],
        }
    }

    #[test]
    fn a_row_is_found_by_who_did_it_and_what_it_is_about() {
        let by = |actor: Option<&str>, object: Option<&str>, call: Option<&str>| {
            let [actor, object, call] = [actor, object, call].map(|text| text.map(Into::into));
            AuditFilter { actor, object, call, ..AuditFilter::default() }.takes(&row())
        };
        assert!(by(None, None, None));
        assert!(["key", "key_1", "ci"].iter().all(|actor| by(Some(actor), None, None)) && !by(Some("socket"), None, None));
        assert!(["webhook", "wh_1", "acme/t1"].iter().all(|object| by(None, Some(object), None)));
        assert!(["billing", "acme", "acme/t2", "t1"].iter().all(|object| !by(None, Some(object), None)));
        assert!(["PATCH /v1/webhooks/{id}", "/v1/webhooks/{id}"].iter().all(|call| by(None, None, Some(call))));
        assert!(!by(None, None, Some("PATCH")) && !by(Some("ci"), Some("wh_2"), None));
    }

    #[test]
    fn a_window_begins_with_since_and_ends_before_until() {
        let within = |since: Option<u64>, until: Option<u64>| {
            let [since, until] = [since, until].map(|at| at.map(Timestamp::from_secs));
            AuditFilter { since, until, ..AuditFilter::default() }.takes(&row())
        };
        assert!(within(Some(10), Some(11)) && !within(Some(11), None) && !within(None, Some(10)));
    }
}

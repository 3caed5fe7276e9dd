//! A webhook as the engine sees it: where deliveries go, for which event types, signed with what, and whether it may.

use super::dialect::Disable;
use super::id::{EndpointNo, TenantNo};
use super::pattern::Pattern;
use super::secret::Secret;
use super::time::Timestamp;

/// A subscribed endpoint. Immutable: a change makes a new one.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) no: EndpointNo,
    pub(crate) id: Box<str>,
    pub(crate) provider: Box<str>,
    pub(crate) tenant: Box<str>,
    pub(crate) tenant_no: TenantNo,
    pub(crate) definition: Definition,
    pub(crate) owner: Owner,
    pub(crate) created_at: Timestamp,
    /// When the definition was last set: `explain` says so when that is after the event.
    pub(crate) changed_at: Timestamp,
    pub(crate) standing: Standing,
    /// Consecutive failures, as the dialect counts them.
    pub(crate) failures: u32,
    /// Newest first, never empty unless the dialect signs nothing.
    pub(crate) secrets: Vec<LiveSecret>,
}

/// What create and PUT set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) name: Box<str>,
    pub(crate) description: Box<str>,
    /// Canonical, as `target` printed it.
    pub(crate) url: Box<str>,
    pub(crate) events: Vec<Pattern>,
}

/// Who made the webhook, and so who may change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The config file: identity is provider, tenant and name.
    File,
    /// A tenant's key, by its id.
    Key(Box<str>),
    Operator,
}

/// Whether deliveries go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Active,
    Disabled {
        at: Timestamp,
        why: Why,
    },
    /// Kept until its log is gone, seen by nobody but the log.
    Deleted {
        at: Timestamp,
    },
}

/// Why a webhook is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// So many failures in a row.
    Failures(u32),
    /// The endpoint answered 410.
    Gone,
    ByHand,
    /// Its table, or that of its tenant or provider, was taken out of the config file.
    NotInFile,
}

impl Why {
    /// As the API shows it.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Failures(count) => format!("{count} consecutive failures"),
            Self::Gone => "the endpoint answered 410 Gone".into(),
            Self::ByHand => "disabled by hand".into(),
            Self::NotInFile => "taken out of the config file".into(),
        }
    }
}

/// A secret that signs, for ever or until the end of a rotation's overlap.
#[derive(Clone, Debug)]
pub(crate) struct LiveSecret {
    pub(crate) secret: Secret,
    pub(crate) until: Option<Timestamp>,
}

/// What an outcome does to the count of consecutive failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Keep,
    Reset,
    Raise,
}

impl Endpoint {
    pub(crate) fn is_active(&self) -> bool {
        self.standing == Standing::Active
    }

    pub(crate) fn is_deleted(&self) -> bool {
        matches!(self.standing, Standing::Deleted { .. })
    }

    /// Disabled until the config file names it, its tenant or its provider again.
    pub(crate) fn is_out_of_file(&self) -> bool {
        matches!(self.standing, Standing::Disabled { why: Why::NotInFile, .. })
    }

    pub(crate) fn is_file_owned(&self) -> bool {
        self.owner == Owner::File
    }

    pub(crate) fn wants(&self, kind: &str) -> bool {
        self.definition.events.iter().any(|pattern| pattern.matches(kind))
    }

    /// The secrets that sign at `now`, newest first.
    pub(crate) fn signing(&self, now: Timestamp) -> Vec<&Secret> {
        let live = |held: &&LiveSecret| held.until.is_none_or(|until| now < until);
        self.secrets.iter().filter(live).map(|held| &held.secret).collect()
    }

    /// Counts one failure or success; the tenth failure in a row, or whatever the dialect says, disables an active webhook.
    pub(crate) fn counted(mut self, count: Count, disable: &Disable, now: Timestamp) -> Self {
        self.failures = match count {
            Count::Keep => self.failures,
            Count::Reset => 0,
            Count::Raise => self.failures.saturating_add(1),
        };
        let spent = disable.consecutive > 0 && self.failures >= disable.consecutive;
        if spent && count == Count::Raise && self.is_active() {
            self.standing = Standing::Disabled { at: now, why: Why::Failures(self.failures) };
        }
        self
    }

    /// Sets the standing by hand, by a 410 or by the config file. Enabling starts the count anew. The first cause stays, but
    /// being out of the file gives way to every other: the file's return would take it back.
    pub(crate) fn disabled(mut self, why: Why, now: Timestamp) -> Self {
        if self.is_active() || (self.is_out_of_file() && why != Why::NotInFile) {
            self.standing = Standing::Disabled { at: now, why };
        }
        self
    }

    pub(crate) fn enabled(mut self) -> Self {
        self.standing = Standing::Active;
        self.failures = 0;
        self
    }
}

//! Who is asking, and what a key may do.

use super::time::Timestamp;

/// An API key, known by the SHA-256 of its text alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// `key_…`; a key from the config file is `key_file_` and its name.
    pub(crate) id: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) role: Role,
    pub(crate) hash: KeyHash,
    pub(crate) created_at: Timestamp,
}

/// SHA-256 of a key's text.
pub(crate) type KeyHash = [u8; 32];

/// On whose behalf a key acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// May do everything.
    Operator,
    /// Publishes for the provider's tenants and changes its catalogue.
    Provider { provider: Box<str> },
    /// Acts for one tenant within its scopes.
    Tenant { provider: Box<str>, tenant: Box<str>, scopes: Scopes },
}

/// What a tenant's key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scopes {
    /// Events and connections.
    pub(crate) publish: bool,
    /// Every GET.
    pub(crate) read: bool,
    /// Everything else, and `read`.
    pub(crate) manage: bool,
}

impl Scopes {
    pub(crate) const ALL: Self = Self { publish: true, read: true, manage: true };
    pub(crate) const NAMES: [&str; 3] = ["publish", "read", "manage"];

    /// Reads the names in a config file or a request; `None` at the first unknown one or when there is none.
    pub(crate) fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut scopes = Self { publish: false, read: false, manage: false };
        for name in names {
            match name {
                "publish" => scopes.publish = true,
                "read" => scopes.read = true,
                "manage" => scopes.manage = true,
                _ => return None,
            }
        }
        (scopes.publish || scopes.read || scopes.manage).then_some(scopes)
    }

    pub(crate) fn names(self) -> Vec<&'static str> {
        let named = [(self.publish, "publish"), (self.read, "read"), (self.manage, "manage")];
        named.into_iter().filter_map(|(has, name)| has.then_some(name)).collect()
    }

    pub(crate) fn may_read(self) -> bool {
        self.read || self.manage
    }
}

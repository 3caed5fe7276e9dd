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
    pub(crate) maker: Maker,
}

/// Who made a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// The operator, with the key of this id; `None`: in the config file, at the admin socket, or nobody kept it.
    Operator(Option<Box<str>>),
    /// Somebody with a provider's key, by its id.
    Provider(Box<str>),
}

impl Maker {
    pub(crate) const NOT_KEPT: Self = Self::Operator(None);

    /// The id of the key that it was made with.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Operator(id) => id.as_deref(),
            Self::Provider(id) => Some(id),
        }
    }

    pub(crate) fn is_provider(&self) -> bool {
        matches!(self, Self::Provider(_))
    }
}

/// SHA-256 of a key's text.
pub(crate) type KeyHash = [u8; 32];

/// On whose behalf a key acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// May do everything.
    Operator,
    /// Acts for the provider and, with `read` or `manage`, for each of its tenants.
    Provider { provider: Box<str>, scopes: Scopes },
    /// Acts for one tenant within its scopes.
    Tenant { provider: Box<str>, tenant: Box<str>, scopes: Scopes },
}

impl Role {
    pub(crate) fn provider(&self) -> Option<&str> {
        match self {
            Self::Operator => None,
            Self::Provider { provider, .. } | Self::Tenant { provider, .. } => Some(provider),
        }
    }
}

/// What a tenant's or a provider's key may do.
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
    /// A tenant's key has them unless it says otherwise.
    pub(crate) const ALL: Self = Self { publish: true, read: true, manage: true };
    pub(crate) const NONE: Self = Self { publish: false, read: false, manage: false };
    /// A provider's key has it unless it says otherwise.
    pub(crate) const PUBLISH: Self = Self { publish: true, read: false, manage: false };
    pub(crate) const NAMES: [&str; 3] = ["publish", "read", "manage"];

    /// Reads the names in a config file or a request; `None` at the first unknown one or when there is none.
    pub(crate) fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut scopes = Self::NONE;
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

    /// Those of `others` that these do not come to.
    pub(crate) fn lacking(self, others: Self) -> Vec<&'static str> {
        let (publish, manage) = (others.publish && !self.publish, others.manage && !self.manage);
        let lacking = Self { publish, read: others.read && !self.may_read(), manage };
        lacking.names()
    }

    pub(crate) fn may_read(self) -> bool {
        self.read || self.manage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_manages_reads_and_who_reads_does_not_publish() {
        let of = |names: &[&str]| Scopes::parse(names.iter().copied()).expect("scopes");
        assert_eq!(of(&["manage"]).lacking(of(&["read", "manage"])), [""; 0]);
        assert_eq!(of(&["manage"]).lacking(Scopes::ALL), ["publish"]);
        assert_eq!(of(&["read"]).lacking(Scopes::ALL), ["publish", "manage"]);
        assert_eq!(Scopes::PUBLISH.lacking(of(&["read"])), ["read"]);
    }
}

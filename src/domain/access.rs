//! API keys: on whose behalf a key acts, and what it may do.

use super::rate::Rate;
use super::time::Timestamp;

/// An API key. Of its text only the SHA-256 is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The key's id, `key_…`. A key from the config file has `key_file_` and its name.
    pub(crate) id: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) role: Role,
    pub(crate) hash: KeyHash,
    pub(crate) created_at: Timestamp,
    pub(crate) maker: Maker,
    pub(crate) terms: Terms,
}

/// What a key is for, and how far it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// In words, for people; may be empty.
    pub(crate) description: Box<str>,
    /// From this moment on the key opens nothing; `None`: it has no end.
    pub(crate) expires_at: Option<Timestamp>,
    /// How often a call may be made with it, and each event counts as one; `None`: as often as the service takes them.
    pub(crate) rate_limit: Option<Rate>,
}

impl Terms {
    pub(crate) fn have_ended(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// The terms of a key that is made with a key of other terms. It ends no later and is used no more often than its maker; where
    /// it says nothing, it has its maker's end and rate. Returns what goes beyond.
    pub(crate) fn under(mut self, maker: &Self) -> (Self, Vec<Beyond>) {
        let mut beyond = Vec::new();
        if let Some(end) = maker.expires_at
            && *self.expires_at.get_or_insert(end) > end
        {
            beyond.push(Beyond::End(end));
        }
        if let Some(rate) = maker.rate_limit
            && self.rate_limit.get_or_insert(rate).is_faster_than(rate)
        {
            beyond.push(Beyond::Rate(rate));
        }
        (self, beyond)
    }
}

/// Where a new key would go beyond the key that makes it. Holds what that key has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beyond {
    End(Timestamp),
    Rate(Rate),
}

/// Who made a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// The operator, with the operator's key of this id. `None` when the key is from the config file, was made at the admin
    /// socket, or its maker was not recorded.
    Operator(Option<Box<str>>),
    /// Someone with a provider's key, whose id this is.
    Provider(Box<str>),
}

impl Maker {
    pub(crate) const NOT_KEPT: Self = Self::Operator(None);

    /// The id of the key with which this key was made.
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

/// The SHA-256 of a key's text.
pub(crate) type KeyHash = [u8; 32];

/// On whose behalf a key acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Acts for the operator, and may do everything.
    Operator,
    /// Acts for a provider and, with `read` or `manage`, for each of its tenants.
    Provider { provider: Box<str>, scopes: Scopes },
    /// Acts for one tenant, within its scopes.
    Tenant { provider: Box<str>, tenant: Box<str>, scopes: Scopes },
}

impl Role {
    /// Whether a key of this role may do everything that one of `other` may, for the same tenant or provider.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Operator, Self::Operator) => true,
            (Self::Provider { provider, scopes }, Self::Provider { provider: of, scopes: others }) => {
                provider == of && scopes.lacking(*others).is_empty()
            }
            (Self::Tenant { provider, tenant, scopes }, Self::Tenant { provider: of, tenant: of_tenant, scopes: others }) => {
                (provider, tenant) == (of, of_tenant) && scopes.lacking(*others).is_empty()
            }
            _ => false,
        }
    }

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
    /// Publish events, and open and close connections.
    pub(crate) publish: bool,
    /// Make any GET call.
    pub(crate) read: bool,
    /// Make any other call, and those of `read`.
    pub(crate) manage: bool,
}

impl Scopes {
    /// The scopes of a tenant's key that names none.
    pub(crate) const ALL: Self = Self { publish: true, read: true, manage: true };
    pub(crate) const NONE: Self = Self { publish: false, read: false, manage: false };
    /// The scopes of a provider's key that names none.
    pub(crate) const PUBLISH: Self = Self { publish: true, read: false, manage: false };
    pub(crate) const NAMES: [&str; 3] = ["publish", "read", "manage"];

    /// Reads scopes by their names in a config file or a request. `None` when a name is unknown, or when there is no name.
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

    /// The names of those scopes in `others` that these do not include.
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
    fn a_made_key_goes_no_further_than_its_maker() {
        let at = |second| Some(Timestamp::from_secs(second));
        let rate = |text: &str| text.parse().ok();
        let terms = |expires_at, rate_limit| Terms { description: "".into(), expires_at, rate_limit };
        let (free, maker) = (Terms::default(), terms(at(9), rate("10/s")));
        assert_eq!(free.clone().under(&maker), (maker.clone(), Vec::new()));
        let less = terms(at(8), rate("600/m"));
        assert_eq!(less.clone().under(&maker), (less, Vec::new()));
        let (_, beyond) = terms(at(10), rate("11/s")).under(&maker);
        assert_eq!(beyond, [Beyond::End(Timestamp::from_secs(9)), Beyond::Rate(maker.rate_limit.expect("it has one"))]);
        assert_eq!(maker.clone().under(&free), (maker, Vec::new()));
    }

    #[test]
    fn a_key_opens_nothing_from_its_end_on() {
        let end = Timestamp::from_secs(100);
        let terms = Terms { expires_at: Some(end), ..Terms::default() };
        let ended = [99, 100, 101].map(|at| terms.have_ended(Timestamp::from_secs(at)));
        assert_eq!(ended, [false, true, true]);
        assert!(!Terms::default().have_ended(end));
    }

    #[test]
    fn a_role_covers_only_what_it_may_do_itself() {
        let of = |names: &[&str]| Scopes::parse(names.iter().copied()).expect("scopes");
        let tenant = |tenant: &str, scopes| Role::Tenant { provider: "shop".into(), tenant: tenant.into(), scopes };
        let provider = |provider: &str, scopes| Role::Provider { provider: provider.into(), scopes };
        let reads = tenant("acme", of(&["read"]));
        for (role, covers) in [
            (tenant("acme", of(&["read"])), true),
            (tenant("acme", of(&["manage"])), true),
            (tenant("acme", of(&["publish"])), false),
            (tenant("bolt", Scopes::ALL), false),
            (provider("shop", Scopes::ALL), false),
            (Role::Operator, false),
        ] {
            assert_eq!(role.covers(&reads), covers, "{role:?}");
        }
        assert!(provider("shop", Scopes::ALL).covers(&provider("shop", Scopes::PUBLISH)));
        assert!(!provider("other", Scopes::ALL).covers(&provider("shop", Scopes::PUBLISH)));
        assert!(Role::Operator.covers(&Role::Operator));
    }

    #[test]
    fn manage_includes_read_and_read_excludes_publish() {
        let of = |names: &[&str]| Scopes::parse(names.iter().copied()).expect("scopes");
        assert_eq!(of(&["manage"]).lacking(of(&["read", "manage"])), [""; 0]);
        assert_eq!(of(&["manage"]).lacking(Scopes::ALL), ["publish"]);
        assert_eq!(of(&["read"]).lacking(Scopes::ALL), ["publish", "manage"]);
        assert_eq!(Scopes::PUBLISH.lacking(of(&["read"])), ["read"]);
    }

    #[test]
    fn scopes_are_read_and_printed_by_their_names() {
        for names in [&["publish"][..], &["read"], &["publish", "manage"], &Scopes::NAMES] {
            assert_eq!(Scopes::parse(names.iter().copied()).expect("scopes").names(), names);
        }
        for names in [&[][..], &["Publish"], &["read", "write"], &[""]] {
            assert_eq!(Scopes::parse(names.iter().copied()), None, "{names:?}");
        }
    }

    #[test]
    fn a_key_belongs_to_a_provider_unless_it_is_the_operators() {
        let (provider, tenant, scopes) = (Box::from("acme"), Box::from("t1"), Scopes::ALL);
        assert_eq!(Role::Operator.provider(), None);
        assert_eq!(Role::Provider { provider: Box::clone(&provider), scopes }.provider(), Some("acme"));
        assert_eq!(Role::Tenant { provider, tenant, scopes }.provider(), Some("acme"));
    }

    #[test]
    fn a_key_tells_with_which_key_it_was_made() {
        assert_eq!((Maker::NOT_KEPT.key(), Maker::NOT_KEPT.is_provider()), (None, false));
        let operator = Maker::Operator(Some("key_1".into()));
        assert_eq!((operator.key(), operator.is_provider()), (Some("key_1"), false));
        let provider = Maker::Provider("key_2".into());
        assert_eq!((provider.key(), provider.is_provider()), (Some("key_2"), true));
    }
}

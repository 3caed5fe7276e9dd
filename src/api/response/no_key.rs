//! Why a request has no caller, and what its sender is told.

/// Why a request has no caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NoKey {
    /// There is no key that could be right.
    NoneYet,
    Missing,
    Unknown,
    /// Since it was last seen, or since the service started.
    Revoked,
    /// A key whose provider was taken out of the config is as good as revoked.
    NoProvider,
}

impl NoKey {
    /// Whether a key was shown that opens nothing.
    pub(crate) fn is_wrong(self) -> bool {
        !matches!(self, Self::NoneYet | Self::Missing)
    }

    /// For the caller, who is told no more of a key than that it opens nothing.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::NoneYet => NO_KEYS_YET,
            Self::Missing => KEY_MISSING,
            Self::Unknown | Self::Revoked | Self::NoProvider => UNKNOWN_KEY,
        }
    }
}
const KEY_MISSING: &str =
    "no key was given; send Authorization: Bearer KEY or X-API-Key: KEY, with a key that `hookwheel keys new my-app` made";
const UNKNOWN_KEY: &str = "this key is unknown, was revoked or has expired; `hookwheel keys new my-app` makes another";
const NO_KEYS_YET: &str =
    "there is no key yet; make one on the machine with `hookwheel keys new my-app`, or name one in the config file";

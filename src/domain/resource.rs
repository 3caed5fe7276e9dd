//! The kinds of things that calls are about, each with the word that answers use for it.

/// A kind of thing that a caller can name, and that may not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Provider,
    Tenant,
    Webhook,
    Delivery,
    Attempt,
    Event,
    EventType,
    Key,
    Connection,
    Replay,
    /// A webhook's secret, which exists only if the dialect signs.
    Secret,
    /// A path of the API.
    Path,
}

impl Resource {
    const ALL: [Self; 12] = [
        Self::Provider,
        Self::Tenant,
        Self::Webhook,
        Self::Delivery,
        Self::Attempt,
        Self::Event,
        Self::EventType,
        Self::Key,
        Self::Connection,
        Self::Replay,
        Self::Secret,
        Self::Path,
    ];

    /// The word for the kind in answers and messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Tenant => "tenant",
            Self::Webhook => "webhook",
            Self::Delivery => "delivery",
            Self::Attempt => "attempt",
            Self::Event => "event",
            Self::EventType => "event type",
            Self::Key => "key",
            Self::Connection => "connection",
            Self::Replay => "replay",
            Self::Secret => "secret",
            Self::Path => "path",
        }
    }

    /// The kind that a word of [`Self::name`] stands for. `None` for any other word.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_from_its_word() {
        for kind in Resource::ALL {
            assert_eq!(Resource::parse(kind.name()), Some(kind));
        }
        assert_eq!(Resource::parse("Webhook"), None);
    }
}

//! What is said of a provider: a system that emits events and speaks one dialect.

use super::dialect::UnknownTypes;
use super::schema::Validate;

/// What the API says of a provider. `None`: the dialect or a default says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProviderSettings {
    /// What becomes of an event whose data does not match the schema of its type.
    pub(crate) validate: Option<Validate>,
    /// What becomes of event types that the catalogue does not have.
    pub(crate) unknown_types: Option<UnknownTypes>,
    /// Whether an event for a tenant that does not exist makes it.
    pub(crate) create_tenants: Option<bool>,
}

/// A change of these settings. The outer `None` leaves a setting as it is, the inner one takes it away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProviderChange {
    pub(crate) validate: Option<Option<Validate>>,
    pub(crate) unknown_types: Option<Option<UnknownTypes>>,
    pub(crate) create_tenants: Option<Option<bool>>,
}

impl ProviderSettings {
    /// The settings after a change.
    pub(crate) fn with(self, change: ProviderChange) -> Self {
        Self {
            validate: change.validate.unwrap_or(self.validate),
            unknown_types: change.unknown_types.unwrap_or(self.unknown_types),
            create_tenants: change.create_tenants.unwrap_or(self.create_tenants),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let was = ProviderSettings { validate: Some(Validate::Warn), create_tenants: Some(true), ..ProviderSettings::default() };
        assert_eq!(was.with(ProviderChange::default()), was);
        let change =
            ProviderChange { validate: Some(None), unknown_types: Some(Some(UnknownTypes::Refuse)), create_tenants: None };
        let now = ProviderSettings { validate: None, unknown_types: Some(UnknownTypes::Refuse), create_tenants: Some(true) };
        assert_eq!(was.with(change), now);
    }
}

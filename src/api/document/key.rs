//! API keys, as the API shows them.

use serde::{Deserialize, Serialize};

use super::moment::Moment;

/// A key in a list. Its text is not shown, since nobody keeps it. An operator's key has neither provider nor tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Key {
    pub(crate) id: String,
    /// The key's name, empty when it has none.
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) operator: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) provider: Option<String>,
    /// The tenant that the key acts for. Absent for a provider's own key and an operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<String>,
    /// What the key may do. Absent for an operator's key, which may do everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) owner: KeyOwner,
    /// The id of the key with which this key was made.
    pub(crate) made_by: Option<String>,
    /// When the key was made. Null for a key of the config file.
    pub(crate) created_at: Option<Moment>,
    /// What the key is for, in the words of its maker.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    /// The time from which on the key is not accepted. Absent when it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Moment>,
    /// How often the key may be used, as in `1000/s`. Absent when that is not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate_limit: Option<String>,
    /// The minute of its last use. Absent when it was never used, and for a key of the config file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_used_at: Option<Moment>,
}

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyOwner {
    /// The config file lists the key.
    File,
    Operator,
    Provider,
}

impl KeyOwner {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Operator => "operator",
            Self::Provider => "provider",
        }
    }
}

/// The answer to the creation of a key, the only one that shows the key's text.
// It has no `Debug`, so that the text reaches no log.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CreatedKey"))]
pub(crate) struct NewKey {
    #[serde(flatten)]
    pub(crate) known: Key,
    pub(crate) key: String,
}

#[cfg(test)]
pub(crate) mod fixture {
    //! A key for tests.

    use super::*;

    /// An operator's, of the config file.
    pub(crate) fn key(id: &str, name: &str) -> Key {
        Key {
            id: id.into(),
            name: name.into(),
            operator: true,
            provider: None,
            tenant: None,
            scopes: None,
            owner: KeyOwner::File,
            made_by: None,
            created_at: None,
            description: String::new(),
            expires_at: None,
            rate_limit: None,
            last_used_at: None,
        }
    }
}

/// A link that signs its first user in to the dashboard as the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct LoginLink {
    /// It works once. Whoever has it may sign in.
    pub(crate) url: String,
    /// When it opens nothing any more, used or not.
    pub(crate) expires_at: Moment,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_key_is_read_as_it_is_printed() {
        let operators = fixture::key("key_1", "ops");
        let tenants = Key {
            operator: false,
            provider: Some("acme".into()),
            tenant: Some("t1".into()),
            scopes: Some(vec!["read".into()]),
            owner: KeyOwner::Provider,
            made_by: Some("key_0".into()),
            description: "For the build".into(),
            expires_at: Some(Timestamp::EPOCH.into()),
            rate_limit: Some("600/m".into()),
            ..operators.clone()
        };
        let printed = serde_json::to_string(&operators).unwrap();
        assert_eq!(printed, r#"{"id":"key_1","name":"ops","operator":true,"owner":"file","made_by":null,"created_at":null}"#);
        for key in [operators, tenants] {
            let printed = serde_json::to_string(&NewKey { known: key.clone(), key: "hwk_x".into() }).unwrap();
            assert_eq!(serde_json::from_str::<NewKey>(&printed).map(|made| made.known).unwrap(), key);
            assert_eq!(KeyOwner::name(key.owner), serde_json::to_value(key.owner).unwrap());
        }
    }
}

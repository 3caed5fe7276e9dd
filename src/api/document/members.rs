//! Objects whose members are named by what they are about, as headers are. They keep their order.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names and values in the order in which they stand in the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Members<V, N = String>(pub(crate) Vec<(N, V)>);

impl<V> Members<V> {
    /// The first member of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl<V: Serialize, N: Serialize> Serialize for Members<V, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de, V: Deserialize<'de>, N: Deserialize<'de>> Deserialize<'de> for Members<V, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<V, N>(PhantomData<(V, N)>);
        impl<'de, V: Deserialize<'de>, N: Deserialize<'de>> Visitor<'de> for InOrder<V, N> {
            type Value = Members<V, N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<V, N>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order() {
        let printed = r#"{"z":1,"a":2,"m":3}"#;
        let members: Members<u8> = serde_json::from_str(printed).unwrap();
        assert_eq!((members.0[0].clone(), members.get("a"), members.get("b")), (("z".to_owned(), 1), Some(&2), None));
        assert_eq!(serde_json::to_string(&members).unwrap(), printed);
    }
}

//! The words of the domain as the lines print them and read them.

use serde::{Deserialize, Serialize};

use crate::domain::delivery::outcome::Class;
use crate::domain::delivery::{Cause, End, Trigger};

/// Gives a word of the domain its JSON: the name that all answers have for it.
macro_rules! words {
    ($($kind:ty: $all:expr, $name:expr;)*) => {
        $(
            impl Serialize for $kind {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    let name: fn(&$kind) -> &'static str = $name;
                    serializer.serialize_str(name(self))
                }
            }

            impl<'de> Deserialize<'de> for $kind {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let text = String::deserialize(deserializer)?;
                    let name: fn(&$kind) -> &'static str = $name;
                    let found = $all.into_iter().find(|known| name(known) == text);
                    found.ok_or_else(|| serde::de::Error::custom("is a word that this release does not know"))
                }
            }
        )*
    };
}

words! {
    End: End::ALL, |end| end.name();
    Class: Class::ALL, |class| class.name();
    Cause: [Cause::Publish, Cause::Manual, Cause::Test], |cause| match cause {
        Cause::Publish => "publish",
        Cause::Manual => "manual",
        Cause::Test => "test",
    };
    Trigger: [Trigger::Schedule, Trigger::Manual, Trigger::Test], |trigger| match trigger {
        Trigger::Schedule => "schedule",
        Trigger::Manual => "manual",
        Trigger::Test => "test",
    };
}

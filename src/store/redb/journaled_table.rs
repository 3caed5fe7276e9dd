//! The journaled tables, each of them said once: its rows in the tables and its items in the journal.

use redb::{Key, ReadOnlyTable, Value};

use super::schema::{self, Def, journaled_tables};
use crate::store::record::key::{BacklogKey, DueKey, LogKey, TimeKey};

/// How the items of one table look in the journal.
pub(in crate::store) struct Form {
    /// The tags of a row that was put, and of one that was taken out.
    pub(in crate::store) tags: [u8; 2],
    /// The length of its keys; `None`: the length of each stands before it.
    pub(in crate::store) key_bytes: Option<usize>,
    /// Whether its rows hold more than their keys.
    pub(in crate::store) has_values: bool,
}

/// A journaled table by its types.
pub(in crate::store) trait Journaled: Sized + 'static {
    type K: TableKey;
    type V: Value + 'static;

    const TABLE: Table;
    const DEFINITION: Def<Self::K, Self::V>;

    fn before(all: &mut Before) -> &mut Option<ReadOnlyTable<Self::K, Self::V>>;
}

/// The key of a journaled table.
pub(in crate::store) trait TableKey: Key + 'static {
    /// A key as the journal has it, in bytes that sort as the keys do.
    type Bytes: ?Sized + AsRef<[u8]>;

    /// The length of each key; `None`: they vary in length.
    const BYTES: Option<usize>;

    /// A key as its table takes it.
    fn of(bytes: &[u8]) -> Self::SelfType<'_> {
        Self::from_bytes(bytes)
    }
}

/// The bytes of a table's key.
pub(in crate::store) type KeyBytes<T> = <<T as Journaled>::K as TableKey>::Bytes;

impl<const N: usize> TableKey for &'static [u8; N] {
    type Bytes = [u8; N];
    const BYTES: Option<usize> = Some(N);
}

impl TableKey for &'static [u8] {
    type Bytes = [u8];
    const BYTES: Option<usize> = None;
}

impl TableKey for u64 {
    type Bytes = [u8; 8];
    const BYTES: Option<usize> = Some(8);

    fn of(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    }
}

macro_rules! journaled {
    ($($constant:ident $name:ident: $k:ty => $v:ty, $table:ident $tags:literal;)*) => {
        /// The tables that the journal may hold changes of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::store) enum Table {
            $($table),*
        }

        impl Table {
            pub(in crate::store) const ALL: [Self; FORMS.len()] = [$(Self::$table),*];
        }

        /// Of each table in the order of [`Table::ALL`].
        pub(in crate::store) const FORMS: &[Form] =
            &[$(Form { tags: *$tags, key_bytes: <$k>::BYTES, has_values: size_of::<$v>() > 0 }),*];

        /// The journaled tables as they were before a batch, each opened when first asked for.
        #[derive(Default)]
        pub(in crate::store) struct Before {
            $($name: Option<ReadOnlyTable<$k, $v>>),*
        }

        $(pub(in crate::store) struct $table;

        impl Journaled for $table {
            type K = $k;
            type V = $v;

            const TABLE: Table = Table::$table;
            const DEFINITION: Def<$k, $v> = schema::$constant;

            fn before(all: &mut Before) -> &mut Option<ReadOnlyTable<$k, $v>> {
                &mut all.$name
            }
        })*
    };
}
journaled_tables!(journaled);

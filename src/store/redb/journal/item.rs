//! The one form in which the journal, the writer's memory and the readers' view hold a change of any journaled table: its table,
//! its key, and the value that was put, or none when the row was taken out.

use std::borrow::Borrow;

use redb::{Key, Value};

use crate::store::record::key::{BacklogKey, DueKey, LogKey, TimeKey};
use crate::store::redb::schema::{BACKLOG, DUE, Def, EVENT, LOG, NAME, NAME_END};

/// The tables that the journal may hold changes of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Table {
    Event,
    Log,
    Due,
    Backlog,
    Name,
    NameEnd,
}

/// What was done with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Change {
    Put,
    Taken,
}

/// How the items of one table look on disk.
struct Form {
    /// The tags of a row that was put, and of one that was taken out.
    tags: [u8; 2],
    /// The length of its keys; `None`: the length of each stands before it.
    key_bytes: Option<usize>,
    /// Whether its rows hold more than their keys.
    has_values: bool,
}

/// Of each table in the order of [`Table::ALL`]. Tags keep their meaning, for a start after an upgrade reads what the release before
/// wrote. That release knows no `e`, `l`, `n` and `x`, which are never written so far.
const FORMS: [Form; Table::ALL.len()] = [
    Form { tags: *b"Ee", key_bytes: Some(size_of::<u64>()), has_values: true },
    Form { tags: *b"Ll", key_bytes: Some(size_of::<LogKey>()), has_values: true },
    Form { tags: *b"DT", key_bytes: Some(size_of::<DueKey>()), has_values: false },
    Form { tags: *b"Bb", key_bytes: Some(size_of::<BacklogKey>()), has_values: true },
    Form { tags: *b"Nn", key_bytes: None, has_values: true },
    Form { tags: *b"Xx", key_bytes: Some(size_of::<TimeKey>()), has_values: true },
];

impl Table {
    pub(in crate::store) const ALL: [Self; 6] = [Self::Event, Self::Log, Self::Due, Self::Backlog, Self::Name, Self::NameEnd];

    /// The table and the change that a tag stands for; `None`: it stands for none.
    pub(in crate::store) fn of_tag(tag: u8) -> Option<(Self, Change)> {
        let of = |table: &Self| [Change::Put, Change::Taken].into_iter().find(|change| table.tag(*change) == tag);
        Self::ALL.into_iter().find_map(|table| Some((table, of(&table)?)))
    }

    #[inline]
    pub(in crate::store) fn tag(self, change: Change) -> u8 {
        self.form().tags[change as usize]
    }

    #[inline]
    pub(in crate::store) fn key_bytes(self) -> Option<usize> {
        self.form().key_bytes
    }

    #[inline]
    pub(in crate::store) fn has_values(self) -> bool {
        self.form().has_values
    }

    #[inline]
    fn form(self) -> &'static Form {
        &FORMS[self as usize]
    }
}

/// A journaled table by its types.
pub(in crate::store) trait Journaled: Sized + 'static {
    /// The bytes of a key.
    type Key: ?Sized + Ord + AsRef<[u8]> + ToOwned<Owned = Self::OwnedKey>;
    type OwnedKey: Ord + Clone + AsRef<[u8]> + Borrow<Self::Key> + for<'a> TryFrom<&'a [u8]>;
    type K: Key + 'static;
    type V: Value + 'static;

    const TABLE: Table;
    const DEFINITION: Def<Self::K, Self::V>;
    /// Whether a row is put only while none stands under its key. When such a row is taken out before a checkpoint, neither change
    /// has to reach the table.
    const IS_PUT_ONCE: bool = false;
    /// Whether new rows come behind all others.
    const IS_APPENDED: bool = false;

    /// A key as its table takes it.
    fn table_key(key: &[u8]) -> <Self::K as Value>::SelfType<'_> {
        Self::K::from_bytes(key)
    }

    fn of<F: Family>(all: &EachTable<F>) -> &F::Of<Self>;
    fn of_mut<F: Family>(all: &mut EachTable<F>) -> &mut F::Of<Self>;
}

/// One type for each journaled table.
pub(in crate::store) trait Family {
    type Of<T: Journaled>;
}

macro_rules! journaled {
    ($($table:ident, $field:ident: $key:ty, $owned:ty => $definition:ident, $k:ty, $v:ty $({ $($more:item)* })?)*) => {
        /// A value for each journaled table.
        pub(in crate::store) struct EachTable<F: Family> {
            $($field: F::Of<$table>),*
        }

        impl<F: Family> Default for EachTable<F> where $(F::Of<$table>: Default),* {
            fn default() -> Self {
                Self { $($field: Default::default()),* }
            }
        }

        impl<F: Family> Clone for EachTable<F> where $(F::Of<$table>: Clone),* {
            fn clone(&self) -> Self {
                Self { $($field: self.$field.clone()),* }
            }
        }

        $(pub(in crate::store) struct $table;

        impl Journaled for $table {
            type Key = $key;
            type OwnedKey = $owned;
            type K = $k;
            type V = $v;

            const TABLE: Table = Table::$table;
            const DEFINITION: Def<$k, $v> = $definition;
            $($($more)*)?

            fn of<F: Family>(all: &EachTable<F>) -> &F::Of<Self> {
                &all.$field
            }

            fn of_mut<F: Family>(all: &mut EachTable<F>) -> &mut F::Of<Self> {
                &mut all.$field
            }
        })*
    };
}

journaled! {
    Event, event: [u8; 8], [u8; 8] => EVENT, u64, &'static [u8] {
        const IS_APPENDED: bool = true;

        fn table_key(key: &[u8]) -> u64 {
            key.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
        }
    }
    Log, log: LogKey, LogKey => LOG, &'static LogKey, &'static [u8]
    Due, due: DueKey, DueKey => DUE, &'static DueKey, () {
        const IS_PUT_ONCE: bool = true;
    }
    Backlog, backlog: BacklogKey, BacklogKey => BACKLOG, &'static BacklogKey, &'static [u8]
    Name, name: [u8], Vec<u8> => NAME, &'static [u8], &'static [u8]
    NameEnd, name_end: TimeKey, TimeKey => NAME_END, &'static TimeKey, &'static [u8]
}

/// Runs a macro for every journaled table.
macro_rules! each_journaled {
    ($run:ident) => {
        $run!($crate::store::redb::journal::item::Event);
        $run!($crate::store::redb::journal::item::Log);
        $run!($crate::store::redb::journal::item::Due);
        $run!($crate::store::redb::journal::item::Backlog);
        $run!($crate::store::redb::journal::item::Name);
        $run!($crate::store::redb::journal::item::NameEnd);
    };
}
pub(in crate::store) use each_journaled;

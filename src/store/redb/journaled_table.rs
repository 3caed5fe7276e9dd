//! The journaled tables by their types.

use redb::{Key, ReadOnlyTable, Value};

use super::journal::item::Table;
use super::schema::{BACKLOG, DUE, Def, ENDED, EVENT, LOG, NAME, NAME_END};
use crate::store::record::key::{BacklogKey, DueKey, LogKey, TimeKey};

/// A journaled table.
pub(in crate::store) trait Journaled: Sized + 'static {
    /// The bytes of a key.
    type Key: ?Sized + AsRef<[u8]>;
    type K: Key + 'static;
    type V: Value + 'static;

    const TABLE: Table;
    const DEFINITION: Def<Self::K, Self::V>;

    /// A key as its table takes it.
    fn table_key(key: &[u8]) -> <Self::K as Value>::SelfType<'_> {
        Self::K::from_bytes(key)
    }

    fn before(all: &mut Before) -> &mut Option<ReadOnlyTable<Self::K, Self::V>>;
}

macro_rules! journaled {
    ($($table:ident, $name:ident: $key:ty => $definition:ident, $k:ty, $v:ty $({ $($more:item)* })?)*) => {
        /// The journaled tables as they were before a batch, each opened when first asked for.
        #[derive(Default)]
        pub(in crate::store) struct Before {
            $($name: Option<ReadOnlyTable<$k, $v>>),*
        }

        $(pub(in crate::store) struct $table;

        impl Journaled for $table {
            type Key = $key;
            type K = $k;
            type V = $v;

            const TABLE: Table = Table::$table;
            const DEFINITION: Def<$k, $v> = $definition;
            $($($more)*)?

            fn before(all: &mut Before) -> &mut Option<ReadOnlyTable<$k, $v>> {
                &mut all.$name
            }
        })*
    };
}

journaled! {
    Event, event: [u8; 8] => EVENT, u64, &'static [u8] {
        fn table_key(key: &[u8]) -> u64 {
            number(key)
        }
    }
    Log, log: LogKey => LOG, &'static LogKey, &'static [u8]
    Due, due: DueKey => DUE, &'static DueKey, ()
    Backlog, backlog: BacklogKey => BACKLOG, &'static BacklogKey, &'static [u8]
    Name, name: [u8] => NAME, &'static [u8], &'static [u8]
    NameEnd, name_end: TimeKey => NAME_END, &'static TimeKey, &'static [u8]
    Ended, ended: [u8; 8] => ENDED, u64, &'static [u8] {
        fn table_key(key: &[u8]) -> u64 {
            number(key)
        }
    }
}

/// A number as keys have it.
fn number(key: &[u8]) -> u64 {
    key.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// Runs a macro for every journaled table.
macro_rules! each_journaled {
    ($run:ident) => {
        $run!($crate::store::redb::journaled_table::Event);
        $run!($crate::store::redb::journaled_table::Log);
        $run!($crate::store::redb::journaled_table::Due);
        $run!($crate::store::redb::journaled_table::Backlog);
        $run!($crate::store::redb::journaled_table::Name);
        $run!($crate::store::redb::journaled_table::NameEnd);
        $run!($crate::store::redb::journaled_table::Ended);
    };
}
pub(in crate::store) use each_journaled;

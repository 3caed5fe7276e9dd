//! What a start found wrong with the store, told until somebody acknowledges it.

use std::fmt;

use crate::domain::time::Timestamp;

/// One thing that was found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    pub(crate) at: Timestamp,
    /// Commits that it concerns.
    pub(crate) batches: u64,
    /// Events in them.
    pub(crate) events: u64,
    /// Rows of tables that it concerns.
    pub(crate) rows: u64,
    /// The file that was put aside, or the tables that hold the rows.
    pub(crate) what: Option<Box<str>>,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Commits in the midst of the journal are damaged; those behind them were taken in.
    Lost,
    /// The journal that the tables wait for is not there.
    Missing,
    /// It is there and holds nothing.
    Emptied,
    /// It holds zeros alone.
    Zeroed,
    /// Another file stands in its place.
    Replaced,
    /// The journal holds whole commits that do not go on from the tables.
    Stray,
    /// A file stands in the journal's place, and nothing is missing.
    Foreign,
    /// Rows were damaged and are in quarantine.
    Rows,
    /// Entries that bring deliveries back were damaged or missing, and were derived again.
    Entries,
    /// Pages of the store's file were damaged; what could be read of it was written into a new one.
    Pages,
}

impl Kind {
    /// As JSON names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lost => "commits_lost",
            Self::Missing => "journal_missing",
            Self::Emptied => "journal_emptied",
            Self::Zeroed => "journal_zeroed",
            Self::Replaced => "journal_replaced",
            Self::Stray => "journal_of_another_state",
            Self::Foreign => "journal_foreign",
            Self::Rows => "rows_damaged",
            Self::Entries => "entries_derived",
            Self::Pages => "pages_damaged",
        }
    }

    /// Whether nobody knows what was lost: then no event is taken until somebody has looked.
    pub(crate) fn holds_back(self) -> bool {
        matches!(self, Self::Missing | Self::Emptied | Self::Zeroed | Self::Replaced)
    }
}

impl Finding {
    pub(in crate::store) fn of(kind: Kind, at: Timestamp) -> Self {
        Self { kind, at, batches: 0, events: 0, rows: 0, what: None }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batches, events, rows, .. } = self;
        match self.kind {
            Kind::Lost => write!(f, "{batches} commits in the journal were damaged, and {events} events in them are lost"),
            Kind::Missing => write!(f, "the journal was missing: {UNKNOWN}"),
            Kind::Emptied => write!(f, "the journal was empty: {UNKNOWN}"),
            Kind::Zeroed => write!(f, "the journal held nothing but zeros: {UNKNOWN}"),
            Kind::Replaced => write!(f, "another file stood in the journal's place: {UNKNOWN}"),
            Kind::Stray => write!(
                f,
                "the journal held {batches} commits with {events} events that do not go on from the store, which was restored or copied"
            ),
            Kind::Foreign => f.write_str("a file that is not this store's stood in the journal's place; nothing is missing"),
            Kind::Rows => write!(f, "{rows} damaged rows are in quarantine"),
            Kind::Entries => {
                write!(f, "{rows} entries that bring deliveries back were damaged or missing, and were derived again")
            }
            Kind::Pages => f.write_str("pages of the store's file were damaged; what could be read is in a new one"),
        }?;
        match (&self.what, self.kind) {
            (None, _) => Ok(()),
            (Some(tables), Kind::Rows) => write!(f, ", of {tables}"),
            (Some(aside), _) => write!(f, "; that file is now {aside}"),
        }
    }
}

const UNKNOWN: &str = "what was answered in the last second before the end may be lost";

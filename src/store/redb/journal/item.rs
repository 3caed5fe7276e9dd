//! The one form in which the journal, the writer's memory and the readers' view hold a change of any journaled table: its table,
//! its key, and the value that was put, or none when the row was taken out.

pub(in crate::store) use crate::store::redb::journaled_table::Table;
use crate::store::redb::journaled_table::{FORMS, Form};

/// A changed row: its key, and the value that was put; `None`: the row was taken out.
pub(in crate::store) type Row<'a> = (&'a [u8], Option<&'a [u8]>);

impl Table {
    /// The table that a tag stands for; `None`: it stands for none.
    pub(in crate::store) fn of_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.form().tags.contains(&tag))
    }

    #[inline]
    pub(in crate::store) fn form(self) -> &'static Form {
        &FORMS[self as usize]
    }

    /// Whether a row is put only while none stands under its key. When such a row is taken out before a checkpoint, neither change
    /// has to reach the table.
    pub(in crate::store) fn is_put_once(self) -> bool {
        self == Self::Due
    }

    /// Whether new rows come behind all others.
    pub(in crate::store) fn is_appended(self) -> bool {
        matches!(self, Self::Event | Self::Ended)
    }

    /// Writes an item.
    #[inline]
    pub(in crate::store) fn write(self, (key, value): Row<'_>, into: &mut Vec<u8>) {
        let form = self.form();
        into.push(form.tags[usize::from(value.is_none())]);
        if form.key_bytes.is_none() {
            into.extend_from_slice(&position(key.len()).to_le_bytes());
        }
        into.extend_from_slice(key);
        if let Some(value) = value.filter(|_| form.has_values) {
            write_counted(value, into);
        }
    }

    /// Takes an item of the table off the beginning of `rest`; `None`: it is cut short.
    #[inline]
    pub(in crate::store) fn read<'a>(self, rest: &mut &'a [u8]) -> Option<Row<'a>> {
        let form = self.form();
        let is_put = *rest.split_off_first()? == form.tags[0];
        let key = if let Some(bytes) = form.key_bytes { rest.split_off(..bytes)? } else { read_counted(rest)? };
        Some((key, if is_put { Some(self.read_value(rest)?) } else { None }))
    }

    /// Takes the value of a row that was put off the beginning of `rest`; `None`: it is cut short.
    pub(in crate::store) fn read_value<'a>(self, rest: &mut &'a [u8]) -> Option<&'a [u8]> {
        if self.form().has_values { read_counted(rest) } else { Some(&[]) }
    }
}

/// Writes bytes with their length before them.
#[inline]
pub(in crate::store) fn write_counted(bytes: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(&position(bytes.len()).to_le_bytes());
    into.extend_from_slice(bytes);
}

/// Takes bytes with their length before them off the beginning of `rest`; `None`: they are cut short.
#[inline]
pub(in crate::store) fn read_counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let bytes = u32::from_le_bytes(*rest.split_off(..size_of::<u32>())?.first_chunk()?);
    rest.split_off(..usize::try_from(bytes).ok()?)
}

/// A length or position on disk. No batch comes near its bound: the inbox gives out few operations at a time.
pub(in crate::store) fn position(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a batch is shorter than 4 GiB")
}

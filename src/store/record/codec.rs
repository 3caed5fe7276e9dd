//! Writes and reads records of any form.

use bincode::{BorrowDecode, Encode, config};

use crate::store::error::Error;

/// The version of a record whose form has never changed.
pub(super) const VERSION: u8 = 1;

/// A bit in the version's byte: the checksum covers the record's key too. Stores before version 4 do not have it.
const KEYED: u8 = 0x80;

const CRC_BYTES: usize = 4;
const CONFIG: config::Configuration = config::standard();

/// Writes the record for the row `key` into `out`. `out` is emptied first, so that it can be used again.
pub(super) fn close(key: &[u8], value: &impl Encode, out: &mut Vec<u8>) {
    close_as(VERSION, key, value, out);
}

pub(super) fn close_as(version: u8, key: &[u8], value: &impl Encode, out: &mut Vec<u8>) {
    out.clear();
    out.push(version | KEYED);
    let written = bincode::encode_into_std_write(value, out, CONFIG);
    debug_assert!(written.is_ok(), "encoding into memory has nothing that can fail");
    let crc = crc32c::crc32c_append(crc32c::crc32c(out), key);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Reads a record of the first version from the row `key`. `table` names the table in the error.
pub(super) fn open<'a, T: BorrowDecode<'a, ()>>(table: &'static str, key: &[u8], bytes: &'a [u8]) -> Result<T, Error> {
    match intact(table, key, bytes)? {
        (VERSION, content) => decode(table, content),
        _ => Err(unknown_version(table)),
    }
}

/// Checks a record's checksum, and returns its version and its content.
pub(super) fn intact<'a>(table: &'static str, key: &[u8], bytes: &'a [u8]) -> Result<(u8, &'a [u8]), Error> {
    let damaged = |why| Error::Damaged { table, why };
    let end = bytes.len().checked_sub(CRC_BYTES).filter(|end| *end > 0).ok_or(damaged("it is too short"))?;
    let (content, crc) = bytes.split_at(end);
    let version = content[0];
    let of_content = crc32c::crc32c(content);
    let expected = if version & KEYED == 0 { of_content } else { crc32c::crc32c_append(of_content, key) };
    if expected.to_le_bytes() != crc {
        return Err(damaged("its checksum does not match"));
    }
    Ok((version & !KEYED, &content[1..]))
}

pub(super) fn decode<'a, T: BorrowDecode<'a, ()>>(table: &'static str, content: &'a [u8]) -> Result<T, Error> {
    let read = bincode::borrow_decode_from_slice(content, CONFIG).ok();
    let whole = read.and_then(|(value, used)| (used == content.len()).then_some(value));
    whole.ok_or(Error::Damaged { table, why: "it cannot be decoded" })
}

/// Reads the first members of a form, and leaves the others alone.
pub(super) fn decode_first<'a, T: BorrowDecode<'a, ()>>(table: &'static str, content: &'a [u8]) -> Result<T, Error> {
    let read = bincode::borrow_decode_from_slice(content, CONFIG).ok();
    read.map(|(value, _)| value).ok_or(Error::Damaged { table, why: "it cannot be decoded" })
}

pub(super) fn unknown_version(table: &'static str) -> Error {
    Error::Damaged { table, why: "its version is unknown" }
}

pub(super) fn unknown(table: &'static str) -> Error {
    Error::Damaged { table, why: "it holds an unknown code" }
}

/// Maps variants to the codes that stand for them, in both directions.
macro_rules! coded {
    ($write:ident, $read:ident: $kind:ident in $table:literal { $($code:literal = $variant:ident),* $(,)? }) => {
        pub(super) fn $write(value: $kind) -> u8 {
            match value {
                $($kind::$variant => $code),*
            }
        }

        pub(super) fn $read(code: u8) -> Result<$kind, Error> {
            match code {
                $($code => Ok($kind::$variant),)*
                _ => Err(unknown($table)),
            }
        }
    };
}
pub(super) use coded;

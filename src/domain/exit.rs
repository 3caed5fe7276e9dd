//! Exit codes by which the process says why it ended, as sysexits.h has them.

/// The program itself is at fault (`EX_SOFTWARE`).
pub(crate) const INTERNAL: u8 = 70;

/// The store cannot be read or written (`EX_IOERR`).
pub(crate) const STORE_IO: u8 = 74;

//! The numbers by which the process itself says why it ended, wherever that is decided: those of sysexits.h.

/// The program is at fault (`EX_SOFTWARE`).
pub(crate) const INTERNAL: u8 = 70;

/// The store cannot be read or written (`EX_IOERR`).
pub(crate) const STORE_IO: u8 = 74;

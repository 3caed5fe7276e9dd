//! What bounds each body: how many requests its connection carries, how long it may wait, and how large it may be.

use std::time::Duration;

use http::Version;

use crate::api::response::problem::Problem;

/// How many requests a connection carries at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    One,
    /// Many requests, as on HTTP/2. Their bytes share one connection, so a body that waits unread would hold up the others. Since
    /// there may be many small bodies, none is free.
    Many,
}

impl Carrier {
    pub(crate) fn from_version(version: Version) -> Self {
        if version == Version::HTTP_2 { Self::Many } else { Self::One }
    }

    /// How many bytes of a body take no room.
    pub(in crate::api) fn free_bytes(self) -> usize {
        match self {
            Self::One => FREE_BYTES,
            Self::Many => 0,
        }
    }
}

/// The problem with a body of more than `bytes_max`.
pub(in crate::api) fn too_large(bytes_max: usize) -> Problem {
    Problem::TooLarge(format!("the body is larger than {} KiB, the most that this call takes", bytes_max / 1024))
}

/// The longest wait for the room of a large body, and for the end of a body that is too large.
pub(in crate::api) const PATIENCE: Duration = Duration::from_secs(30);

/// How many bytes of a body on HTTP/1.1 take no room. With all connections at once they sum up to 36 MiB.
const FREE_BYTES: usize = 16 * 1024;

//! The number of held deliveries, which is counted seldom.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::store::error::Error;

/// How many deliveries are held, counted seldom enough that it costs a hundredth of a processor at most.
#[derive(Debug, Default)]
pub(in crate::store) struct Held(Mutex<Option<Counted>>);

#[derive(Clone, Copy, Debug)]
struct Counted {
    held: u64,
    /// Until then it is not counted again.
    until: Instant,
}

impl Held {
    pub(in crate::store) fn count(&self, count: impl FnOnce() -> Result<u64, Error>) -> Result<u64, Error> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let began = crate::clock::steady();
        if let Some(counted) = last.filter(|counted| began < counted.until) {
            return Ok(counted.held);
        }
        let held = count()?;
        let ended = crate::clock::steady();
        *last = Some(Counted { held, until: ended + REST * ended.saturating_duration_since(began) });
        Ok(held)
    }
}

/// So much longer than a count took it rests.
const REST: u32 = 100;

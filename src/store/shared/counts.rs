//! The counts of deliveries for replays that are to be asked for: one of a tenant at a time, since each reads its log.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::domain::id::TenantNo;
use crate::store::Denied;

/// The counts that are under way.
#[derive(Debug)]
pub(in crate::store) struct Counts {
    tenants: Mutex<HashSet<TenantNo>>,
    /// How many more may read at once.
    pub(in crate::store) reading: Semaphore,
}

impl Default for Counts {
    fn default() -> Self {
        Self { tenants: Mutex::default(), reading: Semaphore::new(READING_MAX) }
    }
}

/// That a tenant counts. It ends with the count, also where its caller went away.
pub(in crate::store) struct Turn<'a> {
    counts: &'a Counts,
    tenant: TenantNo,
}

impl Counts {
    /// Begins a count. A tenant has one at a time.
    pub(in crate::store) fn begin(&self, tenant: TenantNo) -> Result<Turn<'_>, Denied> {
        let is_first = self.tenants.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant);
        if is_first { Ok(Turn { counts: self, tenant }) } else { Err(Denied::CountUnderWay) }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.counts.tenants.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.tenant);
    }
}

/// How many pieces of the log are read at once for all counts. Tenants take turns by the piece.
const READING_MAX: usize = 2;

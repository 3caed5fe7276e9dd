//! What becomes of damaged rows: they are put aside, put right, or derived again from others.

pub(in crate::store) mod derive;
pub(in crate::store) mod judge;
pub(in crate::store) mod quarantine;
pub(in crate::store) mod righted;
pub(in crate::store) mod sums;
pub(in crate::store) mod tenants;

//! What each command reads for its rule in [`rules`](crate::store::rules), and what it writes of the rule's answer. One file each.

pub(in crate::store) mod audit;
pub(in crate::store) mod delete_tenant;
pub(in crate::store) mod event_types;
pub(in crate::store) mod keys;
pub(in crate::store) mod operational;
pub(in crate::store) mod outcome;
pub(in crate::store) mod providers;
pub(in crate::store) mod publish;
pub(in crate::store) mod purge;
pub(in crate::store) mod resend;
pub(in crate::store) mod sessions;
pub(in crate::store) mod tallies;
pub(in crate::store) mod tenants;
pub(in crate::store) mod tombstones;
pub(in crate::store) mod webhooks;

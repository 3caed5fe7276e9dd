//! The decisions of the store, without the store: what each command makes of what stands.
//!
//! ```text
//!  engine: reads what the rule needs ─▶ rule(what was read, now, a random draw) ─▶ engine: writes what it returned
//! ```
//!
//! A rule takes plain values and returns plain values: the delivery or the webhook as it is to be, where it waits, what is counted,
//! or why the command is refused. It reads no table, no clock and no random number, it locks nothing and it cannot fail. So every
//! engine makes the same of the same command, whether it reads by blocking or by asynchronous calls, and a test can run a store
//! that is a map. Where the next read depends on a decision, there are two rules, and the engine reads between them.
//!
//! What an attempt makes of a delivery and what a change makes of a webhook is `domain`'s: the rules here join these with what the
//! store keeps beside them.

pub(in crate::store) mod config_sync;
pub(in crate::store) mod event_types;
#[cfg(test)]
mod fixture;
pub(in crate::store) mod jobs;
pub(in crate::store) mod keys;
pub(in crate::store) mod operational;
pub(in crate::store) mod outcome;
pub(in crate::store) mod publish;
pub(in crate::store) mod resend;
pub(in crate::store) mod retention;
pub(in crate::store) mod sessions;
pub(in crate::store) mod tenants;
#[cfg(test)]
mod tests;
pub(in crate::store) mod waiting;
pub(in crate::store) mod webhooks;

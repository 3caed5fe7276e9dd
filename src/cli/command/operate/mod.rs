//! What the operator asks of a running service.

pub(in crate::cli) mod audit;
pub(in crate::cli) mod clock;
pub(in crate::cli) mod events;
pub(in crate::cli) mod login_link;
pub(in crate::cli) mod replay;
pub(in crate::cli) mod tail;

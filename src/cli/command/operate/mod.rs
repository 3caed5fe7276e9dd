//! What only the operator asks of a running service.

pub(in crate::cli) mod clock;

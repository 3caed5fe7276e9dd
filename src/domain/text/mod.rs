//! Text for people and from strangers.

pub(crate) mod nearest;
pub(crate) mod plain;

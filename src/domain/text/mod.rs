//! Text for people, and text from strangers.

pub(crate) mod mask;
pub(crate) mod nearest;
pub(crate) mod plain;
pub(crate) mod shell;
pub(crate) mod system;

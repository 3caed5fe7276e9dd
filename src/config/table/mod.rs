//! From the raw document to checked values: what each table may hold, and what is wrong with it.

pub(crate) mod judge;
pub(crate) mod keys;
pub(crate) mod names;
pub(crate) mod owners;
pub(crate) mod section;
pub(crate) mod settings;
pub(crate) mod take;
pub(crate) mod value;

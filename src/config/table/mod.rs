//! Turns the raw document into checked values: the keys that each table may hold, their types, defaults and bounds.

pub(crate) mod judge;
pub(crate) mod keys;
pub(crate) mod names;
pub(crate) mod owners;
pub(crate) mod section;
pub(crate) mod settings;
pub(crate) mod take;
pub(crate) mod value;
mod webhook_settings;

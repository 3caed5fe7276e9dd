//! From a path to a running store, and what is looked at while no service runs on it.

pub(in crate::store) mod chain;
pub(in crate::store) mod check;
pub(in crate::store) mod doctor;
pub(in crate::store) mod founding;
pub(in crate::store) mod line;
pub(in crate::store) mod load;
pub(in crate::store) mod opening;
pub(in crate::store) mod overlay;
pub(in crate::store) mod recovery;
pub(in crate::store) mod salvage;
pub(in crate::store) mod trial;
pub(in crate::store) mod upgrade;

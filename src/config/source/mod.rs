//! Puts files, the environment and flags together into one raw document. Nothing here knows what a setting means.

pub(crate) mod document;
pub(crate) mod files;
pub(crate) mod gather;
mod inline;
pub(crate) mod layers;
pub(crate) mod pem;
pub(crate) mod places;
pub(crate) mod secret_file;
pub(in crate::config) mod shape;

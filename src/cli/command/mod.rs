//! The commands. One file each.

pub(in crate::cli) mod about;
pub(in crate::cli) mod bench;
pub(in crate::cli) mod check;
pub(in crate::cli) mod config;
pub(in crate::cli) mod deliveries;
pub(in crate::cli) mod dev;
pub(in crate::cli) mod dialects;
pub(in crate::cli) mod doctor;
pub(in crate::cli) mod event_types;
pub(in crate::cli) mod keys;
pub(in crate::cli) mod operate;
pub(in crate::cli) mod send;
pub(in crate::cli) mod serve;
pub(in crate::cli) mod status;
pub(in crate::cli) mod storage;
pub(in crate::cli) mod tenants;
pub(in crate::cli) mod verify;
pub(in crate::cli) mod webhooks;

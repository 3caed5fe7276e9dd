//! hookwheel: a webhook relay in one binary, with its storage inside.
#![warn(missing_docs)]

mod domain;

mod budget;
mod clock;
mod config;
mod wheel;

mod store;

mod api;
mod deliver;

mod bench;
mod server;

pub mod cli;

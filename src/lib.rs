#![doc = include_str!("ARCHITECTURE.md")]
#![warn(missing_docs)]

mod domain;

mod budget;
mod clock;
mod config;
mod docs;
mod metrics;
mod wheel;

mod store;
mod ui;

mod api;
mod deliver;

mod bench;
mod server;

pub mod cli;

#[cfg(test)]
#[path = "../tests/sim/mod.rs"]
mod sim;

//! The built binary, from outside: started on port 0 in a folder of its own, with receivers that follow a script.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::cast_possible_truncation)]

mod api;
mod commands;
mod delivery;
mod harness;
mod process;
mod store;
mod ui;

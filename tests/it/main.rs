//! The built binary, from outside: started on port 0 in a folder of its own, with receivers that follow a script.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::cast_possible_truncation)]

mod harness;

mod layers;
mod systemd;

//! The command line.

mod cli;
mod laptop;
mod sending;
mod verify;

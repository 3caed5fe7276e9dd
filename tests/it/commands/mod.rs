//! The command line.

mod cli;
mod laptop;
mod looking;
mod sending;
mod trouble;
mod verify;

//! The command line.

mod about;
mod cli;
mod laptop;
mod looking;
mod sending;
mod trouble;
mod verify;

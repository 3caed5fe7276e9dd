//! The command line.

mod about;
mod audit;
mod cli;
mod keys;
mod laptop;
mod looking;
mod sending;
mod tenants;
mod trouble;
mod verify;

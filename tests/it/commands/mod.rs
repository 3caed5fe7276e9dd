//! The command line.

mod about;
mod audit;
mod cli;
mod docs;
mod keys;
mod laptop;
mod looking;
mod sending;
mod tail;
mod tenants;
mod trouble;
mod verify;

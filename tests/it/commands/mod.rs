//! The command line.

mod about;
mod audit;
mod cli;
mod complete;
mod day;
mod docs;
mod keys;
mod laptop;
mod looking;
mod sending;
mod tail;
mod tenants;
mod transfer;
mod trouble;
mod verify;

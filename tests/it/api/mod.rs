//! What callers of the API may ask, and what they are told.

mod cancel;
mod catalogue;
mod connections;
mod entrance;
mod explain;
mod faces;
mod feed;
mod lists;
mod misdirected;
mod names;
mod provider_keys;
mod publishing;
mod rotation;
mod statistics;
mod turns;

//! The service as a process: config, reload, signals, log, package, and the project's own rules.

mod bench;
mod configs;
mod description;
mod files;
mod layers;
mod load;
mod logs;
mod metrics;
mod pages;
mod readme;
mod reload;
mod schema;
mod secrets;
mod signals;
mod systemd;

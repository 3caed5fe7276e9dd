//! The built binary, from outside: started on port 0 in a folder of its own, with receivers that follow a script.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::cast_possible_truncation)]

mod harness;

mod answers;
mod bench;
mod catalogue;
mod cli;
mod clock;
mod configs;
mod connections;
mod crash;
mod disable;
mod disk;
mod doors;
mod ecmascript;
mod explain;
mod faces;
mod fairness;
mod fanout;
mod faults;
mod feed;
mod files;
mod laptop;
mod layers;
mod limits;
mod load;
mod memory;
mod notices;
mod opening;
mod pace;
mod publishing;
mod reload;
mod retry;
mod rotation;
mod sdk;
mod secrets;
mod shortage;
mod signals;
mod states;
mod systemd;
mod targets;
mod tls;
mod unique_time;
mod upgrade;
mod verify;
mod wire;

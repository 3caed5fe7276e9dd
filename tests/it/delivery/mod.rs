//! How events reach their endpoints: requests, retries, order and failures.

mod answers;
mod disable;
mod ecmascript;
mod egress;
mod fairness;
mod fanout;
mod notices;
mod pace;
mod retry;
mod sdk;
mod shortage;
mod states;
mod targets;
mod tls;
mod unique_time;
mod wire;

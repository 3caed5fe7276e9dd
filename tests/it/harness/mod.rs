//! What the tests share: the service, receivers that follow a script, a client, a load, and a seed.

pub(crate) mod ack;
pub(crate) mod api;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod disk;
pub(crate) mod dns;
pub(crate) mod pretended;
pub(crate) mod ran;
pub(crate) mod receiver;
pub(crate) mod sdk;
pub(crate) mod seed;
pub(crate) mod sent;
pub(crate) mod service;
pub(crate) mod turn;

use std::future::Future;
use std::time::{Duration, Instant};

/// Calls `ask` again and again until it returns a value. Panics with `what` at the deadline.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, within: Duration, mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// How often a condition without a notification is looked at.
const POLL: Duration = Duration::from_millis(20);

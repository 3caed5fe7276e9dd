//! How long the API takes to list the newest deliveries of one endpoint.

use super::ask::Api;
use super::figures::{Spread, took_us};
use crate::clock;

/// Times of single calls, connecting included; `None`: the listing is not what it must be.
pub(super) fn listing(api: &Api, key: &str, least: u64) -> Option<Spread> {
    let found = api.get("/v1/webhooks?limit=1", key)?;
    let path = format!("/v1/webhooks/{}/deliveries?limit={NEWEST}", found["data"][0]["id"].as_str()?);
    let mut times_us = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let from_us = clock::monotonic_micros();
        let listed = api.get(&path, key)?;
        times_us.push(took_us(from_us, clock::monotonic_micros()));
        let count = listed["data"].as_array()?.len() as u64;
        (count >= NEWEST.min(least)).then_some(())?;
    }
    Some(Spread::of(&mut times_us))
}

/// Deliveries of one call.
const NEWEST: u64 = 50;

const CALLS: usize = 20;

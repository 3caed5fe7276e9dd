//! A simulation of the whole relay without its network. A day of publishers, receivers and faults passes in a fraction of a second.
//!
//! It drives the real writer, one turn at a time, with its wheel, its rules, its journal and its tables, and the real queues, on
//! virtual time and in one thread. Publishers, receivers, the clocks, the power supply and the order of everything follow from a
//! seed, so that a fault which a seed shows can be shown again. The laws are in `book` and `audit`.
//!
//! `HOOKWHEEL_SIM_SEEDS=A..B` chooses the seeds from A to B, without B, so `17..18` runs seed 17 alone.

mod audit;
mod book;
mod deletion;
mod dialects;
mod disk;
mod draw;
mod faults;
mod order;
mod process;
mod publishers;
mod receivers;
mod recoveries;
mod service;
mod steady;
mod world;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use self::world::{Broken, Counts, Trace, World};

/// The seeds of a test run that is not told which to take.
const SEEDS: Range<u64> = 0..200;

const VARIABLE: &str = "HOOKWHEEL_SIM_SEEDS";

#[test]
fn every_law_holds_through_a_day_of_faults() {
    let broken: Vec<String> = seeds().filter_map(|seed| run(seed).err()).take(BROKEN_MAX).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_seed_replays_exactly() {
    assert_eq!(run(1), run(1));
}

/// Runs the day of one seed. Returns a hash over its steps and how often each thing happened, or the law that was broken and the
/// last steps before.
fn run(seed: u64) -> Result<(u64, Counts), String> {
    let trace = Trace::default();
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed, trace.clone());
        let lived = world.run();
        lived.map(|()| world.counts).map_err(|Broken(law)| (law, world.hands.elapsed()))
    }));
    match lived {
        Ok(Ok(counts)) => Ok((trace.sum(), counts)),
        Ok(Err((law, at))) => Err(format!(
            "seed {seed} broke a law after {at:?}: {law}\nthe last steps:\n{}to repeat: {VARIABLE}={seed}..{}",
            trace.last(),
            seed + 1
        )),
        Err(_) => {
            Err(format!("seed {seed} panicked, the last steps:\n{}to repeat: {VARIABLE}={seed}..{}", trace.last(), seed + 1))
        }
    }
}

/// Reads the seeds from the environment, as `A..B`, where B is not included.
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var(VARIABLE) else { return SEEDS };
    let parsed = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parsed.expect("two numbers with `..` between them")
}

/// After so many seeds that broke a law no further seed is run.
const BROKEN_MAX: usize = 20;

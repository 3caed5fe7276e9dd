//! A simulation of the whole relay but its network: a day of publishers, receivers and faults passes in a fraction of a second.
//!
//! It drives the real writer, one turn at a time, with its wheel, its rules, its journal and its tables, and the real queues, on
//! virtual time and in one thread. Publishers, receivers, the clocks, the power supply and the order of everything follow from a
//! seed, so that what a seed shows it shows again. The laws are in `book` and `audit`.
//!
//! `HOOKWHEEL_SIM_SEEDS=17..18` runs the seeds that it names, here 17 alone, in place of those that a test run takes.

mod audit;
mod book;
mod dialects;
mod draw;
mod faults;
mod process;
mod publishers;
mod receivers;
mod service;
mod world;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use self::world::{Broken, Counts, Trace, World};

/// Seeds that a test run takes.
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

/// Lives through the day of one seed: the sum over its steps and what it came to, or which law was broken and how that came.
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

/// As the environment names them, `A..B`, B not among them.
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var(VARIABLE) else { return SEEDS };
    let parsed = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parsed.expect("two numbers with `..` between them")
}

/// Broken seeds after which no other is tried.
const BROKEN_MAX: usize = 20;

//! Starts after `kill -9` on a store with many deliveries that wait for their second attempt.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;

use crate::figures::{Mean, mib};
use crate::publisher::{Load, publish};
use crate::receiver::{Answer, Receiver};
use crate::service::{KEY, Settings, Site};
use crate::table::table;
use crate::{Events, Result, say};

/// How many wait, and how often the service starts.
#[derive(Args)]
pub(crate) struct Pending {
    /// Deliveries that wait
    deliveries: u64,

    /// Starts of each binary
    #[arg(long, value_name = "N", default_value_t = 3)]
    times: usize,

    #[command(flatten)]
    events: Events,
}

impl Pending {
    pub(crate) fn run(&self, binaries: &[PathBuf], dir: &Path) -> Result<String> {
        // Every first attempt is put off by some hours, a different time for each.
        let receiver = Receiver::start(|_, number| Answer::Later(LEAST_SECS + number * STEP % SPREAD_SECS))?;
        let mut sites = Vec::new();
        for binary in binaries {
            sites.push(self.fill(binary, dir, &receiver)?);
        }
        let mut figures = vec![vec![Vec::new(); NAMES.len()]; sites.len()];
        for turn in 0..self.times.max(1) {
            say(&format!("start {} of {}", turn + 1, self.times));
            for (site, figures) in sites.iter().zip(&mut figures) {
                self.start(site)?.into_iter().zip(figures).for_each(|(figure, all)| all.push(figure));
            }
        }
        Ok(lines(binaries, &figures))
    }

    /// A store in which all wait, left behind by a process that was killed.
    fn fill(&self, binary: &Path, dir: &Path, receiver: &Receiver) -> Result<Site> {
        let Events { endpoints, .. } = self.events;
        let settings = Settings { endpoints, receiver_port: receiver.port, storage: "max_bytes = \"64GiB\"", retry: None };
        let site = Site::make(binary, dir, &settings)?;
        let (service, before) = (site.start()?, receiver.count());
        let load = Load { count: self.deliveries, rate: None, until: None, batch: 100, connections: 8, events: self.events };
        publish(&load, service.address, KEY)?;
        let mut came = 0;
        while came < self.deliveries {
            thread::sleep(LOOK);
            let now = receiver.count() - before;
            if now == came {
                return Err(format!("only {now} of {} first attempts were made", self.deliveries).into());
            }
            came = now;
        }
        // The last outcomes are committed meanwhile.
        thread::sleep(LOOK);
        Ok(site)
    }

    /// The figures of one start, after which the service is killed.
    fn start(&self, site: &Site) -> Result<Vec<f64>> {
        let service = site.start()?;
        let [ready, _] = service.memory();
        let pending = service.counts()?.pending;
        thread::sleep(LATER);
        let [later, most] = service.memory();
        if pending != self.deliveries {
            return Err(format!("{} deliveries waited before the start, and {pending} behind it", self.deliveries).into());
        }
        let sizes = [ready, later, most, site.store_bytes()].map(mib);
        Ok([service.start_to_ready.as_secs_f64() * 1e3].into_iter().chain(sizes).collect())
    }
}

/// A column for each binary.
fn lines(binaries: &[PathBuf], figures: &[Vec<Vec<f64>>]) -> String {
    let headings: Vec<String> =
        [String::new()].into_iter().chain(binaries.iter().map(|path| path.display().to_string())).collect();
    let cell = |all: &[f64]| Mean::of(all).map_or_else(String::new, |mean| mean.to_string());
    let row = |at: usize, name: &&str| [(*name).to_owned()].into_iter().chain(figures.iter().map(|of| cell(&of[at]))).collect();
    let rows: Vec<Vec<String>> = NAMES.iter().enumerate().map(|(at, name)| row(at, name)).collect();
    table(&headings, &rows)
}

const NAMES: [&str; 5] =
    ["start to ready, ms", "memory when ready, MiB", "memory 3 s later, MiB", "most memory, MiB", "store, MiB"];

/// Longer than any measurement.
const LEAST_SECS: u64 = 4 * 3_600;

/// With the least not over a day, the most that the relay waits for.
const SPREAD_SECS: u64 = 20 * 3_600;

/// A prime, so that all seconds are taken in turn.
const STEP: u64 = 7_919;

const LATER: Duration = Duration::from_secs(3);

/// Longer than attempts and commits stand still.
const LOOK: Duration = Duration::from_secs(2);

//! Lists and rates on a store with many finished deliveries, beside one that is empty.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use crate::figures::{Mean, mib, spread};
use crate::publisher::{Load, publish};
use crate::receiver::Receiver;
use crate::service::{KEY, Service, Settings, Site};
use crate::table::table;
use crate::{Events, Result, say};

/// How many rows, and how often the two are compared.
#[derive(Args)]
pub(crate) struct Rows {
    /// Finished deliveries that the store holds
    deliveries: u64,

    /// Laps of a second on the full and on the empty store
    #[arg(long, value_name = "N", default_value_t = 5)]
    times: usize,

    #[command(flatten)]
    events: Events,
}

impl Rows {
    pub(crate) fn run(&self, binaries: &[PathBuf], dir: &Path) -> Result<String> {
        let receiver = Receiver::taking()?;
        let columns = binaries.iter().map(|binary| self.column(binary, dir, &receiver)).collect::<Result<Vec<_>>>()?;
        let headings: Vec<String> =
            [String::new()].into_iter().chain(binaries.iter().map(|path| path.display().to_string())).collect();
        let row =
            |at: usize, name: &&str| [(*name).to_owned()].into_iter().chain(columns.iter().map(|of| of[at].clone())).collect();
        let rows: Vec<Vec<String>> = NAMES.iter().enumerate().map(|(at, name)| row(at, name)).collect();
        Ok(table(&headings, &rows))
    }

    fn column(&self, binary: &Path, dir: &Path, receiver: &Receiver) -> Result<[String; 6]> {
        let storage = "max_bytes = \"64GiB\"\nretention = \"30d\"";
        let settings = Settings { endpoints: self.events.endpoints, receiver_port: receiver.port, storage, retry: None };
        let [full_site, empty_site] = [Site::make(binary, dir, &settings)?, Site::make(binary, dir, &settings)?];
        let [full, empty] = [full_site.start()?, empty_site.start()?];
        let started = Instant::now();
        self.load(self.deliveries, None, full.address)?;
        full.wait_for_pending(0)?;
        let filled = format!("{:.0} s, {:.0} MiB", started.elapsed().as_secs_f64(), mib(full_site.store_bytes()));
        let mut rates = [Vec::new(), Vec::new()];
        for turn in 0..self.times.max(1) {
            say(&format!("lap {} of {}", turn + 1, self.times));
            for (service, rates) in [&full, &empty].into_iter().zip(&mut rates) {
                rates.push(self.rate(service)?);
            }
        }
        let [on_full, on_empty] = &rates;
        let ratio = Mean::of_ratios(on_full, on_empty);
        let [mean, by] = [Mean::of(on_full), ratio].map(|mean| mean.map_or_else(String::new, |mean| mean.to_string()));
        let empty_mean = Mean::of(on_empty).map_or_else(String::new, |mean| mean.to_string());
        let [resident, _] = full.memory();
        Ok([filled, self.newest(&full)?, mean, empty_mean, by, format!("{:.1} MiB", mib(resident))])
    }

    fn load(&self, count: u64, until: Option<Instant>, to: SocketAddr) -> Result<u64> {
        publish(&Load { count, rate: None, until, batch: 50, connections: 16, events: self.events }, to, KEY)
    }

    /// Deliveries per second of a lap, from the first publish until all have come.
    fn rate(&self, service: &Service) -> Result<f64> {
        let started = Instant::now();
        let sent = self.load(u64::MAX, Some(started + LAP), service.address)?;
        service.wait_for_pending(0)?;
        let took = started.elapsed().as_secs_f64();
        std::thread::sleep(REST);
        Ok(sent as f64 / took)
    }

    /// Times of calls that list the newest deliveries of one endpoint, connecting included.
    fn newest(&self, service: &Service) -> Result<String> {
        let found = service.get("/v1/webhooks?limit=1")?;
        let id = found["data"][0]["id"].as_str().ok_or("the API lists no webhook")?;
        let (path, mut times) = (format!("/v1/webhooks/{id}/deliveries?limit={NEWEST}"), Vec::new());
        for _ in 0..CALLS {
            let started = Instant::now();
            let listed = service.get(&path)?;
            times.push(started.elapsed());
            let least = NEWEST.min(self.deliveries / u64::from(self.events.endpoints));
            if listed["data"].as_array().is_none_or(|rows| (rows.len() as u64) < least) {
                return Err("the list is shorter than it must be".into());
            }
        }
        Ok(spread(times))
    }
}

const NAMES: [&str; 6] = [
    "filled in",
    "newest 50 of an endpoint p50, p99, max",
    "deliveries/s on the full store",
    "deliveries/s on an empty one",
    "the full one by the empty one",
    "memory with the full one",
];

/// Deliveries of one list.
const NEWEST: u64 = 50;

const CALLS: usize = 20;

const LAP: Duration = Duration::from_secs(1);

/// After a lap: the store brings what its journal holds into the tables within a second, and that is its own work.
const REST: Duration = Duration::from_secs(1);

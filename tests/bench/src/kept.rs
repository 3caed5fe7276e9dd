//! What the store's files take for each finished delivery that is kept, while retention removes the older ones.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::publisher::{Load, publish};
use crate::receiver::Receiver;
use crate::service::{KEY, Service, Settings, Site};
use crate::table::table;
use crate::{Events, Result, say, time};

/// How long deliveries are kept, and how many come.
#[derive(Args)]
pub(crate) struct Kept {
    /// When finished deliveries are removed, as in 60s
    #[arg(value_parser = time)]
    retention: Duration,

    /// Events per second
    #[arg(long, value_name = "RATE", default_value_t = 1_000.0)]
    rate: f64,

    /// How long events are published [default: twice the retention and two minutes more]
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    lasts: Option<Duration>,

    #[command(flatten)]
    events: Events,
}

impl Kept {
    pub(crate) fn run(&self, binaries: &[PathBuf], dir: &Path) -> Result<String> {
        let receiver = Receiver::taking()?;
        let rows = binaries.iter().map(|binary| self.row(binary, dir, &receiver)).collect::<Result<Vec<_>>>()?;
        let headings = ["", "kept", "most", "removed", "store, B", "B each", "B each at most"].map(String::from);
        Ok(table(&headings, &rows))
    }

    fn row(&self, binary: &Path, dir: &Path, receiver: &Receiver) -> Result<Vec<String>> {
        let storage = format!("max_bytes = \"64GiB\"\nretention = \"{}ms\"", self.retention.as_millis());
        let settings =
            Settings { endpoints: self.events.endpoints, receiver_port: receiver.port, storage: &storage, retry: None };
        let site = Site::make(binary, dir, &settings)?;
        let service = site.start()?;
        let lasts = self.lasts.unwrap_or(self.retention * 2 + Duration::from_secs(120));
        say(&format!("publishing to {} for {} s", binary.display(), lasts.as_secs()));
        let until = Some(Instant::now() + lasts);
        let load = Load { count: u64::MAX, rate: Some(self.rate), until, batch: 1, connections: 16, events: self.events };
        let (sent, most) = watched(&service, || publish(&load, service.address, KEY))?;
        service.wait_for_pending(0)?;
        let (kept, bytes) = (service.counts()?.events, site.store_bytes());
        if kept >= sent {
            say("too short to say anything: retention, which works once a minute, has removed nothing yet");
        }
        let most = most.max(kept);
        let each = |count: u64| bytes.checked_div(count).map_or_else(String::new, |each| each.to_string());
        let counts = [kept, most, sent.saturating_sub(kept), bytes].map(|count| count.to_string());
        Ok([binary.display().to_string()].into_iter().chain(counts).chain([each(kept), each(most)]).collect())
    }
}

/// Works, and looks each second how many finished deliveries are kept. Returns what the work gave, and the most that were kept:
/// retention removes once a minute and the files do not shrink, so that is what their size was made for.
fn watched<T>(service: &Service, work: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
    let (over, most) = (AtomicBool::new(false), AtomicU64::new(0));
    let done = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                let finished = service.counts().map_or(0, |counts| counts.events.saturating_sub(counts.pending));
                most.fetch_max(finished, Relaxed);
                thread::sleep(LOOK);
            }
        });
        let done = work();
        over.store(true, Relaxed);
        done
    });
    Ok((done?, most.into_inner()))
}

const LOOK: Duration = Duration::from_secs(1);

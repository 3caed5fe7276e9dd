//! How late retries come. A retry is due a fixed time after the receiver's own answer to the first attempt, so the service's clock
//! and books count for nothing here, and the time in which it takes that answer in is lateness too.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::figures::spread;
use crate::publisher::{Load, publish};
use crate::receiver::{Answer, Receiver};
use crate::service::{KEY, Settings, Site};
use crate::table::table;
use crate::{Events, Result, say};

/// How many deliveries are retried.
#[derive(Args)]
pub(crate) struct Late {
    /// Deliveries that fail once
    deliveries: u32,

    /// Number of endpoints
    #[arg(long, value_name = "N", default_value_t = 100)]
    endpoints: u32,
}

/// When the first attempt of each event was answered, and how late its retry came.
#[derive(Default)]
struct Book {
    first: HashMap<String, Instant>,
    late: Vec<Duration>,
}

impl Late {
    pub(crate) fn run(&self, binaries: &[PathBuf], dir: &Path) -> Result<String> {
        let mut rows = Vec::new();
        for binary in binaries {
            say(&format!("timing the retries of {}", binary.display()));
            let late = self.measure(binary, dir)?;
            rows.push(vec![binary.display().to_string(), late.len().to_string(), spread(late)]);
        }
        Ok(table(&["", "retries", "late p50, p99, max"].map(String::from), &rows))
    }

    fn measure(&self, binary: &Path, dir: &Path) -> Result<Vec<Duration>> {
        let book = Arc::new(Mutex::new(Book::default()));
        let shared = Arc::clone(&book);
        let receiver = Receiver::start(move |message, _| {
            let id = message.header("webhook-id").unwrap_or_default();
            shared.lock().unwrap_or_else(PoisonError::into_inner).arrived(id, Instant::now())
        })?;
        let Self { endpoints, .. } = *self;
        let settings = Settings { endpoints, receiver_port: receiver.port, storage: "", retry: Some("5s") };
        let site = Site::make(binary, dir, &settings)?;
        let service = site.start()?;
        let (count, events) = (u64::from(self.deliveries), Events { body_bytes: 700, endpoints });
        let (rate, batch) = (Some(f64::from(self.deliveries)), count.div_ceil(REQUESTS).max(1));
        publish(&Load { count, rate, until: None, batch, connections: 8, events }, service.address, KEY)?;
        thread::sleep(RETRY_AFTER);
        service.wait_for_pending(0)?;
        let late = std::mem::take(&mut book.lock().unwrap_or_else(PoisonError::into_inner).late);
        if late.len() as u64 == count { Ok(late) } else { Err(format!("{} of {count} retries came", late.len()).into()) }
    }
}

impl Book {
    /// Refuses the first attempt of an event and takes the others.
    fn arrived(&mut self, id: &str, now: Instant) -> Answer {
        let Some(first) = self.first.get(id) else {
            self.first.insert(id.to_owned(), now);
            return Answer::Refused;
        };
        self.late.push(now.saturating_duration_since(*first + RETRY_AFTER));
        Answer::Taken
    }
}

/// As the config of this measurement says.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Requests in the second of publishing: one each millisecond.
const REQUESTS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_counts_from_five_seconds_after_the_first_answer() {
        let (mut book, start) = (Book::default(), Instant::now());
        assert_eq!((book.arrived("a", start), book.arrived("b", start)), (Answer::Refused, Answer::Refused));
        assert_eq!(book.arrived("a", start + Duration::from_millis(5_007)), Answer::Taken);
        assert_eq!(book.late, [Duration::from_millis(7)]);
    }
}

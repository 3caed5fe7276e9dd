//! A load that keeps books: which events were sent, and which were answered with 202.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::{Client, Connection};

/// The books of any number of loads, over restarts of the service.
#[derive(Default)]
pub(crate) struct Books {
    /// Whether events are sent without an id, so that the service makes one.
    nameless: bool,
    next: AtomicU64,
    sent: Mutex<HashSet<String>>,
    acknowledged: Mutex<Vec<Acknowledged>>,
}

/// An event that was answered with 202.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) id: String,
    pub(crate) number: u64,
    /// When it should have been published: at its time of a fixed rate, or at once.
    pub(crate) due: Instant,
    pub(crate) took: Duration,
}

impl Books {
    /// Books of events that are sent without an id.
    pub(crate) fn nameless() -> Self {
        Self { nameless: true, ..Self::default() }
    }

    /// How many events were sent. They are numbered from 0.
    pub(crate) fn sent(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Whether an event with this id was ever sent.
    pub(crate) fn was_sent(&self, id: &str) -> bool {
        self.sent.lock().expect("no panic in between").contains(id)
    }

    pub(crate) fn acknowledged(&self) -> Vec<Acknowledged> {
        self.acknowledged.lock().expect("no panic in between").clone()
    }

    fn next(&self) -> (u64, String) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("load-{number}");
        self.sent.lock().expect("no panic in between").insert(id.clone());
        (number, id)
    }
}

/// Publishes over several connections until it is stopped or the service goes away.
pub(crate) struct Load {
    stopped: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Publishes as fast as the answers come. `kind` makes an event's type of its number.
    pub(crate) async fn flat_out(client: &Client, books: &Arc<Books>, connections: usize, kind: fn(u64) -> String) -> Self {
        Self::start(client, books, connections, move |number| (kind(number), None)).await
    }

    /// Publishes at a fixed rate, however long answers take: event `n` is due `n` periods after the start.
    pub(crate) async fn paced(
        client: &Client,
        books: &Arc<Books>,
        connections: usize,
        period: Duration,
        kind: fn(u64) -> String,
    ) -> Self {
        let start = Instant::now();
        Self::start(client, books, connections, move |number| (kind(number), Some(start + period * number as u32))).await
    }

    async fn start<P>(client: &Client, books: &Arc<Books>, connections: usize, plan: P) -> Self
    where
        P: Fn(u64) -> (String, Option<Instant>) + Clone + Send + 'static,
    {
        let stopped = Arc::<AtomicBool>::default();
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let connection = client.connect().await.expect("the service listens");
            tasks.spawn(publish(connection, Arc::clone(books), plan.clone(), Arc::clone(&stopped)));
        }
        Self { stopped, tasks }
    }

    /// Stops the load after the requests that are under way.
    pub(crate) async fn stop(self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
    }
}

async fn publish<P: Fn(u64) -> (String, Option<Instant>)>(
    mut connection: Connection,
    books: Arc<Books>,
    plan: P,
    stopped: Arc<AtomicBool>,
) {
    while !stopped.load(Ordering::Relaxed) {
        let (number, id) = books.next();
        let (kind, due) = plan(number);
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let due = due.unwrap_or_else(Instant::now);
        // An error means that the service has ended, as it does in some tests.
        let mut event = event(&id, &kind, number);
        if books.nameless {
            event.as_object_mut().expect("it is one").remove("id");
        }
        let Ok(answer) = connection.publish(&event).await else {
            return;
        };
        assert!(matches!(answer.status, 202 | 503), "{}", answer.text());
        if answer.status == 202 {
            let took = due.elapsed();
            let id = if books.nameless { answer.json()["id"].as_str().expect("an id").to_owned() } else { id };
            books.acknowledged.lock().expect("no panic in between").push(Acknowledged { id, number, due, took });
        }
    }
}

/// An event of about 0.7 KB, like the body of many webhooks.
fn event(id: &str, kind: &str, number: u64) -> Value {
    let lines: Vec<_> = (0..8)
        .map(|line| json!({ "sku": format!("SKU-{number}-{line}"), "quantity": line, "price": "19.99", "currency": "EUR" }))
        .collect();
    json!({ "id": id, "tenant": "acme", "type": kind, "data": { "number": number, "order": format!("ord_{number}"), "lines": lines } })
}

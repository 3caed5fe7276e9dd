//! A service, its receiver and the owners of its tenants, over any number of starts.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::actor::{Actor, Clients, PROVIDER, Until};
use super::judge::{Verdict, judge};
use super::settle::{settle, stands};
use crate::harness::config::Config;
use crate::harness::disk::medium::Medium;
use crate::harness::eventually;
use crate::harness::receiver::Receiver;
use crate::harness::seed::Random;
use crate::harness::service::Service;
use crate::harness::turn;

pub(super) struct Stage {
    pub(super) service: Service,
    pub(super) actors: Vec<Actor>,
    receiver: Arc<Receiver>,
    random: Random,
    /// When each run of the service began.
    starts: Vec<Instant>,
}

/// The owners while they make calls.
pub(super) struct Acting {
    until: Until,
    tasks: JoinSet<()>,
}

impl Stage {
    pub(super) async fn new(tenants: usize, random: Random) -> Self {
        Self::with(tenants, random, async |config| Service::start(config).await).await
    }

    /// Sets the stage with the store on this disk, and behind the words of a tracer.
    pub(super) async fn on(disk: &Medium, tenants: usize, tracer: &[String], random: Random) -> Self {
        Self::with(tenants, random, async |config| Service::start_on(disk, config, tracer, turn::shared().await).await).await
    }

    async fn with(tenants: usize, random: Random, start: impl AsyncFnOnce(&Config) -> Service) -> Self {
        let receiver = Arc::new(Receiver::start().await);
        let starts = vec![Instant::now()];
        let service = start(&config(tenants)).await;
        let actors = (0..tenants).map(|tenant| Actor::new(&name(tenant), &receiver)).collect();
        Self { service, actors, receiver, random, starts }
    }

    /// Lets all owners make calls, until each has reached its end or the service is gone.
    pub(super) fn act(&mut self, until: Until) -> Acting {
        let mut tasks = JoinSet::new();
        for actor in &self.actors {
            let client = self.service.tenant(PROVIDER, &actor.tenant);
            tasks.spawn(actor.clone().act(client, self.random.split(), until.clone()));
        }
        Acting { until, tasks }
    }

    /// The events that the receiver has taken so far, each with the URL that took it.
    pub(super) fn taken(&self) -> HashSet<(String, String)> {
        self.receiver.look(|received| {
            let taken = received.iter().filter(|request| request.answered == Some(200));
            taken.map(|request| (request.header("webhook-id").to_owned(), self.receiver.url(&request.path))).collect()
        })
    }

    /// Starts the service again after its end, and checks that earlier answers hold.
    pub(super) async fn start_again(&mut self) {
        self.begin().await;
        self.service.start_again().await;
        self.settle().await;
    }

    /// Waits until everything that the last run sent is read, and begins another run.
    pub(super) async fn begin(&mut self) {
        self.receiver.drained().await;
        self.actors.iter().for_each(|actor| actor.book().begin_epoch());
        self.starts.push(Instant::now());
    }

    pub(super) async fn settle(&mut self) {
        for actor in &self.actors {
            let clients = Clients::of(&self.service, &actor.tenant);
            let mut book = actor.book().clone();
            settle(&mut book, &clients).await;
            stands(&book, &clients).await;
            *actor.book() = book;
        }
    }

    /// Lets every delivery end, and judges the whole. `check --store` judges the store.
    pub(super) async fn end(&mut self) -> Verdict {
        for actor in &self.actors {
            actor.enable_all(&self.service.tenant(PROVIDER, &actor.tenant)).await;
        }
        let operator = self.service.operator();
        let nothing_waits = || async { (operator.get("/v1/admin/status").await.json()["pending"] == 0).then_some(()) };
        eventually("nothing is pending", Duration::from_secs(120), nothing_waits).await;
        let mut sum = Verdict::default();
        for actor in &self.actors {
            let (clients, received) = (Clients::of(&self.service, &actor.tenant), self.receiver.look(<[_]>::to_vec));
            let book = actor.book().clone();
            let verdict = judge(&book, &clients, &received, &self.starts).await;
            sum.answered += verdict.answered;
            sum.deliveries += verdict.deliveries;
            sum.again += verdict.again;
        }
        self.service.stop_and_check().await;
        sum
    }
}

impl Acting {
    /// Waits until the service is gone, or all owners have reached their end.
    pub(super) async fn ended(self) {
        self.tasks.join_all().await;
    }

    pub(super) async fn stop(self) {
        self.until.stop();
        self.ended().await;
    }
}

/// A config in which failures never disable webhooks, so that only owners do, and in which retries come soon.
pub(super) fn config(tenants: usize) -> Config {
    let keys = "extends = \"standard\"\n[dialect.steady.disable]\nconsecutive = 0\n";
    let base = Config::bare().dialect("steady", keys, &["50ms", "50ms"]).provider(PROVIDER, "steady");
    (0..tenants).fold(base, |config, tenant| config.tenant(&name(tenant)))
}

fn name(tenant: usize) -> String {
    format!("t{tenant}")
}

//! The owner of one tenant. It makes one call after another, and enters each in its book before it is sent and when it is
//! answered.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::book::Book;
use super::call::{Call, FLAKY};
use crate::harness::client::Client;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::seed::Random;
use crate::harness::service::Service;

/// An owner with its book and its random numbers. A copy is the same owner.
#[derive(Clone)]
pub(super) struct Actor {
    pub(super) tenant: String,
    book: Arc<Mutex<Book>>,
    receiver: Arc<Receiver>,
}

/// The clients that reach one tenant.
pub(super) struct Clients {
    pub(super) tenant: Client,
    /// A client as the operator, who may see secrets.
    pub(super) admin: Client,
}

/// When owners stop.
#[derive(Clone, Default)]
pub(super) struct Until {
    stopped: Arc<AtomicBool>,
    /// How many events may still be published, over all owners. `None` means any number.
    events: Option<Arc<AtomicUsize>>,
    /// Whether owners only publish, which the journal alone takes.
    publishing: bool,
}

impl Until {
    pub(super) fn events(count: usize) -> Self {
        Self { events: Some(Arc::new(AtomicUsize::new(count))), ..Self::default() }
    }

    pub(super) fn publishing(self) -> Self {
        Self { publishing: true, ..self }
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn is_reached(&self) -> bool {
        let spent = self.events.as_ref().is_some_and(|left| left.load(Ordering::Relaxed) == 0);
        spent || self.stopped.load(Ordering::Relaxed)
    }

    fn note(&self, call: &Call) {
        if let (Some(left), Call::Publish(events)) = (&self.events, call) {
            let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(events.len())));
        }
    }
}

impl Clients {
    pub(super) fn of(service: &Service, tenant: &str) -> Self {
        let admin = service.admin().with_header("hookwheel-tenant", &format!("{PROVIDER}/{tenant}"));
        Self { tenant: service.tenant(PROVIDER, tenant), admin }
    }
}

impl Actor {
    pub(super) fn new(tenant: &str, receiver: &Arc<Receiver>) -> Self {
        Self { tenant: tenant.to_owned(), book: Arc::new(Mutex::new(Book::of(tenant))), receiver: receiver.clone() }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no panic in between")
    }

    /// Makes calls until it is time to stop, or the service does not answer any more. Then the last call is in doubt.
    pub(super) async fn act(self, client: Client, mut random: Random, until: Until) {
        let url = self.receiver.url("");
        while !until.is_reached() {
            let call = match until.publishing {
                true => Call::choose_publishing(&mut self.book(), &mut random, &url),
                false => Call::choose(&mut self.book(), &mut random, &url),
            };
            until.note(&call);
            if self.call(&client, call).await.is_err() {
                return;
            }
        }
    }

    /// Enables every disabled webhook.
    pub(super) async fn enable_all(&self, client: &Client) {
        let disabled = self.book().hooks_in(&[super::book::State::Disabled]);
        for hook in disabled {
            self.call(client, Call::Enable(hook)).await.expect("the service answers");
        }
    }

    async fn call(&self, client: &Client, call: Call) -> std::io::Result<()> {
        let request = {
            let mut book = self.book();
            call.asked(&mut book);
            call.request(&book)
        };
        self.prepare(&call);
        let answer = client.try_send(request.method, &request.path, request.content_type, request.body).await?;
        call.answered(&mut self.book(), &answer);
        Ok(())
    }

    /// Lets the receiver fail a few deliveries of a flaky webhook before it takes one.
    fn prepare(&self, call: &Call) {
        if let Call::Create(hook) = call {
            let path = self.book().hooks[*hook].path.clone();
            let path = path.strip_prefix(&self.receiver.url("")).expect("it is this receiver's");
            if path.contains(FLAKY) {
                self.receiver.script_in_turn(path, [500, 500, 500, 200].map(Reply::status));
            }
        }
    }
}

pub(super) const PROVIDER: &str = "shop";

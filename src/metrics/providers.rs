//! Metrics by provider: events, deliveries, attempts, and how long they took.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec};

use super::{Make, SECONDS, options};
use crate::domain::delivery::outcome::Class;
use crate::domain::delivery::tally::Brought;

/// The metrics that have the label `provider`.
pub(crate) struct Providers {
    events: IntCounterVec,
    deliveries: IntCounterVec,
    attempts: IntCounterVec,
    attempt_duration: HistogramVec,
    to_first_attempt: HistogramVec,
    to_success: HistogramVec,
}

/// The metrics of one provider.
pub(crate) struct OfProvider {
    pub(crate) events: IntCounter,
    succeeded: IntCounter,
    failed: IntCounter,
    /// The counters of attempts, in the order of [`CLASSES`].
    attempts: [IntCounter; CLASSES.len()],
    attempt_duration: Histogram,
    to_first_attempt: Histogram,
    to_success: Histogram,
}

impl Providers {
    pub(super) fn new(make: Make<'_>) -> Self {
        let histogram = |name, help| {
            let options = HistogramOpts::from(options(name, help)).buckets(SECONDS.into());
            make.enter(HistogramVec::new(options, &["provider"]))
        };
        Self {
            events: make.counters("events_accepted_total", "Events that were taken and are on disk.", &["provider"]),
            deliveries: make.counters("deliveries_total", "Deliveries that ended, by how.", &["provider", "result"]),
            attempts: make.counters("attempts_total", "Attempts that ended, by what they brought.", &["provider", "class"]),
            attempt_duration: histogram("attempt_duration_seconds", "How long attempts took, from name lookup to response."),
            to_first_attempt: histogram(
                "publish_to_first_attempt_seconds",
                "From an event's publication to the begin of a delivery's first attempt.",
            ),
            to_success: histogram(
                "publish_to_success_seconds",
                "From an event's publication to the end of the attempt that delivered it.",
            ),
        }
    }

    /// The metrics of a provider. They are made at the first call. It takes a lock, so callers should keep what they get.
    pub(crate) fn of(&self, provider: &str) -> OfProvider {
        let ended = |result| self.deliveries.with_label_values(&[provider, result]);
        let histogram = |of: &HistogramVec| of.with_label_values(&[provider]);
        OfProvider {
            events: self.events.with_label_values(&[provider]),
            succeeded: ended("succeeded"),
            failed: ended("failed"),
            attempts: CLASSES.map(|class| self.attempts.with_label_values(&[provider, class])),
            attempt_duration: histogram(&self.attempt_duration),
            to_first_attempt: histogram(&self.to_first_attempt),
            to_success: histogram(&self.to_success),
        }
    }
}

impl OfProvider {
    /// Counts an attempt that ended.
    pub(crate) fn attempt(&self, brought: Brought, duration: Duration) {
        self.attempts[place(brought)].inc();
        self.attempt_duration.observe(duration.as_secs_f64());
    }

    /// Counts how long a delivery waited for its first attempt.
    pub(crate) fn first_attempt(&self, after: Duration) {
        self.to_first_attempt.observe(after.as_secs_f64());
    }

    /// Counts the end of a delivery.
    pub(crate) fn ended(&self, succeeded: bool) {
        if succeeded { self.succeeded.inc() } else { self.failed.inc() }
    }

    /// Counts how long it took until a delivery succeeded.
    pub(crate) fn success(&self, after: Duration) {
        self.to_success.observe(after.as_secs_f64());
    }
}

/// The metrics of all providers that its owner has asked for. It takes no lock for those that it knows.
#[derive(Default)]
pub(crate) struct Known(HashMap<Box<str>, Arc<OfProvider>>);

impl Known {
    pub(crate) fn of(&mut self, provider: &str, all: &Providers) -> &OfProvider {
        if !self.0.contains_key(provider) {
            self.0.insert(provider.into(), Arc::new(all.of(provider)));
        }
        &self.0[provider]
    }
}

/// The values of the label `class`: what an attempt brought.
const CLASSES: [&str; 14] =
    ["2xx", "3xx", "4xx", "5xx", "other", "dns", "connect", "tls", "timeout", "reset", "policy", "response", "internal", "auth"];

/// The index of an attempt's class in [`CLASSES`].
fn place(brought: Brought) -> usize {
    match brought {
        Brought::Status(2) => 0,
        Brought::Status(3) => 1,
        Brought::Status(4) => 2,
        Brought::Status(5) => 3,
        // A response without success is counted by its status, so this failure does not come here.
        Brought::Status(_) | Brought::Failure(Class::Status) => 4,
        Brought::Failure(Class::Dns) => 5,
        Brought::Failure(Class::Connect) => 6,
        Brought::Failure(Class::Tls) => 7,
        Brought::Failure(Class::Timeout) => 8,
        Brought::Failure(Class::Reset) => 9,
        Brought::Failure(Class::Policy) => 10,
        Brought::Failure(Class::Response) => 11,
        Brought::Failure(Class::Internal) => 12,
        Brought::Failure(Class::Auth) => 13,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_counter_of_its_name() {
        let classes = Class::ALL.into_iter().filter(|class| *class != Class::Status).map(Brought::Failure);
        for brought in classes.chain([2, 3, 4, 5, 0, 9].map(Brought::status)) {
            assert_eq!(CLASSES[place(brought)], brought.name());
        }
    }
}

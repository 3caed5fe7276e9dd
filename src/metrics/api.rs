//! What is counted of the API: requests by call and status, and events that were refused.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec};

use super::{Make, SECONDS, options};

/// The metrics of the API.
pub(crate) struct Api {
    requests: IntCounterVec,
    durations: HistogramVec,
    refused: [IntCounter; RefusedFor::ALL.len()],
}

/// Why an event was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusedFor {
    Invalid,
    TooLarge,
    Conflict,
    Rate,
    Full,
    DiskLow,
    Stopping,
}

impl RefusedFor {
    pub(crate) const ALL: [Self; 7] =
        [Self::Invalid, Self::TooLarge, Self::Conflict, Self::Rate, Self::Full, Self::DiskLow, Self::Stopping];

    /// As the label `reason` says it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::Conflict => "conflict",
            Self::Rate => "rate",
            Self::Full => "full",
            Self::DiskLow => "disk_low",
            Self::Stopping => "stopping",
        }
    }
}

impl Api {
    pub(super) fn new(make: Make<'_>) -> Self {
        let refused = make.counters("events_refused_total", "Events that were not taken, by why.", &["reason"]);
        let durations = options("api_request_duration_seconds", "How long requests of the API took, by what they asked for.");
        Self {
            requests: make.counters("api_requests_total", "Requests of the API, by call and status.", &["call", "status"]),
            durations: make.enter(HistogramVec::new(HistogramOpts::from(durations).buckets(SECONDS.into()), &["call"])),
            refused: RefusedFor::ALL.map(|reason| refused.with_label_values(&[reason.name()])),
        }
    }

    /// Counts an event that was refused.
    pub(crate) fn refused(&self, reason: RefusedFor) {
        self.refused[reason as usize].inc();
    }

    /// The metrics of one call, for whoever keeps them.
    pub(crate) fn of(&self, call: Box<str>) -> OfCall {
        let duration = self.durations.with_label_values(&[&*call]);
        OfCall { call, statuses: Default::default(), duration }
    }
}

/// The metrics of one call of the API.
pub(crate) struct OfCall {
    call: Box<str>,
    /// By the place of the status in [`STATUSES`]; one is made when it is met first.
    statuses: [OnceLock<IntCounter>; STATUSES.len()],
    duration: Histogram,
}

impl OfCall {
    /// Counts a request that was answered.
    pub(crate) fn answered(&self, status: u16, took: Duration, api: &Api) {
        let place = STATUSES.iter().position(|known| *known == status).unwrap_or(0);
        let make = || {
            let status = if place == 0 { "other".to_owned() } else { status.to_string() };
            api.requests.with_label_values(&[&*self.call, &status])
        };
        self.statuses[place].get_or_init(make).inc();
        self.duration.observe(took.as_secs_f64());
    }
}

/// What the API answers with. The first stands for any other.
const STATUSES: [u16; 20] = [0, 200, 201, 202, 204, 303, 400, 401, 403, 404, 405, 406, 408, 409, 413, 415, 422, 429, 503, 507];

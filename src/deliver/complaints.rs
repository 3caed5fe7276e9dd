//! Logs failed attempts by endpoint: the first at once, later ones once a minute with their count.
//!
//! A line names the endpoint's host and never its URL, which may hold a secret. A successful attempt does not come here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::info;
use url::Url;

use crate::domain::delivery::outcome::Outcome;
use crate::domain::id::EndpointNo;
use crate::domain::time::minute::Minute;
use crate::domain::webhook::endpoint::Endpoint;

/// The endpoints with a failed attempt in the last minute. An entry goes after a minute without a failure.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<HashMap<EndpointNo, Complaint>>);

#[derive(Debug)]
struct Complaint {
    minute: Minute,
    endpoint: Arc<Endpoint>,
    /// Why the last attempt failed.
    why: String,
}

impl Complaints {
    /// Counts a failed attempt, and logs it if it is the first of its minute.
    pub(super) fn add(&self, endpoint: &Arc<Endpoint>, outcome: &Outcome, now: Instant) {
        let why = why(outcome);
        let mut all = self.all();
        let complaint = all.entry(endpoint.no).or_insert_with(|| Complaint::new(endpoint));
        (complaint.endpoint, complaint.why) = (endpoint.clone(), why);
        if let Some(count) = complaint.minute.add(now) {
            complaint.tell(count);
        }
    }

    /// Logs the counts of minutes that are over, and forgets endpoints that did not fail meanwhile. The pump calls it every few
    /// seconds.
    pub(super) fn tell_due(&self, now: Instant) {
        self.all().retain(|_, complaint| match complaint.minute.due(now) {
            Some(count) => {
                complaint.tell(count);
                true
            }
            None => !complaint.minute.is_quiet(now),
        });
    }

    fn all(&self) -> MutexGuard<'_, HashMap<EndpointNo, Complaint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Complaint {
    fn new(endpoint: &Arc<Endpoint>) -> Self {
        Self { minute: Minute::default(), endpoint: endpoint.clone(), why: String::new() }
    }

    fn tell(&self, count: u64) {
        let Endpoint { id, provider, tenant, definition, .. } = &*self.endpoint;
        let host = Url::parse(&definition.url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        let (name, why) = (&*definition.name, &*self.why);
        info!(webhook = %id, name, tenant = %format_args!("{provider}/{tenant}"), host, count, why, "attempts fail");
    }
}

/// The reason of a failure: the status, as `500`, or the failure's class and detail.
fn why(outcome: &Outcome) -> String {
    match &outcome.result {
        Ok(response) => response.status.to_string(),
        Err(failure) => format!("{}: {}", failure.class.name(), failure.detail),
    }
}

//! Counts the requests: by what they asked for, how they were answered, and how long that took.

use std::time::Instant;

use super::request::route::{Call, ROUTES};
use super::response::problem::Problem;
use super::response::reply::Reply;
use super::told::Told;
use crate::clock;
use crate::metrics::{Metrics, OfCall};

/// The metrics of every call.
pub(crate) struct Calls {
    /// By the number of the call.
    known: Vec<OfCall>,
    /// Of requests whose path or method is unknown.
    none: OfCall,
    /// Of pages and forms of the dashboard.
    pages: OfCall,
}

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Its path or method is unknown, or nobody has looked at them.
    Unknown,
    Call(Call),
    /// A page or a form of the dashboard.
    Page,
}

impl Calls {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            known: labels().map(|label| metrics.api.of(label)).collect(),
            none: metrics.api.of("none".into()),
            pages: metrics.api.of("/ui".into()),
        }
    }

    /// Counts a request that began then; of one that should have published an event also why it did not.
    pub(crate) fn count(&self, asked: Asked, reply: &Result<Reply, Problem>, began: Instant, told: &Told, metrics: &Metrics) {
        let of_call = match asked {
            Asked::Unknown => &self.none,
            Asked::Page => &self.pages,
            Asked::Call(call) => self.known.get(call as usize).unwrap_or(&self.none),
        };
        let status = reply.as_ref().map_or_else(Problem::status, |reply| reply.status);
        of_call.answered(status.as_u16(), clock::steady().saturating_duration_since(began), &metrics.api);
        if let (Asked::Call(Call::Publish), Err(problem)) = (asked, reply) {
            told.event_refused(problem, metrics);
        }
    }
}

/// The method and path of every call, in the order of their numbers.
fn labels() -> impl Iterator<Item = Box<str>> {
    let mut routes: Vec<_> = ROUTES.iter().collect();
    routes.sort_by_key(|route| route.call as usize);
    routes.into_iter().map(|route| route.call.label().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_the_label_of_its_route() {
        let labels: Vec<_> = labels().collect();
        assert_eq!(labels.len(), ROUTES.len());
        for route in ROUTES {
            assert_eq!(*labels[route.call as usize], *format!("{} {}", route.verb.name(), route.path));
        }
    }
}

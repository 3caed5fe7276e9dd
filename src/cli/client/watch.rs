//! The deliveries of one event, looked at until all of them have ended.
//!
//! The event is published by then, so no trouble on the way may look like a publication that failed: whoever sees one publishes
//! again. A service that restarts is waited for; what stays wrong is told beside what was seen.

use std::time::Duration;

use super::wait::{may_pass, until};
use super::{Call, Error, Page, Served, Service};
use crate::api::document::delivery::{Row, Status};
use crate::domain::resource::Resource;

/// Where they are looked for: in one tenant, or with `PROVIDER/*` in all of a provider's.
pub(crate) struct Watch<'a> {
    pub(crate) service: &'a Service,
    pub(crate) tenant: &'a str,
}

/// What was seen of them.
#[derive(Debug)]
pub(crate) struct Watched {
    /// As they were at the last look that had an answer.
    pub(crate) deliveries: Vec<Served<Row>>,
    /// Whether all of them have ended; a held one has, since it waits for a person.
    pub(crate) ended: bool,
    /// Why the last look had no answer.
    pub(crate) trouble: Option<Error>,
}

impl Watch<'_> {
    /// Looks once, so that nothing is published whose end could not be seen. A tenant that is not there may come to be by the event.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let query = [("tenant", Some(self.tenant.to_owned())), ("limit", Some("1".to_owned()))];
        match self.service.ask(Call::get(DELIVERIES).query(query)) {
            Err(Error::Refused(problem)) if problem.missing == Some(Resource::Tenant) => Ok(()),
            answer => answer?.read().map(|_: Page<Row>| ()),
        }
    }

    /// Until as many as were `expected` have ended, for at most `limit`.
    pub(crate) fn until_ended(&self, event: &str, expected: u64, limit: Duration) -> Watched {
        let mut watched = Watched { deliveries: Vec::new(), ended: false, trouble: None };
        let filters = [("tenant", self.tenant), ("event", event)];
        let done = until(limit, || watched.take(self.service.rows(DELIVERIES, &filters), expected));
        watched.trouble = watched.trouble.or(done.err());
        watched
    }
}

impl Watched {
    /// Takes what a look came to; `Some` when there is nothing more to wait for.
    fn take(&mut self, look: Result<Vec<Served<Row>>, Error>, expected: u64) -> Result<Option<()>, Error> {
        match look {
            Ok(deliveries) => {
                self.ended = deliveries.len() as u64 >= expected && deliveries.iter().all(|row| has_ended(row));
                (self.deliveries, self.trouble) = (deliveries, None);
                Ok(self.ended.then_some(()))
            }
            Err(error) if may_pass(&error) => {
                self.trouble = Some(error);
                Ok(None)
            }
            Err(error) => {
                self.trouble = None;
                Err(error)
            }
        }
    }

    pub(crate) fn count_ended(&self) -> usize {
        self.deliveries.iter().filter(|delivery| has_ended(delivery)).count()
    }

    pub(crate) fn all_succeeded(&self) -> bool {
        self.deliveries.iter().all(|delivery| delivery.delivery.status == Status::Succeeded)
    }
}

fn has_ended(row: &Row) -> bool {
    row.delivery.status != Status::Pending
}

/// Of all tenants; `?tenant=` says of which.
const DELIVERIES: &str = "/v1/admin/deliveries";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::document::delivery::fixture;
    use crate::cli::client::Problem;

    fn nothing() -> Watched {
        Watched { deliveries: Vec::new(), ended: false, trouble: None }
    }

    fn refused(status: u16) -> Error {
        Error::Refused(Problem { status, detail: "x".into(), missing: None, errors: Vec::new(), faults: Vec::new() })
    }

    #[test]
    fn a_held_delivery_is_not_waited_for() {
        for status in Status::ALL {
            assert_eq!(has_ended(&fixture::row(status)), status != Status::Pending, "{status:?}");
        }
    }

    #[test]
    fn all_that_were_expected_must_have_ended() {
        let mut watched = nothing();
        let rows = |statuses: &[Status]| Ok(statuses.iter().map(|status| fixture::row(*status).into()).collect());
        assert_eq!(watched.take(rows(&[Status::Succeeded]), 2).ok(), Some(None), "a fan-out that goes on");
        assert_eq!(watched.take(rows(&[Status::Succeeded, Status::Pending]), 2).ok(), Some(None));
        assert_eq!((watched.count_ended(), watched.ended, watched.all_succeeded()), (1, false, false));
        assert_eq!(watched.take(rows(&[Status::Succeeded, Status::Failed]), 2).ok(), Some(Some(())));
        assert_eq!((watched.count_ended(), watched.ended, watched.all_succeeded()), (2, true, false));
    }

    #[test]
    fn a_restart_is_waited_for_and_a_refusal_is_not() {
        let mut watched = nothing();
        assert!(matches!(watched.take(Err(refused(503)), 1), Ok(None)) && watched.trouble.is_some());
        assert!(matches!(watched.take(Ok(Vec::new()), 1), Ok(None)) && watched.trouble.is_none());
        assert!(watched.take(Err(refused(403)), 1).is_err());
    }
}

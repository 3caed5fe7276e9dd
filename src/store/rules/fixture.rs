//! Values that tests of the rules begin with.

use std::sync::Arc;
use std::time::Duration;

use crate::config::dialect;
use crate::config::fault::Faults;
use crate::domain::delivery::outcome::{Class, Failure, Outcome, Response};
use crate::domain::delivery::retry::{Policy, Retry};
use crate::domain::dialect::Dialect;
use crate::domain::headers::Headers;
use crate::store::message::publication::Publication;

/// The built-in dialect `standard` with two retries, a second and then two seconds after the attempt before.
pub(super) fn dialect() -> Dialect {
    let standard = dialect::read_all(Vec::new(), &mut Faults::default())["standard"].clone();
    let policy = Policy::Schedule(vec![Duration::from_secs(1), Duration::from_secs(2)]);
    Dialect { retry: Retry { policy, jitter: 0.0 }, ..Dialect::clone(&standard) }
}

/// A response with a status and nothing else.
pub(super) fn answered(status: u16) -> Outcome {
    let response = Response { status, headers: Headers::default(), body: "".into(), truncated: false, body_error: None };
    Outcome { result: Ok(response), duration: Duration::from_millis(20) }
}

/// No response: nobody took the connection.
pub(super) fn refused() -> Outcome {
    Outcome { result: Err(Failure::new(Class::Connect, "refused")), duration: Duration::from_millis(20) }
}

/// An event of provider `acme` for tenant `t1`, which comes to be by it.
pub(super) fn publication(kind: &str) -> Publication {
    Publication::of_type_and_data("acme".into(), "t1".into(), Arc::new(dialect()), kind, "{}".into())
}

//! Polls until something is so, or its time is over.

use std::thread;
use std::time::Duration;

use super::Error;
use crate::clock;

/// Asks `look` until it gives a value; `None` when `limit` passed before.
///
/// Waits a little longer after each look: what is soon is seen at once, what is late costs little.
pub(crate) fn until<T, E>(limit: Duration, mut look: impl FnMut() -> Result<Option<T>, E>) -> Result<Option<T>, E> {
    let end = clock::steady() + limit;
    let mut pause = PAUSE_MIN;
    loop {
        if let Some(seen) = look()? {
            return Ok(Some(seen));
        }
        let left = end.saturating_duration_since(clock::steady());
        if left.is_zero() {
            return Ok(None);
        }
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whether another try may do better: the service may start, stop or be busy.
pub(crate) fn may_pass(error: &Error) -> bool {
    match error {
        Error::NoService { .. } | Error::Silent { .. } | Error::Broken { .. } => true,
        Error::Refused(problem) => problem.status == UNAVAILABLE,
        _ => false,
    }
}

const UNAVAILABLE: u16 = 503;

const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::Problem;

    #[test]
    fn a_service_that_is_not_there_yet_is_waited_for() {
        let refused = |status| {
            Error::Refused(Problem { status, detail: "x".into(), missing: None, errors: Vec::new(), faults: Vec::new() })
        };
        assert!(may_pass(&Error::NoService { tried: Vec::new() }) && may_pass(&refused(503)));
        assert!(!may_pass(&Error::Denied("/x".into())) && !may_pass(&refused(403)));
    }

    #[test]
    fn a_value_that_comes_is_returned() {
        let mut looks = 0;
        let seen = until(Duration::from_secs(60), || {
            looks += 1;
            Ok::<_, ()>((looks == 3).then_some("there"))
        });
        assert_eq!(seen, Ok(Some("there")));
    }

    #[test]
    fn a_value_that_never_comes_is_given_up_after_a_last_look() {
        let mut looks = 0;
        let seen = until(Duration::ZERO, || {
            looks += 1;
            Ok::<Option<()>, ()>(None)
        });
        assert_eq!((seen, looks), (Ok(None), 1));
        assert_eq!(until::<(), _>(Duration::from_secs(60), || Err("broken")), Err("broken"));
    }
}

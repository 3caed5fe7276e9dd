use proptest::prelude::*;

use super::outcome::{Class, Failure};
use super::retry::{Policy, Retry};
use super::*;
use crate::domain::dialect::{self, Dialect, Disable, tests::dialect as plain};
use crate::domain::headers::Headers;
use crate::domain::id::{EndpointNo, EventKey};

const KEY: DeliveryKey = DeliveryKey { event: EventKey(5 << 16), endpoint: EndpointNo(1) };
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const SECOND: Duration = Duration::from_secs(1);

/// Two retries, one second and then two after the attempt before; obeys 410 and `Retry-After`.
fn dialect() -> Dialect {
    let plain = plain();
    let delivery = dialect::Delivery { gone: true, retry_after: true, ..plain.delivery.clone() };
    Dialect { retry: Retry { policy: Policy::Schedule(vec![SECOND, 2 * SECOND]), jitter: 0.0 }, delivery, ..plain }
}

fn published() -> Delivery {
    Delivery::published(KEY, QueuePosition::Due(NOW))
}

fn response(status: u16, headers: &[(&str, &str)]) -> Outcome {
    let mut kept = Headers::default();
    headers.iter().for_each(|(name, value)| kept.push(name, value));
    let response = Response { status, headers: kept, body: "".into(), truncated: false, body_error: None };
    Outcome { result: Ok(response), duration: SECOND }
}

fn refused() -> Outcome {
    Outcome { result: Err(Failure::new(Class::Connect, "refused")), duration: SECOND }
}

fn attempted(delivery: Delivery, outcome: &Outcome) -> (Delivery, Effect) {
    delivery.attempted(Ended { outcome, at: NOW, draw: 0.5 }, &dialect())
}

/// How long after the attempt the next one is made.
fn delay(delivery: &Delivery) -> Option<Duration> {
    match delivery.state {
        State::Pending(QueuePosition::Due(at)) => Some(at.since(NOW)),
        _ => None,
    }
}

#[test]
fn a_delivery_begins_pending_without_an_attempt() {
    let delivery = published();
    assert!(delivery.is_pending() && !delivery.is_test() && delivery.ended_at().is_none());
    assert_eq!((delivery.attempts, delivery.trigger(), delivery.code), (0, Trigger::Schedule, None));
}

#[test]
fn a_success_ends_it_and_resets_the_count() {
    let (delivery, effect) = attempted(published(), &response(204, &[]));
    assert_eq!((delivery.state, delivery.ended_at()), (State::Succeeded { at: NOW }, Some(NOW)));
    assert_eq!((delivery.succeeded_at, delivery.code, delivery.attempts), (Some(NOW), Some(204), 1));
    assert_eq!(effect, Effect { count: Count::Reset, gone: false });
}

#[test]
fn failures_go_through_the_schedule_and_the_last_one_counts() {
    let (first, effect) = attempted(published(), &refused());
    assert_eq!((delay(&first), effect), (Some(SECOND), Effect::NONE));
    let (second, effect) = attempted(first, &response(500, &[]));
    assert_eq!((delay(&second), effect), (Some(2 * SECOND), Effect::NONE));
    let (third, effect) = attempted(second, &refused());
    assert_eq!(third.state, State::Failed { at: NOW, end: End::Exhausted });
    assert_eq!((third.attempts, third.code, effect.count), (3, Some(500), Count::Raise), "the newest response keeps its code");
}

#[test]
fn where_attempts_count_each_failure_raises() {
    let dialect = Dialect { disable: Disable { count: Counted::Attempts, ..dialect().disable }, ..dialect() };
    let (delivery, effect) = published().attempted(Ended { outcome: &refused(), at: NOW, draw: 0.0 }, &dialect);
    assert_eq!((delivery.is_pending(), effect.count), (true, Count::Raise));
}

#[test]
fn gone_ends_it_where_the_dialect_obeys() {
    let (delivery, effect) = attempted(published(), &response(410, &[]));
    assert_eq!(delivery.state, State::Failed { at: NOW, end: End::Gone });
    assert_eq!(effect, Effect { count: Count::Raise, gone: true });
    let deaf = Dialect { delivery: plain().delivery, ..dialect() };
    let (delivery, effect) = published().attempted(Ended { outcome: &response(410, &[]), at: NOW, draw: 0.0 }, &deaf);
    assert_eq!((delay(&delivery), effect.gone), (Some(SECOND), false));
}

#[test]
fn retry_after_makes_the_next_attempt_later() {
    let asked = |status, value| delay(&attempted(published(), &response(status, &[("retry-after", value)])).0);
    assert_eq!(asked(503, "7"), Some(7 * SECOND));
    assert_eq!(asked(429, " 7 "), Some(7 * SECOND));
    assert_eq!(asked(503, "0"), Some(SECOND), "a second is the least");
    assert_eq!(asked(503, "99999999999999999999999"), Some(RETRY_AFTER_MAX));
    assert_eq!(asked(500, "7"), Some(SECOND), "only 429 and 503 may ask");
    assert_eq!([asked(503, ""), asked(503, "soon"), asked(503, "-7")], [Some(SECOND); 3]);
    assert_eq!(asked(503, "Tue, 14 Nov 2023 22:13:29 GMT"), Some(9 * SECOND));
    assert_eq!(asked(503, "Mon, 13 Nov 2023 22:13:29 GMT"), Some(SECOND), "it is over");
    assert_eq!(asked(503, "Mon, 13 Nov 1950 22:13:29 GMT"), Some(SECOND));
}

#[test]
fn the_schedule_is_never_shortened_by_retry_after() {
    let (first, _) = attempted(published(), &refused());
    let (second, _) = attempted(first, &response(503, &[("retry-after", "1")]));
    assert_eq!(delay(&second), Some(2 * SECOND));
}

#[test]
fn a_dialect_may_be_deaf_to_retry_after() {
    let delivery = dialect::Delivery { retry_after: false, ..dialect().delivery };
    let outcome = response(503, &[("retry-after", "7")]);
    let (waiting, _) = published().attempted(Ended { outcome: &outcome, at: NOW, draw: 0.0 }, &Dialect { delivery, ..dialect() });
    assert_eq!(delay(&waiting), Some(SECOND));
}

#[test]
fn a_test_has_one_attempt_and_counts_for_nothing() {
    let test = Delivery::test(KEY, NOW);
    assert_eq!((test.is_test(), test.trigger()), (true, Trigger::Test));
    let (failed, effect) = attempted(test, &refused());
    assert_eq!((failed.state, effect), (State::Failed { at: NOW, end: End::Exhausted }, Effect::NONE));
    let again = failed.retried_by_hand(NOW);
    assert_eq!((again.is_test(), again.trigger(), again.run.before), (true, Trigger::Test, 1));
}

#[test]
fn a_retry_of_what_waits_goes_on_in_its_run() {
    let (waiting, _) = attempted(published(), &refused());
    let pinned = Delivery { url: Some("https://example.com/".into()), ..waiting };
    let now = pinned.clone().retried_by_hand(NOW);
    assert_eq!((now.state, now.trigger(), now.url.as_deref()), (State::Pending(QueuePosition::Due(NOW)), Trigger::Manual, None));
    assert_eq!(now.run, pinned.run);
    let (next, _) = attempted(now, &refused());
    assert_eq!((delay(&next), next.trigger()), (Some(2 * SECOND), Trigger::Schedule), "the second retry is the schedule's again");
}

#[test]
fn a_retry_of_what_has_ended_is_a_run_of_its_own_that_disables_nothing() {
    let (done, _) = attempted(published(), &response(200, &[]));
    let mut again = done.retried_by_hand(NOW);
    assert_eq!((again.run.cause, again.run.before), (Cause::Manual, 1));
    for expected in [Some(SECOND), Some(2 * SECOND), None] {
        let (next, effect) = attempted(again, &refused());
        assert_eq!((delay(&next), effect), (expected, Effect::NONE));
        again = next;
    }
    assert_eq!((again.attempts, again.succeeded_at), (4, Some(NOW)), "its first success stays shown");
}

#[test]
fn what_has_ended_meanwhile_only_succeeds() {
    let cancelled = || published().ended(End::Cancelled, NOW);
    let (late, effect) = attempted(cancelled(), &response(200, &[]));
    assert_eq!((late.state, effect.count), (State::Succeeded { at: NOW }, Count::Reset));
    let (still, effect) = attempted(cancelled(), &response(410, &[]));
    assert_eq!((still.state, effect), (State::Failed { at: NOW, end: End::Cancelled }, Effect::NONE));
    assert_eq!((still.attempts, still.code), (1, Some(410)));
}

#[test]
fn recover_brings_back_what_failed_by_itself() {
    let ended = |end| published().ended(end, NOW).is_recoverable();
    assert_eq!([End::Exhausted, End::Gone, End::WebhookDeleted, End::Expired].map(ended), [true; 4]);
    assert!(!ended(End::Cancelled) && !published().is_recoverable());
    assert!(!Delivery::test(KEY, NOW).ended(End::Exhausted, NOW).is_recoverable());
    assert!(!attempted(published(), &response(200, &[])).0.is_recoverable());
}

#[test]
fn each_end_has_its_name() {
    let names = [End::Exhausted, End::Gone, End::WebhookDeleted, End::Expired, End::Cancelled].map(End::name);
    assert_eq!(names, ["exhausted", "gone", "webhook_deleted", "expired", "cancelled"]);
}

#[test]
fn what_waits_elsewhere_is_the_same_delivery() {
    let parked = published().placed(QueuePosition::Backlog(7));
    assert_eq!(parked.state, State::Pending(QueuePosition::Backlog(7)));
    assert_eq!(parked.placed(QueuePosition::Due(NOW)), published());
}

proptest! {
    #[test]
    fn a_delivery_ends_within_its_schedule(statuses in prop::collection::vec(100_u16..600, 3), draw in 0.0..1.0) {
        let mut delivery = published();
        for status in statuses {
            let before = delivery.is_pending();
            let outcome = response(status, &[]);
            delivery = delivery.attempted(Ended { outcome: &outcome, at: NOW, draw }, &dialect()).0;
            prop_assert!(before || !delivery.is_pending(), "what has ended is not pending again");
        }
        prop_assert!(!delivery.is_pending(), "two retries are all");
    }

    #[test]
    fn a_next_attempt_is_never_due_before_its_delay(micros in 0_u64..10_000_000, draw in 0.0..1.0) {
        let at = Timestamp::from_micros(NOW.as_micros() + micros);
        let (delivery, _) = published().attempted(Ended { outcome: &refused(), at, draw }, &dialect());
        let State::Pending(QueuePosition::Due(due)) = delivery.state else { panic!("a retry is left") };
        prop_assert!(due >= at + SECOND && due.since(at) <= SECOND + Duration::from_millis(1));
        prop_assert_eq!(due.as_micros() % 1_000, 0, "entries are in whole milliseconds");
    }
}

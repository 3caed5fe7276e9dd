//! Tests of the queues' rules. A worker is represented by its number.

use std::sync::Arc;

use super::endpoint::OLD;
use super::*;
use crate::clock;
use crate::domain::id::EventKey;
use crate::domain::webhook::settings::WebhookSettings;
use crate::store::Live;

fn queues(in_flight: usize, per_endpoint: usize) -> Queues<u32> {
    Queues::new(Limits { in_flight, per_endpoint, kept: 2 })
}

fn key(endpoint: u32, event: u64) -> DeliveryKey {
    DeliveryKey { event: EventKey(event), endpoint: EndpointNo(endpoint) }
}

fn push(queues: &mut Queues<u32>, lane: Lane, endpoint: u32, events: impl IntoIterator<Item = u64>) {
    let now = clock::steady();
    events.into_iter().for_each(|event| queues.push(Ready::alone(key(endpoint, event), lane, now)));
}

fn push_test(queues: &mut Queues<u32>, lane: Lane, endpoint: u32, event: u64) {
    queues.push(Ready { is_test: true, ..Ready::alone(key(endpoint, event), lane, clock::steady()) });
}

/// Starts every delivery that may start now, and returns the endpoint and event of each.
fn start(queues: &mut Queues<u32>, now: Instant) -> Vec<(u32, u64)> {
    let started = std::iter::from_fn(|| queues.start(now));
    started.map(|start| (start.ready.key.endpoint.0, start.ready.key.event.0)).collect()
}

#[test]
fn a_webhook_has_as_many_slots_as_it_says() {
    let (mut queues, now, live) = (queues(100, 2), clock::steady(), Arc::new(Live::default()));
    let says = |concurrency| live.note(&WebhookSettings { concurrency, ..WebhookSettings::default() });
    says(Some(3));
    (1..=9).for_each(|event| queues.push(Ready::of(key(1, event), Lane::Due, now, &live)));
    assert_eq!(start(&mut queues, now).len(), 3);
    says(Some(1));
    assert!(queues.finish(key(1, 1), HealthSignal::Good, now).is_none(), "two are under way, and one may be");
    says(None);
    assert!(queues.finish(key(1, 2), HealthSignal::Good, now).is_some(), "the config's two");
}

#[test]
fn an_endpoint_that_answers_is_prompt_when_all_its_attempts_wait_for_memory() {
    let (mut queues, now) = (queues(100, 3), clock::steady());
    push(&mut queues, Lane::Due, 1, 1..=9);
    start(&mut queues, now);
    assert_eq!([1, 2, 3].map(|event| queues.set_waiting(key(1, event), true)), [false; 3], "it has not answered yet");
    queues.finish(key(1, 1), HealthSignal::Good, now);
    assert!(!queues.set_waiting(key(1, 2), true), "the next has memory, or may have");
    assert!(queues.set_waiting(key(1, 4), true));
    queues.set_waiting(key(1, 4), false);
    assert!(!queues.set_waiting(key(1, 2), true), "one has got it");
    let later = now + Duration::from_secs(7);
    assert_eq!(queues.held_back(later), Duration::from_secs(7), "it is the relay that holds it back");
    queues.finish(key(1, 4), HealthSignal::Slow, now);
    assert!(!queues.set_waiting(key(1, 5), true));
    assert_eq!(queues.held_back(later), Duration::ZERO, "now its endpoint has itself to blame");
}

#[test]
fn endpoints_take_turns_and_none_has_more_than_its_slots() {
    let (mut queues, now) = (queues(100, 2), clock::steady());
    push(&mut queues, Lane::Due, 1, 1..=4);
    push(&mut queues, Lane::Due, 2, 1..=1);
    push(&mut queues, Lane::Due, 3, 1..=3);
    assert_eq!(start(&mut queues, now), [(1, 1), (2, 1), (3, 1), (1, 2), (3, 2)]);
    assert_eq!(queues.finish(key(1, 1), HealthSignal::Good, now).map(|ready| ready.key), Some(key(1, 3)));
    assert_eq!((start(&mut queues, now), queues.in_flight()), (vec![], 5));
}

#[test]
fn a_freed_slot_goes_to_an_endpoint_that_waits_for_it() {
    let (mut queues, now) = (queues(2, 2), clock::steady());
    push(&mut queues, Lane::Due, 1, 1..=9);
    assert_eq!(start(&mut queues, now), [(1, 1), (1, 2)]);
    push(&mut queues, Lane::Due, 2, 1..=1);
    assert!(queues.finish(key(1, 1), HealthSignal::Good, now).is_none());
    assert_eq!(start(&mut queues, now), [(2, 1)]);
}

#[test]
fn manual_deliveries_go_first_and_the_backlog_alternates_with_due_ones() {
    let (mut queues, now) = (queues(100, 100), clock::steady());
    push(&mut queues, Lane::Backlog, 1, 1..=3);
    push(&mut queues, Lane::Due, 1, 11..=12);
    push(&mut queues, Lane::Manual, 1, 21..=22);
    let events: Vec<u64> = start(&mut queues, now).into_iter().map(|(_, event)| event).collect();
    assert_eq!(events, [21, 22, 11, 1, 12, 2, 3]);
}

#[test]
fn an_endpoint_that_is_slow_has_one_slot_until_it_succeeds() {
    let (mut queues, now) = (queues(100, 3), clock::steady());
    push(&mut queues, Lane::Due, 1, 1..=9);
    assert_eq!(start(&mut queues, now).len(), 3);
    assert!(queues.finish(key(1, 1), HealthSignal::Slow, now).is_none(), "two are under way and one is allowed");
    assert!(queues.finish(key(1, 2), HealthSignal::Neutral, now).is_none());
    assert!(queues.finish(key(1, 3), HealthSignal::Neutral, now).is_some(), "its one slot");
    assert_eq!(start(&mut queues, now), []);
    assert!(queues.finish(key(1, 4), HealthSignal::Good, now).is_some());
    assert_eq!(start(&mut queues, now).len(), 2);
}

#[test]
fn a_slow_endpoint_is_remembered_while_nothing_waits() {
    let (mut queues, now) = (queues(100, 3), clock::steady());
    push(&mut queues, Lane::Due, 1, 1..=1);
    start(&mut queues, now);
    queues.finish(key(1, 1), HealthSignal::Slow, now);
    push(&mut queues, Lane::Due, 1, 2..=4);
    assert_eq!(start(&mut queues, now), [(1, 2)]);
}

#[test]
fn the_last_quarter_of_slots_is_for_endpoints_without_old_attempts() {
    let (mut queues, began) = (queues(8, 8), clock::steady());
    push(&mut queues, Lane::Due, 1, 1..=8);
    assert_eq!(start(&mut queues, began).len(), 6, "the fewer are left, the fewer it may have");
    let later = began + OLD;
    push(&mut queues, Lane::Due, 2, 1..=1);
    assert_eq!(start(&mut queues, later), [(2, 1)]);
    queues.finish(key(1, 1), HealthSignal::Good, later);
    assert_eq!(start(&mut queues, later), [], "its oldest attempt is old");
}

#[test]
fn a_delivery_under_way_is_not_started_again() {
    let (mut queues, now) = (queues(100, 100), clock::steady());
    push(&mut queues, Lane::Due, 1, [1]);
    push(&mut queues, Lane::Manual, 1, [1]);
    assert_eq!(start(&mut queues, now), [(1, 1)], "of two entries of one delivery the second waits");
    push(&mut queues, Lane::Due, 1, [1, 2]);
    assert_eq!(start(&mut queues, now), [(1, 2)]);
    assert!(queues.rechecks().is_empty(), "it is under way");
    queues.finish(key(1, 1), HealthSignal::Good, now);
    assert_eq!(start(&mut queues, now), [], "its outcome may have placed it elsewhere");
    let rechecks: Vec<_> = queues.rechecks().iter().map(|ready| (ready.key, ready.lane)).collect();
    assert_eq!(rechecks, [(key(1, 1), Lane::Due), (key(1, 1), Lane::Due)], "the store is asked for both");
}

#[test]
fn a_delivery_that_may_have_been_under_way_is_rechecked_first() {
    let (mut queues, now) = (queues(100, 100), clock::steady());
    push(&mut queues, Lane::Due, 1, [1]);
    start(&mut queues, now);
    for event in [1, 2] {
        queues.push(Ready { needs_recheck: true, ..Ready::alone(key(1, event), Lane::Backlog, now) });
    }
    assert_eq!(start(&mut queues, now), []);
    let rechecks = |queues: &mut Queues<u32>| queues.rechecks().iter().map(|ready| ready.key).collect::<Vec<_>>();
    assert_eq!(rechecks(&mut queues), [key(1, 2)]);
    queues.finish(key(1, 1), HealthSignal::Good, now);
    assert_eq!(rechecks(&mut queues), [key(1, 1)]);
}

#[test]
fn a_repeated_delivery_is_settled_with_its_webhook() {
    let (mut queues, now) = (queues(100, 100), clock::steady());
    for endpoint in [1, 2] {
        push(&mut queues, Lane::Due, endpoint, [1]);
        start(&mut queues, now);
        push(&mut queues, Lane::Due, endpoint, [1]);
        push_test(&mut queues, Lane::Manual, endpoint, 1);
    }
    queues.clear(EndpointNo(1), false);
    queues.clear(EndpointNo(2), true);
    for endpoint in [1, 2] {
        queues.finish(key(endpoint, 1), HealthSignal::Slow, now);
    }
    let rechecks: Vec<_> = queues.rechecks().iter().map(|ready| (ready.key, ready.lane)).collect();
    assert_eq!(rechecks, [(key(1, 1), Lane::Manual)]);
    assert_eq!(queues.endpoints.len(), 1, "of a deleted one nothing is remembered, slow or not");
}

#[test]
fn a_backlog_is_asked_for_once_each_time_it_runs_low() {
    let (mut queues, now) = (queues(LOW * 2, LOW * 2), clock::steady());
    let piece = LOW as u64 + 2;
    push(&mut queues, Lane::Backlog, 1, 1..=piece);
    queues.backlog(EndpointNo(1), true);
    assert!(queues.refills().is_empty(), "there is enough");
    start(&mut queues, now);
    assert_eq!(queues.refills(), [EndpointNo(1)]);
    push(&mut queues, Lane::Backlog, 1, piece + 1..piece + 9);
    start(&mut queues, now);
    assert!(queues.refills().is_empty(), "it is asked for already");
    queues.backlog(EndpointNo(1), true);
    assert!(queues.refills().is_empty(), "there may be no permit for it");
    push(&mut queues, Lane::Backlog, 1, [piece + 9]);
    start(&mut queues, now);
    assert_eq!(queues.refills(), [EndpointNo(1)], "one started");
    queues.backlog(EndpointNo(1), true);
    queues.finish(key(1, 1), HealthSignal::Good, now);
    assert_eq!(queues.refills(), [EndpointNo(1)], "one ended");
    queues.backlog(EndpointNo(1), false);
    queues.finish(key(1, 2), HealthSignal::Good, now);
    assert!(queues.refills().is_empty(), "there is no more");
    queues.backlog(EndpointNo(2), true);
    assert_eq!(queues.refills(), [EndpointNo(2)], "nothing of it is here that could ask");
}

#[test]
fn only_tests_of_a_disabled_webhook_go_on() {
    let (mut queues, now) = (queues(100, 100), clock::steady());
    for endpoint in [1, 2] {
        push(&mut queues, Lane::Due, endpoint, [1]);
        push(&mut queues, Lane::Backlog, endpoint, [2]);
        push(&mut queues, Lane::Manual, endpoint, [3]);
        push_test(&mut queues, Lane::Manual, endpoint, 4);
        push_test(&mut queues, Lane::Due, endpoint, 5);
    }
    queues.clear(EndpointNo(1), false);
    queues.clear(EndpointNo(2), true);
    assert_eq!(start(&mut queues, now), [(1, 4), (1, 5)]);
}

#[test]
fn a_stop_starts_nothing_more() {
    let (mut queues, now) = (queues(100, 1), clock::steady());
    push(&mut queues, Lane::Due, 1, 1..=3);
    assert_eq!(start(&mut queues, now), [(1, 1)]);
    queues.stop();
    assert!(queues.finish(key(1, 1), HealthSignal::Good, now).is_none());
    assert_eq!((start(&mut queues, now), queues.in_flight()), (vec![], 0));
    assert!(!queues.rest(EndpointNo(1), 1, 1, now));
}

#[test]
fn a_resting_worker_gets_the_next_delivery_and_few_may_rest() {
    let (mut queues, now) = (queues(100, 100), clock::steady());
    assert!(queues.rest(EndpointNo(1), 1, 1, now));
    assert!(queues.rest(EndpointNo(1), 2, 2, now));
    assert!(!queues.rest(EndpointNo(2), 3, 3, now));
    push(&mut queues, Lane::Due, 1, 1..=1);
    assert_eq!(queues.start(now).and_then(|start| start.worker), Some(2), "the one that rested last");
    assert!(!queues.leave(EndpointNo(1), 2), "it was given one");
    assert!(queues.leave(EndpointNo(1), 1));
    assert!(queues.rest(EndpointNo(2), 3, 3, now));
}

#[test]
fn workers_that_rested_too_long_are_let_go() {
    let (mut queues, now) = (queues(100, 100), clock::steady());
    queues.rest(EndpointNo(1), 1, 1, now);
    queues.rest(EndpointNo(1), 2, 2, now + Duration::from_secs(2));
    assert_eq!(queues.retire(Duration::from_secs(1), now + Duration::from_secs(2)), [1]);
    assert!(queues.rest(EndpointNo(2), 3, 3, now), "there is room for another");
    assert_eq!(queues.endpoints.len(), 2);
    queues.retire(Duration::from_secs(1), now + Duration::from_secs(9));
    assert!(queues.endpoints.is_empty(), "nothing is left to remember");
}

#[test]
fn only_a_wait_for_a_common_slot_counts_as_held_back() {
    let (mut queues, began) = (queues(1, 1), clock::steady());
    push(&mut queues, Lane::Due, 1, 1..=2);
    start(&mut queues, began);
    let later = began + Duration::from_millis(500);
    assert_eq!(queues.held_back(later), Duration::ZERO, "its own limit holds it");
    push(&mut queues, Lane::Due, 2, 1..=1);
    assert!(queues.held_back(later + Duration::from_secs(1)) >= Duration::from_millis(500));
}

#[test]
fn dropped_deliveries_do_not_start_but_tests_do() {
    let (mut queues, now) = (queues(100, 100), clock::steady());
    push_test(&mut queues, Lane::Manual, 1, 3);
    push(&mut queues, Lane::Manual, 1, [8, 2]);
    push(&mut queues, Lane::Due, 1, [4, 5, 6]);
    push_test(&mut queues, Lane::Due, 1, 1);
    push(&mut queues, Lane::Backlog, 1, [0, 2, 7]);
    push(&mut queues, Lane::Due, 2, [5]);
    queues.drop_waiting(&Dropped::up_to(EndpointNo(1), EventKey(5)));
    queues.drop_waiting(&Dropped::one(key(1, 7)));
    queues.drop_waiting(&Dropped::one(key(9, 1)));
    assert_eq!(start(&mut queues, now), [(1, 3), (2, 5), (1, 8), (1, 6), (1, 1)]);
}

#[test]
fn an_endpoint_that_was_emptied_asks_for_its_backlog() {
    let mut queues = queues(0, 1);
    push(&mut queues, Lane::Backlog, 1, [1]);
    queues.backlog(EndpointNo(1), true);
    assert_eq!(queues.refills(), []);
    queues.drop_waiting(&Dropped::one(key(1, 1)));
    assert_eq!(queues.refills(), [EndpointNo(1)]);
}

#[test]
fn replays_go_last_and_take_half_of_the_slots() {
    let (mut queues, now) = (queues(100, 4), clock::steady());
    push(&mut queues, Lane::Replay, 1, 1..=9);
    assert_eq!(start(&mut queues, now), [(1, 1), (1, 2)], "half of four");
    push(&mut queues, Lane::Due, 1, 11..=15);
    assert_eq!(start(&mut queues, now), [(1, 11), (1, 12)], "the other half is free for what is new");
    let next = queues.finish(key(1, 1), HealthSignal::Good, now).map(|ready| ready.key.event.0);
    assert_eq!(next, Some(13), "what is new goes first");
    for event in [2, 11, 12, 13] {
        queues.finish(key(1, event), HealthSignal::Good, now);
        start(&mut queues, now);
    }
    let running =
        |queues: &Queues<u32>| queues.endpoints[&EndpointNo(1)].running.iter().map(|one| one.key.event.0).collect::<Vec<_>>();
    assert_eq!(running(&queues), [14, 15, 3, 4]);
    queues.finish(key(1, 14), HealthSignal::Good, now);
    assert_eq!((start(&mut queues, now), queues.held_back(now + OLD)), (Vec::new(), Duration::ZERO), "a replay is never late");
    queues.finish(key(1, 3), HealthSignal::Good, now);
    assert_eq!(running(&queues), [15, 4, 5]);
}

#[test]
fn a_replay_has_one_slot_at_least() {
    let (mut queues, now) = (queues(100, 1), clock::steady());
    push(&mut queues, Lane::Replay, 1, 1..=2);
    assert_eq!(start(&mut queues, now), [(1, 1)]);
    assert_eq!(queues.finish(key(1, 1), HealthSignal::Good, now).map(|ready| ready.key.event.0), Some(2));
}

#[test]
fn what_replays_have_in_memory_keeps_no_backlog_on_disk() {
    let (mut queues, now) = (queues(1, 1), clock::steady());
    push(&mut queues, Lane::Replay, 1, 1..=FULL as u64 + 9);
    queues.backlog(EndpointNo(1), true);
    assert_eq!(queues.state().queued, FULL + 9);
    start(&mut queues, now);
    assert_eq!(queues.refills(), [EndpointNo(1)]);
}

//! Whoever follows the changes of deliveries: what comes, and that nothing is missing for whoever comes back.

use proptest::prelude::*;

use super::*;
use crate::store::message::view::{Page, Status};
use crate::store::redb::read::followed::LEAST;
use crate::store::{Filter, Passed, Reached};

/// How far the log has come.
fn reached(lab: &Lab) -> Reached {
    lab.runtime.block_on(lab.store.follow()).unwrap().1
}

fn of() -> Of {
    Of::Tenant(owned())
}

/// All attempts that the log holds.
fn attempts(lab: &Lab) -> BTreeSet<AttemptKey> {
    lab.store.reader.started_after(&of(), LEAST, Timestamp::from_micros(u64::MAX), usize::MAX).unwrap().into_iter().collect()
}

/// All deliveries that have ended.
fn ended(lab: &Lab) -> BTreeSet<DeliveryKey> {
    let Page { views, .. } = lab.store.reader.deliveries(&of(), &Filter::default(), None, 1_000).unwrap();
    views.iter().filter(|view| !view.delivery.is_pending()).map(|view| view.delivery.key).collect()
}

fn cancel(lab: &Lab, key: DeliveryKey) {
    // It may have ended already.
    let _ = lab.runtime.block_on(lab.store.by_test().cancel(key)).is_ok();
}

#[test]
fn changes_come_in_the_order_of_commits_with_all_that_is_shown() {
    let lab = Lab::new();
    lab.publish("order.old", "{}");
    let (mut follower, _) = lab.runtime.block_on(lab.store.follow()).unwrap();
    let published = lab.publish("order.paid", "{}");
    lab.told();
    let made = lab.runtime.block_on(follower.take()).unwrap();
    let brief = |passed: &[Passed]| {
        let of = |one: &Passed| (one.view.status, one.attempt.is_some(), one.view.event_id.to_string());
        passed.iter().map(of).collect::<Vec<_>>()
    };
    let pending = (Status::Pending, false, published.id.clone());
    assert_eq!(
        (brief(&made.passed), made.missed.len()),
        (vec![pending.clone(), pending], 0),
        "`ledger` and `all`; not what was before"
    );
    let ready: Vec<Ready> = lab.ready().into_iter().filter(|one| one.key == made.passed[0].view.delivery.key).collect();
    lab.finish(&ready[0], 503);
    lab.told();
    cancel(&lab, ready[0].key);
    let passed = lab.runtime.block_on(follower.take()).unwrap().passed;
    let of = |status, with_attempt| (status, with_attempt, published.id.clone());
    assert_eq!(brief(&passed), [of(Status::Pending, true), of(Status::Failed, false)]);
    assert_eq!(passed[0].reached.attempts, reached(&lab).attempts, "of the attempt");
    drop(follower);
    lab.publish("order.paid", "{}");
    assert!(!lab.store.shared.followed.is_followed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn whoever_comes_back_sees_every_attempt_and_every_end(steps in proptest::collection::vec((0..6u8, any::<u16>()), 4..30)) {
        let mut lab = Lab::new();
        let (mut waiting, mut places) = (Vec::new(), Vec::new());
        for (step, choice) in steps {
            waiting.extend(lab.ready());
            let chosen = if waiting.is_empty() { 0 } else { usize::from(choice) % waiting.len() };
            match step {
                0 | 1 => drop(lab.publish_each(1)),
                2 if !waiting.is_empty() => lab.finish(&waiting.swap_remove(chosen), [200, 500, 410][usize::from(choice) % 3]),
                3 if !waiting.is_empty() => cancel(&lab, waiting.swap_remove(chosen).key),
                4 => places.push((reached(&lab), attempts(&lab), ended(&lab))),
                5 => {
                    waiting.clear();
                    lab.told();
                    let folder = if choice % 2 == 0 { lab.killed() } else { lab.stopped() }.write();
                    lab = Lab::open(folder).unwrap();
                }
                _ => {}
            }
        }
        lab.told();
        let (now, all, all_ended) = (reached(&lab), attempts(&lab), ended(&lab));
        for (place, seen, seen_ended) in places {
            let new: BTreeSet<AttemptKey> = all.difference(&seen).copied().collect();
            let by_number = lab.store.reader.ended_after(&of(), place.attempts, now.attempts).expect("the tail has all of them");
            prop_assert!(by_number.attempts.is_sorted_by(|a, b| a.0 < b.0) && by_number.looked_to == now.attempts);
            prop_assert_eq!(by_number.attempts.into_iter().map(|(_, key)| key).collect::<BTreeSet<_>>(), new.clone());
            let first = AttemptKey::first_at(place.at - Duration::from_secs(180));
            let by_start = lab.store.reader.started_after(&of(), first, now.at + Duration::from_secs(1), usize::MAX).unwrap();
            prop_assert!(new.iter().all(|key| by_start.contains(key)));
            let from = (place.at, AttemptKey::first_at(place.at).delivery);
            let unsent = lab.store.reader.unsent_after(&of(), from, now.at, usize::MAX).unwrap().deliveries;
            for key in all_ended.difference(&seen_ended) {
                let is_told = unsent.contains(key) || new.iter().any(|attempt| attempt.delivery == *key);
                prop_assert!(is_told, "{key:?} ended");
            }
        }
    }
}

#[test]
fn a_long_gap_is_read_in_pieces() {
    let lab = Lab::new();
    let before = reached(&lab);
    let deliveries = filled(&lab, 8);
    let now = reached(&lab);
    let all = attempts(&lab);
    let (mut after, mut pieces) = (LEAST, Vec::new());
    loop {
        let piece = lab.store.reader.started_after(&of(), after, now.at + Duration::from_secs(9), 5).unwrap();
        let Some(last) = piece.last() else { break };
        after = *last;
        pieces.extend(piece);
    }
    assert_eq!(pieces, all.iter().copied().collect::<Vec<_>>(), "in the order of their starts");
    assert!(lab.store.reader.ended_after(&of(), now.attempts + 1, now.attempts + 9).is_none(), "a place that is to come");
    lab.ready();
    let keys: Vec<DeliveryKey> = deliveries.iter().take(7).copied().collect();
    for key in &keys {
        lab.runtime.block_on(lab.store.by_test().retry(*key)).unwrap_or_default();
        cancel(&lab, *key);
    }
    let (mut after, mut found) = ((before.at, LEAST.delivery), Vec::new());
    loop {
        let piece = lab.store.reader.unsent_after(&of(), after, reached(&lab).at, 2).unwrap();
        found.extend(piece.deliveries);
        let Some(looked_to) = piece.looked_to else { break };
        after = looked_to;
    }
    assert_eq!(found.iter().collect::<BTreeSet<_>>(), keys.iter().collect::<BTreeSet<_>>());
    let nobody = Of::Tenant(Owned { provider: "shop".into(), tenant: "nobody".into() });
    assert!(lab.store.reader.unsent_after(&nobody, (before.at, LEAST.delivery), now.at, 9).unwrap().deliveries.is_empty());
}

//! `kill -9` while webhooks are made, changed, switched and deleted, secrets are rotated, and deliveries are tested, retried and
//! recovered.

use super::actor::Until;
use super::count;
use super::stage::Stage;
use crate::harness::seed::Random;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_between_calls_of_every_kind_leave_all_that_was_answered() {
    let (kills, mut random) = (count(25, 200), Random::new());
    let mut stage = Stage::new(TENANTS, random.split()).await;
    for kill in 1..=kills {
        let acting = stage.act(Until::default());
        tokio::time::sleep(random.millis(10, 300)).await;
        stage.service.kill9();
        acting.ended().await;
        if kill % CHECKED == 0 {
            stage.service.check_store();
        }
        stage.start_again().await;
    }
    let verdict = stage.end().await;
    assert!(verdict.answered > 5 * kills, "too little was published to show anything: {verdict:?}");
    eprintln!("{kills} kills: {verdict:?}");
}

const TENANTS: usize = 5;

/// After so many kills, `check --store` looks at the store before the next start.
const CHECKED: usize = 5;

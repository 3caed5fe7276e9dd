//! Laws that hold over any history of a store: random histories on a store that is a map.

mod model;

use proptest::prelude::*;

use self::model::Model;
use super::fixture::{answered, refused};
use crate::domain::delivery::outcome::Outcome;
use crate::domain::id::EndpointNo;

/// What happens to a store. Numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    Publish {
        in_slices: bool,
    },
    /// Makes slices of the fan-outs and jobs under way, fires what is due, and reads backlogs.
    Background,
    Start(usize),
    Finish(usize, Answer),
    Wait(u64),
    Retry(usize),
    Cancel(usize),
    Test(EndpointNo),
    Recover(EndpointNo),
    Purge(EndpointNo),
    Disable(EndpointNo),
    Enable(EndpointNo),
    Delete(EndpointNo),
    /// The config file names the webhook no more, or again.
    Unlist(EndpointNo),
    Relist(EndpointNo),
    Sweep,
    Evict,
    /// The process is killed, and starts again.
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Ok,
    Gone,
    Error,
    Nothing,
}

impl Answer {
    fn outcome(self) -> Outcome {
        match self {
            Self::Ok => answered(200),
            Self::Gone => answered(410),
            Self::Error => answered(500),
            Self::Nothing => refused(),
        }
    }
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![3 => Just(Answer::Ok), 6 => Just(Answer::Error), 3 => Just(Answer::Nothing), 1 => Just(Answer::Gone)]
}

fn step() -> impl Strategy<Value = Step> {
    let webhook = || (1..=Model::WEBHOOKS).prop_map(EndpointNo);
    let often = prop_oneof![
        4 => any::<bool>().prop_map(|in_slices| Step::Publish { in_slices }),
        6 => Just(Step::Background),
        6 => any::<usize>().prop_map(Step::Start),
        6 => (any::<usize>(), answer()).prop_map(|(number, answer)| Step::Finish(number, answer)),
        3 => (0..4_000_u64).prop_map(Step::Wait),
    ];
    let by_hand = prop_oneof![
        any::<usize>().prop_map(Step::Retry),
        any::<usize>().prop_map(Step::Cancel),
        webhook().prop_map(Step::Test),
        webhook().prop_map(Step::Recover),
        webhook().prop_map(Step::Purge),
    ];
    let of_webhooks = prop_oneof![
        4 => webhook().prop_map(Step::Disable),
        6 => webhook().prop_map(Step::Enable),
        1 => webhook().prop_map(Step::Delete),
        2 => webhook().prop_map(Step::Unlist),
        3 => webhook().prop_map(Step::Relist),
    ];
    let of_store = prop_oneof![Just(Step::Sweep), Just(Step::Evict), Just(Step::Restart)];
    prop_oneof![10 => often, 3 => by_hand, 3 => of_webhooks, 1 => of_store]
}

fn take(model: &mut Model, step: Step) {
    match step {
        Step::Publish { in_slices } => model.publish(in_slices),
        Step::Background => model.background(),
        Step::Start(number) => model.start(number),
        Step::Finish(number, answer) => model.finish(number, &answer.outcome()),
        Step::Wait(millis) => model.wait_millis(millis),
        Step::Retry(number) => model.retry(number),
        Step::Cancel(number) => model.cancel(number),
        Step::Test(no) => model.test(no),
        Step::Recover(no) => model.recover(no),
        Step::Purge(no) => model.purge(no),
        Step::Disable(no) => model.disable(no),
        Step::Enable(no) => model.enable(no),
        Step::Delete(no) => model.delete(no),
        Step::Unlist(no) => model.unlist(no),
        Step::Relist(no) => model.relist(no),
        Step::Sweep => model.sweep(),
        Step::Evict => model.evict(),
        Step::Restart => model.restart(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) })]

    #[test]
    fn what_is_pending_has_one_entry_and_what_ended_has_none(steps in prop::collection::vec(step(), 1..120)) {
        let mut model = Model::new();
        for step in steps {
            take(&mut model, step);
            model.check();
        }
    }

    #[test]
    fn every_accepted_event_ends_and_goes(steps in prop::collection::vec(step(), 1..80), last in answer()) {
        let mut model = Model::new();
        steps.into_iter().for_each(|step| take(&mut model, step));
        model.settle(&last.outcome());
        model.check();
        prop_assert_eq!(model.pending_of_active(), 0, "all that can be sent was sent");
        model.outlive_the_retention();
        model.check();
        prop_assert_eq!(model.pending(), 0, "what is held expires");
        model.outlive_the_retention();
        prop_assert_eq!(model.events(), 0, "and an event goes with the last of its deliveries");
    }

    #[test]
    fn a_webhook_is_disabled_by_ten_failures_in_a_row_and_no_fewer(answers in prop::collection::vec(answer(), 1..200)) {
        let mut model = Model::new();
        let mut in_a_row = 0;
        for answer in answers {
            let Some(failed) = model.deliver_one(&answer.outcome()) else { break };
            in_a_row = if failed { in_a_row + 1 } else { 0 };
            let is_gone = matches!(answer, Answer::Gone);
            prop_assert_eq!(model.is_active(EndpointNo(1)), in_a_row < 10 && !is_gone);
            if is_gone || in_a_row == 10 {
                model.enable(EndpointNo(1));
                in_a_row = 0;
            }
        }
    }
}

/// A purge leaves a test to its queue. The restart empties the queue, and the purge does not look at the test again.
#[test]
fn a_test_that_a_restart_cut_short_during_a_purge_ends() {
    let mut model = Model::new();
    let no = EndpointNo(1);
    take(&mut model, Step::Test(no));
    (0..7).for_each(|_| take(&mut model, Step::Publish { in_slices: false }));
    for step in [Step::Purge(no), Step::Background, Step::Restart] {
        take(&mut model, step);
    }
    model.settle(&answered(200));
    assert_eq!(model.pending(), 0);
}

//! Payload filters and samples where events are published: who gets an event, in one piece and in slices.

use super::super::*;
use crate::domain::webhook::sample::{Place, Sample};
use crate::domain::webhook::settings::Setting;
use crate::store::Recover;

fn filtered(name_and_events: (&str, &str), filter: &str) -> FileWebhook {
    having(name_and_events, "filter", filter)
}

fn having((name, events): (&str, &str), setting: &str, json: &str) -> FileWebhook {
    let mut webhook = from_file((name, events));
    let setting = Setting::read(setting, json).expect(json);
    webhook.definition.settings = WebhookSettings::none().with(&[setting]);
    webhook
}

/// A store with these webhooks alone.
fn lab(webhooks: Vec<FileWebhook>) -> Lab {
    let lab = Lab::open(tempfile::tempdir().unwrap()).unwrap();
    let file = DesiredState {
        dialects: vec![("shop".into(), standard())],
        tenants: vec![owned()],
        keys: HashSet::new(),
        webhooks,
        ..DesiredState::default()
    };
    lab.runtime.block_on(lab.store.by_test().sync(file)).unwrap();
    lab
}

/// The number of deliveries that a publisher is told of.
fn told(lab: &Lab, kind: &str, data: &'static str) -> u32 {
    let publication = Publication::of_type_and_data("shop".into(), "acme".into(), standard(), kind, data.into());
    lab.runtime.block_on(lab.store.accept_one(publication)).unwrap().deliveries
}

/// Waits until the store lists `count` deliveries, and a turn longer, in which no more may come.
fn has_made(lab: &Lab, count: usize) -> bool {
    let listed = || deliveries(&lab.store).iter().sum::<usize>();
    let deadline = clock::steady() + Duration::from_secs(20);
    while listed() < count && clock::steady() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    lab.told();
    listed() == count
}

const ONES: &str = r#"{"data":{"n":1}}"#;
const TWOS: &str = r#"{"data":{"n":{"$gte":2}}}"#;

#[test]
fn an_event_goes_to_those_whose_filters_match() {
    let lab = lab(vec![filtered(("ones", "order.*"), ONES), filtered(("twos", "*"), TWOS), from_file(("all", "order.paid"))]);
    assert_eq!(told(&lab, "order.paid", r#"{"n":1}"#), 2);
    assert_eq!(told(&lab, "order.paid", r#"{"n":2.5}"#), 2);
    assert_eq!(told(&lab, "sale.made", r#"{"n":1}"#), 0);
    assert!(has_made(&lab, 4));
}

#[test]
fn a_filter_outlives_a_restart() {
    let lab = lab(vec![filtered(("ones", "*"), ONES)]);
    let lab = Lab::open(lab.stopped().write()).unwrap();
    assert_eq!([told(&lab, "a", r#"{"n":1}"#), told(&lab, "a", r#"{"n":2}"#)], [1, 0]);
}

#[test]
fn a_wide_event_goes_in_slices_to_those_whose_filters_match() {
    let name = |number: usize| format!("w{number}");
    let filter = |number: usize| if number.is_multiple_of(2) { ONES } else { TWOS };
    let webhooks = (0..2_400).map(|number| filtered((&name(number), "order.*"), filter(number)));
    let lab = lab(webhooks.collect());
    assert_eq!(told(&lab, "order.paid", r#"{"n":1}"#), 1_200);
    assert!(has_made(&lab, 1_200));
    assert_eq!(told(&lab, "order.paid", r#"{"n":0}"#), 0);
    assert!(has_made(&lab, 1_200));
}

#[test]
fn a_wide_event_goes_to_all_of_one_sample_or_to_none() {
    let name = |number: usize| format!("w{number}");
    let sample = |number: usize| if number.is_multiple_of(2) { "0.5" } else { "1" };
    let webhooks = (0..2_200).map(|number| having((&name(number), "order.*"), "sample", sample(number)));
    let lab = lab(webhooks.collect());
    let half = Sample::new(0.5).unwrap();
    for (is_taken, made) in [(true, 2_200), (false, 1_100)] {
        let id = (0..).map(|number| number.to_string()).find(|id| half.takes(Place::of(id)) == is_taken).unwrap();
        let plain = Publication::of_type_and_data("shop".into(), "acme".into(), standard(), "order.paid", "0".into());
        let publication = Publication { id: Some(id.into()), ..plain };
        assert_eq!(lab.runtime.block_on(lab.store.accept_one(publication)).unwrap().deliveries, made);
    }
    assert!(has_made(&lab, 3_300), "as many are made as the publishers are told of");
}

#[test]
fn recover_sends_missed_events_that_the_filter_of_now_lets_through() {
    let lab = lab(vec![filtered(("ones", "*"), ONES)]);
    for data in [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#] {
        told(&lab, "a", data);
    }
    let file = vec![filtered(("ones", "*"), r#"{"data":{"n":3}}"#)];
    let webhooks = DesiredState {
        dialects: vec![("shop".into(), standard())],
        tenants: vec![owned()],
        keys: HashSet::new(),
        webhooks: file,
        ..DesiredState::default()
    };
    let no = lab.runtime.block_on(lab.store.by_test().sync(webhooks)).unwrap()[0].no;
    let what = Recover { failed: false, missed: true };
    let recovered = lab.runtime.block_on(lab.store.by_test().recover(no, Timestamp::EPOCH, clock::now(), what));
    assert_eq!(recovered, Ok(1));
}

//! Second names: each names one thing while that is kept, and is free afterwards.

use crate::domain::id::uid::Uid;
use crate::domain::webhook::endpoint::Endpoint;
use crate::domain::webhook::settings::Setting;
use crate::store::tests::*;

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

fn with_uid(definition: Definition, text: &str) -> Definition {
    let settings = definition.settings.with(&[Setting::Uid(Some(uid(text)))]);
    Definition { settings, ..definition }
}

fn create(lab: &Lab, name: &str, text: &str) -> Result<Arc<Endpoint>, Denied> {
    let new = lab.new_webhook(owned(), name, "*");
    let new = NewWebhook { definition: with_uid(new.definition.clone(), text), ..new };
    lab.runtime.block_on(lab.store.by_test().create_webhook(new))
}

fn called(lab: &Lab, text: &str) -> Vec<String> {
    let found = lab.store.webhooks_with_uid(&Owners::Tenant(owned()), text, |_| true);
    found.iter().map(|endpoint| endpoint.definition.name.to_string()).collect()
}

#[test]
fn a_webhooks_uid_is_its_own_until_it_goes() {
    let lab = Lab::new();
    let one = create(&lab, "one", "main").unwrap();
    let taken = Some(Denied::UidTaken { uid: "main".into(), holder: one.id.clone() });
    assert_eq!(create(&lab, "two", "main").err(), taken);
    let two = create(&lab, "two", "other").unwrap();
    let rename = |text: &'static str| {
        let redefine = move |definition: &Definition| with_uid(definition.clone(), text);
        lab.runtime.block_on(lab.store.by_test().update_webhook(two.no, redefine))
    };
    assert_eq!(rename("main").err(), taken);
    assert!(rename("other").is_ok(), "its own");
    lab.runtime.block_on(lab.store.by_test().delete_webhook(one.no)).unwrap();
    assert!(rename("main").is_ok());
    assert_eq!([called(&lab, "main"), called(&lab, "other")], [vec!["two".to_owned()], Vec::new()]);
    let again = Lab::open(lab.killed().write()).unwrap();
    assert_eq!(called(&again, "main"), ["two"], "after a start");
}

#[test]
fn a_file_moves_a_uid_between_its_webhooks_and_takes_none_of_the_apis() {
    let lab = Lab::new();
    let sync = |uids: &[(&'static str, &str)]| {
        let webhook = |(name, text): &(&'static str, &str)| {
            let webhook = from_file((name, "*"));
            FileWebhook { definition: with_uid(webhook.definition.clone(), text), ..webhook }
        };
        let webhooks = uids.iter().map(webhook).collect();
        let dialects = vec![("shop".into(), standard())];
        let file = DesiredState { dialects, tenants: vec![owned()], webhooks, ..DesiredState::default() };
        lab.runtime.block_on(lab.store.by_test().sync(file)).map(drop)
    };
    sync(&[("a", "main"), ("b", "other")]).unwrap();
    sync(&[("a", "other"), ("b", "main")]).unwrap();
    assert_eq!([called(&lab, "main"), called(&lab, "other")], [["b"], ["a"]], "they changed places");
    sync(&[("c", "main")]).unwrap();
    assert_eq!([called(&lab, "main"), called(&lab, "other")], [["c"], ["a"]], "a removed one keeps what nobody else has");
    let made = create(&lab, "made", "api").unwrap();
    let refused = Denied::UidTakenByApi { webhook: "shop/acme/c".into(), uid: "api".into(), holder: made.id.clone() };
    assert_eq!(sync(&[("c", "api")]), Err(refused));
}

fn publication(tenant: Option<&str>, text: &str, data: &str) -> Publication {
    let publication =
        Publication::of_type_and_data("shop".into(), "acme".into(), standard(), "order.paid", data.to_owned().into());
    let mut content = [0; 32];
    content[..data.len()].copy_from_slice(data.as_bytes());
    Publication { tenant: tenant.map(Into::into), uid: Some(uid(text)), content, ..publication }
}

#[test]
fn an_events_uid_names_it_and_repeats_its_answer() {
    let lab = Lab::new();
    let publish = |publication| lab.runtime.block_on(lab.store.accept_one(publication));
    let first = publish(publication(Some("acme"), "order.7", "1")).unwrap();
    let again = publish(publication(Some("acme"), "order.7", "1")).unwrap();
    assert_eq!((&again.id, again.repeated, again.deliveries), (&first.id, true, first.deliveries));
    let taken = |holder: &str| Err(Refusal::UidTaken { uid: "order.7".into(), holder: holder.into() });
    assert_eq!(publish(publication(Some("acme"), "order.7", "2")), taken(&first.id));
    let other_id = Publication { id: Some("mine".into()), ..publication(Some("acme"), "order.7", "1") };
    assert_eq!(publish(other_id), taken(&first.id));
    assert_eq!(publish(publication(None, "order.7", "3")), taken(&first.id), "of all tenants");
    let elsewhere = publish(publication(Some("else"), "order.7", "1")).unwrap();
    assert_ne!(elsewhere.id, first.id);
    let found = |text: &str| lab.store.reader.event_by_id(&[owned()], text).unwrap().map(|event| event.id);
    assert_eq!([found("order.7"), found(&first.id), found("order.8")], [Some(first.id.clone()), Some(first.id.clone()), None]);
    lab.settle();
    assert_eq!(found("order.7"), Some(first.id.clone()), "once the journal is in the tables");
    let again = Lab::open(lab.killed().write()).unwrap();
    assert!(again.store.reader.event_by_id(&[owned()], "order.7").unwrap().is_some(), "after a start");
}

#[test]
fn no_uid_of_an_event_is_the_id_of_another_nor_the_reverse() {
    let lab = Lab::new();
    let publish = |publication| lab.runtime.block_on(lab.store.accept_one(publication));
    let called = publish(publication(Some("acme"), "one", "1")).unwrap();
    let plain = |id: &str| Publication { id: Some(id.into()), uid: None, ..publication(Some("acme"), "x", "2") };
    publish(plain("two")).unwrap();
    let refused = Refusal::UidTaken { uid: "two".into(), holder: "two".into() };
    assert_eq!(publish(publication(Some("acme"), "two", "3")), Err(refused));
    let found = |text: &str| lab.store.reader.event_by_id(&[owned()], text).unwrap().map(|event| event.id);
    assert_eq!(publish(plain("one")), Err(Refusal::IdTaken("one".into())));
    assert_eq!(found("one"), Some(called.id.clone()), "it means what it meant");
    let both = Publication { id: Some("three".into()), ..publication(Some("acme"), "three", "4") };
    assert_eq!(publish(both).map(|accepted| accepted.id), Ok("three".into()), "of one event they may be the same");
    lab.settle();
    let again = Lab::open(lab.killed().write()).unwrap();
    let refused = again.runtime.block_on(again.store.accept_one(plain("one")));
    assert_eq!(refused, Err(Refusal::IdTaken("one".into())), "after a start");
}

//! A webhook's sample: which share of its events it gets, whoever asks and whenever.

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

async fn subscribe(acme: &Client, url: &str, sample: &Value) -> Value {
    acme.post("/v1/webhooks", &json!({ "url": url, "events": ["*"], "sample": sample })).await.expect(201)
}

#[tokio::test]
async fn a_sample_takes_its_share_by_the_events_ids() {
    let (mut service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    let half = subscribe(&acme, &receiver.url("/half"), &json!(0.5)).await;
    subscribe(&acme, &receiver.url("/all"), &json!(1)).await;
    assert_eq!(half["effective"]["sample"], json!({ "value": 0.5, "origin": "webhook" }));
    let lines: String =
        (0..200).map(|number| json!({ "id": format!("e{number}"), "type": "a", "data": 1 }).to_string() + "\n").collect();
    let published = acme.publish_lines(&lines).await.1;
    let taken: Vec<bool> = published.iter().map(|event| event["deliveries"] == 2).collect();
    let count = taken.iter().filter(|is| **is).count();
    assert!((70..=130).contains(&count), "{count} of 200");
    receiver.wait_for("/half", count, WITHIN).await;
    service.kill9();
    service.start_again().await;
    let acme = service.acme();
    for (number, is_taken) in taken.iter().enumerate().take(20) {
        let explained = acme.explained(&format!("e{number}"), &text(&half["id"])).await;
        assert_eq!(explained["sent"], *is_taken, "{explained}");
        let why = text(&explained["why"]);
        assert_eq!(why.contains("its sample of 0.5 leaves the event out"), !is_taken, "{why}");
    }
    let recover = format!("/v1/webhooks/{}/recover", text(&half["id"]));
    let recovered = acme.post(&recover, &json!({ "since": "1h", "status": "missed" })).await.expect(202);
    assert_eq!(recovered["count"], 0, "what the sample left out was not missed");
    let again = acme.publish_lines(&lines).await.1;
    assert!(again.iter().zip(&published).all(|(again, first)| again["deliveries"] == first["deliveries"]));
}

#[tokio::test]
async fn a_sample_that_is_no_share_is_refused() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    for wrong in [json!(0), json!(1.5), json!("0.5")] {
        let hook = json!({ "url": "https://example.com/", "events": ["*"], "sample": wrong });
        acme.post("/v1/webhooks", &hook).await.problem(422, &["/sample", "is not a number above 0 and up to 1"]);
    }
    let cli = |arguments: &[&str]| service.cli(&[arguments, &["--tenant", "shop/acme", "--json"]].concat()).expect(0).json();
    let made = cli(&["webhooks", "add", "https://example.com/", "--name", "one", "--sample", "0.1"]);
    assert_eq!(made["sample"], json!(0.1));
    assert_eq!(cli(&["webhooks", "edit", "one", "--sample", "null"]).get("sample"), None);
}

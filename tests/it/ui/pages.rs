//! What pages show, and what their forms do.

use std::time::Duration;

use serde_json::{Value, json};

use super::browser::{Browser, location};
use crate::harness::api::{WITHIN, text};
use crate::harness::config::{Config, OPERATOR};
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn a_failed_delivery_is_found_and_sent_again() {
    let (service, receiver) = (Service::start(&Config::retrying(&[])).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(503).header("x-why", "asleep").body("{\"error\":\"upstream\"}"), Reply::OK]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    acme.delivery_when(&event, "failed").await;
    let browser = Browser::signed_in(&service, OPERATOR).await;
    let list = browser.page("/ui/deliveries?status=failed&test=false&in=shop/acme").await;
    let id = list.split("/ui/deliveries/dlv_").nth(1).and_then(|rest| rest.split(['"', '?']).next()).expect("a row").to_owned();
    let path = format!("/ui/deliveries/dlv_{id}?in=shop/acme");
    let page = browser.page(&path).await;
    for shown in
        ["order.paid", "Failed", "503", "asleep", "upstream", "Attempt 1", "&quot;a&quot;:1", "All attempts of its schedule"]
    {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
    let sent = browser.post(&format!("/ui/deliveries/dlv_{id}/retry?in=shop/acme"), &[]).await;
    assert_eq!((sent.status, location(&sent)), (303, &*format!("/ui/deliveries/dlv_{id}?done=retry&in=shop/acme")));
    assert!(browser.page(location(&sent)).await.contains("Retry queued"));
    receiver.wait_for("/a", 2, WITHIN).await;
    acme.delivery_when(&event, "succeeded").await;
    let after = browser.page(&path).await;
    assert!(after.contains("Succeeded") && after.contains("Attempt 2") && after.contains("by hand"), "{after}");
    let audit = service.operator().get("/v1/admin/audit").await.expect(200);
    assert!(audit["data"].as_array().expect("rows").iter().any(|row| row["call"] == "POST /v1/deliveries/{id}/retry"), "{audit}");
}

#[tokio::test]
async fn tabs_count_and_filters_narrow() {
    let (service, receiver) = (Service::start(&Config::retrying(&["1h"]).tenant("bolt")).await, Receiver::start().await);
    receiver.script("/bad", [Reply::status(500)]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["good.*"]).await;
    acme.subscribe(&receiver.url("/bad"), &["bad.*"]).await;
    let good: Vec<String> = [acme.publish_new("good.one").await, acme.publish_new("good.two").await].into();
    let bad = acme.publish_new("bad.one").await;
    for event in &good {
        acme.delivery_when(event, "succeeded").await;
    }
    acme.delivery_that(&bad, "one attempt was made", |delivery| delivery["attempts"][0]["number"] == 1).await;
    let browser = Browser::signed_in(&service, "shop-acme").await;
    let all = browser.page("/ui/deliveries").await;
    assert_eq!(counts(&all), ["3", "0", "1", "0", "2", "0"], "All, Failed, Pending, Held, Succeeded, Tests");
    let pending = browser.page("/ui/deliveries?status=pending&test=false").await;
    assert!(pending.contains("bad.one") && !pending.contains("good.one") && pending.contains("1 of 2, next "), "{pending}");
    assert_eq!(counts(&pending), counts(&all), "a tab leaves the counts as they are");
    let typed = browser.page("/ui/deliveries?type=good.*&webhook=&code=").await;
    assert!(typed.contains("good.one") && !typed.contains(">bad.one<"), "{typed}");
    assert_eq!(counts(&typed), ["2", "0", "0", "0", "2", "0"]);
    let wrong = browser.get("/ui/deliveries?code=many").await;
    assert!(wrong.status == 422 && wrong.text().contains("code"), "{wrong:?}");
    let other = Browser::signed_in(&service, "shop-bolt").await;
    assert!(other.page("/ui/deliveries").await.contains("no deliveries yet"));
}

#[tokio::test]
async fn forty_rows_are_a_light_page_and_the_others_follow() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let line = |_| json!({ "type": "a.rather.long.name.of.an.event.type", "data": {} }).to_string();
    let lines: Vec<String> = (0..60).map(line).collect();
    assert_eq!(acme.publish_lines(&lines.join("\n")).await.0.status, 202);
    receiver.wait_for("/a", 60, WITHIN).await;
    let browser = Browser::signed_in(&service, OPERATOR).await;
    let first = browser.page("/ui/deliveries").await;
    assert!(first.len() <= 60_000, "{} bytes", first.len());
    assert_eq!(first.matches("scope=\"row\"").count(), 40);
    let older = first.split("class=\"btn\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("older ones");
    assert_eq!(browser.page(&older.replace("&amp;", "&")).await.matches("scope=\"row\"").count(), 20);
}

#[tokio::test]
async fn hostile_events_and_answers_stay_text() {
    let (service, receiver) = (Service::start(&Config::retrying(&["1h"])).await, Receiver::start().await);
    let hostile = "\"></pre><script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}\u{1b}[2J";
    receiver.script("/a", [Reply::status(500).header("x-bad", "\"><script>alert(2)</script>").body(hostile)]);
    let acme = service.acme();
    let new = json!({ "url": receiver.url("/a"), "events": ["*"], "name": hostile.split('\u{202e}').next() });
    let named = acme.post("/v1/webhooks", &new).await;
    if named.status != 201 {
        acme.subscribe(&receiver.url("/a"), &["*"]).await;
    }
    let deep = "[".repeat(100) + &"]".repeat(100);
    let data: Value = serde_json::from_str(&deep).expect("JSON");
    let event = json!({ "type": "order.paid", "data": { "text": hostile, "line": "x".repeat(200_000), "deep": data } });
    let id = text(&acme.publish(&event).await.expect(202)["id"]);
    let delivery = acme.delivery_that(&id, "it was tried", |delivery| delivery["attempts"][0]["number"] == 1).await;
    let browser = Browser::signed_in(&service, OPERATOR).await;
    for path in ["/ui/deliveries".to_owned(), format!("/ui/deliveries/{}", text(&delivery["id"]))] {
        let page = browser.page(&path).await;
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains(['\u{202e}', '\u{1b}']), "{page}");
        assert_eq!(page.matches("<pre").count(), page.matches("</pre>").count(), "{page}");
        assert!(page.len() <= 60_000, "{path}: {} bytes", page.len());
    }
}

#[tokio::test]
async fn colours_are_as_the_viewer_wants() {
    let service = Service::start(&Config::quick()).await;
    let browser = Browser::signed_in(&service, "shop-acme").await;
    let set = browser.post("/ui/theme", &[("theme", "dark"), ("to", "/ui/deliveries?status=held")]).await;
    assert_eq!(location(&set), "/ui/deliveries?status=held");
    let cookie = set.headers["set-cookie"].to_str().expect("text").split(';').next().unwrap_or_default().to_owned();
    let both = Browser { cookie: Some(format!("{}; {cookie}", browser.cookie.clone().unwrap_or_default())), ..browser.clone() };
    assert!(both.page("/ui/deliveries").await.contains("data-theme=\"dark\""));
    let elsewhere = browser.post("/ui/theme", &[("theme", "dark"), ("to", "//evil.example/")]).await;
    assert_eq!(location(&elsewhere), "/ui/");
}

#[tokio::test]
async fn who_may_only_read_sees_no_button_and_can_send_no_form() {
    let (service, receiver) = (Service::start(&Config::retrying(&[])).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500)]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    let id = text(&acme.delivery_when(&event, "failed").await["id"]);
    let new = json!({ "name": "viewer", "provider": "shop", "tenant": "acme", "scopes": ["read"] });
    let key = service.admin().post("/v1/admin/keys", &new).await.expect(201);
    let browser = Browser::signed_in_with(&service, &text(&key["key"])).await;
    let page = browser.page(&format!("/ui/deliveries/{id}")).await;
    assert!(!page.contains("Retry now"), "{page}");
    let refused = browser.post(&format!("/ui/deliveries/{id}/retry"), &[]).await;
    assert!(refused.status == 403 && refused.text().contains("no scope `manage`"), "{refused:?}");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(receiver.received("/a").len(), 1, "nothing was sent");
}

/// The counts of the tabs, in their order.
fn counts(page: &str) -> Vec<String> {
    let tabs = page.split("class=\"tabs\"").nth(1).and_then(|rest| rest.split("</nav>").next()).expect("tabs");
    let counts = tabs.split("<span class=\"count").skip(1);
    counts.filter_map(|rest| Some(rest.split('>').nth(1)?.split('<').next()?.to_owned())).collect()
}

#[tokio::test]
async fn a_disabled_webhook_is_seen_tested_and_enabled() {
    let (service, receiver) = (Service::start(&Config::retrying(&["1h"]).tenant("bolt")).await, Receiver::start().await);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let browser = Browser::signed_in(&service, "shop-acme").await;
    let path = format!("/ui/webhooks/{webhook}");
    assert!(browser.page("/ui/webhooks").await.contains("Active"));
    let tested = browser.post(&format!("{path}/test"), &[]).await;
    assert!(tested.status == 303 && location(&tested).starts_with("/ui/deliveries/dlv_"), "{tested:?}");
    assert!(browser.page(location(&tested)).await.contains("<span class=\"tag\">test</span>"));
    let disabled = browser.post(&format!("{path}/disable"), &[]).await;
    assert_eq!((disabled.status, location(&disabled)), (303, &*format!("{path}?done=disable")));
    assert!(browser.page(location(&disabled)).await.contains("held until it is enabled"));
    let event = acme.publish_new("order.paid").await;
    let held = acme.delivery_when(&event, "held").await;
    let page = browser.page(&format!("/ui/deliveries/{}", text(&held["id"]))).await;
    assert!(page.contains("Held") && page.contains("when the webhook is enabled"), "{page}");
    assert!(browser.page("/ui/webhooks?failing=false").await.contains(&format!("{path}/enable")), "by hand is no failure");
    let enabled = browser.post(&format!("{path}/enable"), &[]).await;
    assert!(browser.page(location(&enabled)).await.contains("What was held is being sent"));
    acme.delivery_when(&event, "succeeded").await;
    let page = browser.page(&path).await;
    assert!(page.contains("order.paid") && page.contains("100 %"), "{page}");
    let audit = service.operator().get("/v1/admin/audit").await.expect(200);
    let calls: Vec<&str> = audit["data"].as_array().expect("rows").iter().filter_map(|row| row["call"].as_str()).collect();
    assert!(calls.contains(&"POST /v1/webhooks/{id}/enable") && calls.contains(&"POST /v1/webhooks/{id}/disable"), "{calls:?}");
}

#[tokio::test]
async fn webhooks_in_trouble_come_first() {
    let (service, receiver) = (Service::start(&Config::retrying(&["1h"])).await, Receiver::start().await);
    receiver.script("/bad", [Reply::status(500)]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/good"), &["order.*"]).await;
    let bad = acme.subscribe(&receiver.url("/bad"), &["order.*"]).await;
    acme.publish_new("order.paid").await;
    receiver.wait_for("/bad", 1, WITHIN).await;
    receiver.wait_for("/good", 1, WITHIN).await;
    let browser = Browser::signed_in(&service, OPERATOR).await;
    let failing = || async { browser.page("/ui/webhooks").await.contains("</svg>Failing").then_some(()) };
    crate::harness::eventually("the failure is noted", WITHIN, failing).await;
    let all = browser.page("/ui/webhooks").await;
    let [first, second] = ["/bad", "/good"].map(|path| all.find(&receiver.url(path)).expect("both are listed"));
    assert!(first < second, "{all}");
    let only = browser.page("/ui/webhooks?failing=true").await;
    assert!(only.contains(&receiver.url("/bad")) && !only.contains(&receiver.url("/good")), "{only}");
    let page = browser.page(&format!("/ui/webhooks/{bad}")).await;
    assert!(page.contains("</svg>Failing") && page.contains("500"), "{page}");
}

#[tokio::test]
async fn an_event_tells_why_each_webhook_got_it_or_did_not() {
    let (service, receiver) = (Service::start(&Config::quick().tenant("bolt")).await, Receiver::start().await);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/all"), &["*"]).await;
    let narrow = json!({ "url": receiver.url("/narrow"), "events": ["*"], "filter": { "data": { "amount": { "$gte": 100 } } } });
    acme.post("/v1/webhooks", &narrow).await.expect(201);
    acme.subscribe(&receiver.url("/other"), &["invoice.*"]).await;
    let event = acme.publish_new("order.paid").await;
    let delivery = text(&acme.delivery_when(&event, "succeeded").await["id"]);
    let browser = Browser::signed_in(&service, OPERATOR).await;
    let found = browser.get(&format!("/ui/events/{event}")).await;
    assert_eq!(location(&found), format!("/ui/events/{event}?in=shop/acme"), "whose it is, is found");
    let page = browser.page(location(&found)).await;
    for told in [
        "it matches; delivered",
        "its filter does not match at",
        "is none of its event types: invoice.*",
        &delivery,
        "&quot;a&quot;:1",
    ] {
        assert!(page.contains(told), "{told} is not in {page}");
    }
    assert_eq!(page.matches("Not sent").count(), 2, "{page}");
    let from_delivery = browser.page(&format!("/ui/deliveries/{delivery}")).await;
    assert!(from_delivery.contains(&format!("href=\"/ui/events/{event}?in=shop/acme\"")), "{from_delivery}");
    let bolt = Browser::signed_in(&service, "shop-bolt").await;
    assert_eq!(bolt.get(&format!("/ui/events/{event}")).await.status, 404);
}

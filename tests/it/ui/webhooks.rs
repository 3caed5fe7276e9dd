//! Webhooks that are added, changed, rotated and deleted by forms.

use super::browser::{Browser, location};
use crate::harness::api::{WITHIN, text};
use crate::harness::config::{Config, OPERATOR};
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

#[tokio::test]
async fn a_webhook_is_added_by_a_form_and_its_secret_is_shown_once() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let browser = Browser::signed_in(&service, "shop-acme").await;
    assert!(browser.page("/ui/webhooks").await.contains("href=\"/ui/webhooks/new\""));
    assert!(browser.page("/ui/webhooks/new").await.contains("action=\"/ui/webhooks/new\""));
    let url = receiver.url("/a");
    let fields = [("url", &*url), ("all", "no"), ("events", "order.paid"), ("pattern", "invoice.*, x.y"), ("name", "billing")];
    let added = browser.post("/ui/webhooks/new", &fields).await;
    assert_eq!(added.status, 303, "{}", added.text());
    let id = id_in(location(&added));
    let other = Browser::signed_in(&service, "shop-acme").await;
    assert!(!other.page(location(&added)).await.contains("whsec_"), "another session of the same key is not shown it");
    let page = browser.page(location(&added)).await;
    let secret = page.split("whsec_").nth(1).and_then(|rest| rest.split('<').next()).expect("the secret is shown");
    let kept = service.admin().get(&format!("/v1/webhooks/{id}/secret")).await.expect(200);
    assert_eq!(text(&kept["secret"]), format!("whsec_{secret}"));
    let again = browser.page(location(&added)).await;
    assert!(!again.contains("whsec_") && again.contains("is not shown again"), "{again}");
    let acme = service.acme();
    let made = acme.get(&format!("/v1/webhooks/{id}")).await.expect(200);
    assert_eq!(made["events"], serde_json::json!(["order.paid", "invoice.*", "x.y"]));
    acme.publish_new("order.paid").await;
    receiver.wait_for("/a", 1, WITHIN).await;
    assert!(audited(&service, "POST /v1/webhooks").await);
}

#[tokio::test]
async fn what_is_wrong_is_told_beside_what_was_typed() {
    let service = Service::start(&Config::quick().provider("other", "decisio").tenant("t")).await;
    let browser = Browser::signed_in(&service, OPERATOR).await;
    let path = "/ui/webhooks/new?in=other/t";
    let form = browser.page(path).await;
    assert!(form.contains("value=\"decision.created\"") && form.contains("X-Decisio-Signature"), "{form}");
    let typed =
        [("url", "nonsense"), ("all", "no"), ("events", "decision.created"), ("pattern", "decision.aproved"), ("name", "n")];
    let refused = browser.post(path, &typed).await;
    let page = refused.text();
    assert_eq!(refused.status, 422, "{page}");
    for shown in [
        "<title>Problem: Add webhook",
        "Nothing was added.",
        "href=\"#url\"",
        "href=\"#pattern\"",
        "decision.approved",
        "value=\"nonsense\"",
        "value=\"decision.created\" checked",
        "value=\"decision.aproved\"",
    ] {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
    let none = service.operator().get("/v1/admin/webhooks?tenant=other/t").await.expect(200);
    assert_eq!(none["data"], serde_json::json!([]));
    let unnamed = browser.page("/ui/webhooks/new").await;
    assert!(unnamed.contains("Provider and tenant") && !unnamed.contains("Endpoint URL"), "{unnamed}");
    assert_eq!(browser.post("/ui/webhooks/new", &typed).await.status, 422, "it has no tenant");
}

#[tokio::test]
async fn a_webhook_is_changed_and_keeps_its_other_settings() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    let new = serde_json::json!({ "url": receiver.url("/a"), "events": ["order.*"], "name": "billing", "timeout": "7s" });
    let id = text(&acme.post("/v1/webhooks", &new).await.expect(201)["id"]);
    acme.subscribe(&receiver.url("/b"), &["*"]).await;
    let browser = Browser::signed_in(&service, "shop-acme").await;
    let path = format!("/ui/webhooks/{id}/edit");
    let form = browser.page(&path).await;
    assert!(form.contains("value=\"order.*\"") && form.contains("value=\"billing\""), "{form}");
    let url = receiver.url("/new");
    let changed = browser.post(&path, &[("url", &*url), ("all", "yes"), ("name", ""), ("description", "to the shop")]).await;
    assert_eq!((changed.status, location(&changed)), (303, &*format!("/ui/webhooks/{id}?done=edit")));
    let now = service.operator().get("/v1/admin/webhooks").await.expect(200);
    let now = now["data"].as_array().expect("rows").iter().find(|row| row["id"] == *id).expect("the webhook").clone();
    assert_eq!((&now["url"], &now["events"], &now["name"]), (&url.into(), &serde_json::json!(["*"]), &"".into()));
    assert_eq!((&now["description"], &now["timeout"]), (&"to the shop".into(), &"7s".into()));
    let refused = browser.post(&path, &[("url", "ftp://a.example/"), ("all", "no")]).await;
    assert!(refused.status == 422 && refused.text().contains("Nothing was changed."), "{}", refused.text());
    assert!(audited(&service, "PATCH /v1/webhooks/{id}").await);
}

#[tokio::test]
async fn a_rotated_secret_and_a_deleted_webhook_are_asked_for_first() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    let id = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let browser = Browser::signed_in(&service, "shop-acme").await;
    let path = format!("/ui/webhooks/{id}");
    let before = text(&service.admin().get(&format!("/v1/webhooks/{id}/secret")).await.expect(200)["secret"]);
    assert!(browser.page(&format!("{path}/rotate")).await.contains("signs beside it for"));
    let rotated = browser.post(&format!("{path}/rotate"), &[]).await;
    assert_eq!((rotated.status, location(&rotated)), (303, &*format!("{path}/secret")));
    let shown = browser.page(location(&rotated)).await;
    let after = text(&service.admin().get(&format!("/v1/webhooks/{id}/secret")).await.expect(200)["secret"]);
    assert!(before != after && shown.contains(&after) && shown.contains("Secret rotated"), "{shown}");
    service.admin().do_to_webhook(&id, "disable").await;
    let event = acme.publish_new("order.paid").await;
    acme.delivery_when(&event, "held").await;
    assert!(browser.page(&format!("{path}/delete")).await.contains("<b>1</b> held"));
    let deleted = browser.post(&format!("{path}/delete"), &[]).await;
    assert_eq!((deleted.status, location(&deleted)), (303, "/ui/webhooks?done=delete"));
    assert!(browser.page(location(&deleted)).await.contains("The webhook is deleted"));
    acme.delivery_when(&event, "failed").await;
    assert_eq!(browser.get(&path).await.status, 404);
    for call in ["POST /v1/webhooks/{id}/rotate-secret", "DELETE /v1/webhooks/{id}"] {
        assert!(audited(&service, call).await, "{call}");
    }
}

#[tokio::test]
async fn a_webhook_of_the_config_file_has_no_form() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::quick().webhook("billing", &receiver.url("/a"), &["*"])).await;
    let listed = service.operator().get("/v1/admin/webhooks").await.expect(200);
    let id = text(&listed["data"][0]["id"]);
    let browser = Browser::signed_in(&service, OPERATOR).await;
    for form in ["edit", "delete"] {
        let path = format!("/ui/webhooks/{id}/{form}");
        let refused = browser.get(&path).await;
        assert!(refused.status == 409 && refused.text().contains("config file"), "{path}: {}", refused.text());
        let refused = browser.post(&path, &[("url", "https://a.example/"), ("all", "yes")]).await;
        assert!(refused.status == 409 && refused.text().contains("config file"), "{path}: {}", refused.text());
    }
}

/// The id of the webhook in a path of the dashboard.
fn id_in(path: &str) -> String {
    path.split('/').nth(3).expect("an id").to_owned()
}

async fn audited(service: &Service, call: &str) -> bool {
    let audit = service.operator().get("/v1/admin/audit").await.expect(200);
    audit["data"].as_array().expect("rows").iter().any(|row| row["call"] == *call)
}

//! Signing in and out.

use serde_json::json;

use super::browser::{Browser, OWN, location};
use crate::harness::api::text;
use crate::harness::config::{self, Config};
use crate::harness::service::Service;

#[tokio::test]
async fn a_key_signs_in_and_the_way_leads_on() {
    let service = Service::start(&Config::quick()).await;
    let mut browser = Browser::new(&service);
    for path in ["/", "/ui"] {
        assert_eq!((browser.get(path).await.status, location(&browser.get(path).await)), (303, "/ui/"));
    }
    let away = browser.get("/ui/deliveries?status=failed&in=shop/acme").await;
    assert_eq!(location(&away), "/ui/login?to=/ui/deliveries?status=failed%26in=shop/acme");
    let form = browser.page(location(&away)).await;
    assert!(form.contains("name=\"to\" value=\"/ui/deliveries?status=failed&amp;in=shop/acme\""), "{form}");
    let wrong = browser.sign_in("nonsense").await;
    assert!(wrong.status == 401 && wrong.text().contains("this key is unknown") && browser.cookie.is_none(), "{wrong:?}");
    assert_eq!(browser.sign_in(&config::secret("shop-acme")).await.status, 303);
    let page = browser.page("/ui/deliveries").await;
    assert!(page.contains("shop/acme") || page.contains("acme"), "{page}");
}

#[tokio::test]
async fn a_session_ends_by_signing_out_and_with_its_key() {
    let service = Service::start(&Config::quick()).await;
    let new = json!({ "name": "viewer", "provider": "shop", "tenant": "acme", "scopes": ["read"] });
    let key = service.admin().post("/v1/admin/keys", &new).await.expect(201);
    let [first, second] = [1, 2].map(|_| Browser::signed_in_with(&service, key["key"].as_str().expect("a key")));
    let (first, second) = (first.await, second.await);
    let out = first.post("/ui/logout", &[]).await;
    assert_eq!((out.status, location(&out)), (303, "/ui/login"));
    assert!(out.headers["set-cookie"].to_str().expect("text").contains("Max-Age=0"));
    assert_eq!(first.get("/ui/deliveries").await.status, 303, "it is signed out");
    second.page("/ui/deliveries").await;
    service.admin().delete(&format!("/v1/admin/keys/{}", text(&key["id"]))).await.expect(204);
    assert!(location(&second.get("/ui/deliveries").await).starts_with("/ui/login"), "its key is revoked");
}

#[tokio::test]
async fn a_link_signs_an_operator_in_once() {
    let service = Service::start(&Config::quick()).await;
    let ran = service.cli(&["login-link"]).expect(0);
    ran.complains(&["it works once, until 20"]);
    let link = ran.stdout.trim().strip_prefix(&service.base_url()).expect("it leads to the service").to_owned();
    let mut browser = Browser::new(&service);
    assert_eq!(browser.client(&[]).send(http::Method::HEAD, &link, "", bytes::Bytes::new()).await.status, 200, "looked at only");
    let entered = browser.get(&link).await;
    assert_eq!((entered.status, location(&entered)), (303, "/ui/"));
    browser.keep(&entered);
    assert!(browser.page("/ui/deliveries").await.contains("operator"));
    let again = Browser::new(&service).get(&link).await;
    assert!(
        again.status == 410 && again.text().contains("used already") && again.headers.get("set-cookie").is_none(),
        "{again:?}"
    );
    let invented = Browser::new(&service).get("/login?t=invented").await;
    assert_eq!(invented.status, 410);
    service.operator().post("/v1/admin/login-links", &json!({})).await.problem(403, &["admin socket"]);
    let printed = service.cli(&["login-link", "--json"]).expect(0).json();
    assert!(printed["url"].is_string() && printed["expires_at"].is_string(), "{printed}");
}

/// A browser that somebody gave a cookie before would have signed in to a session that the other one knows.
#[tokio::test]
async fn each_sign_in_makes_a_new_session() {
    let service = Service::start(&Config::quick()).await;
    let before = Browser::signed_in(&service, "shop-acme").await;
    let mut browser = before.clone();
    browser.sign_in(&config::secret("shop-acme")).await;
    assert_ne!(browser.cookie, before.cookie);
    assert_eq!(before.get("/ui/deliveries").await.status, 303, "the session of before is closed");
    let mut given = Browser { cookie: Some("hookwheel=chosen-by-somebody".into()), ..browser };
    given.sign_in(&config::secret("shop-acme")).await;
    assert_ne!(given.cookie.as_deref(), Some("hookwheel=chosen-by-somebody"));
    given.page("/ui/deliveries").await;
}

#[tokio::test]
async fn a_key_that_may_read_nothing_opens_no_page() {
    let service = Service::start(&Config::quick()).await;
    let new = json!({ "name": "app", "provider": "shop", "tenant": "acme", "scopes": ["publish"] });
    let key = service.admin().post("/v1/admin/keys", &new).await.expect(201);
    let mut browser = Browser::new(&service);
    let refused = browser.sign_in(&text(&key["key"])).await;
    assert!(refused.status == 403 && refused.text().contains("no scope `read`") && browser.cookie.is_none(), "{refused:?}");
}

#[tokio::test]
async fn wrong_keys_of_one_address_are_limited() {
    let service = Service::start(&Config::quick()).await;
    let browser = Browser::new(&service);
    let mut limited = 0;
    for _ in 0..40 {
        limited += usize::from(browser.send_form("/ui/login", &[("key", "nonsense")], &[OWN]).await.status == 429);
    }
    assert!(limited > 0, "none of 40 wrong keys was refused unread");
    let mut right = browser;
    assert_eq!(right.sign_in(&config::secret("shop-acme")).await.status, 303, "a right key is never limited");
}

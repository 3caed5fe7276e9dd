//! What is refused: forms of other sites, names of other hosts, and other tenants' things, on every path of the table of pages.

use std::time::Duration;

use http::Method;
use serde_json::json;

use super::browser::{Browser, OWN, location};
use crate::harness::api::{WITHIN, text};
use crate::harness::config::{Config, OPERATOR};
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

#[tokio::test]
async fn no_form_of_another_site_changes_anything() {
    let service = Service::start(&Config::quick()).await;
    let browser = Browser::signed_in(&service, OPERATOR).await;
    let csrf = browser.csrf().await;
    let forms = rows().into_iter().filter(|row| row.is_form);
    for path in forms.map(|row| row.path.replace("{id}", "x")) {
        for foreign in [
            vec![("origin", "https://evil.example")],
            vec![("origin", "null")],
            vec![("sec-fetch-site", "cross-site")],
            vec![("sec-fetch-site", "same-site"), OWN],
            vec![],
        ] {
            let refused = browser.send_form(&path, &[("csrf", &csrf)], &foreign).await;
            assert_eq!(refused.status, 403, "{path} {foreign:?}: {}", refused.text());
        }
        if path != "/ui/login" {
            for token in ["", "x", &csrf[1..]] {
                let refused = browser.send_form(&path, &[("csrf", token)], &[OWN]).await;
                assert!(refused.status == 403 && refused.text().contains("earlier session"), "{path} {token:?}");
            }
        }
    }
    browser.page("/ui/deliveries").await;
}

#[tokio::test]
async fn a_token_of_another_session_is_refused() {
    let service = Service::start(&Config::quick()).await;
    let (browser, other) = (Browser::signed_in(&service, "shop-acme").await, Browser::signed_in(&service, "shop-acme").await);
    let refused = browser.send_form("/ui/logout", &[("csrf", &other.csrf().await)], &[OWN]).await;
    assert_eq!(refused.status, 403);
    browser.page("/ui/deliveries").await;
}

/// Somebody's page can point a name of its own at this address, and would then be of the same origin.
#[tokio::test]
async fn only_known_names_are_answered() {
    let config = Config::quick().server("public_url = \"https://hooks.example.com\"\nhosts = [\"hooks.internal\"]\n");
    let service = Service::start(&config).await;
    for (host, status) in [
        ("hooks.example.com", 200),
        ("hooks.internal:8080", 200),
        ("localhost:1", 200),
        ("evil.example", 421),
        ("hooks.example.com.evil.example", 421),
        ("10.0.0.1", 421),
    ] {
        let head = ask(&service, &format!("GET /ui/login HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {head}");
    }
    let secret = crate::harness::config::secret("shop-acme");
    let body = format!("key={secret}");
    let length = body.len();
    let signed_in = ask(
        &service,
        &format!(
            "POST /ui/login HTTP/1.1\r\nhost: hooks.example.com\r\norigin: https://hooks.example.com\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
    .await;
    assert!(signed_in.starts_with("HTTP/1.1 303") && signed_in.contains("set-cookie: __Host-hookwheel="), "{signed_in}");
    assert!(signed_in.contains("; HttpOnly; SameSite=Lax; Secure"), "{signed_in}");
    let link = service.cli(&["login-link"]).expect(0).stdout;
    assert!(link.starts_with("https://hooks.example.com/login?t="), "{link}");
}

#[tokio::test]
async fn another_tenants_things_are_on_no_path() {
    let (service, receiver) = (Service::start(&Config::quick().tenant("bolt")).await, Receiver::start().await);
    let bolt = service.tenant("shop", "bolt");
    let webhook = bolt.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = bolt.publish_new("secret.thing").await;
    receiver.wait_for("/a", 1, WITHIN).await;
    let delivery = text(&bolt.delivery_when(&event, "succeeded").await["id"]);
    let browser = Browser::signed_in(&service, "shop-acme").await;
    let csrf = browser.csrf().await;
    for row in rows().into_iter().filter(|row| row.path.contains("{id}") && !row.path.contains("assets")) {
        for id in [&delivery, &event, &webhook, "shop%2Fbolt"] {
            let path = row.path.replace("{id}", id);
            let answer = match row.is_form {
                true => browser.send_form(&path, &[("csrf", &csrf)], &[OWN]).await,
                false => browser.get(&path).await,
            };
            assert!([403, 404].contains(&answer.status), "{path}: {}", answer.status);
            assert!(!answer.text().contains("secret.thing"), "{path}");
        }
    }
    for row in rows().into_iter().filter(|row| !row.is_form && row.path.starts_with("/ui/") && !row.path.contains("{id}")) {
        for named in ["in=shop/bolt", "in=shop/*", "webhook=WEBHOOK", "event=EVENT"] {
            let named = named.replace("WEBHOOK", &webhook).replace("EVENT", &event);
            let answer = browser.get(&format!("{}?{named}", row.path)).await;
            assert!(!answer.text().contains("secret.thing"), "{}?{named}", row.path);
        }
    }
    let own = Browser::signed_in(&service, "shop-bolt").await;
    assert!(own.page(&format!("/ui/deliveries/{delivery}")).await.contains("secret.thing"), "its own tenant sees it");
}

#[tokio::test]
async fn who_may_not_look_is_named_no_provider_of_others() {
    let service = Service::start(&Config::quick().provider("rival", "standard").tenant("rivals-tenant")).await;
    let operator = Browser::signed_in(&service, OPERATOR).await;
    assert!(operator.page("/ui/deliveries").await.contains("rival"), "an operator chooses among all providers");
    let browser = Browser::signed_in(&service, "shop-acme").await;
    for scope in ["any/thing", "shop/*", "x", "a/b/c", "%2F"] {
        let answer = browser.get(&format!("/ui/deliveries?in={scope}")).await;
        assert!([403, 422].contains(&answer.status), "{scope}: {}", answer.status);
        assert!(!answer.text().contains("rival"), "{scope}: {}", answer.text());
        assert!(!answer.text().contains("id=\"scope\""), "a tenant has nothing to choose: {scope}");
    }
}

#[tokio::test]
async fn a_revoked_key_shows_nothing_whatever_the_page_names() {
    let service = Service::start(&Config::quick()).await;
    let (browser, key) = of_new_key(&service).await;
    browser.page("/ui/deliveries").await;
    service.admin().delete(&format!("/v1/admin/keys/{key}")).await.expect(204);
    for scope in ["x", "any/thing", "shop/acme"] {
        let answer = browser.get(&format!("/ui/deliveries?in={scope}")).await;
        assert!(answer.status == 303 && location(&answer).starts_with("/ui/login"), "{scope}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_form_that_comes_after_its_key_was_revoked_does_nothing() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let (browser, key) = of_new_key(&service).await;
    let body = format!("csrf={}", browser.csrf().await);
    let head = format!(
        "POST /ui/webhooks/{webhook}/disable HTTP/1.1\r\nhost: 127.0.0.1\r\norigin: {}\r\nconnection: close\r\ncookie: {}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n",
        OWN.1,
        browser.cookie.clone().expect("a session"),
        body.len(),
    );
    let (early, last) = body.split_at(body.len() - 1);
    let mut stream = service.connect().await;
    stream.write_all(format!("{head}{early}").as_bytes()).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(300)).await;
    service.admin().delete(&format!("/v1/admin/keys/{key}")).await.expect(204);
    stream.write_all(last.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    assert!(answer.starts_with("HTTP/1.1 303") && answer.contains("location: /ui/login"), "{answer}");
    assert_eq!(acme.get(&format!("/v1/webhooks/{webhook}")).await.expect(200)["status"], "active");
}

/// A browser of a key of `shop/acme` that was just made, and the id of that key.
async fn of_new_key(service: &Service) -> (Browser, String) {
    let new = json!({ "name": "viewer", "provider": "shop", "tenant": "acme", "scopes": ["read", "manage"] });
    let key = service.admin().post("/v1/admin/keys", &new).await.expect(201);
    (Browser::signed_in_with(service, key["key"].as_str().expect("a key")).await, text(&key["id"]))
}

#[tokio::test]
async fn a_page_tells_a_browser_what_it_may_load() {
    let service = Service::start(&Config::quick()).await;
    let browser = Browser::signed_in(&service, OPERATOR).await;
    for path in ["/ui/login", "/ui/deliveries", "/ui/deliveries/dlv_nothing", "/ui/nothing"] {
        let answer = browser.get(path).await;
        let policy = answer.headers["content-security-policy"].to_str().expect("text");
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"]
        {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        assert_eq!(answer.headers["x-frame-options"], "DENY", "{path}");
        assert!(answer.headers["content-type"].to_str().is_ok_and(|media| media.starts_with("text/html")), "{path}");
    }
    let page = browser.page("/ui/deliveries").await;
    let style = page.split("rel=\"stylesheet\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a style sheet");
    let css = browser.get(style).await;
    assert_eq!(css.headers["cache-control"], "public, max-age=31536000, immutable", "{}", css.status);
    assert!(css.body.len() <= 16 << 10, "{} bytes", css.body.len());
    assert_eq!(browser.client(&[]).send(Method::PUT, "/ui/login", "text/html", "x".into()).await.status, 405);
}

/// A row of the table of pages.
struct PageRow {
    path: String,
    is_form: bool,
}

/// The table of pages, as it stands in the source.
fn rows() -> Vec<PageRow> {
    let source = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/pages/table.rs"));
    let table = source.split("pub(super) const PAGES").nth(1).and_then(|rest| rest.split("];").next()).expect("the table");
    let rows = table.lines().filter_map(|line| {
        let path = line.split('"').nth(1)?;
        Some(PageRow { path: path.to_owned(), is_form: line.contains("Verb::Post") })
    });
    let rows: Vec<PageRow> = rows.collect();
    assert!(rows.len() >= 10 && rows.iter().any(|row| row.path.contains("{id}")), "the table is found");
    rows
}

/// Sends bytes, and returns all that is answered.
async fn ask(service: &Service, request: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = service.connect().await;
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("read");
    String::from_utf8_lossy(&answer).into_owned()
}

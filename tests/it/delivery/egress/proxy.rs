//! Attempts that leave through a proxy: which address it is asked for, who may name it, and what its refusals look like.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::subscribe;
use crate::harness::api::{WITHIN, attempts, text};
use crate::harness::config::Config;
use crate::harness::receiver::{Receiver, refusing_url};
use crate::harness::service::Service;

#[tokio::test]
async fn tls_goes_through_a_tunnel_and_plain_http_in_absolute_form() {
    let (proxy, (receiver, ca)) = (Proxy::start("127.0.0.1:0", "200 OK").await, Receiver::start_tls(&["127.0.0.1"]).await);
    let (service, plain) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    let through = format!("http://u:p%40ss@{}", proxy.address);
    let made = subscribe(&acme, &receiver.url("/a?b=c"), json!({ "proxy": through, "tls": { "ca": ca } })).await;
    assert_eq!(made["proxy"], format!("http://u:…(4)@{}", proxy.address));
    acme.publish_new("a").await;
    let sent = receiver.wait_for("/a?b=c", 1, WITHIN).await;
    assert!(!sent[0].headers.iter().any(|(name, _)| name.starts_with("proxy-")), "{:?}", sent[0].headers);
    let head = proxy.heads().remove(0);
    assert!(head.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", receiver.address())), "{head}");
    // base64 of `u:p@ss`.
    assert!(head.contains("\r\nproxy-authorization: Basic dTpwQHNz\r\n"), "{head}");
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    acme.patch(&path, &json!({ "proxy": made["proxy"] })).await.problem(422, &["/proxy", "is masked"]);
    acme.patch(&path, &json!({ "proxy": "socks5://a:1" })).await.problem(422, &["/proxy", "http://host:port"]);

    acme.patch(&path, &json!({ "url": plain.url("/d?e"), "tls": null })).await.expect(200);
    let event = acme.publish_new("a").await;
    let delivery = acme.delivery_when(&event, "succeeded").await;
    assert!(!delivery.to_string().contains("dTpwQHNz"), "{delivery}");
    let head = proxy.heads().remove(1);
    assert!(
        head.starts_with(&format!("POST http://{}/d?e HTTP/1.1\r\nhost: {}\r\n", plain.address(), plain.address())),
        "{head}"
    );
    assert!(head.contains("\r\nproxy-authorization: Basic dTpwQHNz\r\n"), "{head}");
    assert_eq!(plain.received("/d?e").len(), 0, "this proxy answers by itself");
}

#[tokio::test]
async fn the_config_names_a_proxy_for_all_and_a_webhook_goes_without() {
    let (proxy, receiver) = (Proxy::start("127.0.0.1:0", "200 OK").await, Receiver::start().await);
    let config = Config::quick().delivery(&format!("proxy = \"http://u:sesame@{}\"", proxy.address));
    let service =
        Service::start_with(&config, &[("HTTP_PROXY", "http://127.0.0.1:9"), ("http_proxy", "http://127.0.0.1:9")]).await;
    let acme = service.acme();
    let through = subscribe(&acme, &receiver.url("/through"), json!({})).await;
    assert_eq!(through["effective"]["proxy"], json!({ "value": "set by the operator", "origin": "default" }));
    let straight = subscribe(&acme, &receiver.url("/straight"), json!({ "proxy": "none" })).await;
    assert_eq!(straight["effective"]["proxy"], json!({ "value": "none", "origin": "webhook" }));
    let event = text(&acme.publish(&json!({ "type": "a", "data": 1 })).await.expect(202)["id"]);
    receiver.wait_for("/straight", 1, WITHIN).await;
    crate::harness::eventually("both succeed", WITHIN, || async {
        let all = acme.deliveries_of(&event).await;
        all.iter().all(|one| one["status"] == "succeeded").then_some(())
    })
    .await;
    assert_eq!((proxy.heads().len(), receiver.received("/through").len()), (1, 0));
    let shown = service.cli(&["config", "show", "-c", "hookwheel.toml"]).expect(0);
    assert!(shown.stdout.contains("u:…(6)@") && !shown.stdout.contains("sesame"), "{}", shown.stdout);

    // Its target is judged all the same.
    let refused = json!({ "url": "http://169.254.169.254/", "events": ["*"] });
    acme.post("/v1/webhooks", &refused).await.problem(422, &["/url"]);
    Config::quick().delivery("proxy = \"ftp://a:1\"").write(service.folder());
    service.cli(&["reload"]).expect(78).complains(&["`proxy` is not http://host:port"]);
    Config::quick().write(service.folder());
    service.cli(&["reload"]).expect(0);
    acme.publish_new("a").await;
    receiver.wait_for("/through", 1, WITHIN).await;
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_by_what_it_said() {
    let service = Service::start(&Config::retrying(&[])).await;
    let acme = service.acme();
    let (wants_more, forbids) =
        (Proxy::start("127.0.0.1:0", "407 Wants more").await, Proxy::start("127.0.0.1:0", "403 No").await);
    let nobody = refusing_url().await;
    let at = |proxy: &Proxy| format!("http://{}", proxy.address);
    for (proxy, url, why) in [
        (at(&wants_more), "https://127.0.0.1:4430/", "the proxy demands other credentials (407)"),
        (at(&wants_more), "http://127.0.0.1:4430/", "the proxy demands other credentials (407)"),
        (at(&forbids), "https://127.0.0.1:4430/", "the proxy answered 403 to CONNECT"),
        (nobody.trim_end_matches('/').to_owned(), "https://127.0.0.1:4430/", "the proxy: it refused the connection"),
    ] {
        let made = subscribe(&acme, url, json!({ "proxy": proxy })).await;
        let event = acme.publish_new("a").await;
        let attempt = attempts(&acme.delivery_when(&event, "failed").await)[0].clone();
        assert_eq!(attempt["error"], "connect", "{attempt}");
        assert!(text(&attempt["detail"]).starts_with(why), "{attempt}");
        acme.delete(&format!("/v1/webhooks/{}", text(&made["id"]))).await;
    }
}

#[tokio::test]
async fn only_the_operator_names_a_proxy_in_a_private_network() {
    let (proxy, receiver) = (Proxy::start("127.0.0.2:0", "200 OK").await, Receiver::start().await);
    let through = format!("http://{}", proxy.address);
    let config = Config::retrying(&[]).allow_private(&["127.0.0.1/32"]).webhook("file", &receiver.url("/file"), &["b"]);
    let mut service = Service::start(&config.webhook_line(&format!("proxy = {through:?}"))).await;
    let acme = service.acme();
    let made = subscribe(&acme, &receiver.url("/a"), json!({ "proxy": through })).await;
    let event = acme.publish_new("a").await;
    let attempt = attempts(&acme.delivery_when(&event, "failed").await)[0].clone();
    assert_eq!((&attempt["error"], proxy.heads().len()), (&json!("policy"), 0), "{attempt}");

    let operator = service.operator().with_header("hookwheel-tenant", "shop/acme");
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    operator.patch(&path, &json!({ "proxy": through })).await.expect(200);
    service.kill9();
    service.start_again().await;
    let acme = service.acme();
    for kind in ["a", "b"] {
        let event: Value = acme.publish(&json!({ "type": kind, "data": 1 })).await.expect(202);
        crate::harness::eventually("all succeed", WITHIN, || async {
            let all = acme.deliveries_of(&text(&event["id"])).await;
            all.iter().all(|one| one["status"] == "succeeded").then_some(())
        })
        .await;
    }
    assert_eq!(proxy.heads().len(), 3, "one through the operator's word, and two for the second event");
}

/// A proxy that answers each request with a status. After a 200 to CONNECT it is a tunnel.
struct Proxy {
    address: std::net::SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    accept: JoinHandle<()>,
}

impl Proxy {
    async fn start(address: &str, status: &'static str) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let (address, heads) = (listener.local_addr().expect("bound"), Arc::<Mutex<Vec<String>>>::default());
        let seen = Arc::clone(&heads);
        let accept = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(converse(stream, status, Arc::clone(&seen)));
            }
        });
        Self { address, heads, accept }
    }

    /// The heads of all requests so far.
    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic in between").clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn converse(mut stream: TcpStream, status: &str, heads: Arc<Mutex<Vec<String>>>) {
    let mut read = Vec::new();
    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let head = String::from_utf8_lossy(&read).into_owned();
    heads.lock().expect("no panic in between").push(head.clone());
    let is_tunnel = status.starts_with("200") && head.starts_with("CONNECT ");
    let length = if is_tunnel { "" } else { "connection: close\r\ncontent-length: 0\r\n" };
    let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n{length}\r\n").as_bytes()).await;
    if !is_tunnel {
        return;
    }
    let target = head.split(' ').nth(1).expect("a target");
    if let Ok(mut target) = TcpStream::connect(target).await {
        let _ = copy_bidirectional(&mut stream, &mut target).await;
    }
}

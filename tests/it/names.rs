//! What is named by its id or its name: a blank name means nothing, and one that two have means neither.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::thread;

use serde_json::json;

use crate::harness::config::Config;
use crate::harness::ran::run;
use crate::harness::service::Service;

#[tokio::test]
async fn what_is_blank_is_wrong_usage_and_changes_nothing() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let unnamed = acme.subscribe("https://example.com/", &["*"]).await;
    service.cli(&["keys", "new", "ci"]).expect(0);
    let keys = service.cli(&["keys", "list"]).expect(0).stdout;
    for verb in ["show", "enable", "disable", "delete", "rotate-secret", "test", "secret"] {
        for blank in ["", " "] {
            service.cli(&["webhooks", verb, blank, "--tenant", "shop/acme"]).expect(2).complains(&["<WEBHOOK>", "it is blank"]);
        }
    }
    for arguments in [
        &["keys", "revoke", ""][..],
        &["keys", "new", ""],
        &["webhooks", "add", "https://example.com/", "--name", ""],
        &["webhooks", "add", "https://example.com/", "--events", "a,"],
        &["webhooks", "list", "--tenant", ""],
        &["webhooks", "test", &unnamed, "--type", ""],
        &["deliveries", "list", "--webhook", ""],
        &["deliveries", "list", "--event", ""],
        &["deliveries", "list", "--type", ""],
        &["deliveries", "show", ""],
        &["send", ""],
        &["send", "order.paid", "--connection", ""],
        &["send", "order.paid", "--idempotency-key", ""],
        &["send", "order.paid", "--idempotency-key", "é"],
    ] {
        let ran = service.cli(arguments).expect(2);
        assert!(ran.stdout.is_empty() && ran.stderr.contains("error: "), "{arguments:?}: {ran:?}");
    }
    let listed = acme.get("/v1/webhooks").await.expect(200);
    assert_eq!((&listed["data"][0]["id"], &listed["data"][0]["status"]), (&json!(unnamed), &json!("active")), "{listed}");
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(acme.get("/v1/events").await.expect(200)["data"], json!([]));
    assert_eq!(service.cli(&["keys", "list"]).expect(0).stdout, keys);
    acme.get("/v1/webhooks?name=").await.problem(422, &["?name: is empty"]);
}

/// Names are unique among new webhooks; a store of an earlier release may hold two of one name.
#[test]
fn of_two_webhooks_with_one_name_none_is_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = UnixListener::bind(folder.path().join("two.sock")).expect("bound");
    let service = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a call");
        let mut request = vec![0; 4_096];
        let length = stream.read(&mut request).expect("a request");
        let body = r#"{"data":[{"id":"wh_1"},{"id":"wh_2"}],"next":null}"#;
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).expect("answered");
        listener.set_nonblocking(true).expect("a socket");
        (String::from_utf8_lossy(&request[..length]).into_owned(), listener)
    });
    let ran = run(folder.path(), &[], &["webhooks", "delete", "twice", "--socket", "two.sock"]).expect(2);
    ran.complains(&["2 webhooks are named `twice`: wh_1, wh_2", "webhooks list"]);
    let (asked, listener) = service.join().expect("no panic");
    assert!(asked.starts_with("GET /v1/webhooks?name=twice "), "{asked}");
    assert!(listener.accept().is_err(), "nothing else was asked");
}

//! The next start takes over a store of an earlier release, as a crash under load left it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::api::{WITHIN, text};
use crate::harness::client::Client;
use crate::harness::config::{self, Config};
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

/// `tests/vectors/store-3.tar.xz` was made by the last release with store version 3. `kill -9` ended that release within the
/// second in which it answered 34 events. Its tables and journal hold 50 events with one delivery each, in every state.
#[tokio::test]
async fn a_killed_store_of_version_3_opens_with_all_that_its_journal_holds() {
    let receiver = Receiver::start().await;
    let mut service = Service::start(&config("https://example.com/")).await;
    service.kill9();
    unpack(service.folder());
    service.start_again_with(&config(&receiver.url("/ledger"))).await;
    let acme = service.acme();
    assert_eq!(
        count_by(&all(&acme, "/v1/events").await, "type"),
        expected(&[("order.paid", 17), ("sale.made", 15), ("scrap.sold", 1), ("vault.closed", 16)])
    );

    // Deliveries that were attempted wait for an hour, which may have passed.
    for delivery in all(&acme, "/v1/deliveries?status=pending&type=order.paid").await {
        acme.retry(&delivery).await.expect(200);
    }
    receiver.wait_for("/ledger", 17, WITHIN).await;
    let numbers = receiver
        .received("/ledger")
        .iter()
        .map(|request| request.json()["data"]["number"].as_u64())
        .collect::<std::collections::BTreeSet<_>>();
    assert_eq!(numbers.len(), 17, "each of them once");
    let deliveries = all(&acme, "/v1/deliveries").await;
    assert_eq!(deliveries.len(), 49);
    let of =
        |kind: &str, status: &str| deliveries.iter().filter(|one| one["event_type"] == kind && one["status"] == status).count();
    assert_eq!((of("vault.closed", "held"), of("scrap.sold", "failed")), (13, 1));
    assert!(of("vault.closed", "succeeded") == 3 && of("sale.made", "succeeded") >= 4, "{deliveries:?}");

    let logged: u64 = deliveries.iter().filter_map(|one| one["attempts"].as_u64()).sum();
    let listed = crate::harness::eventually("every attempt in the list", WITHIN, async || {
        let listed = all(&acme, "/v1/attempts").await;
        (listed.len() as u64 >= logged).then_some(listed)
    })
    .await;
    assert!(listed.is_sorted_by_key(|row| std::cmp::Reverse(text(&row["started_at"]))), "newest first");
    let earlier = listed.last().expect("there are some");
    assert_eq!(&acme.get(&format!("/v1/attempts/{}", text(&earlier["id"]))).await.expect(200), earlier);

    let webhooks = all(&acme, "/v1/webhooks").await;
    let status = |name: &str| webhooks.iter().find(|one| one["name"] == name).map(|one| text(&one["status"]));
    assert_eq!([status("till"), status("vault"), status("gone")], [Some("active".into()), Some("disabled".into()), None]);
    assert!(service.cli(&["webhooks", "secret", "ledger", "--tenant", "shop/acme"]).expect(0).stdout.starts_with("whsec_"));
    service.stranger().with_key(KEY).get("/v1/events").await.expect(200);
    let types = service.provider("shop").get("/v1/event-types").await.expect(200);
    assert!(types.to_string().contains("An order was paid"), "{types}");
    let repeated = r#"{"type": "sale.made", "id": "sale-3", "data": {"number": 3}}"#;
    acme.send(http::Method::POST, "/v1/events", "application/json", repeated.into()).await.expect(200);

    assert_eq!(fs::read_to_string(service.folder().join(format!("{}.version", config::STORE))).expect("read"), "5\n");
    service.kill9();
    service.check_store();
    service.start_again().await;
    assert_eq!(all(&service.acme(), "/v1/events").await.len(), 49);
    service.stop_and_check().await;
}

/// A key of tenant `acme` that the fixture's service made.
const KEY: &str = "hwk_mRKeCPboRl1OdhQtp7uwandQMsLxARGKI32c03zgWcI";

fn config(ledger: &str) -> Config {
    let base = Config::bare().storage("retention = \"3650d\"").dialect("slow", "extends = \"standard\"\n", &["1h", "2h"]);
    let shop = base.provider("shop", "slow").tenant("acme").webhook("ledger", ledger, &["order.*"]);
    shop.provider("cards", "deck").tenant("deck1")
}

/// Puts the fixture in the place of the store in a folder.
pub(crate) fn unpack(folder: &Path) {
    fs::remove_file(folder.join(config::STORE)).expect("it was there");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/store-3.tar.xz");
    let unpacked = Command::new("tar").args(["xJf", fixture, "-C"]).arg(folder).status().expect("tar is there");
    assert!(unpacked.success());
}

async fn all(client: &Client, path: &str) -> Vec<Value> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let page = client.get(&format!("{path}{separator}limit=250")).await.expect(200);
    page["data"].as_array().expect("a list").clone()
}

fn count_by(rows: &[Value], member: &str) -> BTreeMap<String, usize> {
    rows.iter().fold(BTreeMap::new(), |mut counts, row| {
        *counts.entry(text(&row[member])).or_default() += 1;
        counts
    })
}

fn expected(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

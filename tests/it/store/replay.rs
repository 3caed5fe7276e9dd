//! Replays: deliveries that are sent again in the background, over kills, and what is said of them.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::receiver::{Received, Receiver, Reply};
use crate::harness::service::Service;
use crate::harness::turn;

/// A replay is killed twice and goes on where it was. Nothing is sent again but what was in flight at a kill.
/// `HOOKWHEEL_TEST_REPLAYED=100000` sets how many deliveries are sent again; from 20,000 on it also tells how long new events took.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replay_goes_on_where_it_was_and_sends_nothing_twice() {
    let (count, receiver) = (deliveries(), Receiver::start().await);
    let config = Config::quick().webhook("both", &receiver.url("/"), &["*"]);
    let mut service = Service::start_in_turn(&config, turn::alone().await).await;
    publish(&service.acme(), count).await;
    let within = Duration::from_secs(30 + count as u64 / 200);
    assert!(receiver.wait_until(within, |received| received.len() >= count).await, "all are delivered");
    ended(&service.acme(), count).await;
    let before = if count >= MEASURED_FROM { Some(slowest(&service.acme(), &receiver).await) } else { None };

    let filter = json!({ "type": "old", "status": "succeeded", "since": "1h" });
    let begun = service.acme().post("/v1/replays", &json!({ "filter": filter })).await.expect(202);
    assert_eq!((&begun["matched"], &begun["state"]), (&json!(count), &json!("running")));
    let id = text(&begun["id"]);
    let during = if count >= MEASURED_FROM { Some(slowest(&service.acme(), &receiver).await) } else { None };
    let measured = if during.is_some() { 2 * NEW_EVENTS } else { 0 };
    for kill in 1..=KILLS {
        let enough = |received: &[Received]| received.len() >= measured + count + kill * count / (KILLS + 1);
        assert!(receiver.wait_until(within, enough).await, "it goes on behind kill {}", kill - 1);
        service.kill9();
        receiver.drained().await;
        service.check_store();
        service.start_again().await;
    }
    let done = replay_when(&service.acme(), &id, within, "done").await;
    assert_eq!(figures(&done), [count, count, 0, 0]);
    let times = receiver.look(times);
    let twice = times.values().filter(|times| **times > 2).map(|times| times - 2).sum::<usize>();
    assert!(times.len() == count && times.values().all(|times| *times >= 2), "each is sent again");
    assert!(twice <= KILLS * IN_FLIGHT, "{twice} were sent again twice");
    eprintln!(
        "{count} deliveries, {KILLS} kills, {twice} sent again twice; p99 of new events before and during: {before:?} {during:?}"
    );
    service.stop_and_check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_replay_is_counted_paused_resumed_and_cancelled_by_its_tenant() {
    let (service, receiver) = (Service::start(&Config::quick().tenant("bolt")).await, Receiver::start().await);
    let (acme, bolt) = (service.acme(), service.tenant("shop", "bolt"));
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    publish(&acme, FEW).await;
    receiver.wait_for("/a", FEW, WITHIN).await;
    ended(&acme, FEW).await;
    let filter = json!({ "webhook": webhook, "since": "1h" });
    let counted = acme.post("/v1/replays", &json!({ "filter": filter, "dry_run": true })).await.expect(200);
    assert_eq!(
        (&counted["matched"], &counted["filter"]["webhook"], &counted["id"]),
        (&json!(FEW), &json!(webhook), &Value::Null)
    );
    let none = json!({ "filter": { "status": "failed", "since": "1h" }, "dry_run": true });
    assert_eq!(acme.post("/v1/replays", &none).await.expect(200)["matched"], 0);
    bolt.post("/v1/replays", &json!({ "filter": filter })).await.problem(422, &["/filter/webhook", "no webhook"]);

    receiver.script("/a", [Reply::OK.after(Duration::from_millis(50))]);
    let begun = acme.post("/v1/replays", &json!({ "filter": filter, "rate": "10/s" })).await.expect(202);
    let path = format!("/v1/replays/{}", text(&begun["id"]));
    let paused = acme.post(&format!("{path}/pause"), &json!({})).await.expect(200);
    assert_eq!((&paused["state"], &paused["rate"], &paused["ended_at"]), (&json!("paused"), &json!("10/s"), &Value::Null));
    for call in ["pause", "resume"] {
        bolt.post(&format!("{path}/{call}"), &json!({})).await.problem(404, &["replay"]);
    }
    bolt.get(&path).await.problem(404, &["replay"]);
    bolt.delete(&path).await.problem(404, &["replay"]);
    let reader = service.cli(&["keys", "new", "look", "--tenant", "shop/acme", "--scopes", "read"]).expect(0);
    let reader = service.stranger().with_key(reader.stdout.trim_end());
    assert_eq!(reader.get(&path).await.expect(200)["id"], begun["id"]);
    reader.post("/v1/replays", &json!({ "filter": filter })).await.problem(403, &["manage"]);
    reader.delete(&path).await.problem(403, &["manage"]);
    acme.post(&format!("{path}/resume"), &json!({})).await.expect(200);
    let resumed = Instant::now();
    replay_when(&acme, &text(&begun["id"]), WITHIN, "done").await;
    assert!(resumed.elapsed() >= Duration::from_millis(100 * (FEW as u64 - 4)), "no faster than its rate");
    acme.delete(&path).await.problem(409, &["ended already"]);

    let slow = acme.post("/v1/replays", &json!({ "filter": filter, "rate": "1/m" })).await.expect(202);
    let cancelled = acme.delete(&format!("/v1/replays/{}", text(&slow["id"]))).await.expect(200);
    assert_eq!((&cancelled["state"], cancelled["ended_at"].is_string()), (&json!("cancelled"), true));
    let list = acme.get("/v1/replays?state=cancelled").await.expect(200);
    assert_eq!((list["data"].as_array().map(Vec::len), &list["data"][0]["id"]), (Some(1), &slow["id"]));
    let first = acme.get("/v1/replays?limit=1").await.expect(200);
    let second = acme.get(&format!("/v1/replays?limit=1&cursor={}", text(&first["next"]))).await.expect(200);
    assert_eq!((&first["data"][0]["id"], &second["data"][0]["id"]), (&slow["id"], &begun["id"]));
    assert_eq!(bolt.get("/v1/replays").await.expect(200)["data"], json!([]));
    let everywhere = service.operator().get("/v1/admin/replays?tenant=shop/*").await.expect(200);
    assert_eq!((everywhere["data"].as_array().map(Vec::len), &everywhere["data"][0]["tenant"]), (Some(2), &json!("shop/acme")));
    acme.do_to_webhook(&webhook, "disable").await;
    acme.post("/v1/replays", &json!({ "filter": filter })).await.problem(409, &["disabled", "`enable`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_bad_replay_is_told_what_is_wrong_with_it() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    for (filter, pointer) in [
        (json!({}), "/filter/since"),
        (json!({ "since": "soon" }), "/filter/since"),
        (json!({ "since": "1h", "until": "2h" }), "/filter/until"),
        (json!({ "since": "2100-01-01T00:00:00Z", "until": "2101-01-01T00:00:00Z" }), "/filter/since"),
        (json!({ "since": "1h", "status": "pending" }), "/filter/status"),
        (json!({ "since": "1h", "code": 99 }), "/filter/code"),
        (json!({ "since": "1h", "type": "b*" }), "/filter/type"),
        (json!({ "since": "1h", "webhook": "wh_1" }), "/filter/webhook"),
        (json!({ "since": "1h", "evnt": "x" }), "/filter/evnt"),
        (json!([]), "/filter"),
    ] {
        acme.post("/v1/replays", &json!({ "filter": filter })).await.problem(422, &[pointer]);
    }
    acme.post("/v1/replays", &json!({ "rate": "fast", "new": 1 })).await.problem(422, &["/filter", "/rate", "/new"]);
    let none = acme.post("/v1/replays", &json!({ "filter": { "since": "1h" } })).await.expect(202);
    assert_eq!((figures(&none), &none["state"]), ([0; 4], &json!("done")), "nothing matches, so it is done at once");
    for unknown in ["rpl_01K0000000000000000000000A", "rpl_1"] {
        acme.get(&format!("/v1/replays/{unknown}")).await.problem(404, &["replay"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_command_line_starts_a_replay_and_waits_for_it() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::quick().webhook("billing", &receiver.url("/a"), &["*"])).await;
    let cli = |args: &[&str]| service.cli(&[args, &["--tenant", "shop/acme"]].concat());
    publish(&service.acme(), FEW).await;
    receiver.wait_for("/a", FEW, WITHIN).await;
    ended(&service.acme(), FEW).await;
    let dry = cli(&["replay", "start", "--webhook", "billing", "--since", "1h", "--dry-run"]).expect(0);
    assert_eq!(dry.stdout, format!("{FEW} deliveries would be sent again\n"));
    let waited = cli(&["replay", "start", "--webhook", "billing", "--since", "1h", "--status", "succeeded", "--wait"]).expect(0);
    assert!(
        waited.stdout.ends_with(&format!("done: {FEW} of {FEW} deliveries have ended again, 0 failed\n")),
        "{}",
        waited.stdout
    );
    assert_eq!(receiver.received("/a").len(), 2 * FEW);
    let id = waited.stdout.split("  ").next().expect("an id");
    assert_eq!(cli(&["replay", "show", id, "--json"]).expect(0).json()["state"], "done");
    cli(&["replay", "cancel", id]).expect(1).complains(&["ended already"]);
    let slow = cli(&["replay", "start", "--since", "1h", "--rate", "1/h", "--json"]).expect(0).json();
    let slow = text(&slow["id"]);
    assert!(cli(&["replay", "pause", &slow]).expect(0).stdout.contains("  paused: "));
    assert!(cli(&["replay", "resume", &slow]).expect(0).stdout.contains("  running: "));
    let late = cli(&["replay", "start", "--since", "1h", "--rate", "1/h", "--wait", "--timeout", "300ms"]).expect(4);
    late.complains(&["goes on in the background", "replay show rpl_"]);
    let listed = cli(&["replay", "list"]).expect(0).stdout;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    cli(&["replay", "cancel", &slow]).expect(0);
    let anew = cli(&["replay", "start", "--since", "1h", "--type", "old", "--new-id", "--wait", "--json"]).expect(0).json();
    assert_eq!((figures(&anew), &anew["new_id"]), ([FEW, FEW, 0, 0], &json!(true)));
    cli(&["replay", "show", "rpl_1"]).expect(1).complains(&["no such replay"]);
}

/// A replay with new ids is killed twice. Each old event has one new one all the same, with the same data, for both webhooks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replay_with_new_ids_makes_each_event_once() {
    let receiver = Receiver::start().await;
    let config = Config::quick().webhook("one", &receiver.url("/one"), &["*"]).webhook("two", &receiver.url("/two"), &["*"]);
    let mut service = Service::start(&config).await;
    publish(&service.acme(), MANY).await;
    ended(&service.acme(), 2 * MANY).await;
    let asked = json!({ "filter": { "type": "old", "since": "1h" }, "new_id": true, "rate": "400/s" });
    let begun = service.acme().post("/v1/replays", &asked).await.expect(202);
    assert_eq!((&begun["new_id"], &begun["matched"]), (&json!(true), &json!(2 * MANY)));
    for kill in 1..=KILLS {
        let enough = |received: &[Received]| received.len() >= 2 * MANY + kill * MANY / 2;
        assert!(receiver.wait_until(WITHIN, enough).await, "it goes on behind kill {}", kill - 1);
        service.kill9();
        receiver.drained().await;
        service.check_store();
        service.start_again().await;
    }
    let done = replay_when(&service.acme(), &text(&begun["id"]), WITHIN, "done").await;
    assert_eq!(figures(&done), [2 * MANY, 2 * MANY, 0, 0]);
    let came = |path: &str| {
        let new = receiver.received(path).into_iter().filter(|one| !is_old(one));
        new.map(|one| one.header("webhook-id").to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!((came("/one").len(), came("/one")), (MANY, came("/two")), "both get the same new events");
    for new in came("/one").iter().take(FEW) {
        let new = service.acme().get(&format!("/v1/events/{new}")).await.expect(200);
        let old = service.acme().get(&format!("/v1/events/{}", text(&new["replay_of"]))).await.expect(200);
        assert_eq!((&old["replays"], &old["type"], &old["data"]), (&json!([new["id"]]), &new["type"], &new["data"]));
    }
    service.stop_and_check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_command_line_publishes_an_event_again() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::quick().webhook("billing", &receiver.url("/a"), &["old"])).await;
    let cli = |args: &[&str]| service.cli(&[&["events", "replay"], args, &["--tenant", "shop/acme"]].concat());
    publish(&service.acme(), 1).await;
    let same = cli(&["old-0"]).expect(0).stdout;
    assert!(same.starts_with("evt_") && same.ends_with("  replay of old-0  queued -> 1 endpoint\n"), "{same}");
    let edited = cli(&["old-0", "--data", r#"{"n": 2}"#, "--webhook", "billing", "--json"]).expect(0).json();
    assert_eq!(edited["deliveries"], 1);
    let came = receiver.wait_for("/a", 3, WITHIN).await;
    let edited = came.iter().find(|one| one.header("webhook-id") == text(&edited["id"])).expect("it came");
    assert_eq!(edited.json()["data"], json!({ "n": 2 }));
    service.acme().publish(&json!({ "id": "in-2", "type": "unwanted", "data": {} })).await.expect(202);
    cli(&["in-2"]).expect(0).complains(&["no webhook of shop/acme wants the event", "webhooks list"]);
    cli(&["in-3"]).expect(1).complains(&["event"]);
    cli(&["old-0", "--data", "{"]).expect(2).complains(&["JSON"]);
    cli(&["old-0", "--webhook", "nobody"]).expect(1).complains(&["nobody"]);
}

/// Publishes so many events of type `old`.
async fn publish(client: &Client, count: usize) {
    let line = |number: usize| json!({ "id": format!("{OLD}{number}"), "type": "old", "data": {} }).to_string();
    let numbers: Vec<usize> = (0..count).collect();
    for piece in numbers.chunks(5_000) {
        let lines: Vec<String> = piece.iter().map(|number| line(*number)).collect();
        let (answer, _) = client.publish_lines(&lines.join("\n")).await;
        assert_eq!(answer.status, 202);
    }
}

/// Waits until so many deliveries have ended.
async fn ended(client: &Client, count: usize) {
    let dry = json!({ "filter": { "type": "old", "since": "1h" }, "dry_run": true });
    let matched = || async { (client.post("/v1/replays", &dry).await.expect(200)["matched"] == count).then_some(()) };
    eventually("all deliveries have ended", WITHIN, matched).await;
}

async fn replay_when(client: &Client, id: &str, within: Duration, state: &str) -> Value {
    let look = || async {
        let replay = client.get(&format!("/v1/replays/{id}")).await.expect(200);
        (replay["state"] == *state).then_some(replay)
    };
    eventually("the replay ends", within, look).await
}

/// How long new events took from their publication to the receiver, of which one in a hundred took longer.
async fn slowest(client: &Client, receiver: &Receiver) -> Duration {
    let mut took = Vec::new();
    for _ in 0..NEW_EVENTS {
        let sent = Instant::now();
        let id = client.publish_new("new").await;
        let came = |received: &[Received]| received.iter().rev().take(1_000).any(|one| one.header("webhook-id") == id);
        assert!(receiver.wait_until(WITHIN, came).await);
        took.push(sent.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// How often each event of type `old` came.
fn times(received: &[Received]) -> HashMap<String, usize> {
    let mut came = HashMap::new();
    for request in received.iter().filter(|one| is_old(one)) {
        *came.entry(request.header("webhook-id").to_owned()).or_insert(0) += 1;
    }
    came
}

fn is_old(request: &Received) -> bool {
    request.header("webhook-id").starts_with(OLD)
}

fn figures(replay: &Value) -> [usize; 4] {
    ["matched", "done", "failed", "skipped"].map(|name| replay[name].as_u64().expect("a number") as usize)
}

fn deliveries() -> usize {
    std::env::var("HOOKWHEEL_TEST_REPLAYED").map_or(3_000, |count| count.parse().expect("a number of deliveries"))
}

/// How the ids of events begin that are sent again.
const OLD: &str = "old-";

/// Enough to wait for at a rate.
const FEW: usize = 12;

/// Enough for two kills of a replay with a rate.
const MANY: usize = 200;

const KILLS: usize = 2;

/// The most deliveries whose outcome was not on disk when a kill came.
const IN_FLIGHT: usize = 160;

/// A replay of fewer is over before the times of enough new events are taken.
const MEASURED_FROM: usize = 20_000;

const NEW_EVENTS: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_event_is_published_again_with_other_data_and_both_name_the_other() {
    let (mut service, receiver) = (Service::start(&Config::quick().tenant("bolt")).await, Receiver::start().await);
    let acme = service.acme();
    let first = acme.subscribe(&receiver.url("/a"), &["old"]).await;
    let other = acme.subscribe(&receiver.url("/b"), &["other"]).await;
    let event = json!({ "id": "in-1", "type": "old", "data": { "n": 1 }, "attributes": { "plan": "gold" } });
    acme.publish(&event).await.expect(202);
    receiver.wait_for("/a", 1, WITHIN).await;
    let path = "/v1/events/in-1/replay";
    let same = acme.post(path, &json!({})).await.expect(202);
    let came = receiver.wait_for("/a", 2, WITHIN).await;
    assert_eq!((came[1].header("webhook-id"), &came[1].json()["data"]), (&*text(&same["id"]), &json!({ "n": 1 })));
    let edited = acme.post(path, &json!({ "data": { "n": 2 }, "webhook": other })).await.expect(202);
    assert_eq!(edited["deliveries"], 1);
    assert_eq!(receiver.wait_for("/b", 1, WITHIN).await[0].json()["data"], json!({ "n": 2 }));
    service.kill9();
    service.start_again().await;
    let acme = service.acme();
    let made = acme.get(&format!("/v1/events/{}", text(&edited["id"]))).await.expect(200);
    assert_eq!(
        (&made["replay_of"], &made["attributes"], &made["data"]),
        (&json!("in-1"), &json!({ "plan": "gold" }), &json!({ "n": 2 }))
    );
    let original = acme.get("/v1/events/in-1").await.expect(200);
    assert_eq!((&original["replays"], &original["data"]), (&json!([same["id"], edited["id"]]), &json!({ "n": 1 })));
    let audit = service.operator().get("/v1/admin/audit?object=in-1").await.expect(200);
    assert_eq!(audit["data"][0]["after"], json!({ "replayed_as": edited["id"], "webhook": other }));
    service.tenant("shop", "bolt").post(path, &json!({})).await.problem(404, &["event"]);
    acme.post(path, &json!({ "webhook": "wh_1", "dta": 1 })).await.problem(422, &["/webhook", "/dta"]);
    acme.do_to_webhook(&first, "disable").await;
    acme.post(path, &json!({ "webhook": first })).await.problem(409, &["`enable`"]);
    // An attempt whose outcome the kill cut off is made again, with the same id.
    let sent: BTreeSet<String> = receiver.received("/a").iter().map(|call| call.header("webhook-id").to_owned()).collect();
    assert_eq!(sent.len(), 2, "{sent:?}");
    service.stop_and_check().await;
}

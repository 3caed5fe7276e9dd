//! The end of a test: the answers, the log and what the receiver got are compared with each other.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use super::actor::Clients;
use super::book::{Book, Event, Fate, Hook, Line, State};
use super::call::TEST;
use super::settle::deliveries;
use crate::harness::receiver::Received;

/// The counts of a test that held.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Verdict {
    pub(super) answered: usize,
    pub(super) deliveries: usize,
    /// Requests whose outcome was not on disk when the service ended, and that were made again.
    pub(super) again: usize,
}

/// The requests of one event to one webhook.
#[derive(Default)]
struct Came {
    count: usize,
    succeeded: bool,
    last: Option<Instant>,
    epochs: BTreeSet<usize>,
}

/// Compares a tenant's book with its log and with the requests that came. Nothing may be pending any more. `starts` are the
/// service's starts.
pub(super) async fn judge(book: &Book, clients: &Clients, received: &[Received], starts: &[Instant]) -> Verdict {
    let lines = deliveries(&clients.tenant).await;
    let came = sort(book, received, starts);
    let by_pair: HashMap<_, &Line> = lines.values().map(|line| ((&*line.event, &*line.hook), line)).collect();
    nothing_is_lost(book, &by_pair);
    nothing_is_invented(book, &lines);
    for line in lines.values() {
        let hook = book.hook_by_id(&line.hook).expect("listed ones are known");
        attempts_are_requests(line, came.get(&(line.event.clone(), hook)));
    }
    nothing_shown_is_sent_again(book, &came);
    retries_were_made(book, &lines);
    tests_are_kept(book, clients).await;
    let requests: usize = came.values().map(|came| came.count).sum();
    let attempts: u64 = lines.values().map(|line| line.attempts).sum();
    let answered = book.kept().count();
    Verdict { answered, deliveries: lines.len(), again: requests.saturating_sub(attempts as usize) }
}

/// Sorts the requests by event and webhook, without tests. Each must be one that may have been sent in its epoch.
fn sort(book: &Book, received: &[Received], starts: &[Instant]) -> HashMap<(String, usize), Came> {
    let mut all: HashMap<(String, usize), Came> = HashMap::new();
    let of_tenant = format!("/{}/", book.tenant);
    for request in received.iter().filter(|request| request.path.starts_with(&of_tenant)) {
        let hook = book.hooks.iter().position(|hook| hook.path.ends_with(&request.path)).expect("nobody made this webhook");
        let epoch = starts.partition_point(|start| *start <= request.at) - 1;
        let is_test = request.json()["type"] == TEST;
        may_come(&book.hooks[hook], request, epoch, is_test);
        if !is_test {
            is_what_was_published(book, request);
            let came = all.entry((request.header("webhook-id").to_owned(), hook)).or_default();
            came.count += 1;
            came.succeeded |= request.answered == Some(200);
            came.last = Some(request.at);
            came.epochs.insert(epoch);
        }
    }
    all
}

fn may_come(hook: &Hook, request: &Received, epoch: usize, is_test: bool) {
    let epochs = if is_test { &hook.tested } else { &hook.open };
    assert!(epochs.contains(&epoch), "in epoch {epoch} nothing may be sent to {hook:?}, but {request:?} came");
    assert!(
        hook.may_sign(epoch).any(|secret| holds(request, secret)),
        "wrongly signed in epoch {epoch}: {request:?} for {hook:?}"
    );
}

/// Checks that the number in the body is that of an event with this id.
fn is_what_was_published(book: &Book, request: &Received) {
    let data = &request.json()["data"];
    assert_eq!(data["tenant"], *book.tenant, "{request:?}");
    let number = data["number"].as_u64().expect("a number") as usize;
    let event = book.events.get(number).unwrap_or_else(|| panic!("nobody published {number} of {}", book.tenant));
    assert_ne!(event.fate, Fate::Absent, "{number} of {} was refused or gone, and yet sent", book.tenant);
    assert!(event.id.as_ref().is_none_or(|id| id == request.header("webhook-id")), "{event:?}: {request:?}");
}

fn nothing_is_lost(book: &Book, by_pair: &HashMap<(&str, &str), &Line>) {
    for (number, event) in book.kept() {
        let brought = (0..book.hooks.len()).filter(|hook| book.hooks[*hook].brought.contains(&number));
        for hook in event.hooks.iter().copied().chain(brought) {
            let (hook, id) = (&book.hooks[hook], event.id.as_deref().expect("it was answered"));
            let line = by_pair.get(&(id, &*hook.id));
            let ended = line.is_some_and(|line| line.status == "succeeded" || line.status == "failed" && may_fail(hook));
            assert!(ended, "event {number} ({id}) of {}, {event:?}, for {hook:?}: {line:?}", book.tenant);
        }
    }
}

fn may_fail(hook: &Hook) -> bool {
    hook.flaky || hook.state == State::Deleted
}

fn nothing_is_invented(book: &Book, lines: &HashMap<String, Line>) {
    let numbers: HashMap<&str, usize> =
        book.events.iter().enumerate().filter_map(|(number, event)| Some((event.id.as_deref()?, number))).collect();
    for line in lines.values() {
        let hook = book.hook_by_id(&line.hook).unwrap_or_else(|| panic!("nobody made the webhook of {line:?}"));
        // An event without an id may have been published by a call that was not answered.
        let Some(number) = numbers.get(&*line.event) else {
            assert!(book.events.iter().any(|event| event.fate == Fate::Unknown), "nobody published {line:?}");
            continue;
        };
        assert!(wants(&book.hooks[hook], &book.events[*number], *number, hook), "{line:?} of {} was not to be", book.tenant);
    }
}

fn wants(hook: &Hook, event: &Event, number: usize, place: usize) -> bool {
    event.fate != Fate::Absent && (event.hooks.contains(&place) || number < hook.recovered && hook.kinds.contains(&event.kind))
}

/// Checks that a success in the log was received. A request that is not recorded was cut off by an end of the service, at most
/// one each time.
fn attempts_are_requests(line: &Line, came: Option<&Came>) {
    let nothing = Came::default();
    let came = came.unwrap_or(&nothing);
    assert!(line.status != "succeeded" || came.succeeded, "{line:?}, but nobody took it");
    assert!(line.attempts <= came.count as u64, "{line:?}, but only {} requests came", came.count);
    let unrecorded = came.count as u64 - line.attempts;
    assert!(unrecorded <= came.epochs.len() as u64, "{line:?}, but {} requests came in {:?}", came.count, came.epochs);
}

fn nothing_shown_is_sent_again(book: &Book, came: &HashMap<(String, usize), Came>) {
    for (delivery, shown) in &book.shown {
        let hook = book.hook_by_id(&shown.hook).expect("listed ones are known");
        let last = came.get(&(shown.event.clone(), hook)).and_then(|came| came.last);
        assert!(last.is_some_and(|last| last <= shown.at), "{delivery}, {shown:?}, came {last:?}");
    }
}

fn retries_were_made(book: &Book, lines: &HashMap<String, Line>) {
    for (delivery, before) in &book.retried {
        let line = lines.get(delivery).unwrap_or_else(|| panic!("{delivery} is lost"));
        let deleted = book.hook_by_id(&line.hook).is_some_and(|hook| book.hooks[hook].state == State::Deleted);
        assert!(deleted || before.is_none_or(|before| line.attempts > before), "retried with {before:?} attempts: {line:?}");
    }
}

async fn tests_are_kept(book: &Book, clients: &Clients) {
    for test in &book.tests {
        let delivery = clients.tenant.get(&format!("/v1/deliveries/{test}")).await.expect(200);
        assert!(delivery["test"] == true && delivery["attempts"].as_array().is_some_and(|all| all.len() == 1), "{delivery}");
    }
}

/// Whether the signature holds. The `standardwebhooks` crate judges it.
fn holds(request: &Received, secret: &str) -> bool {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, request.header(name).parse().expect("a header"));
    }
    standardwebhooks::Webhook::new(secret).expect("a valid secret").verify(&request.body, &headers).is_ok()
}

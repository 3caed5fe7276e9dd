//! The calls of an owner: what is entered in the book before a call, the call itself, and what is entered with its answer.

use std::fmt::Write as _;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::book::{Book, Event, Fate, Hook, Line, Shown, Signing, State};
use crate::harness::client::Answer;
use crate::harness::seed::Random;

/// A call. Webhooks and events are indexes into the book.
#[derive(Clone, Debug)]
pub(super) enum Call {
    /// Publishes one event, or several as NDJSON.
    Publish(Vec<usize>),
    Create(usize),
    Enable(usize),
    Disable(usize),
    Delete(usize),
    Rotate(usize, String),
    Test(usize),
    /// Retries a delivery, given by its id and the attempts that it had.
    Retry(String, u64),
    Recover(usize, Timestamp),
    /// Lists the newest deliveries.
    Look,
}

/// The call as an HTTP request.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
}

impl Call {
    /// Draws the next call, among those that can succeed.
    pub(super) fn choose(book: &mut Book, random: &mut Random, receiver: &str) -> Self {
        let [active, disabled] = [State::Active, State::Disabled].map(|state| book.hooks_in(&[state]));
        let alive = active.len() + disabled.len();
        if alive < HOOKS_MIN {
            return Self::create(book, random, receiver);
        }
        let lines = 3 + random.below(10);
        match random.below(100) {
            0..45 => Self::publish(book, random, 1),
            45..57 => Self::publish(book, random, lines),
            57..68 => Self::Look,
            68..74 => Self::retry(book, random),
            74..78 => Self::Test(one_of(&[active, disabled].concat(), random)),
            78..83 if !active.is_empty() => Self::Disable(one_of(&active, random)),
            83..90 if !disabled.is_empty() => Self::Enable(one_of(&disabled, random)),
            90..94 => Self::Rotate(one_of(&[active, disabled].concat(), random), secret(random)),
            94..96 if alive < HOOKS_MAX => Self::create(book, random, receiver),
            96..98 if alive > HOOKS_MIN => Self::Delete(one_of(&[active, disabled].concat(), random)),
            98..100 if !active.is_empty() => Self::Recover(one_of(&active, random), Timestamp::now() - RECOVERED),
            _ => Self::Look,
        }
    }

    /// Draws a call that goes to the journal or writes nothing, once there is a webhook that takes all events.
    pub(super) fn choose_publishing(book: &mut Book, random: &mut Random, receiver: &str) -> Self {
        let lines = 2 + random.below(5);
        match random.below(10) {
            // Failures are counted in the tables, so this webhook must not fail.
            _ if book.hooks.is_empty() => Self::Create(book.add_hook(random, receiver, false)),
            0..6 => Self::publish(book, random, 1),
            6..9 => Self::publish(book, random, lines),
            _ => Self::Look,
        }
    }

    fn publish(book: &mut Book, random: &mut Random, lines: u64) -> Self {
        Self::Publish((0..lines).map(|_| book.add_event(random)).collect())
    }

    fn create(book: &mut Book, random: &mut Random, receiver: &str) -> Self {
        let flaky = random.below(4) == 0;
        Self::Create(book.add_hook(random, receiver, flaky))
    }

    /// A retry of a finished delivery whose webhook is not disabled.
    fn retry(book: &Book, random: &mut Random) -> Self {
        let active = |line: &&Line| book.hook_by_id(&line.hook).is_some_and(|hook| book.hooks[hook].state == State::Active);
        let lines: Vec<&Line> = book.finished.iter().filter(active).collect();
        if lines.is_empty() {
            return Self::Look;
        }
        let line = lines[random.below(lines.len() as u64) as usize];
        Self::Retry(line.id.clone(), line.attempts)
    }

    /// The webhook that the call is about.
    pub(super) fn hook(&self) -> Option<usize> {
        match self {
            Self::Create(hook) | Self::Enable(hook) | Self::Disable(hook) | Self::Delete(hook) => Some(*hook),
            Self::Rotate(hook, _) | Self::Test(hook) | Self::Recover(hook, _) => Some(*hook),
            Self::Publish(_) | Self::Retry(..) | Self::Look => None,
        }
    }

    pub(super) fn request(&self, book: &Book) -> Request {
        let hook = self.hook().map(|hook| &book.hooks[hook]);
        let at = |act: &str| format!("/v1/webhooks/{}{act}", hook.expect("it is about one").id);
        match self {
            Self::Publish(events) if events.len() > 1 => lines(book, events),
            Self::Publish(events) => post("/v1/events", &event(book, events[0])),
            Self::Create(hook) => post("/v1/webhooks", &definition(&book.hooks[*hook])),
            Self::Enable(_) => post(&at("/enable"), &json!({})),
            Self::Disable(_) => post(&at("/disable"), &json!({})),
            Self::Delete(_) => bare(Method::DELETE, &at("")),
            Self::Rotate(_, secret) => post(&at("/rotate-secret"), &json!({ "secret": secret, "overlap": "0s" })),
            Self::Test(_) => post(&at("/test"), &json!({ "event_type": TEST, "data": { "tenant": book.tenant } })),
            Self::Retry(delivery, _) => post(&format!("/v1/deliveries/{delivery}/retry"), &json!({})),
            Self::Recover(_, since) => post(&at("/recover"), &json!({ "since": since.to_string() })),
            Self::Look => bare(Method::GET, "/v1/deliveries?limit=60&test=false"),
        }
    }

    /// Enters the call in the book before it is sent.
    pub(super) fn asked(&self, book: &mut Book) {
        let (epoch, events) = (book.epoch, book.events.len());
        match self {
            Self::Create(hook) | Self::Enable(hook) => drop(book.hooks[*hook].open.insert(epoch)),
            Self::Rotate(hook, secret) => {
                book.hooks[*hook].secrets.push(Signing { secret: secret.clone(), from: epoch, until: None });
            }
            // While the service ends, a test that is refused with 503 may have been taken all the same, and is then made after
            // the next start.
            Self::Test(hook) => book.hooks[*hook].tested.extend([epoch, epoch + 1]),
            Self::Recover(hook, _) => book.hooks[*hook].recovered = events,
            Self::Retry(delivery, _) => {
                book.shown.remove(delivery);
                book.retried.entry(delivery.clone()).or_default();
            }
            Self::Publish(_) | Self::Disable(_) | Self::Delete(_) | Self::Look => {}
        }
        book.doubt = Some(self.clone());
    }

    /// Enters the answer in the book.
    pub(super) fn answered(&self, book: &mut Book, answer: &Answer) {
        book.doubt = None;
        if matches!(answer.status, 429 | 503 | 507) {
            return self.refused(book);
        }
        let (epoch, expected) = (book.epoch, self.expected());
        assert_eq!(answer.status, expected, "{self:?}: {}", answer.text());
        match self {
            Self::Publish(events) if events.len() == 1 => published(book, events[0], &answer.json()),
            Self::Publish(events) => lines_published(book, events, answer),
            Self::Create(hook) => {
                book.hooks[*hook].id = text(&answer.json()["id"]);
                book.hooks[*hook].state = State::Active;
            }
            Self::Enable(hook) => book.hooks[*hook].state = State::Active,
            Self::Disable(hook) => book.hooks[*hook].state = State::Disabled,
            Self::Delete(hook) => book.hooks[*hook].state = State::Deleted,
            Self::Rotate(hook, secret) => book.hooks[*hook].replace_secrets_by(secret, epoch),
            Self::Test(_) => drop(book.tests.insert(text(&answer.json()["id"]))),
            Self::Retry(delivery, attempts) => drop(book.retried.insert(delivery.clone(), Some(*attempts))),
            Self::Recover(hook, since) => book.recovered(*hook, *since),
            Self::Look => book.look(answer),
        }
    }

    fn expected(&self) -> u16 {
        match self {
            Self::Publish(_) | Self::Recover(..) => 202,
            Self::Create(_) => 201,
            Self::Delete(_) => 204,
            _ => 200,
        }
    }

    /// Enters that nothing was done.
    fn refused(&self, book: &mut Book) {
        let epoch = book.epoch;
        match self {
            Self::Publish(events) => events.iter().for_each(|event| book.events[*event].fate = Fate::Absent),
            Self::Create(hook) => book.hooks[*hook].state = State::Never,
            Self::Rotate(hook, secret) => book.hooks[*hook].forget_secret(secret, epoch),
            _ => {}
        }
    }
}

impl Book {
    fn add_event(&mut self, random: &mut Random) -> usize {
        let (number, kind) = (self.events.len(), random.below(KINDS));
        let id = (random.below(3) > 0).then(|| format!("{}-{number}", self.tenant));
        let bytes_max = if random.below(10) == 0 { 60_000 } else { 1_500 };
        let bytes = random.below(bytes_max) as usize;
        let hooks = self.matching(kind);
        self.events.push(Event { id, kind, bytes, hooks, fate: Fate::Asked, asked_at: Timestamp::now() });
        number
    }

    fn add_hook(&mut self, random: &mut Random, receiver: &str, flaky: bool) -> usize {
        let number = self.hooks.len();
        let kinds = (0..KINDS).filter(|kind| *kind == number as u64 % KINDS || random.below(2) == 0).collect();
        let word = if flaky { FLAKY } else { "h" };
        let secrets = vec![Signing { secret: secret(random), from: self.epoch, until: None }];
        self.hooks.push(Hook {
            id: String::new(),
            path: format!("{receiver}/{}/{word}{number}", self.tenant),
            flaky,
            kinds,
            state: State::Asked,
            secrets,
            open: Default::default(),
            tested: Default::default(),
            recovered: 0,
            brought: Default::default(),
        });
        number
    }

    /// Enters that each event since then which the webhook wants has a delivery for it.
    fn recovered(&mut self, hook: usize, since: Timestamp) {
        let kinds = &self.hooks[hook].kinds;
        let wanted = |(_, event): &(usize, &Event)| event.asked_at >= since && kinds.contains(&event.kind);
        let brought: Vec<usize> = self.kept().filter(wanted).map(|(number, _)| number).collect();
        self.hooks[hook].brought.extend(brought);
    }

    fn look(&mut self, answer: &Answer) {
        let at = Instant::now();
        let lines: Vec<Line> = answer.json()["data"].as_array().expect("a list").iter().map(Line::of).collect();
        for line in lines.iter().filter(|line| line.status == "succeeded" && !self.retried.contains_key(&line.id)) {
            let shown = Shown { event: line.event.clone(), hook: line.hook.clone(), at };
            self.shown.entry(line.id.clone()).or_insert(shown);
        }
        self.finished = lines.into_iter().filter(|line| matches!(&*line.status, "succeeded" | "failed")).collect();
    }
}

impl Hook {
    /// Forgets a secret that was refused. The secret before it goes on.
    pub(super) fn forget_secret(&mut self, secret: &str, in_epoch: usize) {
        let signing = self.secrets.iter_mut().find(|signing| signing.secret == secret);
        signing.expect("it was entered").until = Some(in_epoch);
    }
}

impl Line {
    pub(super) fn of(delivery: &Value) -> Self {
        Self {
            id: text(&delivery["id"]),
            event: text(&delivery["event_id"]),
            hook: text(&delivery["webhook_id"]),
            status: text(&delivery["status"]),
            attempts: delivery["attempts"].as_u64().expect("a count"),
        }
    }
}

fn published(book: &mut Book, number: usize, answer: &Value) {
    let event = &mut book.events[number];
    let id = text(&answer["id"]);
    assert!(event.id.as_ref().is_none_or(|given| *given == id), "{event:?}: {answer}");
    assert_eq!(answer["deliveries"], event.hooks.len(), "{event:?}: {answer}");
    (event.id, event.fate) = (Some(id), Fate::Kept);
}

fn lines_published(book: &mut Book, events: &[usize], answer: &Answer) {
    let results: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).expect("a result")).collect();
    assert_eq!(results.len(), events.len(), "{}", answer.text());
    for (number, result) in events.iter().zip(results) {
        match result["status"].as_u64() {
            Some(202) => published(book, *number, &result),
            Some(503 | 507) => book.events[*number].fate = Fate::Absent,
            _ => panic!("{result}"),
        }
    }
}

fn event(book: &Book, number: usize) -> Value {
    let Event { id, kind, bytes, .. } = &book.events[number];
    let data = json!({ "tenant": book.tenant, "number": number, "fill": "x".repeat(*bytes) });
    let mut event = json!({ "type": kind_name(*kind), "data": data });
    if let Some(id) = id {
        event["id"] = json!(id);
    }
    event
}

fn lines(book: &Book, events: &[usize]) -> Request {
    let mut body = String::new();
    for number in events {
        let _ = writeln!(body, "{}", event(book, *number));
    }
    Request { method: Method::POST, path: "/v1/events".into(), content_type: "application/x-ndjson", body: body.into() }
}

fn definition(hook: &Hook) -> Value {
    let events: Vec<String> = hook.kinds.iter().map(|kind| kind_name(*kind)).collect();
    let name = hook.path.rsplit('/').next();
    json!({ "name": name, "url": hook.path, "events": events, "secret": hook.secrets[0].secret })
}

fn post(path: &str, body: &Value) -> Request {
    Request { method: Method::POST, path: path.to_owned(), content_type: JSON, body: body.to_string().into() }
}

fn bare(method: Method, path: &str) -> Request {
    Request { method, path: path.to_owned(), content_type: JSON, body: Bytes::new() }
}

fn kind_name(kind: u64) -> String {
    format!("load.{kind}")
}

fn secret(random: &mut Random) -> String {
    let bytes: Vec<u8> = (0..32).map(|_| random.below(256) as u8).collect();
    format!("whsec_{}", STANDARD.encode(bytes))
}

fn one_of(places: &[usize], random: &mut Random) -> usize {
    places[random.below(places.len() as u64) as usize]
}

#[track_caller]
pub(super) fn text(value: &Value) -> String {
    crate::harness::api::text(value)
}

/// A part of a webhook's path: its receiver refuses three attempts of four.
pub(super) const FLAKY: &str = "flaky";

/// The type of test events.
pub(super) const TEST: &str = "probe";

const JSON: &str = "application/json";
const KINDS: u64 = 4;
const HOOKS_MIN: usize = 2;
const HOOKS_MAX: usize = 5;

/// How far back a recovery goes.
const RECOVERED: SignedDuration = SignedDuration::from_secs(2);

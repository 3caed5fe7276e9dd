//! The turn of one delivery: read it, send it, and hand the outcome to the store.
//!
//! A turn ends in one of five ways: recorded, no longer due, cut off by a stop, postponed for a shortage of this machine, or without
//! a permit of the webhook's rate limit. A
//! panic in it is recorded as a failed attempt, so that the delivery goes on by its schedule.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot::Sender;
use tracing::{error, warn};

use super::{Pump, Settings};
use crate::budget::Capture;
use crate::clock;
use crate::deliver::attempt::authorized::attempt_authorized;
use crate::deliver::attempt::{self, attempt};
use crate::deliver::connect::way::Way;
use crate::deliver::exchange::connection::Connection;
use crate::deliver::exchange::request::Request;
use crate::deliver::permits::Permits;
use crate::deliver::queues::HealthSignal;
use crate::deliver::shortage::Shortage;
use crate::deliver::tokens::asking::Asking;
use crate::domain::delivery::Trigger;
use crate::domain::delivery::outcome::{Class, Failure, Outcome};
use crate::domain::dialect::Dialect;
use crate::domain::event::Event;
use crate::domain::headers::Headers;
use crate::domain::template::{AttemptFacts, Facts};
use crate::domain::time::Timestamp;
use crate::domain::webhook::egress::ClientCredentials;
use crate::domain::webhook::endpoint::Endpoint;
use crate::domain::webhook::target::{OPENED_BY, REFUSED, Reason, Schemes, Target};
use crate::store::{Begin, Begun, Error, Finished, Lane, Ready};

/// A URL as it was parsed for the worker's last attempt.
pub(super) struct Parsed {
    url: Box<str>,
    schemes: Schemes,
    target: Target,
}

impl Parsed {
    fn is_of(&self, url: &str, schemes: Schemes) -> bool {
        *self.url == *url && self.schemes == schemes
    }
}

/// An attempt that ended, as the log keeps it.
struct Attempted {
    trigger: Trigger,
    started_at: Timestamp,
    url: Box<str>,
    request_headers: Headers,
    outcome: Outcome,
    sign: HealthSignal,
    /// The room of the captured response. It is held until the outcome has room among the outcomes that wait for the disk.
    capture: Option<Capture>,
}

/// Why no attempt is recorded.
enum Unmade {
    /// The delivery is not due, or the service stops.
    NotDue,
    /// A stop ended the attempt before it had a status. It is made again after the next start.
    CutOff,
    Shortage(Shortage),
    /// The rate limit lets nothing be sent soon, after other waits. The delivery waits in its queue again.
    Paced,
}

impl Pump {
    /// Makes one attempt of a delivery, if it is still due, and hands its outcome to the store.
    pub(super) async fn run(
        self: &Arc<Self>,
        ready: Ready,
        kept: &mut Option<Box<Connection>>,
        parsed: &mut Option<Parsed>,
    ) -> HealthSignal {
        let in_flight = &self.store.metrics().attempts_in_flight;
        in_flight.inc();
        let made = caught(self.make(&ready, kept, parsed)).await;
        in_flight.dec();
        match made {
            Ok(Ok(attempted)) => self.record(ready, attempted).await,
            Ok(Err(Unmade::NotDue)) => HealthSignal::Unsent,
            Ok(Err(Unmade::CutOff)) => {
                self.cut_off.fetch_add(1, Relaxed);
                HealthSignal::Neutral
            }
            Ok(Err(Unmade::Shortage(shortage))) => {
                ready.permit.reacquire();
                self.postpone(ready, shortage);
                HealthSignal::Unsent
            }
            Ok(Err(Unmade::Paced)) => {
                ready.permit.reacquire();
                // It is kept apart until this turn ends.
                self.queues().push(ready);
                HealthSignal::Neutral
            }
            Err(_) => {
                // The panic's message may hold a part of an event, so it is not logged.
                error!(endpoint = %ready.key.endpoint, "the relay failed inside an attempt, which is recorded as failed");
                let attempted = self.failed_inside(&ready);
                self.record(ready, attempted).await
            }
        }
    }

    /// Hands an attempt that ended to the store.
    async fn record(&self, ready: Ready, attempted: Attempted) -> HealthSignal {
        let Attempted { trigger, started_at, url, request_headers, outcome, sign, capture } = attempted;
        let Ready { key, position, known, .. } = ready;
        let first = known.is_some();
        // The outcome may have to wait for the disk. The body is not needed any more.
        drop(known);
        let ended_at = self.store.now();
        let kept_bytes = outcome.bytes() + request_headers.bytes() + url.len();
        let room = self.store.outcome_room(kept_bytes).await;
        drop(capture);
        self.store.finish(Finished {
            key,
            position,
            first,
            trigger,
            started_at,
            ended_at,
            url,
            request_headers,
            outcome,
            _room: room,
        });
        sign
    }

    async fn make(
        &self,
        ready: &Ready,
        kept: &mut Option<Box<Connection>>,
        parsed: &mut Option<Parsed>,
    ) -> Result<Attempted, Unmade> {
        let begun = match self.begin(ready).await {
            Ok(Some(begun)) if begun.endpoint.is_sent(begun.delivery.is_test()) => begun,
            Ok(_) => return Err(Unmade::NotDue),
            Err(fault) => return Ok(self.unreadable(ready, &fault)),
        };
        let dialect = self.store.dialect(&begun.endpoint.provider);
        let permits = Permits { queues: &self.queues, live: ready.permit.live(), no: ready.key.endpoint };
        if token_of(&begun.endpoint, &dialect).is_none() {
            permits.take().await.ok_or(Unmade::Paced)?;
        }
        ready.permit.release();
        let (trigger, started_at) = (begun.delivery.trigger(), self.store.now());
        let settings = self.settings();
        let capture = self.store.capture(settings.response_capture);
        let (outcome, request_headers, url) = self.send((&settings, &capture, &permits), &begun, &dialect, kept, parsed).await?;
        let sign = HealthSignal::from_outcome(&outcome, &dialect);
        if sign != HealthSignal::Good {
            self.complaints.add(&begun.endpoint, &outcome, clock::steady());
        }
        let request_headers = loggable(request_headers, &begun.endpoint, &dialect);
        Ok(Attempted { trigger, started_at, url, request_headers, outcome, sign, capture: Some(capture) })
    }

    /// Reads what an attempt needs, including the body, which may first have to wait for memory. `None` when the delivery is not
    /// due any more, or the service stops.
    async fn begin(&self, ready: &Ready) -> Result<Option<Begun>, Error> {
        let mut room = None;
        loop {
            match self.store.begin(ready, room.take()).await? {
                Begin::Now(begun) => return Ok(Some(begun)),
                Begin::Over => return Ok(None),
                Begin::Waits(bytes) => {
                    let is_prompt = || self.queues().set_waiting(ready.key, true);
                    // The future is boxed since workers rarely wait, and there are thousands of them.
                    let Some(share) = Box::pin(self.store.event_room(bytes, is_prompt)).await else { return Ok(None) };
                    self.queues().set_waiting(ready.key, false);
                    room = Some(share);
                }
            }
        }
    }

    async fn send(
        &self,
        (settings, capture, permits): (&Settings, &Capture, &Permits<'_, Sender<Ready>>),
        begun: &Begun,
        dialect: &Dialect,
        kept: &mut Option<Box<Connection>>,
        parsed: &mut Option<Parsed>,
    ) -> Result<(Outcome, Headers, Box<str>), Unmade> {
        let url = begun.url();
        let schemes = Schemes { http: dialect.api.plain_http || settings.danger_allow_http };
        if parsed.as_ref().is_none_or(|parsed| !parsed.is_of(url, schemes)) {
            match Target::parse(url, schemes, &settings.guard) {
                Ok(target) => *parsed = Some(Parsed { url: url.into(), schemes, target }),
                Err(reason) => return Ok((self.refuse(begun, &reason), Headers::default(), url.into())),
            }
        }
        let Some(Parsed { target, .. }) = parsed else {
            return Ok((refused("the URL cannot be used"), Headers::default(), url.into()));
        };
        let event = begun.event.event();
        let body = event.content.body();
        let headers = self.headers(begun, event, dialect, &body);
        let mut request = match Request::new(target, &headers, body) {
            Ok(request) => request.by(Way::new(begun.endpoint.definition.settings.egress.as_deref(), settings.proxy.as_ref())),
            Err(failure) => return Ok((unsent(failure), headers, url.into())),
        };
        let limits = attempt::Limits {
            timeout: begun.endpoint.effective(dialect).timeout,
            response_capture: capture.bytes(),
            cut: &self.cut,
            metrics: Some(self.store.metrics()),
        };
        let outcome = tokio::select! {
            biased;
            outcome = self.attempt((settings, schemes, permits), kept, &mut request, (begun, dialect), limits) => outcome?,
            () = self.cut.made() => return Err(Unmade::CutOff),
        };
        Ok((outcome, request.into_headers(), url.into()))
    }

    /// Makes the attempt, with an access token where the webhook asks for one.
    async fn attempt(
        &self,
        (settings, schemes, permits): (&Settings, Schemes, &Permits<'_, Sender<Ready>>),
        kept: &mut Option<Box<Connection>>,
        request: &mut Request<'_>,
        (begun, dialect): (&Begun, &Dialect),
        limits: attempt::Limits<'_>,
    ) -> Result<Outcome, Unmade> {
        let Settings { connector, guard, .. } = settings;
        match token_of(&begun.endpoint, dialect) {
            None => attempt(connector, kept, request, limits).await.map_err(Unmade::Shortage),
            Some(credentials) => {
                let way = request.way.clone();
                let asking = Asking { tenant: begun.endpoint.tenant_no, credentials, connector, way: &way, guard, schemes };
                // The future is boxed since few webhooks need so much state.
                let made = Box::pin(attempt_authorized(connector, kept, request, limits, (&self.tokens, asking, permits))).await;
                made.map_err(Unmade::Shortage)?.ok_or(Unmade::Paced)
            }
        }
    }

    /// The outcome of a URL that the present config refuses. The operator's log says which setting opens it; a tenant does not
    /// see that.
    fn refuse(&self, begun: &Begun, reason: &Reason) -> Outcome {
        if !reason.can_be_opened() {
            return refused(&reason.to_string());
        }
        if self.refusals.is_time(clock::steady()) {
            warn!(webhook = %begun.endpoint.id, "its URL was refused, no other of this minute is told: {reason}; {OPENED_BY}");
        }
        refused(REFUSED)
    }

    fn headers(&self, begun: &Begun, event: &Event, dialect: &Dialect, body: &[u8]) -> Headers {
        let secrets = begun.endpoint.signing(self.store.now());
        let version = dialect.version(&event.kind, &event.attributes);
        let facts = Facts {
            event_id: &event.id,
            kind: &event.kind,
            time: event.time,
            version: &version,
            attributes: &event.attributes,
            tenant: Some(&begun.endpoint.tenant),
            environment: "",
            data: b"",
        };
        let delivery_id = self.store.node().delivery_id(begun.delivery.key);
        let mut headers = dialect.headers(&AttemptFacts {
            facts,
            delivery_id: &delivery_id,
            attempt_unix: self.store.signing_time().as_secs(),
            attempt_number: u32::from(begun.delivery.attempts) + 1,
            secrets: &secrets,
            body,
        });
        if begun.delivery.is_test() {
            headers.push(TEST, "true");
        }
        if let Some(egress) = &begun.endpoint.definition.settings.egress {
            egress.add_to(&mut headers);
        }
        headers
    }

    /// A damaged event is a failed attempt, so that its delivery ends in the log and does not wait for ever.
    fn unreadable(&self, ready: &Ready, fault: &Error) -> Attempted {
        error!(endpoint = %ready.key.endpoint, "a delivery cannot be read: {fault}");
        self.without_request(ready, refused(&format!("{fault}; nothing was sent")))
    }

    fn failed_inside(&self, ready: &Ready) -> Attempted {
        let failure = Failure::new(Class::Internal, "the relay itself failed during this attempt; its own log says where");
        self.without_request(ready, unsent(failure))
    }

    fn without_request(&self, ready: &Ready, outcome: Outcome) -> Attempted {
        Attempted {
            trigger: if ready.lane == Lane::Manual { Trigger::Manual } else { Trigger::Schedule },
            started_at: self.store.now(),
            url: Box::default(),
            request_headers: Headers::default(),
            outcome,
            sign: HealthSignal::Neutral,
            capture: None,
        }
    }
}

/// Runs `work`, and returns a panic in it as an error.
async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Box<dyn Any + Send>> {
    let mut work = pin!(work);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// What a webhook's access tokens are asked for with, if its attempts show one.
fn token_of<'e>(endpoint: &'e Endpoint, dialect: &Dialect) -> Option<&'e ClientCredentials> {
    endpoint.definition.settings.egress.as_deref()?.client_credentials(dialect)
}

/// The headers of an attempt as the log keeps them: without what is secret in them for the dialect or the webhook.
fn loggable(sent: Headers, endpoint: &Endpoint, dialect: &Dialect) -> Headers {
    let sent = dialect.loggable(sent);
    match &endpoint.definition.settings.egress {
        Some(egress) => sent.masked(|name| egress.hides(name)),
        None => sent,
    }
}

fn refused(reason: &str) -> Outcome {
    unsent(Failure::new(Class::Policy, reason))
}

fn unsent(failure: Failure) -> Outcome {
    Outcome { result: Err(failure), duration: Duration::ZERO }
}

/// A header that marks the request of a test. Its event looks real, and nobody should act on it.
const TEST: &str = "hookwheel-test";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_caught_wherever_it_comes() {
        assert_eq!(caught(async { 7 }).await.unwrap(), 7);
        let later = caught(async {
            tokio::task::yield_now().await;
            assert!(std::hint::black_box(false), "in the middle");
        });
        assert!(later.await.is_err());
    }
}

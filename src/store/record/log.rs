//! The records of the log: a delivery with its newest attempt, and each earlier attempt.

use std::time::Duration;

use bincode::{BorrowDecode, Decode, Encode};
use bytes::Bytes;

use super::codec::{VERSION, close_as, coded, decode, decode_first, intact, unknown, unknown_version};
use crate::domain::delivery::outcome::{Class, Failure, Outcome, Response};
use crate::domain::delivery::{Cause, Delivery, End, QueuePosition, Replayed, Run, State, Trigger};
use crate::domain::id::{DeliveryKey, ReplayNo};
use crate::domain::time::Timestamp;
use crate::store::Attempt;
use crate::store::error::Error;
use crate::store::record::key::{DELIVERY_ROW, LogKey, log_key};

/// `R` is the form of an attempt's result, which differs by version.
#[derive(Encode, BorrowDecode)]
struct DeliveryForm<'a, R> {
    state: StateForm,
    attempts: u16,
    cause: u8,
    before: u16,
    draw: Option<f64>,
    by_hand: bool,
    url: Option<&'a str>,
    succeeded_at: Option<u64>,
    code: Option<u16>,
    recovered: bool,
    newest: Option<AttemptForm<'a, R>>,
}

/// What the third version adds at the end: the number of a replay, and whether the replay waits for the first attempt.
type ReplayedForm = (u64, bool);

#[derive(Clone, Copy, Encode, Decode)]
enum StateForm {
    Due(u64),
    Backlog(u64),
    Succeeded(u64),
    Failed(u64, u8),
}

#[derive(Encode, BorrowDecode)]
struct AttemptForm<'a, R> {
    number: u16,
    trigger: u8,
    started_at: u64,
    micros: u64,
    url: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    error: Option<u8>,
    result: R,
}

#[derive(Encode, BorrowDecode)]
enum ResultForm<'a> {
    Response { status: u16, headers: Vec<(&'a str, &'a str)>, body: &'a [u8], truncated: bool, body_error: Option<&'a str> },
    Failure { class: u8, detail: &'a str },
}

/// The result in the first version, which had no error of a response's body.
#[derive(Encode, BorrowDecode)]
enum FirstResultForm<'a> {
    Response { status: u16, headers: Vec<(&'a str, &'a str)>, body: &'a [u8], truncated: bool },
    Failure { class: u8, detail: &'a str },
}

impl<'a> From<FirstResultForm<'a>> for ResultForm<'a> {
    fn from(first: FirstResultForm<'a>) -> Self {
        match first {
            FirstResultForm::Response { status, headers, body, truncated } => {
                Self::Response { status, headers, body, truncated, body_error: None }
            }
            FirstResultForm::Failure { class, detail } => Self::Failure { class, detail },
        }
    }
}

pub(in crate::store) fn write_delivery(delivery: &Delivery, newest: Option<&Attempt>, out: &mut Vec<u8>) {
    let form = DeliveryForm {
        state: state_form(delivery.state),
        attempts: delivery.attempts,
        cause: cause_code(delivery.run.cause),
        before: delivery.run.before,
        draw: delivery.run.draw,
        by_hand: delivery.by_hand,
        url: delivery.url.as_deref(),
        succeeded_at: delivery.succeeded_at.map(Timestamp::as_micros),
        code: delivery.code,
        recovered: delivery.recovered,
        newest: newest.map(attempt_form),
    };
    let key = log_key(delivery.key, DELIVERY_ROW);
    match delivery.replay {
        None => close_as(SECOND, &key, &form, out),
        Some(Replayed { no, waits }) => close_as(REPLAYED, &key, &(form, (no.0, waits)), out),
    }
}

pub(in crate::store) fn read_delivery(key: DeliveryKey, bytes: &[u8]) -> Result<(Delivery, Option<Attempt>), Error> {
    match intact("log", &log_key(key, DELIVERY_ROW), bytes)? {
        (REPLAYED, content) => {
            let (form, (no, waits)) = decode::<(DeliveryForm<'_, ResultForm<'_>>, ReplayedForm)>("log", content)?;
            let (delivery, newest) = delivery(key, form)?;
            Ok((Delivery { replay: Some(Replayed { no: ReplayNo(no), waits }), ..delivery }, newest))
        }
        (SECOND, content) => delivery(key, decode::<DeliveryForm<'_, ResultForm<'_>>>("log", content)?),
        (VERSION, content) => delivery(key, decode::<DeliveryForm<'_, FirstResultForm<'_>>>("log", content)?),
        _ => Err(unknown_version("log")),
    }
}

fn delivery<'a, R: Into<ResultForm<'a>>>(
    key: DeliveryKey,
    form: DeliveryForm<'a, R>,
) -> Result<(Delivery, Option<Attempt>), Error> {
    let delivery = Delivery {
        key,
        state: state(form.state)?,
        attempts: form.attempts,
        run: Run { cause: cause(form.cause)?, before: form.before, draw: form.draw },
        by_hand: form.by_hand,
        url: form.url.map(Into::into),
        succeeded_at: form.succeeded_at.map(Timestamp::from_micros),
        code: form.code,
        recovered: form.recovered,
        replay: None,
    };
    Ok((delivery, form.newest.map(attempt).transpose()?))
}

pub(in crate::store) fn write_attempt(key: DeliveryKey, value: &Attempt, out: &mut Vec<u8>) {
    close_as(SECOND, &log_key(key, value.number), &attempt_form(value), out);
}

pub(in crate::store) fn read_attempt(key: &LogKey, bytes: &[u8]) -> Result<Attempt, Error> {
    match intact("log", key, bytes)? {
        (SECOND, content) => attempt(decode::<AttemptForm<'_, ResultForm<'_>>>("log", content)?),
        (VERSION, content) => attempt(decode::<AttemptForm<'_, FirstResultForm<'_>>>("log", content)?),
        _ => Err(unknown_version("log")),
    }
}

/// Reads only when an attempt started.
pub(in crate::store) fn read_attempt_start(key: &LogKey, bytes: &[u8]) -> Result<Timestamp, Error> {
    match intact("log", key, bytes)? {
        (SECOND | VERSION, content) => {
            let (_, _, started_at): (u16, u8, u64) = decode_first("log", content)?;
            Ok(Timestamp::from_micros(started_at))
        }
        _ => Err(unknown_version("log")),
    }
}

fn attempt_form(value: &Attempt) -> AttemptForm<'_, ResultForm<'_>> {
    AttemptForm {
        number: value.number,
        trigger: trigger_code(value.trigger),
        started_at: value.started_at.as_micros(),
        micros: u64::try_from(value.outcome.duration.as_micros()).unwrap_or(u64::MAX),
        url: &value.url,
        headers: value.request_headers.iter().collect(),
        error: value.error.map(class_code),
        result: match &value.outcome.result {
            Ok(response) => ResultForm::Response {
                status: response.status,
                headers: response.headers.iter().collect(),
                body: &response.body,
                truncated: response.truncated,
                body_error: response.body_error.as_deref(),
            },
            Err(failure) => ResultForm::Failure { class: class_code(failure.class), detail: &failure.detail },
        },
    }
}

fn attempt<'a, R: Into<ResultForm<'a>>>(form: AttemptForm<'a, R>) -> Result<Attempt, Error> {
    let result = match form.result.into() {
        ResultForm::Response { status, headers, body, truncated, body_error } => {
            let headers = headers.into_iter().collect();
            Ok(Response {
                status,
                headers,
                body: Bytes::copy_from_slice(body),
                truncated,
                body_error: body_error.map(Into::into),
            })
        }
        ResultForm::Failure { class: code, detail } => Err(Failure { class: class(code)?, detail: detail.to_owned() }),
    };
    Ok(Attempt {
        number: form.number,
        trigger: trigger(form.trigger)?,
        started_at: Timestamp::from_micros(form.started_at),
        url: form.url.into(),
        request_headers: form.headers.into_iter().collect(),
        error: form.error.map(class).transpose()?,
        outcome: Outcome { result, duration: Duration::from_micros(form.micros) },
    })
}

fn state_form(state: State) -> StateForm {
    match state {
        State::Pending(QueuePosition::Due(at)) => StateForm::Due(at.as_millis()),
        State::Pending(QueuePosition::Backlog(number)) => StateForm::Backlog(number),
        State::Succeeded { at } => StateForm::Succeeded(at.as_micros()),
        State::Failed { at, end } => StateForm::Failed(at.as_micros(), end_code(end)),
    }
}

fn state(form: StateForm) -> Result<State, Error> {
    Ok(match form {
        StateForm::Due(at) => State::Pending(QueuePosition::Due(Timestamp::from_millis(at))),
        StateForm::Backlog(number) => State::Pending(QueuePosition::Backlog(number)),
        StateForm::Succeeded(at) => State::Succeeded { at: Timestamp::from_micros(at) },
        StateForm::Failed(at, code) => State::Failed { at: Timestamp::from_micros(at), end: end(code)? },
    })
}

coded!(end_code, end: End in "log" { 0 = Exhausted, 1 = Gone, 2 = WebhookDeleted, 3 = Expired, 4 = Cancelled, 5 = Imported });
coded!(cause_code, cause: Cause in "log" { 0 = Publish, 1 = Manual, 2 = Test });
coded!(trigger_code, trigger: Trigger in "log" { 0 = Schedule, 1 = Manual, 2 = Test });
coded!(class_code, class: Class in "log" {
    0 = Dns, 1 = Connect, 2 = Tls, 3 = Timeout, 4 = Reset, 5 = Status, 6 = Policy, 7 = Response, 8 = Internal, 9 = Auth,
});

/// The version in which a response says what was wrong with its body.
const SECOND: u8 = 2;

/// The version of a delivery that a replay sent again. Every other delivery is written in the version before.
const REPLAYED: u8 = 3;

//! Lines about events and deliveries, as the store takes them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Refused;
use crate::api::document::backup::export::{self, Outcome};
use crate::api::response::problem::Problem;
use crate::domain::channels::Channels;
use crate::domain::delivery::outcome::{self, Failure, Response};
use crate::domain::delivery::{Delivery, QueuePosition, Run, State};
use crate::domain::event::{Content, Event, Links, REPLAYS_KEPT};
use crate::domain::id::uid::Uid;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, has_own_form, is_name};
use crate::domain::time::Timestamp;
use crate::domain::webhook::pattern::check_type_name;
use crate::store::{Attempt, Old, OldDelivery, OldEvent};

pub(super) fn event(line: export::Event) -> Refused<Old> {
    check(&line)?;
    let content = bytes(&line.content, "/content")?;
    let (start, end) = line.data;
    let content = Content::from_parts(content.into(), line.body_end, start..end)
        .ok_or_else(|| Problem::field("/data", "lies outside of the content"))?;
    let mut hash = [0; 32];
    if let Some(given) = &line.content_sha256 {
        hex::decode_to_slice(given, &mut hash).map_err(|_| Problem::field("/content_sha256", "is not 64 hex digits"))?;
    }
    let uid = line.uid.as_deref().map(Uid::parse).transpose().map_err(|reason| Problem::field("/uid", reason))?;
    let links = Links {
        replay_of: line.replay_of.map(Into::into),
        replays: line.replays.into_iter().take(REPLAYS_KEPT).map(Into::into).collect(),
    };
    let links = (links != Links::default()).then(|| Box::new(links));
    let event = Event {
        key: EventKey::numbered(line.published.ms, line.published.number),
        id: line.id.into(),
        uid,
        provider: line.provider.into(),
        tenant: line.tenant.map(Into::into),
        kind: line.r#type.into(),
        time: line.time.0,
        occurred_at: line.occurred_at.map(|at| at.0),
        attributes: line.attributes.into_iter().map(|(name, value)| (name, value.into())).collect(),
        connection: line.connection.map(Into::into),
        channels: Channels::new(line.channels),
        test: line.test,
        schema_errors: line.schema_errors.into(),
        links,
        content,
    };
    Ok(Old::Event(Box::new(OldEvent { event, content: hash, deliveries: line.deliveries })))
}

fn check(line: &export::Event) -> Refused<()> {
    if !is_name(&line.id) {
        return Err(Problem::field("/id", NAME));
    }
    owner(&line.provider, line.tenant.as_deref())?;
    check_type_name(&line.r#type).map_err(|reason| Problem::field("/type", reason))?;
    if line.published.ms >> 48 != 0 {
        return Err(Problem::field("/published/ms", "is later than any event can be"));
    }
    Ok(())
}

fn owner(provider: &str, tenant: Option<&str>) -> Refused<()> {
    if !is_name(provider) {
        return Err(Problem::field("/provider", NAME));
    }
    if tenant.is_some_and(|tenant| !is_name(tenant)) {
        return Err(Problem::field("/tenant", NAME));
    }
    Ok(())
}

pub(super) fn delivery(line: export::Delivery) -> Refused<Old> {
    owner(&line.provider, line.tenant.as_deref())?;
    if !has_own_form(&line.id) {
        return Err(Problem::field("/id", "is no id of a delivery"));
    }
    let count = u16::try_from(line.attempts.len()).map_err(|_| Problem::field("/attempts", "are more than 65,535"))?;
    let attempts = (1..=count).zip(line.attempts).map(|(number, line)| attempt(number, line)).collect::<Refused<_>>()?;
    let delivery = Delivery {
        key: DeliveryKey { event: EventKey::MIN, endpoint: EndpointNo(0) },
        state: state(line.state),
        attempts: count,
        run: Run { cause: line.cause, before: line.before.min(count), draw: None },
        by_hand: false,
        url: line.url.map(Into::into),
        succeeded_at: line.succeeded_at.map(|at| at.0),
        code: line.code,
        recovered: false,
        replay: None,
    };
    Ok(Old::Delivery(Box::new(OldDelivery {
        provider: line.provider.into(),
        tenant: line.tenant.map(Into::into),
        event_id: line.event_id.into(),
        webhook_id: line.webhook_id.into(),
        delivery,
        attempts,
    })))
}

fn state(state: export::State) -> State {
    match state {
        export::State::Pending => State::Pending(QueuePosition::Due(Timestamp::EPOCH)),
        export::State::Succeeded { at } => State::Succeeded { at: at.0 },
        export::State::Failed { at, reason } => State::Failed { at: at.0, end: reason },
    }
}

fn attempt(number: u16, line: export::Attempt) -> Refused<Attempt> {
    let at = |member: &str| format!("/attempts/{}/{member}", number - 1);
    let result = match line.result {
        Outcome::Response { status, headers, body, truncated, body_error } => Ok(Response {
            status,
            headers: headers.into_iter().collect(),
            body: bytes(&body, &at("result/response/body"))?.into(),
            truncated,
            body_error: body_error.map(Into::into),
        }),
        Outcome::Failure { class, detail } => Err(Failure { class, detail }),
    };
    Ok(Attempt {
        number,
        trigger: line.trigger,
        started_at: line.started_at.0,
        url: line.url.into(),
        request_headers: line.headers.into_iter().collect(),
        outcome: outcome::Outcome { result, duration: Duration::from_micros(line.micros) },
        error: line.error,
    })
}

fn bytes(given: &export::Bytes, pointer: &str) -> Refused<Vec<u8>> {
    match given.base64 {
        false => Ok(given.text.clone().into_bytes()),
        true => STANDARD.decode(&given.text).map_err(|_| Problem::field(pointer, "is not base64")),
    }
}

const NAME: &str = "is not 1 to 64 of A-Za-z0-9_-";

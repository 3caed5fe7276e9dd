//! The record of a replay.

use bincode::{BorrowDecode, Encode};

use super::super::codec::{VERSION, close, close_as, coded, decode, intact, unknown, unknown_version};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, ReplayNo, TenantNo};
use crate::domain::rate::Rate;
use crate::domain::time::Timestamp;
use crate::domain::webhook::pattern::Pattern;
use crate::store::Owned;
use crate::store::error::Error;
use crate::store::message::replay::walk::Walk;
use crate::store::message::replay::{Ids, NewIds, Replay, ReplayFilter, ReplayReason, ReplayState};

#[derive(Encode, BorrowDecode)]
struct ReplayForm<'a> {
    provider: &'a str,
    tenant: &'a str,
    tenant_no: u32,
    webhook: Option<(u32, &'a str)>,
    kind: Option<String>,
    succeeded: Option<bool>,
    code: Option<u16>,
    since: u64,
    until: u64,
    rate: Option<u32>,
    state: u8,
    reason: Option<u8>,
    /// Matched, sent, done, failed.
    counts: (u64, u64, u64, u64),
    /// Only what had ended by this moment is sent again.
    asked_at: u64,
    /// The event and the webhook that the walk has come to, the last event, and whether nothing comes behind.
    walk: (u64, u32, u64, bool),
    /// The webhooks that are behind, each with the event that it has come to.
    behind: Vec<(u32, u64)>,
    /// How many deliveries of each webhook wait for their first attempt.
    waiting: Vec<(u32, u32)>,
    ended_at: Option<u64>,
}

/// What the second version adds at the end: the tenant's environment, and the newest old event with the new event made of it.
type NewIdsForm<'a> = (&'a str, Option<(u64, u64)>);

pub(in crate::store) fn write_replay(replay: &Replay, out: &mut Vec<u8>) {
    let ReplayFilter { webhook, kind, succeeded, code, since, until } = &replay.filter;
    let Walk { after, last, is_through, behind } = &replay.walk;
    let form = ReplayForm {
        provider: &replay.owned.provider,
        tenant: &replay.owned.tenant,
        tenant_no: replay.tenant.0,
        webhook: webhook.as_ref().map(|(no, id)| (no.0, &**id)),
        kind: kind.as_ref().map(ToString::to_string),
        succeeded: *succeeded,
        code: *code,
        since: since.as_micros(),
        until: until.as_micros(),
        rate: replay.rate.map(Rate::to_bits),
        state: state_code(replay.state),
        reason: replay.reason.map(reason_code),
        counts: (replay.matched, replay.sent, replay.done, replay.failed),
        asked_at: replay.asked_at.as_micros(),
        walk: (after.event.0, after.endpoint.0, last.0, *is_through),
        behind: behind.iter().map(|(no, event)| (no.0, event.0)).collect(),
        waiting: replay.waiting.iter().map(|(no, count)| (no.0, count)).collect(),
        ended_at: replay.ended_at.map(Timestamp::as_micros),
    };
    let key = replay.no.0.to_be_bytes();
    match &replay.ids {
        Ids::Same => close(&key, &form, out),
        Ids::New(NewIds { environment, newest }) => {
            let ids: NewIdsForm<'_> = (environment, newest.map(|(old, new)| (old.0, new.0)));
            close_as(WITH_NEW_IDS, &key, &(form, ids), out);
        }
    }
}

pub(in crate::store) fn read_replay(no: ReplayNo, bytes: &[u8]) -> Result<Replay, Error> {
    let (form, ids) = forms(no, bytes)?;
    let pattern = |text: String| Pattern::parse(&text).map_err(|_| unknown("replay"));
    let filter = ReplayFilter {
        webhook: form.webhook.map(|(no, id)| (EndpointNo(no), id.into())),
        kind: form.kind.map(pattern).transpose()?,
        succeeded: form.succeeded,
        code: form.code,
        since: Timestamp::from_micros(form.since),
        until: Timestamp::from_micros(form.until),
    };
    let (event, endpoint, last, is_through) = form.walk;
    let behind = form.behind.into_iter().map(|(no, event)| (EndpointNo(no), EventKey(event))).collect();
    let after = DeliveryKey { event: EventKey(event), endpoint: EndpointNo(endpoint) };
    let (matched, sent, done, failed) = form.counts;
    Ok(Replay {
        no,
        owned: Owned { provider: form.provider.into(), tenant: form.tenant.into() },
        tenant: TenantNo(form.tenant_no),
        filter,
        ids,
        rate: form.rate.map(|bits| Rate::from_bits(bits).ok_or_else(|| unknown("replay"))).transpose()?,
        state: state(form.state)?,
        reason: form.reason.map(reason).transpose()?,
        matched,
        sent,
        done,
        failed,
        asked_at: Timestamp::from_micros(form.asked_at),
        walk: Walk { after, last: EventKey(last), is_through, behind },
        waiting: form.waiting.into_iter().map(|(no, count)| (EndpointNo(no), count)).collect(),
        ended_at: form.ended_at.map(Timestamp::from_micros),
    })
}

fn forms(no: ReplayNo, bytes: &[u8]) -> Result<(ReplayForm<'_>, Ids), Error> {
    match intact("replay", &no.0.to_be_bytes(), bytes)? {
        (VERSION, content) => decode("replay", content).map(|form| (form, Ids::Same)),
        (WITH_NEW_IDS, content) => {
            let (form, (environment, newest)) = decode::<(ReplayForm<'_>, NewIdsForm<'_>)>("replay", content)?;
            let newest = newest.map(|(old, new)| (EventKey(old), EventKey(new)));
            Ok((form, Ids::New(NewIds { environment: environment.into(), newest })))
        }
        _ => Err(unknown_version("replay")),
    }
}

/// The version of a replay that makes new events. Others are written in the version before.
const WITH_NEW_IDS: u8 = 2;

coded!(state_code, state: ReplayState in "replay" { 0 = Running, 1 = Paused, 2 = Done, 3 = Cancelled });
coded!(reason_code, reason: ReplayReason in "replay" { 0 = WebhookInactive, 1 = WebhookDeleted });

//! The record of an attempt that ended and that the index does not have yet.

use bincode::{Decode, Encode};

use super::codec::{close, open};
use crate::domain::id::{AttemptKey, DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::domain::time::Timestamp;
use crate::store::error::Error;

#[derive(Encode, Decode)]
struct EndedForm {
    started_at: u64,
    event: u64,
    endpoint: u32,
    number: u16,
    owner: u32,
}

/// `number` is the attempt's among all that ended, by which its row is found; `owner` is the tenant of its webhook.
pub(in crate::store) fn write_ended(number: u64, attempt: AttemptKey, owner: TenantNo, out: &mut Vec<u8>) {
    let form = EndedForm {
        started_at: attempt.started_at.as_micros(),
        event: attempt.delivery.event.0,
        endpoint: attempt.delivery.endpoint.0,
        number: attempt.number,
        owner: owner.0,
    };
    close(&number.to_be_bytes(), &form, out);
}

pub(in crate::store) fn read_ended(number: u64, bytes: &[u8]) -> Result<(AttemptKey, TenantNo), Error> {
    let form: EndedForm = open("ended", &number.to_be_bytes(), bytes)?;
    let delivery = DeliveryKey { event: EventKey(form.event), endpoint: EndpointNo(form.endpoint) };
    let attempt = AttemptKey { started_at: Timestamp::from_micros(form.started_at), delivery, number: form.number };
    Ok((attempt, TenantNo(form.owner)))
}

//! The records of what a start found wrong.

use bincode::{Decode, Encode};

use super::codec::{close, coded, open, unknown};
use crate::domain::time::Timestamp;
use crate::store::error::Error;
use crate::store::message::finding::{Finding, Kind};

#[derive(Encode, Decode)]
struct FindingForm {
    kind: u8,
    at: u64,
    batches: u64,
    events: u64,
    rows: u64,
    what: Option<String>,
}

pub(in crate::store) fn write_finding(key: u64, finding: &Finding, out: &mut Vec<u8>) {
    let form = FindingForm {
        kind: kind_code(finding.kind),
        at: finding.at.as_micros(),
        batches: finding.batches,
        events: finding.events,
        rows: finding.rows,
        what: finding.what.as_deref().map(ToOwned::to_owned),
    };
    close(&key.to_be_bytes(), &form, out);
}

pub(in crate::store) fn read_finding(key: u64, bytes: &[u8]) -> Result<Finding, Error> {
    let form: FindingForm = open("finding", &key.to_be_bytes(), bytes)?;
    Ok(Finding {
        kind: kind(form.kind)?,
        at: Timestamp::from_micros(form.at),
        batches: form.batches,
        events: form.events,
        rows: form.rows,
        what: form.what.map(Into::into),
    })
}

coded!(kind_code, kind: Kind in "finding" {
    0 = Lost, 1 = Missing, 2 = Emptied, 3 = Zeroed, 4 = Replaced, 5 = Stray, 6 = Foreign, 7 = Rows, 8 = Entries, 9 = Pages,
});

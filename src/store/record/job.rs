//! What is done, piece by piece, to the deliveries that wait for a webhook.

use super::codec::{VERSION, close_as, coded, decode, intact, unknown, unknown_version};
use crate::store::error::Error;

/// A webhook's job and how far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Job {
    pub(in crate::store) task: Task,
    /// The task is for events up to here; later ones know how the webhook stands.
    pub(in crate::store) until: u64,
    /// Deliveries of events up to here end as cancelled; 0: none.
    pub(in crate::store) purged: u64,
    /// Milliseconds, event, endpoint: the last due entry that was looked at; past every one when all were.
    pub(in crate::store) after: [u8; 20],
    /// The last number of the webhook's backlog that was looked at.
    pub(in crate::store) after_number: u64,
    /// Deliveries that ended as cancelled so far.
    pub(in crate::store) cancelled: u64,
}

/// What becomes of a delivery that is not purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) enum Task {
    /// It stays where it is.
    #[default]
    None,
    /// It is parked in the backlog: its webhook was disabled or removed.
    Park,
    /// It ends as failed: its webhook was deleted.
    End,
}

/// In the order of the form.
type Form = (u8, u64, u64, [u8; 20], u64, u64);

/// Of the first version: whether the task is to end, the last due entry, the last event.
type FirstForm = (bool, [u8; 20], u64);

pub(in crate::store) fn write_job(key: &[u8], job: &Job, out: &mut Vec<u8>) {
    let Job { task, until, purged, after, after_number, cancelled } = *job;
    let form: Form = (task_code(task), until, purged, after, after_number, cancelled);
    close_as(JOB_VERSION, key, &form, out);
}

pub(in crate::store) fn read_job(key: &[u8], bytes: &[u8]) -> Result<Job, Error> {
    match intact("job", key, bytes)? {
        (JOB_VERSION, content) => {
            let (code, until, purged, after, after_number, cancelled): Form = decode("job", content)?;
            Ok(Job { task: task(code)?, until, purged, after, after_number, cancelled })
        }
        (VERSION, content) => {
            let (ends, after, until): FirstForm = decode("job", content)?;
            Ok(Job { task: if ends { Task::End } else { Task::Park }, until, after, ..Job::default() })
        }
        _ => Err(unknown_version("job")),
    }
}

coded!(task_code, task: Task in "job" { 0 = None, 1 = Park, 2 = End });

/// A job that may purge; before, one parked or ended.
const JOB_VERSION: u8 = 2;

//! The records of jobs: what is done, piece by piece, to the deliveries that wait for a webhook.

mod replay;

pub(in crate::store) use replay::{read_replay, write_replay};

use super::codec::{VERSION, close_as, coded, decode, intact, unknown, unknown_version};
use crate::store::error::Error;

/// A webhook's job, and how far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Job {
    pub(in crate::store) task: Task,
    /// The task is for events up to this key. Later events already know the webhook's state.
    pub(in crate::store) until: u64,
    /// Deliveries of events up to this key end as cancelled. 0 means none.
    pub(in crate::store) purged: u64,
    /// The key of the last due entry that was looked at (milliseconds, event, endpoint). When all were, it is greater than every
    /// key.
    pub(in crate::store) after: [u8; 20],
    /// The last number of the webhook's backlog that was looked at.
    pub(in crate::store) after_number: u64,
    /// How many deliveries have ended as cancelled so far.
    pub(in crate::store) cancelled: u64,
}

/// What happens to a delivery that is not purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) enum Task {
    /// The delivery stays where it is.
    #[default]
    None,
    /// The delivery is parked in the backlog, since its webhook was disabled or removed.
    Park,
    /// The delivery ends as failed, since its webhook was deleted.
    End,
}

/// The fields in the order of the record.
type Form = (u8, u64, u64, [u8; 20], u64, u64);

/// The fields of the first version: whether the task is to end, the last due entry, the last event.
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

/// The version of a job that may purge. A job of the version before parked or ended deliveries.
const JOB_VERSION: u8 = 2;

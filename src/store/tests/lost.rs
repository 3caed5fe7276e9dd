//! Damaged rows of webhooks and of their jobs: what waited comes to its end all the same.

use ::redb::ReadableDatabase as _;

use super::damage::{damage, is_sound_when_acknowledged};
use super::*;
use crate::domain::id::EndpointNo;
use crate::store::record::key::{DueKey, read_due_key};

/// A store that was killed in the middle of the job that a change of a webhook began, and the job's row is damaged.
fn without_its_job<F, T>(lab: Lab, change: impl FnOnce(Store) -> F) -> Lab
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let stands = |committed: &Committed| !committed.state_changes.is_empty();
    let (lab, stops, let_on) = Lab::stopping_behind(lab.stopped().write(), stands);
    let changed = lab.runtime.spawn(change(lab.store.clone()));
    stops.recv().unwrap();
    let folder = lab.killed().write();
    drop((stops, let_on));
    lab.runtime.block_on(changed).unwrap();
    damage::<u32>(&path(folder.path()), "job");
    let lab = Lab::open(folder).unwrap();
    assert_eq!(lab.store.quarantined(), 1);
    lab
}

fn acknowledged(lab: Lab, no: EndpointNo, expected: [usize; 4]) {
    lab.wait_for(no, expected);
    is_sound_when_acknowledged(&lab.stopped().write());
}

/// How many of a webhook's entries stand in the due table.
fn due_of(store: &Store, no: EndpointNo) -> usize {
    let due = schema::read(&store.reader.database.begin_read().unwrap(), schema::DUE).unwrap();
    let rows = due.range::<&DueKey>(..).unwrap();
    rows.filter(|row| read_due_key(row.as_ref().unwrap().0.value()).1.endpoint == no).count()
}

#[test]
fn what_waits_for_a_deleted_webhook_ends_though_its_job_is_lost() {
    let lab = Lab::new();
    let vault = lab.webhook("vault");
    lab.publish_many("vault.closed", MANY);
    let lab = without_its_job(lab, async move |store| store.by_test().delete_webhook(vault).await.unwrap());
    acknowledged(lab, vault, [0, 0, MANY, 0]);
}

#[test]
fn what_is_due_for_a_disabled_webhook_is_held_though_its_job_is_lost() {
    let lab = Lab::new();
    let books = lab.create("books", "order.*");
    lab.publish_many("order.paid", MANY);
    let lab = without_its_job(lab, async move |store| store.by_test().disable_webhook(books).await.unwrap());
    let deadline = clock::steady() + Duration::from_secs(20);
    while due_of(&lab.store, books) > 0 {
        assert!(clock::steady() < deadline, "{} are due, which nobody brings back", due_of(&lab.store, books));
        std::thread::sleep(Duration::from_millis(5));
    }
    acknowledged(lab, books, [0, 0, 0, MANY]);
}

/// Nobody knows any more where to send it.
#[test]
fn what_waits_for_a_webhook_whose_row_is_lost_ends() {
    let lab = Lab::new();
    lab.publish_many("order.paid", 3);
    let folder = lab.stopped().write();
    damage::<u32>(&path(folder.path()), "endpoint");
    let lab = Lab::open(folder).unwrap();
    let deadline = clock::steady() + Duration::from_secs(20);
    while lab.store.health().pending != 3 {
        assert!(clock::steady() < deadline, "{} wait, and not those of `all` alone", lab.store.health().pending);
        std::thread::sleep(Duration::from_millis(5));
    }
    is_sound_when_acknowledged(&lab.stopped().write());
}

/// More than one slice of a job.
const MANY: usize = 1_200;

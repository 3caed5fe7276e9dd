//! A backup from its snapshot to its place.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use redb::{Builder, Database, ReadTransaction};

use super::copy::{self, Copied, copy_all};
use super::manifest::{hashed, swap};
use super::room::Room;
use super::target::Target;
use crate::domain::time::Timestamp;
use crate::store::error::Error;
use crate::store::files::{failed, unlinked};
use crate::store::message::backup::{Manifest, SealingKey};
use crate::store::record::seal::Sealer;
use crate::store::record::{self, Counters, Follows};
use crate::store::redb::backend::Disk;
use crate::store::redb::boot::trial::{Pages, pages_of};
use crate::store::redb::lazy_txn::Txn;
use crate::store::redb::medium::Medium;
use crate::store::redb::schema::{self, COUNTERS, FOLLOWS, STATE, STORE_VERSION};
use crate::store::redb::site::refused;
use crate::store::redb::tables::Tables;

/// What a backup says of the store that it is of.
#[derive(Clone, Copy)]
pub(in crate::store) struct Of<'a> {
    pub(in crate::store) sealer: &'a Sealer,
    /// When the snapshot was taken.
    pub(in crate::store) taken_at: Timestamp,
}

/// Is told of each piece of the work, and may end it.
pub(in crate::store) trait Watch {
    /// So many rows are to be copied.
    fn expect(&mut self, rows: u64);

    /// So many rows more were copied. An error ends the backup.
    fn copied(&mut self, rows: u64) -> Result<(), Error>;
}

/// Writes a snapshot to its target and puts it into its place. On an error nothing is left of it, and what stood there stays.
pub(in crate::store) fn take(
    snapshot: &ReadTransaction,
    target: Target,
    of: Of<'_>,
    room: Room,
    watch: &mut dyn Watch,
) -> Result<Manifest, Error> {
    let copied = write(snapshot, &target.fresh, Journaling::None, room, watch)?;
    compare_pages(&target.fresh, watch)?;
    let (bytes, sha256) = hashed(&target.fresh, &mut |_| watch.copied(0))?;
    let manifest = manifest_of(snapshot, of, copied, (bytes, sha256))?;
    swap(&target.path, &manifest)?;
    target.keep();
    Ok(manifest)
}

/// What a copy says of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Journaling {
    /// The copy needs no journal, and no journal beside it is applied to it, wherever it is put.
    None,
    /// What the snapshot says: the copy takes the place of its file.
    AsItIs,
}

/// Writes a snapshot to a file that is there and empty. It is on disk when this returns.
pub(in crate::store) fn write(
    snapshot: &ReadTransaction,
    fresh: &Path,
    journaling: Journaling,
    room: Room,
    watch: &mut dyn Watch,
) -> Result<Copied, Error> {
    watch.expect(copy::count(snapshot)?);
    let mut database = small_database(fresh)?;
    let mut bounded = |rows| room.during(fresh).and_then(|()| watch.copied(rows));
    let copied = copy_all(snapshot, &database, &mut bounded)?;
    match journaling {
        Journaling::None => follow_none(&database)?,
        // Pages that one commit freed for the next leave holes, and the file grows by doubling.
        Journaling::AsItIs => _ = database.compact()?,
    }
    database.close()?;
    let synced = fs::File::open(fresh).and_then(|file| file.sync_all());
    synced.map_err(|cause| failed("sync", fresh, cause))?;
    Ok(copied)
}

/// Fails unless every page of a copy has its checksum. The thread that compares them may outlive an end of the backup, since redb
/// cannot be interrupted there.
pub(in crate::store) fn compare_pages(copy: &Path, watch: &mut dyn Watch) -> Result<(), Error> {
    let (path, (tell, told)) = (copy.to_owned(), mpsc::channel());
    let compare = move || drop(tell.send(pages_of(&path, CACHE_BYTES)));
    let started = thread::Builder::new().name("backup-pages".into()).spawn(compare);
    started.map_err(|cause| failed("start a thread to read", copy, cause))?;
    loop {
        match told.recv_timeout(LOOK) {
            Ok(pages) => return pages?.demand_whole(copy),
            Err(RecvTimeoutError::Timeout) => watch.copied(0)?,
            Err(RecvTimeoutError::Disconnected) => return Pages::Unknown.demand_whole(copy),
        }
    }
}

/// Names a run of its own, which writes no journal.
fn follow_none(database: &Database) -> Result<(), Error> {
    let txn = Txn::of(database);
    let mut tables = Tables::of(&txn, Default::default());
    tables.put_twice(FOLLOWS, &Follows { run: getrandom::u64()?, before: 0, open: false }, record::write_follows)?;
    drop(tables);
    txn.commit()
}

/// A database that takes little memory, since a service runs beside it.
fn small_database(path: &Path) -> Result<Database, Error> {
    let file = unlinked().read(true).write(true).open(path).map_err(|cause| failed("open", path, cause))?;
    let disk = Disk::new(file, &Medium::default()).map_err(|cause| refused(path, cause))?;
    let opened = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(disk);
    opened.map_err(|cause| refused(path, cause))
}

fn manifest_of(snapshot: &ReadTransaction, of: Of<'_>, copied: Copied, file: (u64, String)) -> Result<Manifest, Error> {
    let (bytes, sha256) = file;
    Ok(Manifest {
        format: Manifest::FORMAT,
        hookwheel: env!("CARGO_PKG_VERSION").into(),
        store_version: STORE_VERSION,
        taken_at: of.taken_at.rfc3339_micros(),
        bytes,
        sha256,
        events: copied.rows.get("event").copied().unwrap_or(0),
        pending: counters(snapshot)?.pending,
        tables: copied.rows,
        damaged: copied.damaged,
        sealing_key: sealing_key(of.sealer),
    })
}

pub(in crate::store) fn sealing_key(sealer: &Sealer) -> SealingKey {
    SealingKey { included: false, fingerprint: sealer.fingerprint().into(), file: sealer.source().display().to_string() }
}

/// The counters of a snapshot; zeros where they are damaged.
pub(in crate::store) fn counters(snapshot: &ReadTransaction) -> Result<Counters, Error> {
    let row = schema::read(snapshot, STATE)?.get(COUNTERS)?;
    Ok(row.and_then(|row| record::read_counters(&[COUNTERS], row.value()).ok()).unwrap_or_default())
}

/// Enough for the pages that a piece of rows in order touches.
const CACHE_BYTES: usize = 16 << 20;

/// How long the pages of a copy are compared between two looks at the watch.
const LOOK: Duration = Duration::from_millis(50);

//! A new store: made under another name and moved into place when it is whole.
//!
//! The file under the other name is made first and is the sign that a store is being made. So a crash in between leaves nothing that
//! looks like a store that lost its file, which is refused: its disk may be mounted elsewhere.

use std::fs;
use std::path::Path;

use redb::Database;

use crate::store::error::Error;
use crate::store::files::{failed, private, sync_folder, with_suffix};
use crate::store::record::seal::Sealer;
use crate::store::record::{self, Follows, Meta};
use crate::store::redb::journal::file;
use crate::store::redb::lazy_txn::Txn;
use crate::store::redb::schema::{FOLLOWS, IDENTITY, JOURNAL_ID, META, SEAL, SECOND, STORE_VERSION};
use crate::store::redb::site::{KEY, SEAL_TEXT, Site, VERSION, database, write_version};
use crate::store::redb::tables::{self, Tables};

/// Makes the store of a site, where none is.
pub(in crate::store) fn make(site: Site<'_>) -> Result<(Database, Sealer, Meta), Error> {
    let Site { path, credentials, medium } = site;
    let fresh = with_suffix(path, FRESH);
    if !fresh.exists() {
        refuse_remains(path)?;
    }
    let database = database(&fresh, medium, private().create(true).truncate(true))?;
    sync_folder(path)?;
    let sealer = Sealer::load(path, credentials, true)?;
    let meta = found(&database, &sealer)?;
    write_version(path)?;
    fs::rename(&fresh, path).map_err(|cause| failed("move into place", &fresh, cause))?;
    sync_folder(path)?;
    Ok((database, sealer, meta))
}

/// Where files of a store stand, the store itself is elsewhere.
fn refuse_remains(path: &Path) -> Result<(), Error> {
    let beside = [file::path(path), with_suffix(path, KEY), with_suffix(path, VERSION)];
    let stands = beside.into_iter().find(|beside| beside.exists());
    stands.map_or(Ok(()), |beside| Err(Error::StoreMissing { path: path.into(), beside }))
}

/// Writes who the store is into its empty file.
pub(in crate::store) fn found(database: &Database, sealer: &Sealer) -> Result<Meta, Error> {
    let meta = Meta { store_version: STORE_VERSION, node: getrandom::u64()? };
    let txn = Txn::of(database);
    tables::create_all(&txn)?;
    put_identity(&txn, meta, &sealer.seal(SEAL_TEXT.as_bytes(), SEAL_TEXT)?, getrandom::u64()?)?;
    let mut tables = Tables::of(&txn, Default::default());
    tables.put_twice(FOLLOWS, &Follows { run: getrandom::u64()?, before: 0, open: false }, record::write_follows)?;
    tables.put_counters(&record::Counters { waiting: Some(0), ..Default::default() }, 0)?;
    drop(tables);
    txn.commit()?;
    Ok(meta)
}

/// Each of these rows twice: nothing else tells what they say.
pub(in crate::store) fn put_identity(txn: &Txn<'_>, meta: Meta, seal: &[u8], journal: u64) -> Result<(), Error> {
    let mut table = txn.get()?.open_table(META)?;
    let mut bytes = Vec::new();
    for more in [0, SECOND] {
        record::write_meta(&[IDENTITY + more], &meta, &mut bytes);
        table.insert(IDENTITY + more, &*bytes)?;
        record::write_bytes(&[SEAL + more], &seal.to_vec(), &mut bytes);
        table.insert(SEAL + more, &*bytes)?;
        record::write_number(&[JOURNAL_ID + more], &journal, &mut bytes);
        table.insert(JOURNAL_ID + more, &*bytes)?;
    }
    Ok(())
}

/// Behind the path of a store that is being made.
const FRESH: &str = ".new";

//! Rows of tenants that are gone.

use redb::{Database, ReadableDatabase, ReadableTable};

use super::derive::webhooks;
use crate::domain::id::TenantNo;
use crate::store::Tenant;
use crate::store::error::Error;
use crate::store::record;
use crate::store::redb::lazy_txn::Txn;
use crate::store::redb::schema::TENANT;

/// Tenants whose rows are gone come back from their webhooks, which name them.
pub(in crate::store) fn mend_tenants(database: &Database) -> Result<u64, Error> {
    let webhooks = webhooks(&database.begin_read()?)?;
    let lazy = Txn::of(database);
    let (mut bytes, mut put) = (Vec::new(), 0);
    {
        let mut table = lazy.get()?.open_table(TENANT)?;
        for facts in webhooks.values().filter(|facts| facts.tenant_no != TenantNo(0)) {
            let no = facts.tenant_no;
            if table.get(no.0)?.is_none() {
                record::write_tenant(no, &Tenant::new(facts.owned.clone(), None), &mut bytes);
                table.insert(no.0, &*bytes)?;
                put += 1;
            }
        }
    }
    lazy.commit()?;
    Ok(put)
}

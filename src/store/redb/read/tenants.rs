//! Tenants as lists show them, read from their table: memory knows of most no more than their numbers.

use std::ops::Bound;

use redb::ReadableDatabase;

use super::Reader;
use super::snapshot::LOOK;
use crate::domain::id::TenantNo;
use crate::store::error::{Error, intact};
use crate::store::message::tenant::{Tenant, TenantFilter, TenantPage};
use crate::store::redb::schema::{self, TENANT};
use crate::store::{ALL_TENANTS, OPERATOR_PROVIDER, Owned, record};

impl Reader {
    /// One tenant. `None` when there is none.
    pub(crate) fn tenant(&self, owned: &Owned) -> Result<Option<Tenant>, Error> {
        let Some(no) = self.shared.registry().tenant(&owned.provider, &owned.tenant) else { return Ok(None) };
        let txn = self.database.begin_read()?;
        let row = schema::read(&txn, TENANT)?.get(no.0)?.map(|row| record::read_tenant(no, row.value()));
        intact(row)
    }

    /// The tenants that a filter leaves, oldest first, after one of them. It looks at [`LOOK`] at most, then says where it came to.
    pub(crate) fn tenants(&self, filter: &TenantFilter, after: TenantNo, limit: usize) -> Result<TenantPage, Error> {
        let (txn, mut page) = (self.database.begin_read()?, TenantPage::default());
        let behind = (Bound::Excluded(after.0), Bound::Unbounded);
        let mut last = after;
        for (looked, row) in schema::read(&txn, TENANT)?.range::<u32>(behind)?.enumerate() {
            if page.tenants.len() == limit || looked == LOOK {
                page.next = Some(last);
                break;
            }
            let (no, row) = row?;
            last = TenantNo(no.value());
            let read = intact(Some(record::read_tenant(last, row.value())))?;
            page.tenants
                .extend(read.filter(|tenant| is_somebody(&tenant.owned) && filter.takes(tenant)).map(|read| (last, read)));
        }
        Ok(page)
    }
}

/// Whether it is a customer: rows also stand for all tenants of a provider, and for the operator.
fn is_somebody(owned: &Owned) -> bool {
    *owned.tenant != *ALL_TENANTS && *owned.provider != *OPERATOR_PROVIDER
}

//! The tenants that have a retention of their own, as the writer's memory holds them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::id::{EventKey, TenantNo};
use crate::store::Tenant;

/// What the writer knows of the tenants that have a retention of their own between commits; some 40 bytes each.
#[derive(Debug, Default)]
pub(in crate::store) struct Ages {
    pub(in crate::store::redb) own: BTreeMap<TenantNo, Age>,
    /// The tenants that the pass under way has not looked at, the next one last.
    pub(in crate::store::redb) left: Vec<TenantNo>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::redb) struct Age {
    /// `None`: it was taken away, and the pass that follows from that is not at its end.
    pub(in crate::store::redb) retention: Option<Duration>,
    /// The newest event that was looked at.
    pub(in crate::store::redb) swept: EventKey,
}

impl Ages {
    /// Takes over what a tenant's row says; true when its events are to be looked at.
    pub(in crate::store) fn note(&mut self, no: TenantNo, tenant: &Tenant) -> bool {
        // The events of a tenant that is being deleted go whatever their age.
        let Some(swept) = tenant.aged.filter(|_| tenant.deletion.is_none()) else {
            self.own.remove(&no);
            return false;
        };
        let age = Age { retention: tenant.profile.retention, swept };
        let before = self.own.insert(no, age);
        let begins = before.is_none_or(|before| before.retention != age.retention);
        if begins {
            self.left.push(no);
        }
        begins
    }

    /// The retention of a tenant, where it has one of its own.
    pub(in crate::store) fn of(&self, no: TenantNo) -> Option<Duration> {
        self.own.get(&no)?.retention
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// Goes through all of the tenants that have a retention of their own, unless a pass is under way.
    pub(in crate::store::redb) fn begin(&mut self) {
        if self.left.is_empty() {
            self.left.extend(self.own.keys());
        }
    }
}

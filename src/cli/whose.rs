//! Whose webhooks or deliveries a list shows: those of one tenant, of all tenants of a provider, or of everyone.

use clap::Args;

use super::args::Target;
use super::client::{Error, Service};
use super::output::hint::Hint;
use super::output::table::{Column, table, without};

/// `--all`, or a tenant as in [`Target`].
#[derive(Args, Clone, Debug)]
pub(crate) struct Whose {
    /// Of all tenants
    #[arg(long, conflicts_with = "tenant")]
    all: bool,

    #[command(flatten)]
    target: Target,
}

impl Whose {
    /// The service; a list names its tenant in the query.
    pub(crate) fn service(&self) -> Result<Service, Error> {
        self.target.reach.service()
    }

    /// The service, for a call that names its tenant in a header; `None`: it is about everyone.
    pub(crate) fn service_for(&self, tenant: Option<&str>) -> Result<Service, Error> {
        self.target.reach.service_for(tenant)
    }

    /// The tenant or provider that the list is about, the default one where none was named; `None`: it is about everyone.
    pub(crate) fn tenant(&self) -> Option<&str> {
        (!self.all).then(|| self.target.tenant())
    }

    /// The tenant or provider that was typed.
    pub(crate) fn named(&self) -> Option<&str> {
        self.target.tenant.as_deref()
    }

    /// The same list without filters.
    pub(crate) fn hint(&self, list: &str) -> Hint {
        if self.all { Hint::service(format!("{list} --all")) } else { Hint::tenants(list) }
    }

    /// What is said of an empty list of `things`, which is a plural.
    pub(crate) fn has_no(&self, things: &str) -> String {
        self.tenant().map_or_else(|| format!("there are no {things}"), |tenant| format!("{tenant} has no {things}"))
    }
}

/// Whether all rows of a list are of one tenant.
pub(crate) fn is_one(tenant: Option<&str>) -> bool {
    tenant.is_some_and(|tenant| !tenant.ends_with("/*"))
}

/// Rows under their headings; the column [`TENANT`] is there unless all rows are of one tenant.
pub(crate) fn listed(columns: &[Column], rows: Vec<Vec<String>>, tenant: Option<&str>, width: Option<usize>) -> String {
    if !is_one(tenant) {
        return table(columns, &rows, width);
    }
    let (columns, rows) = without(TENANT, columns, rows);
    table(&columns, &rows, width)
}

/// The heading of the column that says whose a row is.
pub(crate) const TENANT: &str = "TENANT";

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 2] = [Column::kept("ID"), Column::text(TENANT, 1)];

    #[test]
    fn rows_of_one_tenant_do_not_name_it() {
        let rows = || vec![vec!["wh_1".to_owned(), "acme/t1".to_owned()]];
        let shown = |tenant| listed(&COLUMNS, rows(), tenant, None);
        assert_eq!(shown(Some("acme/t1")), "ID\nwh_1");
        for many in [Some("acme/*"), None] {
            assert_eq!(shown(many), "ID    TENANT\nwh_1  acme/t1");
        }
    }
}

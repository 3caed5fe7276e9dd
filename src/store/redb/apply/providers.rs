//! What the API says of providers, inside the writer.

use redb::ReadableTable;

use crate::domain::provider::{ProviderChange, ProviderSettings};
use crate::store::error::{Error, intact};
use crate::store::message::audit::{Origin, shown};
use crate::store::record;
use crate::store::redb::batch::Batch;

impl Batch<'_, '_> {
    /// Changes what the API says of a provider.
    pub(in crate::store) fn set_provider(
        &mut self,
        name: &str,
        change: ProviderChange,
        by: &Origin,
    ) -> Result<ProviderSettings, Error> {
        let row = name.as_bytes();
        // The row may be of this batch. A damaged one says nothing.
        let kept = self.tables.provider()?.get(row)?.map(|value| record::read_provider(row, value.value()));
        let before = intact(kept)?.unwrap_or_default();
        let after = before.with(change);
        let mut bytes = Vec::new();
        record::write_provider(row, &after, &mut bytes);
        self.tables.provider()?.insert(row, &*bytes)?;
        self.audit(by, shown::provider(name, &before, &after))?;
        let (shared, name) = (self.shared.clone(), Box::<str>::from(name));
        self.answer(move || shared.registry_mut().put_provider(name, after));
        Ok(after)
    }
}

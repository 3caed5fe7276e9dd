//! Which of a provider's tenants a request is about: the one of its key, or what the `Hookwheel-Tenant` header names.

use http::HeaderMap;

use crate::api::response::problem::Problem;
use crate::domain::id::is_name;
use crate::domain::id::uid::is_id_or_uid;

/// The tenants that a request is about, of the provider that its caller acts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A provider's key without the header: the request itself may name a tenant.
    Unnamed,
    /// `PROVIDER/*`: all tenants of the provider.
    All,
    Tenant(Box<str>),
}

impl Target {
    /// The one tenant, if there is one.
    pub(crate) fn tenant(&self) -> Option<&str> {
        match self {
            Self::Unnamed | Self::All => None,
            Self::Tenant(tenant) => Some(tenant),
        }
    }

    /// `None` stands for all tenants, as [`target_parts`] reads it.
    fn of(tenant: Option<&str>) -> Self {
        tenant.map_or(Self::All, |tenant| Self::Tenant(tenant.into()))
    }
}

/// The provider and the tenants that the header names; `None` without the header.
pub(crate) fn named(headers: &HeaderMap) -> Result<Option<(&str, Target)>, Problem> {
    let Some(value) = headers.get(TARGET) else { return Ok(None) };
    let parts = value.to_str().ok().and_then(target_parts);
    let (provider, tenant) = parts.ok_or_else(|| Problem::Malformed(format!("{TARGET} is not PROVIDER/TENANT or PROVIDER/*")))?;
    Ok(Some((provider, Target::of(tenant))))
}

/// `PROVIDER/TENANT`, by the tenant's id or uid, or `PROVIDER/*` for all of them, of which the tenant is `None`.
pub(crate) fn target_parts(target: &str) -> Option<(&str, Option<&str>)> {
    let (provider, tenant) = target.trim().split_once('/')?;
    let tenant = (tenant != "*").then_some(tenant);
    (is_name(provider) && tenant.is_none_or(is_id_or_uid)).then_some((provider, tenant))
}

/// The header that names a target.
pub(crate) const TARGET: &str = "Hookwheel-Tenant";

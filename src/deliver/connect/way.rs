//! The way of a connection besides its target: what decides whether a kept connection may be used for another request.

use std::sync::Arc;

use crate::domain::webhook::egress::{Egress, OwnTls};

/// By which way a connection goes. The default is the way of a webhook that says nothing about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Way {
    /// The certificate that is shown, and whom the webhook trusts besides.
    pub(super) tls: Option<Arc<OwnTls>>,
}

impl Way {
    /// The way of a webhook's attempts.
    pub(crate) fn new(egress: Option<&Egress>) -> Self {
        Self { tls: egress.and_then(|egress| egress.tls.clone()) }
    }
}

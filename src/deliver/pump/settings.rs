//! What all attempts are made with.

use std::sync::Arc;

use tracing::{info, warn};

use crate::clock;
use crate::deliver::connect::Connector;
use crate::deliver::queues::Limits;
use crate::deliver::seldom::Seldom;
use crate::domain::webhook::egress::ByProxy;
use crate::domain::webhook::target::Guard;

/// The settings of attempts. They are replaced as a whole by a reload, and when a file that the connector was made of has
/// changed.
pub(crate) struct Settings {
    pub(crate) connector: Connector,
    pub(crate) guard: Guard,
    pub(crate) limits: Limits,
    pub(crate) response_capture: usize,
    /// What the attempts of webhooks go through that say nothing about it.
    pub(crate) proxy: Option<Arc<ByProxy>>,
    /// Whether plain http is allowed for dialects that ask for https.
    pub(crate) danger_allow_http: bool,
}

impl Settings {
    /// If a file of the connector has changed: these settings, and the same settings with a new connector. `None` when no file
    /// has changed, or when the new content cannot be used.
    pub(super) fn renewed(self: Arc<Self>) -> Option<(Arc<Self>, Self)> {
        static SAID: Seldom = Seldom::new();
        let path = self.connector.outdated_by()?;
        match self.connector.renewed() {
            Ok(connector) => {
                info!("{} has changed and was read again", path.display());
                let Self { guard, limits, response_capture, proxy, danger_allow_http, .. } = &*self;
                let renewed = Self {
                    connector,
                    guard: guard.clone(),
                    limits: *limits,
                    response_capture: *response_capture,
                    proxy: proxy.clone(),
                    danger_allow_http: *danger_allow_http,
                };
                Some((self, renewed))
            }
            Err(cause) => {
                if SAID.is_time(clock::steady()) {
                    warn!("{} has changed and cannot be used, so what it held before still counts: {cause}", path.display());
                }
                None
            }
        }
    }
}

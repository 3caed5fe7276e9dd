//! The way of a connection besides its target: what decides whether a kept connection may be used for another request.

use std::sync::Arc;

use crate::domain::webhook::egress::{ByProxy, Egress, OwnTls, Proxy, TlsId};

/// By which way a connection goes. The default is the way of a webhook that says nothing about it, straight to the endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Way {
    /// The certificate that is shown, and whom the webhook trusts besides.
    pub(super) tls: Option<Arc<OwnTls>>,
    by: Option<Arc<ByProxy>>,
}

impl Way {
    /// The way of a webhook's attempts. `for_all` is what the config says for every webhook.
    pub(crate) fn new(egress: Option<&Egress>, for_all: Option<&Arc<ByProxy>>) -> Self {
        let Some(egress) = egress else { return Self { tls: None, by: for_all.cloned() } };
        Self { tls: egress.tls.clone(), by: egress.proxy.as_ref().or(for_all).cloned() }
    }

    /// Tells apart the client certificates that are shown by this way, and whom it trusts. `None` for the service's own TLS.
    pub(in crate::deliver) fn tls_id(&self) -> Option<TlsId> {
        self.tls.as_ref().map(|tls| tls.id())
    }

    pub(super) fn proxy(&self) -> Option<&Proxy> {
        match self.by.as_deref() {
            Some(ByProxy::Through(proxy)) => Some(proxy),
            Some(ByProxy::Straight) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::settings::{Setting, WebhookSettings};

    #[test]
    fn a_webhooks_own_word_goes_before_the_words_for_all() {
        let proxy = |text: &str| Arc::new(ByProxy::Through(Proxy::parse(text).expect("a proxy")));
        let (for_all, own) = (proxy("http://all.test:1"), proxy("http://own.test:1"));
        let through = |setting: Option<&str>| {
            let changes: Vec<_> = setting.iter().map(|json| Setting::read("proxy", json).expect("valid")).collect();
            let settings = WebhookSettings::none().with(&changes);
            Way::new(settings.egress.as_deref(), Some(&for_all)).proxy().cloned().map(ByProxy::Through)
        };
        assert_eq!(through(None).as_ref(), Some(&*for_all));
        assert_eq!(through(Some("\"http://own.test:1\"")).as_ref(), Some(&*own));
        assert_eq!(through(Some("\"none\"")), None);
        assert!(Way::new(None, None) == Way::default() && Way::new(None, Some(&for_all)) != Way::default());
    }
}

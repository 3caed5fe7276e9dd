//! Connections: spans of time in which deliveries go to the URLs that webhooks had when it opened.

use crate::domain::id::EndpointNo;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::Denied;
use crate::store::message::session::{Connection, NewConnection};

/// A connection that pins the URLs of a tenant's webhooks, of one name where a link says so.
pub(in crate::store) fn opened<'e>(
    webhooks: impl Iterator<Item = &'e Endpoint>,
    link: Option<Box<str>>,
    now: Timestamp,
) -> Connection {
    let is_pinned =
        |endpoint: &&Endpoint| endpoint.is_subscribed() && link.as_ref().is_none_or(|link| *link == endpoint.definition.name);
    let urls = webhooks.filter(is_pinned).map(|endpoint| (endpoint.no, endpoint.definition.url.clone())).collect();
    Connection { opened_at: now, used_at: now, link, urls }
}

/// Opens a connection. One with a link pins a webhook, or is refused.
pub(in crate::store) fn open<'e>(
    new: &NewConnection,
    webhooks: impl Iterator<Item = &'e Endpoint>,
    now: Timestamp,
) -> Result<Connection, Denied> {
    let opened = opened(webhooks, new.link.clone(), now);
    let pins_nothing = opened.urls.is_empty() && opened.link.is_some();
    if pins_nothing { Err(Denied::NoWebhook) } else { Ok(opened) }
}

/// Opens a connection that is open: with the same link it stays as it is.
pub(in crate::store) fn reopened(open: Connection, new: &NewConnection) -> Result<Connection, Denied> {
    if open.link == new.link { Ok(open) } else { Err(Denied::ConnectionOpen(new.id.clone())) }
}

/// A connection that an event has named.
pub(in crate::store) fn used(open: Connection, now: Timestamp) -> Connection {
    Connection { used_at: now, ..open }
}

/// The URL that a connection keeps for a webhook, unless that was out of the config file since the connection opened.
pub(in crate::store) fn pin<'c>(connection: &'c Connection, no: EndpointNo, endpoint: Option<&Endpoint>) -> Option<&'c str> {
    let counts = endpoint.is_some_and(|endpoint| connection.opened_at >= endpoint.pins_from);
    connection.url(no).filter(|_| counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::endpoint::Definition;
    use crate::domain::webhook::endpoint::fixture::endpoint;
    use crate::store::Owned;

    const NOW: Timestamp = Timestamp::from_secs(50);
    const LATER: Timestamp = Timestamp::from_secs(60);

    fn named(no: u32, name: &str) -> Endpoint {
        let known = endpoint(&["*"]);
        let definition = Definition { name: name.into(), url: format!("https://{name}/").into(), ..known.definition.clone() };
        Endpoint { no: EndpointNo(no), definition, ..known }
    }

    fn new(link: Option<&str>) -> NewConnection {
        let owned = Owned { provider: "acme".into(), tenant: "t1".into() };
        NewConnection { owned, id: "c1".into(), link: link.map(Into::into) }
    }

    /// The webhooks that a connection pins.
    fn pinned(connection: &Connection) -> Vec<u32> {
        connection.urls.iter().map(|(no, _)| no.0).collect()
    }

    #[test]
    fn a_connection_pins_all_that_can_be_matched() {
        let webhooks = [named(1, "a"), named(2, "b"), named(3, "c").removed(NOW)];
        assert_eq!(pinned(&opened(webhooks.iter(), None, NOW)), [1, 2]);
        assert_eq!(pinned(&opened(webhooks.iter(), Some("b".into()), NOW)), [2]);
    }

    #[test]
    fn a_link_that_names_no_webhook_is_refused() {
        let webhooks = [named(1, "a")];
        assert_eq!(open(&new(Some("b")), webhooks.iter(), NOW), Err(Denied::NoWebhook));
        assert_eq!(open(&new(Some("a")), webhooks.iter(), NOW).map(|opened| pinned(&opened)), Ok(vec![1]));
        assert_eq!(open(&new(None), [].iter(), NOW).map(|opened| pinned(&opened)), Ok(vec![]), "it pins what there is");
    }

    #[test]
    fn one_that_is_open_stays_as_it_is() {
        let before = opened([named(1, "a")].iter(), None, NOW);
        assert_eq!(reopened(before.clone(), &new(None)), Ok(before.clone()));
        assert_eq!(reopened(before, &new(Some("a"))), Err(Denied::ConnectionOpen("c1".into())));
    }

    #[test]
    fn an_event_keeps_a_connection_open_with_its_urls() {
        let before = opened([named(1, "a")].iter(), None, NOW);
        let after = used(before.clone(), LATER);
        assert_eq!((after.opened_at, after.used_at, &after.urls), (NOW, LATER, &before.urls));
    }

    #[test]
    fn a_pin_counts_until_its_webhook_was_out_of_the_file() {
        let connection = opened([named(1, "a")].iter(), None, NOW);
        let moved = named(1, "b");
        assert_eq!(pin(&connection, EndpointNo(1), Some(&moved)), Some("https://a/"));
        assert_eq!(pin(&connection, EndpointNo(1), Some(&moved.removed(LATER).restored())), None);
        assert_eq!(pin(&connection, EndpointNo(2), Some(&named(2, "c"))), None, "it was made later");
        assert_eq!(pin(&connection, EndpointNo(1), None), None, "it is gone");
    }
}

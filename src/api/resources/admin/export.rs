//! `GET /v1/admin/export`: all that another relay would need to go on, a piece at a time.
//!
//! Each piece is read in a snapshot of its own, so that a long export holds no old state of the store. A line shows its object as it is
//! when the line is made. The history ends with the newest event of the moment when its first piece was asked for.

pub(in crate::api) mod records;

use std::fmt;

use http::StatusCode;
use serde::Serialize;

use crate::api::document;
use crate::api::document::backup::export::{Page, PageKind};
use crate::api::request::context::Context;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::config::checked::DEFAULT_OWNER;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::domain::tenant::Profile;
use crate::store::{HistoryRow, OPERATOR_PROVIDER, Owners, Tenant, TenantFilter, WebhookFilter};

/// `?cursor=` goes on where the answer before ended, `?secrets=true` shows keys, secrets and credentials, `?log=false` leaves out events
/// and deliveries.
pub(crate) async fn export(context: &Context<'_>) -> Result<Reply, Problem> {
    let mut query = context.query(&["cursor", "secrets", "log"]);
    let place = query.read_with("cursor", "is no cursor of an export", Place::parse).unwrap_or(Place::Providers(None));
    let secrets = query.boolean("secrets").unwrap_or_default();
    let log = query.boolean("log").unwrap_or(true);
    query.finish()?;
    let mut export = Export { context, secrets, log, lines: Vec::new() };
    let next = export.piece(place).await?;
    let events = context.api.store.health().events;
    export.line(&Page { kind: PageKind::Only, next: next.map(|place| place.to_string()), events });
    let room = Reply::room(export.lines.len(), &context.rooms()).await?;
    Ok(Reply::ndjson(StatusCode::OK, export.lines, room))
}

/// Where a piece begins.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Behind the provider of this name with its event types.
    Providers(Option<Box<str>>),
    Tenants(TenantNo),
    /// Behind the key with this id.
    Keys(Box<str>),
    Webhooks(EndpointNo),
    /// Before the first event.
    Events,
    /// The history behind a row, of events up to the newest one of when it began.
    History {
        after: DeliveryKey,
        until: EventKey,
    },
}

/// One piece that is made.
struct Export<'a> {
    context: &'a Context<'a>,
    secrets: bool,
    log: bool,
    lines: Vec<u8>,
}

impl Export<'_> {
    /// Adds the lines of a piece, and answers where the next one begins. `None`: there is none.
    async fn piece(&mut self, place: Place) -> Result<Option<Place>, Problem> {
        match place {
            Place::Providers(after) => Ok(Some(self.provider(after.as_deref()))),
            Place::Tenants(after) => self.tenants(after).await.map(Some),
            Place::Keys(after) => Ok(Some(self.keys(&after))),
            Place::Webhooks(after) => self.webhooks(after).await,
            Place::Events => self.begin_history().await,
            Place::History { after, until } => self.history(after, until).await,
        }
    }

    fn line(&mut self, line: &impl Serialize) {
        document::write(line, &mut self.lines);
        self.lines.push(b'\n');
    }

    /// The next provider by name, with what the API said of it and its own event types.
    fn provider(&mut self, after: Option<&str>) -> Place {
        let names = self.context.settings.providers().map(|provider| &*provider.name);
        let Some(name) = names.filter(|name| after.is_none_or(|after| *name > after)).min() else {
            return Place::Tenants(TenantNo(0));
        };
        let added = self.context.api.store.added(name);
        records::provider(name, &added.settings).iter().for_each(|line| self.line(line));
        added.catalogue.iter().for_each(|known| self.line(&records::event_type(name, known)));
        Place::Providers(Some(name.into()))
    }

    async fn tenants(&mut self, after: TenantNo) -> Result<Place, Problem> {
        let found = self.context.api.store.tenants(TenantFilter::default(), after, ROWS).await?;
        let told = found.tenants.iter().map(|(_, tenant)| tenant).filter(|tenant| is_told(tenant));
        told.for_each(|tenant| self.line(&records::tenant(tenant)));
        Ok(found.next.map_or(Place::Keys("".into()), Place::Tenants))
    }

    /// Keys stand in an export with secrets alone: the hash of a key opens what the key does wherever it is imported.
    fn keys(&mut self, after: &str) -> Place {
        if !self.secrets {
            return Place::Webhooks(EndpointNo(0));
        }
        let keys = self.context.api.store.keys();
        let behind = keys.iter().filter(|key| *key.id > *after).take(ROWS);
        let told: Vec<_> = behind.collect();
        told.iter().for_each(|key| self.line(&records::key(key)));
        let last = told.last().filter(|_| told.len() == ROWS);
        last.map_or(Place::Webhooks(EndpointNo(0)), |key| Place::Keys(key.id.clone()))
    }

    async fn webhooks(&mut self, after: EndpointNo) -> Result<Option<Place>, Problem> {
        let filter = WebhookFilter { of: Owners::All, name: None, uid: None, failing: None, metadata: Vec::new() };
        let found = self.context.api.store.webhooks_where(filter, after, WEBHOOKS).await?;
        let told = found.views.iter().map(|view| &view.endpoint).filter(|endpoint| *endpoint.provider != *OPERATOR_PROVIDER);
        told.for_each(|endpoint| self.line(&records::webhook(endpoint, self.secrets)));
        Ok(found.next.map(Place::Webhooks).or(self.log.then_some(Place::Events)))
    }

    async fn begin_history(&mut self) -> Result<Option<Place>, Problem> {
        let store = &self.context.api.store;
        store.settle().await?;
        let until = store.newest_event().await?;
        self.history(DeliveryKey { event: EventKey::MIN, endpoint: EndpointNo(0) }, until).await
    }

    async fn history(&mut self, after: DeliveryKey, until: EventKey) -> Result<Option<Place>, Problem> {
        let store = &self.context.api.store;
        let piece = store.history(after, until, HISTORY_BYTES).await?;
        for row in &piece.rows {
            match row {
                HistoryRow::Event { event, content, deliveries } => self.line(&records::event(event, *content, *deliveries)),
                HistoryRow::Delivery { delivery, event, endpoint, attempts } => {
                    self.line(&records::delivery(store.node(), delivery, event, endpoint, attempts));
                }
            }
        }
        Ok(piece.next.map(|after| Place::History { after, until }))
    }
}

/// Whether a tenant has a line: what the config file lists, or listed, is the file's, and the default tenant is always there.
fn is_told(tenant: &Tenant) -> bool {
    let is_default = (&*tenant.owned.provider, &*tenant.owned.tenant) == (DEFAULT_OWNER, DEFAULT_OWNER);
    let says_nothing = is_default && tenant.profile == Profile::default();
    !tenant.is_from_file() && !tenant.has_left_file() && tenant.deletion.is_none() && !says_nothing
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let (part, rest) = text.split_once('-')?;
        Some(match part {
            "providers" => Self::Providers(Some(rest.into())),
            "tenants" => Self::Tenants(TenantNo(rest.parse().ok()?)),
            "keys" => Self::Keys(rest.into()),
            "webhooks" => Self::Webhooks(EndpointNo(rest.parse().ok()?)),
            "events" => Self::Events,
            "history" => {
                let mut numbers = rest.split('-');
                let mut next = || numbers.next()?.parse::<u64>().ok();
                let (event, endpoint, until) = (EventKey(next()?), next()?, EventKey(next()?));
                let after = DeliveryKey { event, endpoint: EndpointNo(u32::try_from(endpoint).ok()?) };
                Self::History { after, until }
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Providers(after) => write!(f, "providers-{}", after.as_deref().unwrap_or_default()),
            Self::Tenants(after) => write!(f, "tenants-{}", after.0),
            Self::Keys(after) => write!(f, "keys-{after}"),
            Self::Webhooks(after) => write!(f, "webhooks-{after}"),
            Self::Events => f.write_str("events-"),
            Self::History { after, until } => write!(f, "history-{}-{}-{}", after.event.0, after.endpoint, until.0),
        }
    }
}

/// Tenants or keys of one piece.
const ROWS: usize = 250;

/// Webhooks of one piece: each may have a certificate and a filter of 16 KiB.
const WEBHOOKS: usize = 50;

/// Bytes of events and deliveries of one piece, unless one alone has more.
const HISTORY_BYTES: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_printed() {
        let after = DeliveryKey { event: EventKey(u64::MAX), endpoint: EndpointNo(u32::MAX) };
        let places = [
            Place::Providers(Some("a-b".into())),
            Place::Tenants(TenantNo(7)),
            Place::Keys("key_1-2".into()),
            Place::Webhooks(EndpointNo(3)),
            Place::Events,
            Place::History { after, until: EventKey(9) },
        ];
        for place in places {
            assert_eq!(Place::parse(&place.to_string()), Some(place));
        }
        for text in ["", "history-1-2", "tenants-x", "soup-1", "history-1-99999999999-2"] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }
}

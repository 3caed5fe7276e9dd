//! A webhook as an answer: the members that its dialect lists, in its order.

use super::status;
use crate::api::response::print::Object;
use crate::domain::dialect::{Dialect, WebhookField};
use crate::domain::webhook::endpoint::{Endpoint, Owner};
use crate::domain::webhook::secret::Secret;
use crate::store::Store;

/// `secret`: only in the answer that makes it.
pub(in crate::api) fn print(
    endpoint: &Endpoint,
    dialect: &Dialect,
    store: &Store,
    secret: Option<&Secret>,
    object: &mut Object<'_>,
) {
    let fields = &dialect.api.webhook;
    let hidden = (!fields.contains(&WebhookField::Secret)).then_some(WebhookField::Secret);
    let shown = Shown { endpoint, store, secret, knows_removed: dialect.api.shows_removed };
    fields.iter().copied().chain(hidden).for_each(|field| shown.print(field, object));
    print_stopped(endpoint, object);
}

/// Every member but the secret, and whose it is.
pub(in crate::api) fn print_for_operator(endpoint: &Endpoint, store: &Store, object: &mut Object<'_>) {
    let shown = Shown { endpoint, store, secret: None, knows_removed: true };
    OPERATORS_FIELDS.into_iter().for_each(|field| shown.print(field, object));
    print_stopped(endpoint, object);
    object.text("provider", &endpoint.provider);
    object.text("tenant", &endpoint.tenant);
    object.text("owner", owner(&endpoint.owner));
}

/// A webhook, and what of it may be shown.
struct Shown<'a> {
    endpoint: &'a Endpoint,
    store: &'a Store,
    secret: Option<&'a Secret>,
    knows_removed: bool,
}

impl Shown<'_> {
    fn print(&self, field: WebhookField, object: &mut Object<'_>) {
        let (name, endpoint, definition) = (field.as_str(), self.endpoint, &self.endpoint.definition);
        match field {
            WebhookField::Id => object.text(name, &endpoint.id),
            WebhookField::Name => object.text(name, &definition.name),
            WebhookField::Description => object.text(name, &definition.description),
            WebhookField::Url => object.text(name, &definition.url),
            WebhookField::Events => {
                let events: Vec<String> = definition.events.iter().map(ToString::to_string).collect();
                object.texts(name, events.iter().map(String::as_str));
            }
            WebhookField::Secret => {
                if let Some(secret) = self.secret {
                    object.text(name, secret.expose());
                }
            }
            WebhookField::Status => object.text(name, status(endpoint, self.knows_removed)),
            WebhookField::IsActive => object.boolean(name, endpoint.is_active()),
            WebhookField::CreatedAt => object.time(name, Some(endpoint.created_at)),
            WebhookField::LastDeliveryAt => object.time(name, self.store.last_delivery_at(endpoint.no)),
        }
    }
}

/// Shown in every dialect while nothing is sent to it, whatever word its status has for that.
fn print_stopped(endpoint: &Endpoint, object: &mut Object<'_>) {
    if let Some((at, why)) = endpoint.stopped() {
        object.time("disabled_at", Some(at));
        object.text("disabled_reason", &why);
    }
}

/// `file`, `operator`, or the id of the key that made it.
fn owner(owner: &Owner) -> &str {
    match owner {
        Owner::File => "file",
        Owner::Operator => "operator",
        Owner::Key(id) => id,
    }
}

const OPERATORS_FIELDS: [WebhookField; 8] = [
    WebhookField::Id,
    WebhookField::Name,
    WebhookField::Description,
    WebhookField::Url,
    WebhookField::Events,
    WebhookField::Status,
    WebhookField::CreatedAt,
    WebhookField::LastDeliveryAt,
];

//! A webhook as an answer: the members that its dialect lists, in its order.

use super::status;
use crate::api::print::Object;
use crate::domain::dialect::{Dialect, WebhookField};
use crate::domain::endpoint::{Endpoint, Owner, Standing};
use crate::domain::secret::Secret;
use crate::store::Store;

/// `secret`: only in the answer that makes it.
pub(super) fn print(endpoint: &Endpoint, dialect: &Dialect, store: &Store, secret: Option<&Secret>, object: &mut Object<'_>) {
    let fields = &dialect.api.webhook;
    for field in fields {
        print_field(*field, endpoint, store, secret, object);
    }
    if !fields.contains(&WebhookField::Secret) {
        print_field(WebhookField::Secret, endpoint, store, secret, object);
    }
    print_disabled(endpoint, object);
}

/// Every member but the secret, and whose it is.
pub(super) fn print_for_operator(endpoint: &Endpoint, store: &Store, object: &mut Object<'_>) {
    for field in OPERATORS_FIELDS {
        print_field(field, endpoint, store, None, object);
    }
    print_disabled(endpoint, object);
    object.text("provider", &endpoint.provider);
    object.text("tenant", &endpoint.tenant);
    object.text("owner", owner(&endpoint.owner));
}

fn print_field(field: WebhookField, endpoint: &Endpoint, store: &Store, secret: Option<&Secret>, object: &mut Object<'_>) {
    let (name, definition) = (field.as_str(), &endpoint.definition);
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
            if let Some(secret) = secret {
                object.text(name, secret.expose());
            }
        }
        WebhookField::Status => object.text(name, status(endpoint)),
        WebhookField::IsActive => object.boolean(name, endpoint.is_active()),
        WebhookField::CreatedAt => object.time(name, Some(endpoint.created_at)),
        WebhookField::LastDeliveryAt => object.time(name, store.last_delivery_at(endpoint.no)),
    }
}

/// Shown in every dialect while it is so.
fn print_disabled(endpoint: &Endpoint, object: &mut Object<'_>) {
    if let Standing::Disabled { at, why } = endpoint.standing {
        object.time("disabled_at", Some(at));
        object.text("disabled_reason", &why.text());
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

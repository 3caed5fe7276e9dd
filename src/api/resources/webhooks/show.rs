//! A webhook as an answer: the members that its dialect lists, in its order, and for who stands above the tenants all there are.

use super::status;
use crate::api::response::print::Object;
use crate::domain::delivery::outcome::Class;
use crate::domain::dialect::{Dialect, WebhookField};
use crate::domain::webhook::endpoint::{Endpoint, Owner};
use crate::domain::webhook::secret::Secret;
use crate::store::WebhookView;

/// What of a webhook an answer shows.
#[derive(Clone, Copy)]
pub(in crate::api) struct Shown<'a> {
    pub(in crate::api) view: &'a WebhookView,
    /// Only in the answer that makes it.
    pub(in crate::api) secret: Option<&'a Secret>,
}

impl<'a> Shown<'a> {
    /// Without its secret.
    pub(in crate::api) fn of(view: &'a WebhookView) -> Self {
        Self { view, secret: None }
    }

    /// As its dialect shows it to its tenant.
    pub(in crate::api) fn print(self, dialect: &Dialect, object: &mut Object<'_>) {
        let fields = &dialect.api.webhook;
        fields.iter().for_each(|field| self.field(*field, dialect.api.shows_removed, object));
        if !fields.contains(&WebhookField::Secret) {
            self.field(WebhookField::Secret, true, object);
        }
        self.stopped(object);
    }

    /// The same, and behind it what the dialect leaves out, and whose it is.
    pub(in crate::api) fn print_whole(self, dialect: &Dialect, object: &mut Object<'_>) {
        self.print(dialect, object);
        let left = EVERYWHERE.into_iter().filter(|field| !dialect.api.webhook.contains(field));
        left.for_each(|field| self.field(field, true, object));
        self.whose(object);
    }

    /// In a list over many tenants, which may speak several dialects.
    pub(in crate::api) fn print_everywhere(self, object: &mut Object<'_>) {
        EVERYWHERE.into_iter().for_each(|field| self.field(field, true, object));
        self.stopped(object);
        self.whose(object);
    }

    fn field(self, field: WebhookField, knows_removed: bool, object: &mut Object<'_>) {
        let (name, endpoint, last) = (field.as_str(), &self.view.endpoint, self.view.last);
        match field {
            WebhookField::Id => object.text(name, &endpoint.id),
            WebhookField::Name => object.text(name, &endpoint.definition.name),
            WebhookField::Description => object.text(name, &endpoint.definition.description),
            WebhookField::Url => object.text(name, &endpoint.definition.url),
            WebhookField::Events => {
                let events: Vec<String> = endpoint.definition.events.iter().map(ToString::to_string).collect();
                object.texts(name, events.iter().map(String::as_str));
            }
            WebhookField::Secret => {
                if let Some(secret) = self.secret {
                    object.text(name, secret.expose());
                }
            }
            WebhookField::Status => object.text(name, status(endpoint, knows_removed)),
            WebhookField::IsActive => object.boolean(name, endpoint.is_active()),
            WebhookField::CreatedAt => object.time(name, Some(endpoint.created_at)),
            WebhookField::LastDeliveryAt => object.time(name, last.map(|last| last.ended_at)),
            WebhookField::Failures => object.number(name, endpoint.failures.into()),
            WebhookField::LastCode => object.number_or_null(name, last.and_then(|last| last.code).map(u64::from)),
            WebhookField::LastError => object.text_or_null(name, last.and_then(|last| last.error).map(Class::name)),
        }
    }

    /// Shown in every dialect while nothing is sent to it, whatever word its status has for that.
    fn stopped(self, object: &mut Object<'_>) {
        if let Some((at, why)) = self.view.endpoint.stopped() {
            object.time("disabled_at", Some(at));
            object.text("disabled_reason", &why);
        }
    }

    fn whose(self, object: &mut Object<'_>) {
        let Endpoint { provider, tenant, owner: by, .. } = &*self.view.endpoint;
        object.text("provider", provider);
        object.text("tenant", tenant);
        object.text("owner", owner(by));
    }
}

/// `file`, `operator`, or the id of the key that made it.
fn owner(owner: &Owner) -> &str {
    match owner {
        Owner::File => "file",
        Owner::Operator => "operator",
        Owner::Key(id) | Owner::Provider(id) => id,
    }
}

/// Every member but the secret, and what another says too.
const EVERYWHERE: [WebhookField; 11] = [
    WebhookField::Id,
    WebhookField::Name,
    WebhookField::Description,
    WebhookField::Url,
    WebhookField::Events,
    WebhookField::Status,
    WebhookField::CreatedAt,
    WebhookField::LastDeliveryAt,
    WebhookField::Failures,
    WebhookField::LastCode,
    WebhookField::LastError,
];

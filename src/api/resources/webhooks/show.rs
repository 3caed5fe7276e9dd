//! A webhook as an answer: the members that its dialect lists, in its order, and for who stands above the tenants all there are.

use crate::api::document::webhook::{Webhook, WebhookStatus};
use crate::api::response::print::Object;
use crate::domain::delivery::outcome::Class;
use crate::domain::dialect::{Dialect, WebhookField};
use crate::domain::webhook::endpoint::{Endpoint, Owner, WebhookState};
use crate::domain::webhook::secret::Secret;
use crate::store::WebhookView;

/// What of a webhook an answer shows.
#[derive(Clone, Copy)]
pub(in crate::api) struct Shown<'a> {
    pub(in crate::api) view: &'a WebhookView,
    /// Only in the answer that makes it.
    pub(in crate::api) secret: Option<&'a Secret>,
}

impl Shown<'_> {
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
            WebhookField::Status => object.text(name, status_in(endpoint, knows_removed)),
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

/// A webhook in a list over tenants, which may speak several dialects.
pub(in crate::api) fn document(view: &WebhookView) -> Webhook {
    let (endpoint, last) = (&*view.endpoint, view.last);
    let (disabled_at, disabled_reason) = endpoint.stopped().unzip();
    Webhook {
        id: endpoint.id.to_string(),
        name: endpoint.definition.name.to_string(),
        description: endpoint.definition.description.to_string(),
        url: endpoint.definition.url.to_string(),
        events: endpoint.definition.events.iter().map(ToString::to_string).collect(),
        status: status(endpoint),
        created_at: endpoint.created_at.into(),
        last_delivery_at: last.map(|last| last.ended_at.into()),
        failures: endpoint.failures,
        last_code: last.and_then(|last| last.code),
        last_error: last.and_then(|last| last.error).map(|class| class.name().into()),
        disabled_at: disabled_at.map(Into::into),
        disabled_reason,
        provider: endpoint.provider.to_string(),
        tenant: endpoint.tenant.to_string(),
        owner: owner(&endpoint.owner).into(),
    }
}

/// A webhook's status in the words of its dialect, which may not know that one was removed.
fn status_in(endpoint: &Endpoint, knows_removed: bool) -> &'static str {
    match status(endpoint) {
        WebhookStatus::Removed if !knows_removed => WebhookStatus::Disabled,
        status => status,
    }
    .name()
}

fn status(endpoint: &Endpoint) -> WebhookStatus {
    match endpoint.state {
        WebhookState::Active => WebhookStatus::Active,
        WebhookState::Disabled { .. } => WebhookStatus::Disabled,
        WebhookState::Removed { .. } => WebhookStatus::Removed,
        WebhookState::Deleted { .. } => WebhookStatus::Deleted,
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

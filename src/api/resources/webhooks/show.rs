//! A webhook as an answer: the members that its dialect lists, in its order, and for who stands above the tenants all there are.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::expand::Expand;
use crate::api::document::webhook::{Member, Webhook, WebhookStatus};
use crate::domain::dialect::{Dialect, WebhookField};
use crate::domain::webhook::effective::{Defaults, effective_json};
use crate::domain::webhook::endpoint::{Endpoint, Owner, WebhookState};
use crate::domain::webhook::secret::Secret;
use crate::store::WebhookView;

/// What of a webhook an answer shows.
#[derive(Clone, Copy)]
pub(in crate::api) struct Shown<'a> {
    pub(in crate::api) view: &'a WebhookView,
    /// Only in the answer that makes it.
    pub(in crate::api) secret: Option<&'a Secret>,
    /// Whether the settings are shown although the dialect leaves them out.
    pub(in crate::api) expand: Expand,
    /// What counts where the webhook says nothing.
    pub(in crate::api) defaults: Defaults,
}

impl<'a> Shown<'a> {
    /// As its dialect shows it to its tenant.
    pub(in crate::api) fn members(self, dialect: &Dialect) -> Vec<(&'static str, Member<'a>)> {
        let (fields, knows_removed) = (&dialect.api.webhook, dialect.api.shows_removed);
        let secret = (!fields.contains(&WebhookField::Secret)).then_some(&WebhookField::Secret);
        let is_expanded = self.expands() && !fields.contains(&WebhookField::Settings);
        let settings = is_expanded.then_some(&WebhookField::Settings);
        let shown = fields.iter().chain(secret).chain(settings);
        shown.flat_map(|field| self.members_of(*field, dialect, knows_removed)).chain(self.stopped()).collect()
    }

    /// The same, and behind it what the dialect leaves out, and whose it is.
    pub(in crate::api) fn all_members(self, dialect: &Dialect) -> Vec<(&'static str, Member<'a>)> {
        let mut members = self.members(dialect);
        let is_shown =
            |field: &WebhookField| dialect.api.webhook.contains(field) || (self.expands() && *field == WebhookField::Settings);
        let left = EVERYWHERE.into_iter().filter(|field| !is_shown(field));
        members.extend(left.flat_map(|field| self.members_of(field, dialect, true)));
        members.extend(self.whose());
        members
    }

    fn expands(self) -> bool {
        self.expand == Expand::Settings
    }

    /// The settings are a member each; every other field is one member at most.
    fn members_of(self, field: WebhookField, dialect: &Dialect, knows_removed: bool) -> Vec<(&'static str, Member<'a>)> {
        match field {
            WebhookField::Settings => self.settings(dialect),
            field => self.member(field, knows_removed).into_iter().collect(),
        }
    }

    /// Each that is set, and behind them what counts for the webhook's deliveries, with where it comes from.
    fn settings(self, dialect: &Dialect) -> Vec<(&'static str, Member<'a>)> {
        let settings = &self.view.endpoint.definition.settings;
        let members = settings.members().into_iter().map(|one| (one.name, one.json.into_owned()));
        let all = members.chain([("effective", effective_json(settings, dialect, self.defaults))]);
        all.filter_map(|(name, json)| Some((name, Member::Json(RawValue::from_string(json).ok()?)))).collect()
    }

    /// `None`: this answer shows no secret, or the field is none of one member.
    fn member(self, field: WebhookField, knows_removed: bool) -> Option<(&'static str, Member<'a>)> {
        let (endpoint, last) = (&*self.view.endpoint, self.view.last);
        let member = match field {
            WebhookField::Id => text(&endpoint.id),
            WebhookField::Name => text(&endpoint.definition.name),
            WebhookField::Description => text(&endpoint.definition.description),
            WebhookField::Url => text(&endpoint.definition.url),
            WebhookField::Events => Member::Texts(endpoint.definition.events.iter().map(ToString::to_string).collect()),
            WebhookField::Secret => text(self.secret?.expose()),
            WebhookField::Status => text(status_in(endpoint, knows_removed)),
            WebhookField::IsActive => Member::Flag(endpoint.is_active()),
            WebhookField::CreatedAt => Member::Moment(endpoint.created_at.into()),
            WebhookField::UpdatedAt => Member::Moment(endpoint.changed_at.into()),
            WebhookField::LastDeliveryAt => or_null(last.map(|last| Member::Moment(last.ended_at.into()))),
            WebhookField::Failures => Member::Number(endpoint.failures.into()),
            WebhookField::LastCode => or_null(last.and_then(|last| last.code).map(|code| Member::Number(code.into()))),
            WebhookField::LastError => or_null(last.and_then(|last| last.error).map(|class| text(class.name()))),
            WebhookField::Settings => return None,
        };
        Some((field.as_str(), member))
    }

    /// Shown in every dialect while nothing is sent to it, whatever word its status has for that.
    fn stopped(self) -> impl Iterator<Item = (&'static str, Member<'a>)> {
        let stopped = self.view.endpoint.stopped();
        let members =
            stopped.map(|(at, why)| [("disabled_at", Member::Moment(at.into())), ("disabled_reason", Member::Text(why.into()))]);
        members.into_iter().flatten()
    }

    fn whose(self) -> [(&'static str, Member<'a>); 3] {
        let Endpoint { provider, tenant, owner: by, .. } = &*self.view.endpoint;
        [("provider", text(provider)), ("tenant", text(tenant)), ("owner", text(owner(by)))]
    }
}

fn text(text: &str) -> Member<'_> {
    Member::Text(text.into())
}

fn or_null(member: Option<Member<'_>>) -> Member<'_> {
    member.unwrap_or(Member::Null)
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
        updated_at: endpoint.changed_at.into(),
        last_delivery_at: last.map(|last| last.ended_at.into()),
        failures: endpoint.failures,
        last_code: last.and_then(|last| last.code),
        last_error: last.and_then(|last| last.error).map(|class| class.name().into()),
        disabled_at: disabled_at.map(Into::into),
        disabled_reason,
        provider: endpoint.provider.to_string(),
        tenant: endpoint.tenant.to_string(),
        owner: owner(&endpoint.owner).into(),
        settings: settings(endpoint),
    }
}

/// The settings by their names. A number that does not fit 64 bits is rounded here, unlike in an answer about one webhook.
fn settings(endpoint: &Endpoint) -> BTreeMap<String, Value> {
    let members = endpoint.definition.settings.members().into_iter();
    members.map(|one| (one.name.to_owned(), serde_json::from_str(&one.json).unwrap_or_default())).collect()
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
const EVERYWHERE: [WebhookField; 13] = [
    WebhookField::Id,
    WebhookField::Name,
    WebhookField::Description,
    WebhookField::Url,
    WebhookField::Events,
    WebhookField::Status,
    WebhookField::CreatedAt,
    WebhookField::UpdatedAt,
    WebhookField::LastDeliveryAt,
    WebhookField::Failures,
    WebhookField::LastCode,
    WebhookField::LastError,
    WebhookField::Settings,
];

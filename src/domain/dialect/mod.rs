//! How a provider speaks: what is sent, when it is sent again, and what the management API looks like. This is data, not code:
//! every dialect is a value of [`Dialect`], and no running code knows a provider's name.
//!
//! ```text
//!  publish ─▶ check(facts) ─▶ body.render(facts) ─▶ kept ─▶ each attempt: headers(attempt) ─▶ is_success(status) / retry.delay
//! ```

mod event_types;
mod header_name;
#[cfg(test)]
pub(crate) mod tests;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::delivery::retry::Retry;
use super::event::Attributes;
use super::headers::Headers;
use super::json;
use super::refusal::Refusal;
use super::signature::Signature;
use super::template::{AttemptFacts, Body, Facts, HeaderValue};
use super::webhook::pattern::Pattern;
use super::webhook::secret::{Format, Reason, Secret};

pub(crate) use event_types::{EventType, EventTypes};
pub(crate) use header_name::HeaderName;

/// A dialect that was read and checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dialect {
    pub(crate) name: Box<str>,
    pub(crate) description: Box<str>,
    pub(crate) api: Api,
    pub(crate) event: EventRules,
    pub(crate) body: Body,
    /// Whether no two events of one provider and type share a time. Then `$event.time` is the later of now and 1 µs after the
    /// last time.
    pub(crate) unique_time: bool,
    /// The headers in the order of the file, without the signature's.
    pub(crate) headers: Vec<Header>,
    pub(crate) signature: Option<Signature>,
    pub(crate) delivery: Delivery,
    pub(crate) retry: Retry,
    pub(crate) disable: Disable,
    /// The catalogue. [`EventRules::catalogue`] says whether there are other types.
    pub(crate) event_types: EventTypes,
}

/// How the management API of webhooks looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Api {
    /// The name of the member that holds every answer. When empty, the answer stands alone.
    pub(crate) wrap: Box<str>,
    /// The members of a webhook that are shown, in this order.
    pub(crate) webhook: Vec<WebhookField>,
    pub(crate) secret: SecretPolicy,
    pub(crate) secret_format: Format,
    /// The most webhooks that one key may make. 0 means that there is no limit.
    pub(crate) max_webhooks_per_key: u32,
    /// Whether every webhook must have a name. In every dialect the names of a tenant's webhooks differ.
    pub(crate) unique_name: bool,
    /// Whether a webhook's status may be `removed`. Otherwise a webhook that is out of the config file shows as disabled.
    pub(crate) shows_removed: bool,
    /// Whether an endpoint may be `http` besides `https`.
    pub(crate) plain_http: bool,
}

/// Where a webhook's secret comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SecretPolicy {
    #[default]
    Generated,
    GivenOrGenerated,
}

/// A member of a webhook as the API shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WebhookField {
    Id,
    Name,
    Description,
    Url,
    Events,
    /// The secret. Only the answers of create and rotate-secret show it.
    Secret,
    /// `active`, `disabled`, or `removed` where the dialect has that status.
    Status,
    /// The status as true or false.
    IsActive,
    CreatedAt,
    /// When what the webhook is was last set: its URL, its event types, its name, its description or its settings.
    UpdatedAt,
    /// When the last attempt ended.
    LastDeliveryAt,
    /// Failures in a row, as the dialect counts them.
    Failures,
    /// The status of the last attempt's response.
    LastCode,
    /// Why the last attempt was no success.
    LastError,
    /// What the webhook has of `webhook::settings`, each as a member of its own. Where a dialect leaves it out, an answer shows it
    /// when it is asked for by `?expand=settings`.
    Settings,
}

impl WebhookField {
    pub(crate) const ALL: &[Self] = &[
        Self::Id,
        Self::Name,
        Self::Description,
        Self::Url,
        Self::Events,
        Self::Secret,
        Self::Status,
        Self::IsActive,
        Self::CreatedAt,
        Self::UpdatedAt,
        Self::LastDeliveryAt,
        Self::Failures,
        Self::LastCode,
        Self::LastError,
        Self::Settings,
    ];

    /// The name in dialect files and answers.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "name",
            Self::Description => "description",
            Self::Url => "url",
            Self::Events => "events",
            Self::Secret => "secret",
            Self::Status => "status",
            Self::IsActive => "is_active",
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
            Self::LastDeliveryAt => "last_delivery_at",
            Self::Failures => "failures",
            Self::LastCode => "last_code",
            Self::LastError => "last_error",
            Self::Settings => "settings",
        }
    }
}

/// What an event must have, and what its attributes mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventRules {
    pub(crate) required_attributes: Vec<Box<str>>,
    /// The attribute that must equal the event's type.
    pub(crate) type_attribute: Option<Box<str>>,
    /// The attribute that names the only webhook that an event is for.
    pub(crate) link_attribute: Option<Box<str>>,
    /// The attribute that replaces the catalogue's version.
    pub(crate) version_attribute: Option<Box<str>>,
    pub(crate) unknown_types: UnknownTypes,
    pub(crate) catalogue: Openness,
    /// A sentence that is shown above the catalogue. It may be empty.
    pub(crate) note: Box<str>,
}

/// What happens to a published event whose type is not in the catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum UnknownTypes {
    #[default]
    Pass,
    Refuse,
}

/// Whether webhooks may subscribe to a type that is not in the catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Openness {
    /// Webhooks may subscribe to other types, since the catalogue lists only some.
    #[default]
    Open,
    /// Webhooks may not subscribe to other types, since the catalogue lists all.
    Closed,
}

/// A header of every attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
}

/// How attempts are made and judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) success: Success,
    /// The time from the beginning of an attempt to the end of the response's head. The body is read until the same moment.
    pub(crate) timeout: Duration,
    /// Whether `Retry-After` on 429 and 503 can make the next attempt later.
    pub(crate) retry_after: bool,
    /// Whether 410 ends the delivery and disables the webhook.
    pub(crate) gone: bool,
    /// Whether connections pin a webhook's URL.
    pub(crate) pin_url: bool,
    /// Statuses after which the endpoint has one slot until an attempt succeeds.
    pub(crate) one_slot_after: Vec<u16>,
}

/// Which statuses are a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Success {
    /// A status from 200 to 299.
    Any2xx,
    Codes(Vec<u16>),
}

/// When failures disable a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disable {
    /// After so many failures in a row. 0 means never.
    pub(crate) consecutive: u32,
    pub(crate) count: Counted,
}

/// What counts as one failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Counted {
    #[default]
    Deliveries,
    Attempts,
}

/// A subscribed type that the catalogue does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownType {
    pub(crate) name: Box<str>,
    pub(crate) nearest: Option<Box<str>>,
}

impl fmt::Display for UnknownType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no event type `{}`", self.name)?;
        self.nearest.as_ref().map_or(Ok(()), |nearest| write!(f, "; did you mean `{nearest}`?"))
    }
}

impl Dialect {
    pub(crate) fn is_success(&self, status: u16) -> bool {
        match &self.delivery.success {
            Success::Any2xx => (200..300).contains(&status),
            Success::Codes(codes) => codes.contains(&status),
        }
    }

    /// Whether an endpoint that answers with this status has one slot until an attempt succeeds.
    pub(crate) fn leaves_one_slot(&self, status: u16) -> bool {
        self.delivery.one_slot_after.contains(&status)
    }

    /// The headers of one attempt: the dialect's in the order of its file, then the signature. Names are as the dialect writes
    /// them.
    pub(crate) fn headers(&self, attempt: &AttemptFacts<'_>) -> Headers {
        let mut headers = Headers::default();
        for header in &self.headers {
            headers.push_with(header.name.as_str(), |to| header.value.write(attempt, to));
        }
        if let Some(signature) = &self.signature {
            let value = signature.sign(attempt.secrets, attempt.facts.event_id, attempt.attempt_unix, attempt.body);
            headers.push(&signature.header, &value);
        }
        headers
    }

    /// Whether every attempt has a header of this name from the dialect.
    pub(crate) fn sends(&self, name: &HeaderName) -> bool {
        let signature = self.signature.as_ref().is_some_and(|signature| signature.header.eq_ignore_ascii_case(name.as_str()));
        signature || self.headers.iter().any(|header| header.name == *name)
    }

    /// The headers of one attempt as the log keeps them.
    pub(crate) fn loggable(&self, sent: Headers) -> Headers {
        let secret = || self.headers.iter().map(|header| &header.name).filter(|name| name.is_secret());
        if secret().next().is_none() {
            return sent;
        }
        sent.masked(|name| secret().any(|secret| secret.as_str().eq_ignore_ascii_case(name)))
    }

    /// Checks whether an event may be published. Returns every reason against it, with pointers into the published event.
    pub(crate) fn check(&self, facts: &Facts<'_>) -> Vec<Refusal> {
        let missing = self.event.required_attributes.iter().filter_map(|name| self.check_required(name, facts));
        let headers = self.headers.iter().filter_map(|header| header.value.check_publishable(facts).err());
        let others = [self.check_type(facts), self.check_type_attribute(facts), self.check_link(facts)];
        let last = [self.check_version(facts), self.check_tenant(facts)];
        missing.chain(others.into_iter().flatten()).chain(last.into_iter().flatten()).chain(headers).collect()
    }

    fn check_required(&self, name: &str, facts: &Facts<'_>) -> Option<Refusal> {
        let given = facts.attributes.get(name).is_some_and(|raw| &**raw != "null");
        (!given).then(|| Refusal::new(attribute(name), format!("the dialect {} requires this attribute", self.name)))
    }

    fn check_type(&self, facts: &Facts<'_>) -> Option<Refusal> {
        let refused = self.event.unknown_types == UnknownTypes::Refuse && self.event_type(facts.kind).is_none();
        refused.then(|| Refusal::new("/type", self.unknown_type(facts.kind).to_string()))
    }

    fn check_type_attribute(&self, facts: &Facts<'_>) -> Option<Refusal> {
        let name = self.event.type_attribute.as_deref()?;
        let given = facts.attributes.get(name)?;
        let same = json::unescape(given).is_some_and(|text| text == facts.kind);
        (!same).then(|| Refusal::new(attribute(name), "this attribute must be the event's type"))
    }

    fn check_link(&self, facts: &Facts<'_>) -> Option<Refusal> {
        let name = self.event.link_attribute.as_deref()?;
        let given = facts.attributes.get(name)?;
        json::unescape(given)
            .is_none()
            .then(|| Refusal::new(attribute(name), "this attribute names a webhook, so it is a string"))
    }

    fn check_version(&self, facts: &Facts<'_>) -> Option<Refusal> {
        let name = self.event.version_attribute.as_deref()?;
        let given = facts.attributes.get(name)?;
        given.parse::<i64>().is_err().then(|| Refusal::new(attribute(name), "this attribute is an integer, without quotes"))
    }

    fn check_tenant(&self, facts: &Facts<'_>) -> Option<Refusal> {
        let everyone = facts.tenant.is_none() && self.body.names_tenant();
        everyone.then(|| {
            Refusal::new("/tenant", "bodies of this dialect name their tenant, so no event can be for all; publish one each")
        })
    }

    /// The `$event.version` of an event: its version attribute where the dialect has one, else the catalogue's version, else 0.
    pub(crate) fn version<'a>(&self, kind: &str, attributes: &'a Attributes) -> Cow<'a, str> {
        let given = self.event.version_attribute.as_deref().and_then(|name| attributes.get(name));
        match given {
            Some(raw) => Cow::Borrowed(raw),
            None => self.event_type(kind).map_or(Cow::Borrowed("0"), |known| Cow::Owned(known.version.to_string())),
        }
    }

    /// The name of the only webhook that an event is for, if its attributes name one.
    pub(crate) fn link(&self, attributes: &Attributes) -> Option<String> {
        let raw = attributes.get(self.event.link_attribute.as_deref()?)?;
        json::unescape(raw).map(Cow::into_owned)
    }

    pub(crate) fn event_type(&self, name: &str) -> Option<&EventType> {
        self.event_types.named(name)
    }

    /// The same dialect with a provider's own rule for unknown types. It applies to published events and to subscriptions.
    pub(crate) fn with_unknown_types(&self, unknown_types: UnknownTypes) -> Self {
        let catalogue = match unknown_types {
            UnknownTypes::Pass => Openness::Open,
            UnknownTypes::Refuse => Openness::Closed,
        };
        Self { event: EventRules { unknown_types, catalogue, ..self.event.clone() }, ..self.clone() }
    }

    /// Checks whether a webhook may subscribe to a pattern. In a closed catalogue a name must be listed.
    pub(crate) fn check_pattern(&self, pattern: &Pattern) -> Result<(), UnknownType> {
        match pattern {
            Pattern::Exact(name) if self.event.catalogue == Openness::Closed && self.event_type(name).is_none() => {
                Err(self.unknown_type(name))
            }
            _ => Ok(()),
        }
    }

    fn unknown_type(&self, name: &str) -> UnknownType {
        UnknownType { name: name.into(), nearest: self.nearest_type(name).map(Into::into) }
    }

    /// The type of the catalogue that was probably meant.
    pub(crate) fn nearest_type(&self, name: &str) -> Option<&str> {
        self.event_types.nearest(name)
    }

    /// Accepts a secret that a caller of the API gives.
    pub(crate) fn accept_secret(&self, given: &str) -> Result<Secret, Reason> {
        match self.api.secret {
            SecretPolicy::Generated => Err(Reason::NotTaken),
            SecretPolicy::GivenOrGenerated => self.api.secret_format.accept(given),
        }
    }
}

fn attribute(name: &str) -> String {
    Refusal::new("", "").inside(name).inside("attributes").pointer
}

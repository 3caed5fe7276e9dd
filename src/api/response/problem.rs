//! Every error that the API answers, and the only place that gives it its type, which has an HTTP status (RFC 9457).

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

use super::no_key::NoKey;
use super::wrong::{Wrong, pointer};
use crate::api::document::event::SchemaError;
use crate::api::document::problem as told;
use crate::config::fault::{Fault, Faults};
use crate::docs::problem::ProblemType;
use crate::domain::json::{self, FaultKind};
use crate::domain::rate::Rate;
use crate::domain::resource::Resource;
use crate::store::{self, Denied, Refusal};

/// Why a request was not done.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The request has no key, or one that is not known.
    NoKey(NoKey),
    /// The request's address has sent too many unknown keys.
    WrongKeys,
    /// The key is known, but may not do this.
    Forbidden(String),
    /// The thing does not exist, or does not belong to this key.
    NotFound(Resource),
    /// An operator named a provider or tenant that does not exist. `near` is the one that was probably meant.
    Unknown {
        what: Resource,
        name: Box<str>,
        near: Option<Box<str>>,
    },
    /// The path exists, but not with this method. The text lists the methods that it has.
    Method(String),
    /// The body is not JSON.
    Json(json::Fault),
    /// Something besides the body cannot be read: a header, or the framing of the request.
    Malformed(String),
    /// The body or the query can be read, but has fields that this call does not take.
    Fields(Vec<Wrong>),
    /// Like [`Self::Fields`], but without a field to point at.
    Wrong(String),
    /// A config that a reload did not take.
    Config(Faults),
    TooLarge(String),
    MediaType(&'static str),
    /// No more of the body came in time.
    Slow,
    Conflict(String),
    /// A problem of a type that has its own variant elsewhere, in words that know more.
    Told(ProblemType, String),
    Refused(Refusal),
    Denied(Denied),
    /// Something was done too often. `wait` is the time until it may be done again.
    TooFast {
        what: &'static str,
        wait: Duration,
    },
    /// More was done for a tenant, or with a key, than its rate allows. `whose` is which of both. `wait` is the time until the next one is taken.
    RateLimited {
        whose: &'static str,
        rate: Rate,
        wait: Duration,
    },
    /// The service is short of something at this moment. The peer should try again in a second.
    Unavailable(&'static str),
    /// A disk has no room for something that was asked for.
    NoRoom(String),
    /// The store could not be read. The log says why.
    Store,
    Random,
}

impl Problem {
    /// A problem with one wrong field.
    pub(crate) fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Fields(vec![Wrong::new(pointer, detail)])
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.kind().page().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The type of the problem, which names the page about it.
    pub(crate) fn kind(&self) -> ProblemType {
        match self {
            Self::NoKey(_) => ProblemType::NoKey,
            Self::WrongKeys => ProblemType::WrongKeys,
            Self::TooFast { .. } | Self::RateLimited { .. } => ProblemType::RateLimited,
            Self::Forbidden(_) => ProblemType::Forbidden,
            Self::Method(_) => ProblemType::Method,
            // The grammar allows this JSON, so its content is refused and not its form.
            Self::Json(fault) if fault.kind == FaultKind::Limit => ProblemType::JsonLimit,
            Self::Json(_) => ProblemType::BadJson,
            Self::Malformed(_) => ProblemType::Malformed,
            Self::Fields(_) | Self::Wrong(_) => ProblemType::Invalid,
            Self::Config(_) => ProblemType::ConfigRefused,
            Self::TooLarge(_) => ProblemType::TooLarge,
            Self::MediaType(_) => ProblemType::MediaType,
            Self::Slow => ProblemType::SlowBody,
            Self::Refused(refusal) => kind_of_refusal(refusal),
            Self::Denied(denied) => kind_of_denial(denied),
            Self::Unavailable(STOPPING) => ProblemType::Stopping,
            Self::Unavailable(_) => ProblemType::Busy,
            Self::Conflict(_) => ProblemType::Conflict,
            Self::Told(kind, _) => *kind,
            Self::NoRoom(_) => ProblemType::DiskLow,
            Self::NotFound(_) | Self::Unknown { .. } => ProblemType::NotFound,
            Self::Store | Self::Random => ProblemType::Internal,
        }
    }

    /// The kind of thing that does not exist, where that is the problem.
    fn missing(&self) -> Option<Resource> {
        match self {
            Self::NotFound(what) | Self::Unknown { what, .. } => Some(*what),
            Self::Refused(Refusal::NoTenant(_) | Refusal::TenantRemoved(_)) => Some(Resource::Tenant),
            Self::Denied(denied) => missing_of(denied),
            _ => None,
        }
    }

    /// The problem as it is answered.
    pub(crate) fn document(&self) -> told::Problem<'_> {
        let missing = self.missing().map(|what| what.name().into());
        told::Problem { missing, errors: self.errors(), ..self.briefly(self.detail()) }
    }

    /// The type and status alone, with `hint` in place of the detail.
    pub(crate) fn briefly<'a>(&self, hint: impl Into<Cow<'a, str>>) -> told::Problem<'a> {
        let status = self.status();
        let title = status.canonical_reason().unwrap_or("Error").into();
        let kind = self.kind().page().uri.into();
        told::Problem { kind, title, status: status.as_u16(), detail: hint.into(), missing: None, errors: Vec::new() }
    }

    /// Each field that is wrong.
    fn errors(&self) -> Vec<told::Wrong<'_>> {
        match self {
            Self::Fields(wrong) => wrong.iter().map(of_field).collect(),
            Self::Config(faults) => faults.iter().map(of_config).collect(),
            _ => Vec::new(),
        }
    }

    /// Says to a person what was wrong, and what to try.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::NoKey(why) => why.detail().to_owned(),
            Self::WrongKeys => WRONG_KEYS.into(),
            Self::MediaType(text) | Self::Unavailable(text) => (*text).to_owned(),
            Self::NotFound(what) => no_such(*what),
            Self::Unknown { what, name, near } => unknown(*what, name, near.as_deref()),
            Self::Method(allowed) => format!("this path takes {allowed}"),
            Self::Json(fault) => format!("the body is not the JSON that this call takes: {fault}"),
            Self::Fields(wrong) => first_and_count(wrong),
            Self::Config(faults) => format!("the new config was not taken, and the old one stays:\n{faults}"),
            Self::Forbidden(text)
            | Self::Malformed(text)
            | Self::Wrong(text)
            | Self::TooLarge(text)
            | Self::Conflict(text)
            | Self::Told(_, text)
            | Self::NoRoom(text) => text.clone(),
            Self::Slow => "no byte of the body came for 20 s".into(),
            Self::RateLimited { whose, rate, wait } => {
                format!("this {whose} has a rate limit of {rate}; try again in {} s", whole_seconds(*wait))
            }
            Self::TooFast { what, wait } => format!("{what}; try again in {} s", whole_seconds(*wait)),
            Self::Refused(refusal) => refusal.to_string(),
            Self::Denied(denied) => denied.to_string(),
            // The cause is for the operator, so it is in the log only.
            Self::Store => "the store could not be read; the service's log says why".into(),
            Self::Random => "the operating system gave no random numbers".into(),
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self, Self::Refused(Refusal::Closing) | Self::Denied(Denied::Closing))
            || matches!(self, Self::Unavailable(STOPPING | CROWDED))
    }
}

fn of_field(wrong: &Wrong) -> told::Wrong<'_> {
    told::Wrong::Field { pointer: (&*wrong.pointer).into(), detail: (&*wrong.detail).into() }
}

fn of_config(fault: &Fault) -> told::Wrong<'static> {
    told::Wrong::Config { detail: fault.told().into(), place: fault.place(), r#try: fault.remedy.line() }
}

/// Each cause is named, so that a new one is not answered without a thought.
fn kind_of_refusal(refusal: &Refusal) -> ProblemType {
    match refusal {
        Refusal::KeyRevoked => ProblemType::NoKey,
        Refusal::NoTenant(_) | Refusal::TenantRemoved(_) => ProblemType::NotFound,
        Refusal::IdTaken(_) | Refusal::UidTaken { .. } | Refusal::KeyTaken => ProblemType::IdTaken,
        Refusal::NoLink { .. } | Refusal::Schema { .. } => ProblemType::Invalid,
        Refusal::Full => ProblemType::StoreFull,
        Refusal::DiskLow => ProblemType::DiskLow,
        Refusal::Busy => ProblemType::Busy,
        Refusal::Closing => ProblemType::Stopping,
        Refusal::JournalLost => ProblemType::JournalLost,
    }
}

/// Each cause is named, as above.
fn kind_of_denial(denied: &Denied) -> ProblemType {
    match denied {
        Denied::NoWebhook
        | Denied::NoDelivery
        | Denied::NoKey
        | Denied::NoConnection
        | Denied::NoEventType
        | Denied::NoReplay
        | Denied::NoEvent
        | Denied::NoTenant => ProblemType::NotFound,
        Denied::FileOwned | Denied::SecretFromFile | Denied::KeyInFile | Denied::TenantInFile => ProblemType::FileOwned,
        Denied::Disabled => ProblemType::Disabled,
        Denied::Removed | Denied::TenantRemoved(_) => ProblemType::Removed,
        Denied::Deleted
        | Denied::Ended
        | Denied::ReplayEnded
        | Denied::NothingHeld
        | Denied::NothingPending
        | Denied::BeingPurged
        | Denied::KeyRevoked
        | Denied::KeyWasRevoked(_)
        | Denied::OfOtherTenant(_)
        | Denied::TenantDeleting(_)
        | Denied::DefaultTenant
        | Denied::ConnectionOpen(_) => ProblemType::WrongState,
        Denied::NameTaken(_)
        | Denied::NameOfRemoved { .. }
        | Denied::NameTakenByApi(_)
        | Denied::UidTaken { .. }
        | Denied::UidIsId { .. }
        | Denied::UidTakenByApi { .. } => ProblemType::NameTaken,
        Denied::TooManyReplays(_) | Denied::CountUnderWay => ProblemType::Limit,
        Denied::TooMany(_) | Denied::TooManyTypes(_) | Denied::CatalogueFull(_) | Denied::TooManyKeys(_) => ProblemType::Limit,
        Denied::Full => ProblemType::StoreFull,
        Denied::DiskLow => ProblemType::DiskLow,
        Denied::Closing => ProblemType::Stopping,
    }
}

/// The kind of thing that a change was asked of and that does not exist.
fn missing_of(denied: &Denied) -> Option<Resource> {
    match denied {
        Denied::NoWebhook => Some(Resource::Webhook),
        Denied::NoDelivery => Some(Resource::Delivery),
        Denied::NoKey => Some(Resource::Key),
        Denied::NoTenant => Some(Resource::Tenant),
        Denied::NoConnection => Some(Resource::Connection),
        Denied::NoEventType => Some(Resource::EventType),
        Denied::NoReplay => Some(Resource::Replay),
        Denied::NoEvent => Some(Resource::Event),
        _ => None,
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match &refusal {
            Refusal::NoLink { attribute, .. } => Self::field(format!("/attributes{}", pointer(attribute)), refusal.to_string()),
            Refusal::Schema { errors } => Self::Fields(wrong_fields(errors)),
            _ => Self::Refused(refusal),
        }
    }
}

/// What the schema of an event's type found wrong.
fn wrong_fields(errors: &str) -> Vec<Wrong> {
    let errors: Vec<SchemaError<'_>> = serde_json::from_str(errors).unwrap_or_default();
    errors.into_iter().map(|error| Wrong::new(error.pointer, error.detail)).collect()
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        if matches!(error, store::Error::Stopping) {
            return Self::Unavailable(STOPPING);
        }
        tracing::error!("reading for the API: {error}");
        Self::Store
    }
}

impl From<json::Fault> for Problem {
    fn from(fault: json::Fault) -> Self {
        Self::Json(fault)
    }
}

fn no_such(what: Resource) -> String {
    match what {
        Resource::Path => "no such path; the calls are under /v1".into(),
        Resource::Secret => "no such secret; this dialect signs nothing".into(),
        what => format!("no such {}", what.name()),
    }
}

fn unknown(what: Resource, name: &str, near: Option<&str>) -> String {
    let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    format!("there is no {} `{name}`{near}", what.name())
}

/// A wait in whole seconds, rounded up as `Retry-After` needs it (RFC 9110 section 10.2.3).
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The first wrong field, and how many more there are.
fn first_and_count(wrong: &[Wrong]) -> String {
    let first = wrong.first().map(|wrong| format!("{}: {}", wrong.pointer, wrong.detail)).unwrap_or_default();
    match wrong.len() {
        0 | 1 => first,
        count => format!("{first} (and {} more, see errors)", count - 1),
    }
}

/// The detail for an unknown key whose address has sent too many.
const WRONG_KEYS: &str = "this key opens nothing, and your address has sent too many such keys; look the key up (`hookwheel keys list`), a right one is taken at once";

/// The detail for a request that comes while the service stops.
pub(crate) const STOPPING: &str = "the service is stopping; try again in a few seconds";

/// The detail for a request that finds no place among the known connections.
pub(crate) const CROWDED: &str =
    "all connections for callers with a key are at work, or too many of them are yours; try again in a second";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_beyond_our_limits_is_refused_as_content() {
        let deep = "[".repeat(200);
        for (body, status) in
            [(&b"\xef\xbb\xbf{}"[..], 422), (b"{\"a\":\"\xff\"}", 422), (deep.as_bytes(), 422), (b"{", 400), (b"", 400)]
        {
            let fault = json::scan(body).expect_err("refused");
            assert_eq!(Problem::Json(fault).status(), status, "{fault}");
        }
    }

    #[test]
    fn each_refusal_has_its_status() {
        for (refusal, status) in [
            (Refusal::IdTaken("a".into()), 409),
            (Refusal::UidTaken { uid: "u".into(), holder: "a".into() }, 409),
            (Refusal::KeyTaken, 409),
            (Refusal::Full, 507),
            (Refusal::DiskLow, 507),
            (Refusal::Busy, 503),
            (Refusal::Closing, 503),
            (Refusal::JournalLost, 503),
            (Refusal::NoTenant("t".into()), 404),
            (Refusal::TenantRemoved("t".into()), 404),
            (Refusal::NoLink { attribute: "link".into(), link: "x".into() }, 422),
        ] {
            assert_eq!(Problem::from(refusal).status(), status);
        }
        for (denied, status) in [
            (Denied::NoWebhook, 404),
            (Denied::NoDelivery, 404),
            (Denied::NoKey, 404),
            (Denied::NoTenant, 404),
            (Denied::TenantDeleting("t".into()), 409),
            (Denied::DefaultTenant, 409),
            (Denied::NoEventType, 404),
            (Denied::FileOwned, 409),
            (Denied::UidTaken { uid: "u".into(), holder: "wh_1".into() }, 409),
            (Denied::TooMany(5), 409),
            (Denied::Full, 507),
            (Denied::DiskLow, 507),
            (Denied::Closing, 503),
        ] {
            assert_eq!(Problem::Denied(denied).status(), status);
        }
    }
}

//! Templates: texts with `$slots`. They are parsed once when the config is read, and filled by joining pieces.
//!
//! ```text
//!  '{"id":$event.id,"data":$data}'  ──parse──▶  [{"id":] [event.id] [,"data":] [data] [}]  ──render(facts)──▶  bytes
//! ```
//!
//! [`Body`] makes the JSON body of an event, and [`HeaderValue`] one header of an attempt. This file knows the slots; body and
//! header know how a slot is printed.

mod body;
mod header;

use std::fmt;

use super::event::Attributes;
use super::time::Timestamp;
use super::webhook::secret::Secret;

pub(crate) use body::{Body, Numbers};
pub(crate) use header::HeaderValue;

/// The facts about an event that are known when it is published. Its body is made of nothing else.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) event_id: &'a str,
    /// The event's type.
    pub(crate) kind: &'a str,
    pub(crate) time: Timestamp,
    /// An integer as JSON writes it.
    pub(crate) version: &'a str,
    pub(crate) attributes: &'a Attributes,
    /// The tenant of the event. `None` for all tenants of the provider.
    pub(crate) tenant: Option<&'a str>,
    pub(crate) environment: &'a str,
    /// One scanned JSON value, as [`Body::data`] returned it.
    pub(crate) data: &'a [u8],
}

/// The facts that are known when an attempt is made. Its headers are made of nothing else.
#[derive(Clone, Copy)]
pub(crate) struct AttemptFacts<'a> {
    pub(crate) facts: Facts<'a>,
    pub(crate) delivery_id: &'a str,
    /// The time of the attempt in Unix seconds, which signatures carry.
    pub(crate) attempt_unix: u64,
    /// The number of the attempt, counted from 1.
    pub(crate) attempt_number: u32,
    /// The live secrets, the newest first.
    pub(crate) secrets: &'a [&'a Secret],
    pub(crate) body: &'a [u8],
}

/// How precisely `$event.time` is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Precision {
    #[default]
    Seconds,
    Micros,
}

impl Precision {
    /// The time as RFC 3339 in UTC.
    pub(crate) fn print(self, time: Timestamp) -> String {
        match self {
            Self::Seconds => time.rfc3339_secs(),
            Self::Micros => time.rfc3339_micros(),
        }
    }
}

/// Why a template cannot be used, and at which of its bytes, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at byte {} of the template", self.reason, self.at)
    }
}

/// What a `$name` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    EventId,
    EventType,
    EventTime,
    EventUnix,
    EventVersion,
    Attribute(String),
    TenantId,
    TenantEnvironment,
    Data,
    DeliveryId,
    AttemptUnix,
    AttemptNumber,
}

impl Slot {
    fn named(name: &str) -> Option<Self> {
        if let Some(attribute) = name.strip_prefix("$event.attributes.") {
            let one_word = !attribute.is_empty() && !attribute.contains('.');
            return one_word.then(|| Self::Attribute(attribute.to_owned()));
        }
        Some(match name {
            "$event.id" => Self::EventId,
            "$event.type" => Self::EventType,
            "$event.time" => Self::EventTime,
            "$event.unix" => Self::EventUnix,
            "$event.version" => Self::EventVersion,
            "$tenant.id" => Self::TenantId,
            "$tenant.environment" => Self::TenantEnvironment,
            "$data" => Self::Data,
            "$delivery.id" => Self::DeliveryId,
            "$attempt.unix" => Self::AttemptUnix,
            "$attempt.number" => Self::AttemptNumber,
            _ => return None,
        })
    }

    /// Whether a body may hold the slot. A body is the same for every delivery and attempt.
    fn fits_body(&self) -> bool {
        !matches!(self, Self::DeliveryId | Self::AttemptUnix | Self::AttemptNumber)
    }

    /// Whether a header may hold the slot. A header is one short line.
    fn fits_header(&self) -> bool {
        !matches!(self, Self::Data)
    }
}

/// A part of a parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Slot(Slot),
}

/// The `$name` at the start of `rest`: a word, then any number of `.word`. `None` where the `$` stands for itself.
///
/// A dot that no word follows is not part of the name, and a `-` is not either. So `$event.id-$attempt.number.` reads as it
/// looks.
fn slot_name(rest: &str) -> Option<&str> {
    let after = rest.strip_prefix('$')?;
    if !after.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return None;
    }
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = after.as_bytes();
    let mut end = 0;
    while end < bytes.len() {
        let dot_before_word = bytes[end] == b'.' && bytes.get(end + 1).is_some_and(|&next| is_word(next));
        if !is_word(bytes[end]) && !dot_before_word {
            break;
        }
        end += 1;
    }
    Some(&rest[..=end])
}

fn unknown(name: &str, at: usize, known: &str) -> Fault {
    Fault { at, reason: format!("unknown `{name}`; there are {known}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slots_name_ends_where_its_words_do() {
        for (text, name) in [
            ("$event.id-x", Some("$event.id")),
            ("$event.id.", Some("$event.id")),
            ("$event.id..x", Some("$event.id")),
            ("$event.attributes.job_guid,", Some("$event.attributes.job_guid")),
            ("$data", Some("$data")),
            ("$5", None),
            ("$", None),
            ("$é", None),
        ] {
            assert_eq!(slot_name(text), name, "{text}");
        }
    }

    #[test]
    fn an_attribute_is_one_word() {
        assert_eq!(Slot::named("$event.attributes.a"), Some(Slot::Attribute("a".to_owned())));
        assert_eq!(Slot::named("$event.attributes.a.b"), None);
        assert_eq!(Slot::named("$event.attributes"), None);
    }

    #[test]
    fn a_fault_says_what_is_wrong_and_where() {
        let fault = HeaderValue::parse("a $event.nope", Precision::Seconds).expect_err("no such slot");
        let text = fault.to_string();
        assert!(
            text.starts_with("unknown `$event.nope`; there are $event.id, ") && text.ends_with(", at byte 2 of the template"),
            "{text}"
        );
    }
}

//! What a webhook says about the way of its attempts out of the relay.
//!
//! Every part may hold a credential. So each is sealed on disk like a secret of the webhook, answers and logs show its values masked,
//! and a masked value is never taken for the value itself.

mod headers;

use std::sync::Arc;

pub(crate) use headers::ExtraHeaders;

use super::secret::Secret;
use super::settings::Member;
use super::settings::read::{Read, refused, text};
use crate::domain::dialect::Dialect;
use crate::domain::headers::Headers;
use crate::domain::refusal::Refusal;
use crate::domain::text::mask::is_mask;

/// How the attempts of one webhook leave. The default is the way of a webhook without such settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Egress {
    pub(crate) headers: ExtraHeaders,
}

/// One part of the way out with its value; an empty value takes the part away.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Headers(ExtraHeaders),
}

impl Part {
    /// Reads the part called `name` from JSON; `null` takes it away. `None` when no part has the name.
    pub(super) fn read(name: &str, json: &str) -> Option<Read<Self>> {
        let is_given = json != "null";
        Some(match name {
            HEADERS if !is_given => Ok(Self::Headers(ExtraHeaders::default())),
            HEADERS => ExtraHeaders::read(json).map(Self::Headers),
            _ => return None,
        })
    }

    /// What stands against the part with a webhook of this dialect, each reason with its pointer inside the part.
    pub(super) fn conflicts(&self, dialect: &Dialect) -> Vec<Refusal> {
        match self {
            Self::Headers(headers) => headers.conflicts(dialect),
        }
    }
}

impl Egress {
    /// The way `of` with one part changed. `None` when no part is left.
    pub(super) fn with(of: Option<&Self>, part: Part) -> Option<Arc<Self>> {
        let mut changed = of.cloned().unwrap_or_default();
        match part {
            Part::Headers(headers) => changed.headers = headers,
        }
        (changed != Self::default()).then(|| Arc::new(changed))
    }

    /// The parts that are set, with their secret values masked.
    pub(super) fn members(&self) -> Vec<Member<'static>> {
        let headers = (!self.headers.is_empty()).then(|| Member { name: HEADERS, json: self.headers.masked_json().into() });
        headers.into_iter().collect()
    }

    /// The parts that are set, each as JSON that [`Part::read`] reads.
    pub(super) fn secrets(&self) -> Vec<(&'static str, Secret)> {
        let headers = (!self.headers.is_empty()).then(|| (HEADERS, self.headers.json()));
        headers.into_iter().collect()
    }

    /// Adds the headers of an attempt. A header that the dialect sends stays as the dialect has it.
    pub(crate) fn add_to(&self, headers: &mut Headers) {
        self.headers.add_to(headers);
    }

    /// Whether the log masks the header of this name.
    pub(crate) fn hides(&self, name: &str) -> bool {
        self.headers.has(name)
    }
}

/// Text that is kept secret. A masked value is refused, since whoever sends one has read it in an answer.
fn secret(raw: &str) -> Read<Secret> {
    let text = text(raw)?;
    if is_mask(&text) { Err(refused(MASKED)) } else { Ok(Secret::new(text)) }
}

const MASKED: &str =
    "is masked, as answers show it; give the value itself, or in a PATCH leave the whole setting out, which keeps it";

pub(super) const HEADERS: &str = "headers";

/// Whether the setting of this name is a part of the way out, so that its value is sealed on disk.
pub(super) fn is_part(name: &str) -> bool {
    [HEADERS].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_value_is_refused_with_what_to_do() {
        let refusals = secret(r#""Bea…(41)""#).expect_err("masked");
        assert!(refusals[0].reason.starts_with("is masked"), "{refusals:?}");
        assert_eq!(secret(r#""Bearer x""#).map(|secret| secret.expose().to_owned()), Ok("Bearer x".into()));
        assert!(secret("7").is_err());
    }
}

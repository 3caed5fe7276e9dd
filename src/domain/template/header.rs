//! The template of a header's value: plain text with slots, without quotes.

use std::borrow::Cow;

use super::{AttemptFacts, Facts, Fault, Piece, Precision, Slot, slot_name, unknown};
use crate::domain::json;
use crate::domain::refusal::Refusal;

/// A parsed template of a header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderValue {
    template: Box<str>,
    precision: Precision,
    pieces: Vec<Piece>,
}

impl HeaderValue {
    /// Parses a template. Fails on an unknown slot, and on text that a header cannot hold (RFC 9110 section 5.5, without its
    /// obsolete parts).
    pub(crate) fn parse(template: &str, precision: Precision) -> Result<Self, Fault> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < template.len() {
            let (piece, end) = piece(template, at)?;
            pieces.push(piece);
            at = end;
        }
        if let Some(at) = template.find(|char| !is_visible(char) && char != ' ') {
            return Err(Fault { at, reason: "a character that no header holds; use visible ASCII".to_owned() });
        }
        if template.trim() != template || template.is_empty() {
            return Err(Fault { at: 0, reason: "a header's value is not empty and has no space at its ends".to_owned() });
        }
        Ok(Self { template: template.into(), precision, pieces })
    }

    /// The template as it was written.
    pub(crate) fn template(&self) -> &str {
        &self.template
    }

    /// Checks at publishing that a header can hold the value with these facts: visible ASCII, with spaces only inside. The
    /// pointer of a refusal is into the published event.
    pub(crate) fn check_publishable(&self, facts: &Facts<'_>) -> Result<(), Refusal> {
        let attempt =
            AttemptFacts { facts: *facts, delivery_id: "", attempt_unix: 0, attempt_number: 1, secrets: &[], body: &[] };
        for piece in &self.pieces {
            let (Piece::Slot(slot), text) = (piece, self.text(piece, &attempt)) else { continue };
            if text.trim() != text || !text.chars().all(|char| is_visible(char) || char == ' ') {
                let reason = "a header of this dialect carries it, so it must be visible ASCII without spaces at its ends";
                return Err(Refusal::new(pointer(slot), reason));
            }
        }
        Ok(())
    }

    /// Appends the value for one attempt.
    ///
    /// The value can always be sent. An event from before a change of the dialect was not checked against this template, so
    /// characters that a header cannot hold become `?`.
    pub(crate) fn write(&self, attempt: &AttemptFacts<'_>, to: &mut String) {
        let start = to.len();
        self.pieces.iter().for_each(|piece| to.push_str(&self.text(piece, attempt)));
        if !to[start..].bytes().all(|byte| byte.is_ascii_graphic()) {
            let fit = |char| if is_visible(char) || char == ' ' { char } else { '?' };
            let value: String = to[start..].trim().chars().map(fit).collect();
            to.replace_range(start.., &value);
        }
    }

    fn text<'a>(&self, piece: &'a Piece, attempt: &AttemptFacts<'a>) -> Cow<'a, str> {
        let facts = &attempt.facts;
        let slot = match piece {
            Piece::Text(text) => return Cow::Borrowed(text),
            Piece::Slot(slot) => slot,
        };
        match slot {
            Slot::EventId => Cow::Borrowed(facts.event_id),
            Slot::EventType => Cow::Borrowed(facts.kind),
            Slot::EventTime => Cow::Owned(self.precision.print(facts.time)),
            Slot::EventUnix => Cow::Owned(facts.time.as_secs().to_string()),
            Slot::EventVersion => Cow::Borrowed(facts.version),
            Slot::Attribute(name) => facts.attributes.get(name).map_or(Cow::Borrowed(""), |raw| plain(raw)),
            Slot::TenantId => Cow::Borrowed(facts.tenant.unwrap_or_default()),
            Slot::TenantEnvironment => Cow::Borrowed(facts.environment),
            Slot::DeliveryId => Cow::Borrowed(attempt.delivery_id),
            Slot::AttemptUnix => Cow::Owned(attempt.attempt_unix.to_string()),
            Slot::AttemptNumber => Cow::Owned(attempt.attempt_number.to_string()),
            Slot::Data => Cow::Borrowed(""),
        }
    }
}

/// The slot or the literal text at `at`, and where it ends.
fn piece(template: &str, at: usize) -> Result<(Piece, usize), Fault> {
    let rest = &template[at..];
    if let Some(name) = slot_name(rest) {
        let slot = Slot::named(name).filter(Slot::fits_header).ok_or_else(|| unknown(name, at, KNOWN))?;
        return Ok((Piece::Slot(slot), at + name.len()));
    }
    // A `$` that begins no name is text, so the search begins behind the first character.
    let first = rest.chars().next().map_or(0, char::len_utf8);
    let end = rest[first..].find('$').map_or(template.len(), |dollar| at + first + dollar);
    Ok((Piece::Text(template[at..end].into()), end))
}

/// An attribute as text without quotes; nothing for null. Half a surrogate pair becomes a character that no header can hold.
fn plain(raw: &str) -> Cow<'_, str> {
    match raw {
        "null" => Cow::Borrowed(""),
        raw if raw.starts_with('"') => json::unescape(raw).unwrap_or(Cow::Borrowed("\u{fffd}")),
        raw => Cow::Borrowed(raw),
    }
}

/// Where in a published event the text of a slot comes from.
fn pointer(slot: &Slot) -> String {
    match slot {
        Slot::EventId => "/id".to_owned(),
        Slot::EventType => "/type".to_owned(),
        Slot::Attribute(name) => format!("/attributes/{name}"),
        Slot::TenantId => "/tenant".to_owned(),
        _ => String::new(),
    }
}

fn is_visible(char: char) -> bool {
    char.is_ascii_graphic()
}

const KNOWN: &str = "$event.id, .type, .time, .unix, .version, .attributes.NAME, $tenant.id, .environment, $delivery.id, \
    $attempt.unix and .number in a header";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::event::Attributes;
    use crate::domain::time::Timestamp;

    fn parse(template: &str) -> Result<HeaderValue, Fault> {
        HeaderValue::parse(template, Precision::Seconds)
    }

    fn facts<'a>(kind: &'a str, attributes: &'a Attributes) -> Facts<'a> {
        let time = Timestamp::from_secs(1_700_000_000);
        Facts {
            event_id: "evt_1",
            kind,
            time,
            version: "3",
            attributes,
            tenant: Some("acme"),
            environment: "Production",
            data: b"1",
        }
    }

    fn attempt(facts: Facts<'_>) -> AttemptFacts<'_> {
        AttemptFacts { facts, delivery_id: "dlv_1", attempt_unix: 1_700_000_060, attempt_number: 2, secrets: &[], body: b"{}" }
    }

    fn written(value: &HeaderValue, facts: Facts<'_>) -> String {
        let mut text = "before ".to_owned();
        value.write(&attempt(facts), &mut text);
        text.strip_prefix("before ").expect("what was there is kept").to_owned()
    }

    #[test]
    fn slots_stand_without_quotes() {
        let attributes = Attributes::from([("s".to_owned(), r#""a\u0062""#.into()), ("n".to_owned(), "null".into())]);
        let value = parse(
            "$event.id $event.type $event.time $event.unix v$event.version [$event.attributes.s$event.attributes.n$event.attributes.no] \
             $tenant.id $tenant.environment $delivery.id $attempt.unix-$attempt.number. $5$",
        );
        assert_eq!(
            written(&value.expect("valid"), facts("a.b", &attributes)),
            "evt_1 a.b 2023-11-14T22:13:20Z 1700000000 v3 [ab] acme Production dlv_1 1700000060-2. $5$"
        );
    }

    #[test]
    fn a_template_that_no_header_holds_is_refused_with_its_place() {
        for (template, at) in [
            ("a\r\nB: c", 1),
            ("tab\there", 3),
            ("é", 0),
            (" a", 0),
            ("a ", 0),
            ("", 0),
            ("x $data", 2),
            ("$event.nope", 0),
            ("\u{7f}", 0),
        ] {
            assert_eq!(parse(template).map_err(|fault| fault.at), Err(at), "{template:?}");
        }
    }

    #[test]
    fn a_value_that_no_header_holds_is_refused_at_publishing() {
        let none = Attributes::new();
        let value = parse("$event.type").expect("valid");
        assert_eq!(value.check_publishable(&facts("a b", &none)), Ok(()));
        for kind in ["a\nb", "é", " a", "a ", "\t", "a\u{0}"] {
            assert!(value.check_publishable(&facts(kind, &none)).is_err(), "{kind:?}");
        }
        let value = parse("$event.attributes.x").expect("valid");
        for raw in [r#""\r\n""#, r#""\ud800""#, r#""é""#, r#""\u007f""#] {
            let attributes = Attributes::from([("x".to_owned(), raw.into())]);
            let refusal = value.check_publishable(&facts("a", &attributes)).expect_err(raw);
            assert_eq!(refusal.pointer, "/attributes/x");
        }
    }

    #[test]
    fn a_refusal_points_at_what_the_slot_is_made_of() {
        let none = Attributes::new();
        let odd = Facts { event_id: "é", tenant: Some("é"), environment: "é", ..facts("é", &none) };
        for (template, pointer) in
            [("$event.id", "/id"), ("$event.type", "/type"), ("$tenant.id", "/tenant"), ("$tenant.environment", "")]
        {
            let value = parse(template).expect("valid");
            assert_eq!(
                (value.check_publishable(&odd).expect_err(template).pointer.as_str(), value.template()),
                (pointer, template)
            );
        }
    }

    #[test]
    fn a_number_stands_as_it_was_published() {
        let attributes = Attributes::from([("n".to_owned(), "1.50".into()), ("b".to_owned(), "true".into())]);
        let value = parse("$event.attributes.n/$event.attributes.b").expect("valid");
        assert_eq!(written(&value, facts("a", &attributes)), "1.50/true");
    }

    proptest! {
        #[test]
        fn a_rendered_value_can_always_be_sent(kind in any::<String>()) {
            let none = Attributes::new();
            let value = parse("x$event.type").unwrap();
            let rendered = written(&value, facts(&kind, &none));
            prop_assert!(http::HeaderValue::from_str(&rendered).is_ok());
            prop_assert_eq!(rendered.trim(), &rendered);
            if value.check_publishable(&facts(&kind, &none)).is_ok() {
                prop_assert_eq!(rendered, format!("x{kind}"));
            }
        }
    }
}

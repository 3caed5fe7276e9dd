//! The template of an event's JSON body: literal pieces and slots. Each slot is one JSON value, with its own quotes.

use std::borrow::Cow;
use std::ops::Range;

use super::{Facts, Fault, Piece, Precision, Slot, slot_name, unknown};
use crate::domain::event::Attributes;
use crate::domain::json;
use crate::domain::json::ecmascript;
use crate::domain::refusal::Refusal;

/// How numbers of published data stand in the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// The body has them byte for byte, with everything around them.
    #[default]
    AsPublished,
    /// The whole body is what ECMAScript would print.
    Ecmascript,
}

/// A parsed template of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    template: Box<str>,
    numbers: Numbers,
    precision: Precision,
    pieces: Vec<Piece>,
    /// The number of bytes of all literal pieces.
    text_bytes: usize,
}

/// A rendered body, and where the first `$data` stands in it.
pub(crate) struct Rendered {
    pub(crate) bytes: Vec<u8>,
    pub(crate) data: Option<Range<usize>>,
}

impl Body {
    /// Parses a template. Fails when it names an unknown slot, or is not JSON with a value in each of its slots.
    ///
    /// With [`Numbers::Ecmascript`] the literal pieces are written as ECMAScript prints them, so that rendering only has to join
    /// pieces.
    pub(crate) fn parse(template: &str, numbers: Numbers, precision: Precision) -> Result<Self, Fault> {
        let cutter = cut(template)?;
        let pieces = match numbers {
            Numbers::AsPublished => cutter.pieces,
            Numbers::Ecmascript => cut(&cutter.printed()?)?.pieces,
        };
        let text_bytes = pieces.iter().map(|piece| if let Piece::Text(text) = piece { text.len() } else { 0 }).sum();
        Ok(Self { template: template.into(), numbers, precision, pieces, text_bytes })
    }

    /// The template as it was written.
    pub(crate) fn template(&self) -> &str {
        &self.template
    }

    pub(crate) fn numbers(&self) -> Numbers {
        self.numbers
    }

    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// Whether the body differs between tenants, so that no event can be for all of them.
    pub(crate) fn names_tenant(&self) -> bool {
        self.names(&Slot::TenantId) || self.names(&Slot::TenantEnvironment)
    }

    fn names(&self, slot: &Slot) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Slot(named) if named == slot))
    }

    /// Makes published data, which was scanned, into [`Facts::data`]. The pointer of a refusal is into the data.
    pub(crate) fn data<'a>(&self, published: &'a [u8]) -> Result<Cow<'a, [u8]>, Refusal> {
        match self.numbers {
            Numbers::AsPublished => Ok(Cow::Borrowed(published)),
            Numbers::Ecmascript => ecmascript::print(published).map(Cow::Owned),
        }
    }

    /// Makes published attributes into [`Facts::attributes`]. The pointer of a refusal is into the attributes.
    pub(crate) fn attributes(&self, mut published: Attributes) -> Result<Attributes, Refusal> {
        if self.numbers == Numbers::Ecmascript {
            for (name, raw) in &mut published {
                let printed = ecmascript::print(raw.as_bytes()).map_err(|refusal| refusal.inside(name))?;
                *raw = String::from_utf8_lossy(&printed).into();
            }
        }
        Ok(published)
    }

    /// Joins the pieces with the facts. It allocates once, unless a name needs many escapes.
    pub(crate) fn render(&self, facts: &Facts<'_>) -> Rendered {
        let mut bytes = Vec::with_capacity(self.text_bytes + facts.data.len() + self.slots_bytes(facts));
        let mut data = None;
        for piece in &self.pieces {
            let start = bytes.len();
            match piece {
                Piece::Text(text) => bytes.extend_from_slice(text.as_bytes()),
                Piece::Slot(slot) => self.fill(slot, facts, &mut bytes),
            }
            if *piece == Piece::Slot(Slot::Data) && data.is_none() {
                data = Some(start..bytes.len());
            }
        }
        Rendered { bytes, data }
    }

    fn fill(&self, slot: &Slot, facts: &Facts<'_>, into: &mut Vec<u8>) {
        match slot {
            Slot::EventId => json::quote(facts.event_id, into),
            Slot::EventType => json::quote(facts.kind, into),
            Slot::EventTime => json::quote(&self.precision.print(facts.time), into),
            Slot::EventUnix => into.extend_from_slice(facts.time.as_secs().to_string().as_bytes()),
            Slot::EventVersion => into.extend_from_slice(facts.version.as_bytes()),
            Slot::TenantEnvironment => json::quote(facts.environment, into),
            Slot::Data => into.extend_from_slice(facts.data),
            Slot::TenantId => match facts.tenant {
                Some(tenant) => json::quote(tenant, into),
                None => into.extend_from_slice(NULL),
            },
            Slot::Attribute(name) => into.extend_from_slice(facts.attributes.get(name).map_or(NULL, |raw| raw.as_bytes())),
            Slot::DeliveryId | Slot::AttemptUnix | Slot::AttemptNumber => into.extend_from_slice(NULL),
        }
    }

    /// How many bytes the slots besides `$data` take: exact when nothing in them needs an escape, or slightly more.
    fn slots_bytes(&self, facts: &Facts<'_>) -> usize {
        let one = |piece: &Piece| match piece {
            Piece::Slot(Slot::Attribute(name)) => facts.attributes.get(name).map_or(NULL.len(), |raw| raw.len()),
            Piece::Slot(Slot::EventId) => facts.event_id.len() + QUOTES,
            Piece::Slot(Slot::EventType) => facts.kind.len() + QUOTES,
            Piece::Slot(Slot::TenantEnvironment) => facts.environment.len() + QUOTES,
            Piece::Slot(Slot::TenantId) => facts.tenant.map_or(NULL.len(), |tenant| tenant.len() + QUOTES),
            Piece::Slot(Slot::EventVersion) => facts.version.len(),
            Piece::Slot(Slot::EventTime | Slot::EventUnix) => TIME_BYTES_MAX,
            _ => 0,
        };
        self.pieces.iter().map(one).sum()
    }
}

/// Cuts a template at its slots, and checks that it is JSON with a value in each slot.
fn cut(template: &str) -> Result<Cutter<'_>, Fault> {
    let mut cutter = Cutter { template, ..Cutter::default() };
    cutter.run()?;
    json::scan(cutter.blanked.as_bytes())
        .map_err(|fault| Fault { at: fault.at, reason: format!("not JSON: {}", fault.reason) })?;
    Ok(cutter)
}

/// Cuts a template at its slots.
#[derive(Default)]
struct Cutter<'a> {
    template: &'a str,
    /// How far the template is cut.
    done: usize,
    pieces: Vec<Piece>,
    /// The template with `null` in each slot. If that is JSON, the template is JSON with any value in its slots. The length is
    /// the same.
    blanked: String,
    /// The template with quotes around each slot's name.
    quoted: String,
}

impl Cutter<'_> {
    fn run(&mut self) -> Result<(), Fault> {
        let mut in_string = false;
        let mut at = 0;
        while at < self.template.len() {
            match self.template.as_bytes()[at] {
                b'\\' if in_string => at += 1,
                b'"' => in_string = !in_string,
                b'$' if in_string => self.literal(at)?,
                b'$' => at = self.slot(at)? - 1,
                _ => {}
            }
            at += 1;
        }
        self.text(self.template.len());
        Ok(())
    }

    /// Checks a `$` inside a string. It stands for itself, but quotes around the name of a slot are a mistake and refused.
    fn literal(&self, at: usize) -> Result<(), Fault> {
        match slot_name(&self.template[at..]) {
            Some(name) if Slot::named(name).is_some() => {
                let reason = format!("`{name}` inside a string would be sent as it stands; a slot brings its own quotes");
                Err(Fault { at, reason })
            }
            _ => Ok(()),
        }
    }

    /// Cuts out the slot at `at`, and returns where it ends.
    fn slot(&mut self, at: usize) -> Result<usize, Fault> {
        let name = slot_name(&self.template[at..]).unwrap_or("$");
        let slot = Slot::named(name).filter(Slot::fits_body).ok_or_else(|| unknown(name, at, KNOWN))?;
        self.text(at);
        self.pieces.push(Piece::Slot(slot));
        self.done = at + name.len();
        self.blanked.push_str(&format!("{BLANK:width$}", width = name.len()));
        self.quoted.push_str(&format!("\"{name}\""));
        Ok(self.done)
    }

    fn text(&mut self, end: usize) {
        let text = &self.template[self.done..end];
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text.into()));
        }
        self.blanked.push_str(text);
        self.quoted.push_str(text);
        self.done = end;
    }

    /// The template with its literal pieces as ECMAScript prints them.
    ///
    /// The slots go through the printer as strings. No literal string can be taken for a slot, since [`Self::literal`] refuses
    /// such strings.
    fn printed(&self) -> Result<String, Fault> {
        let printed = ecmascript::print(self.quoted.as_bytes())
            .map_err(|refusal| Fault { at: 0, reason: format!("{} (at `{}`)", refusal.reason, refusal.pointer) })?;
        let printed = String::from_utf8_lossy(&printed);
        let mut text = String::with_capacity(printed.len());
        let mut rest = printed.as_ref();
        while let Some(quote) = rest.find("\"$") {
            let (before, behind) = rest.split_at(quote + 1);
            match slot_name(behind).filter(|name| Slot::named(name).is_some()) {
                Some(name) => {
                    text.push_str(&before[..quote]);
                    text.push_str(name);
                    rest = &behind[name.len() + 1..];
                }
                None => {
                    text.push_str(before);
                    rest = behind;
                }
            }
        }
        text.push_str(rest);
        Ok(text)
    }
}

const KNOWN: &str = "$event.id, .type, .time, .unix, .version, .attributes.NAME, $tenant.id, .environment, and $data in a body";

const NULL: &[u8] = b"null";
const BLANK: &str = "null";

/// How many bytes the quotes add to a string.
const QUOTES: usize = 2;

/// The longest time, such as `"2026-04-20T14:32:00.000001Z"` with its quotes.
const TIME_BYTES_MAX: usize = 29;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::time::Timestamp;

    fn parse(template: &str) -> Result<Body, Fault> {
        Body::parse(template, Numbers::AsPublished, Precision::Seconds)
    }

    fn facts<'a>(attributes: &'a Attributes, data: &'a [u8]) -> Facts<'a> {
        let time = Timestamp::from_micros(1_700_000_000_000_001);
        let (event_id, kind, version) = ("evt_1", "a.b", "3");
        Facts { event_id, kind, time, version, attributes, tenant: Some("acme"), environment: "Production", data }
    }

    fn rendered(body: &Body, facts: &Facts<'_>) -> String {
        String::from_utf8(body.render(facts).bytes).expect("a body is UTF-8")
    }

    #[test]
    fn each_slot_is_one_json_value() {
        let attributes = Attributes::from([("n".to_owned(), "7".into()), ("s".to_owned(), "\"\\u00e9\"".into())]);
        let template = "[$event.id,$event.type,$event.time,$event.unix,$event.version,$event.attributes.n,$event.attributes.s,\
             $event.attributes.none,$tenant.id,$tenant.environment,$data]";
        let expected = "[\"evt_1\",\"a.b\",\"2023-11-14T22:13:20Z\",1700000000,3,7,\"\\u00e9\",null,\"acme\",\"Production\",{ \"x\" :1e999}]";
        assert_eq!(rendered(&parse(template).expect("valid"), &facts(&attributes, b"{ \"x\" :1e999}")), expected);
    }

    #[test]
    fn a_body_remembers_how_it_was_made() {
        let body = Body::parse("[ 1.0, $data ]", Numbers::Ecmascript, Precision::Micros).expect("valid");
        assert_eq!(
            (body.template(), body.numbers(), body.precision()),
            ("[ 1.0, $data ]", Numbers::Ecmascript, Precision::Micros)
        );
    }

    #[test]
    fn the_data_is_found_again_in_the_body() {
        let attributes = Attributes::new();
        let rendered =
            parse("{\"a\":$event.id,\"data\":$data,\"again\":$data}").expect("valid").render(&facts(&attributes, b"[1]"));
        assert_eq!(&rendered.bytes[rendered.data.expect("named")], b"[1]");
        assert!(parse("{}").expect("valid").render(&facts(&attributes, b"[1]")).data.is_none());
    }

    #[test]
    fn rendering_allocates_once() {
        let attributes = Attributes::from([("job".to_owned(), "\"12345\"".into())]);
        let facts = facts(&attributes, b"{\"a\":1}");
        let body =
            parse("{\"i\":$event.id,\"t\":$event.time,\"j\":$event.attributes.job,\"k\":$tenant.id,\"d\":$data}").expect("valid");
        let bytes = body.render(&facts).bytes;
        assert!(
            bytes.capacity() <= body.text_bytes + facts.data.len() + body.slots_bytes(&facts),
            "grew to {}",
            bytes.capacity()
        );
    }

    #[test]
    fn micros_are_printed_where_the_dialect_asks() {
        let body = Body::parse("$event.time", Numbers::AsPublished, Precision::Micros).expect("valid");
        assert_eq!(rendered(&body, &facts(&Attributes::new(), b"1")), "\"2023-11-14T22:13:20.000001Z\"");
    }

    #[test]
    fn a_template_that_cannot_be_json_is_refused_with_its_place() {
        for (template, at, reason) in [
            ("{\"a\":$event.idd}", 5, "unknown `$event.idd`"),
            ("{\"a\":$delivery.id}", 5, "unknown `$delivery.id`"),
            ("{\"a\":\"x $event.id\"}", 8, "brings its own quotes"),
            ("{$event.id:1}", 1, "not JSON: expected a string"),
            ("{\"a\":$event.id,}", 15, "not JSON"),
            ("{\"a\":-$event.unix}", 6, "not JSON"),
            ("{\"a\":1$event.unix}", 6, "not JSON"),
            ("{\"a\":$event.unix$data}", 16, "not JSON"),
            ("{\"a\":$}", 5, "unknown `$`"),
            ("{\"a\":$data} x", 12, "not JSON"),
            ("", 0, "not JSON"),
        ] {
            let fault = parse(template).expect_err(template);
            assert!(fault.at == at && fault.reason.contains(reason), "{template}: {fault}");
        }
    }

    #[test]
    fn a_dollar_in_a_string_stands_for_itself() {
        let body = parse(r#"{"$schema":"$5 \"$ $currency","d":$data}"#).expect("valid");
        assert_eq!(rendered(&body, &facts(&Attributes::new(), b"0")), r#"{"$schema":"$5 \"$ $currency","d":0}"#);
    }

    #[test]
    fn a_body_that_names_the_tenant_says_so() {
        assert!(parse("[$tenant.id]").expect("valid").names_tenant());
        assert!(parse("[$tenant.environment]").expect("valid").names_tenant());
        assert!(!parse("[$event.id,$data]").expect("valid").names_tenant());
    }

    #[test]
    fn an_ecmascript_body_is_what_ecmascript_prints() {
        let template = r#" { "b" : $data, "2": [ 1.0, $event.type ], "\u0061": $event.attributes.n, "1":"$x \/" } "#;
        let body = Body::parse(template, Numbers::Ecmascript, Precision::Seconds).expect("valid");
        let attributes = body.attributes(Attributes::from([("n".to_owned(), "1.50".into())])).expect("exact");
        let data = body.data(b"{ \"x\": 1e2 }").expect("exact");
        let bytes = rendered(&body, &facts(&attributes, &data));
        assert_eq!(bytes, r#"{"1":"$x /","2":[1,"a.b"],"b":{"x":100},"a":1.5}"#);
        assert_eq!(ecmascript::print(bytes.as_bytes()), Ok(bytes.into_bytes()));
    }

    #[test]
    fn a_change_by_ecmascript_is_refused_with_its_pointer() {
        let body = Body::parse("$data", Numbers::Ecmascript, Precision::Seconds).expect("valid");
        assert_eq!(body.data(b"{\"id\":9007199254740993}").expect_err("inexact").pointer, "/id");
        let attributes = Attributes::from([("n".to_owned(), "9007199254740993".into())]);
        assert_eq!(body.attributes(attributes).expect_err("inexact").pointer, "/n");
        assert!(parse("$data").expect("valid").data(b"9007199254740993").is_ok());
    }

    proptest! {
        #[test]
        fn a_body_is_what_serde_would_have_made(kind in any::<String>(), id in any::<String>(), tenant in any::<Option<String>>(), text in any::<String>()) {
            let attribute: Box<str> = json!(text).to_string().into();
            let attributes = Attributes::from([("x".to_owned(), attribute)]);
            let data = json!({ "text": text });
            let bytes = data.to_string();
            let facts = Facts { event_id: &id, kind: &kind, tenant: tenant.as_deref(), ..facts(&attributes, bytes.as_bytes()) };
            let body = parse("{\"id\":$event.id, \"type\":$event.type,\"t\":$tenant.id,\"x\":[$event.attributes.x],\"data\":$data}").unwrap();
            let read: Value = serde_json::from_slice(&body.render(&facts).bytes).unwrap();
            prop_assert_eq!(read, json!({ "id": id, "type": kind, "t": tenant, "x": [text], "data": data }));
        }
    }
}

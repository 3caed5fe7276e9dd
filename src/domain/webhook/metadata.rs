//! What a webhook's owner keeps with it: names with text, which mean nothing to the relay.

use std::collections::BTreeMap;

use crate::domain::json::{self, Kind};
use crate::domain::refusal::Refusal;

/// Names with their values, at most [`ENTRIES_MAX`] of together at most [`BYTES_MAX`] bytes. The default has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata(BTreeMap<Box<str>, Box<str>>);

impl Metadata {
    /// Reads a JSON object whose values are strings.
    ///
    /// Fails with what is wrong, each fault with its pointer inside the object.
    pub(crate) fn read(raw: &str) -> Result<Self, Vec<Refusal>> {
        let fields = json::fields(raw.as_bytes()).map_err(|_| vec![Refusal::new("", "is not an object")])?;
        if fields.len() > ENTRIES_MAX {
            return Err(vec![Refusal::new("", format!("has {} members; at most {ENTRIES_MAX} are taken", fields.len()))]);
        }
        let (mut entries, mut refusals) = (BTreeMap::new(), Vec::new());
        for field in &fields {
            let text = (field.kind == Kind::String).then(|| json::unescape(field.raw)).flatten();
            match text.map(|text| entries.insert(field.name.as_ref().into(), text.as_ref().into())) {
                Some(None) => {}
                Some(Some(_)) => refusals.push(Refusal::new("", "is given twice").inside(&field.name)),
                None => refusals.push(Refusal::new("", "is not a string").inside(&field.name)),
            }
        }
        let read = Self(entries);
        if read.text_bytes() > BYTES_MAX {
            refusals.push(Refusal::new("", format!("has {} bytes of text; at most 4 KiB are taken", read.text_bytes())));
        }
        if refusals.is_empty() { Ok(read) } else { Err(refusals) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether each of these names has this value.
    pub(crate) fn has_all(&self, wanted: &[(String, String)]) -> bool {
        wanted.iter().all(|(name, value)| self.0.get(&**name).is_some_and(|kept| **kept == **value))
    }

    /// The metadata as a JSON object, sorted by name.
    pub(crate) fn json(&self) -> String {
        json::object_of_texts(&self.0)
    }

    fn text_bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// The most entries of one webhook.
const ENTRIES_MAX: usize = 50;

/// The most bytes of all names and values of one webhook.
const BYTES_MAX: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_reads_back_from_its_print() {
        let read = Metadata::read(r#"{"b":"1","a\"":"ü\n"}"#).expect("metadata");
        assert_eq!(read.json(), r#"{"a\"":"ü\n","b":"1"}"#);
        assert_eq!(Metadata::read(&read.json()), Ok(read));
    }

    #[test]
    fn all_wanted_values_must_be_there() {
        let read = Metadata::read(r#"{"plan":"pro","region":"eu"}"#).expect("metadata");
        let has = |wanted: &[(&str, &str)]| {
            let wanted: Vec<_> = wanted.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect();
            read.has_all(&wanted)
        };
        assert!(has(&[]) && has(&[("plan", "pro"), ("region", "eu")]));
        assert!(!has(&[("plan", "pro"), ("region", "us")]) && !has(&[("Plan", "pro")]));
    }

    #[test]
    fn wrong_entries_and_too_many_are_refused() {
        let told = |raw: &str| {
            let refusals = Metadata::read(raw).expect_err(raw);
            refusals.into_iter().map(|refusal| format!("{} {}", refusal.pointer, refusal.reason)).collect::<Vec<_>>()
        };
        assert_eq!(told(r#"{"a":1,"b":"x","b":"y"}"#), ["/a is not a string", "/b is given twice"]);
        assert_eq!(told("[]"), [" is not an object"]);
        let of = |count: usize, length: usize| {
            let entries: Vec<_> = (0..count).map(|number| format!("\"{number:02}\":\"{}\"", "x".repeat(length))).collect();
            format!("{{{}}}", entries.join(","))
        };
        assert!(Metadata::read(&of(50, 79)).is_ok());
        assert_eq!(told(&of(51, 1)), [" has 51 members; at most 50 are taken"]);
        assert_eq!(told(&of(50, 80)), [" has 4100 bytes of text; at most 4 KiB are taken"]);
    }
}

//! What the audit log shows of an object: its members, each with its value in JSON, and never more than some KiB of them.

use serde::Serialize;

/// The members of an object in the order in which they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Document(Vec<(&'static str, String)>);

impl Document {
    /// The same with one more member.
    pub(in crate::store) fn with(self, name: &'static str, value: impl Serialize) -> Self {
        // Texts, numbers and lists of them have nothing that cannot be printed.
        self.with_json(name, serde_json::to_string(&value).unwrap_or_else(|_| "null".into()))
    }

    /// The same with one more member, if it has a value.
    pub(in crate::store) fn with_some(self, name: &'static str, value: Option<impl Serialize>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The same with one more member, whose value is given as JSON.
    pub(in crate::store) fn with_json(mut self, name: &'static str, json: String) -> Self {
        self.0.push((name, json));
        self
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members of two documents that are not the same in both.
    pub(in crate::store) fn differences(self, other: Self) -> (Self, Self) {
        let [mine, theirs] = [(&self, &other), (&other, &self)].map(|(of, than)| {
            let differs = |member: &&(&'static str, String)| !than.0.contains(member);
            Self(of.0.iter().filter(differs).cloned().collect())
        });
        (mine, theirs)
    }

    /// The document as a JSON object. Of a value that is longer than [`MEMBER_BYTES_MAX`], and of every value behind the first
    /// [`BYTES_MAX`] bytes, only the beginning is kept: it is an object `{"cut": {"bytes", "begins"}}` with the whole length.
    pub(in crate::store) fn text(&self) -> Box<str> {
        let mut text = String::from("{");
        for (name, json) in &self.0 {
            let separator = if text.len() == 1 { "" } else { "," };
            let room = BYTES_MAX.saturating_sub(text.len()).min(MEMBER_BYTES_MAX);
            let value = if json.len() <= room { json } else { &cut(json, room) };
            text.push_str(&format!("{separator}\"{name}\":{value}"));
        }
        text.push('}');
        text.into()
    }
}

/// What is left of a value that is too long for the `room` there is.
fn cut(json: &str, room: usize) -> String {
    // A quote or a backslash takes two bytes when the beginning is printed as a text.
    let begins = &json[..json.floor_char_boundary(room / 3)];
    format!("{{\"cut\":{{\"bytes\":{},\"begins\":{}}}}}", json.len(), serde_json::Value::from(begins))
}

/// The longest value that is kept whole, in bytes of JSON: a URL of usual length, or the members of a filter.
const MEMBER_BYTES_MAX: usize = 2 << 10;

/// The bytes of a document behind which no value is kept. Some hundred bytes may follow, which say how much was cut.
const BYTES_MAX: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(document: &Document) -> Value {
        serde_json::from_str(&document.text()).expect("it is JSON")
    }

    #[test]
    fn only_what_differs_is_shown() {
        let of = |url: &str| Document::default().with("url", url).with("events", ["a", "b"]);
        let (before, after) = of("x").differences(of("y"));
        assert_eq!([before.text(), after.text()], [r#"{"url":"x"}"#.into(), r#"{"url":"y"}"#.into()]);
        let (before, after) = of("x").differences(of("x"));
        assert!(before.is_empty() && after.is_empty());
        let (before, after) = of("x").differences(of("x").with_some("timeout", Some("5s")).with_some("retry", None::<u8>));
        assert_eq!([before.text(), after.text()], ["{}".into(), r#"{"timeout":"5s"}"#.into()]);
    }

    #[test]
    fn a_long_value_is_cut_and_says_how_long_it_was() {
        let long = "\"\u{e9}\\".repeat(MEMBER_BYTES_MAX);
        let document = Document::default().with("filter", &*long).with("name", "after it");
        let shown = read(&document);
        let whole = serde_json::to_string(&long).expect("a text").len();
        assert_eq!((&shown["filter"]["cut"]["bytes"], &shown["name"]), (&Value::from(whole), &Value::from("after it")));
        let begins = shown["filter"]["cut"]["begins"].as_str().expect("a text");
        assert!(begins.starts_with("\"\\\"\u{e9}") && begins.len() > 500, "{begins}");
    }

    #[test]
    fn a_document_of_many_long_values_stays_short() {
        let names: [&'static str; 40] = std::array::from_fn(|_| "member");
        let document = names.iter().fold(Document::default(), |document, name| document.with(name, "\"".repeat(900)));
        let text = document.text();
        assert!(text.len() < BYTES_MAX + names.len() * 64, "{}", text.len());
        assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
    }
}

//! What the service answered: read as the API's own types, whatever its dialect calls a list or puts around an object.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::path::PathBuf;

use bytes::Bytes;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::Error;
use crate::api::document::members::Members;
use crate::api::document::problem as document;
use crate::cli::output::words::plain;
use crate::domain::resource::Resource;

/// The answer to a request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(in crate::cli::client) socket: PathBuf,
}

impl Answer {
    /// The body as it came, for `--json`: one line.
    pub(crate) fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.body).map(str::trim_end).map_err(|error| self.not_json(error.to_string()))
    }

    /// The answer as the API's own type. Members that the type does not know are passed over; one that it needs and that is not
    /// there is an error that names it.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| self.not_json(error.to_string()))
    }

    /// The object itself, also where the tenant's dialect puts every answer under one member.
    pub(crate) fn object<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let Members(members): Members<Box<RawValue>> = self.read()?;
        match &members[..] {
            [(_, inner)] if inner.get().starts_with('{') => {
                serde_json::from_str(inner.get()).map_err(|error| self.not_json(error.to_string()))
            }
            _ => self.read(),
        }
    }

    fn not_json(&self, why: String) -> Error {
        Error::NotJson { socket: self.socket.clone(), why }
    }

    /// Why the service did not do what was asked. An answer that says nothing of it has its status alone.
    pub(in crate::cli::client) fn problem(&self) -> Problem {
        let said: document::Problem<'_> = serde_json::from_slice(&self.body).unwrap_or_default();
        let detail = [&said.detail, &said.title].into_iter().find(|text| !text.is_empty());
        let detail = detail.map_or_else(|| "it did not say why".into(), |text| plain(text));
        let (mut errors, mut faults) = (Vec::new(), Vec::new());
        for wrong in said.errors {
            match wrong {
                document::Wrong::Field { pointer, detail } => errors.push((plain(&pointer), plain(&detail))),
                document::Wrong::Config { detail, place, r#try: line } => {
                    let [place, line] = [place, line].map(|text| text.as_deref().map(plain));
                    faults.push(ConfigFault { detail: plain(&detail), place, line });
                }
            }
        }
        Problem { status: self.status, detail, missing: said.missing.as_deref().and_then(Resource::parse), errors, faults }
    }
}

/// Some rows of a list, whatever its dialect calls it, and where it goes on.
#[derive(Clone, Debug)]
pub(crate) struct Page<T> {
    pub(crate) rows: Vec<T>,
    pub(crate) next: Option<String>,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Page<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Found<T>(PhantomData<T>);
        impl<'de, T: DeserializeOwned> Visitor<'de> for Found<T> {
            type Value = Page<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a list")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Page<T>, A::Error> {
                let (mut rows, mut next) = (None, None);
                while let Some(name) = map.next_key::<String>()? {
                    let value: Box<RawValue> = map.next_value()?;
                    if name == "next" {
                        next = serde_json::from_str(value.get()).map_err(A::Error::custom)?;
                    } else if rows.is_none() && value.get().starts_with('[') {
                        rows = Some(serde_json::from_str(value.get()).map_err(A::Error::custom)?);
                    }
                }
                rows.map(|rows| Page { rows, next }).ok_or_else(|| A::Error::custom("it is no list"))
            }
        }
        deserializer.deserialize_map(Found(PhantomData))
    }
}

/// A list as `--json` prints it: all rows, so that nothing follows.
#[derive(Serialize)]
pub(crate) struct Everything<T> {
    data: Vec<T>,
    next: Option<()>,
}

impl<T> Everything<T> {
    pub(crate) fn new(data: Vec<T>) -> Self {
        Self { data, next: None }
    }
}

/// A document beside its text. `--json` prints the text, and so loses no member that this build does not know.
#[derive(Clone, Debug)]
pub(crate) struct Served<T> {
    text: Box<RawValue>,
    document: T,
}

impl<T> Deref for Served<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.document
    }
}

impl<T> Serialize for Served<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Served<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let document = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        Ok(Self { text, document })
    }
}

#[cfg(test)]
impl<T: Serialize> From<T> for Served<T> {
    fn from(document: T) -> Self {
        Self { text: serde_json::value::to_raw_value(&document).expect("a document is JSON"), document }
    }
}

/// Why the service did not do what was asked (RFC 9457).
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    pub(crate) detail: String,
    /// The kind of thing that does not exist, where that is the problem.
    pub(crate) missing: Option<Resource>,
    /// Each wrong field and what is wrong with it.
    pub(crate) errors: Vec<(String, String)>,
    /// Each fault of a config that was not taken.
    pub(crate) faults: Vec<ConfigFault>,
}

/// A fault of a config, as the service tells it.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFault {
    pub(crate) detail: String,
    pub(crate) place: Option<String>,
    /// What can be pasted to mend it.
    pub(crate) line: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, detail, errors, .. } = self;
        write!(f, "{detail} ({status})")?;
        // A single fault is what the detail says already.
        let more = if errors.len() > 1 { errors.as_slice() } else { &[] };
        more.iter().try_for_each(|(pointer, detail)| write!(f, "\n  {pointer}: {detail}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::document::delivery::{Row, Status, fixture};

    fn answer(body: &str) -> Answer {
        Answer { status: 200, body: Bytes::copy_from_slice(body.as_bytes()), socket: "/x".into() }
    }

    #[test]
    fn an_answer_is_unwrapped_where_a_dialect_wraps_it() {
        for body in [r#"{"data":{"id":"wh_1"}}"#, r#"{"id":"wh_1"}"#] {
            let object: Members<String> = answer(body).object().expect("one");
            assert_eq!(object.get("id").map(String::as_str), Some("wh_1"));
        }
        assert!(matches!(answer("<html>").object::<Members<String>>(), Err(Error::NotJson { .. })));
    }

    #[test]
    fn a_list_is_found_whatever_its_dialect_calls_it() {
        for body in [r#"{"data":[1,2],"next":"c"}"#, r#"{"total":2,"hooks":[1,2],"next":"c","more":[]}"#] {
            let page: Page<u8> = answer(body).read().expect("a page");
            assert_eq!((page.rows, page.next.as_deref()), (vec![1, 2], Some("c")));
        }
        let last: Page<u8> = answer(r#"{"data":[]}"#).read().expect("a page");
        assert!(last.rows.is_empty() && last.next.is_none());
        assert!(matches!(answer("{}").read::<Page<u8>>(), Err(Error::NotJson { .. })));
    }

    #[test]
    fn a_row_of_a_newer_service_is_read_and_printed_whole() {
        let row = serde_json::to_string(&fixture::row(Status::Held)).expect("JSON");
        let newer = row.replacen('{', r#"{"shard":{"no":7},"#, 1);
        let page: Page<Served<Row>> = answer(&format!(r#"{{"data":[{newer}],"next":null}}"#)).read().expect("a page");
        assert_eq!(*page.rows[0], fixture::row(Status::Held));
        assert_eq!(serde_json::to_string(&page.rows[0]).expect("JSON"), newer);
        let torn = row.replacen(r#""url""#, r#""uri""#, 1);
        let refused = answer(&format!(r#"{{"data":[{torn}]}}"#)).read::<Page<Served<Row>>>().expect_err("a row without its URL");
        let said = refused.to_string();
        assert!(said.contains("missing field `url`") && said.contains("of another version"), "{said}");
    }

    #[test]
    fn a_refusal_without_a_problem_has_its_status() {
        let refused = Answer { status: 502, ..answer("<html>") }.problem();
        assert_eq!(refused.to_string(), "it did not say why (502)");
        assert_eq!(answer(r#"{"title":"Gone","missing":"webhook"}"#).problem().to_string(), "Gone (200)");
    }
}

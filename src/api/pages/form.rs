//! Reads a form that a page sent.

use http::header::CONTENT_TYPE;
use hyper::body::Incoming;

use super::Asked;
use crate::api::http::carrier::Carrier;
use crate::api::response::problem::Problem;

/// The fields of a form, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().take(FIELDS_MAX).collect())
    }

    /// The value of a field; empty where there is none. Of two fields with a name the first one counts.
    pub(super) fn value(&self, name: &str) -> &str {
        self.0.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// All values of a field, in the order in which they came.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| &**value)
    }
}

/// Reads the form of a request. Fails for another media type, and for a form above its bound.
pub(super) async fn read(asked: &Asked<'_>, body: &mut Incoming) -> Result<Form, Problem> {
    let media = asked.head.headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case(FORM) {
        return Err(Problem::MediaType("a form of the dashboard is application/x-www-form-urlencoded"));
    }
    let carrier = Carrier::from_version(asked.head.version);
    let party = || asked.api.party_of(asked.slot.from());
    let taken = asked.api.room.take(body, FORM_BYTES_MAX, carrier, party).await?;
    Ok(Form::parse(&taken.bytes))
}

const FORM: &str = "application/x-www-form-urlencoded";

/// The most bytes of a form. A form to publish an event holds the event.
const FORM_BYTES_MAX: usize = 64 << 10;

/// The most fields that are read.
const FIELDS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_form_are_decoded() {
        let form = Form::parse(b"csrf=a%2Bb&to=%2Fui%2F&csrf=second&empty=");
        assert_eq!([form.value("csrf"), form.value("to"), form.value("empty"), form.value("none")], ["a+b", "/ui/", "", ""]);
        assert_eq!(form.values("csrf").collect::<Vec<_>>(), ["a+b", "second"]);
        assert_eq!(Form::parse(&b"a=1&".repeat(1_000)).0.len(), FIELDS_MAX);
    }
}

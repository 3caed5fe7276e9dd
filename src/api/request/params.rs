//! Takes typed values out of a JSON object or a query; what is wrong is noted, and reading goes on, so that all of it is told
//! at once.

use std::borrow::Cow;
use std::time::Duration;

use crate::api::response::problem::Problem;
use crate::api::response::wrong::{Wrong, pointer};
use crate::config::moment::parse_moment;
use crate::domain::id::uid::is_id_or_uid;
use crate::domain::json::{self, Field, Kind};
use crate::domain::text::nearest::nearest;
use crate::domain::time::Timestamp;
use crate::domain::units::parse_duration;

/// The members of a request's body.
pub(crate) struct Form<'a> {
    fields: Vec<Field<'a>>,
    wrong: Vec<Wrong>,
}

impl<'a> Form<'a> {
    /// Reads one JSON object; members that are not `known`, or given twice, are noted, and those past [`MEMBERS_MAX`] are not
    /// looked at.
    pub(crate) fn read(body: &'a [u8], known: &[&str]) -> Result<Self, json::Fault> {
        let mut fields = json::fields(body)?;
        let mut wrong = Vec::new();
        if fields.len() > MEMBERS_MAX {
            wrong.push(Wrong::new("", format!("has {} members; at most {MEMBERS_MAX} are read", fields.len())));
            fields.truncate(MEMBERS_MAX);
        }
        for (index, field) in fields.iter().enumerate() {
            if !known.contains(&&*field.name) {
                wrong.push(Wrong::new(pointer(&field.name), unknown(&field.name, known)));
            } else if fields[..index].iter().any(|earlier| earlier.name == field.name) {
                wrong.push(Wrong::new(pointer(&field.name), "is given twice"));
            }
        }
        Ok(Self { fields, wrong })
    }

    /// As [`Self::read`], for a call whose body may be left out.
    pub(crate) fn read_or_empty(body: &'a [u8], known: &[&str]) -> Result<Self, json::Fault> {
        if body.is_empty() { Ok(Self { fields: Vec::new(), wrong: Vec::new() }) } else { Self::read(body, known) }
    }

    /// The member as it was written, null included.
    pub(crate) fn member(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// A member that is neither absent nor null.
    fn value(&self, name: &str) -> Option<(Kind, &'a str)> {
        self.member(name).filter(|field| field.kind != Kind::Null).map(|field| (field.kind, field.raw))
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let (_, raw) = self.value(name)?;
        self.noted(name, json::unescape(raw), "is not a string")
    }

    pub(crate) fn required_text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        self.required(name);
        self.text(name)
    }

    pub(crate) fn boolean(&mut self, name: &str) -> Option<bool> {
        let (kind, _) = self.value(name)?;
        let read = match kind {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        };
        self.noted(name, read, "is neither true nor false")
    }

    pub(crate) fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        let (_, raw) = self.value(name)?;
        self.noted(name, serde_json::from_str(raw).ok(), "is not a list of strings")
    }

    /// RFC 3339 with any offset.
    pub(crate) fn time(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.text(name)?;
        Timestamp::parse_rfc3339(&text).map_err(|fault| self.note(name, fault.to_string())).ok()
    }

    /// A time, or how long before `now` it was: `10m`.
    pub(crate) fn when(&mut self, name: &str, now: Timestamp) -> Option<Timestamp> {
        let text = self.text(name)?;
        parse_moment(&text, now).map_err(|wrong| self.note(name, wrong.to_string())).ok()
    }

    /// `30s`, `24h`.
    pub(crate) fn duration(&mut self, name: &str) -> Option<Duration> {
        let text = self.text(name)?;
        self.noted(name, parse_duration(&text).ok(), NO_DURATION)
    }

    /// Notes that a member is absent or null.
    pub(crate) fn required(&mut self, name: &str) {
        if self.value(name).is_none() {
            self.note(name, "is missing");
        }
    }

    /// Notes what is wrong with a member.
    pub(crate) fn note(&mut self, name: &str, detail: impl Into<String>) {
        self.note_at(Wrong::new(pointer(name), detail));
    }

    /// Notes what is wrong further inside; what comes past [`WRONG_MAX`] is not told.
    pub(crate) fn note_at(&mut self, wrong: Wrong) {
        if self.wrong.len() < WRONG_MAX {
            self.wrong.push(wrong);
        }
    }

    /// Everything that was noted, if anything was.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.wrong.is_empty() { Ok(()) } else { Err(Problem::Fields(self.wrong)) }
    }

    fn noted<T>(&mut self, name: &str, read: Option<T>, otherwise: &str) -> Option<T> {
        if read.is_none() {
            self.note(name, otherwise);
        }
        read
    }
}

/// The parameters of a request's query.
pub(crate) struct Query {
    given: Vec<(String, String)>,
    wrong: Vec<Wrong>,
}

impl Query {
    /// Parameters that are not `known`, or given twice, are noted. A known `prefix.*` stands for every name that begins so.
    pub(crate) fn read(query: Option<&str>, known: &[&str]) -> Self {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let mut given: Vec<(String, String)> = pairs.into_owned().take(MEMBERS_MAX + 1).collect();
        let mut wrong = Vec::new();
        if given.len() > MEMBERS_MAX {
            wrong.push(Wrong::new("?", format!("has more than {MEMBERS_MAX} parameters")));
            given.truncate(MEMBERS_MAX);
        }
        for (index, (name, _)) in given.iter().enumerate() {
            if !known.iter().any(|known| is_known_as(name, known)) {
                wrong.push(Wrong::new(format!("?{name}"), unknown(name, known)));
            } else if given[..index].iter().any(|(earlier, _)| earlier == name) {
                wrong.push(Wrong::new(format!("?{name}"), "is given twice"));
            }
        }
        Self { given, wrong }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The parameters whose names begin with `prefix`, by what follows it.
    pub(crate) fn under(&self, prefix: &str) -> Vec<(String, String)> {
        let inside = |(name, value): &(String, String)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone()));
        self.given.iter().filter_map(inside).collect()
    }

    /// The value as `read` reads it; what it does not read is noted as `otherwise` says.
    pub(crate) fn read_with<T>(&mut self, name: &str, otherwise: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        self.read_or_say(name, |text| read(text).ok_or_else(|| otherwise.to_owned()))
    }

    /// The value as `read` reads it; why it does not is noted.
    pub(crate) fn read_or_say<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let value = read(self.text(name)?);
        value.map_err(|wrong| self.note(name, wrong)).ok()
    }

    /// Notes what is wrong with a parameter.
    pub(crate) fn note(&mut self, name: &str, detail: impl Into<String>) {
        self.wrong.push(Wrong::new(format!("?{name}"), detail));
    }

    /// `since` and `until`, each a time or how long before `now` it was: `10m`. A window that holds no moment is noted.
    pub(crate) fn window(&mut self, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
        let [since, until] = ["since", "until"].map(|name| self.when(name, now));
        if since.zip(until).is_some_and(|(since, until)| until < since) {
            self.note("until", BEFORE_SINCE);
        }
        (since, until)
    }

    fn when(&mut self, name: &str, now: Timestamp) -> Option<Timestamp> {
        self.read_or_say(name, |text| parse_moment(text, now).map_err(|wrong| wrong.to_string()))
    }

    /// An id of ours or of a publisher, or a uid; what can be none is noted.
    pub(crate) fn id(&mut self, name: &str) -> Option<String> {
        self.read_with(name, "is neither an id nor a uid: 1 to 256 of A-Za-z0-9-_.", |text| {
            is_id_or_uid(text).then(|| text.to_owned())
        })
    }

    pub(crate) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.read_with(name, "is neither true nor false", |text| text.parse().ok())
    }

    /// How many items a page holds: `limit`, 50 unless given.
    pub(crate) fn limit(&mut self) -> usize {
        let read = |text: &str| text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        self.read_with("limit", "is not a number from 1 to 250", read).unwrap_or(LIMIT_DEFAULT)
    }

    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.wrong.is_empty() { Ok(()) } else { Err(Problem::Fields(self.wrong)) }
    }
}

fn is_known_as(name: &str, known: &str) -> bool {
    known.strip_suffix('*').map_or(name == known, |prefix| name.len() > prefix.len() && name.starts_with(prefix))
}

/// What is said of a word that is not one of `known`.
pub(crate) fn unknown(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(meant) => format!("is unknown; did you mean `{meant}`?"),
        None if known.is_empty() => "is unknown; nothing is taken here".to_owned(),
        None => format!("is unknown; there are {}", known.join(", ")),
    }
}

/// What is said of an `until` that leaves nothing of a window.
pub(crate) const BEFORE_SINCE: &str = "is before `since`";

const NO_DURATION: &str = "is not a duration with its unit, like 30s or 24h";

/// Members of a body, and parameters of a query: several times what any call knows.
const MEMBERS_MAX: usize = 64;

/// What one answer tells of what is wrong: enough to mend it, however much there is.
pub(in crate::api) const WRONG_MAX: usize = 100;

/// Items of a page that asks for no number.
const LIMIT_DEFAULT: usize = 50;

/// Most items of a page.
pub(crate) const LIMIT_MAX: usize = 250;

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["url", "events", "on", "at", "for"];

    fn wrong(problem: Problem) -> Vec<(String, String)> {
        let Problem::Fields(wrong) = problem else { panic!("{problem:?}") };
        wrong.into_iter().map(|wrong| (wrong.pointer, wrong.detail)).collect()
    }

    #[test]
    fn typed_members_are_taken() {
        let body = br#"{"url":"a\u0062","events":["x","y"],"on":true,"at":"2026-04-20T16:32:00+02:00","for":"1m30s"}"#;
        let mut form = Form::read(body, KNOWN).unwrap();
        assert_eq!(form.required_text("url").as_deref(), Some("ab"));
        assert_eq!(form.texts("events"), Some(vec!["x".into(), "y".into()]));
        assert_eq!(form.boolean("on"), Some(true));
        assert_eq!(form.time("at").unwrap().rfc3339_secs(), "2026-04-20T14:32:00Z");
        assert_eq!(form.duration("for"), Some(Duration::from_secs(90)));
        assert!(form.finish().is_ok());
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let body = br#"{"ulr":1,"on":1,"events":[1],"at":"today","for":30,"on":true}"#;
        let mut form = Form::read(body, KNOWN).unwrap();
        form.required_text("url");
        let _ = (form.boolean("on"), form.texts("events"), form.time("at"), form.duration("for"));
        let told = wrong(form.finish().unwrap_err());
        let expected = [
            ("/ulr", "is unknown; did you mean `url`?"),
            ("/on", "is given twice"),
            ("/url", "is missing"),
            ("/on", "is neither true nor false"),
            ("/events", "is not a list of strings"),
            ("/at", "is not an RFC 3339 time like 2026-04-20T14:32:00Z"),
            ("/for", "is not a string"),
        ];
        assert_eq!(told, expected.map(|(pointer, detail)| (pointer.to_owned(), detail.to_owned())));
    }

    #[test]
    fn of_a_body_without_end_little_is_read_and_told() {
        let members: String = (0..100_000).map(|number| format!(r#""{number}":0,"#)).collect();
        let body = format!(r#"{{{members}"url":"a"}}"#);
        let mut form = Form::read(body.as_bytes(), KNOWN).unwrap();
        (0..1_000).for_each(|_| form.note("url", "is bad"));
        let told = wrong(form.finish().unwrap_err());
        assert_eq!(told[0], (String::new(), "has 100001 members; at most 64 are read".to_owned()));
        assert_eq!((told[64].0.as_str(), told[65].0.as_str(), told.len()), ("/63", "/url", WRONG_MAX));
        let query = Query::read(Some(&"a&".repeat(1_000)), &["a"]);
        let told = wrong(query.finish().unwrap_err());
        assert_eq!((told[0].0.as_str(), told.len()), ("?", MEMBERS_MAX));
    }

    #[test]
    fn null_is_as_good_as_absent() {
        let mut form = Form::read(br#"{"url":null}"#, KNOWN).unwrap();
        assert_eq!(form.text("url"), None);
        assert!(form.finish().is_ok());
    }

    #[test]
    fn an_empty_body_is_an_empty_form_where_it_may_be() {
        assert!(Form::read_or_empty(b"", KNOWN).is_ok());
        assert!(Form::read(b"", KNOWN).is_err());
    }

    #[test]
    fn a_pointer_escapes_its_signs() {
        assert_eq!(pointer("a/b~c"), "/a~1b~0c");
    }

    #[test]
    fn a_page_has_50_items_and_at_most_250() {
        let limit = |query: &str| {
            let mut query = Query::read(Some(query), &["limit"]);
            let limit = query.limit();
            query.finish().map(|()| limit).ok()
        };
        assert_eq!(limit(""), Some(50));
        assert_eq!(limit("limit=250"), Some(250));
        for bad in ["limit=251", "limit=0", "limit=-1", "limit=x", "limit=", "limit=1&limit=2", "limt=5"] {
            assert_eq!(limit(bad), None, "{bad}");
        }
    }

    #[test]
    fn parameters_of_one_kind_have_a_prefix() {
        let query = Query::read(Some("metadata.plan=pro&metadata.a.b=&limit=1"), &["limit", "metadata.*"]);
        assert_eq!(query.under("metadata."), [("plan".into(), "pro".into()), ("a.b".into(), String::new())]);
        assert!(query.finish().is_ok());
        for bad in ["metadata.=x", "metadata=x", "metadata.a=1&metadata.a=2"] {
            assert!(Query::read(Some(bad), &["metadata.*"]).finish().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_query_is_decoded() {
        let query = Query::read(Some("type=a%20b&since=x"), &["type", "since"]);
        assert_eq!(query.text("type"), Some("a b"));
    }
}

//! What a caller may set of a webhook: read from create, PUT and PATCH, judged by its dialect.

use std::borrow::Cow;

use crate::api::request::auth::Rank;
use crate::api::request::params::{Form, Query};
use crate::api::request::settings::Settings;
use crate::api::response::wrong::Wrong;
use crate::domain::dialect::Dialect;
use crate::domain::id::uid::Uid;
use crate::domain::refusal::Refusal;
use crate::domain::webhook::endpoint::Definition;
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::settings::{NAMES, Setting, WebhookSettings};
use crate::domain::webhook::target::{OPENED_BY, Target};

/// The members of create and PUT.
pub(in crate::api) const DEFINITION: &[&str] = &[
    "url",
    "events",
    "name",
    "description",
    "secret",
    "uid",
    "filter",
    "channels",
    "metadata",
    "timeout",
    "retry",
    "disable",
    "concurrency",
    "rate_limit",
    "sample",
    "ordered",
    "on_failure",
    "headers",
    "auth",
    "tls",
    "proxy",
];

/// The members of PATCH.
pub(in crate::api) const PATCHED: &[&str] = &[
    "url",
    "events",
    "name",
    "description",
    "status",
    "is_active",
    "secret",
    "uid",
    "filter",
    "channels",
    "metadata",
    "timeout",
    "retry",
    "disable",
    "concurrency",
    "rate_limit",
    "sample",
    "ordered",
    "on_failure",
    "headers",
    "auth",
    "tls",
    "proxy",
];

/// What was given; what was wrong is noted in the form and left out here.
#[derive(Clone)]
pub(in crate::api) struct Given {
    url: Option<Box<str>>,
    events: Option<Vec<Pattern>>,
    name: Option<Box<str>>,
    description: Option<Box<str>>,
    settings: Vec<Setting>,
}

/// By what a definition is judged.
#[derive(Clone, Copy)]
pub(in crate::api) struct Rules<'a> {
    pub(in crate::api) rank: Rank,
    pub(in crate::api) settings: &'a Settings,
    pub(in crate::api) dialect: &'a Dialect,
    /// What the webhook subscribes to already: it may keep that, also when the catalogue has it no more.
    pub(in crate::api) held: &'a [Pattern],
}

impl Given {
    /// All that a webhook needs must be there.
    pub(in crate::api) fn take(form: &mut Form<'_>, rules: Rules<'_>) -> Self {
        form.required("url");
        form.required("events");
        if rules.dialect.api.unique_name {
            form.required("name");
        }
        Self::take_some(form, rules)
    }

    /// Whatever is there.
    pub(in crate::api) fn take_some(form: &mut Form<'_>, rules: Rules<'_>) -> Self {
        let dialect = rules.dialect;
        let url = form.text("url").and_then(|url| canonical(&url, form, rules));
        let events = form.texts("events").map(|events| patterns(&events, form, rules));
        let name = form.text("name").map(|name| line("name", name, NAME_CHARS_MAX, form));
        if name.as_deref().is_some_and(is_blank) {
            form.note("name", "is blank; leave it out for a webhook without a name");
        }
        if dialect.api.unique_name && name.as_deref() == Some("") {
            form.note("name", "is empty; in this dialect a webhook is found by its name");
        }
        let description = form.text("description").map(|text| line("description", text, DESCRIPTION_CHARS_MAX, form));
        Self { url, events, name, description, settings: settings(form, rules) }
    }

    /// The definition that was given; a name or description that was not is empty, and a setting that was not is not set.
    pub(in crate::api) fn whole(self) -> Definition {
        let settings = WebhookSettings::none();
        let nothing = Definition { name: "".into(), description: "".into(), url: "".into(), events: Vec::new(), settings };
        self.over(&nothing)
    }

    /// The definition that was given, with the settings of `before` that were not: for a caller whose answers do not show them.
    pub(in crate::api) fn whole_beside_settings_of(self, before: &Definition) -> Definition {
        let settings = before.settings.with(&self.settings);
        Definition { settings, ..self.whole() }
    }

    /// What was given over what was there.
    pub(in crate::api) fn over(self, definition: &Definition) -> Definition {
        Definition {
            name: self.name.unwrap_or_else(|| definition.name.clone()),
            description: self.description.unwrap_or_else(|| definition.description.clone()),
            url: self.url.unwrap_or_else(|| definition.url.clone()),
            events: self.events.unwrap_or_else(|| definition.events.clone()),
            settings: definition.settings.with(&self.settings),
        }
    }
}

/// What PATCH does to the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Switch {
    On,
    Off,
}

impl Switch {
    /// `status`, or `is_active`, or neither.
    pub(in crate::api) fn take(form: &mut Form<'_>) -> Option<Self> {
        let status = form.text("status").and_then(|status| match &*status {
            "active" => Some(Self::On),
            "disabled" => Some(Self::Off),
            _ => {
                form.note("status", "is neither `active` nor `disabled`");
                None
            }
        });
        let is_active = form.boolean("is_active").map(|is_active| if is_active { Self::On } else { Self::Off });
        if status.is_some() && is_active.is_some() && status != is_active {
            form.note("is_active", "contradicts `status`");
        }
        status.or(is_active)
    }
}

/// The URL as it is kept, if it can be an endpoint's.
fn canonical(url: &str, form: &mut Form<'_>, rules: Rules<'_>) -> Option<Box<str>> {
    let target = target(url, rules);
    target.map_err(|reason| form.note("url", reason)).map(|target| target.url().into()).ok()
}

/// A URL that can be asked, or why not. An operator is told what would open a refused address; others cannot do it.
fn target(url: &str, rules: Rules<'_>) -> Result<Target, String> {
    let target = Target::parse(url, rules.settings.schemes(rules.dialect), &rules.settings.guard);
    target.map_err(|reason| match rules.rank == Rank::Operator && reason.can_be_opened() {
        true => format!("{reason}; {OPENED_BY}"),
        false => reason.to_string(),
    })
}

/// The settings that are there, judged by the webhook's dialect; null takes one away.
fn settings(form: &mut Form<'_>, rules: Rules<'_>) -> Vec<Setting> {
    let given: Vec<_> =
        NAMES.iter().filter_map(|name| setting(name, form).map(|setting| fitting(name, setting, rules, form))).collect();
    if let Some((name, refusal)) = WebhookSettings::none().with(&given).contradiction() {
        form.note_at(Wrong::inside(name, refusal));
    }
    given
}

/// A setting, after what stands against it with this dialect and this service is noted.
fn fitting(name: &str, setting: Setting, rules: Rules<'_>, form: &mut Form<'_>) -> Setting {
    let mut refusals = setting.conflicts(rules.dialect);
    let url = setting.url().and_then(|(pointer, url)| Some(Refusal::new(pointer, target(url, rules).err()?)));
    refusals.extend(url);
    refusals.into_iter().for_each(|refusal| form.note_at(Wrong::inside(name, refusal)));
    if rules.rank == Rank::Operator { setting.of_operator() } else { setting }
}

/// One setting, if it is there. What is wrong with it is noted.
pub(in crate::api) fn setting(name: &str, form: &mut Form<'_>) -> Option<Setting> {
    let raw = form.member(name)?.raw;
    let refusals = match Setting::read(name, raw) {
        Ok(setting) => return Some(setting),
        Err(refusals) => refusals,
    };
    refusals.into_iter().for_each(|refusal| form.note_at(Wrong::inside(name, refusal)));
    None
}

/// The patterns, each once.
fn patterns(events: &[String], form: &mut Form<'_>, rules: Rules<'_>) -> Vec<Pattern> {
    if !(1..=EVENTS_MAX).contains(&events.len()) {
        form.note("events", format!("has {} entries, not 1 to {EVENTS_MAX}", events.len()));
        return Vec::new();
    }
    let mut patterns = Vec::with_capacity(events.len());
    for (index, text) in events.iter().enumerate() {
        match pattern(text, rules) {
            Ok(pattern) if patterns.contains(&pattern) => {}
            Ok(pattern) => patterns.push(pattern),
            Err(reason) => form.note_at(Wrong::new(format!("/events/{index}"), reason)),
        }
    }
    patterns
}

fn pattern(text: &str, rules: Rules<'_>) -> Result<Pattern, String> {
    let pattern = Pattern::parse(text)?;
    if !rules.held.contains(&pattern) {
        rules.dialect.check_pattern(&pattern).map_err(|unknown| unknown.to_string())?;
    }
    Ok(pattern)
}

fn line(member: &str, text: Cow<'_, str>, chars_max: usize, form: &mut Form<'_>) -> Box<str> {
    if let Err(reason) = check_line(&text, chars_max) {
        form.note(member, reason);
    }
    text.into()
}

/// Whether a name says nothing though it is there; the empty one takes a webhook's name away.
fn is_blank(name: &str) -> bool {
    !name.is_empty() && name.trim().is_empty()
}

fn check_line(text: &str, chars_max: usize) -> Result<(), String> {
    match text.chars().count() {
        count if count > chars_max => Err(format!("is longer than {chars_max} characters")),
        _ if text.chars().any(char::is_control) => Err("contains a control character".into()),
        _ => Ok(()),
    }
}

/// The `name` of a query, as far as a webhook can have it.
pub(in crate::api) fn name_of(query: &mut Query) -> Option<String> {
    query.read_or_say("name", |name| match name {
        name if name.trim().is_empty() => Err("is blank; a webhook without a name is found by its id".into()),
        name => check_line(name, NAME_CHARS_MAX).map(|()| name.to_owned()),
    })
}

/// The `uid` of a query, as far as a webhook can have it.
pub(in crate::api) fn uid_of(query: &mut Query) -> Option<Uid> {
    query.read_or_say("uid", |uid| Uid::parse(uid).map_err(Into::into))
}

/// Entries of `events`.
const EVENTS_MAX: usize = 256;

const NAME_CHARS_MAX: usize = 128;
const DESCRIPTION_CHARS_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::request::settings::fixture::{dialect, settings};
    use crate::api::response::problem::Problem;
    use crate::domain::access::Scopes;
    use crate::domain::dialect::{EventType, Openness};
    use crate::domain::template::Numbers;

    fn plain() -> Dialect {
        let event_type = |name: &str| EventType {
            name: name.into(),
            description: "".into(),
            example: "{}".into(),
            ours: false,
            version: 0,
            ..EventType::default()
        };
        let mut dialect = dialect("$data", Numbers::AsPublished);
        dialect.event_types = vec![event_type("order.created"), event_type("order.paid")].into();
        dialect.event.catalogue = Openness::Closed;
        dialect
    }

    fn take(body: &str, dialect: &Dialect) -> Result<Definition, Vec<String>> {
        take_over(body, dialect, &[])
    }

    fn take_over(body: &str, dialect: &Dialect, held: &[Pattern]) -> Result<Definition, Vec<String>> {
        let mut form = Form::read(body.as_bytes(), DEFINITION).unwrap();
        let settings = settings(Vec::new());
        let given = Given::take(&mut form, Rules { rank: Rank::Provider(Scopes::ALL), settings: &settings, dialect, held });
        match form.finish() {
            Ok(()) => Ok(given.whole()),
            Err(Problem::Fields(wrong)) => {
                Err(wrong.into_iter().map(|wrong| format!("{} {}", wrong.pointer, wrong.detail)).collect())
            }
            Err(problem) => panic!("{problem:?}"),
        }
    }

    #[test]
    fn a_definition_is_kept_canonical_and_once() {
        let body = r#"{"url":"https://EXAMPLE.com:443/a","events":["order.paid","order.*","order.paid"],"description":"d"}"#;
        let definition = take(body, &plain()).unwrap();
        assert_eq!(&*definition.url, "https://example.com/a");
        assert_eq!(definition.events.len(), 2);
        assert_eq!((&*definition.name, &*definition.description), ("", "d"));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let told = take(r#"{"url":"http://example.com","events":["order.payd","a*"],"name":"a\u0000"}"#, &plain()).unwrap_err();
        assert_eq!(told[0], "/url the URL must begin with https://");
        assert!(told[1].starts_with("/events/0 ") && told[1].contains("did you mean `order.paid`?"), "{told:?}");
        assert!(told[2].starts_with("/events/1 "), "{told:?}");
        assert_eq!(told[3], "/name contains a control character");
        assert_eq!(told.len(), 4);
    }

    #[test]
    fn a_blank_name_is_refused_and_an_empty_one_is_none() {
        let named = |name: &str| {
            let body = format!(r#"{{"url":"https://example.com/","events":["*"],"name":"{name}"}}"#);
            take(&body, &plain()).map(|definition| definition.name.to_string())
        };
        assert_eq!(named(""), Ok(String::new()));
        for blank in [" ", "\u{a0}", "   "] {
            let told = named(blank).unwrap_err();
            assert!(told[0].starts_with("/name is blank"), "{told:?}");
        }
        let mut query = Query::read(Some("name=%20"), &["name"]);
        assert_eq!(name_of(&mut query), None);
        assert!(query.finish().is_err());
    }

    #[test]
    fn an_open_catalogue_is_no_bound() {
        let body = r#"{"url":"https://example.com/","events":["order.lost"]}"#;
        assert_eq!(take(body, &plain()).unwrap_err().len(), 1);
        let mut dialect = plain();
        dialect.event.catalogue = Openness::Open;
        assert!(take(body, &dialect).is_ok());
    }

    #[test]
    fn a_webhook_keeps_what_left_the_catalogue() {
        let body = r#"{"url":"https://example.com/","events":["order.gone","order.paid"]}"#;
        assert!(take_over(body, &plain(), &[Pattern::parse("order.gone").unwrap()]).is_ok());
        assert!(take_over(body, &plain(), &[Pattern::parse("order.lost").unwrap()]).is_err());
    }

    #[test]
    fn what_is_missing_is_told() {
        let mut dialect = plain();
        dialect.api.unique_name = true;
        assert_eq!(take("{}", &dialect).unwrap_err(), ["/url is missing", "/events is missing", "/name is missing"]);
        assert!(take(r#"{"url":"https://example.com","events":[]}"#, &plain()).is_err());
    }

    #[test]
    fn a_private_literal_address_is_refused_when_it_is_given() {
        for url in ["https://127.0.0.1/", "https://0x7f.1/", "https://[::1]/", "https://169.254.169.254/", "https://localhost/"] {
            let body = format!(r#"{{"url":"{url}","events":["*"]}}"#);
            assert!(take(&body, &plain()).is_err(), "{url}");
        }
    }

    #[test]
    fn every_setting_is_taken_by_create_and_patch() {
        assert!(NAMES.iter().all(|name| DEFINITION.contains(name) && PATCHED.contains(name)));
    }

    #[test]
    fn a_filter_is_kept_as_written_and_a_wrong_one_told_with_its_pointer() {
        let with =
            |filter: &str| take(&format!(r#"{{"url":"https://example.com/","events":["*"],"filter":{filter}}}"#), &plain());
        let kept = with(r#"{"data": {"n": 1e400}}"#).unwrap().settings.filter.clone().expect("a filter");
        assert_eq!(kept.text(), r#"{"data": {"n": 1e400}}"#);
        let told = with(r#"{"data":{"n":{"$startwith":"a"}},"x":{"$in":1}}"#).unwrap_err();
        assert!(told[0].starts_with("/filter/data/n/$startwith there is no such operator"), "{told:?}");
        assert_eq!(told[1..], ["/filter/x/$in this operator takes a list"]);
        assert_eq!(with("null").unwrap().settings, WebhookSettings::none());
    }

    #[test]
    fn a_patch_takes_a_filter_away_by_null_alone() {
        let before = take(r#"{"url":"https://example.com/","events":["*"],"filter":{"type":"a"}}"#, &plain()).unwrap();
        let patched = |body: &str| {
            let mut form = Form::read(body.as_bytes(), PATCHED).unwrap();
            let (settings, dialect) = (settings(Vec::new()), plain());
            let rules = Rules { rank: Rank::Provider(Scopes::ALL), settings: &settings, dialect: &dialect, held: &[] };
            Given::take_some(&mut form, rules).over(&before)
        };
        assert_eq!(patched("{}"), before);
        assert_eq!(patched(r#"{"filter":null}"#).settings, WebhookSettings::none());
        assert_eq!(patched(r#"{"filter":{}}"#).settings.filter.as_ref().map(|filter| filter.text()), Some("{}"));
    }

    #[test]
    fn a_patch_leaves_the_rest() {
        let before = take(r#"{"url":"https://example.com/","events":["*"],"name":"n"}"#, &plain()).unwrap();
        let mut form = Form::read(br#"{"description":"new"}"#, PATCHED).unwrap();
        let (settings, dialect) = (settings(Vec::new()), plain());
        let rules = Rules { rank: Rank::Provider(Scopes::ALL), settings: &settings, dialect: &dialect, held: &[] };
        let after = Given::take_some(&mut form, rules).over(&before);
        assert_eq!(after, Definition { description: "new".into(), ..before });
    }

    #[test]
    fn a_switch_has_two_names_and_one_meaning() {
        let switch = |body: &str| {
            let mut form = Form::read(body.as_bytes(), PATCHED).unwrap();
            let switch = Switch::take(&mut form);
            form.finish().map(|()| switch).ok()
        };
        assert_eq!(switch("{}"), Some(None));
        assert_eq!(switch(r#"{"status":"disabled"}"#), Some(Some(Switch::Off)));
        assert_eq!(switch(r#"{"is_active":true}"#), Some(Some(Switch::On)));
        assert_eq!(switch(r#"{"is_active":true,"status":"active"}"#), Some(Some(Switch::On)));
        assert_eq!(switch(r#"{"is_active":true,"status":"disabled"}"#), None);
        assert_eq!(switch(r#"{"status":"paused"}"#), None);
    }
}

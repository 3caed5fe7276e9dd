//! Reads JSON values piece by piece. Each fault is told with its pointer inside the value, and reading goes on behind it.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::domain::json::{self, Field};
use crate::domain::refusal::Refusal;
use crate::domain::units::{duration_text, parse_duration};

pub(in crate::domain::webhook) type Read<T> = Result<T, Vec<Refusal>>;

/// An object whose members are taken one by one.
pub(in crate::domain::webhook) struct Object<'a> {
    fields: Vec<Field<'a>>,
    asked: Vec<&'static str>,
    refusals: Vec<Refusal>,
}

impl<'a> Object<'a> {
    pub(in crate::domain::webhook) fn read(raw: &'a str) -> Read<Self> {
        let fields = json::fields(raw.as_bytes()).map_err(|_| refused("is not an object"))?;
        Ok(Self { fields, asked: Vec::new(), refusals: Vec::new() })
    }

    pub(in crate::domain::webhook) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// Takes a member that may be left out. Of one that is given twice the last counts.
    pub(in crate::domain::webhook) fn take<T>(&mut self, name: &'static str, read: impl FnOnce(&str) -> Read<T>) -> Option<T> {
        self.asked.push(name);
        let raw = self.fields.iter().rfind(|field| field.name == name)?.raw;
        match read(raw) {
            Ok(value) => Some(value),
            Err(refusals) => {
                self.refusals.extend(refusals.into_iter().map(|refusal| refusal.inside(name)));
                None
            }
        }
    }

    /// Takes a member that must be there.
    pub(in crate::domain::webhook) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Read<T>,
    ) -> Option<T> {
        if !self.has(name) {
            self.refusals.push(Refusal::new("", "is missing").inside(name));
        }
        self.take(name, read)
    }

    /// What was wrong with the members that were taken.
    pub(in crate::domain::webhook) fn refused(self) -> Vec<Refusal> {
        self.refusals
    }

    /// The value that was made of the members, unless something was wrong: each member that nobody took is unknown.
    pub(in crate::domain::webhook) fn finish<T>(mut self, value: Option<T>) -> Read<T> {
        let there_are = self.asked.join(", ");
        let unknown = self.fields.iter().filter(|field| !self.asked.contains(&&*field.name));
        let refusal = |field: &Field<'_>| Refusal::new("", format!("is unknown; there are {there_are}")).inside(&field.name);
        self.refusals.extend(unknown.map(refusal));
        match value {
            Some(value) if self.refusals.is_empty() => Ok(value),
            _ => Err(self.refusals),
        }
    }
}

pub(in crate::domain::webhook) fn text(raw: &str) -> Read<Cow<'_, str>> {
    json::unescape(raw).ok_or_else(|| refused("is not a string"))
}

/// A duration with its unit, such as `30s`.
pub(in crate::domain::webhook) fn duration(raw: &str, range: &RangeInclusive<Duration>) -> Read<Duration> {
    let text = text(raw)?;
    let read = parse_duration(&text).map_err(|_| refused("is not a duration with its unit, like 30s or 24h"))?;
    let bounds = || refused(format!("is {text}, outside {} to {}", duration_text(*range.start()), duration_text(*range.end())));
    if range.contains(&read) { Ok(read) } else { Err(bounds()) }
}

pub(in crate::domain::webhook) fn number<T: serde::de::DeserializeOwned + PartialOrd + Display>(
    raw: &str,
    range: &RangeInclusive<T>,
) -> Read<T> {
    let read = serde_json::from_str(raw).ok().filter(|number| range.contains(number));
    read.ok_or_else(|| refused(format!("is not a number from {} to {}", range.start(), range.end())))
}

/// A list; the place of each fault is the index of its item.
pub(in crate::domain::webhook) fn list<T>(raw: &str, read: impl Fn(&str) -> Read<T>) -> Read<Vec<T>> {
    let items: Vec<&serde_json::value::RawValue> = serde_json::from_str(raw).map_err(|_| refused("is not a list"))?;
    let (mut values, mut refusals) = (Vec::with_capacity(items.len()), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        match read(item.get()) {
            Ok(value) => values.push(value),
            Err(wrong) => refusals.extend(wrong.into_iter().map(|refusal| refusal.inside(&index.to_string()))),
        }
    }
    if refusals.is_empty() { Ok(values) } else { Err(refusals) }
}

pub(in crate::domain::webhook) fn refused(reason: impl Into<Cow<'static, str>>) -> Vec<Refusal> {
    vec![Refusal::new("", reason)]
}

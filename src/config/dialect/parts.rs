//! Values that only dialect files have: words of a closed list, status codes, text that something else parses.

use super::super::fault::{Faults, Placed, Remedy};
use crate::config::source::document::{Entry, Table, Value, within};
use crate::config::source::shape::Shape;
use crate::config::table::take::Wrong;
use crate::domain::text::nearest::nearest;

/// The words of a closed list, and what each means.
pub(in crate::config) type Words<T> = [(&'static str, T)];

/// Takes one of the words; absent or wrong is `None`.
pub(in crate::config) fn word<T: Copy>(table: &mut Table, key: &str, words: &Words<T>, faults: &mut Faults) -> Option<Placed<T>> {
    faults.record(&table.path, key, || Shape::words(words));
    table.take(key, faults, |value, _| of_list(&text(value, key)?, words, |near| format!("{key} = \"{near}\"")))
}

/// Takes one of the words, or the default.
pub(super) fn choice<T: Copy + Default>(table: &mut Table, key: &str, words: &Words<T>, faults: &mut Faults) -> T {
    word(table, key, words, faults).map(|taken| taken.value).unwrap_or_default()
}

/// Takes a list of the words, each at most once.
pub(super) fn words<T: Copy + PartialEq>(table: &mut Table, key: &str, words: &Words<T>, faults: &mut Faults) -> Option<Vec<T>> {
    faults.record(&table.path, key, || Shape::list(Shape::words(words)));
    let mut seen = Vec::new();
    let example = format!("[\"{}\"]", words.first().map_or("", |(word, _)| word));
    table.list(key, faults, &example, |value| {
        let text = text(value, key)?;
        let read = of_list(&text, words, |near| format!("\"{near}\""))?;
        if seen.contains(&read) {
            return Err(Wrong::new(format!("names `{text}` twice"), Remedy::None));
        }
        seen.push(read);
        Ok(())
    })?;
    Some(seen)
}

/// The meaning of a word; of an unknown one `write` says how the nearest is written in its place.
fn of_list<T: Copy>(text: &str, words: &Words<T>, write: impl Fn(&str) -> String) -> Result<T, Wrong> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let names = || words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let remedy = match nearest(text, words.iter().map(|(word, _)| *word)) {
        Some(near) => write(near).into(),
        None => Remedy::Advice(format!("there are {}", names())),
    };
    Err(Wrong::new(format!("is `{text}`, which is not known here"), remedy))
}

/// The word of a value, for printing.
pub(in crate::config) fn word_of<T: Copy + PartialEq>(value: T, words: &Words<T>) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

/// Takes text and parses it; `example` is the remedy.
pub(super) fn parsed<T, E: std::fmt::Display>(
    table: &mut Table,
    key: &str,
    example: &str,
    faults: &mut Faults,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<Placed<T>> {
    faults.record(&table.path, key, || Shape::Text);
    table.take(key, faults, |value, _| {
        parse(&text(value, key)?).map_err(|error| Wrong::new(format!("cannot be used: {error}"), format!("{key} = {example}")))
    })
}

/// Takes a list of HTTP status codes.
pub(super) fn codes(table: &mut Table, key: &str, faults: &mut Faults) -> Option<Vec<u16>> {
    faults.record(&table.path, key, || Shape::list(Shape::integer(&(200..=599))));
    let list = table.list(key, faults, "[502, 504]", |value| code(key, &value))?;
    Some(list.value.into_iter().map(|item| item.value).collect())
}

/// A status that ends a request: 200 to 599.
pub(super) fn code(key: &str, value: &Value) -> Result<u16, Wrong> {
    let number = if let Value::Integer(number) = value { u16::try_from(*number).ok() } else { None };
    let known = number.filter(|code| (200..=599).contains(code));
    known.ok_or_else(|| Wrong::new("holds what is no status from 200 to 599", format!("{key} = [200, 204]")))
}

/// Text as a file has it.
pub(super) fn text(value: Value, key: &str) -> Result<String, Wrong> {
    match value {
        Value::String(text) | Value::Text(text) => Ok(text),
        other => Err(Wrong::kind(&other, "a string", format!("{} = \"{}\"", within("", key), other.shown().unwrap_or_default()))),
    }
}

/// Takes a table whose keys are the file's own, each with text; in the order of the file.
pub(super) fn own_keys(table: &mut Table, key: &str, faults: &mut Faults) -> Vec<(Placed<String>, Placed<String>)> {
    faults.record(&table.path, key, || Shape::NamedTexts);
    let Some(mut inner) = table.table(key, faults) else { return Vec::new() };
    inner.rest().into_iter().filter_map(|entry| own_key(entry, faults)).collect()
}

fn own_key(entry: Entry, faults: &mut Faults) -> Option<(Placed<String>, Placed<String>)> {
    let Entry { key, location, value } = entry;
    match text(value.value, &key) {
        Ok(text) => Some((Placed::new(key, location), Placed::new(text, value.location))),
        Err(wrong) => {
            faults.add(&value.location, format!("`{key}` {}", wrong.message), wrong.remedy);
            None
        }
    }
}

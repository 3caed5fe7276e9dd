//! Reads the settings of a webhook, which the API takes as JSON, out of a table of the file.

use std::sync::Arc;

use super::take::Wrong;
use crate::config::fault::{Faults, Location, Remedy};
use crate::config::source::document::{Entry, Table, Value};
use crate::config::source::secret_file;
use crate::config::source::shape::Shape;
use crate::domain::json::quote;
use crate::domain::refusal::Refusal;
use crate::domain::webhook::settings::{CONCURRENCIES, NAMES, OnFailure, Setting, TIMEOUTS, WebhookSettings, is_sealed};

/// Takes all settings that a webhook's table has. `judge` says what stands against a setting besides its form.
pub(super) fn settings(table: &mut Table, judge: impl Fn(&Setting) -> Vec<Refusal>, faults: &mut Faults) -> Arc<WebhookSettings> {
    let location = table.location.clone();
    let given = NAMES.iter().filter_map(|name| setting(table, name, &judge, faults));
    let settings = WebhookSettings::none().with(&given.collect::<Vec<_>>());
    if let Some((name, refusal)) = settings.contradiction() {
        faults.add(&location, format!("`{name}` {}", told(&[refusal])), remedy(name));
    }
    settings
}

fn setting(table: &mut Table, name: &str, judge: impl Fn(&Setting) -> Vec<Refusal>, faults: &mut Faults) -> Option<Setting> {
    faults.record(&table.path, name, || shape(name));
    let taken = table.take(name, faults, |value, location| {
        let value = if is_sealed(name) { with_files(name, value, location)? } else { value };
        let setting = Setting::read(name, &whole_json(name, &value)?).map_err(|refusals| wrong(name, &refusals))?;
        let refusals = judge(&setting);
        if refusals.is_empty() { Ok(setting.of_operator()) } else { Err(wrong(name, &refusals)) }
    });
    taken.map(|setting| setting.value)
}

fn wrong(name: &str, refusals: &[Refusal]) -> Wrong {
    Wrong::new(told(refusals), remedy(name))
}

/// Puts the content of a file in place of each member `{ file = "PATH" }`, so that a credential need not stand in the config.
fn with_files(name: &str, value: Value, location: &Location) -> Result<Value, Wrong> {
    let Value::Table(mut table) = value else { return Ok(value) };
    for entry in &mut table.entries {
        if let Some(path) = file_of(&entry.value.value) {
            let path = location.resolve(path);
            let is_public = name == "tls" && ["client_cert", "ca"].contains(&&*entry.key);
            let read = if is_public { secret_file::certificate(&path) } else { secret_file::credential(&path) };
            let credential = read.map_err(|wrong| Wrong::new(format!("cannot be used: {}", wrong.message), wrong.remedy))?;
            entry.value.value = Value::String(credential.expose().to_owned());
        }
    }
    Ok(Value::Table(table))
}

fn file_of(value: &Value) -> Option<&str> {
    let Value::Table(table) = value else { return None };
    match &table.entries[..] {
        [Entry { key, value, .. }] if key == "file" => match &value.value {
            Value::String(path) => Some(path),
            _ => None,
        },
        _ => None,
    }
}

/// A value as JSON. A filter may also be a string that holds its JSON, since TOML has no null.
fn whole_json(name: &str, value: &Value) -> Result<String, Wrong> {
    if let (FILTER, Value::String(text)) = (name, value) {
        return Ok(text.clone());
    }
    let mut json = Vec::new();
    print(value, &mut json).map_err(|what| Wrong::new(format!("holds {what}, which JSON does not have"), remedy(name)))?;
    String::from_utf8(json).map_err(|_| Wrong::new("is no text", remedy(name)))
}

/// Prints a value as JSON. Fails with what JSON has no form for.
fn print(value: &Value, into: &mut Vec<u8>) -> Result<(), &'static str> {
    match value {
        Value::String(text) | Value::Text(text) => quote(text, into),
        Value::Integer(number) => into.extend_from_slice(number.to_string().as_bytes()),
        Value::Float(number) if number.is_finite() => into.extend_from_slice(number.to_string().as_bytes()),
        Value::Float(_) => return Err("a number that is not finite"),
        Value::Boolean(is) => into.extend_from_slice(is.to_string().as_bytes()),
        Value::Datetime(_) => return Err("a date without quotes"),
        Value::Array(items) => print_all(b"[]", items, |item, into| print(&item.value, into), into)?,
        Value::Table(table) => print_all(b"{}", &table.entries, print_member, into)?,
    }
    Ok(())
}

fn print_member(entry: &Entry, into: &mut Vec<u8>) -> Result<(), &'static str> {
    quote(&entry.key, into);
    into.push(b':');
    print(&entry.value.value, into)
}

fn print_all<T>(
    [open, close]: &[u8; 2],
    items: &[T],
    mut each: impl FnMut(&T, &mut Vec<u8>) -> Result<(), &'static str>,
    into: &mut Vec<u8>,
) -> Result<(), &'static str> {
    into.push(*open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            into.push(b',');
        }
        each(item, into)?;
    }
    into.push(*close);
    Ok(())
}

/// All that is wrong with a value, each with its place inside it.
fn told(refusals: &[Refusal]) -> String {
    let one = |refusal: &Refusal| match &*refusal.pointer {
        "" => format!("is wrong: {}", refusal.reason),
        pointer => format!("is wrong at {pointer}: {}", refusal.reason),
    };
    refusals.iter().map(one).collect::<Vec<_>>().join("; it ")
}

fn shape(name: &str) -> Shape {
    match name {
        "channels" => Shape::list(Shape::Text),
        "metadata" => Shape::NamedTexts,
        "headers" | "auth" | "tls" => Shape::NamedCredentials,
        "timeout" => Shape::Duration(TIMEOUTS),
        "uid" | "rate_limit" | "proxy" => Shape::Text,
        "sample" => Shape::Number(f64::MIN_POSITIVE..=1.0),
        "ordered" => Shape::Boolean,
        "on_failure" => Shape::words(&OnFailure::ALL.map(|what| (what.name(), what))),
        "concurrency" => Shape::Integer((*CONCURRENCIES.start()).into()..=(*CONCURRENCIES.end()).into()),
        _ => Shape::Any,
    }
}

/// An example of a setting, as a line of the file.
fn remedy(name: &str) -> Remedy {
    let example = match name {
        FILTER => "{ data = { amount = { \"$gt\" = 100 } } }",
        "uid" => "\"billing-1\"",
        "channels" => "[\"project-7\"]",
        "metadata" => "{ plan = \"pro\" }",
        "timeout" => "\"10s\"",
        "retry" => "{ schedule = [\"1m\", \"5m\", \"30m\"] }",
        "disable" => "{ consecutive = 10 }",
        "concurrency" => "4",
        "rate_limit" => "\"10/s\"",
        "sample" => "0.1",
        "ordered" => "true",
        "on_failure" => "\"hold\"",
        "proxy" => "\"http://proxy.internal:3128\"",
        "tls" => "{ client_cert = { file = \"tls/client.pem\" }, client_key = { file = \"tls/client.key\" } }",
        "auth" => "{ type = \"bearer\", token = { file = \"keys/token\" } }",
        "headers" => "{ X-Api-Key = { file = \"keys/receiver\" } }",
        _ => "{}",
    };
    Remedy::from(format!("{name} = {example}"))
}

const FILTER: &str = "filter";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::source::document;

    fn read(text: &str) -> (Arc<WebhookSettings>, String) {
        let mut faults = Faults::default();
        let mut table = document::parse(Path::new("a.toml"), text, &mut faults).expect("TOML");
        let settings = settings(&mut table, |_| Vec::new(), &mut faults);
        table.finish(&mut faults);
        (settings, faults.to_string())
    }

    fn filter(text: &str) -> String {
        let (settings, faults) = read(text);
        settings.filter.as_ref().map_or(faults, |filter| filter.text().to_owned())
    }

    #[test]
    fn a_filter_is_a_table_or_a_string_of_json() {
        let expected = r#"{"data":{"amount":{"$gt":1.5},"tags":["a",true]}}"#;
        assert_eq!(filter(r#"filter = { data = { amount = { "$gt" = 1.5 }, tags = ["a", true] } }"#), expected);
        assert_eq!(filter(&format!("filter = '{expected}'")), expected);
        assert_eq!(filter("[filter.data]\namount = 12345678901234567890"), r#"{"data":{"amount":12345678901234567890}}"#);
    }

    #[test]
    fn a_wrong_filter_is_told_with_its_place_in_both() {
        let (settings, faults) = read("\nfilter = { data = { n = { \"$startwith\" = \"a\" } } }");
        assert_eq!(settings, WebhookSettings::none());
        assert!(faults.contains("a.toml:2:") && faults.contains("`filter` is wrong at /data/n/$startwith: "), "{faults}");
        for (text, told) in [("filter = 7", "a filter is a JSON object"), ("filter = { a = nan }", "not finite")] {
            let (_, faults) = read(text);
            assert!(faults.contains(told), "{text}: {faults}");
        }
    }
}

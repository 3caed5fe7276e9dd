//! What one value means: text and numbers of a file become typed, or say what they should have been.

use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::fault::{Location, Placed};
use crate::config::source::document::Value;
use crate::domain::units::{Size, duration_text, parse_duration};

/// What a value should have been: the message goes on from "`key` is …", the remedy stands alone.
pub(crate) struct Wrong {
    pub(crate) message: String,
    pub(crate) remedy: String,
}

impl Wrong {
    pub(crate) fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }

    pub(in crate::config) fn kind(value: &Value, expected: &str, remedy: impl Into<String>) -> Self {
        Self::new(format!("is {}, not {expected}", value.kind()), remedy)
    }

    pub(in crate::config) fn outside<T: Display>(given: &str, least: T, most: T, key: &str) -> Self {
        Self::new(format!("is {given}, outside {least} to {most}"), format!("{key} = a value from {least} to {most}"))
    }
}

pub(in crate::config) fn is_label(name: &str) -> bool {
    (1..=LABEL_CHARS_MAX).contains(&name.chars().count()) && name.trim() == name && !name.contains(char::is_control)
}

pub(in crate::config) fn items(value: Value, location: &Location, key: &str, example: &str) -> Result<Vec<Placed<Value>>, Wrong> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Text(text) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(parts.map(|part| Placed::new(Value::Text(part.to_owned()), location.clone())).collect())
        }
        Value::Table(_) if example == TABLES_EXAMPLE => {
            Err(Wrong::new("is one table, not a list of them", format!("[[{key}]], in two brackets")))
        }
        other => Err(Wrong::kind(&other, "a list", format!("{key} = {example}"))),
    }
}

/// How an error shows a list of tables.
pub(in crate::config) const TABLES_EXAMPLE: &str = "[{ … }]";

pub(in crate::config) fn string(value: Value, remedy: &str) -> Result<String, Wrong> {
    match value {
        Value::String(text) | Value::Text(text) => Ok(text),
        other => Err(Wrong::kind(&other, "a string", remedy)),
    }
}

pub(in crate::config) fn integer(key: &str, value: Value, range: &RangeInclusive<u64>) -> Result<u64, Wrong> {
    let (least, most) = (*range.start(), *range.end());
    let remedy = || format!("{key} = a whole number from {least} to {most}, without quotes");
    let number = match &value {
        Value::Integer(number) => *number,
        Value::Text(text) => text.parse().map_err(|_| Wrong::new("is not a whole number", remedy()))?,
        other => return Err(Wrong::kind(other, "an integer", remedy())),
    };
    let within = u64::try_from(number).ok().filter(|number| range.contains(number));
    within.ok_or_else(|| Wrong::outside(&number.to_string(), least, most, key))
}

pub(in crate::config) fn number(key: &str, value: &Value, range: &RangeInclusive<f64>) -> Result<f64, Wrong> {
    let (least, most) = (*range.start(), *range.end());
    let number = match value {
        Value::Float(number) => Some(*number),
        Value::Integer(_) => value.shown().and_then(|text| text.parse().ok()),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    let remedy = format!("{key} = a number from {least} to {most}, without quotes");
    let number = number.ok_or_else(|| Wrong::kind(value, "a number", remedy))?;
    if range.contains(&number) { Ok(number) } else { Err(Wrong::outside(&number.to_string(), least, most, key)) }
}

pub(in crate::config) fn duration(key: &str, value: Value, range: &RangeInclusive<Duration>) -> Result<Duration, Wrong> {
    const REMEDY: &str = "a number and its unit (ms, s, m, h, d, w) in quotes: \"30s\", \"1h30m\"";
    let text = match value {
        Value::Integer(number) if number >= 0 => {
            return Err(Wrong::new(
                "is a number without a unit",
                format!("{key} = \"{number}s\", or with another of ms, s, m, h, d, w"),
            ));
        }
        value => string(value, REMEDY)?,
    };
    let read = parse_duration(text.trim()).map_err(|wrong| Wrong::new(format!("is no duration: {wrong}"), REMEDY))?;
    let print = |duration: &Duration| duration_text(*duration);
    let outside = || Wrong::outside(&text, print(range.start()), print(range.end()), key);
    if range.contains(&read) { Ok(read) } else { Err(outside()) }
}

pub(in crate::config) fn size(key: &str, value: Value, range: &RangeInclusive<Size>) -> Result<Size, Wrong> {
    const REMEDY: &str = "a number and its unit (B, KiB, MiB, GiB, TiB) in quotes: \"16KiB\"";
    let text = match value {
        Value::Integer(number) if number >= 0 => {
            return Err(Wrong::new(
                "is a number without a unit",
                format!("{key} = \"{number}B\", or with another of KiB, MiB, GiB, TiB"),
            ));
        }
        value => string(value, REMEDY)?,
    };
    let read = Size::parse(text.trim()).map_err(|wrong| Wrong::new(format!("is no size: {wrong}"), REMEDY))?;
    let outside = || Wrong::outside(&text, *range.start(), *range.end(), key);
    if range.contains(&read) { Ok(read) } else { Err(outside()) }
}

pub(in crate::config) fn network(key: &str, value: Value, example: &str) -> Result<IpNet, Wrong> {
    let remedy = format!("{key} = {example}");
    let text = string(value, &remedy)?;
    let one = || text.parse::<IpAddr>().map(IpNet::from);
    let read: IpNet = text.parse().or_else(|_| one()).map_err(|_| {
        let message = format!("holds `{text}`, which is no network in CIDR form");
        Wrong::new(message, remedy)
    })?;
    if read == read.trunc() { Ok(read) } else { Err(host_bits(key, &text, read)) }
}

/// `10.1.2.3/8` may mean one host or eight bits of network: better asked than guessed.
fn host_bits(key: &str, text: &str, read: IpNet) -> Wrong {
    let message = format!("holds `{text}`, which names a host within its network");
    Wrong::new(message, format!("{key} = [\"{}\"] or [\"{}\"]", read.trunc(), IpNet::from(read.addr())))
}

/// Longest name of a webhook or a key, in characters: it stands in lists and on one line of a log.
const LABEL_CHARS_MAX: usize = 64;

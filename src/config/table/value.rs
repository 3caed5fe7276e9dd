//! Converts single values: text and numbers of a file become typed values, or errors that say what was expected.

use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::fault::{Location, Placed, Remedy};
use crate::config::source::document::Value;
use crate::domain::units::{Size, duration_text, parse_duration};

/// What a value should have been. The message follows "`key` is …", and the remedy stands alone.
pub(crate) struct Wrong {
    pub(crate) message: String,
    pub(crate) remedy: Remedy,
}

impl Wrong {
    pub(crate) fn new(message: impl Into<String>, remedy: impl Into<Remedy>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }

    pub(in crate::config) fn kind(value: &Value, expected: &str, remedy: impl Into<Remedy>) -> Self {
        Self::new(format!("is {}, not {expected}", value.kind()), remedy)
    }

    /// An error for a value out of its range. The remedy is the bound that it passes, as TOML writes it.
    pub(in crate::config) fn outside<T: Display>(given: &str, least: T, most: T, key: &str, bound: &str) -> Self {
        Self::new(format!("is {given}, outside {least} to {most}"), format!("{key} = {bound}"))
    }
}

pub(in crate::config) fn is_label(name: &str) -> bool {
    (1..=LABEL_CHARS_MAX).contains(&name.chars().count()) && name.trim() == name && !name.contains(char::is_control)
}

/// The items of a list. `remedy` shows how a list is written.
pub(in crate::config) fn items(value: Value, location: &Location, remedy: &Remedy) -> Result<Vec<Placed<Value>>, Wrong> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Text(text) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(parts.map(|part| Placed::new(Value::Text(part.to_owned()), location.clone())).collect())
        }
        Value::Table(_) => Err(Wrong::new("is one table, not a list", remedy.clone())),
        other => Err(Wrong::kind(&other, "a list", remedy.clone())),
    }
}

pub(in crate::config) fn string(value: Value, remedy: impl Into<Remedy>) -> Result<String, Wrong> {
    match value {
        Value::String(text) | Value::Text(text) => Ok(text),
        other => Err(Wrong::kind(&other, "a string", remedy)),
    }
}

pub(in crate::config) fn integer(key: &str, value: Value, range: &RangeInclusive<u64>) -> Result<u64, Wrong> {
    let (least, most) = (*range.start(), *range.end());
    let remedy = || format!("{key} = {}", quoted_number(&value).filter(|number| range.contains(number)).unwrap_or(least));
    let number = match &value {
        Value::Integer(number) => *number,
        Value::Text(text) => text.parse().map_err(|_| Wrong::new("is not a whole number", remedy()))?,
        other => return Err(Wrong::kind(other, "an integer", remedy())),
    };
    let within = u64::try_from(number).ok().filter(|number| range.contains(number));
    let bound = || if number < i128::from(least) { least } else { most };
    within.ok_or_else(|| Wrong::outside(&number.to_string(), least, most, key, &bound().to_string()))
}

pub(in crate::config) fn number(key: &str, value: &Value, range: &RangeInclusive<f64>) -> Result<f64, Wrong> {
    let (least, most) = (*range.start(), *range.end());
    let number = match value {
        Value::Float(number) => Some(*number),
        Value::Integer(_) => value.shown().and_then(|text| text.parse().ok()),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    let number = number.ok_or_else(|| Wrong::kind(value, "a number", format!("{key} = {least:?}")))?;
    let bound = if number < least { least } else { most };
    if range.contains(&number) {
        Ok(number)
    } else {
        Err(Wrong::outside(&number.to_string(), least, most, key, &format!("{bound:?}")))
    }
}

/// The number in a string that should have been a number without quotes.
fn quoted_number(value: &Value) -> Option<u64> {
    if let Value::String(text) = value { text.trim().parse().ok() } else { None }
}

pub(in crate::config) fn duration(key: &str, value: Value, range: &RangeInclusive<Duration>) -> Result<Duration, Wrong> {
    let remedy = || format!("{key} = \"{}\"", duration_text(DURATION_EXAMPLE.clamp(*range.start(), *range.end())));
    let text = match value {
        Value::Integer(number) if number >= 0 => {
            return Err(Wrong::new(
                format!("is a number without a unit; there are {DURATION_UNITS}"),
                format!("{key} = \"{number}s\""),
            ));
        }
        value => string(value, remedy())?,
    };
    let read = parse_duration(text.trim())
        .map_err(|wrong| Wrong::new(format!("is no duration: {wrong}; there are {DURATION_UNITS}"), remedy()))?;
    let print = |duration: &Duration| duration_text(*duration);
    let bound = || format!("\"{}\"", print(&read.clamp(*range.start(), *range.end())));
    let outside = || Wrong::outside(&text, print(range.start()), print(range.end()), key, &bound());
    if range.contains(&read) { Ok(read) } else { Err(outside()) }
}

pub(in crate::config) fn size(key: &str, value: Value, range: &RangeInclusive<Size>) -> Result<Size, Wrong> {
    let remedy = || format!("{key} = \"{}\"", SIZE_EXAMPLE.clamp(*range.start(), *range.end()));
    let text = match value {
        Value::Integer(number) if number >= 0 => {
            return Err(Wrong::new(
                format!("is a number without a unit; there are {SIZE_UNITS}"),
                format!("{key} = \"{number}B\""),
            ));
        }
        value => string(value, remedy())?,
    };
    let read =
        Size::parse(text.trim()).map_err(|wrong| Wrong::new(format!("is no size: {wrong}; there are {SIZE_UNITS}"), remedy()))?;
    let bound = || format!("\"{}\"", read.clamp(*range.start(), *range.end()));
    let outside = || Wrong::outside(&text, *range.start(), *range.end(), key, &bound());
    if range.contains(&read) { Ok(read) } else { Err(outside()) }
}

pub(in crate::config) fn network(key: &str, value: Value, example: &str) -> Result<IpNet, Wrong> {
    let remedy = format!("{key} = {example}");
    let text = string(value, remedy.clone())?;
    let one = || text.parse::<IpAddr>().map(IpNet::from);
    let read: IpNet = text.parse().or_else(|_| one()).map_err(|_| {
        let message = format!("holds `{text}`, which is no network in CIDR form");
        Wrong::new(message, remedy)
    })?;
    if read == read.trunc() { Ok(read) } else { Err(host_bits(key, &text, read)) }
}

/// An error for a network like `10.1.2.3/8`, which may mean one host or a network of eight bits. It is not guessed.
fn host_bits(key: &str, text: &str, read: IpNet) -> Wrong {
    let message = format!("holds `{text}`, which names a host within its network");
    let host = IpNet::from(read.addr());
    Wrong::new(format!("{message} (\"{host}\" is that host)"), format!("{key} = [\"{}\"]", read.trunc()))
}

const DURATION_UNITS: &str = "ms, s, m, h, d, w";
const SIZE_UNITS: &str = "B, KiB, MiB, GiB, TiB";

/// The duration that an error shows as an example, if it is within the bounds.
const DURATION_EXAMPLE: Duration = Duration::from_secs(30);

/// The size that an error shows as an example, if it is within the bounds.
const SIZE_EXAMPLE: Size = Size::kib(16);

/// The longest name of a webhook or a key, in characters: it stands in lists and on one line of a log.
const LABEL_CHARS_MAX: usize = 64;

//! How values are written for a person: times that passed, sizes, counts, cells, and text from strangers.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use unicode_width::UnicodeWidthStr;

use crate::api::document::members::Members;

/// A document as JSON in one line.
pub(crate) fn json_line(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("a document is made of texts, numbers and lists, which JSON can hold")
}

pub(crate) use crate::domain::text::plain::{plain, plain_json};

/// As [`plain`], in one line of at most `limit` characters.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() > limit {
        words = words.chars().take(limit.saturating_sub(1)).chain(['…']).collect();
    }
    plain(&words)
}

/// Lines of at most `width` characters, broken between words, of a text that begins `indent` characters into its first; `None`: no
/// terminal, one line.
pub(crate) fn folded(text: &str, indent: usize, width: Option<usize>) -> String {
    let Some(room) = width.and_then(|width| width.checked_sub(indent)).filter(|room| *room >= FOLDED_LEAST) else {
        return text.to_owned();
    };
    let (mut folded, mut at) = (String::new(), 0);
    for word in text.split(' ') {
        if at > 0 && at + 1 + word.width() > room {
            folded.push_str(&format!("\n{:indent$}", ""));
            at = 0;
        } else if at > 0 {
            folded.push(' ');
            at += 1;
        }
        folded.push_str(word);
        at += word.width();
    }
    folded
}

/// `12 ms`, `5 s`, `1 m 30 s`, `2 h 5 m`, `3 d 4 h`: two units at most, rounded down.
pub(crate) fn duration(time: Duration) -> String {
    let secs = time.as_secs();
    let two = |big: u64, big_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{big} {big_unit}"),
        small => format!("{big} {big_unit} {small} {small_unit}"),
    };
    match secs {
        0 => format!("{} ms", time.as_millis()),
        1..MINUTE => format!("{secs} s"),
        MINUTE..HOUR => two(secs / MINUTE, "m", secs % MINUTE, "s"),
        HOUR..DAY => two(secs / HOUR, "h", secs % HOUR / MINUTE, "m"),
        _ => two(secs / DAY, "d", secs % DAY / HOUR, "h"),
    }
}

/// `512 B`, `1.5 KiB`, `10.0 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    let unit = UNITS.iter().rev().find(|(_, unit)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(name, unit)| {
            let tenths = u128::from(bytes) * 10 / u128::from(*unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        },
    )
}

/// `1 endpoint`, `3 endpoints`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A text as a cell: in one line, and not too long.
pub(crate) fn in_cell(text: &str) -> String {
    one_line(text, CELL_CHARACTERS_MAX)
}

/// A value of an answer as a cell: text as it is, lists with commas, null as nothing.
pub(crate) fn cell(value: &RawValue) -> String {
    let json = value.get();
    in_cell(&match serde_json::from_str::<Vec<&RawValue>>(json) {
        Ok(items) => items.into_iter().map(shown).collect::<Vec<_>>().join(","),
        Err(_) if json == "null" => String::new(),
        Err(_) => shown(value),
    })
}

/// The members of an object, one a line under each other: those of `order` first, then the rest; nothing of what is null.
pub(crate) fn record(object: &Members<Box<RawValue>>, order: &[&str]) -> String {
    let named = order.iter().filter_map(|name| Some((*name, object.get(name)?)));
    let rest = object.0.iter().map(|(name, value)| (name.as_str(), value)).filter(|(name, _)| !order.contains(name));
    let rows = named.chain(rest).map(|(name, value)| (name, cell(value)));
    let rows: Vec<(&str, String)> = rows.filter(|(_, value)| !value.is_empty()).collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines: Vec<String> = rows.iter().map(|(name, value)| format!("{}  {value}", plain(&format!("{name:width$}")))).collect();
    lines.join("\n")
}

fn shown(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// In less room than this a folded text is a column of single words.
const FOLDED_LEAST: usize = 20;

/// A URL may have 2,048; a table is for the eye, `show` and `--json` give the whole.
const CELL_CHARACTERS_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_becomes_one_line_of_limited_length() {
        assert_eq!(one_line("  two\nlines ", 80), "two lines");
        assert_eq!(one_line("abcdef", 4), "abc…");
    }

    #[test]
    fn a_folded_text_breaks_between_words() {
        let text = "the wall clock jumped ahead by an hour";
        assert_eq!(folded(text, 4, Some(28)), "the wall clock jumped\n    ahead by an hour");
        assert_eq!(folded("averyverylongwordindeedx b", 4, Some(24)), "averyverylongwordindeedx\n    b");
        assert_eq!((folded(text, 4, None).as_str(), folded(text, 4, Some(10)).as_str()), (text, text));
    }

    #[test]
    fn times_have_two_units_at_most() {
        let expected = [
            (Duration::from_millis(12), "12 ms"),
            (Duration::from_millis(5_999), "5 s"),
            (Duration::from_secs(90), "1 m 30 s"),
            (Duration::from_secs(120), "2 m"),
            (Duration::from_secs(7_500), "2 h 5 m"),
            (Duration::from_secs(86_400 * 3 + 5), "3 d"),
        ];
        for (time, text) in expected {
            assert_eq!(duration(time), text);
        }
    }

    #[test]
    fn sizes_have_one_digit_behind_the_point() {
        assert_eq!(size(512), "512 B");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(10 << 30), "10.0 GiB");
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
    }

    #[test]
    fn lists_and_null_become_cells_of_text() {
        let cell = |json: &str| cell(&RawValue::from_string(json.into()).expect("JSON"));
        let cells = [r#"["a.b","c.*"]"#, "3", "null", r#""x\ny""#, r#"{"a":[1]}"#, "[]"].map(cell);
        assert_eq!(cells, ["a.b,c.*", "3", "", "x y", r#"{"a":[1]}"#, ""]);
    }

    #[test]
    fn a_record_has_its_known_members_first() {
        let object = serde_json::from_str(r#"{"a":1,"id":"wh_1","gone":null,"url":"https://x/"}"#).expect("an object");
        assert_eq!(record(&object, &["id", "url", "absent"]), "id   wh_1\nurl  https://x/\na    1");
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(count(1, "endpoint"), "1 endpoint");
        assert_eq!(count(0, "endpoint"), "0 endpoints");
    }
}

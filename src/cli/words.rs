//! How values are written for a person: times that passed, sizes, counts, tables, and text from strangers.

use std::time::Duration;

use serde_json::Value;

/// Text from outside, safe for a terminal: control characters and those that turn the direction of writing are shown as
/// escapes, so that no response can move the cursor or hide what follows. Line ends and tabs stay.
pub(crate) fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' | '\t' => safe.push(char),
            char if char.is_control() || is_bidirectional(char) => safe.extend(char.escape_unicode()),
            char => safe.push(char),
        }
    }
    safe
}

/// As [`plain`], in one line of at most `limit` characters.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() > limit {
        words = words.chars().take(limit.saturating_sub(1)).chain(['…']).collect();
    }
    plain(&words)
}

/// The embedding, override and isolate controls of Unicode's bidirectional algorithm (UAX #9, section 2).
fn is_bidirectional(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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

/// Rows under their headings, columns as wide as their widest cell; nothing at all without rows.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let headings: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let all: Vec<&[String]> = std::iter::once(headings.as_slice()).chain(rows.iter().map(Vec::as_slice)).collect();
    let width = |column: usize| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..headings.len()).map(|column| width(column).unwrap_or_default()).collect();
    let lines: Vec<String> = all.iter().map(|row| aligned(row, &widths)).collect();
    lines.join("\n")
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}", width = *width));
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// A member of an answer as a cell: text as it is, lists with commas, what is absent or null as nothing.
pub(crate) fn cell(object: &Value, member: &str) -> String {
    let text = match &object[member] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    };
    one_line(&text, CELL_CHARACTERS_MAX)
}

/// The members of an object, one a line under each other: those of `order` first, then the rest; nothing of what is null.
pub(crate) fn record(object: &Value, order: &[&str]) -> String {
    let Some(members) = object.as_object() else { return plain(&object.to_string()) };
    let named = order.iter().copied().filter(|name| members.contains_key(*name));
    let rest = members.keys().map(String::as_str).filter(|name| !order.contains(name));
    let rows: Vec<(&str, String)> = named.chain(rest).map(|name| (name, cell(object, name))).collect();
    let rows: Vec<&(&str, String)> = rows.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines: Vec<String> = rows.iter().map(|(name, value)| format!("{}  {value}", plain(&format!("{name:width$}")))).collect();
    lines.join("\n")
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// A URL may have 2,048; a table is for the eye, `show` and `--json` give the whole.
const CELL_CHARACTERS_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_from_outside_commands_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\u{9b}c\r\u{202e}d\n"), "a\\u{1b}[2Jb\\u{9b}c\\u{d}\\u{202e}d\n");
        assert_eq!(one_line("  two\nlines ", 80), "two lines");
        assert_eq!(one_line("abcdef", 4), "abc…");
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
    fn columns_stand_under_each_other() {
        let rows = [vec!["wh_1".to_owned(), "active".to_owned()], vec!["wh_22".to_owned(), String::new()]];
        assert_eq!(table(&["ID", "STATUS"], &rows), "ID     STATUS\nwh_1   active\nwh_22");
        assert_eq!(table(&["ID"], &[]), "");
    }

    #[test]
    fn cells_are_what_a_person_reads() {
        let object = serde_json::json!({ "events": ["a.b", "c.*"], "n": 3, "none": null });
        assert_eq!(cell(&object, "events"), "a.b,c.*");
        assert_eq!(cell(&object, "n"), "3");
        assert_eq!(cell(&object, "none"), "");
        assert_eq!(cell(&object, "absent"), "");
    }

    #[test]
    fn a_record_has_its_known_members_first() {
        let object = serde_json::json!({ "id": "wh_1", "a": 1, "url": "https://x/", "gone": null });
        assert_eq!(record(&object, &["id", "url", "absent"]), "id   wh_1\nurl  https://x/\na    1");
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(count(1, "endpoint"), "1 endpoint");
        assert_eq!(count(0, "endpoint"), "0 endpoints");
    }
}

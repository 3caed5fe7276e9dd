//! Makes text from strangers safe for a terminal, so that nothing in it moves the cursor, changes colours or turns around what
//! follows.

/// Whether a terminal obeys a character instead of showing it: control characters of ASCII and ISO 8859-1, those of Unicode's
/// bidirectional algorithm (UAX #9, section 2), and separators of lines and paragraphs.
pub(crate) fn is_command(char: char) -> bool {
    char.is_control() || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Replaces such characters by escapes as `\u{9b}`. Line ends and tabs stay.
pub(crate) fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' | '\t' => safe.push(char),
            char if is_command(char) => safe.extend(char.escape_unicode()),
            char => safe.push(char),
        }
    }
    safe
}

/// Replaces such characters in a line of JSON by JSON's own escapes (RFC 8259 section 7), so that its meaning stays: they can
/// stand within strings only.
pub(crate) fn plain_json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' | '\t' => safe.push(char),
            char if is_command(char) => safe.push_str(&format!("\\u{:04x}", u32::from(char))),
            char => safe.push(char),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_commands_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\u{9b}c\r\u{202e}d\n"), "a\\u{1b}[2Jb\\u{9b}c\\u{d}\\u{202e}d\n");
        for char in (0..=0x0010_ffff).filter_map(char::from_u32).filter(|char| is_command(*char)) {
            let shown = plain(&char.to_string());
            assert!(matches!(char, '\n' | '\t') || shown.chars().all(|char| char.is_ascii_graphic()), "{shown:?}");
        }
    }

    #[test]
    fn escaped_json_means_the_same() {
        let text = "{\"a\u{9b}\":\"\u{202e}\u{7f}é\u{2029}\"}";
        let safe = plain_json(text);
        assert_eq!(safe, "{\"a\\u009b\":\"\\u202e\\u007fé\\u2029\"}");
        let values: [serde_json::Value; 2] = [text, &safe].map(|text| serde_json::from_str(text).expect("JSON"));
        assert_eq!(values[0], values[1]);
    }
}

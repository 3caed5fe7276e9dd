//! JSON strings: resolves their escapes, and writes text as a string.

use std::borrow::Cow;

/// The text of a scanned string with its quotes. `None` when it holds half of a surrogate pair, or is no string.
pub(crate) fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    unescape_inner(raw.strip_prefix('"')?.strip_suffix('"')?)
}

/// The text of a string given without its quotes, as [`unescape`] returns it.
pub(in crate::domain) fn unescape_inner(mut rest: &str) -> Option<Cow<'_, str>> {
    let Some(first) = rest.find('\\') else { return Some(Cow::Borrowed(rest)) };
    let mut text = String::with_capacity(rest.len());
    let mut plain = first;
    loop {
        text.push_str(&rest[..plain]);
        let (unit, after) = escape(&rest[plain..])?;
        let (char, after) = character(unit, after)?;
        text.push(char);
        rest = after;
        match rest.find('\\') {
            Some(next) => plain = next,
            None => break,
        }
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

/// Appends `text` as a JSON string with its quotes, escaped as ECMAScript's `JSON.stringify` does (ECMA-262 25.5.2.3).
pub(crate) fn quote(text: &str, into: &mut Vec<u8>) {
    into.push(b'"');
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        into.extend_from_slice(&text.as_bytes()[done..at]);
        escape_ascii(byte, into);
        done = at + 1;
    }
    into.extend_from_slice(&text.as_bytes()[done..]);
    into.push(b'"');
}

/// An object whose members are all strings, in their order.
pub(crate) fn object_of_texts<N: AsRef<str>, V: AsRef<str>>(members: impl IntoIterator<Item = (N, V)>) -> String {
    let mut bytes = b"{".to_vec();
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        quote(name.as_ref(), &mut bytes);
        bytes.push(b':');
        quote(value.as_ref(), &mut bytes);
    }
    bytes.push(b'}');
    String::from_utf8(bytes).expect("quoted text is UTF-8")
}

/// The UTF-16 code unit of the escape at the start of `text`, and the text behind the escape.
pub(in crate::domain) fn escape(text: &str) -> Option<(u16, &str)> {
    let bytes = text.as_bytes();
    let unit = match bytes.get(1)? {
        b'b' => 0x08,
        b't' => 0x09,
        b'n' => 0x0a,
        b'f' => 0x0c,
        b'r' => 0x0d,
        b'u' => return Some((u16::from_str_radix(text.get(2..6)?, 16).ok()?, &text[6..])),
        byte @ (b'"' | b'\\' | b'/') => u16::from(*byte),
        _ => return None,
    };
    Some((unit, &text[2..]))
}

/// The character that begins with a code unit. The low half of a pair is taken from the escape in `after`.
pub(in crate::domain) fn character(unit: u16, after: &str) -> Option<(char, &str)> {
    if let Some(char) = char::from_u32(u32::from(unit)) {
        return Some((char, after));
    }
    let (low, after) = after.starts_with("\\u").then(|| escape(after))??;
    let char = char::decode_utf16([unit, low]).next()?.ok()?;
    Some((char, after))
}

/// Appends the escape of an ASCII character that must not stand in a string as it is.
pub(in crate::domain) fn escape_ascii(byte: u8, into: &mut Vec<u8>) {
    let short = match byte {
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        b'"' | b'\\' => byte,
        _ => return escape_unit(u16::from(byte), into),
    };
    into.extend_from_slice(&[b'\\', short]);
}

/// Appends `\u` and four lower-case digits.
pub(in crate::domain) fn escape_unit(unit: u16, into: &mut Vec<u8>) {
    into.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        into.push(HEX_DIGITS[usize::from((unit >> shift) & 0xf)]);
    }
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn half_a_surrogate_pair_stands_for_no_text() {
        for raw in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\ud800""#, r#""\ud800x""#, r#""\ud800\n""#] {
            assert_eq!(unescape(raw), None, "{raw}");
        }
        assert_eq!(unescape(r#""\ud83d\ude00!""#).as_deref(), Some("😀!"));
    }

    proptest! {
        #[test]
        fn quoting_and_serde_agree(text in any::<String>()) {
            let mut quoted = Vec::new();
            quote(&text, &mut quoted);
            prop_assert_eq!(String::from_utf8(quoted).unwrap(), serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn unescaping_undoes_every_spelling(text in any::<String>(), by_code in any::<u64>()) {
            let mut raw = String::from("\"");
            for (at, char) in text.chars().enumerate() {
                if by_code >> (at % 64) & 1 == 1 || char < ' ' || char == '"' || char == '\\' {
                    char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| raw.push_str(&format!("\\u{unit:04X}")));
                } else {
                    raw.push(char);
                }
            }
            raw.push('"');
            prop_assert!(super::super::scan(raw.as_bytes()).is_ok());
            let read = unescape(&raw);
            prop_assert_eq!(read.as_deref(), Some(text.as_str()));
        }
    }
}

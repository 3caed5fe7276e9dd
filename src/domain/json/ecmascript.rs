//! Prints JSON as ECMAScript does: `JSON.stringify(JSON.parse(text))`, byte for byte (ECMA-262 25.5).
//!
//! Some receivers verify a signature over their own print of the body. They can do so only when the body already is that print.
//! What ECMAScript changes without loss (spaces, escapes, the order of integer-like names, names given twice, digits of a
//! fraction) is changed here. A whole number that would become another number is refused.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use super::{Fault, Kind, Scanner, Stop};
use crate::domain::refusal::Refusal;

/// Returns what ECMAScript prints after reading `document`.
///
/// Fails on what [`scan`](super::scan) refuses, and on numbers that would change: a whole number whose print has another decimal
/// value, a number too large for a double, and a number other than 0 that would become 0.
pub(crate) fn print(document: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut scanner = Scanner::new(document)?;
    let mut out = Vec::with_capacity(document.len());
    scanner.white_space();
    value(&mut scanner, 0, &mut out)?;
    scanner.end()?;
    Ok(out)
}

fn value(scanner: &mut Scanner<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), Refusal> {
    match scanner.peek() {
        Some(b'{') => object(scanner, scanner.deeper(depth)?, out),
        Some(b'[') => array(scanner, scanner.deeper(depth)?, out),
        Some(b'"') => {
            let start = scanner.at();
            scanner.string()?;
            string(scanner.slice(start..scanner.at()), out);
            Ok(())
        }
        _ => scalar(scanner, out),
    }
}

fn scalar(scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let start = scanner.at();
    let kind = scanner.value(0)?;
    match (kind, scanner.slice(start..scanner.at())) {
        (Kind::Number, text) => number(text, out),
        (_, word) => {
            out.extend_from_slice(word.as_bytes());
            Ok(())
        }
    }
}

fn array(scanner: &mut Scanner<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), Refusal> {
    out.push(b'[');
    scanner.elements(|scanner, index| {
        if index > 0 {
            out.push(b',');
        }
        value(scanner, depth, out).map_err(|refusal| refusal.inside(&index.to_string()))
    })?;
    out.push(b']');
    Ok(())
}

/// Prints the members of an object in the order in which they come, and then reorders that part of `out` where ECMAScript's order
/// differs.
fn object(scanner: &mut Scanner<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let start = out.len();
    let mut members = Vec::new();
    out.push(b'{');
    scanner.members(|scanner, name| {
        let name = scanner.slice(name);
        if !members.is_empty() {
            out.push(b',');
        }
        let begin = out.len();
        string(name, out);
        let name_end = out.len();
        out.push(b':');
        value(scanner, depth, out).map_err(|refusal| refusal.inside(&pointed(name)))?;
        members.push(Member { name: begin - start..name_end - start, end: out.len() - start });
        Ok::<(), Refusal>(())
    })?;
    out.push(b'}');
    reorder(&members, start, out);
    Ok(())
}

/// Where a printed member stands, counted from its object's brace.
#[derive(Clone)]
struct Member {
    name: Range<usize>,
    end: usize,
}

/// Puts members into ECMAScript's order. Of members with one name only the last stays, at the first one's place. Names that are
/// array indexes come first, in rising order (ECMA-262 10.1.11).
fn reorder(members: &[Member], start: usize, out: &mut Vec<u8>) {
    let printed = &out[start..];
    let mut kept: Vec<Member> = Vec::with_capacity(members.len());
    let mut places = BTreeMap::new();
    for member in members {
        match places.get(&printed[member.name.clone()]) {
            Some(&place) => kept[place] = member.clone(),
            None => {
                places.insert(&printed[member.name.clone()], kept.len());
                kept.push(member.clone());
            }
        }
    }
    let rank = |member: &Member| array_index(&printed[member.name.clone()]).unwrap_or(u64::MAX);
    if kept.len() == members.len() && kept.is_sorted_by_key(rank) {
        return;
    }
    kept.sort_by_key(rank);
    let parts: Vec<_> = kept.iter().map(|member| &printed[member.name.start..member.end]).collect();
    let body = parts.join(&b","[..]);
    out.truncate(start + 1);
    out.extend_from_slice(&body);
    out.push(b'}');
}

/// The array index that a printed name, with its quotes, stands for: 0 to 2^32 - 2 without leading zeros (ECMA-262 6.1.7).
fn array_index(printed: &[u8]) -> Option<u64> {
    let digits = printed.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let plain =
        (1..=10).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) && (digits == b"0" || digits[0] != b'0');
    let index = plain.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))?;
    (index < u64::from(u32::MAX)).then_some(index)
}

/// Prints a scanned string: every escape is resolved, and only the necessary ones are made again.
///
/// A string of code units has exactly one print, so two names are equal when their prints are.
fn string(raw: &str, out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(plain) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..plain]);
        // The scanner lets only whole escapes pass.
        let Some((unit, after)) = super::escape(&rest[plain..]) else { break };
        rest = match super::character(unit, after) {
            Some((char, after)) => {
                character(char, out);
                after
            }
            None => {
                super::escape_unit(unit, out);
                after
            }
        };
    }
    out.extend_from_slice(rest.as_bytes());
}

fn character(char: char, out: &mut Vec<u8>) {
    match u8::try_from(char) {
        Ok(byte) if byte < b' ' || byte == b'"' || byte == b'\\' => super::escape_ascii(byte, out),
        _ => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn number(text: &str, out: &mut Vec<u8>) -> Result<(), Refusal> {
    if is_small_integer(text) {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    let read: f64 = text.parse().map_err(|_| refuse("a number that cannot be read"))?;
    let meant = Decimal::parse(text);
    if !read.is_finite() {
        return Err(refuse("a number too large for a double, which ECMAScript prints as null"));
    }
    if read == 0.0 && !meant.digits.is_empty() {
        return Err(refuse("a number too small for a double, which ECMAScript prints as 0"));
    }
    let mut buffer = ryu_js::Buffer::new();
    let printed = buffer.format_finite(read);
    if meant.is_whole() && Decimal::parse(printed) != meant {
        return Err(refuse("a whole number that ECMAScript reads as another one; publish it as a string"));
    }
    out.extend_from_slice(printed.as_bytes());
    Ok(())
}

/// Whether a number is an integer that a double holds and ECMAScript prints as it stands. Nearly every number is one, and no
/// arithmetic is needed to see it.
fn is_small_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.len() <= DIGITS_ALWAYS_EXACT && digits.bytes().all(|byte| byte.is_ascii_digit()) && text != "-0"
}

/// A decimal value without its sign: `digits` × 10^`exponent`, where the digits have no zeros at either end. For 0 there are no
/// digits.
#[derive(PartialEq, Eq)]
struct Decimal {
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    fn parse(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = || whole.bytes().chain(fraction.bytes()).filter(u8::is_ascii_digit);
        let zeros_behind = all().rev().take_while(|&digit| digit == b'0').count();
        let mut digits: Vec<u8> = all().skip_while(|&digit| digit == b'0').collect();
        digits.truncate(digits.len().saturating_sub(zeros_behind));
        // With an exponent beyond 64 bits the double is 0 or infinite, and is refused before the values are compared.
        let exponent: i64 = exponent.parse().unwrap_or(i64::MAX);
        let exponent = exponent.saturating_add_unsigned(zeros_behind as u64).saturating_sub_unsigned(fraction.len() as u64);
        Self { exponent: if digits.is_empty() { 0 } else { exponent }, digits }
    }

    fn is_whole(&self) -> bool {
        self.exponent >= 0
    }
}

/// A member's name as a reference token of a JSON pointer, not escaped yet.
fn pointed(raw: &str) -> Cow<'_, str> {
    super::unescape(raw).unwrap_or_else(|| Cow::Borrowed(raw.trim_matches('"')))
}

fn refuse(reason: &'static str) -> Refusal {
    Refusal::new("", reason)
}

impl From<Stop> for Refusal {
    fn from(stop: Stop) -> Self {
        refuse(stop.text())
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::new("", fault.to_string())
    }
}

/// Every integer of up to fifteen digits has a double of its own, since 2^53 has sixteen.
const DIGITS_ALWAYS_EXACT: usize = 15;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn vectors() -> Value {
        serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/ecmascript-json.json")))
            .expect("the vectors are JSON")
    }

    fn printed(text: &str) -> String {
        String::from_utf8(print(text.as_bytes()).expect("must print")).expect("a print is UTF-8")
    }

    #[test]
    fn prints_what_node_prints() {
        let vectors = vectors();
        for pair in vectors["exact"].as_array().expect("a list") {
            let (input, output) = (pair["input"].as_str().expect("text"), pair["output"].as_str().expect("text"));
            assert_eq!(printed(input), output, "{input}");
        }
    }

    #[test]
    fn a_number_that_would_change_is_refused() {
        let vectors = vectors();
        for case in vectors["loses_precision"].as_array().expect("a list") {
            let input = case["input"].as_str().expect("text");
            assert!(print(input.as_bytes()).is_err(), "{input}");
        }
        for text in ["1e-400", "-1e309", "1e99999999999999999999", "1e-99999999999999999999", "90071992547409930e-1"] {
            assert!(print(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_whole_number_in_any_spelling_is_kept() {
        for (text, expected) in [
            ("9007199254740993.5", "9007199254740994"),
            ("1e22", "1e+22"),
            ("10000000000000000000000", "1e+22"),
            ("0.000000000000000000001e21", "1"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("0e99999999999999999999", "0"),
            ("-999999999999999", "-999999999999999"),
            ("1.50", "1.5"),
        ] {
            assert_eq!(printed(text), expected, "{text}");
        }
    }

    #[test]
    fn the_pointer_leads_to_the_number() {
        let refusal = print(br#"{"a/b":[0,{"~\u0078":1e400}]}"#).expect_err("too large");
        assert_eq!(refusal.pointer, "/a~1b/1/~0x");
    }

    #[test]
    fn names_are_equal_whatever_their_spelling() {
        assert_eq!(printed(r#"{"\u0061":1,"a":2,"\ud800":3,"\uD800":4}"#), r#"{"a":2,"\ud800":4}"#);
        assert_eq!(printed(r#"{"b":0,"\u0031":1,"0":2,"1":3}"#), r#"{"0":2,"1":3,"b":0}"#);
    }

    #[test]
    fn surrogates_pair_only_with_their_other_half() {
        assert_eq!(
            printed(r#""\uD83D\uDE00 \uDE00\uD83D \ud800\ud83d\ude00 \ud83d😀""#),
            r#""😀 \ude00\ud83d \ud800😀 \ud83d😀""#
        );
        assert_eq!(printed(r#""\ud800\n\u007f\u2028""#), "\"\\ud800\\n\u{7f}\u{2028}\"");
    }

    #[test]
    fn text_that_is_no_json_is_refused_with_its_place() {
        let refusal = print(b"[1,]").expect_err("no JSON");
        assert_eq!((refusal.pointer.as_str(), refusal.reason.as_ref()), ("/1", "no value begins like this"));
        assert!(print("[".repeat(200).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn the_print_of_a_print_is_the_same(text in "(\\{|\\}|\\[|\\]|,|:|\"[a-c0-2]?\"|\"\\\\u00[0-9]{2}\"|[0-9]{1,3}|-1\\.50|true| ){0,12}") {
            if let Ok(once) = print(text.as_bytes()) {
                prop_assert_eq!(print(&once), Ok(once.clone()));
            }
        }

        #[test]
        fn every_double_survives(bits in any::<u64>()) {
            let double = f64::from_bits(bits);
            prop_assume!(double.is_finite());
            let exact = format!("{double:e}");
            if let Ok(out) = print(exact.as_bytes()) {
                prop_assert_eq!(String::from_utf8(out).unwrap().parse::<f64>().unwrap(), double);
            } else {
                prop_assert!(double.abs() >= 9_007_199_254_740_992.0);
            }
        }

        #[test]
        fn objects_follow_a_map_of_last_values(names in prop::collection::vec("[ab]|[0-9]{1,2}", 0..8)) {
            let members: Vec<_> = names.iter().enumerate().map(|(at, name)| format!("\"{name}\":{at}")).collect();
            let mut order: Vec<&String> = Vec::new();
            names.iter().for_each(|name| if !order.contains(&name) { order.push(name) });
            let is_index = |name: &str| name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
            order.sort_by_key(|name| if is_index(name) { name.parse::<u32>().unwrap() } else { u32::MAX });
            let last = |name: &String| names.iter().rposition(|other| other == name).unwrap();
            let expected: Vec<_> = order.iter().map(|name| format!("\"{name}\":{}", last(name))).collect();
            prop_assert_eq!(printed(&format!("{{{}}}", members.join(","))), format!("{{{}}}", expected.join(",")));
        }
    }
}

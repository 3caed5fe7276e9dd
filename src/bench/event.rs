//! What is published: the bytes of one event, and how relay and receiver find in them where it goes, which it is and when it was
//! due. Found by position and a plain search, since parsing would cost more than answering.

/// Which event it is, and when it was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// From 0, in the order of publishing.
    pub(super) number: u64,
    /// Microseconds of the machine's steady clock.
    pub(super) due_us: u64,
}

/// Whom an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    One(u32),
    All,
}

/// Appends one event; `rest` is what its data holds besides the mark: members without braces.
pub(super) fn write(to: To, mark: Mark, rest: &str, into: &mut Vec<u8>) {
    into.extend_from_slice(TYPE.as_bytes());
    into.extend_from_slice(suffix(to).as_bytes());
    into.extend_from_slice(br#"","data":"#);
    write_data(mark, rest, into);
    into.push(b'}');
}

/// Appends the data of an event alone.
pub(super) fn write_data(mark: Mark, rest: &str, into: &mut Vec<u8>) {
    into.extend_from_slice(MARK.as_bytes());
    into.extend_from_slice(format!("{:0NUMBER_DIGITS$}.{:0DUE_DIGITS$}\",", mark.number, mark.due_us).as_bytes());
    into.extend_from_slice(rest.as_bytes());
    into.push(b'}');
}

/// What an endpoint subscribes to.
pub(super) fn kind(to: To) -> String {
    format!("bench.{}", suffix(to))
}

fn suffix(to: To) -> String {
    match to {
        To::One(endpoint) => endpoint.to_string(),
        To::All => "all".to_owned(),
    }
}

/// Whom a published event is for; `None`: it is not one of ours.
pub(super) fn to(event: &[u8]) -> Option<To> {
    let rest = event.strip_prefix(TYPE.as_bytes())?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    match &rest[..end] {
        b"all" => Some(To::All),
        digits => Some(To::One(u32::try_from(decimal(digits)?).ok()?)),
    }
}

/// The mark in a delivered body; `None`: it is not one of ours.
pub(super) fn mark(body: &[u8]) -> Option<Mark> {
    let near = &body[..body.len().min(MARK_WITHIN_BYTES)];
    let at = near.windows(MARK.len()).position(|part| part == MARK.as_bytes())? + MARK.len();
    let text = body.get(at..at + NUMBER_DIGITS + 1 + DUE_DIGITS)?;
    Some(Mark { number: decimal(&text[..NUMBER_DIGITS])?, due_us: decimal(&text[NUMBER_DIGITS + 1..])? })
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let value = |sum: Option<u64>, digit: &u8| sum?.checked_mul(10)?.checked_add(u64::from(digit.checked_sub(b'0')?));
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some(())?;
    digits.iter().fold(Some(0), value)
}

/// The members besides the mark, so that the data is `bytes` long, or as short as the mark allows.
pub(super) fn padding(bytes: usize) -> String {
    let pad = bytes.saturating_sub(DATA_BYTES_MIN);
    format!(r#""pad":"{}""#, "x".repeat(pad))
}

/// How long data with these members is.
pub(super) fn data_bytes(rest: &str) -> usize {
    DATA_BYTES_MIN - EMPTY_PAD.len() + rest.len()
}

const TYPE: &str = r#"{"type":"bench."#;
const MARK: &str = r#"{"bench":""#;
const NUMBER_DIGITS: usize = 12;
const DUE_DIGITS: usize = 16;

const EMPTY_PAD: &str = r#""pad":"""#;

/// Bytes of the data with an empty pad: the mark, its end, the pad and the brace.
pub(super) const DATA_BYTES_MIN: usize = MARK.len() + NUMBER_DIGITS + 1 + DUE_DIGITS + 2 + EMPTY_PAD.len() + 1;

/// Type and time stand before the data; nothing else does in the standard dialect.
const MARK_WITHIN_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(to: To, mark: Mark, rest: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(to, mark, rest, &mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn what_is_written_is_found_again(endpoint in any::<u32>(), number in 0..1_000_000_000_000u64, due_us in 0..10u64.pow(16)) {
            let mark = Mark { number, due_us };
            let bytes = written(To::One(endpoint), mark, &padding(700));
            prop_assert_eq!(to(&bytes), Some(To::One(endpoint)));
            prop_assert_eq!(super::mark(&bytes), Some(mark));
        }
    }

    #[test]
    fn an_event_is_json_of_the_size_that_was_asked_for() {
        let bytes = written(To::All, Mark { number: 7, due_us: 9 }, &padding(700));
        let read: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(read["type"], "bench.all");
        assert_eq!(serde_json::to_string(&read["data"]).unwrap().len(), 700);
        assert_eq!(data_bytes(&padding(700)), 700);
        assert_eq!(padding(0), r#""pad":"""#);
    }

    #[test]
    fn the_mark_is_found_behind_what_a_dialect_puts_before_it() {
        let body = br#"{"type":"bench.3","timestamp":"2026-01-01T00:00:00.000000Z","data":{"bench":"000000000012.0000000000000034","a":1}}"#;
        assert_eq!(mark(body), Some(Mark { number: 12, due_us: 34 }));
    }

    #[test]
    fn what_is_not_ours_is_nobodys() {
        for event in ["", "{}", r#"{"type":"bench."#, r#"{"type":"bench.x","data":1}"#, r#"{"type":"bench.","data":1}"#] {
            assert_eq!(to(event.as_bytes()), None, "{event}");
        }
        for body in ["", "{}", r#"{"bench":"12"#, r#"{"bench":"00000000001x.0000000000000034"}"#] {
            assert_eq!(mark(body.as_bytes()), None, "{body}");
        }
    }
}

//! What is published: the bytes of one event, and how relay and receiver find in them which event it is, whom it is for and when
//! it was due. They look at fixed places and search plainly, since parsing would cost more than answering.

use std::io::Write as _;

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

/// Appends one event; `rest` is the members of its data besides the mark, without braces.
pub(super) fn write(to: To, Mark { number, due_us }: Mark, rest: &str, into: &mut Vec<u8>) {
    let kind = kind(to);
    // Writing to a vector cannot fail.
    let _ = write!(into, r#"{{"type":"{kind}","data":{MARK}{number:0NUMBER_DIGITS$}.{due_us:0DUE_DIGITS$}",{rest}}}}}"#);
}

/// The type of events that an endpoint subscribes to.
pub(super) fn kind(to: To) -> String {
    match to {
        To::One(endpoint) => format!("bench.{endpoint}"),
        To::All => "bench.all".to_owned(),
    }
}

/// Whom a published event is for; `None`: this module did not write it.
pub(super) fn to(event: &[u8]) -> Option<To> {
    let rest = event.strip_prefix(TYPE.as_bytes())?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    match &rest[..end] {
        b"all" => Some(To::All),
        digits => Some(To::One(u32::try_from(decimal(digits)?).ok()?)),
    }
}

/// The mark in a delivered body; `None`: there is none near its beginning.
pub(super) fn mark(body: &[u8]) -> Option<Mark> {
    let near = &body[..body.len().min(MARK_WITHIN_BYTES)];
    let at = near.windows(MARK.len()).position(|part| part == MARK.as_bytes())? + MARK.len();
    let text = body.get(at..at + NUMBER_DIGITS + 1 + DUE_DIGITS)?;
    Some(Mark { number: decimal(&text[..NUMBER_DIGITS])?, due_us: decimal(&text[NUMBER_DIGITS + 1..])? })
}

fn decimal(digits: &[u8]) -> Option<u64> {
    str::from_utf8(digits).ok()?.parse().ok()
}

/// The members besides the mark that make the data `bytes` long, or as short as the mark allows.
pub(crate) fn padding(bytes: usize) -> String {
    let empty = r#""pad":"""#;
    format!("{}{}\"", &empty[..empty.len() - 1], "x".repeat(bytes.saturating_sub(data_bytes(empty))))
}

/// Length of the data with these members besides the mark, in bytes.
pub(super) fn data_bytes(rest: &str) -> usize {
    MARK.len() + NUMBER_DIGITS + 1 + DUE_DIGITS + 2 + rest.len() + 1
}

const TYPE: &str = r#"{"type":"bench."#;
const MARK: &str = r#"{"bench":""#;
const NUMBER_DIGITS: usize = 12;
const DUE_DIGITS: usize = 16;

/// The standard dialect puts type and time before the data, and nothing else.
const MARK_WITHIN_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(to: To, mark: Mark) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(to, mark, &padding(700), &mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn a_written_event_is_found_again(endpoint in any::<u32>(), number in 0..1_000_000_000_000u64, due_us in 0..10u64.pow(16)) {
            let mark = Mark { number, due_us };
            let bytes = written(To::One(endpoint), mark);
            prop_assert_eq!((to(&bytes), super::mark(&bytes)), (Some(To::One(endpoint)), Some(mark)));
        }
    }

    #[test]
    fn an_event_is_json_of_the_size_that_was_asked_for() {
        let bytes = written(To::All, Mark { number: 7, due_us: 9 });
        let read: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((&read["type"], to(&bytes)), (&"bench.all".into(), Some(To::All)));
        assert_eq!((serde_json::to_string(&read["data"]).unwrap().len(), data_bytes(&padding(700))), (700, 700));
        assert_eq!((to(b"{}"), mark(b"{}"), mark(br#"{"bench":"00000000001x.0000000000000034"}"#)), (None, None, None));
    }
}

//! `POST /v1/events` with many events, one a line: each judged by itself, answered in order.

use bytes::Bytes;

use super::ask::Ask;
use super::print::fill_object;
use super::problem::Problem;
use super::publish::{Reader, idempotency_key, print_accepted, status};
use super::reply::Reply;
use crate::store::{Accepted, Refusal};

/// Publishes every line; a bad one stops no other.
pub(crate) async fn publish(ask: &Ask<'_>) -> Result<Reply, Problem> {
    if idempotency_key(ask.headers)?.is_some() {
        return Err(Problem::Wrong("Idempotency-Key names one event; give each line an `id` instead".into()));
    }
    let lines = lines(&ask.body)?;
    let reader = Reader { caller: &ask.caller, idempotency_key: None, now: ask.api.store.now() };
    // Taken before anything is published: what is on disk has to be answered.
    let room = Reply::room(lines.len() * RESULT_BYTES_MAX, &ask.rooms()).await?;
    let mut answer = Answer::of(lines.len());
    let mut rest = &lines[..];
    while !rest.is_empty() {
        let (slice, behind) = rest.split_at(slice_end(rest));
        for result in publish_slice(ask, &reader, slice).await {
            result.as_ref().err().into_iter().for_each(|problem| ask.api.told.problem(problem));
            answer.add(&result);
        }
        rest = behind;
    }
    Ok(Reply::ndjson(answer.bytes, room))
}

/// The results so far.
struct Answer {
    bytes: Vec<u8>,
    /// How long it may become, and how many lines are to be answered yet.
    bytes_max: usize,
    left: usize,
}

impl Answer {
    fn of(lines: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max: lines * RESULT_BYTES_MAX + DETAIL_BYTES, left: lines }
    }

    /// What is wrong with a line is told in full while there is room for it and for the results of all the others.
    fn add(&mut self, result: &Result<Accepted, Problem>) {
        let before = self.bytes.len();
        self.left = self.left.saturating_sub(1);
        print(result, &mut self.bytes);
        if let Err(problem) = result
            && self.bytes.len() + self.left * RESULT_BYTES_MAX > self.bytes_max
        {
            self.bytes.truncate(before);
            fill_object(&mut self.bytes, |object| problem.print_briefly("publish this line by itself to see why", object));
            self.bytes.push(b'\n');
        }
    }
}

/// How many lines are committed together, at least one.
fn slice_end(lines: &[Bytes]) -> usize {
    let mut bytes = 0;
    let fits = lines.iter().take(SLICE_LINES).take_while(|line| {
        bytes += line.len();
        bytes <= SLICE_BYTES
    });
    fits.count().max(1)
}

/// One batch for the store, and its results with the lines that never came so far put between them.
async fn publish_slice(ask: &Ask<'_>, reader: &Reader<'_>, lines: &[Bytes]) -> Vec<Result<Accepted, Problem>> {
    let mut good = Vec::with_capacity(lines.len());
    let mut results: Vec<Option<Problem>> = Vec::with_capacity(lines.len());
    for line in lines {
        match read(reader, line) {
            Ok(publication) => {
                good.push(publication);
                results.push(None);
            }
            Err(problem) => results.push(Some(problem)),
        }
    }
    let mut answers = ask.api.store.accept(good).await.into_iter();
    let mut next = || answers.next().unwrap_or(Err(Refusal::Closing)).map_err(Problem::Refused);
    results.into_iter().map(|problem| problem.map_or_else(&mut next, Err)).collect()
}

fn read(reader: &Reader<'_>, line: &Bytes) -> Result<crate::store::Publication, Problem> {
    if line.len() > LINE_BYTES_MAX {
        return Err(Problem::TooLarge("the line is larger than 1024 KiB, the most that one event has".into()));
    }
    reader.read(line).map_err(|problem| match problem {
        // The request as a whole was readable.
        Problem::Json(fault) => Problem::Wrong(format!("the line is not one JSON object: {fault}")),
        problem => problem,
    })
}

fn print(result: &Result<Accepted, Problem>, into: &mut Vec<u8>) {
    fill_object(into, |object| match result {
        Ok(accepted) => {
            object.number("status", status(accepted).as_u16().into());
            print_accepted(accepted, object);
        }
        Err(problem) => problem.print(object),
    });
    into.push(b'\n');
}

/// The lines without their ends; what follows the last end is a line only if it is not empty.
fn lines(body: &Bytes) -> Result<Vec<Bytes>, Problem> {
    let ends = memchr::memchr_iter(b'\n', body).count();
    let count = ends + usize::from(body.last().is_some_and(|last| *last != b'\n'));
    if count > LINES_MAX {
        return Err(Problem::TooLarge(format!("the body has {count} lines; at most {LINES_MAX} are taken at once")));
    }
    let mut lines = Vec::with_capacity(count);
    let mut rest = &body[..];
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest);
        let (line, after) = end.map_or((rest, &rest[rest.len()..]), |end| (&rest[..end], &rest[end + 1..]));
        lines.push(body.slice_ref(line));
        rest = after;
    }
    Ok(lines)
}

/// Lines of one request; more is a 413.
const LINES_MAX: usize = 10_000;

/// One event, as in a request of its own.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Lines that are committed together, and their bytes unless one alone has more: a bound on what one request puts before the
/// writer at once, where each line is held three times until it is on disk.
const SLICE_LINES: usize = 1_000;
const SLICE_BYTES: usize = 1 << 20;

/// A line's result: a status, the longest id and a count, or that the line is wrong.
const RESULT_BYTES_MAX: usize = 160;

/// For what is wrong with some of the lines, told in full.
const DETAIL_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn split(body: &'static str) -> Vec<Bytes> {
        lines(&Bytes::from_static(body.as_bytes())).expect("few")
    }

    #[test]
    fn a_line_ends_with_its_end_or_the_body() {
        assert_eq!(split("{}\n{}\n"), ["{}", "{}"]);
        assert_eq!(split("{}\r\n{}"), ["{}\r", "{}"]);
        assert_eq!(split("{}\n\n{}"), ["{}", "", "{}"]);
        assert!(split("").is_empty());
    }

    #[test]
    fn more_lines_than_are_taken_are_counted_and_not_kept() {
        let body = |lines: usize| Bytes::from(vec![b'\n'; lines]);
        assert_eq!(lines(&body(LINES_MAX)).expect("as many as are taken").len(), LINES_MAX);
        let refused = lines(&body(16 << 20)).expect_err("too many");
        assert!(refused.detail().contains("16777216 lines"), "{}", refused.detail());
    }

    #[test]
    fn an_answer_has_a_bound_whatever_is_wrong() {
        let wrong = || {
            let fields = (0..64).map(|at| crate::api::problem::Wrong::new(format!("/{at}"), "is unknown".repeat(10)));
            Err(Problem::Fields(fields.collect()))
        };
        let longest = || Ok(Accepted { id: "x".repeat(64).into(), deliveries: u32::MAX, repeated: false });
        let mut answer = Answer::of(LINES_MAX);
        (0..LINES_MAX).for_each(|line| answer.add(&if line % 2 == 0 { wrong() } else { longest() }));
        assert!(answer.bytes.len() <= LINES_MAX * RESULT_BYTES_MAX + DETAIL_BYTES, "{} bytes", answer.bytes.len());
        let text = String::from_utf8(answer.bytes).unwrap();
        assert_eq!(text.lines().count(), LINES_MAX);
        assert!(text.lines().next().unwrap().contains("errors"), "the first is told in full");
        let last_wrong = text.lines().nth(LINES_MAX - 2).unwrap();
        assert!(last_wrong.contains("422") && last_wrong.contains("by itself"), "{last_wrong}");
    }

    #[test]
    fn a_slice_ends_by_its_lines_or_its_bytes() {
        let lines = |count: usize, bytes: usize| vec![Bytes::from(vec![b'x'; bytes]); count];
        assert_eq!(slice_end(&lines(3, 10)), 3);
        assert_eq!(slice_end(&lines(SLICE_LINES + 1, 10)), SLICE_LINES);
        assert_eq!(slice_end(&lines(9, SLICE_BYTES / 4)), 4);
        assert_eq!(slice_end(&lines(2, SLICE_BYTES + 1)), 1);
    }

    #[test]
    fn a_result_is_one_line() {
        let mut answer = Vec::new();
        print(&Ok(Accepted { id: "evt_1".into(), deliveries: 2, repeated: false }), &mut answer);
        print(&Ok(Accepted { id: "a".into(), deliveries: 0, repeated: true }), &mut answer);
        print(&Err(Problem::Refused(Refusal::KeyTaken)), &mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let lines: Vec<&str> = answer.lines().collect();
        assert_eq!(lines[0], r#"{"status":202,"id":"evt_1","deliveries":2}"#);
        assert_eq!(lines[1], r#"{"status":200,"id":"a","deliveries":0}"#);
        assert!(lines[2].starts_with(r#"{"title":"Conflict","status":409,"#));
        assert_eq!(lines.len(), 3);
    }
}

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
    let lines = lines(&ask.body);
    if lines.len() > LINES_MAX {
        return Err(Problem::TooLarge(format!("the body has {} lines; at most {LINES_MAX} are taken at once", lines.len())));
    }
    let reader = Reader { caller: &ask.caller, idempotency_key: None, now: ask.api.store.now() };
    let mut answer = Vec::with_capacity(lines.len() * ANSWER_BYTES_LIKELY);
    for slice in lines.chunks(SLICE_LINES) {
        for result in publish_slice(ask, &reader, slice).await {
            print(&result, &mut answer);
        }
    }
    Ok(Reply::ndjson(answer))
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
fn lines(body: &Bytes) -> Vec<Bytes> {
    let mut rest = &body[..];
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'\n');
        let (line, after) = end.map_or((rest, &rest[rest.len()..]), |end| (&rest[..end], &rest[end + 1..]));
        lines.push(body.slice_ref(line));
        rest = after;
    }
    lines
}

/// Lines of one request; more is a 413.
const LINES_MAX: usize = 10_000;

/// One event, as in a request of its own.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Lines that are committed together: a bound on what one request puts before the writer at once.
const SLICE_LINES: usize = 1_000;

/// A line's result: a status, an id and a count.
const ANSWER_BYTES_LIKELY: usize = 72;

#[cfg(test)]
mod tests {
    use super::*;

    fn split(body: &'static str) -> Vec<Bytes> {
        lines(&Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn a_line_ends_with_its_end_or_the_body() {
        assert_eq!(split("{}\n{}\n"), ["{}", "{}"]);
        assert_eq!(split("{}\r\n{}"), ["{}\r", "{}"]);
        assert_eq!(split("{}\n\n{}"), ["{}", "", "{}"]);
        assert!(split("").is_empty());
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

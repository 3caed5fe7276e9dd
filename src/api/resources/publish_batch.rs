//! `POST /v1/events` with many events, one a line: each judged by itself, answered in order.

use std::collections::VecDeque;

use bytes::Bytes;
use http::StatusCode;
use tokio::task::yield_now;

use super::near::Judge;
use super::publish::{Published, Reader, idempotency_key, told_errors, validation};
use crate::api::Api;
use crate::api::document;
use crate::api::document::event::{Accepted, Line};
use crate::api::request::context::Context;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::store::{Publication, Refusal};

/// Publishes every line; a bad one stops no other.
pub(crate) async fn publish(context: &Context<'_>) -> Result<Reply, Problem> {
    if idempotency_key(context.headers)?.is_some() {
        return Err(Problem::Wrong("Idempotency-Key names one event; give each line an `id` instead".into()));
    }
    let lines = lines(&context.body)?;
    let (now, limits) = (context.api.store.now(), &context.api.rate_limits);
    let reader = Reader { caller: &context.caller, idempotency_key: None, now, limits };
    // Taken before anything is published: what is on disk has to be answered.
    let room = Reply::room(lines.len() * RESULT_BYTES_MAX, &context.rooms()).await?;
    let mut answer = Answer::of(lines.len());
    let mut judge = Judge::new(&context.caller.provider, &context.api.store);
    let (mut under_way, mut bytes_under_way) = (VecDeque::new(), 0);
    for slice in slices(&lines) {
        let bytes: usize = slice.iter().map(Bytes::len).sum();
        while bytes_under_way + bytes > UNDER_WAY_BYTES
            && let Some((bytes, first)) = under_way.pop_front()
        {
            bytes_under_way -= bytes;
            answer.add_all(first.await, &mut judge, context.api);
        }
        bytes_under_way += bytes;
        let mut read = read_slice(context, &reader, slice);
        validation::judge_all(&context.caller.provider, &mut read).await;
        under_way.push_back((bytes, publish_slice(context, read, &mut judge)));
        // Reading lines keeps a thread that others' requests want too.
        yield_now().await;
    }
    for (_, slice) in under_way {
        answer.add_all(slice.await, &mut judge, context.api);
    }
    Ok(Reply::ndjson(StatusCode::ACCEPTED, answer.bytes, room))
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

    fn add_all(&mut self, results: Vec<Result<Published, Problem>>, judge: &mut Judge<'_>, api: &Api) {
        for mut result in results {
            match &mut result {
                Ok(published) => published.near = judge.or_near(published.near.take(), &mut published.accepted),
                Err(problem) => api.line_refused(problem),
            }
            self.add(&result);
        }
    }

    /// What is wrong with a line, and what is warned of, is told in full while there is room for it and for the results of all the
    /// others.
    fn add(&mut self, result: &Result<Published, Problem>) {
        let before = self.bytes.len();
        self.left = self.left.saturating_sub(1);
        print(result, Detail::Full, &mut self.bytes);
        if self.bytes.len() + self.left * RESULT_BYTES_MAX > self.bytes_max {
            self.bytes.truncate(before);
            print(result, Detail::Brief, &mut self.bytes);
        }
    }
}

/// Reads the lines of a slice, unless the caller may publish no more.
fn read_slice(context: &Context<'_>, reader: &Reader<'_>, lines: &[Bytes]) -> Vec<Result<Publication, Problem>> {
    let goes_on = context.still_publishes().is_ok();
    let judged = || if goes_on { Ok(()) } else { context.still_publishes() };
    lines.iter().map(|line| judged().and_then(|()| read(reader, line))).collect()
}

/// Puts the good lines of a slice in line for the store at once. The future returns the results of all lines in their order.
fn publish_slice(
    context: &Context<'_>,
    lines: Vec<Result<Publication, Problem>>,
    judge: &mut Judge<'_>,
) -> impl Future<Output = Vec<Result<Published, Problem>>> + use<> {
    let mut good = Vec::with_capacity(lines.len());
    let mut results = Vec::with_capacity(lines.len());
    for line in lines {
        results.push(line.map(|publication| {
            let told = (judge.known(&publication.kind), told_errors(&publication));
            good.push(publication);
            told
        }));
    }
    let accepted = context.api.store.accept(good);
    async {
        let mut answers = accepted.await.into_iter();
        let mut next = || answers.next().unwrap_or(Err(Refusal::Closing)).map_err(Problem::from);
        let mut published = |(near, schema_errors)| next().map(|accepted| Published { accepted, near, schema_errors });
        results.into_iter().map(|result| result.and_then(&mut published)).collect()
    }
}

/// The lines in parts of so many, or so many bytes.
fn slices(mut lines: &[Bytes]) -> impl Iterator<Item = &[Bytes]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = lines.iter().take(SLICE_LINES).take_while(|line| {
            let fits = bytes < SLICE_BYTES;
            bytes += line.len();
            fits
        });
        let (slice, rest) = lines.split_at(fits.count());
        lines = rest;
        (!slice.is_empty()).then_some(slice)
    })
}

fn read(reader: &Reader<'_>, line: &Bytes) -> Result<Publication, Problem> {
    if line.len() > LINE_BYTES_MAX {
        return Err(Problem::TooLarge("the line is larger than 1024 KiB, the most that one event has".into()));
    }
    reader.read(line).map_err(|problem| match problem {
        // The request as a whole was readable.
        Problem::Json(fault) => Problem::Wrong(format!("the line is not one JSON object: {fault}")),
        problem => problem,
    })
}

/// How much is told of a line.
#[derive(Clone, Copy)]
enum Detail {
    Full,
    Brief,
}

fn print(result: &Result<Published, Problem>, detail: Detail, into: &mut Vec<u8>) {
    match (result, detail) {
        (Ok(published), Detail::Full) => document::write(&line(published, published.document()), into),
        (Ok(published), Detail::Brief) => document::write(&line(published, published.briefly()), into),
        (Err(problem), Detail::Full) => document::write(&problem.document(), into),
        (Err(problem), Detail::Brief) => document::write(&problem.briefly("publish this line by itself to see why"), into),
    }
    into.push(b'\n');
}

fn line<'a>(published: &Published, accepted: Accepted<'a>) -> Line<'a> {
    Line { status: published.status().as_u16(), accepted }
}

/// The lines without their ends; what follows the last end is a line only if it is not empty.
pub(super) fn lines(body: &Bytes) -> Result<Vec<Bytes>, Problem> {
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

/// Lines that are read without a pause, a millisecond's work, and their bytes unless one alone has more.
const SLICE_LINES: usize = 128;
const SLICE_BYTES: usize = 64 << 10;

/// Bytes of lines that one request puts before the writer at once, unless one alone has more: the next ones are read meanwhile,
/// and each is held three times until it is on disk.
const UNDER_WAY_BYTES: usize = 1 << 20;

/// A line's result: a status, the longest id and a count, or that the line is wrong.
const RESULT_BYTES_MAX: usize = 160;

/// For what is wrong with some of the lines, told in full.
const DETAIL_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::resources::near::Near;
    use crate::store::Accepted;

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
            let fields = (0..64).map(|at| crate::api::response::wrong::Wrong::new(format!("/{at}"), "is unknown".repeat(10)));
            Err(Problem::Fields(fields.collect()))
        };
        let longest = || {
            let accepted = Accepted { deliveries: u32::MAX, ..accepted(&"x".repeat(64)) };
            let schema_errors = format!(r#"[{{"pointer":"/data","detail":"{}"}}]"#, "x".repeat(9_000)).into();
            Ok(Published { accepted, near: Some(Near::Wanted("x".repeat(128).into())), schema_errors })
        };
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
    fn slices_end_by_their_lines_or_their_bytes() {
        let lengths = |lines: &[Bytes]| slices(lines).map(<[Bytes]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(&vec![Bytes::from_static(b"{}"); 300]), [128, 128, 44]);
        assert_eq!(lengths(&vec![Bytes::from(vec![b'x'; SLICE_BYTES - 1]); 5]), [2, 2, 1]);
        assert_eq!(lengths(&[]), [0; 0]);
    }

    #[test]
    fn a_result_is_one_line() {
        let mut answer = Vec::new();
        let mut put = |result| print(&result, Detail::Full, &mut answer);
        put(Ok(Published { accepted: Accepted { deliveries: 2, ..accepted("evt_1") }, near: None, schema_errors: "".into() }));
        put(Ok(Published { accepted: Accepted { repeated: true, ..accepted("a") }, near: None, schema_errors: "".into() }));
        put(Err(Problem::Refused(Refusal::KeyTaken)));
        put(Ok(Published {
            accepted: accepted("b"),
            near: Some(Near::Wanted("order.paid".into())),
            schema_errors: r#"[{"pointer":"/data","detail":"no"}]"#.into(),
        }));
        let answer = String::from_utf8(answer).unwrap();
        let lines: Vec<&str> = answer.lines().collect();
        assert_eq!(lines[0], r#"{"status":202,"id":"evt_1","deliveries":2}"#);
        assert_eq!(lines[1], r#"{"status":200,"id":"a","deliveries":0}"#);
        assert!(lines[2].starts_with(r#"{"type":"/docs/problems/id-taken","title":"Conflict","status":409,"#));
        assert!(
            lines[3].starts_with(r#"{"status":202,"id":"b","deliveries":0,"warnings":["#) && lines[3].contains("`order.paid`")
        );
        assert!(lines[3].ends_with(r#","schema_errors":[{"pointer":"/data","detail":"no"}]}"#), "{}", lines[3]);
        assert_eq!(lines.len(), 4);
    }

    fn accepted(id: &str) -> Accepted {
        Accepted { id: id.into(), deliveries: 0, repeated: false, unwanted: None }
    }
}

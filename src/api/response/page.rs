//! A page of a list, `{"data": […], "next": …}`, printed row by row. It ends at its limit of rows or of bytes.

use http::StatusCode;
use serde::Serialize;

use super::answer::{Next, PIECE_BYTES, Source};
use super::problem::Problem;
use super::reply::Reply;
use crate::api::document;
use crate::api::request::context::Context;
use crate::domain::dialect::Dialect;
use crate::domain::json::quote;

/// The rows of one page, one after the other.
pub(crate) trait Rows: Send + 'static {
    /// Prints the row at hand, unless that takes more than `room` bytes of memory. It stays at hand until [`Self::pass`]. Rows that
    /// follow may be read with it, as far as there is room for them too.
    fn print(&mut self, room: usize, into: &mut Vec<u8>) -> impl Future<Output = Result<Row, Problem>> + Send;

    /// Goes on to the row behind the row at hand.
    fn pass(&mut self);

    /// Drops the rows that were read and not passed. They are read again when they are printed.
    fn let_go(&mut self) {}

    /// The cursor at which the list goes on behind the row that was passed last.
    fn cursor(&self) -> String;

    /// Whether the list has rows behind those that were passed.
    fn has_more(&self) -> bool;
}

/// The result of printing a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Printed,
    /// The row needs so many bytes of memory.
    Needs(usize),
    /// The row was deleted meanwhile.
    Gone,
    /// There is no further row.
    End,
}

/// The members of a page around its rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    /// A dialect's own name for `data`, or empty. With a name of its own the last page has no `next`.
    wrap: Box<str>,
    /// Whether the page ends with `cursor`, also on the last page.
    feed: bool,
    /// JSON behind the rows, with the name of its member.
    told: Option<(&'static str, Box<str>)>,
}

impl Frame {
    pub(crate) fn new(dialect: &Dialect) -> Self {
        Self { wrap: dialect.api.wrap.clone(), feed: false, told: None }
    }

    /// The frame of a list that is polled for news.
    pub(crate) fn feed(self) -> Self {
        Self { feed: true, ..self }
    }

    /// Shows JSON as the member `name` of each page. An empty text shows nothing.
    pub(crate) fn telling(self, name: &'static str, json: &str) -> Self {
        Self { told: (!json.is_empty()).then(|| (name, json.into())), ..self }
    }

    fn open(&self, into: &mut Vec<u8>) {
        into.push(b'{');
        quote(if self.wrap.is_empty() { "data" } else { &self.wrap }, into);
        into.extend_from_slice(b":[");
    }

    fn close(&self, cursor: &str, more: bool, into: &mut Vec<u8>) {
        into.push(b']');
        if self.wrap.is_empty() || more {
            document::member("next", &more.then_some(cursor), into);
        }
        if self.feed {
            document::member("cursor", &cursor, into);
        }
        if let Some((name, json)) = &self.told {
            into.push(b',');
            quote(name, into);
            into.push(b':');
            into.extend_from_slice(json.as_bytes());
        }
        into.push(b'}');
    }
}

/// Answers with a page of `rows`.
pub(crate) async fn page(context: &Context<'_>, frame: Frame, rows: impl Rows) -> Result<Reply, Problem> {
    Reply::rendered(StatusCode::OK, Page { frame, rows, rows_printed: 0, bytes_printed: 0 }, context.rooms()).await
}

struct Page<R> {
    frame: Frame,
    rows: R,
    rows_printed: usize,
    bytes_printed: usize,
}

impl<R: Rows> Source for Page<R> {
    async fn next(&mut self, room: usize) -> Result<Next, Problem> {
        let piece = self.piece(room).await;
        self.rows.let_go();
        piece
    }
}

impl<R: Rows> Page<R> {
    async fn piece(&mut self, room: usize) -> Result<Next, Problem> {
        let mut bytes = Vec::new();
        let first = self.rows_printed;
        if first == 0 {
            self.frame.open(&mut bytes);
        }
        loop {
            let before = bytes.len();
            match self.row(room.saturating_sub(before), &mut bytes).await? {
                Row::Printed if bytes.len() >= FILLED_BYTES => return Ok(Next::Piece { bytes, last: false }),
                Row::Printed | Row::Gone => {}
                Row::Needs(more) if self.rows_printed == first => return Ok(Next::Needs(more + before)),
                Row::Needs(_) => return Ok(Next::Piece { bytes, last: false }),
                Row::End => {
                    self.frame.close(&self.rows.cursor(), self.rows.has_more(), &mut bytes);
                    return Ok(Next::Piece { bytes, last: true });
                }
            }
        }
    }

    /// Prints one row with the comma before it. A row that would make the page too long ends the page.
    async fn row(&mut self, room: usize, into: &mut Vec<u8>) -> Result<Row, Problem> {
        let before = into.len();
        if self.rows_printed > 0 {
            into.push(b',');
        }
        let mut row = self.rows.print(room, into).await?;
        let length = into.len() - before;
        if row == Row::Printed && self.rows_printed > 0 && self.bytes_printed + length > PAGE_BYTES_MAX {
            row = Row::End;
        }
        match row {
            Row::Printed => {
                self.rows.pass();
                self.rows_printed += 1;
                self.bytes_printed += length;
            }
            Row::Gone => {
                self.rows.pass();
                into.truncate(before);
            }
            Row::Needs(_) | Row::End => into.truncate(before),
        }
        Ok(row)
    }
}

/// Rows whose items are in memory. `print` may look up more about each.
pub(crate) struct Listed<T, P> {
    items: Vec<T>,
    at: usize,
    /// How the list goes on behind the items.
    rest: Behind,
    cursor: fn(&T) -> String,
    print: P,
}

/// How a list goes on behind the rows of a page.
enum Behind {
    Nothing,
    /// More rows follow the last one directly.
    More,
    /// More rows may follow from this cursor on. Behind the last row stand rows that were looked at and are not shown.
    From(String),
}

/// Prints each row as the document that `look` makes of an item.
pub(crate) fn documents<T, D: Serialize>(
    mut look: impl FnMut(&T) -> Result<D, Problem>,
) -> impl FnMut(&T, &mut Vec<u8>) -> Result<(), Problem> {
    move |item, into| {
        document::write(&look(item)?, into);
        Ok(())
    }
}

impl<T, P: FnMut(&T, &mut Vec<u8>) -> Result<(), Problem>> Listed<T, P> {
    /// The first `limit` of `items`. If there are more, the list goes on.
    pub(crate) fn new(mut items: Vec<T>, limit: usize, cursor: fn(&T) -> String, print: P) -> Self {
        let rest = if items.len() > limit { Behind::More } else { Behind::Nothing };
        items.truncate(limit);
        Self { items, at: 0, rest, cursor, print }
    }

    /// The items that a search has found. `next` is the cursor of the last row that it looked at; `None` when it reached the end.
    pub(crate) fn found(items: Vec<T>, next: Option<String>, cursor: fn(&T) -> String, print: P) -> Self {
        Self { items, at: 0, rest: next.map_or(Behind::Nothing, Behind::From), cursor, print }
    }
}

impl<T: Send + 'static, P: FnMut(&T, &mut Vec<u8>) -> Result<(), Problem> + Send + 'static> Rows for Listed<T, P> {
    async fn print(&mut self, _: usize, into: &mut Vec<u8>) -> Result<Row, Problem> {
        let Some(item) = self.items.get(self.at) else { return Ok(Row::End) };
        (self.print)(item, into).map(|()| Row::Printed)
    }

    fn pass(&mut self) {
        self.at += 1;
    }

    fn cursor(&self) -> String {
        match &self.rest {
            Behind::From(next) if self.at == self.items.len() => next.clone(),
            _ => self.items[..self.at].last().map(self.cursor).unwrap_or_default(),
        }
    }

    fn has_more(&self) -> bool {
        !matches!(self.rest, Behind::Nothing) || self.at < self.items.len()
    }
}

/// The most bytes of the rows in one page. The first row is always in it.
pub(crate) const PAGE_BYTES_MAX: usize = 4 << 20;

/// A piece is sent once it is so long, since the next row may be as long as the rest of its room.
const FILLED_BYTES: usize = PIECE_BYTES * 3 / 4;

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::api::document::members::Members;

    /// A row whose text is so long.
    fn long(length: usize) -> Result<Members<String>, Problem> {
        Ok(Members(vec![("x".into(), "y".repeat(length))]))
    }

    fn rows(lengths: &[usize], limit: usize) -> Page<impl Rows> {
        let items: Vec<(usize, usize)> = lengths.iter().copied().enumerate().collect();
        let rows = Listed::new(items, limit, |(at, _)| format!("c{at}"), documents(|(_, length): &_| long(*length)));
        Page { frame: Frame::default(), rows, rows_printed: 0, bytes_printed: 0 }
    }

    /// The output of a future that is ready at its first poll.
    fn at_once<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("it waits"),
        }
    }

    /// Reads all pieces. Returns their number and the whole page as JSON.
    fn read(mut page: Page<impl Rows>) -> (usize, serde_json::Value) {
        let (mut whole, mut pieces) = (Vec::new(), 0);
        loop {
            let next = at_once(page.next(PIECE_BYTES)).expect("nothing is read");
            let Next::Piece { bytes, last } = next else { panic!("{next:?}") };
            whole.extend_from_slice(&bytes);
            pieces += 1;
            if last {
                return (pieces, serde_json::from_slice(&whole).expect("JSON"));
            }
        }
    }

    fn lengths(page: &serde_json::Value) -> Vec<usize> {
        let rows = page["data"].as_array().expect("a list").iter();
        rows.map(|row| row["x"].as_str().expect("text").len()).collect()
    }

    #[test]
    fn a_short_page_is_one_piece_with_its_next() {
        let (pieces, page) = read(rows(&[1, 2, 3], 2));
        assert_eq!((pieces, lengths(&page), &page["next"]), (1, vec![1, 2], &"c1".into()));
        let (_, page) = read(rows(&[1, 2], 2));
        assert_eq!((lengths(&page), page["next"].is_null()), (vec![1, 2], true));
        let (_, page) = read(rows(&[], 2));
        assert_eq!(page.to_string(), r#"{"data":[],"next":null}"#);
    }

    #[test]
    fn a_page_of_a_search_goes_on_where_it_looked_last() {
        let found = |items: &[usize], next: Option<&str>| {
            let print = documents(|length: &usize| long(*length));
            let rows = Listed::found(items.to_vec(), next.map(str::to_owned), |length| format!("c{length}"), print);
            read(Page { frame: Frame::default(), rows, rows_printed: 0, bytes_printed: 0 }).1["next"].clone()
        };
        assert_eq!((found(&[1, 2], Some("n")), found(&[], Some("n"))), ("n".into(), "n".into()));
        assert_eq!(found(&[1, 2], None), serde_json::Value::Null);
        assert_eq!(found(&[3_000_000, 2_000_000], Some("n")), "c3000000", "it ended before its last row");
    }

    #[test]
    fn a_long_page_comes_in_pieces() {
        let (pieces, page) = read(rows(&[20_000; 50], 50));
        assert_eq!(lengths(&page), vec![20_000; 50]);
        assert!((15..=20).contains(&pieces), "{pieces}");
    }

    #[test]
    fn a_page_ends_at_its_size_and_says_where_the_list_goes_on() {
        let (_, page) = read(rows(&[1_500_000; 5], 5));
        assert_eq!((lengths(&page).len(), &page["next"]), (2, &"c1".into()));
        let (_, page) = read(rows(&[5_000_000, 1], 5));
        assert_eq!((lengths(&page), &page["next"]), (vec![5_000_000], &"c0".into()), "the first is in it whatever its size");
    }

    /// Rows that need a known amount of room, and one that was deleted.
    struct Wide(usize);

    impl Rows for Wide {
        async fn print(&mut self, room: usize, into: &mut Vec<u8>) -> Result<Row, Problem> {
            match self.0 {
                0 => Ok(Row::Gone),
                1 if room < 1_000_000 => Ok(Row::Needs(1_000_000)),
                1 => {
                    into.extend_from_slice(b"{}");
                    Ok(Row::Printed)
                }
                _ => Ok(Row::End),
            }
        }

        fn pass(&mut self) {
            self.0 += 1;
        }

        fn cursor(&self) -> String {
            format!("c{}", self.0)
        }

        fn has_more(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_row_is_printed_when_its_room_is_there() {
        let frame = Frame { wrap: "hooks".into(), feed: true, told: None };
        let mut page = Page { frame, rows: Wide(0), rows_printed: 0, bytes_printed: 0 };
        let needed = match at_once(page.next(PIECE_BYTES)).expect("nothing is read") {
            Next::Needs(bytes) => bytes,
            other => panic!("{other:?}"),
        };
        assert!((1_000_000..1_000_100).contains(&needed), "{needed}");
        let Next::Piece { bytes, last: true } = at_once(page.next(needed)).expect("nothing is read") else {
            panic!("there is room")
        };
        assert_eq!(String::from_utf8(bytes).expect("text"), r#"{"hooks":[{}],"cursor":"c2"}"#);
    }

    /// Rows of 20 kB that are read four at a time, of which a piece takes three.
    struct Ahead {
        passed: usize,
        read: usize,
    }

    impl Rows for Ahead {
        async fn print(&mut self, _: usize, into: &mut Vec<u8>) -> Result<Row, Problem> {
            if self.passed == 9 {
                return Ok(Row::End);
            }
            if self.read == 0 {
                self.read = 4;
            }
            into.extend_from_slice(format!("\"{}\"", "x".repeat(20_000)).as_bytes());
            Ok(Row::Printed)
        }

        fn pass(&mut self) {
            (self.passed, self.read) = (self.passed + 1, self.read - 1);
        }

        fn let_go(&mut self) {
            self.read = 0;
        }

        fn cursor(&self) -> String {
            self.passed.to_string()
        }

        fn has_more(&self) -> bool {
            false
        }
    }

    /// Its reader may take minutes until it asks for the next piece, and the memory of these rows would be counted nowhere.
    #[test]
    fn a_piece_that_ends_holds_no_row_that_was_read_ahead() {
        let mut page = Page { frame: Frame::default(), rows: Ahead { passed: 0, read: 0 }, rows_printed: 0, bytes_printed: 0 };
        let (mut pieces, mut whole) = (0, Vec::new());
        loop {
            let Ok(Next::Piece { bytes, last }) = at_once(page.next(PIECE_BYTES)) else { panic!("there is room") };
            assert_eq!(page.rows.read, 0, "behind {} rows", page.rows.passed);
            (pieces, whole) = (pieces + 1, [whole, bytes].concat());
            if last {
                break;
            }
        }
        let page: serde_json::Value = serde_json::from_slice(&whole).expect("JSON");
        assert_eq!((pieces, page["data"].as_array().map(Vec::len)), (4, Some(9)));
    }
}

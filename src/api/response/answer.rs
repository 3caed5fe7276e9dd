//! A large answer, printed piece by piece as its reader takes it, with room in memory for one piece at a time.
//!
//! ```text
//!   begin ── room ── first piece ──▶ status and headers ──▶ a piece is taken ── room ── next piece ──▶ … ──▶ end
//!     │ 503 when there is none in 10 s                         30 s for each, see `leaving`
//! ```
//!
//! Each piece reads the store anew, so a reader that takes a minute holds no snapshot, which would keep pages of the store from
//! being used again. An answer that ends with its first piece has a `content-length` like any other.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::problem::Problem;
use crate::budget::{Budget, PartyShare};

/// The content of a large answer.
pub(crate) trait Source: Send + 'static {
    /// The room that each piece begins with, in bytes.
    const PIECE: usize = PIECE_BYTES;

    /// Whether pieces may be long in coming, so that no room is held meanwhile.
    const WAITS: bool = false;

    /// Waits until there is a piece behind the first. Only a source that [`Self::WAITS`] is asked.
    fn ready(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Makes the next piece of some 50 KiB. Rows that need more than `room` bytes of memory are not made; if such a row is the
    /// next, its need is returned. Between two calls it holds no row that it has read and not printed.
    fn next(&mut self, room: usize) -> impl Future<Output = Result<Next, Problem>> + Send;
}

/// A source whose first piece was made.
trait Following: Send {
    /// Makes its next piece into `room`, or into more room if that is too little.
    fn render(self: Box<Self>, room: PartyShare, rooms: Rooms) -> Rendering;
}

impl<S: Source> Following for S {
    fn render(mut self: Box<Self>, mut room: PartyShare, rooms: Rooms) -> Rendering {
        Box::pin(async move {
            if S::WAITS {
                room.shrink(0);
                self.ready().await;
            }
            if room.bytes() < S::PIECE {
                drop(room);
                room = rooms.take(S::PIECE, LONG).await.ok_or(Broken)?;
            }
            // The log says why the store could not be read.
            next(self, room, rooms, LONG).await.map_err(|_| Broken)
        })
    }
}

/// The next piece of an answer, or the room that it needs.
#[derive(Debug)]
pub(crate) enum Next {
    Piece {
        bytes: Vec<u8>,
        last: bool,
    },
    /// How many bytes of memory the next row takes while it is read and printed.
    Needs(usize),
}

/// The body of an answer. Each piece in memory holds its room until it was taken.
pub(crate) struct Answer {
    piece: Bytes,
    rest: Rest,
}

enum Rest {
    /// Nothing follows. The last piece holds its room, unless it is small and free.
    Nothing {
        _room: Option<PartyShare>,
    },
    Unread(Unread),
    Rendering(Rendering),
    /// The rest could not be read.
    Broken,
}

type Rendering = Pin<Box<dyn Future<Output = Result<Piece, Broken>> + Send>>;

/// The part of an answer that is not read yet, with the room of the piece before it.
pub(crate) struct Unread {
    source: Box<dyn Following>,
    room: PartyShare,
    rooms: Rooms,
}

/// A piece of an answer, and the part that follows it.
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    pub(crate) room: Option<PartyShare>,
    pub(crate) unread: Option<Unread>,
}

/// An answer ends in the middle: the store could not be read, no room came in time, or the service ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rest of the answer cannot be read")]
pub(crate) struct Broken;

/// An empty answer.
impl Default for Answer {
    fn default() -> Self {
        Self { piece: Bytes::new(), rest: Rest::Nothing { _room: None } }
    }
}

impl Answer {
    pub(crate) fn new(piece: Piece) -> Self {
        let rest = piece.unread.map_or(Rest::Nothing { _room: piece.room }, Rest::Unread);
        Self { piece: piece.bytes, rest }
    }
}

/// Makes the first piece of an answer. Fails when there is no room for it within 10 s.
pub(crate) async fn begin(source: impl Source, rooms: Rooms) -> Result<Piece, Problem> {
    begin_within(source, rooms, PATIENCE).await
}

/// The budget for answers, and the party that draws on it.
#[derive(Clone)]
pub(crate) struct Rooms {
    pub(crate) budget: Arc<Budget>,
    pub(crate) party: u64,
}

impl Rooms {
    async fn take(&self, bytes: usize, patience: Duration) -> Option<PartyShare> {
        self.budget.answers().take_within(self.party, bytes, patience).await
    }
}

/// Waits for the room of a whole answer.
pub(crate) async fn room(bytes: usize, rooms: &Rooms) -> Result<PartyShare, Problem> {
    rooms.take(bytes, PATIENCE).await.ok_or(CROWDED)
}

/// Takes the room of a whole answer, if it is free.
pub(crate) fn try_room(bytes: usize, rooms: &Rooms) -> Option<PartyShare> {
    rooms.budget.answers().try_take(rooms.party, bytes)
}

async fn begin_within<S: Source>(source: S, rooms: Rooms, patience: Duration) -> Result<Piece, Problem> {
    let room = rooms.take(S::PIECE, patience).await.ok_or(CROWDED)?;
    next(Box::new(source), room, rooms, patience).await
}

/// Makes the next piece. When it needs more room than there is, the room is given back first, so that who waits holds nothing.
async fn next<S: Source>(mut source: Box<S>, mut room: PartyShare, rooms: Rooms, patience: Duration) -> Result<Piece, Problem> {
    let mut within = S::PIECE;
    loop {
        match source.next(within).await? {
            Next::Needs(bytes) => {
                drop(room);
                room = rooms.take(bytes, patience).await.ok_or(CROWDED)?;
                within = bytes;
            }
            Next::Piece { mut bytes, last } => {
                if last {
                    // An answer ends with a line feed. Without the exact reserve, an answer that fills its room would double its
                    // buffer.
                    bytes.reserve_exact(1);
                    bytes.push(b'\n');
                }
                room.shrink(bytes.capacity());
                let bytes = Bytes::from(bytes);
                return Ok(if last {
                    Piece { bytes, room: Some(room), unread: None }
                } else {
                    Piece { bytes, room: None, unread: Some(Unread { source, room, rooms }) }
                });
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if !self.piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.piece)))));
            }
            match &mut self.rest {
                Rest::Nothing { .. } => return Poll::Ready(None),
                Rest::Broken => return Poll::Ready(Some(Err(Broken))),
                Rest::Rendering(rendering) => match ready!(rendering.as_mut().poll(cx)) {
                    Ok(piece) => *self = Self::new(piece),
                    Err(broken) => {
                        self.rest = Rest::Broken;
                        return Poll::Ready(Some(Err(broken)));
                    }
                },
                Rest::Unread(_) => {
                    if let Rest::Unread(unread) = std::mem::replace(&mut self.rest, Rest::Broken) {
                        let Unread { source, room, rooms } = unread;
                        self.rest = Rest::Rendering(source.render(room, rooms));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_empty() && matches!(self.rest, Rest::Nothing { .. })
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::with_exact(self.piece.len() as u64);
        if !matches!(self.rest, Rest::Nothing { .. }) {
            hint = SizeHint::new();
            hint.set_lower(self.piece.len() as u64);
        }
        hint
    }
}

/// The room of a piece of small rows. Every large answer begins with it.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// The longest whole answer that needs no room: it fits into the buffer of its connection.
pub(crate) const FREE_BYTES: usize = 16 << 10;

/// How long the first piece waits for room. Then the caller is told that there is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a later piece waits for room. Its reader has the status already, and peers that hold room without reading lose it
/// sooner.
const LONG: Duration = Duration::from_secs(120);

pub(crate) const CROWDED: Problem = Problem::Unavailable("too many large answers are on their way; try again in a second");

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::budget::BYTES_LEAST;

    /// Rows, each of so many bytes.
    struct Rows(Vec<usize>);

    impl Source for Rows {
        async fn next(&mut self, room: usize) -> Result<Next, Problem> {
            let Some(first) = self.0.first().copied() else { return Ok(Next::Piece { bytes: Vec::new(), last: true }) };
            if first > room {
                return Ok(Next::Needs(first));
            }
            self.0.remove(0);
            Ok(Next::Piece { bytes: vec![b'x'; first], last: self.0.is_empty() })
        }
    }

    fn rooms() -> Rooms {
        Rooms { budget: Arc::new(Budget::new(BYTES_LEAST)), party: 7 }
    }

    /// How many bytes are free for the answers of one party.
    fn free(rooms: &Rooms) -> usize {
        let all: Vec<PartyShare> = std::iter::from_fn(|| rooms.budget.answers().try_take(rooms.party, 1)).collect();
        all.len() << 10
    }

    async fn begun(rows: &[usize], rooms: &Rooms) -> Answer {
        Answer::new(begin(Rows(rows.to_vec()), rooms.clone()).await.expect("there is room"))
    }

    #[tokio::test]
    async fn an_answer_holds_the_room_of_one_piece_at_a_time() {
        let rooms = rooms();
        let all = free(&rooms);
        let mut answer = begun(&[1000, 3 << 20, 1 << 20, 10], &rooms).await;
        assert_eq!((answer.size_hint().exact(), all - free(&rooms)), (None, 1 << 10));
        let mut lengths = Vec::new();
        while let Some(frame) = answer.frame().await {
            lengths.push(frame.expect("read").into_data().expect("data").len());
            assert!(all - free(&rooms) <= 3 << 20, "the whole would be 4 MiB");
        }
        assert_eq!(lengths, [1000, 3 << 20, 1 << 20, 10 + 1], "the last one ends the line");
        drop(answer);
        assert_eq!(free(&rooms), all);
    }

    #[tokio::test]
    async fn an_answer_that_is_whole_at_once_has_a_length() {
        let rooms = rooms();
        let answer = begun(&[1000], &rooms).await;
        assert_eq!(answer.size_hint().exact(), Some(1001));
        assert_eq!(answer.collect().await.expect("read").to_bytes().len(), 1001);
    }

    #[tokio::test]
    async fn an_answer_without_room_is_a_503_for_now() {
        let rooms = rooms();
        let _unread = rooms.budget.answers().try_take(rooms.party, 16 << 20).expect("all of it");
        let refused = begin_within(Rows(vec![1]), rooms, Duration::from_millis(5)).await.map(drop);
        assert!(matches!(refused, Err(Problem::Unavailable(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_read_on_breaks_off() {
        struct Bad(bool);
        impl Source for Bad {
            async fn next(&mut self, _: usize) -> Result<Next, Problem> {
                let first = std::mem::replace(&mut self.0, false);
                if first { Ok(Next::Piece { bytes: vec![1], last: false }) } else { Err(Problem::Store) }
            }
        }
        let rooms = rooms();
        let answer = Answer::new(begin(Bad(true), rooms).await.expect("the first"));
        assert_eq!(answer.collect().await.map(drop), Err(Broken));
    }
}

//! An answer on its way to its peer, handed to the HTTP library in parts, so that each can have a deadline.
//!
//! The library asks for a part when it has room for it, so a peer that reads nothing stops the parts. Whoever watches the
//! connection then ends it, which frees the answer's room.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Watches how the parts of an answer leave.
pub(in crate::api) trait Watch {
    /// A part was handed over, and more will follow.
    fn taken(&self);

    /// The next part is not ready yet, so the peer is not the slow side.
    fn waits(&self);

    /// The last part was handed over, or the peer wants no more. It is called only for an answer of several parts.
    fn over(&self) {}
}

/// A body whose parts are watched. The library drops it after the last part.
pub(in crate::api) struct Leaving<B, W: Watch> {
    body: B,
    /// Bytes that were taken from the body and not handed over yet.
    rest: Bytes,
    watch: W,
    in_parts: bool,
    last_bytes_max: usize,
}

impl<B, W: Watch> Leaving<B, W> {
    pub(in crate::api) fn new(body: B, watch: W) -> Self {
        Self { body, rest: Bytes::new(), watch, in_parts: false, last_bytes_max: PART_BYTES }
    }

    /// A body whose last part is at most [`LAST_BYTES`] long. For HTTP/2, where the library takes the last part even from a peer
    /// that reads nothing.
    pub(in crate::api) fn ending_small(body: B, watch: W) -> Self {
        let mut leaving = Self::new(body, watch);
        leaving.last_bytes_max = LAST_BYTES;
        leaving
    }

    /// How many bytes are handed over next.
    fn next_bytes(&self) -> usize
    where
        B: Body,
    {
        let length = self.rest.len().min(PART_BYTES);
        let is_last = length == self.rest.len() && self.body.is_end_stream();
        if is_last && length > self.last_bytes_max { length - self.last_bytes_max } else { length }
    }
}

impl<B: Body<Data = Bytes> + Unpin, W: Watch + Unpin> Body for Leaving<B, W> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        while self.rest.is_empty() {
            let Poll::Ready(next) = Pin::new(&mut self.body).poll_frame(cx) else {
                self.in_parts = true;
                self.watch.waits();
                return Poll::Pending;
            };
            match next {
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                ended => return Poll::Ready(ended),
            }
        }
        let length = self.next_bytes();
        let part = self.rest.split_to(length);
        if !self.is_end_stream() {
            self.in_parts = true;
            self.watch.taken();
        }
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = body.upper() {
            hint.set_upper(rest + upper);
        }
        hint.set_lower(rest + body.lower());
        hint
    }
}

impl<B, W: Watch> Drop for Leaving<B, W> {
    fn drop(&mut self) {
        if self.in_parts {
            self.watch.over();
        }
    }
}

/// The most bytes of one part. An answer of one part is not watched.
pub(in crate::api) const PART_BYTES: usize = 16 * 1024;

/// The most bytes of a last part that nobody watches. A connection may hold 128 of them.
pub(in crate::api) const LAST_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use http_body_util::{BodyExt, Full};

    use super::*;

    #[derive(Clone, Default)]
    struct Notes(Rc<RefCell<Vec<&'static str>>>);

    impl Watch for Notes {
        fn taken(&self) {
            self.0.borrow_mut().push("taken");
        }

        fn waits(&self) {
            self.0.borrow_mut().push("waits");
        }

        fn over(&self) {
            self.0.borrow_mut().push("over");
        }
    }

    #[tokio::test]
    async fn an_answer_leaves_in_parts() {
        let notes = Notes::default();
        let mut leaving = Leaving::new(Full::from(vec![b'x'; 2 * PART_BYTES + 5]), notes.clone());
        let mut left = Vec::new();
        while !leaving.is_end_stream() {
            left.push(leaving.size_hint().exact());
            assert!(leaving.frame().await.unwrap().unwrap().into_data().unwrap().len() <= PART_BYTES);
        }
        assert_eq!(left, [2 * PART_BYTES + 5, PART_BYTES + 5, 5].map(|bytes| Some(bytes as u64)));
        assert!(leaving.frame().await.is_none());
        drop(leaving);
        assert_eq!(*notes.0.borrow(), ["taken", "taken", "over"]);
    }

    #[tokio::test]
    async fn the_last_part_may_be_a_small_one() {
        for (length, parts) in [(LAST_BYTES, vec![LAST_BYTES]), (3 * LAST_BYTES, vec![2 * LAST_BYTES, LAST_BYTES])] {
            let mut leaving = Leaving::ending_small(Full::from(vec![b'x'; length]), Notes::default());
            let mut left = Vec::new();
            while !leaving.is_end_stream() {
                left.push(leaving.frame().await.unwrap().unwrap().into_data().unwrap().len());
            }
            assert_eq!(left, parts);
        }
    }

    #[tokio::test]
    async fn a_small_answer_is_not_watched() {
        let notes = Notes::default();
        let mut leaving = Leaving::new(Full::from("small"), notes.clone());
        assert_eq!(leaving.frame().await.unwrap().unwrap().into_data().unwrap(), "small");
        assert!(leaving.is_end_stream());
        drop(leaving);
        assert!(notes.0.borrow().is_empty());
    }
}

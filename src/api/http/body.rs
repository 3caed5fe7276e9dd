//! Reads the body of a request: whole, up to its limit, and within the memory that all bodies share.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::header::EXPECT;
use http::request::Parts;
use http_body::Body;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::carrier::{Carrier, PATIENCE, too_large};
use super::intake::{Intake, Size};
use crate::api::response::problem::Problem;
use crate::budget::{Budget, PartyShare};

/// The memory for bodies that are being read or are at work, over all connections.
///
/// A small body on HTTP/1.1 takes none of it. A large body that finds no room waits at most 30 s and is then refused with 503. A
/// body on HTTP/2 does not wait, since it would hold up the other requests of its connection. A body of which no byte comes for
/// 20 s is refused with 408.
pub(crate) struct BodyBudget(Arc<Budget>);

/// A body that was read whole.
pub(crate) struct Taken {
    pub(crate) bytes: Bytes,
    /// Whether a part of the body came later than its head.
    pub(crate) waited: bool,
    /// The room of the bytes, held while they are at work.
    _share: Option<PartyShare>,
}

impl BodyBudget {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self(budget)
    }

    /// Reads a body of at most `bytes_max`. A longer one is refused as soon as its announced length or its bytes show it. `party`
    /// tells whom the body counts for; it is called only when the body needs room.
    pub(crate) async fn take<B>(
        &self,
        body: B,
        bytes_max: usize,
        carrier: Carrier,
        party: impl Fn() -> u64,
    ) -> Result<Taken, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let hint = body.size_hint();
        if hint.lower() > bytes_max as u64 {
            if hint.upper().is_some_and(|upper| upper <= (bytes_max + GRACE_BYTES) as u64) {
                drain(body).await;
            }
            return Err(too_large(bytes_max));
        }
        let announced = hint.exact().and_then(|bytes| usize::try_from(bytes).ok());
        let intake = Intake::new(self.0.requests(), party, carrier, Size { announced, bytes_max });
        let mut read = pin!(intake.collect(body));
        let at_once = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await;
        let ((bytes, share), waited) = match at_once {
            Poll::Ready(taken) => (taken?, false),
            Poll::Pending => (read.await?, true),
        };
        Ok(Taken { bytes, waited, _share: share })
    }
}

/// Throws away the part of an unwanted body that has come. Returns whether that was the whole body, so that the next request can
/// follow.
///
/// It waits for nothing, and gives no leave to send to a peer that waits for it (RFC 9110, section 10.1.1).
pub(crate) async fn discard<B: Body<Data = Bytes> + Unpin>(body: &mut B, head: &Parts) -> bool {
    let (mut left, mut turns) = (DISCARDED_BYTES_MAX, DISCARD_TURNS);
    if head.headers.contains_key(EXPECT) || body.size_hint().lower() > left as u64 {
        return false;
    }
    while turns > 0 {
        match poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await {
            Poll::Ready(None) => return true,
            Poll::Ready(Some(Err(_))) => return false,
            Poll::Ready(Some(Ok(frame))) => match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(less) => left = less,
                None => return false,
            },
            // The connection passes on one part each time it is polled.
            Poll::Pending => {
                turns -= 1;
                yield_now().await;
            }
        }
    }
    false
}

/// Reads a body that is slightly too large to its end, so that its sender gets the answer and not a broken pipe.
async fn drain<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let all = async { while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {} };
    // A sender that is slow as well gets the broken pipe.
    drop(timeout(PATIENCE, all).await);
}

/// A body that passes its limit by at most so many bytes is still read to its end.
const GRACE_BYTES: usize = 64 * 1024;

/// The most bytes of an unwanted body that are thrown away. A larger body closes its connection.
const DISCARDED_BYTES_MAX: usize = 64 * 1024;

/// How often a connection is polled for more of an unwanted body.
const DISCARD_TURNS: usize = 4;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::Context;

    use http_body::Frame;
    use http_body_util::Full;

    use super::*;
    use crate::budget::BYTES_LEAST;

    fn room() -> BodyBudget {
        BodyBudget::new(Arc::new(Budget::new(BYTES_LEAST)))
    }

    /// A body of unknown length that comes in the given parts. A part that is `None` never comes.
    struct Parts(Vec<Option<&'static [u8]>>);

    impl Body for Parts {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.0.is_empty() {
                return Poll::Ready(None);
            }
            self.0.remove(0).map_or(Poll::Pending, |part| Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(part))))))
        }
    }

    async fn take(parts: &[Option<&'static [u8]>], bytes_max: usize) -> Result<Bytes, Problem> {
        room().take(Parts(parts.to_vec()), bytes_max, Carrier::One, || 1).await.map(|taken| taken.bytes)
    }

    #[tokio::test]
    async fn parts_become_one_body() {
        assert_eq!(take(&[Some(b"ab"), Some(b""), Some(b"cd"), Some(b"e")], 5).await.unwrap(), "abcde");
        assert_eq!(take(&[], 5).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_body_past_its_limit_is_refused() {
        let refused = take(&[Some(b"abc"), Some(b"def"), None], 5).await;
        assert!(matches!(refused, Err(Problem::TooLarge(_))));
    }

    #[tokio::test]
    async fn an_announced_length_past_the_limit_is_refused_unread() {
        let room = room();
        let refused = room.take(Full::new(Bytes::from_static(b"abcdef")), 5, Carrier::One, || 1).await;
        assert!(matches!(refused, Err(Problem::TooLarge(_))));
    }

    #[tokio::test]
    async fn bodies_on_http_2_are_never_free() {
        let room = room();
        let take = |bytes: &'static [u8]| room.take(Full::new(Bytes::from_static(bytes)), 2048, Carrier::Many, || 1);
        let _held: Vec<_> = std::iter::from_fn(|| room.0.requests().try_take(1, 1 << 10)).collect();
        assert!(matches!(take(b"x").await, Err(Problem::Unavailable(_))));
        assert!(take(b"").await.is_ok(), "nothing takes nothing");
        let other = room.take(Full::new(Bytes::from_static(b"x")), 2048, Carrier::Many, || 2);
        assert!(other.await.is_ok(), "another party has its own");
    }
}

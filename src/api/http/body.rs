//! Takes a request's body in: whole, up to its limit, and within the memory that all bodies share.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http::header::EXPECT;
use http::request::Parts;
use http_body::Body;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::intake::{Intake, Size};
use crate::api::response::problem::Problem;
use crate::budget::{Budget, PartyShare};

/// The memory for bodies on their way or at work, over all connections.
///
/// A small body costs nothing. A large one that finds it taken waits at most 30 s and is then refused with 503; one that would make
/// others of its connection wait is refused at once. One of which no byte comes for 20 s is given up with 408.
pub(crate) struct BodyBudget(Arc<Budget>);

/// How many requests a connection carries at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    One,
    /// Their bytes come one behind the other, so one that waits unread would hold up all. There may be many small ones, too,
    /// so none is free.
    Many,
}

impl Carrier {
    pub(crate) fn of(version: Version) -> Self {
        if version == Version::HTTP_2 { Self::Many } else { Self::One }
    }

    /// The first bytes of a body, which take no room.
    pub(in crate::api) fn free_bytes(self) -> usize {
        match self {
            Self::One => FREE_BYTES,
            Self::Many => 0,
        }
    }
}

/// A whole body.
pub(crate) struct Taken {
    pub(crate) bytes: Bytes,
    /// Whether it came later than its head.
    pub(crate) waited: bool,
    /// Held while the bytes are at work.
    _share: Option<PartyShare>,
}

impl BodyBudget {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self(budget)
    }

    /// Reads at most `bytes_max`; a longer body is refused as soon as it shows, by its announced length or by its bytes. `party`:
    /// whom it counts for, asked when it needs room.
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

/// Throws away what has come of a body that nobody wants; whether that was all of it, so that the next request can follow.
///
/// Waits for nothing. A peer that waits for a leave to send (RFC 9110, section 10.1.1) is given none.
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
            // Its connection hands over one part at a time.
            Poll::Pending => {
                turns -= 1;
                yield_now().await;
            }
        }
    }
    false
}

/// Reads a body that is only just too large to its end, so that its sender hears the answer and not a broken pipe.
async fn drain<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let all = async { while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {} };
    // Who is slow as well has to live with the broken pipe.
    drop(timeout(PATIENCE, all).await);
}

pub(in crate::api) fn too_large(bytes_max: usize) -> Problem {
    Problem::TooLarge(format!("the body is larger than {} KiB, the most that this call takes", bytes_max / 1024))
}

/// For the room that a large body needs, and for the end of one that is too large.
pub(in crate::api) const PATIENCE: Duration = Duration::from_secs(30);

/// Beyond the limit, what is still read of a body.
const GRACE_BYTES: usize = 64 * 1024;

/// Of a body that nobody wants; a larger one closes its connection.
const DISCARDED_BYTES_MAX: usize = 64 * 1024;

/// How often a connection is given a turn to hand over more of it.
const DISCARD_TURNS: usize = 4;

/// Of a body that has its connection for itself, so much takes no room: with all connections at once they come to 36 MiB.
const FREE_BYTES: usize = 16 * 1024;

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

    /// A body of unknown length in the parts given; `None` never comes.
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
    async fn of_many_on_a_connection_none_is_free() {
        let room = room();
        let take = |bytes: &'static [u8]| room.take(Full::new(Bytes::from_static(bytes)), 2048, Carrier::Many, || 1);
        let _held: Vec<_> = std::iter::from_fn(|| room.0.requests().try_take(1, 1 << 10)).collect();
        assert!(matches!(take(b"x").await, Err(Problem::Unavailable(_))));
        assert!(take(b"").await.is_ok(), "nothing takes nothing");
        let other = room.take(Full::new(Bytes::from_static(b"x")), 2048, Carrier::Many, || 2);
        assert!(other.await.is_ok(), "another party has its own");
    }
}

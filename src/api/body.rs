//! Takes a request's body in: whole, up to its limit, within 30 s, and within the memory that all bodies share.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Version;
use http::header::EXPECT;
use http::request::Parts;
use http_body::{Body, Frame};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::problem::Problem;
use crate::budget::{Pool, Share};

/// The memory for bodies on their way or at work, over all connections.
///
/// A small body costs nothing. A large one that finds it taken waits as long as a body may take and is then refused with 503; one
/// that would make others of its connection wait is refused at once.
pub(crate) struct Room(Arc<Pool>);

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
}

/// A whole body.
pub(crate) struct Taken {
    pub(crate) bytes: Bytes,
    /// Whether it came later than its head.
    pub(crate) waited: bool,
    /// Held while the bytes are at work.
    _share: Option<Share>,
}

impl Room {
    pub(crate) fn new(requests: Arc<Pool>) -> Self {
        Self(requests)
    }

    /// Reads at most `bytes_max`; a longer body is refused as soon as it shows, by its announced length or by its bytes.
    pub(crate) async fn take<B>(&self, body: B, bytes_max: usize, carrier: Carrier) -> Result<Taken, Problem>
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
        let expected = hint.upper().and_then(|upper| usize::try_from(upper).ok()).unwrap_or(bytes_max);
        let share = self.share(expected, carrier).await?;
        let mut read = pin!(collect(body, bytes_max, expected));
        // Most bodies are there with their heads, and need no timer.
        let at_once = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await;
        let (bytes, waited) = match at_once {
            Poll::Ready(bytes) => (bytes?, false),
            Poll::Pending => (timeout(PATIENCE, read).await.map_err(|_| Problem::Slow)??, true),
        };
        Ok(Taken { bytes, waited, _share: share })
    }

    async fn share(&self, expected: usize, carrier: Carrier) -> Result<Option<Share>, Problem> {
        let share = match carrier {
            _ if expected == 0 => return Ok(None),
            Carrier::One if expected <= FREE_BYTES => return Ok(None),
            Carrier::One => self.0.take_within(expected, PATIENCE).await,
            Carrier::Many => self.0.try_take(expected),
        };
        share.map(Some).ok_or(Problem::Unavailable("too many large requests at once; try again in a second"))
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

async fn collect<B>(mut body: B, bytes_max: usize, expected: usize) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut whole = Whole::Nothing;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Problem::Malformed("the body broke off, or its framing is wrong".into()))?;
        if let Ok(data) = Frame::into_data(frame) {
            whole = whole.with(data, expected);
        }
        if whole.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
    }
    Ok(whole.into_bytes())
}

/// A body that mostly comes in one part, which is then kept as it is; a small one is copied out of its connection's buffer, which
/// is free for the next request then, and not as late as the event is on disk.
enum Whole {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Whole {
    fn with(self, data: Bytes, expected: usize) -> Self {
        match self {
            Self::Nothing if data.len() <= COPIED_BYTES_MAX => Self::One(Bytes::copy_from_slice(&data)),
            Self::Nothing => Self::One(data),
            Self::One(first) => {
                let mut many = BytesMut::with_capacity(expected.min(CAPACITY_BYTES_MAX).max(first.len() + data.len()));
                many.extend_from_slice(&first);
                many.extend_from_slice(&data);
                Self::Many(many)
            }
            Self::Many(mut many) => {
                // Who has sent so much is believed: doubling would hold the body twice.
                if many.len() >= CAPACITY_BYTES_MAX && many.capacity() < expected {
                    many.reserve(expected - many.len());
                }
                many.extend_from_slice(&data);
                Self::Many(many)
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(bytes) => bytes.len(),
            Self::Many(bytes) => bytes.len(),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(bytes) => bytes,
            Self::Many(bytes) => bytes.freeze(),
        }
    }
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::TooLarge(format!("the body is larger than {} KiB, the most that this call takes", bytes_max / 1024))
}

/// For a whole body, counted from the end of its head, and for the room that a large one needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Beyond the limit, what is still read of a body.
const GRACE_BYTES: usize = 64 * 1024;

/// Of a body that nobody wants; a larger one closes its connection.
const DISCARDED_BYTES_MAX: usize = 64 * 1024;

/// How often a connection is given a turn to hand over more of it.
const DISCARD_TURNS: usize = 4;

/// A body up to this size takes no share: with all connections at once they come to 32 MiB.
const FREE_BYTES: usize = 16 * 1024;

/// Half of what is first read of a connection.
const COPIED_BYTES_MAX: usize = 4 * 1024;

/// Allocated ahead on a peer's word alone.
const CAPACITY_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::Context;

    use http_body_util::Full;

    use super::*;
    use crate::budget::{BYTES_LEAST, Budget};

    fn room() -> Room {
        Room::new(Budget::new(BYTES_LEAST).requests().clone())
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
        room().take(Parts(parts.to_vec()), bytes_max, Carrier::One).await.map(|taken| taken.bytes)
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
        let refused = room.take(Full::new(Bytes::from_static(b"abcdef")), 5, Carrier::One).await;
        assert!(matches!(refused, Err(Problem::TooLarge(_))));
    }

    #[tokio::test]
    async fn one_of_many_never_waits_for_room() {
        let room = room();
        let first = room.take(Full::new(Bytes::from(vec![b'x'; 1024])), 2048, Carrier::Many).await.unwrap();
        let rest: Vec<_> = std::iter::from_fn(|| room.0.try_take(1)).collect();
        assert_eq!(rest.len(), (16 << 10) - 1, "a small one takes its share");
        let refused = room.take(Full::new(Bytes::from_static(b"x")), 2048, Carrier::Many).await;
        assert!(matches!(refused, Err(Problem::Unavailable(_))));
        assert!(room.take(Full::new(Bytes::new()), 2048, Carrier::Many).await.is_ok(), "nothing takes nothing");
        drop((first, rest));
        assert!(room.take(Full::new(Bytes::from_static(b"x")), 2048, Carrier::Many).await.is_ok());
    }
}

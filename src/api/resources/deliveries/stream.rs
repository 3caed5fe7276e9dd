//! `GET /v1/deliveries/stream`: deliveries and attempts as they happen, as server-sent events.
//!
//! ```text
//!  store-writer ── after each commit ──▶ queue of changes ──▶ one task, `renderer` ──▶ ring of rows ──▶ a reader each
//!                                        10,000 rows           prints each row once    10,000 rows      filters, sends
//!  the log ──▶ replay: what ended since the `Last-Event-ID` of a reader ──────────────────────────────▶
//! ```
//!
//! **Who publishes.** The writer notes changes only while somebody reads, in the batch that makes them, and hands them over when the
//! batch is on disk. So nothing is shown that a crash could take back, and the order is that of the commits.
//!
//! **Who reads.** One task takes the changes, reads what is shown of them, prints each row once, and puts it into a ring. Each reader has
//! no more than a place in the ring. It judges the rows by its scope and its filters, and copies what passes into the piece that its
//! connection takes next. The task begins with the first reader, and goes with the last.
//!
//! **Bounds.** The ring holds the last 10,000 rows, and of large ones the last 32 MiB. A reader may be slow: it costs one piece of
//! 16 KiB from the memory for answers, and holds up nobody. When the ring has passed it by, it is told how many of its rows it
//! lost, and goes on with the oldest row that there is. One that takes no byte for ten minutes is closed.
//!
//! **Going on.** Each row has a cursor. As long as the ring holds the row behind it, a reader with that cursor misses nothing and gets
//! nothing twice. Else, after a lag, a pause without readers, or a restart, the log tells: every attempt that ended since, in the order
//! of commits as long as the tail of the index knows them by their numbers, else by the index of attempts from some minutes before the
//! cursor on, which may repeat some. Each is followed by its delivery as it stands by then. What retention took is left out. Times
//! are the service's, which never go back.
//!
//! **The end.** A stream ends when the service stops, when its key is revoked or expired, when its tenant is deleted, and when its
//! connection must give way to others.

mod cursor;
mod frame;
mod reader;
mod renderer;
mod replay;
mod ring;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::api::request::auth::Rank;
use crate::api::request::context::Context;
use crate::api::request::target::Target;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::resource::Resource;
use crate::store::{Filter, Of, Owned, Store};
use cursor::Place;
use frame::Look;
use reader::{Access, Stream};
use replay::Replay;
use ring::{Ring, Scope};

/// The streams of one service.
pub(in crate::api) struct Live {
    state: Mutex<State>,
    /// Held while the task that fills the ring begins or ends.
    turning: tokio::sync::Mutex<()>,
    /// Rings when the ring has more, or its end has come.
    bell: watch::Sender<()>,
    /// Notified when the last reader has left.
    left: Notify,
    readers_max: usize,
}

#[derive(Default)]
struct State {
    ring: Ring,
    readers: usize,
    /// The number of the last reader that came.
    last: u64,
}

/// The place of one reader among the streams. Dropping it gives the place back.
pub(in crate::api) struct Seat(Arc<Live>, u64);

impl Live {
    pub(in crate::api) fn new(readers_max: usize) -> Arc<Self> {
        let (state, turning, left) = Default::default();
        Arc::new(Self { state, turning, bell: watch::Sender::new(()), left, readers_max })
    }

    /// How many streams are open.
    pub(in crate::api) fn readers(&self) -> usize {
        self.lock().readers
    }

    /// Takes a place, and sees to it that the ring is filled. Fails when all places are taken.
    async fn sit(self: &Arc<Self>, store: &Store) -> Result<Seat, Problem> {
        let seat = self.take_seat().ok_or(Problem::Unavailable(CROWDED))?;
        let _turn = self.turning.lock().await;
        if !self.lock().ring.is_open() {
            let (follower, reached) = store.follow().await?;
            self.lock().ring = Ring::begin(reached)?;
            tokio::spawn(renderer::run(self.clone(), store.node(), follower));
        }
        Ok(seat)
    }

    fn take_seat(self: &Arc<Self>) -> Option<Seat> {
        let mut state = self.lock();
        let is_free = state.readers < self.readers_max;
        state.readers += usize::from(is_free);
        state.last += 1;
        is_free.then(|| Seat(self.clone(), state.last))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.readers -= 1;
        if state.readers == 0 {
            self.0.left.notify_one();
        }
    }
}

/// `GET /v1/deliveries/stream`
pub(in crate::api) async fn stream(context: &Context<'_>) -> Result<Reply, Problem> {
    let asked = asked(context).await?;
    let resume = cursor::last_seen(context.headers)?;
    let seat = context.api.live.sit(&context.api.store).await?;
    let source = begin(context, asked, resume, seat).await?;
    Reply::stream(source, context.rooms()).await
}

/// What a reader is shown.
pub(super) struct Asked {
    scope: Scope,
    filter: Filter,
    webhook: Option<crate::domain::id::EndpointNo>,
}

async fn asked(context: &Context<'_>) -> Result<Asked, Problem> {
    let store = &context.api.store;
    let mut query = context.query(PARAMETERS);
    let filter = super::filter(&mut query, store.now());
    let [event, webhook] = ["event", "webhook"].map(|name| query.id(name));
    query.finish()?;
    let scope = scope(context)?;
    let webhook = webhook.map(|id| context.webhook_by_id(&id)).transpose()?.map(|endpoint| endpoint.no);
    let event = match event {
        Some(id) => Some(store.event_of_any(tenants(store, &scope).await?, id).await?.ok_or(Problem::NotFound(Resource::Event))?),
        None => None,
    };
    Ok(Asked { scope, filter: Filter { event: event.map(|event| event.key), ..filter }, webhook })
}

/// Whose deliveries the caller is shown: those of the tenant that the request is about, else all that the key may see.
fn scope(context: &Context<'_>) -> Result<Scope, Problem> {
    let caller = &context.caller;
    let provider = &caller.provider.name;
    Ok(match &caller.target {
        _ if caller.anywhere => Scope::All,
        Target::Unnamed | Target::All => Scope::Provider((**provider).into()),
        Target::Tenant(tenant) => {
            if caller.rank == Rank::Operator {
                context.known_tenant(provider, tenant)?;
            }
            Scope::Tenant(Owned { provider: (**provider).into(), tenant: tenant.clone() })
        }
    })
}

/// The tenants of a scope.
async fn tenants(store: &Store, scope: &Scope) -> Result<Arc<[Owned]>, Problem> {
    if let Scope::Tenant(owned) = scope {
        return Ok([owned.clone()].into());
    }
    let scope = scope.clone();
    Ok(store.tenants_where(move |owned| scope.has(&owned.provider, &owned.tenant)).await?)
}

async fn begin(context: &Context<'_>, asked: Asked, resume: Option<Place>, seat: Seat) -> Result<Stream, Problem> {
    let store = &context.api.store;
    let look = Look { is_operator: context.caller.rank == Rank::Operator, has_owner: asked.scope.is_of_many() };
    let (at, missed) = seat.0.lock().ring.enter(&asked.scope, resume);
    let replay = match (missed, asked.webhook) {
        (None, _) => None,
        (Some(since), Some(no)) => Some(Replay::new(Of::Webhook(no), since, at.place.reached)),
        (Some(since), None) => Some(Replay::new(Of::Tenants(tenants(store, &asked.scope).await?), since, at.place.reached)),
    };
    let access = Access::new(context, &asked.scope);
    Ok(Stream::new(seat, asked, look, access, at, replay))
}

const PARAMETERS: &[&str] = &["status", "type", "code", "since", "until", "event", "webhook", "test"];

/// The most streams at once.
pub(in crate::api) const READERS_MAX: usize = 1_000;

const CROWDED: &str = "1,000 live streams are open, and that is the most; close one, or try again in a second";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_too_many_is_refused_until_another_ends() {
        let live = Live::new(2);
        let seats = [live.take_seat(), live.take_seat()];
        assert!(seats.iter().all(Option::is_some) && live.take_seat().is_none());
        assert_eq!(live.readers(), 2);
        drop(seats);
        assert_eq!(live.readers(), 0);
        assert!(live.take_seat().is_some());
    }
}

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
//! **Bounds.** The ring holds the last 10,000 rows of all tenants, and of large ones the last 32 MiB. A reader costs one piece from the
//! memory for answers: of 16 KiB, or of one row that is larger. It takes each part of a piece within the time that every answer has, else
//! its connection is closed, and it comes back with its cursor. When the ring has passed a reader by, it is told how many rows of its
//! scope it lost, whatever its filters, and goes on with the oldest row that there is. A tenant or a provider has at most a quarter of the
//! places, some places are kept for operators, and few readers read the log at once.
//!
//! **Going on.** Each row has a cursor. As long as the ring holds the row behind it, a reader with that cursor misses nothing and gets
//! nothing twice. Else, after a lag, a pause without readers, or a restart, the log tells: every attempt that ended since, in the order
//! of commits as long as the tail of the index knows them by their numbers, else by the index of attempts from some minutes before the
//! cursor on, which may repeat some. Each is followed by its delivery as it stands by then. What retention took is left out. Times
//! are the service's, which never go back.
//!
//! **The end.** A stream ends when the service stops, when its key is revoked, has expired or has lost a right, when its tenant is deleted,
//! and when its connection must give way to others.

mod cursor;
mod frame;
mod reader;
mod renderer;
mod replay;
mod ring;
mod seats;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};

use crate::api::request::auth::Rank;
use crate::api::request::context::Context;
use crate::api::request::target::Target;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::id::EndpointNo;
use crate::domain::resource::Resource;
use crate::store::{Filter, Of, Owned, Store};
use cursor::Place;
use frame::Look;
use reader::{Access, Stream};
use replay::Replay;
use ring::{At, Found, Ring, Scope};
use seats::{Crowded, Seats};

/// The streams of one service.
pub(in crate::api) struct Live {
    state: Mutex<State>,
    /// Held while the task that fills the ring begins or ends.
    turning: tokio::sync::Mutex<()>,
    /// Rings when the ring has more, or its end has come.
    bell: watch::Sender<()>,
    /// Notified when the last reader has left.
    left: Notify,
    /// A permit for each reader that may read the log at this moment.
    catching_up: Semaphore,
}

struct State {
    ring: Ring,
    seats: Seats,
    /// The number of the last reader that came.
    last: u64,
}

/// The place of one reader among the streams. Dropping it gives the place back.
pub(in crate::api) struct Seat {
    live: Arc<Live>,
    number: u64,
    party: Option<u64>,
}

impl Live {
    pub(in crate::api) fn new(readers_max: usize) -> Arc<Self> {
        let state = Mutex::new(State { ring: Ring::default(), seats: Seats::new(readers_max), last: 0 });
        let (turning, left) = Default::default();
        Arc::new(Self { state, turning, bell: watch::Sender::new(()), left, catching_up: Semaphore::new(CATCHING_UP_MAX) })
    }

    /// How many streams are open.
    pub(in crate::api) fn readers(&self) -> usize {
        self.lock().seats.taken()
    }

    /// Takes a place for a party, or for an operator, and sees to it that the ring is filled. The reader begins behind `seen` where the
    /// ring has all rows since, else at the ring's end: then the last member says from where on it has to read the log. Fails when there
    /// is no place.
    async fn sit(
        self: &Arc<Self>,
        store: &Store,
        party: Option<u64>,
        scope: &Scope,
        seen: Option<Place>,
    ) -> Result<(Seat, At, Option<Place>), Problem> {
        let seat = self.take_seat(party)?;
        // Nobody ends the ring before the reader is in it.
        let _turn = self.turning.lock().await;
        if !self.lock().ring.is_open() {
            let (follower, reached) = store.follow().await?;
            self.lock().ring = Ring::begin(reached)?;
            tokio::spawn(renderer::run(self.clone(), store.node(), follower));
        }
        let (at, missed) = self.lock().ring.enter(scope, seen);
        Ok((seat, at, missed))
    }

    fn take_seat(self: &Arc<Self>, party: Option<u64>) -> Result<Seat, Problem> {
        let mut state = self.lock();
        state.seats.take(party).map_err(|crowded| match crowded {
            Crowded::All => Problem::Unavailable(CROWDED),
            Crowded::Share => Problem::Unavailable(SHARE_TAKEN),
        })?;
        state.last += 1;
        Ok(Seat { live: self.clone(), number: state.last, party })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn read(&self, scope: &Scope, place: &Place) -> Option<Found> {
        self.live.lock().ring.read(scope, place)
    }

    fn has_behind(&self, place: &Place) -> bool {
        self.live.lock().ring.has_behind(place)
    }

    /// Waits for the turn to read a piece of the log. Those who wait come in their order.
    async fn catch_up(&self) -> Option<SemaphorePermit<'_>> {
        self.live.catching_up.acquire().await.ok()
    }

    /// How much longer than others this reader waits, so that they do not all print at the same moment, which attempts would feel.
    fn spread(&self) -> Duration {
        SPREAD * u32::try_from(self.number % SPREAD_OVER).unwrap_or(0)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.live.lock();
        state.seats.give_back(self.party);
        if state.seats.taken() == 0 {
            self.live.left.notify_one();
        }
    }
}

/// `GET /v1/deliveries/stream`
pub(in crate::api) async fn stream(context: &Context<'_>) -> Result<Reply, Problem> {
    let asked = asked(context).await?;
    let resume = cursor::last_seen(context.headers)?;
    let store = &context.api.store;
    let party = (context.caller.rank != Rank::Operator).then(|| context.rooms().party);
    let (seat, at, missed) = context.api.live.sit(store, party, &asked.scope, resume).await?;
    let replay = replay(store, &asked, missed, &at).await?;
    let look = Look { is_operator: context.caller.rank == Rank::Operator, has_owner: asked.scope.is_of_many() };
    let access = Access::new(context, &asked.scope);
    let source = Stream::new(seat, asked, look, access, at, replay);
    Reply::stream(source, context.rooms()).await
}

/// What a reader is shown.
pub(super) struct Asked {
    scope: Scope,
    filter: Filter,
    webhook: Option<EndpointNo>,
}

async fn asked(context: &Context<'_>) -> Result<Asked, Problem> {
    let store = &context.api.store;
    let mut query = context.query(PARAMETERS);
    let filter = super::filter(&mut query, store.now());
    let [event, webhook] = ["event", "webhook"].map(|name| query.id(name));
    query.finish()?;
    let scope = scope(context)?;
    let webhook = webhook.map(|id| webhook_in(context, &scope, &id)).transpose()?;
    let event = match event {
        Some(id) => Some(store.event_of_any(tenants(store, &scope).await?, id).await?.ok_or(Problem::NotFound(Resource::Event))?),
        None => None,
    };
    Ok(Asked { scope, filter: Filter { event: event.map(|event| event.key), ..filter }, webhook })
}

/// A webhook of the scope. An operator sees more webhooks than those of the tenant that the request names.
fn webhook_in(context: &Context<'_>, scope: &Scope, id: &str) -> Result<EndpointNo, Problem> {
    let endpoint = context.webhook_by_id(id)?;
    let is_theirs = scope.has(&endpoint.provider, &endpoint.tenant);
    if is_theirs { Ok(endpoint.no) } else { Err(Problem::NotFound(Resource::Webhook)) }
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

/// What of the log a reader has to read first.
async fn replay(store: &Store, asked: &Asked, missed: Option<Place>, at: &At) -> Result<Option<Replay>, Problem> {
    let Some(since) = missed else { return Ok(None) };
    let of = match asked.webhook {
        Some(no) => Of::Webhook(no),
        None => Of::Tenants(tenants(store, &asked.scope).await?),
    };
    Ok(Some(Replay::new(of, since, at.place.reached)))
}

const PARAMETERS: &[&str] = &["status", "type", "code", "since", "until", "event", "webhook", "test"];

/// The most streams at once.
pub(in crate::api) const READERS_MAX: usize = 1_000;

/// So many readers at once read the log. Others wait for their turn between two pieces.
const CATCHING_UP_MAX: usize = 8;

const SPREAD: Duration = Duration::from_millis(2);
const SPREAD_OVER: u64 = 16;

const CROWDED: &str = "1,000 live streams are open, and that is the most; close one, or try again in a second";

const SHARE_TAKEN: &str =
    "250 live streams of this tenant or provider are open, and that is its share; close one, or try again in a second";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_too_many_is_refused_until_another_ends() {
        let live = Live::new(2);
        let seats = [live.take_seat(None), live.take_seat(None)];
        assert!(seats.iter().all(Result::is_ok) && live.take_seat(None).is_err());
        assert_eq!(live.readers(), 2);
        drop(seats);
        assert_eq!(live.readers(), 0);
        assert!(live.take_seat(None).is_ok());
    }
}

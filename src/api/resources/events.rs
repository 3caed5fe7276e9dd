//! Events as a subscriber reads them: a feed that can be polled instead of receiving, and one by its id.

use std::collections::VecDeque;
use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, sleep, timeout_at};

use crate::api::document::event as document;
use crate::api::request::context::Context;
use crate::api::request::cursor;
use crate::api::response::answer::{self, Next, Source};
use crate::api::response::page::{Frame, Row, Rows, page};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::budget::PartyShare;
use crate::clock;
use crate::domain::event::Event;
use crate::domain::id::EventKey;
use crate::domain::id::uid::Uid;
use crate::domain::json::quote;
use crate::domain::resource::Resource;
use crate::domain::units::parse_duration;
use crate::store::{Fit, Owned, Space, Store};

/// `GET /v1/events`: the tenant's and those for all tenants of its provider, oldest first.
///
/// `next` is null on the last page, as in every list; `cursor` is always where the feed goes on.
pub(crate) async fn list(context: &Context<'_>) -> Result<Reply, Problem> {
    let owned = context.caller.owned()?;
    let mut query = context.query(&["limit", "cursor", "wait"]);
    let (limit, after) = (query.limit(), cursor::from_query(&mut query).unwrap_or(EventKey::MIN));
    let wait = query.read_with("wait", "is not a duration of at most 60s, like 30s", wait).unwrap_or_default();
    query.finish()?;
    let mut keys = read(context, &owned, after, limit, wait).await?;
    let more = keys.len() > limit;
    keys.truncate(limit);
    let rows = Events { store: context.api.store.clone(), keys, at: 0, read: VecDeque::new(), after, more };
    page(context, Frame::new(context.dialect()).feed(), rows).await
}

/// `GET /v1/events/{id}`
pub(crate) async fn show(context: &Context<'_>) -> Result<Reply, Problem> {
    let (store, key) = (context.api.store.clone(), find(context).await?.key);
    let shown = Shown { store, key, wrap: context.dialect().api.wrap.clone() };
    Reply::rendered(StatusCode::OK, shown, context.rooms()).await
}

/// The event that the path names, without its content, if it is the tenant's or for all of its provider.
pub(crate) async fn find(context: &Context<'_>) -> Result<Event, Problem> {
    let event = context.api.store.event_by_id(&context.caller.owned()?, context.id).await?;
    event.ok_or(Problem::NotFound(Resource::Event))
}

/// An event with its content, in memory that the budget for answers gives. The share is that memory, with room for a
/// [`Tape`](crate::domain::json::tape::Tape) of the content. `None`: the event is gone.
pub(crate) async fn whole(context: &Context<'_>, key: EventKey) -> Result<Option<(Event, PartyShare)>, Problem> {
    let store = &context.api.store;
    let measure = Space { room: 0, printed: TAPE_BYTES };
    let Fit::Needs(bytes) = store.events(vec![key], measure).await? else { return Ok(None) };
    let room = answer::room(bytes, &context.rooms()).await?;
    Ok(match store.events(vec![key], Space { room: usize::MAX, printed: 0 }).await? {
        Fit::Fits(mut found) => found.pop().flatten().map(|event| (event, room)),
        Fit::Needs(_) => None,
    })
}

/// One more than `limit`, if there is; waits for the first when there is none.
async fn read(
    context: &Context<'_>,
    owned: &Owned,
    after: EventKey,
    limit: usize,
    wait: Duration,
) -> Result<Vec<EventKey>, Problem> {
    let deadline = Instant::from_std(clock::steady() + wait);
    let (store, mut stop) = (&context.api.store, context.api.stop.clone());
    loop {
        let mut feed = (!wait.is_zero()).then(|| store.feed(owned));
        let keys = store.event_keys(owned.clone(), after, limit + 1).await?;
        let Some(feed) = feed.as_mut().filter(|_| keys.is_empty()) else { return Ok(keys) };
        let published = async {
            feed.changed().await;
            sleep(PAUSE).await;
        };
        tokio::select! {
            published = timeout_at(deadline, published) => if published.is_err() { return Ok(keys) },
            () = stop.pressed() => return Ok(keys),
            () = context.slot.until_told_to_leave() => return Ok(keys),
        }
        context.api.check_again(&context.caller)?;
    }
}

/// The events of a page, read a few at a time.
struct Events {
    store: Store,
    keys: Vec<EventKey>,
    at: usize,
    /// The events from `at` on, as far as they are read. `None` stands for an event that is gone.
    read: VecDeque<Option<Event>>,
    after: EventKey,
    more: bool,
}

impl Rows for Events {
    async fn print(&mut self, room: usize, into: &mut Vec<u8>) -> Result<Row, Problem> {
        if self.read.is_empty() && self.at < self.keys.len() {
            match self.store.events(self.keys[self.at..].to_vec(), space(room)).await? {
                Fit::Needs(bytes) => return Ok(Row::Needs(bytes)),
                Fit::Fits(events) => self.read = events.into(),
            }
        }
        Ok(match self.read.front() {
            None => Row::End,
            Some(None) => Row::Gone,
            Some(Some(event)) => {
                print(event, into);
                Row::Printed
            }
        })
    }

    fn pass(&mut self) {
        self.at += 1;
        self.read.pop_front();
    }

    fn let_go(&mut self) {
        self.read.clear();
    }

    fn cursor(&self) -> String {
        cursor::encode(self.keys[..self.at].last().unwrap_or(&self.after))
    }

    fn has_more(&self) -> bool {
        self.more || self.at < self.keys.len()
    }
}

/// One event, under the dialect's `wrap`.
struct Shown {
    store: Store,
    key: EventKey,
    wrap: Box<str>,
}

impl Source for Shown {
    async fn next(&mut self, room: usize) -> Result<Next, Problem> {
        let event = match self.store.events(vec![self.key], space(room)).await? {
            Fit::Needs(bytes) => return Ok(Next::Needs(bytes)),
            Fit::Fits(mut found) => found.pop().flatten().ok_or(Problem::NotFound(Resource::Event))?,
        };
        let mut bytes = Vec::new();
        match &*self.wrap {
            "" => print(&event, &mut bytes),
            wrap => {
                bytes.push(b'{');
                quote(wrap, &mut bytes);
                bytes.push(b':');
                print(&event, &mut bytes);
                bytes.push(b'}');
            }
        }
        Ok(Next::Piece { bytes, last: true })
    }
}

/// Its data goes in byte for byte.
fn space(room: usize) -> Space {
    Space { room, printed: 1 }
}

fn print(event: &Event, into: &mut Vec<u8>) {
    let known = document::Event {
        id: &event.id,
        uid: event.uid.as_ref().map(Uid::as_str),
        kind: &event.kind,
        created_at: event.key.time().into(),
        occurred_at: event.occurred_at.map(Into::into),
        tenant: event.tenant.as_deref().unwrap_or("*"),
        replay_of: event.links.as_ref().and_then(|links| links.replay_of.as_deref()),
        replays: event.links.iter().flat_map(|links| &links.replays).map(|id| &**id).collect(),
    };
    let attributes = event.attributes.iter().map(|(name, scalar)| (name.as_str(), &**scalar));
    known.write(
        document::Written {
            attributes,
            connection: event.connection.as_deref(),
            channels: &event.channels,
            schema_errors: &event.schema_errors,
            data: &event.content.data(),
        },
        into,
    );
}

/// The member that shows what was wrong with an event's data by the schema of its type.
pub(crate) const SCHEMA_ERRORS: &str = "schema_errors";

fn wait(text: &str) -> Option<Duration> {
    parse_duration(text).ok().filter(|wait| *wait <= WAIT_MAX)
}

/// What a tape takes of memory for one byte of content at most, which is a digit and its comma.
pub(crate) const TAPE_BYTES: usize = 24;

/// Longest long poll.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// From an event to the look of a long poll, so that it finds those that follow closely too.
const PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::channels::Channels;
    use crate::domain::event::{Attributes, Content};
    use crate::domain::time::Timestamp;

    fn event(key: u64, data: &str) -> Event {
        Event {
            key: EventKey(key),
            id: "evt_1".into(),
            uid: None,
            provider: "acme".into(),
            tenant: None,
            kind: "a.b".into(),
            time: Timestamp::EPOCH,
            occurred_at: None,
            attributes: Attributes::from([("n".into(), "7".into())]),
            connection: None,
            channels: Channels::default(),
            test: false,
            schema_errors: "".into(),
            links: None,
            content: Content::new(Vec::new(), None, data.as_bytes()),
        }
    }

    #[test]
    fn an_event_shows_its_data_byte_for_byte() {
        let mut printed = Vec::new();
        print(&event(1 << 16, "{\"a\" : 1e999}"), &mut printed);
        let expected = r#"{"id":"evt_1","type":"a.b","created_at":"1970-01-01T00:00:00.001000Z","occurred_at":null,"tenant":"*","attributes":{"n":7},"connection":null,"data":{"a" : 1e999}}"#;
        assert_eq!(String::from_utf8(printed).unwrap(), expected);
    }

    #[test]
    fn a_long_poll_waits_at_most_a_minute() {
        assert_eq!(wait("30s"), Some(Duration::from_secs(30)));
        assert_eq!(wait("61s"), None);
        assert_eq!(wait("30"), None);
    }
}

//! Events as a subscriber reads them: a feed that can be polled instead of receiving, and one by its id.

use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, sleep, timeout_at};

use super::ask::{self, Ask};
use super::cursor;
use super::print::{self, Object};
use super::problem::Problem;
use super::reply::Reply;
use crate::clock;
use crate::config::units::parse_duration;
use crate::domain::event::Event;
use crate::domain::id::EventKey;
use crate::store::Owned;

/// `GET /v1/events`: the tenant's and those for all tenants of its provider, oldest first.
///
/// `next` is null on the last page, as in every list; `cursor` is always where the feed goes on.
pub(crate) async fn list(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let owned = ask.caller.owned()?;
    let mut query = ask.query(&["limit", "cursor", "wait"]);
    let (limit, after) = (query.limit(), cursor::from_query(&mut query).unwrap_or(EventKey::MIN));
    let wait = query.read_with("wait", "is not a duration of at most 60s, like 30s", wait).unwrap_or_default();
    query.finish()?;
    let mut events = read(ask, &owned, after, limit, wait).await?;
    let more = cut(&mut events, limit);
    Ok(feed(ask, &events, more, after))
}

/// `GET /v1/events/{id}`
pub(crate) fn show(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let event = find(ask)?;
    Ok(ask::object(StatusCode::OK, ask.dialect(), |object| print_event(&event, object)))
}

/// The event that the path names, if it is the tenant's or for all of its provider.
pub(crate) fn find(ask: &Ask<'_>) -> Result<Event, Problem> {
    let event = ask.api.store.event_by_id(&ask.caller.owned()?, ask.id)?;
    event.ok_or(Problem::NotFound("event"))
}

/// One more than `limit`, if there is; waits for the first when there is none.
async fn read(ask: &Ask<'_>, owned: &Owned, after: EventKey, limit: usize, wait: Duration) -> Result<Vec<Event>, Problem> {
    let deadline = Instant::from_std(clock::steady() + wait);
    let (store, mut stop) = (ask.api.store.clone(), ask.api.stop.clone());
    let mut commits = store.commits();
    loop {
        commits.mark_unchanged();
        let (reader, owned) = (store.clone(), owned.clone());
        let events = ask::read(move || reader.events(&owned, after, limit + 1, PAGE_BYTES_MAX)).await?;
        if !events.is_empty() || wait.is_zero() {
            return Ok(events);
        }
        let committed = async {
            let _ = commits.changed().await;
            sleep(PAUSE).await;
        };
        tokio::select! {
            committed = timeout_at(deadline, committed) => if committed.is_err() { return Ok(events) },
            () = stop.pressed() => return Ok(events),
        }
    }
}

/// Cuts the page to its limit and to what one answer may hold; whether something was cut.
fn cut(events: &mut Vec<Event>, limit: usize) -> bool {
    let before = events.len();
    let mut bytes = 0;
    let fits = events.iter().take(limit).take_while(|event| {
        let fits = bytes == 0 || bytes + event.content.data().len() <= PAGE_BYTES_MAX;
        bytes += event.content.data().len();
        fits
    });
    let count = fits.count();
    events.truncate(count);
    count < before
}

fn feed(ask: &Ask<'_>, events: &[Event], more: bool, after: EventKey) -> Reply {
    let wrap = &*ask.dialect().api.wrap;
    let cursor = cursor::encode(&events.last().map_or(after, |event| event.key));
    let body = print::object(|object| {
        object.objects(if wrap.is_empty() { "data" } else { wrap }, events, print_event);
        if more {
            object.text("next", &cursor);
        } else if wrap.is_empty() {
            object.null("next");
        }
        object.text("cursor", &cursor);
    });
    Reply::json(StatusCode::OK, body)
}

fn print_event(event: &Event, object: &mut Object<'_>) {
    object.text("id", &event.id);
    object.text("type", &event.kind);
    object.time("created_at", Some(event.key.time()));
    object.time("occurred_at", event.occurred_at);
    object.text("tenant", event.tenant.as_deref().unwrap_or("*"));
    object.object("attributes", |object| {
        for (name, raw) in &event.attributes {
            object.raw(name, raw.as_bytes());
        }
    });
    object.text_or_null("connection", event.connection.as_deref());
    object.raw("data", &event.content.data());
}

fn wait(text: &str) -> Option<Duration> {
    parse_duration(text).ok().filter(|wait| *wait <= WAIT_MAX)
}

/// Longest long poll.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Between two looks of a long poll: under load nearly every commit is somebody else's.
const PAUSE: Duration = Duration::from_millis(20);

/// Data in one page; the first event is always in it.
const PAGE_BYTES_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Attributes, Content};
    use crate::domain::time::Timestamp;

    fn event(key: u64, data: &str) -> Event {
        Event {
            key: EventKey(key),
            id: "evt_1".into(),
            provider: "acme".into(),
            tenant: None,
            kind: "a.b".into(),
            time: Timestamp::EPOCH,
            occurred_at: None,
            attributes: Attributes::from([("n".into(), "7".into())]),
            connection: None,
            test: false,
            content: Content::new(Vec::new(), None, data.as_bytes()),
        }
    }

    #[test]
    fn an_event_shows_its_data_byte_for_byte() {
        let printed = print::object(|object| print_event(&event(1 << 16, "{\"a\" : 1e999}"), object));
        let expected = r#"{"id":"evt_1","type":"a.b","created_at":"1970-01-01T00:00:00Z","occurred_at":null,"tenant":"*","attributes":{"n":7},"connection":null,"data":{"a" : 1e999}}"#;
        assert_eq!(String::from_utf8(printed).unwrap(), expected);
    }

    #[test]
    fn a_page_is_cut_by_count_and_by_bytes() {
        let mut few = vec![event(1, "1"), event(2, "2"), event(3, "3")];
        assert!(!cut(&mut few, 3));
        assert!(cut(&mut few, 2));
        assert_eq!(few.len(), 2);

        let large = "0".repeat(PAGE_BYTES_MAX);
        let mut heavy = vec![event(1, &large), event(2, "1"), event(3, "1")];
        assert!(cut(&mut heavy, 50));
        assert_eq!(heavy.len(), 1);
    }

    #[test]
    fn a_long_poll_waits_at_most_a_minute() {
        assert_eq!(wait("30s"), Some(Duration::from_secs(30)));
        assert_eq!(wait("61s"), None);
        assert_eq!(wait("30"), None);
    }
}

//! One reader of the stream: what it is sent next, and when.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::cursor::Place;
use super::frame::{self, Look};
use super::replay::{Replay, Shown};
use super::ring::{At, Scope};
use super::{Asked, Seat};
use crate::api::http::shutdown::Stop;
use crate::api::http::slots::Slot;
use crate::api::request::auth::{Caller, Keys};
use crate::api::request::context::Context;
use crate::api::request::settings::Settings;
use crate::api::response::answer::{Next, Source};
use crate::api::response::problem::Problem;
use crate::clock;
use crate::domain::access::KeyHash;
use crate::store::{Owned, Store};

/// A stream, as its connection takes it piece by piece.
pub(super) struct Stream {
    seat: Seat,
    asked: Asked,
    look: Look,
    access: Access,
    at: At,
    replay: Option<Replay>,
    bell: watch::Receiver<()>,
    /// When something was sent last, and the place that it told.
    sent: Instant,
    told: Option<Place>,
    /// Whether the last piece had all that the ring had by then.
    has_caught_up: bool,
    has_ended: bool,
}

/// Whether the reader may still read.
pub(super) struct Access {
    store: Store,
    settings: watch::Receiver<Arc<Settings>>,
    caller: Caller,
    /// The one tenant that is read, where it was there at the begin.
    tenant: Option<Owned>,
    stop: Stop,
    slot: Arc<Slot>,
}

impl Access {
    pub(super) fn new(context: &Context<'_>, scope: &Scope) -> Self {
        let (api, store) = (context.api, context.api.store.clone());
        let one = if let Scope::Tenant(owned) = scope { Some(owned.clone()) } else { None };
        let tenant = one.filter(|owned| store.check_tenant(owned).is_ok());
        let (settings, caller, slot) = (api.settings.clone(), context.caller.clone(), context.slot.clone());
        Self { store, settings, caller, tenant, stop: api.stop.clone(), slot }
    }

    /// Whether the key still has its rights, and the tenant is still there.
    fn stands(&self) -> bool {
        let settings = self.settings.borrow().clone();
        let keys = Keys { settings: &settings, kept: |hash: &KeyHash| self.store.key(hash) };
        let has_tenant = self.tenant.as_ref().is_none_or(|owned| self.store.check_tenant(owned).is_ok());
        has_tenant && keys.check_again(&self.caller).is_ok()
    }

    /// Waits until the reader may not read any more.
    async fn ended(stop: &mut Stop, slot: &Slot) {
        tokio::select! {
            () = stop.pressed() => {}
            () = slot.until_told_to_leave() => {}
        }
    }
}

impl Stream {
    pub(super) fn new(seat: Seat, asked: Asked, look: Look, access: Access, at: At, replay: Option<Replay>) -> Self {
        let (bell, sent) = (seat.live.bell.subscribe(), Instant::from_std(clock::steady()));
        Self { seat, asked, look, access, at, replay, bell, sent, told: None, has_caught_up: true, has_ended: false }
    }

    /// Waits until the ring has more, it is time for a comment, or a look at the key is due. A reader that had all waits a while longer,
    /// so that many rows are one piece, and so that it is woken a few times a second however many rows come.
    async fn news(&mut self) {
        // What comes from here on rings.
        self.bell.mark_unchanged();
        let (bell, has_more) = (&mut self.bell, self.seat.has_behind(&self.at.place));
        let gather = GATHER + self.seat.spread();
        let rung = async {
            if !has_more && bell.changed().await.is_err() {
                pending::<()>().await;
            }
            sleep(gather).await;
        };
        tokio::select! {
            () = rung => self.has_caught_up = false,
            () = sleep_until((self.sent + BEAT_EVERY).min(Instant::from_std(clock::steady()) + LOOK_EVERY)) => {}
            () = Access::ended(&mut self.access.stop, &self.access.slot) => self.has_ended = true,
        }
    }

    /// Whether there is nothing to send yet.
    fn is_idle(&self) -> bool {
        let is_late = Instant::from_std(clock::steady()) >= self.sent + BEAT_EVERY;
        let has_rows = !self.has_caught_up && self.seat.has_behind(&self.at.place);
        self.replay.is_none() && !is_late && !self.has_ended && !has_rows
    }

    /// Prints what the ring has behind the reader's place, as much as fits. False: the ring is another one.
    fn print(&mut self, room: usize, into: &mut Vec<u8>) -> Result<bool, usize> {
        loop {
            let Some(found) = self.seat.read(&self.asked.scope, &self.at.place) else { return Ok(false) };
            for row in &found.rows {
                let before = self.at.clone();
                let (lost, is_shown) = self.at.pass(row, &self.asked);
                let text = if is_shown { row.frame.text(self.look) } else { bytes::Bytes::new() };
                let needed = into.len() + text.len() + if lost > 0 { LOST_BYTES } else { 0 };
                if needed > room && is_shown {
                    self.at = before;
                    return if into.is_empty() { Err(needed) } else { Ok(true) };
                }
                self.tell_lost(lost, into);
                if is_shown {
                    into.extend_from_slice(&text);
                    self.told = Some(row.place);
                }
            }
            let is_end = found.is_end();
            let lost = self.at.pass_end(found);
            self.tell_lost(lost, into);
            if is_end {
                self.has_caught_up = true;
                return Ok(true);
            }
        }
    }

    fn tell_lost(&mut self, lost: u64, into: &mut Vec<u8>) {
        if lost > 0 {
            frame::lost(lost, &self.at.place, into);
            self.told = Some(self.at.place);
        }
    }

    /// Prints the next piece of what passed while the reader was away.
    async fn print_replay(&mut self, room: usize, into: &mut Vec<u8>) -> Result<Option<usize>, Problem> {
        let Some(replay) = &mut self.replay else { return Ok(None) };
        let shown = Shown { filter: &self.asked.filter, look: self.look, room };
        let _turn = self.seat.catch_up().await;
        let needs = replay.print(&self.access.store, &shown, into).await?;
        if replay.is_over() {
            self.replay = None;
            frame::id(&self.at.place, into);
            self.told = Some(self.at.place);
        }
        Ok(needs)
    }

    /// Says that the stream lives, and where it is, when nothing was sent for a while.
    fn beat(&mut self, into: &mut Vec<u8>) {
        let now = Instant::from_std(clock::steady());
        if !into.is_empty() {
            self.sent = now;
        } else if now >= self.sent + BEAT_EVERY {
            self.sent = now;
            into.extend_from_slice(frame::BEAT);
            let place = self.place();
            if self.told != Some(place) {
                frame::id(&place, into);
                self.told = Some(place);
            }
        }
    }

    /// Where the reader goes on if the stream breaks off here.
    fn place(&self) -> Place {
        place_of(&self.at, self.replay.as_ref())
    }

    /// The first piece: how the reader comes back.
    fn begin(&mut self, into: &mut Vec<u8>) {
        into.extend_from_slice(frame::RETRY);
        let place = self.place();
        frame::id(&place, into);
        self.told = Some(place);
    }
}

impl Source for Stream {
    const PIECE: usize = 16 << 10;
    const WAITS: bool = true;

    async fn ready(&mut self) {
        loop {
            self.has_ended |= self.access.stop.is_pressed() || self.access.slot.must_leave() || !self.access.stands();
            if !self.is_idle() {
                return;
            }
            self.news().await;
        }
    }

    async fn next(&mut self, room: usize) -> Result<Next, Problem> {
        let (mut bytes, is_first) = (Vec::new(), self.told.is_none());
        if is_first {
            self.begin(&mut bytes);
        }
        if self.replay.is_some() && !self.has_ended {
            if let Some(needs) = self.print_replay(room, &mut bytes).await? {
                self.told = self.told.filter(|_| !is_first);
                return Ok(Next::Needs(needs));
            }
        } else if !self.has_ended {
            match self.print(room, &mut bytes) {
                Ok(is_same) => self.has_ended = !is_same,
                Err(needs) => return Ok(Next::Needs(needs)),
            }
        }
        self.beat(&mut bytes);
        Ok(Next::Piece { bytes, last: self.has_ended })
    }
}

/// Where a reader is that reads the log first: not in the ring yet, however far that is.
fn place_of(at: &At, replay: Option<&Replay>) -> Place {
    replay.map_or(at.place, Replay::place)
}

/// After so long without a row a comment says that the stream lives.
const BEAT_EVERY: Duration = Duration::from_secs(15);

/// How often the key is looked at while nothing is sent.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a reader waits for more when there is a row, so that many rows are one write.
const GATHER: Duration = Duration::from_millis(30);

/// The longest frame that tells of lost rows.
const LOST_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::super::ring::Ring;
    use super::*;
    use crate::domain::time::Timestamp;
    use crate::store::{Of, Reached};

    #[test]
    fn a_reader_of_the_log_is_told_no_place_of_the_ring() {
        let [since, until] = [7, 90].map(|attempts| Reached { attempts, at: Timestamp::from_secs(attempts) });
        let (at, missed) = Ring::begin(until).expect("random bytes").enter(&Scope::All, Some(Place::in_log(since)));
        let replay = missed.map(|seen| Replay::new(Of::Tenants([].into()), seen, at.place.reached));
        assert_eq!(place_of(&at, replay.as_ref()), Place::in_log(since), "it has read nothing yet");
        assert_eq!(place_of(&at, None).reached, until);
    }
}

//! What drives the replays: reads the next piece of each walk and hands it to the writer, no faster than the replay's rate.
//!
//! It keeps nothing that a restart would miss. How far each replay has come stands in its row, and its rate begins anew without a
//! burst.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handle::Store;
use super::message::replay::{Replay, ReplayFilter, ReplaySlice, WAITING_MAX};
use super::redb::read::recover::replay::Way;
use super::{Denied, Error, Owned};
use crate::domain::id::ReplayNo;
use crate::domain::rate::Rate;

/// The paces of the replays that have a rate.
type Paces = HashMap<ReplayNo, Pace>;

impl Store {
    /// Drives the replays for as long as it is polled.
    pub(crate) async fn drive_replays(self) {
        let mut paces = Paces::new();
        loop {
            let wait = self.replay_all(&mut paces).await;
            tokio::select! {
                () = self.shared.replays.bell.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// How many deliveries a replay would send, were it asked for now.
    pub(crate) async fn count_replay(&self, owned: &Owned, filter: &ReplayFilter) -> Result<u64, Error> {
        let Some(tenant) = self.shared.registry().tenant(&owned.provider, &owned.tenant) else { return Ok(0) };
        let mut way = Way::whole(filter.clone(), tenant, self.now());
        let mut matched = 0;
        loop {
            let next = way.clone();
            let piece = self.aside(move |reader| reader.to_replay(&next, usize::MAX)).await?;
            matched += piece.found.len() as u64;
            if piece.is_last {
                return Ok(matched);
            }
            way.after = piece.up_to;
        }
    }

    /// One slice of each replay that may go on; how long to wait until something may have changed that rings no bell.
    async fn replay_all(&self, paces: &mut Paces) -> Duration {
        let running = self.shared.replays.wanted(Replay::walks);
        paces.retain(|no, _| running.iter().any(|replay| replay.no == *no));
        let mut wait = if running.is_empty() { IDLE } else { LOOK_AGAIN };
        for replay in running {
            match self.replay_one(&replay, paces).await {
                Ok(next) => wait = wait.min(next),
                Err(fault) => {
                    tracing::error!("deliveries to send again cannot be read: {fault}");
                    tokio::time::sleep(AFTER_FAULT).await;
                }
            }
        }
        wait
    }

    /// One slice of a replay, if it may go on; how long it has to wait for its rate.
    async fn replay_one(&self, replay: &Arc<Replay>, paces: &mut Paces) -> Result<Duration, Error> {
        let now = self.shared.clock.steady();
        let pace = replay.rate.map(|rate| (rate, *paces.entry(replay.no).or_insert_with(|| Pace::new(now))));
        let allowed = pace.map_or(usize::MAX, |(rate, pace)| pace.allowed(rate, now));
        if allowed == 0 {
            return Ok(pace.map_or(LOOK_AGAIN, |(rate, pace)| pace.wait(rate, now)));
        }
        let waiting = replay.waiting(|no| self.webhook_no(no).is_some_and(|webhook| webhook.is_active()));
        if waiting > WAITING_MAX - SLICE {
            return Ok(LOOK_AGAIN);
        }
        let limit = allowed.min(SLICE as usize);
        let sent = self.send_piece(replay, limit).await?;
        if let Some(rate) = replay.rate {
            paces.entry(replay.no).and_modify(|pace| pace.spend(rate, sent, now));
        }
        Ok(LOOK_AGAIN)
    }

    /// Reads the next piece of a walk and has it sent; how many deliveries that were.
    pub(super) async fn send_piece(&self, replay: &Arc<Replay>, limit: usize) -> Result<u64, Error> {
        let way = Way::of(replay);
        let piece = self.aside(move |reader| reader.to_replay(&way, limit)).await?;
        let slice = ReplaySlice { no: replay.no, from: replay.walk.after, piece };
        // While the store takes nothing the slice changes nothing, and while it stops the next start goes on.
        let _: Result<(), Denied> = self.replay_slice(&replay.owned, slice).await;
        let sent = self.shared.replays.find(replay.no).map_or(0, |now| now.sent);
        Ok(sent.saturating_sub(replay.sent))
    }
}

/// How much of a replay's rate is used up: the generic cell rate algorithm, with a burst of [`BURST`]'s worth.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// When the next delivery is due.
    next_at: Instant,
}

impl Pace {
    /// A pace that allows one at `now`, and no burst.
    fn new(now: Instant) -> Self {
        Self { next_at: now }
    }

    /// How many deliveries may be sent at `now`.
    fn allowed(self, rate: Rate, now: Instant) -> usize {
        let Some(late) = now.checked_duration_since(self.next_at) else { return 0 };
        let due = late.as_nanos() / rate.interval().as_nanos().max(1) + 1;
        usize::try_from(due).unwrap_or(usize::MAX).min(burst(rate))
    }

    fn spend(&mut self, rate: Rate, sent: u64, now: Instant) {
        let count = u32::try_from(sent).unwrap_or(u32::MAX);
        let burst = rate.interval() * u32::try_from(burst(rate) - 1).unwrap_or(u32::MAX);
        let earliest = now.checked_sub(burst).unwrap_or(now);
        self.next_at = self.next_at.max(earliest) + rate.interval().saturating_mul(count);
    }

    /// How long until enough may be sent to be worth a commit: half a burst, and one at least.
    fn wait(self, rate: Rate, now: Instant) -> Duration {
        let half = u32::try_from(burst(rate) / 2).unwrap_or(u32::MAX);
        (self.next_at + rate.interval() * half).saturating_duration_since(now)
    }
}

/// How many deliveries may be sent at once after a pause.
fn burst(rate: Rate) -> usize {
    let due = BURST.as_nanos() / rate.interval().as_nanos().max(1);
    usize::try_from(due).unwrap_or(usize::MAX).max(1)
}

/// What may be sent at once is a tenth of a second's worth.
const BURST: Duration = Duration::from_millis(100);

/// How many deliveries one commit sends again. New events wait for that commit.
const SLICE: u32 = 64;

/// How often a replay looks that waits for room, for the disk, or for its endpoints.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How long to wait when the store could not be read. The log tells of it each time.
const AFTER_FAULT: Duration = Duration::from_secs(10);

/// How long to sleep while no replay runs. A new one rings the bell.
const IDLE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn rate(text: &str) -> Rate {
        text.parse().expect("a rate")
    }

    /// How many are sent in a time, by looks every 10 ms, each of which sends at most `most`.
    fn sent(rate: Rate, time: Duration, most: usize) -> u64 {
        let (began, mut sent) = (clock::steady(), 0);
        let (mut pace, mut now) = (Pace::new(began), began);
        while now < began + time {
            let count = pace.allowed(rate, now).min(most) as u64;
            pace.spend(rate, count, now);
            (sent, now) = (sent + count, now + Duration::from_millis(10));
        }
        sent
    }

    #[test]
    fn a_rate_is_kept_and_begins_without_a_burst() {
        let ten_seconds = Duration::from_secs(10);
        assert_eq!(sent(rate("100/s"), ten_seconds, usize::MAX), 1_000);
        assert_eq!(sent(rate("1000/s"), ten_seconds, usize::MAX), 9_991, "the last look is 10 ms before the end");
        assert_eq!(sent(rate("30/m"), ten_seconds, usize::MAX), 5);
    }

    #[test]
    fn what_was_not_sent_in_a_pause_is_not_made_up_for() {
        let (mut pace, now) = (Pace::new(clock::steady()), clock::steady());
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.allowed(rate("100/s"), later), 10, "a tenth of a second's worth");
        pace.spend(rate("100/s"), 10, later);
        assert_eq!(pace.allowed(rate("100/s"), later), 0);
        assert_eq!(pace.wait(rate("100/s"), later), Duration::from_millis(60));
    }
}

//! How many deliveries a replay would send: counted by reading the log, for one caller of a tenant at a time.

use crate::domain::time::Timestamp;
use crate::store::handle::Store;
use crate::store::message::replay::{Replay, ReplayFilter};
use crate::store::redb::read::recover::replay::Way;
use crate::store::rules::resend::replay::may_begin;
use crate::store::{Denied, Error, Owned};

impl Store {
    /// Whether a tenant may begin one more replay, as far as that shows before the deliveries are counted.
    pub(crate) fn may_begin_replay(&self, owned: &Owned) -> Result<(), Denied> {
        let is_unfinished = |replay: &Replay| replay.owned == *owned && !replay.state.is_final();
        may_begin(self.shared.replays.wanted(is_unfinished).len())
    }

    /// How many deliveries a replay would send that was asked for at `asked_at`. It reads a piece at a time, and stops when the caller
    /// goes away.
    pub(crate) async fn count_replay(
        &self,
        owned: &Owned,
        filter: &ReplayFilter,
        asked_at: Timestamp,
    ) -> Result<Result<u64, Denied>, Error> {
        let Some(tenant) = self.shared.registry().tenant(&owned.provider, &owned.tenant) else { return Ok(Ok(0)) };
        let counts = &self.shared.replays.counts;
        let _turn = match counts.begin(tenant) {
            Ok(turn) => turn,
            Err(denied) => return Ok(Err(denied)),
        };
        let mut way = Way::whole(filter.clone(), tenant, asked_at);
        let mut matched = 0;
        loop {
            let next = way.clone();
            let reading = counts.reading.acquire().await.map_err(|_| Error::Stopping)?;
            let piece = self.aside(move |reader| reader.to_replay(&next, usize::MAX)).await?;
            drop(reading);
            matched += piece.found.len() as u64;
            if piece.is_last {
                return Ok(Ok(matched));
            }
            way.after = piece.up_to;
        }
    }
}

//! The one thread that writes: takes what waits, applies it as one batch, commits once, then tells everyone.
//!
//! A batch that only adds to the hot path is committed to the journal; what needs more goes to the tables at once, and with it all
//! that stands in the journal. While it commits, the next batch gathers. Each batch also loads the due table towards the horizon,
//! and after its commands fires the wheel and does a slice of each background work. Any error of the store ends the process at
//! once: after a failed fsync nobody can know what is on disk, so nothing may be answered and nothing tried again; the next start
//! recovers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use redb::Database;

use super::background::index_flush::slice_rows;
use super::background::relist::has_room;
use super::batch::{After, Batch};
use super::boot::recovery;
use super::journal::checkpoint::Checkpoints;
use super::journal::file::Journal;
use super::journal::job::Job;
use super::journal::memtable::CHECKPOINT_BYTES;
use super::lazy_txn::Txn;
use super::read::views::Views;
use super::schema::COUNTERS;
use super::state::Memory;
use super::tables::Tables;
use crate::domain::time::Timestamp;
use crate::store::Shared;
use crate::store::error::Error;
use crate::store::message::audit::{Origin, shown};
use crate::store::message::command::{Committed, Op};
use crate::store::record;
use crate::store::rules::retention;
use crate::store::shared::dial;
use crate::store::writer::gate::refusal;
use crate::store::writer::inbox::{Inbox, Rest};

/// Who is told what each commit brought.
pub(crate) type OnCommit = Box<dyn FnMut(Committed) + Send>;

/// Where a batch is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Commit {
    Nothing,
    Journal,
    Tables,
}

/// Everything the thread owns.
pub(in crate::store) struct Writer {
    pub(in crate::store) database: Arc<Database>,
    pub(in crate::store) inbox: Arc<Inbox>,
    pub(in crate::store) shared: Arc<Shared>,
    pub(in crate::store) views: Arc<Views>,
    pub(in crate::store) memory: Memory,
    pub(in crate::store) journal: Journal,
    pub(in crate::store) on_commit: OnCommit,
    /// When the last turn began.
    pub(in crate::store) turned_at: Instant,
    /// When what the journal holds is brought into the tables; `None`: nothing waits for that.
    pub(in crate::store) checkpoint_at: Option<Instant>,
    pub(in crate::store) checkpoints: Checkpoints,
    /// What is told after the commit under way. When that fails, nobody is answered: what of it is on disk, nobody knows.
    pub(in crate::store) untold: Option<After>,
}

impl Writer {
    /// Runs until the inbox is closed and empty; an error is the store's end.
    pub(in crate::store) fn run(&mut self) -> Result<(), Error> {
        let mut ops = Vec::new();
        let mut rested = Rest { until: self.shared.clock.steady(), quiet: QUIET };
        loop {
            let until = self.wake_at().min(self.shared.clock.steady() + IDLE);
            let closed = self.inbox.take(&mut ops, until, rested);
            if closed && ops.is_empty() && self.is_finished()? {
                return self.end();
            }
            let (taken, began) = (ops.len(), self.shared.clock.steady());
            self.turn(&mut ops)?;
            rested = rest(taken, began, self.shared.clock.steady());
        }
    }

    /// The next start finds nothing to recover.
    pub(in crate::store) fn end(&self) -> Result<(), Error> {
        recovery::close(&self.database)?;
        self.journal.clear()
    }

    /// One batch, from the inbox to the answers.
    pub(in crate::store) fn turn(&mut self, ops: &mut Vec<Op>) -> Result<(), Error> {
        let database = self.database.clone();
        let txn = Txn::of(&database);
        let operations = ops.len();
        let (after, commit) = self.fill(&txn, ops)?;
        self.untold = Some(after);
        let began = self.shared.clock.steady();
        match commit {
            Commit::Nothing => txn.abort()?,
            Commit::Journal => self.write_journal()?,
            Commit::Tables => {
                txn.commit()?;
                self.written();
            }
        }
        self.shared.commit_count.fetch_add(u64::from(commit != Commit::Nothing), Relaxed);
        if commit != Commit::Nothing {
            self.shared.measure_commit(began, operations);
        }
        if let Some(after) = self.untold.take() {
            self.tell(after);
        }
        self.checkpoint()
    }

    fn write_journal(&mut self) -> Result<(), Error> {
        let mut counters = Vec::new();
        record::write_counters(&[COUNTERS], &self.memory.counters, &mut counters);
        let mut changes = self.memory.memtable.take_current();
        self.journal.write(&mut changes, &counters)?;
        self.memory.memtable.unflushed.push(self.journal.number(), changes);
        self.views.show(&self.memory.memtable.unflushed);
        self.checkpoint_at.get_or_insert(self.shared.clock.steady() + CHECKPOINT_EVERY);
        Ok(())
    }

    /// The tables have all that the journal holds.
    fn written(&mut self) {
        self.views.show(&self.memory.memtable.unflushed);
        self.journal.turn_over();
        self.checkpoint_at = None;
    }

    /// Begins a checkpoint when it is time and none is under way; waits for that one when far too much has gathered meanwhile.
    fn checkpoint(&mut self) -> Result<(), Error> {
        let (memtable, bytes) = (&mut self.memory.memtable, self.journal.half_bytes());
        memtable.thaw(bytes > 2 * JOURNAL_BYTES)?;
        if let Some(live_bytes) = memtable.live_bytes.take() {
            self.memory.counters.live_bytes = live_bytes;
            self.views.show(&memtable.unflushed);
        }
        let late = self.checkpoint_at.is_some_and(|at| at <= self.shared.clock.steady());
        let full = bytes > JOURNAL_BYTES || self.journal.changed_bytes() > CHECKPOINT_BYTES;
        if !memtable.awaits_checkpoint() && (late || full) {
            let index_rows = slice_rows(std::mem::take(&mut self.memory.listed));
            let index = self.memory.flushing.as_mut().and_then(|flushing| flushing.share(index_rows));
            self.checkpoints.begin(Job { index, ..memtable.freeze() });
            self.journal.turn_over();
            self.checkpoint_at = None;
        }
        Ok(())
    }

    /// Whether the tables have all that the journal holds; else they have it now, and meanwhile more may have come.
    pub(in crate::store) fn is_finished(&mut self) -> Result<bool, Error> {
        let memtable = &mut self.memory.memtable;
        memtable.thaw(true)?;
        if memtable.unflushed.is_empty() {
            return Ok(true);
        }
        self.checkpoint_at = Some(self.shared.clock.steady());
        self.checkpoint().map(|()| false)
    }

    /// Everything that one transaction changes, and how to commit it.
    fn fill(&mut self, txn: &Txn<'_>, ops: &mut Vec<Op>) -> Result<(After, Commit), Error> {
        let (now, steady) = (self.look_at_clocks(), self.shared.clock.steady());
        self.turned_at = steady;
        let known_key = self.memory.counters.last_key;
        let mut batch = Batch {
            tables: Tables::of(txn, std::mem::take(&mut self.memory.memtable)),
            memory: &mut self.memory,
            shared: &self.shared,
            now,
            steady,
            known_key,
            after: After::noting(self.shared.followed.is_followed()),
        };
        batch.load()?;
        let is_awaited = !ops.is_empty();
        for op in ops.drain(..) {
            batch.apply(op)?;
        }
        batch.background(is_awaited)?;
        batch.memory.counters.time = Some(batch.memory.time.kept(batch.memory.boot_id));
        let commit = batch.commit_target();
        if commit == Commit::Tables {
            batch.tables.flush()?;
            let counters = &batch.memory.counters;
            batch.tables.forget_ended(counters.attempts_indexed, slice_rows(batch.after.attempted.len()))?;
            self.shared.space.admit(usize::try_from(batch.tables.grown()).unwrap_or(0));
            batch.memory.counters.live_bytes = batch.tables.put_counters(&batch.memory.counters, self.journal.skip())?;
            // Of a checkpoint before this commit.
            batch.tables.memtable.live_bytes = None;
        }
        let Batch { tables, memory, after, .. } = batch;
        memory.memtable = tables.memtable;
        Ok((after, commit))
    }

    /// The service's time of this turn; everyone else reads it from here on.
    fn look_at_clocks(&mut self) -> Timestamp {
        let time = &mut self.memory.time;
        if let Some(news) = time.look(self.shared.clock.reading()) {
            dial::tell(news);
        }
        self.shared.dial.set(time);
        time.now()
    }

    /// Memory first, then those who deliver, then those who follow, then those who wait.
    fn tell(&mut self, after: After) {
        self.memory.listed += after.index.len() + after.attempted.len();
        self.shared.committed(&after, &self.memory);
        if !after.committed.is_empty() {
            (self.on_commit)(after.committed);
        }
        if let Some(changes) = after.changes {
            self.shared.followed.publish(changes);
        }
        after.answers.into_iter().for_each(|answer| answer());
        if after.published {
            self.shared.feeds.ring(&after.index, after.numbered);
        }
        for fact in after.facts {
            // Without a listener there is nobody to tell.
            drop(self.shared.facts.send(fact));
        }
    }

    /// At once while there is background work, else when the next thing is due, whatever is asked before.
    pub(in crate::store) fn wake_at(&self) -> Instant {
        let now = self.shared.clock.steady();
        let memory = &self.memory;
        let busy = memory.schedule.is_behind()
            || memory.schedule.has_expired()
            || !memory.fanouts.is_empty()
            || !memory.jobs.is_empty()
            || memory.order.has_open()
            || !memory.deletions.is_empty()
            || self.may_relist()
            || memory.flushing.as_ref().is_some_and(|flushing| flushing.hurries)
            || memory.sweep.has_more();
        if busy {
            return now;
        }
        let next = memory.schedule.wake_at(self.turned_at).min(memory.sweep.wake_at());
        let checkpoint = if memory.memtable.awaits_checkpoint() { Some(now + LOOK_AFTER) } else { self.checkpoint_at };
        checkpoint.map_or(next, |at| next.min(at))
    }

    /// Whether attempts are to be listed for which there is room. Without room nothing is done, so nothing is to wake for.
    fn may_relist(&self) -> bool {
        let (memory, shared) = (&self.memory, &self.shared);
        let live_bytes = memory.counters.live_bytes;
        let allocated = retention::allocated(live_bytes, shared.space.journal_bytes(), memory.limits.max_bytes);
        memory.counters.unlisted.is_some() && has_room(memory, shared, allocated)
    }
}

/// When the next commit may begin. A commit wakes as many threads for a few operations as for a hundred, so under load the writer
/// rests, and the next batch is larger; one that had little to do goes on at once.
fn rest(taken: usize, began: Instant, ended: Instant) -> Rest {
    let taken = u32::try_from(taken).unwrap_or(u32::MAX).min(FULL_REST);
    let worked = ended.saturating_duration_since(began);
    Rest { until: ended + REST * taken / FULL_REST, quiet: QUIET.max(worked / QUIET_SHARE) }
}

impl Batch<'_, '_> {
    fn apply(&mut self, op: Op) -> Result<(), Error> {
        macro_rules! answered {
            ($to:expr, $result:expr) => {{
                let result = $result;
                self.answer(move || drop($to.send(result)));
            }};
        }
        if let Some(denied) = refusal(&op, self.shared.pressure()) {
            self.answer(move || op.refuse(denied));
            return Ok(());
        }
        match op {
            Op::Finish(finished) => self.finish(*finished)?,
            Op::Accept(publication, to) => answered!(to, self.accept(*publication)?),
            Op::AcceptAll(all, to) => answered!(to, all.into_iter().map(|one| self.accept(one)).collect::<Result<_, _>>()?),
            Op::Refill(endpoint) => self.refill(endpoint)?,
            Op::Recheck(ready) => self.recheck(*ready),
            Op::Webhook(op, by, to) => answered!(to, self.webhook(*op, &by)?),
            Op::Sync(file, by, to) => answered!(to, self.sync(*file, &by)?),
            Op::Retry(key, by, to) => answered!(to, self.retry(key, &by)?),
            Op::Cancel(key, by, to) => answered!(to, self.cancel(key, &by)?),
            Op::Purge(no, purge, by, to) => answered!(to, self.purge(no, purge, &by)?),
            Op::Test(no, publication, to) => answered!(to, self.test(no, *publication)?),
            Op::Recover(no, found, asked, to) => answered!(to, self.recover(no, &found, asked.as_deref())?),
            Op::Replay(op, by, to) => answered!(to, self.replay(op, &by)?),
            Op::ReplayEvent(replay, by, to) => answered!(to, self.replay_event(*replay, &by)?),
            Op::ReplaySlice(slice, to) => answered!(to, Ok(self.replay_slice(&slice)?)),
            Op::OpenConnection(new, to) => answered!(to, self.open_connection(&new)?),
            Op::CloseConnection(owned, id, to) => answered!(to, self.close_connection(&owned, &id)?),
            Op::PutEventType(provider, event_type, by, to) => answered!(to, self.put_event_type(&provider, event_type, &by)?),
            Op::DropEventType(provider, name, by, to) => answered!(to, self.drop_event_type(&provider, &name, &by)?),
            Op::AddKey(new, by, to) => answered!(to, self.add_key(*new, &by)?),
            Op::KeyUses(uses) => self.keep_key_uses(uses)?,
            Op::RevokeKey(id, by, to) => answered!(to, self.revoke_key(&id, &by)?),
            Op::DescribeTenant(new, by, to) => answered!(to, self.describe_tenant(*new, &by)?),
            Op::Limits(limits) => self.memory.limits = limits,
            Op::SetProvider(name, change, by, to) => answered!(to, Ok(self.set_provider(&name, change, &by)?)),
            Op::DeleteTenant(owned, by, to) => answered!(to, self.delete_tenant(owned, &by)?),
            Op::AcceptClock(by, to) => answered!(to, Ok(self.accept_clock(&by)?)),
            Op::History(parts, by, to) => answered!(to, Ok(self.take_history(parts, &by)?)),
            Op::Flush(path, by, to) => answered!(to, Ok(self.flush_for(&path, by.as_deref())?)),
            Op::Follow(to) => self.begin_following(to),
        }
        Ok(())
    }

    /// What is due, and one slice of each work under way; `is_awaited`: whether anybody asked for something in this batch.
    fn background(&mut self, is_awaited: bool) -> Result<(), Error> {
        self.fire()?;
        self.fan()?;
        self.work(is_awaited)?;
        self.erase(is_awaited)?;
        self.disarm_ended();
        self.notify_of_failures()?;
        self.sweep()?;
        self.unindex_attempts()?;
        self.relist(is_awaited)?;
        self.start_flush();
        self.flush()?;
        self.notify_of_pressure()?;
        self.release_in_order()?;
        self.keep_replays()
    }

    /// Decides where this batch is committed. It goes to the tables, with all that the journal holds, when it touched a table or is
    /// too long for the journal.
    fn commit_target(&self) -> Commit {
        let tables = &self.tables;
        match self.after.dirty || tables.are_changed() {
            false => Commit::Nothing,
            true if tables.are_touched() || tables.memtable.is_too_long() => Commit::Tables,
            true => Commit::Journal,
        }
    }

    /// Has this batch committed to the tables, with all that the journal holds.
    fn go_to_tables(&mut self) -> Result<(), Error> {
        self.after.dirty = true;
        self.tables.begin()
    }

    /// Brings all into the tables for a backup that somebody asked for, or that is made by itself.
    fn flush_for(&mut self, path: &Path, by: Option<&Origin>) -> Result<(), Error> {
        if let Some(by) = by {
            self.audit(by, Some(shown::backup(&path.to_string_lossy())))?;
        }
        self.go_to_tables()
    }

    /// From the next turn on.
    fn accept_clock(&mut self, by: &Origin) -> Result<bool, Error> {
        let doubted = self.memory.time.accept();
        self.after.dirty |= doubted;
        self.audit(by, doubted.then(|| shown::clock(self.memory.time.now())))?;
        Ok(doubted)
    }
}

/// A checkpoint begins when one half of the journal's file is longer than this. That counts whole blocks, since small batches
/// take one each. At twice this length the writer waits for the checkpoint that is under way.
const JOURNAL_BYTES: u64 = 5 << 20;

/// The longest that a change stands in the journal before a checkpoint begins. The fsyncs of each checkpoint disturb some three of
/// the events that come meanwhile: at 1,000 events a second, four checkpoints a second disturbed one percent.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// When to see whether a checkpoint under way has ended.
const LOOK_AFTER: Duration = Duration::from_millis(20);

/// The longest rest between two commits, which publishers wait for.
const REST: Duration = Duration::from_millis(4);

/// With nothing new for so long, or for this share of what the last commit took, the rest is over. Under load something comes
/// every 50 us.
const QUIET: Duration = Duration::from_micros(150);
const QUIET_SHARE: u32 = 24;

/// Operations in a batch after which the writer rests in full.
const FULL_REST: u32 = 64;

/// The longest sleep: an idle writer still shows that it lives.
const IDLE: Duration = Duration::from_secs(2);

//! Decides whose operations the next commit takes: tenants take turns, by the bytes of their events.
//!
//! ```text
//!   tenant a ▸ ▸ ▸ ▸ ▸ ▸ ─┐
//!   tenant b ▸            ├─▶ one quantum each, round and round, until the batch is full ──▶ commit
//!   the rest ▸            ┘
//! ```
//!
//! **What is counted.** Each operation waits in the line of the tenant that it is about. An event for all tenants waits in a line
//! of its provider, and an operation about no tenant in the common line. An operation counts the bytes that its events hold. A
//! line is served in the order in which its operations came, so a tenant's request stays behind what the tenant published, and
//! behind nobody else's.
//!
//! **Whose turn it is.** Lines are served by deficit round robin (Shreedhar and Varghese, 1995): at each turn a line may take
//! [`QUANTUM`] more, and keeps what it cannot use until it is empty. A line that is alone takes all there is.
//!
//! **How much at once.** An operation that comes while a batch is under way waits for the whole batch. While one tenant publishes
//! alone nobody else has to, and a batch takes [`BATCH_BYTES`]. From the moment at which a second tenant publishes, and for
//! [`SHARED_FOR`] after that, a batch takes [`SHARED_BATCH_BYTES`], which is a few milliseconds' work.
//!
//! **When it is full.** A line may hold as much as is left of [`WAITING_BYTES`] (dynamic thresholds, Choudhury and Hahne, 1998):
//! half of it when it is alone, a third when another line is at its limit too. So however many flood, something is left for the
//! next. Past that a publisher is asked to come back. A line with nothing waiting finds more room, up to [`SPARE_BYTES`].
//!
//! **Why nothing gets stuck.** Operations here wait only for the writer's next batch, and each batch takes at least one of them:
//! the deficit of a line grows with each round until its first operation fits.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::{Duration, Instant};

use crate::store::message::command::Op;

/// All operations that wait, by line.
pub(in crate::store) struct Turns {
    lines: HashMap<Line, Waiting, BuildHasherDefault<AsItIs>>,
    /// The lines that hold operations, in the order of their turns.
    round: VecDeque<Line>,
    count: usize,
    bytes: usize,
    batch_bytes: usize,
    /// The line that published last, and whether another line has published since the last batch.
    last: Line,
    is_mixed: bool,
    shared_until: Option<Instant>,
    /// Emptied queues, whose memory new lines use again.
    spare: Vec<VecDeque<(Op, usize)>>,
}

/// The line of a tenant: a hash that nobody outside can choose. Two tenants share a line by rare accident, which does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::store) struct Line(pub(in crate::store) u64);

impl Line {
    /// The line of operations about no tenant.
    pub(in crate::store) const COMMON: Self = Self(0);
}

#[derive(Default)]
struct Waiting {
    ops: VecDeque<(Op, usize)>,
    bytes: usize,
    /// How many bytes the line may still take from this and earlier turns.
    deficit: usize,
}

/// Too many bytes wait.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct Crowded;

impl Default for Turns {
    fn default() -> Self {
        Self {
            lines: HashMap::default(),
            round: VecDeque::new(),
            count: 0,
            bytes: 0,
            batch_bytes: BATCH_BYTES,
            last: Line::COMMON,
            is_mixed: false,
            shared_until: None,
            spare: Vec::new(),
        }
    }
}

impl Turns {
    pub(in crate::store) fn len(&self) -> usize {
        self.count
    }

    /// Whether the waiting operations fill a batch.
    pub(in crate::store) fn is_full(&self) -> bool {
        self.bytes >= self.batch_bytes
    }

    /// Adds publications. Fails when too many bytes wait already, whatever their own size.
    pub(in crate::store) fn publish(&mut self, line: Line, op: Op, bytes: usize) -> Result<(), Crowded> {
        let own = self.lines.get(&line).map_or(0, |waiting| waiting.bytes);
        let most = if own == 0 { WAITING_BYTES + SPARE_BYTES } else { WAITING_BYTES };
        if own >= most.saturating_sub(self.bytes) {
            return Err(Crowded);
        }
        self.is_mixed |= line != self.last && self.last != Line::COMMON;
        self.last = line;
        self.push(line, op, bytes);
        Ok(())
    }

    /// Adds any other operation.
    pub(in crate::store) fn push(&mut self, line: Line, op: Op, bytes: usize) {
        let waiting = self.lines.entry(line).or_insert_with(|| {
            self.round.push_back(line);
            Waiting { ops: self.spare.pop().unwrap_or_default(), ..Waiting::default() }
        });
        waiting.ops.push_back((op, bytes));
        waiting.bytes += bytes;
        self.bytes += bytes;
        self.count += 1;
    }

    /// Takes as many operations as make a batch.
    pub(in crate::store) fn take(&mut self, into: &mut Vec<Op>, now: Instant) {
        self.batch_bytes = self.next_batch_bytes(now);
        let mut left = self.batch_bytes;
        while left > 0
            && let Some(line) = self.round.pop_front()
        {
            left = left.saturating_sub(self.take_turn(line, left, into));
        }
    }

    fn next_batch_bytes(&mut self, now: Instant) -> usize {
        if std::mem::take(&mut self.is_mixed) {
            self.shared_until = Some(now + SHARED_FOR);
        }
        if self.shared_until.is_some_and(|until| now < until) { SHARED_BATCH_BYTES } else { BATCH_BYTES }
    }

    /// Takes operations of one line at its turn, until they have `left` bytes or more. Returns their bytes.
    fn take_turn(&mut self, line: Line, left: usize, into: &mut Vec<Op>) -> usize {
        let is_alone = self.round.is_empty();
        let Some(waiting) = self.lines.get_mut(&line) else { return 0 };
        waiting.deficit = if is_alone { usize::MAX } else { waiting.deficit.saturating_add(QUANTUM) };
        let mut taken = 0;
        while taken < left
            && let Some((op, bytes)) = waiting.ops.pop_front_if(|(_, bytes)| *bytes <= waiting.deficit)
        {
            into.push(op);
            (taken, waiting.deficit) = (taken + bytes, waiting.deficit - bytes);
            self.count -= 1;
        }
        (waiting.bytes, self.bytes) = (waiting.bytes - taken, self.bytes - taken);
        // A line may save up no more than its next operation needs.
        let next = waiting.ops.front().map_or(0, |(_, bytes)| *bytes);
        waiting.deficit = if is_alone { 0 } else { waiting.deficit.min(next.max(QUANTUM)) };
        if !waiting.ops.is_empty() {
            self.round.push_back(line);
        } else if let Some(emptied) = self.lines.remove(&line)
            && self.spare.len() < SPARE_LINES
        {
            self.spare.push(emptied.ops);
        }
        taken
    }
}

/// A hasher for lines, whose number is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The bytes of events that one commit takes; the last publication may pass it. Its publishers send on while the next commit is
/// made. A commit of this size is too long for the journal and goes to the tables at once, by one transaction. With half the size
/// both would be written; with twice the size publishers and deliveries would wait longer than they have work.
const BATCH_BYTES: usize = 2 << 20;

/// The bytes of events that one commit takes while several tenants publish: some 200 small events.
const SHARED_BATCH_BYTES: usize = 64 << 10;

/// How long a second publisher is remembered, so that a tenant that publishes rarely waits no longer than one that publishes
/// often.
const SHARED_FOR: Duration = Duration::from_secs(60);

/// The bytes that a line may take at its turn while others wait. A few turns make a batch, and most events fit into one turn.
const QUANTUM: usize = 8 << 10;

/// The bytes of events that may wait for the disk. One line alone may have half of them.
const WAITING_BYTES: usize = 64 << 20;

/// The bytes beyond that for lines that have nothing waiting.
const SPARE_BYTES: usize = 8 << 20;

/// How many emptied queues are kept for their memory.
const SPARE_LINES: usize = 16;

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::clock;
    use crate::store::Origin;

    const A: Line = Line(1);
    const B: Line = Line(2);
    const C: Line = Line(3);

    /// An operation that can be told from others by its name.
    fn op(name: &str) -> Op {
        Op::RevokeKey(name.into(), Origin::test().into(), oneshot::channel().0)
    }

    fn publish(turns: &mut Turns, line: Line, name: &str, bytes: usize) {
        turns.publish(line, op(name), bytes).expect("there is room");
    }

    /// The names of the operations that the next batch takes.
    fn taken(turns: &mut Turns) -> String {
        let mut ops = Vec::new();
        turns.take(&mut ops, clock::steady());
        let names = ops.iter().map(|op| match op {
            Op::RevokeKey(name, ..) => &**name,
            _ => "?",
        });
        names.collect()
    }

    #[test]
    fn a_tenant_alone_fills_a_batch_in_order() {
        let mut turns = Turns::default();
        for (name, bytes) in [("a", BATCH_BYTES / 2), ("b", BATCH_BYTES / 2), ("c", 1), ("d", 5 * BATCH_BYTES), ("e", 1)] {
            publish(&mut turns, A, name, bytes);
        }
        turns.push(A, op("r"), 0);
        assert_eq!(turns.len(), 6);
        assert_eq!([taken(&mut turns), taken(&mut turns), taken(&mut turns)], ["ab", "cd", "er"]);
        assert_eq!((turns.len(), turns.bytes, turns.lines.len()), (0, 0, 0));
    }

    #[test]
    fn a_flood_holds_up_no_other() {
        let mut turns = Turns::default();
        for _ in 0..1_000 {
            publish(&mut turns, A, "a", 4 << 10);
        }
        publish(&mut turns, B, "b", 100);
        turns.push(C, op("c"), 0);
        let first = taken(&mut turns);
        assert!(first.contains('b') && first.contains('c'), "{first}");
        assert!(first.len() <= 2 + SHARED_BATCH_BYTES / (4 << 10), "what comes next waits for a small batch: {}", first.len());
        assert!(taken(&mut turns).len() <= 1 + SHARED_BATCH_BYTES / (4 << 10), "and so does what comes later");
    }

    #[test]
    fn two_floods_get_the_same_bytes_whatever_their_pieces() {
        let mut turns = Turns::default();
        for _ in 0..400 {
            publish(&mut turns, A, "a", 1 << 10);
            publish(&mut turns, B, "b", 32 << 10);
        }
        let all: String = (0..10).map(|_| taken(&mut turns)).collect();
        let (a, b) = (all.matches('a').count(), all.matches('b').count() * 32);
        assert!(a.abs_diff(b) <= 64, "{a} KiB and {b} KiB");
    }

    #[test]
    fn a_request_stays_behind_its_own_tenants_publications_alone() {
        let mut turns = Turns::default();
        for _ in 0..1_000 {
            publish(&mut turns, A, "a", 4 << 10);
        }
        turns.push(A, op("x"), 0);
        turns.push(B, op("y"), 0);
        publish(&mut turns, A, "z", 1);
        assert!(taken(&mut turns).contains('y'));
        let rest: String = (0..100).map(|_| taken(&mut turns)).collect();
        assert!(rest.ends_with("axz"), "{rest}");
    }

    #[test]
    fn a_flood_leaves_room_for_others() {
        let mut turns = Turns::default();
        let half = WAITING_BYTES / 2;
        publish(&mut turns, A, "a", half - 1);
        publish(&mut turns, A, "b", half / 2);
        assert_eq!(turns.publish(A, op("c"), 1), Err(Crowded));
        publish(&mut turns, B, "d", half / 8);
        publish(&mut turns, B, "e", half / 2);
        assert_eq!(turns.publish(B, op("f"), 1), Err(Crowded));
        publish(&mut turns, C, "g", SPARE_BYTES);
        assert_eq!(turns.publish(Line(4), op("h"), 1), Err(Crowded));
        assert_eq!(taken(&mut turns).len(), 1);
    }

    #[test]
    fn the_largest_event_gets_its_turn_beside_small_ones() {
        let mut turns = Turns::default();
        publish(&mut turns, A, "A", 4 << 20);
        for _ in 0..2_000 {
            publish(&mut turns, B, "b", 4 << 10);
        }
        let all: String = (0..1_000).map(|_| taken(&mut turns)).collect();
        let before = all.find('A').expect("it was taken");
        assert!((900..1_200).contains(&before), "after as many bytes of the other: {before}");
    }

    #[test]
    fn after_a_while_alone_batches_are_large_again() {
        let mut turns = Turns::default();
        publish(&mut turns, A, "a", 1);
        publish(&mut turns, B, "b", 1);
        let now = clock::steady();
        for (after, bytes) in [(0, SHARED_BATCH_BYTES), (59, SHARED_BATCH_BYTES), (60, BATCH_BYTES)] {
            turns.take(&mut Vec::new(), now + Duration::from_secs(after));
            assert_eq!(turns.batch_bytes, bytes, "after {after} s");
            publish(&mut turns, B, "b", 1);
        }
    }
}

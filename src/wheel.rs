//! A hierarchical timing wheel: what is due at a tick, for the price of a few array accesses (Varghese and Lauck 1987, scheme 7).
//!
//! Plain data: it reads no clock, holds no task and knows nothing of what it carries. The caller names the tick, which is a
//! millisecond here, and sleeps until [`Wheel::next_deadline`].
//!
//! ```text
//!  level 4   |··|··|··|#·|      64 slots of 2^24 ticks   an entry stands on the level of the highest six bits in which its
//!  level 3   |··|#·|··|··|      64 slots of 2^18         deadline differs from now; when now enters its slot it is placed
//!  level 2   |··|··|··|··|      64 slots of 2^12         anew, some levels down, and on level 0 it fires
//!  level 1   |··|··|##|··|      64 slots of 64
//!  level 0   |#·|··|·#|··|      64 slots of 1 tick
//! ```
//!
//! All entries of a level lie before all entries of the next one, so the earliest is in the first occupied slot of the lowest
//! occupied level. An entry's slot follows from its deadline and from now alone, and stays the same until now enters it.

/// Entries by deadline, at most 2^32 - 1. The owner keeps their number down with [`Wheel::truncate`].
///
/// An entry costs 16 bytes of memory besides itself. That memory is kept until the wheel is empty.
pub(crate) struct Wheel<T> {
    now: u64,
    slots: [[u32; SLOTS]; LEVELS],
    occupied: [u64; LEVELS],
    slab: Slab<T>,
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel whose time is `now_tick`.
    pub(crate) fn new(now_tick: u64) -> Self {
        Self { now: now_tick, slots: [[NONE; SLOTS]; LEVELS], occupied: [0; LEVELS], slab: Slab::new() }
    }

    /// Adds an entry. Returns false, and adds nothing, when the deadline lies beyond [`Wheel::horizon`] or the wheel is full.
    ///
    /// A deadline in the past fires at the next advance, before every entry that is due later than now.
    pub(crate) fn insert(&mut self, deadline_tick: u64, entry: T) -> bool {
        if deadline_tick > self.horizon() {
            return false;
        }
        let Some(node) = self.slab.take(deadline_tick, entry) else { return false };
        self.link(node);
        true
    }

    /// Moves the wheel's time to `now_tick` and fires every entry that is due by then: in the order of deadlines, and of
    /// insertion within a tick.
    ///
    /// A `now_tick` in the past counts as the wheel's present time.
    pub(crate) fn advance(&mut self, now_tick: u64, mut fire: impl FnMut(u64, T)) {
        let target = now_tick.max(self.now);
        while let Some((place, start)) = self.next_slot().filter(|(_, start)| *start <= target) {
            self.now = start;
            self.empty(place, &mut fire);
        }
        self.now = target;
        self.slab.shrink_when_empty();
    }

    /// The tick until which the caller may sleep. It is never later than the earliest deadline; it is earlier when that entry
    /// stands on a higher level and must first be placed anew. `None` when the wheel is empty.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.next_slot().map(|(_, start)| start)
    }

    /// The last tick that a deadline may have now. It is at least 63 x 2^24 ticks away, which is 12 days.
    pub(crate) fn horizon(&self) -> u64 {
        let last_slot = (self.now >> shift(LEVELS - 1)).saturating_add(SLOTS as u64 - 1);
        let start = last_slot.min(u64::MAX >> shift(LEVELS - 1)) << shift(LEVELS - 1);
        start | ((1 << shift(LEVELS - 1)) - 1)
    }

    /// The number of entries that wait.
    pub(crate) fn len(&self) -> usize {
        self.slab.live
    }

    /// Removes every entry whose deadline is later than `after_tick`, and passes each to `dropped`. The owner keeps such entries
    /// elsewhere too and inserts them again in time.
    pub(crate) fn truncate(&mut self, after_tick: u64, mut dropped: impl FnMut(T)) {
        for node in 0..self.slab.end() {
            if self.slab.deadline(node).is_some_and(|deadline| deadline > after_tick) {
                dropped(self.remove(node));
            }
        }
        self.slab.shrink_when_empty();
    }

    /// Removes every entry for which `is_over` is true. It looks at every entry, so its cost grows with the wheel.
    pub(crate) fn drop_where(&mut self, is_over: impl Fn(&T) -> bool) {
        for node in 0..self.slab.end() {
            if self.slab.deadline(node).is_some() && is_over(&self.slab.nodes[node as usize].entry) {
                self.remove(node);
            }
        }
        self.slab.shrink_when_empty();
    }

    /// The occupied slot that begins first, and the tick at which it begins.
    fn next_slot(&self) -> Option<(Place, u64)> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        let current = self.now >> shift(level);
        let ahead = self.occupied[level].rotate_right(slot_of(current)).trailing_zeros();
        let start = current + u64::from(ahead);
        Some((Place { level, slot: slot_of(start) as usize }, start << shift(level)))
    }

    /// The slot in which an entry with this deadline stands. A deadline in the past counts as now.
    fn place(&self, deadline: u64) -> Place {
        let deadline = deadline.max(self.now);
        let highest_bit = ((deadline ^ self.now) | 1).ilog2();
        let level = ((highest_bit / SLOT_BITS) as usize).min(LEVELS - 1);
        Place { level, slot: slot_of(deadline >> shift(level)) as usize }
    }

    fn link(&mut self, node: u32) {
        let place = self.place(self.slab.nodes[node as usize].deadline);
        let first = &mut self.slots[place.level][place.slot];
        *first = self.slab.append(*first, node);
        self.occupied[place.level] |= 1 << place.slot;
    }

    fn remove(&mut self, node: u32) -> T {
        let place = self.place(self.slab.nodes[node as usize].deadline);
        let first = &mut self.slots[place.level][place.slot];
        *first = self.slab.unlink(*first, node);
        if *first == NONE {
            self.occupied[place.level] &= !(1 << place.slot);
        }
        self.slab.release(node)
    }

    /// Empties a slot that begins now: on level 0 its entries fire, on higher levels they are placed anew.
    fn empty(&mut self, place: Place, fire: &mut impl FnMut(u64, T)) {
        let first = std::mem::replace(&mut self.slots[place.level][place.slot], NONE);
        self.occupied[place.level] &= !(1 << place.slot);
        let mut node = first;
        loop {
            let Node { next, .. } = self.slab.nodes[node as usize];
            if place.level == 0 {
                fire(self.slab.nodes[node as usize].deadline, self.slab.release(node));
            } else {
                self.link(node);
            }
            if next == first {
                return;
            }
            node = next;
        }
    }
}

#[derive(Clone, Copy)]
struct Place {
    level: usize,
    slot: usize,
}

/// The memory of all entries. Each node is linked into the ring of its slot, or into the list of free nodes.
struct Slab<T> {
    nodes: Vec<Node<T>>,
    free: u32,
    live: usize,
}

#[derive(Clone, Copy)]
struct Node<T> {
    deadline: u64,
    /// The node before this one in the ring; the last node where this is the first; `NONE` in a free node.
    prev: u32,
    next: u32,
    entry: T,
}

impl<T: Copy> Slab<T> {
    const fn new() -> Self {
        Self { nodes: Vec::new(), free: NONE, live: 0 }
    }

    fn take(&mut self, deadline: u64, entry: T) -> Option<u32> {
        let node = if self.free == NONE { self.end() } else { self.free };
        let made = Node { deadline, prev: node, next: node, entry };
        match self.nodes.get_mut(node as usize) {
            Some(freed) => self.free = std::mem::replace(freed, made).next,
            None if node == NONE => return None,
            None => self.nodes.push(made),
        }
        self.live += 1;
        Some(node)
    }

    fn release(&mut self, node: u32) -> T {
        let freed = &mut self.nodes[node as usize];
        freed.prev = NONE;
        freed.next = std::mem::replace(&mut self.free, node);
        self.live -= 1;
        freed.entry
    }

    /// Appends a node to the ring that begins with `first`, and returns the ring's first node.
    fn append(&mut self, first: u32, node: u32) -> u32 {
        let first = if first == NONE { node } else { first };
        let last = if first == node { node } else { self.nodes[first as usize].prev };
        self.join(last, node);
        self.join(node, first);
        first
    }

    /// Takes a node out of its ring, and returns the ring's first node, or `NONE` when the ring is empty.
    fn unlink(&mut self, first: u32, node: u32) -> u32 {
        let Node { prev, next, .. } = self.nodes[node as usize];
        if next == node {
            return NONE;
        }
        self.join(prev, next);
        if first == node { next } else { first }
    }

    fn join(&mut self, left: u32, right: u32) {
        self.nodes[left as usize].next = right;
        self.nodes[right as usize].prev = left;
    }

    /// The deadline of a node; `None` for a free node.
    fn deadline(&self, node: u32) -> Option<u64> {
        let node = &self.nodes[node as usize];
        (node.prev != NONE).then_some(node.deadline)
    }

    /// The index after the last node; `NONE` when the slab is full.
    fn end(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(NONE)
    }

    fn shrink_when_empty(&mut self) {
        if self.live == 0 && self.nodes.capacity() > KEPT_NODES {
            self.nodes = Vec::new();
            self.free = NONE;
        }
    }
}

/// The width of a slot on a level, as a power of two: the slot is `1 << shift(level)` ticks wide.
#[expect(clippy::cast_possible_truncation, reason = "there are five levels")]
const fn shift(level: usize) -> u32 {
    SLOT_BITS * level as u32
}

/// The slot of a time that is given in slot widths since tick 0: its low six bits.
#[expect(clippy::cast_possible_truncation, reason = "the low six bits are what is meant")]
const fn slot_of(width: u64) -> u32 {
    width as u32 & (SLOTS as u32 - 1)
}

/// The absence of a node. It ends the list of free nodes and marks an empty slot.
const NONE: u32 = u32::MAX;

/// The number of slots a level as a power of two: 64, so that one `u64` says which slots are occupied.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;

/// Five levels of 64 slots, at a millisecond a tick, reach twelve days: farther than any retry of a built-in dialect. The slots
/// take 1.3 KiB.
const LEVELS: usize = 5;

/// The most nodes whose memory an empty wheel keeps, so that a quiet service does not allocate for every retry.
const KEPT_NODES: usize = 1024;

#[cfg(test)]
mod tests;

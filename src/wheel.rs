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

/// Entries by deadline. It has no bound of its own but 2^32 - 1 entries; the owner holds it down with [`Wheel::truncate`].
///
/// Memory: 16 bytes an entry besides the entry itself, kept until the wheel is empty.
pub(crate) struct Wheel<T> {
    now: u64,
    slots: [[u32; SLOTS]; LEVELS],
    occupied: [u64; LEVELS],
    slab: Slab<T>,
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel at a tick.
    pub(crate) fn new(now_tick: u64) -> Self {
        Self { now: now_tick, slots: [[NONE; SLOTS]; LEVELS], occupied: [0; LEVELS], slab: Slab::new() }
    }

    /// Takes an entry; false, and nothing taken, when its deadline lies beyond [`Wheel::horizon`].
    ///
    /// A deadline in the past fires at the next advance, before what is due later than now.
    pub(crate) fn insert(&mut self, deadline_tick: u64, entry: T) -> bool {
        if deadline_tick > self.horizon() {
            return false;
        }
        let Some(node) = self.slab.take(deadline_tick, entry) else { return false };
        self.link(node);
        true
    }

    /// Moves to a tick and fires all that is due then: by deadline, and in the order of insertion within a tick.
    ///
    /// A tick before the last one counts as the last one.
    pub(crate) fn advance(&mut self, now_tick: u64, mut fire: impl FnMut(u64, T)) {
        let target = now_tick.max(self.now);
        while let Some((place, start)) = self.next_slot().filter(|(_, start)| *start <= target) {
            self.now = start;
            self.empty(place, &mut fire);
        }
        self.now = target;
        self.slab.shrink_when_empty();
    }

    /// A tick to sleep until: never later than the earliest deadline, earlier only when that is more than a slot of the lowest
    /// level away and must be placed anew on the way. `None` when there is nothing to wait for.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.next_slot().map(|(_, start)| start)
    }

    /// The last tick for which an entry is taken now: at least 63 x 2^24 ticks away, which is 12 days.
    pub(crate) fn horizon(&self) -> u64 {
        let last_slot = (self.now >> shift(LEVELS - 1)).saturating_add(SLOTS as u64 - 1);
        let start = last_slot.min(u64::MAX >> shift(LEVELS - 1)) << shift(LEVELS - 1);
        start | ((1 << shift(LEVELS - 1)) - 1)
    }

    /// How many entries wait.
    pub(crate) fn len(&self) -> usize {
        self.slab.live
    }

    /// Drops every entry later than a tick and names each: their owner finds them elsewhere when their time comes.
    pub(crate) fn truncate(&mut self, after_tick: u64, mut dropped: impl FnMut(T)) {
        for node in 0..self.slab.end() {
            if self.slab.deadline(node).is_some_and(|deadline| deadline > after_tick) {
                dropped(self.remove(node));
            }
        }
        self.slab.shrink_when_empty();
    }

    /// Drops every entry for which `is_over` says so. Looks at all of them.
    pub(crate) fn drop_where(&mut self, is_over: impl Fn(&T) -> bool) {
        for node in 0..self.slab.end() {
            if self.slab.deadline(node).is_some() && is_over(&self.slab.nodes[node as usize].entry) {
                self.remove(node);
            }
        }
        self.slab.shrink_when_empty();
    }

    /// The first occupied slot and the tick at which it begins.
    fn next_slot(&self) -> Option<(Place, u64)> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        let current = self.now >> shift(level);
        let ahead = self.occupied[level].rotate_right(slot_of(current)).trailing_zeros();
        let start = current + u64::from(ahead);
        Some((Place { level, slot: slot_of(start) as usize }, start << shift(level)))
    }

    /// Where an entry with this deadline stands now. A deadline in the past stands at now.
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

    /// Fires the entries of a slot of level 0, and places those of a higher one anew. Now is where the slot begins.
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

/// The entries, each a link of its slot's ring or of the list of free nodes.
struct Slab<T> {
    nodes: Vec<Node<T>>,
    free: u32,
    live: usize,
}

#[derive(Clone, Copy)]
struct Node<T> {
    deadline: u64,
    /// The ring's last when this is its first; `NONE` in a free node.
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

    /// Puts a node at the end of a ring; gives the ring's first.
    fn append(&mut self, first: u32, node: u32) -> u32 {
        let first = if first == NONE { node } else { first };
        let last = if first == node { node } else { self.nodes[first as usize].prev };
        self.join(last, node);
        self.join(node, first);
        first
    }

    /// Takes a node out of its ring; gives the ring's first, or `NONE` when none is left.
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

    /// The deadline of a node in use.
    fn deadline(&self, node: u32) -> Option<u64> {
        let node = &self.nodes[node as usize];
        (node.prev != NONE).then_some(node.deadline)
    }

    /// One past the last node; `NONE` when the slab is full.
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

/// The width of one slot of a level, as a shift.
#[expect(clippy::cast_possible_truncation, reason = "there are five levels")]
const fn shift(level: usize) -> u32 {
    SLOT_BITS * level as u32
}

/// The slot in which the number of a slot width, counted from tick 0, falls.
#[expect(clippy::cast_possible_truncation, reason = "the low six bits are what is meant")]
const fn slot_of(width: u64) -> u32 {
    width as u32 & (SLOTS as u32 - 1)
}

/// No node: the end of the list of free ones, and an empty slot.
const NONE: u32 = u32::MAX;

/// 64 slots a level, so that one word says which are occupied.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;

/// Five levels of milliseconds reach twelve days: farther than any retry of a built-in dialect, for 1.3 KiB.
const LEVELS: usize = 5;

/// Room that an empty wheel keeps, in entries, so that a quiet service does not allocate for every retry.
const KEPT_NODES: usize = 1024;

#[cfg(test)]
mod tests;

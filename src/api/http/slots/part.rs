//! Connections that are counted together: how many each group has, and which of them gives way.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use tokio::sync::Notify;

use super::{CANDIDATES, Group};

/// One connection. Its requests touch atomics only, so that no request takes the lock.
pub(in crate::api) struct Member {
    id: u64,
    pub(in crate::api) from: Group,
    /// The group that it counts for as a known connection; empty while it is a stranger.
    party: std::sync::OnceLock<Group>,
    pub(in crate::api) known: AtomicBool,
    /// When its last request ended, or else when it came, in microseconds since the listener began.
    pub(in crate::api) since: AtomicU64,
    /// How many of its requests are under way.
    pub(in crate::api) at_work: AtomicU32,
    pub(in crate::api) must_leave: AtomicBool,
    pub(in crate::api) bell: Notify,
}

impl Member {
    pub(in crate::api) fn new(id: u64, from: Group, since: u64) -> Self {
        let (at_work, known, must_leave) = Default::default();
        Self {
            id,
            from,
            party: Default::default(),
            known,
            since: AtomicU64::new(since),
            at_work,
            must_leave,
            bell: Notify::new(),
        }
    }

    pub(in crate::api) fn become_known(&self, party: Group) {
        self.party.get_or_init(|| party);
        self.known.store(true, Relaxed);
    }

    fn group(&self) -> Group {
        self.party.get().copied().unwrap_or(self.from)
    }

    fn since(&self) -> u64 {
        self.since.load(Relaxed)
    }

    /// Whether the connection may be told to leave: it is idle, or a stranger, whose requests are not worth waiting for.
    fn may_go(&self) -> bool {
        self.at_work.load(Relaxed) == 0 || !self.known.load(Relaxed)
    }
}

/// The strangers of a listener, or its known connections.
pub(in crate::api) struct Part {
    members: HashMap<u64, Arc<Member>>,
    counts: HashMap<Group, usize>,
    /// How many connections a group may have before it is the first to give way.
    share: usize,
    /// How many connections were told to leave and are not gone yet.
    leaving: usize,
    /// The connections that give way next, as the last walk found them, each with the time since which it was idle then.
    next: VecDeque<(u64, Arc<Member>)>,
}

impl Part {
    pub(in crate::api) fn new(share: usize) -> Self {
        Self { members: HashMap::new(), counts: HashMap::new(), share, leaving: 0, next: VecDeque::new() }
    }

    /// How many connections there are, without those that were told to leave.
    pub(in crate::api) fn len(&self) -> usize {
        self.members.len()
    }

    pub(in crate::api) fn leaving(&self) -> usize {
        self.leaving
    }

    pub(in crate::api) fn holds(&self, member: &Member) -> bool {
        self.members.contains_key(&member.id)
    }

    /// Whether a group has its share or more.
    pub(in crate::api) fn is_filled(&self, group: Group) -> bool {
        self.counts.get(&group).is_some_and(|count| *count >= self.share)
    }

    pub(in crate::api) fn add(&mut self, member: Arc<Member>) {
        *self.counts.entry(member.group()).or_default() += 1;
        self.members.insert(member.id, member);
    }

    pub(in crate::api) fn take_out(&mut self, member: &Member) -> bool {
        let was_here = self.members.remove(&member.id).is_some();
        if was_here && let Some(count) = self.counts.get_mut(&member.group()) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&member.group());
            }
        }
        was_here
    }

    /// Tells a connection to leave.
    pub(in crate::api) fn dismiss(&mut self, member: &Member) {
        if self.take_out(member) {
            self.leaving += 1;
            member.must_leave.store(true, Relaxed);
            member.bell.notify_waiters();
        }
    }

    /// Takes note that a connection is gone.
    pub(in crate::api) fn depart(&mut self, member: &Member) {
        if !self.take_out(member) {
            self.leaving -= 1;
        }
    }

    /// The connection that has been idle for longest: first among groups that have their share, and then, unless `only_filled`,
    /// among all.
    pub(in crate::api) fn oldest(&mut self, only_filled: bool) -> Option<Arc<Member>> {
        self.next_in_line(only_filled).or_else(|| {
            self.line_up();
            self.next_in_line(only_filled)
        })
    }

    /// The connection that has been at work for longest, among groups that have their share.
    pub(in crate::api) fn longest_at_work(&self) -> Option<Arc<Member>> {
        let filled = self.members.values().filter(|member| self.is_filled(member.group()));
        filled.min_by_key(|member| member.since()).cloned()
    }

    fn next_in_line(&mut self, only_filled: bool) -> Option<Arc<Member>> {
        while let Some((since, member)) = self.next.pop_front() {
            let is_as_it_was = member.since() == since && member.may_go() && self.holds(&member);
            if is_as_it_was && (!only_filled || self.is_filled(member.group())) {
                return Some(member);
            }
        }
        None
    }

    /// Walks over all connections once, and lines up those that give way first.
    fn line_up(&mut self) {
        let free = self.members.values().filter(|member| member.may_go());
        let mut line: Vec<_> =
            free.map(|member| ((!self.is_filled(member.group()), member.since(), member.id), member)).collect();
        if line.len() > CANDIDATES {
            line.select_nth_unstable_by_key(CANDIDATES, |(order, _)| *order);
            line.truncate(CANDIDATES);
        }
        line.sort_unstable_by_key(|(order, _)| *order);
        self.next = line.into_iter().map(|((_, since, _), member)| (since, member.clone())).collect();
    }
}

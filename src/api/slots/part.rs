//! Connections that count together, how many each group holds, and which of them gives way.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use tokio::sync::Notify;

use super::{CANDIDATES, Group};

/// One connection. What its requests touch is atomic, so that none of them takes the lock.
pub(super) struct Member {
    id: u64,
    pub(super) from: Group,
    /// Whom it counts for once it is known, and that it is.
    party: std::sync::OnceLock<Group>,
    pub(super) known: AtomicBool,
    /// Microseconds at which its last request ended, or at which it came.
    pub(super) since: AtomicU64,
    /// Requests under way.
    pub(super) at_work: AtomicU32,
    pub(super) told: AtomicBool,
    pub(super) bell: Notify,
}

impl Member {
    pub(super) fn new(id: u64, from: Group, since: u64) -> Self {
        let (at_work, known, told) = Default::default();
        Self { id, from, party: Default::default(), known, since: AtomicU64::new(since), at_work, told, bell: Notify::new() }
    }

    pub(super) fn become_known(&self, party: Group) {
        self.party.get_or_init(|| party);
        self.known.store(true, Relaxed);
    }

    fn group(&self) -> Group {
        self.party.get().copied().unwrap_or(self.from)
    }

    fn since(&self) -> u64 {
        self.since.load(Relaxed)
    }

    /// A stranger's requests are answered at once, or not worth waiting for.
    fn may_go(&self) -> bool {
        self.at_work.load(Relaxed) == 0 || !self.known.load(Relaxed)
    }
}

/// Strangers, or those who are known.
pub(super) struct Part {
    members: HashMap<u64, Arc<Member>>,
    counts: HashMap<Group, usize>,
    /// Of one group, before it is the first to give way.
    share: usize,
    /// Told to leave and not gone yet.
    leaving: usize,
    /// Who gives way next, as the last walk found it, and since when they were idle then.
    next: VecDeque<(u64, Arc<Member>)>,
}

impl Part {
    pub(super) fn new(share: usize) -> Self {
        Self { members: HashMap::new(), counts: HashMap::new(), share, leaving: 0, next: VecDeque::new() }
    }

    /// Those who are not leaving.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn leaving(&self) -> usize {
        self.leaving
    }

    pub(super) fn holds(&self, member: &Member) -> bool {
        self.members.contains_key(&member.id)
    }

    /// Whether a group has its share, or more.
    pub(super) fn is_filled(&self, group: Group) -> bool {
        self.counts.get(&group).is_some_and(|count| *count >= self.share)
    }

    pub(super) fn add(&mut self, member: Arc<Member>) {
        *self.counts.entry(member.group()).or_default() += 1;
        self.members.insert(member.id, member);
    }

    pub(super) fn take_out(&mut self, member: &Member) -> bool {
        let was_here = self.members.remove(&member.id).is_some();
        if was_here && let Some(count) = self.counts.get_mut(&member.group()) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&member.group());
            }
        }
        was_here
    }

    /// Tells one to leave.
    pub(super) fn dismiss(&mut self, member: &Member) {
        if self.take_out(member) {
            self.leaving += 1;
            member.told.store(true, Relaxed);
            member.bell.notify_waiters();
        }
    }

    /// One is gone.
    pub(super) fn depart(&mut self, member: &Member) {
        if !self.take_out(member) {
            self.leaving -= 1;
        }
    }

    /// Who has been idle for longest, first of groups that have their share and then, unless `only_filled`, of all.
    pub(super) fn oldest(&mut self, only_filled: bool) -> Option<Arc<Member>> {
        self.next_in_line(only_filled).or_else(|| {
            self.line_up();
            self.next_in_line(only_filled)
        })
    }

    /// Of groups that have their share, who is at work for longest.
    pub(super) fn longest_at_work(&self) -> Option<Arc<Member>> {
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

    /// Walks over all members once and keeps those who go first.
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

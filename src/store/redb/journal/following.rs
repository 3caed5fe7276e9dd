//! Which changes of a journal go on from the tables, and what is wrong with the rest: decided without touching either.
//!
//! What the run that the tables name wrote, behind the number that they hold, goes on from them. A number that is missing between
//! two others was a commit to the tables or one to the journal, and every entry says which: it names the last commit to the tables
//! before it. Where the tables have that one, the missing ones were journaled and are damaged; only they are lost. Where the tables
//! do not have it, they are older than the journal, as a restored backup is, and nothing of it goes on from there.

use super::entry::{Changes, Head, Upon};
use super::file::{Bytes, Contents};
use super::item::Table;
use crate::store::message::finding::Kind;
use crate::store::record::{self, Follows};
use crate::store::redb::schema::COUNTERS;

/// What the tables say of the journal: up to which commit they hold it, and which run of the service writes it.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Watermark {
    /// The number by which they know their journal.
    pub(in crate::store) store: u64,
    /// Of the last commit that they hold.
    pub(in crate::store) number: u64,
    /// Events that they hold.
    pub(in crate::store) events: u64,
    /// `None` in a store before version 4.
    pub(in crate::store) follows: Option<Follows>,
}

/// What is to be made of a journal.
#[derive(Default)]
pub(in crate::store) struct Following {
    /// What goes on from the tables, in order.
    pub(in crate::store) changes: Vec<Changes>,
    /// The number of the last commit then.
    pub(in crate::store) number: u64,
    /// Whether the run that the tables name has written anything that is there.
    pub(in crate::store) shows_run: bool,
    /// What is wrong.
    pub(in crate::store) wrong: Vec<Wrong>,
}

/// Something that is wrong with a journal. Whatever it is, the file is put aside as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Wrong {
    pub(in crate::store) kind: Kind,
    pub(in crate::store) batches: u64,
    pub(in crate::store) events: u64,
}

impl Wrong {
    fn of(kind: Kind) -> Self {
        Self { kind, batches: 0, events: 0 }
    }
}

type Entry = (Head, Changes);

/// Judges what stands in a journal's file.
pub(in crate::store) fn following(found: Contents, tables: &Watermark) -> Following {
    let file = found.file;
    let (ours, others): (Vec<Entry>, Vec<Entry>) = found.whole.into_iter().partition(|(head, _)| head.store == tables.store);
    let mut judged = match tables.follows {
        None => of_first_form(ours, tables),
        Some(follows) => of_run(ours, &others, tables, follows, file),
    };
    judged.number = judged.number.max(tables.number);
    judged
}

/// Before version 4 the tables named no run, and what was missing could not be told from what another state had: whatever goes on
/// without a gap is taken in.
fn of_first_form(mut ours: Vec<Entry>, tables: &Watermark) -> Following {
    ours.retain(|(head, _)| head.number > tables.number && head.upon.is_none());
    ours.sort_by_key(|(head, _)| head.number);
    let run = ours.first().map(|(head, _)| head.run);
    let mut found = Following { number: tables.number, ..Following::default() };
    let mut rest = ours.into_iter().peekable();
    while let Some((_, changes)) = rest.next_if(|(head, _)| head.number == found.number + 1 && Some(head.run) == run) {
        found.number += 1;
        found.changes.push(changes);
    }
    found.stray(rest);
    found
}

fn of_run(ours: Vec<Entry>, others: &[Entry], tables: &Watermark, follows: Follows, file: Bytes) -> Following {
    let mut found = Following { number: tables.number, ..Following::default() };
    let is_known = ours.iter().any(|(head, _)| head.run == follows.run);
    found.shows_run = is_known;
    if follows.open && !is_known {
        found.wrong.push(Wrong::of(gone(file)));
    }
    let is_foreign = !follows.open && !is_known && is_foreign(&ours, others, tables, follows, file);
    let (mut own, strange): (Vec<Entry>, Vec<Entry>) = ours.into_iter().partition(|(head, _)| head.run == follows.run);
    own.sort_by_key(|(head, _)| head.number);
    found.take(own, tables);
    found.stray(strange.into_iter().filter(|(head, changes)| head.number > tables.number && !changes.are_none()));
    if is_foreign && found.wrong.is_empty() {
        found.wrong.push(Wrong::of(Kind::Foreign));
    }
    found
}

/// Why a journal that the tables wait for shows nothing of its run.
fn gone(file: Bytes) -> Kind {
    match file {
        Bytes::NoFile => Kind::Missing,
        Bytes::None => Kind::Emptied,
        Bytes::Zeros => Kind::Zeroed,
        Bytes::Some => Kind::Replaced,
    }
}

/// Whether a file that nobody waits for is another's: it holds bytes, and nothing that this store left there. The run before
/// left its first entry at least, which a start writes over only once the tables name the run that it begins.
fn is_foreign(ours: &[Entry], others: &[Entry], tables: &Watermark, follows: Follows, file: Bytes) -> bool {
    let left_here = |head: &Head| head.run == follows.before || (head.upon.is_none() && head.number <= tables.number);
    let has_changes = ours.iter().any(|(_, changes)| !changes.are_none());
    let unknown = has_changes && !ours.iter().any(|(head, _)| left_here(head));
    file == Bytes::Some && (!others.is_empty() || ours.is_empty() || unknown)
}

impl Following {
    /// Takes what the run wrote behind the tables, in order.
    fn take(&mut self, own: Vec<Entry>, tables: &Watermark) {
        let mut events = tables.events;
        let mut before = None;
        let mut lost = Wrong::of(Kind::Lost);
        let mut rest = own.into_iter().peekable();
        while let Some((head, changes)) = rest.next_if(|(head, _)| goes_on(*head, tables.number, before)) {
            before = Some((head.number, changes.checksum()));
            if head.number <= tables.number || changes.are_none() {
                continue;
            }
            let now = counted(&changes);
            if head.number > self.number + 1 {
                lost.batches += head.number - self.number - 1;
                lost.events += now.saturating_sub(events + changes.count(Table::Event) as u64);
            }
            (events, self.number) = (now, head.number);
            self.changes.push(changes);
        }
        if lost.batches > 0 {
            self.wrong.push(lost);
        }
        self.stray(rest);
    }

    fn stray(&mut self, entries: impl Iterator<Item = Entry>) {
        let mut stray = Wrong::of(Kind::Stray);
        for (_, changes) in entries {
            stray.batches += 1;
            stray.events += changes.count(Table::Event) as u64;
        }
        if stray.batches > 0 {
            self.wrong.push(stray);
        }
    }
}

/// Whether the tables have what an entry was made on, and the entry before it is the one that it names, where that is there.
fn goes_on(head: Head, number: u64, before: Option<(u64, u32)>) -> bool {
    let Some(Upon { base, before: named }) = head.upon else { return false };
    let is_next = |(earlier, _): &(u64, u32)| *earlier + 1 == head.number;
    base <= number && before.filter(is_next).is_none_or(|(_, checksum)| checksum == named)
}

/// Events that are kept after these changes.
fn counted(changes: &Changes) -> u64 {
    record::read_counters(&[COUNTERS], changes.counters()).map_or(0, |counters| counters.events)
}

#[cfg(test)]
mod tests;

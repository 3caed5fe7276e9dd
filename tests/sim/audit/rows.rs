//! The audit log: each change that somebody asked for has one row, nothing else has any, and none is lost.

use std::collections::BTreeMap;

use crate::domain::id::{AuditKey, EndpointNo};
use crate::domain::time::Timestamp;
use crate::sim::book::{Is, Known, Stands};
use crate::sim::process::{Answer, Change, Question, Wish};
use crate::sim::world::{Held, World, law};
use crate::store::{AuditFilter, AuditRow};

/// How many rows an object may have got in a turn, at least and at most.
type Expected = BTreeMap<Box<str>, (usize, usize)>;

impl World {
    /// Holds the rows of a turn against what was answered in it. Called before the book takes the answers in.
    pub(in crate::sim) fn look_at_rows(&mut self, answered: &[(Question, Answer)]) -> Held {
        if answered.iter().all(|(question, _)| matches!(question, Question::Publish(_) | Question::Test(_))) {
            return Ok(());
        }
        let mut expected = Expected::new();
        for (question, answer) in answered.iter().filter(|(_, answer)| answer.denied().is_none()) {
            let Some((id, least)) = self.row_of(question, answer, answered) else { continue };
            let counts = expected.entry(id).or_default();
            *counts = (counts.0 + least, counts.1 + 1);
        }
        // What the config file changes stands in a row of its own kind.
        let reads_file = answered.iter().any(|(question, _)| matches!(question, Question::Sync(_)));
        let mut found = BTreeMap::<Box<str>, usize>::new();
        for row in self.new_rows()? {
            *found.entry(row.object.id).or_default() += 1;
        }
        for (id, (least, most)) in &expected {
            let rows = found.remove(id).unwrap_or(0);
            law!((*least..=*most).contains(&rows), "{id} has {rows} new rows in the audit log, and not {least} to {most}");
        }
        law!(reads_file || found.is_empty(), "rows of the audit log tell of what nobody changed: {found:?}");
        Ok(())
    }

    /// The object of the row that a change leaves, and how many it leaves at least.
    fn row_of(&mut self, question: &Question, answer: &Answer, all: &[(Question, Answer)]) -> Option<(Box<str>, usize)> {
        let store = self.store();
        let webhook = |no: EndpointNo| store.webhook_no(no).map(|endpoint| endpoint.id.clone());
        match (question, answer) {
            (Question::Create(_), Answer::Hook(Ok(endpoint))) => Some((endpoint.id.clone(), 1)),
            (Question::Hook(no, change), Answer::Hook(Ok(endpoint))) => {
                let is_alone =
                    all.iter().filter(|(other, _)| other.hook() == Some(*no)).count() == 1 && !self.doubts.hooks.contains(no);
                let stands = self.book.hooks.get(no).map(|hook| hook.stands).filter(|_| is_alone);
                let changes = matches!(
                    (change, stands),
                    (Change::Enable, Some(Stands::Disabled)) | (Change::Disable, Some(Stands::Active))
                );
                Some((endpoint.id.clone(), usize::from(changes)))
            }
            (Question::Delete(no), _) => self.book.hooks.get(no).map(|hook| (hook.id.clone(), 1)),
            (Question::Purge(no, _), _) => webhook(*no).map(|id| (id, 1)),
            (Question::Delivery(key, wish), _) => {
                // To make a delivery due that is due already changes nothing.
                let is_alone = all.iter().filter(|(other, _)| other.is_about(*key)).count() == 1;
                let has_ended = |known: &Known| known.state != Is::Pending && !known.is_doubted;
                let changes = *wish == Wish::Cancel || (is_alone && self.book.deliveries.get(key).is_some_and(has_ended));
                Some((store.node().delivery_id(*key).into(), usize::from(changes)))
            }
            _ => None,
        }
    }

    /// After a crash there may be rows of what was asked and not answered, and of nothing else.
    pub(in crate::sim) fn look_at_unanswered_rows(&mut self) -> Held {
        let (most, rows) = (std::mem::take(&mut self.doubts.changes), self.new_rows()?);
        law!(rows.len() <= most, "{} rows of the audit log are new after a crash, and {most} changes were under way", rows.len());
        Ok(())
    }

    /// The rows that nobody has seen yet.
    fn new_rows(&mut self) -> Held<Vec<AuditRow>> {
        let since = self.book.rows.last_key_value().map(|(_, at)| *at);
        let filter = AuditFilter { since, ..AuditFilter::default() };
        let mut rows = self.process().stepped.reader().audit(&filter, None, usize::MAX)?.rows;
        rows.retain(|row| !self.book.rows.contains_key(&row.key));
        self.book.rows.extend(rows.iter().map(|row| (row.key, row.at)));
        Ok(rows)
    }

    /// No row is lost before its age, and every row was seen when it was new.
    pub(in crate::sim) fn compare_rows(&mut self) -> Held {
        let (mut before, mut found) = (None, BTreeMap::new());
        loop {
            let page = self.process().stepped.reader().audit(&AuditFilter::default(), before, usize::MAX)?;
            found.extend(page.rows.iter().map(|row| (row.key, row.at)));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        let oldest = self.store().now() - self.limits.audit_retention;
        let is_tight = self.is_tight();
        let lost = |(key, at): &(&AuditKey, &Timestamp)| !found.contains_key(*key) && **at > oldest && !is_tight;
        law!(!self.book.rows.iter().any(|row| lost(&row)), "a row of the audit log is lost");
        law!(found.keys().all(|key| self.book.rows.contains_key(key)), "a row of the audit log was not there when it was new");
        Ok(())
    }
}

//! What `tail` shows: a line for each attempt, and for each delivery that is made, held or has ended.
//!
//! ```text
//! 10:02:11  new        invoice.paid  dlv_01J…  https://example.com/
//! 10:02:11  [503]      invoice.paid  dlv_01J…  https://example.com/  attempt 1, 12 ms, status
//! 10:02:16  succeeded  invoice.paid  dlv_01J…  https://example.com/
//! ```
//!
//! Pure: rows go in, text comes out.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::dev_log::rounded;
use super::print::Paint;
use super::words::{duration, in_cell};
use crate::api::document::delivery::{AttemptRow, Owner, Reason, Row, Status};
use crate::domain::time::Timestamp;

/// How a person is shown what happens.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    pub(crate) paint: Paint,
    /// In which times of day are told.
    pub(crate) zone: TimeZone,
}

impl Lines {
    /// A delivery as it is at `now`. `None`: an attempt has said it already.
    pub(crate) fn delivery(&self, row: &Row, now: Timestamp) -> Option<String> {
        let delivery = &row.delivery;
        let word = match delivery.status {
            Status::Pending if row.attempts == 0 => self.paint.dim(&padded("new")),
            Status::Pending => return self.waits(row, now),
            Status::Held => self.paint.yellow(&padded("held")),
            Status::Succeeded => self.paint.green(&padded("succeeded")),
            Status::Failed => self.paint.red(&padded("failed")),
        };
        let why = delivery.reason.as_ref().map_or("", Reason::name);
        Some(self.line(now, &word, (&delivery.event_type, &delivery.id, &delivery.url), why, row.owner.as_ref()))
    }

    /// A delivery that waits for another attempt at a time that is known.
    fn waits(&self, row: &Row, now: Timestamp) -> Option<String> {
        let (delivery, word) = (&row.delivery, self.paint.dim(&padded("waits")));
        let next = delivery.next_attempt_at?.0.since(now);
        let when = format!("next in {}", duration(rounded(next)));
        Some(self.line(now, &word, (&delivery.event_type, &delivery.id, &delivery.url), &when, row.owner.as_ref()))
    }

    pub(crate) fn attempt(&self, row: &AttemptRow) -> String {
        let attempt = &row.attempt;
        let took = Duration::from_millis(attempt.duration_ms);
        let ended_at = attempt.started_at.0 + took;
        let code = attempt.response.as_ref().map(|response| response.status);
        let text = padded(&code.map_or_else(|| "[ERR]".to_owned(), |code| format!("[{code}]")));
        let word = match (code, &attempt.error) {
            (_, None) => self.paint.green(&text),
            (Some(300..=499), _) => self.paint.yellow(&text),
            _ => self.paint.red(&text),
        };
        let error =
            attempt.detail.as_ref().or(attempt.error.as_ref()).map(|why| format!(", {}", in_cell(why))).unwrap_or_default();
        let more = format!("attempt {}, {}{error}", attempt.number, duration(took));
        self.line(ended_at, &word, (&row.event_type, &row.delivery_id, &attempt.request.url), &more, row.owner.as_ref())
    }

    fn line(&self, at: Timestamp, word: &str, (kind, id, url): (&str, &str, &str), more: &str, owner: Option<&Owner>) -> String {
        let owner = owner.map(|owner| format!("{}/{}", owner.provider, owner.tenant));
        let cells = [self.paint.bold(&in_cell(kind)), self.paint.dim(&in_cell(id)), in_cell(url), in_cell(more)];
        let all = owner.iter().map(|owner| in_cell(owner)).chain(cells).filter(|cell| !cell.is_empty());
        let rest = all.collect::<Vec<_>>().join("  ");
        format!("{}  {word}  {rest}", at.clock_face(&self.zone))
    }
}

/// As wide as the longest word.
fn padded(word: &str) -> String {
    format!("{word:9}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::document::delivery::{Attempt, Request, Response, fixture};
    use crate::api::document::members::Members;
    use crate::domain::delivery::End;

    const NOW: Timestamp = Timestamp::from_secs(3_600);

    fn lines() -> Lines {
        Lines { paint: Paint::OFF, zone: TimeZone::UTC }
    }

    fn attempt(response: Option<u16>, error: Option<&str>) -> AttemptRow {
        let response = response.map(|status| Response {
            status,
            headers: Members(Vec::new()),
            body: String::new(),
            encoding: None,
            truncated: false,
            body_error: None,
        });
        let attempt = Attempt {
            id: "att_1".into(),
            number: 2,
            trigger: "schedule".into(),
            started_at: NOW.into(),
            duration_ms: 1_500,
            error: error.map(Into::into),
            detail: None,
            request: Request { url: "https://x/".into(), headers: Members(Vec::new()) },
            response,
        };
        let [delivery_id, event_id, event_type, webhook_id] = ["dlv_1", "evt_1", "a.b", "wh_1"].map(String::from);
        AttemptRow { attempt, delivery_id, event_id, event_type, webhook_id, owner: None }
    }

    #[test]
    fn each_row_is_a_line() {
        let shown = |response, error| lines().attempt(&attempt(response, error));
        assert_eq!(shown(Some(200), None), "01:00:01  [200]      a.b  dlv_1  https://x/  attempt 2, 1 s");
        assert_eq!(shown(None, Some("timeout")), "01:00:01  [ERR]      a.b  dlv_1  https://x/  attempt 2, 1 s, timeout");
        let of = |status, reason: Option<Reason>, attempts| {
            let mut row = Row { owner: None, attempts, ..fixture::row(status) };
            row.delivery.reason = reason;
            lines().delivery(&row, NOW)
        };
        let line = |text: &str| Some(text.to_owned());
        assert_eq!(of(Status::Pending, None, 0), line("01:00:00  new        a.b  dlv_1  https://x/"));
        assert_eq!(of(Status::Pending, None, 1), None, "it is about to be sent");
        assert_eq!(of(Status::Succeeded, None, 1), line("01:00:00  succeeded  a.b  dlv_1  https://x/"));
        let exhausted = Some(Reason::Ended(End::Exhausted));
        assert_eq!(of(Status::Failed, exhausted, 3), line("01:00:00  failed     a.b  dlv_1  https://x/  exhausted"));
        let held = lines().delivery(&fixture::row(Status::Held), NOW);
        assert_eq!(held, line("01:00:00  held       acme/t1  a.b  dlv_1  https://x/"));
        let mut waits = fixture::row(Status::Pending);
        waits.delivery.next_attempt_at = Some((NOW + Duration::from_millis(4_990)).into());
        assert_eq!(lines().delivery(&waits, NOW), line("01:00:00  waits      acme/t1  a.b  dlv_1  https://x/  next in 5 s"));
    }

    #[test]
    fn a_stranger_commands_no_terminal() {
        let row = AttemptRow { event_type: "a\u{1b}[31m\nb".into(), ..attempt(Some(500), Some("status")) };
        let shown = lines().attempt(&row);
        assert!(!shown.contains(['\u{1b}', '\n']), "{shown:?}");
    }
}

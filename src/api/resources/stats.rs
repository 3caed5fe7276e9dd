//! `GET /v1/stats`: what deliveries came to by the hour or the day, of one webhook or of all that the caller sees.
//!
//! A webhook that was deleted is in no sum any more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::api::document;
use crate::api::document::members::Members;
use crate::api::document::stats::{Decimal, Part};
use crate::api::request::auth::Rank;
use crate::api::request::context::Context;
use crate::api::request::params::Query;
use crate::api::request::whose::Whose;
use crate::api::response::page::{Frame, Row, Rows, page};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::delivery::tally::{HOURS_OF_DAY, Hour, Tally};
use crate::domain::id::{EndpointNo, is_name};
use crate::domain::time::Timestamp;
use crate::store::{STATISTICS_KEPT, Store};

/// Oldest first, and hours without any delivery are there too.
pub(crate) async fn stats(context: &Context<'_>) -> Result<Reply, Problem> {
    let mut query = context.query(&["by", "since", "until", "webhook", "tenant", "provider"]);
    let span = Span::from_query(&mut query, context.api.store.now());
    let (webhook, whose) = (query.id("webhook"), whose(&mut query));
    query.finish()?;
    let webhooks = match webhook {
        Some(id) => BTreeSet::from([context.webhook_by_id(&id)?.no]),
        None => all_of(context, whose.check(context)?).await?,
    };
    if context.caller.rank != Rank::Operator {
        span.check(webhooks.len(), context.api.store.tally_cost(webhooks.len()))?;
    }
    let (store, webhooks) = (context.api.store.clone(), Arc::new(webhooks));
    page(context, Frame::default(), Parts { store, webhooks, left: span, read: VecDeque::new() }).await
}

/// The rows, of which a day is read at once.
struct Parts {
    store: Store,
    webhooks: Arc<BTreeSet<EndpointNo>>,
    /// What is not read yet.
    left: Span,
    read: VecDeque<(Hour, Tally)>,
}

impl Rows for Parts {
    async fn print(&mut self, _: usize, into: &mut Vec<u8>) -> Result<Row, Problem> {
        if self.read.is_empty()
            && let Some(day) = self.left.next_day()
        {
            self.read = day.rows(&self.store.tallies(self.webhooks.clone(), day.first..=day.last).await?).into();
        }
        let Some((hour, tally)) = self.read.front() else { return Ok(Row::End) };
        document::write(&part(*hour, tally), into);
        Ok(Row::Printed)
    }

    fn pass(&mut self) {
        self.read.pop_front();
    }

    /// All rows are one page: together they are far shorter than one may be.
    fn cursor(&self) -> String {
        String::new()
    }

    fn has_more(&self) -> bool {
        false
    }
}

/// Those of a tenant, of a provider, or all, as far as the caller sees them.
async fn all_of(context: &Context<'_>, whose: Whose) -> Result<BTreeSet<EndpointNo>, Problem> {
    let caller = context.caller.clone();
    Ok(context.api.store.numbers_where(whose.owners(), move |endpoint| caller.sees(endpoint)).await?)
}

/// `?tenant=PROVIDER/TENANT`, or `?provider=PROVIDER`.
fn whose(query: &mut Query) -> Whose {
    let whose = Whose::from_query(query);
    let provider =
        query.read_with("provider", "is no provider: 1 to 64 of A-Za-z0-9_-", |text| is_name(text).then(|| text.into()));
    match provider {
        Some(_) if whose != Whose::default() => {
            query.note("provider", "is given beside `tenant`, which names one too");
            whose
        }
        Some(provider) => Whose::of_provider(provider),
        None => whose,
    }
}

/// Which hours are shown, and how many in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    first: Hour,
    last: Hour,
    step: u32,
}

impl Span {
    /// `?by=hour`, the last day unless `since` and `until` say otherwise, or `?by=day`, the last thirty. An hour or a day of which
    /// a part lies between them is shown whole.
    fn from_query(query: &mut Query, now: Timestamp) -> Self {
        let by = |text: &str| match text {
            "hour" => Some(1),
            "day" => Some(HOURS_OF_DAY),
            _ => None,
        };
        let step = query.read_with("by", "is neither `hour` nor `day`", by).unwrap_or(1);
        let (since, until) = query.window(now);
        let last = Hour::from_time(until.unwrap_or(now).min(now));
        let shown = if step == 1 { HOURS_OF_DAY - 1 } else { (DAYS - 1) * HOURS_OF_DAY };
        let first = since.map_or(Hour(last.0.saturating_sub(shown)), Hour::from_time);
        if first < Hour::from_time(now - STATISTICS_KEPT) {
            query.note("since", "is more than 90 days ago; older statistics are not kept");
        }
        if step == 1 {
            return Self { first, last, step };
        }
        Self { first: first.of_day(), last: Hour(last.of_day().0 + HOURS_OF_DAY - 1), step }
    }

    /// Refuses a look at more webhooks and hours than one call may cost; `cost` is that of one hour.
    fn check(self, webhooks: usize, cost: usize) -> Result<(), Problem> {
        let hours = (self.last.0 + 1).saturating_sub(self.first.0);
        let affordable = COST_MAX / cost.max(1);
        if hours as usize <= affordable {
            return Ok(());
        }
        let what =
            format!("{hours} hours of {webhooks} webhooks are more than one call adds up; ask for at most {affordable} hours");
        Err(Problem::field("?since", format!("{what} with `since` and `until`, or for one `webhook`")))
    }

    /// Takes its first day, or what is left of it.
    fn next_day(&mut self) -> Option<Self> {
        let day = Self { last: self.last.min(Hour(self.first.0 + HOURS_OF_DAY - 1)), ..*self };
        self.first = Hour(day.last.0 + 1);
        (day.first <= day.last).then_some(day)
    }

    /// One row for each of its parts.
    fn rows(self, tallies: &BTreeMap<Hour, Tally>) -> Vec<(Hour, Tally)> {
        let begins = (self.first.0..=self.last.0).step_by(self.step as usize);
        let row = |begin: u32| {
            let mut sum = Tally::default();
            tallies.range(Hour(begin)..Hour(begin.saturating_add(self.step))).for_each(|(_, tally)| sum.add(tally));
            (Hour(begin), sum)
        };
        begins.map(row).collect()
    }
}

fn part(hour: Hour, tally: &Tally) -> Part {
    Part {
        at: hour.begin().into(),
        succeeded: tally.succeeded,
        failed: tally.failed,
        attempts: Members(tally.attempts.iter().map(|(brought, count)| (brought.name().into(), *count)).collect()),
        p50: tally.times.quantile(50).map(Decimal::millis),
        p99: tally.times.quantile(99).map(Decimal::millis),
        average: tally.times.average().map(Decimal::millis),
    }
}

/// What one call may cost, in look-ups of a webhook's hour: some half a second of one core. The operator, whose machine it is, may
/// have more.
const COST_MAX: usize = 500_000;

/// That are shown unless the query says otherwise.
const DAYS: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::tally::{Brought, Mark};

    /// Half past six on the hundredth day.
    const NOW: Timestamp = Timestamp::from_secs((100 * 24 + 6) * 3600 + 1800);

    fn span(query: &str) -> Option<(u32, u32, u32)> {
        let mut query = Query::read(Some(query), &["by", "since", "until"]);
        let Span { first, last, step } = Span::from_query(&mut query, NOW);
        query.finish().ok().map(|()| (first.0, last.0, step))
    }

    #[test]
    fn a_day_by_the_hour_or_a_month_by_the_day() {
        let (now, today) = (100 * 24 + 6, 100 * 24);
        assert_eq!(span(""), Some((now - 23, now, 1)));
        assert_eq!(span("by=day"), Some((71 * 24, today + 23, 24)));
        assert_eq!(span("since=90m"), Some((now - 1, now, 1)));
        assert_eq!(span("by=day&since=8h&until=7h"), Some((99 * 24, 99 * 24 + 23, 24)));
        assert_eq!(span("since=2h&until=2100-01-01T00:00:00Z"), Some((now - 2, now, 1)), "what is to come has no rows");
        for wrong in ["by=week", "since=91d", "since=1h&until=2h"] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn so_many_hours_of_so_many_webhooks_are_too_many() {
        let span = |hours| Span { first: Hour(1), last: Hour(hours), step: 1 };
        let most = u32::try_from(COST_MAX / 1_000).unwrap();
        assert!(span(most).check(1_000, 1_000).is_ok());
        let refused = span(most + 1).check(1_000, 1_000).expect_err("one hour more");
        assert_eq!(refused.status(), 422);
        assert!(["?since", "501 hours of 1000 webhooks", "at most 500 hours"].iter().all(|part| refused.detail().contains(part)));
        assert!(span(90 * 24).check(0, 0).is_ok());
    }

    #[test]
    fn an_hour_shows_its_counts_and_times() {
        let mut tally = Tally::default();
        for (attempt, ended, micros) in [(Brought::status(5), None, 1_500), (Brought::status(2), Some(true), 4_000)] {
            tally.count(&Mark { hour: Hour(1), endpoint: EndpointNo(1), attempt: Some(attempt), ended, micros });
        }
        let printed = serde_json::to_string(&part(Hour(1), &tally)).unwrap();
        let expected =
            r#"{"at":"1970-01-01T01:00:00Z","succeeded":1,"failed":0,"attempts":{"2xx":1,"5xx":1},"p50":4,"p99":4,"average":4}"#;
        assert_eq!(printed, expected);
    }

    #[test]
    fn empty_hours_have_rows_and_days_add_up() {
        let mut tallies = BTreeMap::<Hour, Tally>::new();
        for hour in [24, 25, 49] {
            let attempt = Some(Brought::status(2));
            let mark = Mark { hour: Hour(hour), endpoint: EndpointNo(1), attempt, ended: Some(true), micros: 1_000 };
            tallies.entry(mark.hour).or_default().count(&mark);
        }
        let rows = |step, last| Span { first: Hour(24), last: Hour(last), step }.rows(&tallies);
        let counts = |rows: Vec<(Hour, Tally)>| rows.iter().map(|(hour, tally)| (hour.0, tally.succeeded)).collect::<Vec<_>>();
        let mut span = Span { first: Hour(5), last: Hour(60), step: 1 };
        let days: Vec<_> = std::iter::from_fn(|| span.next_day()).map(|day| (day.first.0, day.last.0)).collect();
        assert_eq!(days, [(5, 28), (29, 52), (53, 60)]);
        assert_eq!(counts(rows(24, 71)), [(24, 2), (48, 1)]);
        let by_hour = counts(rows(1, 50));
        assert_eq!((by_hour.len(), by_hour[0], by_hour[2], by_hour[25]), (27, (24, 1), (26, 0), (49, 1)));
    }
}

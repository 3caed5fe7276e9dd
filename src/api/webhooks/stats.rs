//! What a webhook's deliveries came to over a window of time.

use std::time::Duration;

use http::StatusCode;

use crate::api::ask::{self, Ask};
use crate::api::print::Object;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::config::units::parse_duration;
use crate::domain::dialect::Dialect;
use crate::store::{Denied, Ended};

/// `GET /v1/webhooks/{id}/stats`: deliveries that finished within `window`, 24 h unless given.
pub(crate) async fn stats(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let endpoint = ask.webhook()?;
    let dialect = &*ask.dialect_of(&endpoint);
    let mut query = ask.query(&["window"]);
    let window = query.read_with("window", "is not a duration from 1s to 90d, like 24h", window).unwrap_or(WINDOW);
    query.finish()?;
    let since = ask.api.store.now() - window;
    let (store, no, published_since) = (ask.api.store.clone(), endpoint.no, since - longest_life(dialect));
    // One row is read for each delivery in the window.
    let read = tokio::task::spawn_blocking(move || store.ended(no, since, published_since)).await;
    let ended = read.map_err(|_| Denied::Closing)??;
    Ok(ask::object(StatusCode::OK, dialect, |object| print(&ended, object)))
}

fn print(ended: &Ended, object: &mut Object<'_>) {
    object.number("total", ended.total());
    object.number("successful", ended.successful);
    object.number("failed", ended.failed);
    decimal(object, "successRate", Some(percent(ended.successful, ended.total())));
    decimal(object, "averageResponseTime", average(&ended.durations));
    decimal(object, "p50", quantile(&ended.durations, 50));
    decimal(object, "p99", quantile(&ended.durations, 99));
}

/// A number with up to three decimals, or null.
fn decimal(object: &mut Object<'_>, name: &str, value: Option<f64>) {
    let rounded = value.map(|value| (value * 1e3).round() / 1e3);
    object.raw(name, rounded.map_or_else(|| "null".to_owned(), |value| value.to_string()).as_bytes());
}

#[expect(clippy::cast_precision_loss, reason = "counts of deliveries are far below 2^53")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts of deliveries are far below 2^53")]
fn average(durations: &[Duration]) -> Option<f64> {
    let sum: f64 = durations.iter().copied().map(millis).sum();
    (!durations.is_empty()).then(|| sum / durations.len() as f64)
}

/// The nearest rank: the smallest duration that at least `percent` of them do not exceed.
fn quantile(rising: &[Duration], percent: usize) -> Option<f64> {
    let rank = (rising.len() * percent).div_ceil(100).max(1);
    rising.get(rank - 1).copied().map(millis)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn window(text: &str) -> Option<Duration> {
    parse_duration(text).ok().filter(|window| (WINDOW_MIN..=WINDOW_MAX).contains(window))
}

/// From publishing to the last attempt, when every delay and every attempt is as long as it can be.
fn longest_life(dialect: &Dialect) -> Duration {
    let delays = (0..dialect.retry.retries()).filter_map(|retry| dialect.retry.delay(retry, 1.0, Some(0.0)));
    let attempts = dialect.delivery.timeout * (dialect.retry.retries() + 1);
    delays.fold(attempts, Duration::saturating_add)
}

/// Unless the query says otherwise: a day.
const WINDOW: Duration = Duration::from_secs(24 * 3600);

const WINDOW_MIN: Duration = Duration::from_secs(1);
const WINDOW_MAX: Duration = Duration::from_secs(90 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::print::object;

    fn printed(successful: u64, failed: u64, micros: &[u64]) -> String {
        let durations = micros.iter().map(|micros| Duration::from_micros(*micros)).collect();
        let ended = Ended { successful, failed, durations };
        String::from_utf8(object(|into| print(&ended, into))).unwrap()
    }

    #[test]
    fn nothing_has_no_times_and_a_rate_of_0() {
        let expected =
            r#"{"total":0,"successful":0,"failed":0,"successRate":0,"averageResponseTime":null,"p50":null,"p99":null}"#;
        assert_eq!(printed(0, 0, &[]), expected);
    }

    #[test]
    fn times_are_milliseconds_and_the_rate_is_in_percent() {
        let expected =
            r#"{"total":3,"successful":2,"failed":1,"successRate":66.667,"averageResponseTime":2.167,"p50":1.5,"p99":4}"#;
        assert_eq!(printed(2, 1, &[1_000, 1_500, 4_000]), expected);
        assert!(printed(1, 0, &[7_000]).contains(r#""averageResponseTime":7,"p50":7,"p99":7"#));
    }

    #[test]
    fn quantiles_are_nearest_ranks() {
        let rising: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!((quantile(&rising, 50), quantile(&rising, 99)), (Some(100.0), Some(198.0)));
    }
}

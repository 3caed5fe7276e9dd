//! Receivers with moods: each webhook's answers well for a while, then fails in some way, then answers well again.

use std::time::Duration;

use super::draw::Draw;
use crate::domain::delivery::outcome::{Class, Failure, Outcome, Response};
use crate::domain::headers::Headers;

/// How a receiver answers at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    /// It answers every request with this status.
    Status(u16),
    /// It answers with 429 or 503 and asks for so many seconds.
    Later(u16, u64),
    /// It takes the connection and never answers.
    Hangs,
    Refuses,
    Resets,
    /// Each answer is another mood's.
    Flaps,
}

impl Mood {
    pub(super) fn draw(draw: &mut Draw) -> Self {
        match draw.below(16) {
            0..=5 => Self::Good,
            6 | 7 => Self::Status(draw.pick(&[500, 502, 503, 504])),
            8 => Self::Status(draw.pick(&[301, 400, 404, 422])),
            9 => Self::Status(410),
            10 => Self::Later(draw.pick(&[429, 503]), draw.pick(&[0, 1, 30, 600, 3_600])),
            11 => Self::Hangs,
            12 => Self::Refuses,
            13 => Self::Resets,
            _ => Self::Flaps,
        }
    }

    /// How long until it may change.
    pub(super) fn lasts(self, draw: &mut Draw) -> Duration {
        let hours = if self == Self::Good { 4 } else { 2 };
        draw.wait(Duration::from_secs(hours * 3_600))
    }

    /// The answer to one request, with the time that it takes, which is at most `timeout`.
    pub(super) fn answer(self, draw: &mut Draw, timeout: Duration) -> Outcome {
        let quick = Duration::from_micros(draw.between(300, 80_000));
        let took = if draw.chance(30) { draw.time(timeout) } else { quick };
        let of = |result, duration| Outcome { result, duration };
        match self {
            Self::Good => of(Ok(response(draw.pick(&[200, 200, 200, 201, 202, 204]), None)), took),
            Self::Status(status) => of(Ok(response(status, None)), took),
            Self::Later(status, secs) => of(Ok(response(status, Some(secs))), took),
            Self::Hangs => of(Err(failure(Class::Timeout)), timeout),
            Self::Refuses => of(Err(failure(Class::Connect)), quick),
            Self::Resets => of(Err(failure(Class::Reset)), took),
            Self::Flaps => {
                let now = draw.pick(&[Self::Good, Self::Good, Self::Status(500), Self::Status(429), Self::Resets, Self::Refuses]);
                now.answer(draw, timeout)
            }
        }
    }
}

fn response(status: u16, retry_after: Option<u64>) -> Response {
    let mut headers = Headers::default();
    if let Some(secs) = retry_after {
        headers.push("retry-after", &secs.to_string());
    }
    Response { status, headers, body: "ok".into(), truncated: false, body_error: None }
}

fn failure(class: Class) -> Failure {
    Failure::new(class, "as the simulation would have it")
}

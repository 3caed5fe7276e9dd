//! Answers: statuses and problems, JSON, pages, and large answers that are sent piece by piece.

pub(in crate::api) mod answer;
pub(in crate::api) mod no_key;
pub(in crate::api) mod page;
pub(in crate::api) mod problem;
pub(in crate::api) mod refusal;
pub(in crate::api) mod reply;
pub(in crate::api) mod wrong;

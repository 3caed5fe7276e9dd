//! What any writer has, whatever keeps its rows: the inbox with its turns, the schedule of retries, and what bounds both.

pub(in crate::store) mod gate;
pub(in crate::store) mod inbox;
pub(in crate::store) mod publishing;
pub(in crate::store) mod random;
pub(in crate::store) mod schedule;
pub(in crate::store) mod throttle;
pub(in crate::store) mod turns;

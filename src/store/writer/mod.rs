//! The parts of a writer that do not depend on the storage engine: the inbox with its turns, the schedule of retries, the order of
//! webhooks that want one, and bounds for all.

pub(in crate::store) mod gate;
pub(in crate::store) mod inbox;
pub(in crate::store) mod order;
pub(in crate::store) mod publishing;
pub(in crate::store) mod random;
pub(in crate::store) mod replays;
pub(in crate::store) mod schedule;
pub(in crate::store) mod throttle;
pub(in crate::store) mod turns;

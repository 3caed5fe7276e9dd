//! Laps: in a closed loop, what is compared runs in pieces and by turns, so that a machine that is slower for some seconds is that
//! to all of it. A processor that is shared with other machines is: its speed changes, and no counter shows that.
//!
//! A lap ends when all of it came, so that no two relays work at once.

use std::time::Duration;

use super::plan::{End, Load, Plan};
use super::special::Special;

/// In how many laps each run of a plan is made; 1: the runs stand one after the other.
pub(super) fn count(plan: &Plan) -> u64 {
    let load = &plan.load;
    let closed = load.rate <= 0.0 && matches!(plan.special, Special::Nothing | Special::Rows(_));
    // What failed comes again seconds later, when it is another's turn.
    if !closed || load.endpoints.failing() > 0 || plan.runs().len() < 2 {
        return 1;
    }
    match load.end {
        End::Events(events) => events.div_ceil(load.batch).clamp(1, OF_EVENTS),
        End::After(time) => u64::try_from(time.as_micros().div_ceil(LAP.as_micros())).unwrap_or(1).max(1),
    }
}

/// The end of one of so many laps: a share of the time, or the events that all laps up to it have together.
pub(super) fn end(load: &Load, lap: u64, laps: u64) -> End {
    match load.end {
        End::Events(events) => {
            let requests = u128::from(events.div_ceil(load.batch)) * u128::from(lap + 1) / u128::from(laps);
            End::Events(u64::try_from(requests).unwrap_or(u64::MAX).saturating_mul(load.batch).min(events))
        }
        End::After(time) => End::After(time / u32::try_from(laps).unwrap_or(u32::MAX)),
    }
}

/// Long beside the moments in which a lap begins and ends, short beside what changes a machine.
const LAP: Duration = Duration::from_secs(1);

/// Laps of a run that has a number of events and no time.
const OF_EVENTS: u64 = 8;

/// After a lap of hookwheel: its store brings what its journal holds into the tables within a second, and that is its own work.
pub(super) const REST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::plan::{Endpoints, Run};
    use super::*;

    fn plan(end: End, batch: u64) -> Plan {
        let endpoints = Endpoints::all_healthy(1);
        let load = Load { connections: 1, rate: 0.0, end, batch, endpoints, fan_out: false, data: String::new() };
        Plan { dir: PathBuf::new(), load, only: Vec::new(), special: Special::Nothing, alternate: false }
    }

    fn ends(plan: &Plan) -> Vec<End> {
        let laps = count(plan);
        (0..laps).map(|lap| end(&plan.load, lap, laps)).collect()
    }

    #[test]
    fn all_laps_together_are_the_run() {
        let seconds = |seconds| End::After(Duration::from_secs(seconds));
        assert_eq!(ends(&plan(seconds(3), 1)), [seconds(1); 3]);
        assert_eq!(ends(&plan(End::After(Duration::from_millis(1_500)), 1)), [End::After(Duration::from_millis(750)); 2]);
        assert_eq!(ends(&plan(End::Events(20), 1)), [2, 5, 7, 10, 12, 15, 17, 20].map(End::Events));
        assert_eq!(ends(&plan(End::Events(25), 10)), [10, 20, 25].map(End::Events));
        assert_eq!(ends(&plan(End::Events(1), 10)), [End::Events(1)]);
    }

    #[test]
    fn what_stands_alone_or_keeps_its_own_time_has_one_lap() {
        let closed = plan(End::Events(9), 1);
        assert_eq!(count(&closed), 8);
        assert_eq!(count(&Plan { only: vec![Run::Store], ..closed.clone() }), 1);
        assert_eq!(count(&Plan { load: Load { rate: 5.0, ..closed.load.clone() }, ..closed.clone() }), 1);
        assert_eq!(count(&Plan { special: Special::Retention(Duration::from_secs(9)), ..closed.clone() }), 1);
        assert_eq!(count(&Plan { special: Special::Rows(9), ..closed.clone() }), 8);
        let mut failing = closed;
        failing.load.endpoints = Endpoints { count: 2, hanging: 0, resetting: 1, refusing: 0 };
        assert_eq!(count(&failing), 1);
    }
}

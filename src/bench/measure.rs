//! The runs of a plan, in rounds: one after the other, or those of one round by turns.

use std::{panic, thread};

use super::machine::{self, Noise};
use super::measured::Measured;
use super::plan::{Load, Plan, Run};
use super::restart::Restart;
use super::special::Special;
use super::stage::Stage;
use super::{Error, laps, restart};

/// What is there at the same time.
type Round = Vec<(Run, Load)>;

/// All that a plan names.
pub(super) fn all(plan: &Plan, mut tell: impl FnMut(&str)) -> Result<(Vec<Measured>, Option<Restart>), Error> {
    check_files(&plan.load)?;
    outlive_interrupts();
    let (mut runs, mut restarted) = (Vec::new(), None);
    if let Special::Pending(pending) = plan.special {
        restarted = Some(restart::restart(plan, pending, &mut tell)?);
    }
    for round in rounds(plan) {
        let names: Vec<&str> = round.iter().map(|(run, _)| run.name()).collect();
        tell(&format!("measuring {}", names.join(" beside ")));
        runs.extend(play(plan, &round, &mut tell)?);
    }
    Ok((runs, restarted))
}

/// What has laps runs at once. Else forward-only runs twice, first and last, since a machine that changes in between shows there.
fn rounds(plan: &Plan) -> Vec<Round> {
    let mut runs = plan.runs();
    if laps::count(plan) > 1 {
        return vec![runs];
    }
    let hookwheel = runs.split_off(usize::from(plan.has(Run::Forward)));
    let one_by_one = |runs: Round| runs.into_iter().map(|run| vec![run]);
    let again = if hookwheel.is_empty() { Vec::new() } else { runs.clone() };
    let hookwheel: Vec<Round> = if plan.alternate { vec![hookwheel] } else { one_by_one(hookwheel).collect() };
    one_by_one(runs).chain(hookwheel).chain(one_by_one(again)).collect()
}

/// Begins only when all of a round can.
fn play(plan: &Plan, round: &Round, mut tell: impl FnMut(&str)) -> Result<Vec<Measured>, Error> {
    let set = round.iter().map(|(run, load)| Stage::set(*run, plan, load, &mut tell));
    let mut stages = set.collect::<Result<Vec<_>, Error>>()?;
    let ours: Vec<u32> = stages.iter().flat_map(Stage::processes).collect();
    let before = (machine::machine(), machine::cpu_of(&ours));
    match laps::count(plan) {
        1 => at_once(&mut stages)?,
        laps => (0..laps).try_for_each(|lap| stages.iter_mut().try_for_each(|stage| stage.lap(lap, laps)))?,
    }
    let noise = Noise::between(before.0, machine::machine(), machine::cpu_of(&ours).saturating_sub(before.1));
    stages.into_iter().map(|stage| stage.close(noise)).collect()
}

/// Runs that keep their own time.
fn at_once(stages: &mut [Stage<'_>]) -> Result<(), Error> {
    thread::scope(|scope| {
        let playing: Vec<_> = stages.iter_mut().map(|stage| scope.spawn(|| stage.play(stage.load().end))).collect();
        playing.into_iter().try_for_each(|run| run.join().unwrap_or_else(|cause| panic::resume_unwind(cause)))
    })
}

/// Too few files would look like lost events.
fn check_files(load: &Load) -> Result<(), Error> {
    let (needed, limit) = (load.open_files(), machine::open_files_max().unwrap_or(u64::MAX));
    if needed > limit { Err(Error::Files { needed, limit }) } else { Ok(()) }
}

/// An interrupt from the terminal reaches the parts too and ends them. This process sees that, and clears up behind them.
fn outlive_interrupts() {
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| runtime.block_on(async { while tokio::signal::ctrl_c().await.is_ok() {} }))
    });
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::plan::{End, Endpoints};
    use super::*;

    fn rounds(rate: f64, only: &[Run], alternate: bool) -> Vec<Vec<Run>> {
        let endpoints = Endpoints::all_healthy(2);
        let load = Load { connections: 1, rate, end: End::Events(5), batch: 1, endpoints, fan_out: false, data: String::new() };
        let plan = Plan { dir: PathBuf::new(), load, only: only.to_vec(), special: Special::Nothing, alternate };
        super::rounds(&plan).into_iter().map(|round| round.into_iter().map(|(run, _)| run).collect()).collect()
    }

    #[test]
    fn forward_only_stands_around_the_others() {
        let expected = [[Run::Forward], [Run::Base], [Run::Store], [Run::Forward]];
        assert_eq!(rounds(9.0, &[], false), expected);
        assert_eq!(rounds(9.0, &[Run::Forward], false), [[Run::Forward]]);
        assert_eq!(rounds(9.0, &[Run::Store], false), [[Run::Store]]);
    }

    #[test]
    fn all_of_a_closed_loop_is_one_round() {
        assert_eq!(rounds(0.0, &[], false), [[Run::Forward, Run::Base, Run::Store]]);
        assert_eq!(rounds(0.0, &[Run::Store], false), [[Run::Store]]);
    }

    #[test]
    fn what_alternates_are_the_two_of_hookwheel() {
        assert_eq!(rounds(9.0, &[], true), [vec![Run::Forward], vec![Run::Base, Run::Store], vec![Run::Forward]]);
    }
}

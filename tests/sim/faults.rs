//! What goes wrong: kills, power cuts, clocks that jump; and each start after it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::process::{Process, Question};
use super::world::{Broken, Happening, Held, World, law};
use crate::deliver::queues::Queues;
use crate::store::stepped::Stepped;
use crate::store::{self, Surge};

impl World {
    /// The wall clock is set anew, or drifts.
    pub(super) fn jump(&mut self) -> Held {
        let secs = self.draw.pick(&[1, 30, 59, 90, 3_600, 86_400 * 30]);
        let (wall, by) = (self.hands.wall(), Duration::from_secs(secs));
        let to = match self.draw.below(10) {
            0..=3 => wall + by,
            4..=6 => wall - by,
            // Somebody sets it right.
            _ => self.began + self.hands.elapsed(),
        };
        self.step(|| format!("the wall clock jumps from {wall} to {to}"));
        self.hands.set_wall(to);
        Ok(())
    }

    /// The process is killed, or the machine loses its power.
    pub(super) fn kill(&mut self) -> Held {
        if self.process.is_none() {
            return Ok(());
        }
        let surge = self.draw.pick(&[Surge::Keeps, Surge::Loses, Surge::Tears]);
        self.kill_with(surge)
    }

    /// The service stops: what waits for the writer is committed, and what is under way is cut off. The machine may lose its power
    /// at once.
    pub(super) fn stop(&mut self) -> Held {
        if self.process.is_none() {
            return Ok(());
        }
        self.turn()?;
        while self.process.as_ref().is_some_and(|process| process.stepped.is_asked()) {
            self.turn()?;
        }
        let Some(process) = self.process.take() else { return Ok(()) };
        self.step(|| "stops".into());
        let Process { stepped, told, asked, .. } = process;
        law!(told.is_empty() && asked.is_empty(), "a turn leaves {} outcomes and {} questions", told.len(), asked.len());
        if let Err(error) = stepped.close() {
            law!(self.power.is_off(), "the store does not close: {error}");
        }
        self.book.tests_may_end();
        self.life += 1;
        let surge = self.draw.pick(&[Surge::Keeps, Surge::Keeps, Surge::Loses, Surge::Tears]);
        self.restore(surge)?;
        let away = self.draw.wait(Duration::from_secs(30));
        self.note(away, Happening::Start);
        Ok(())
    }

    pub(super) fn kill_with(&mut self, surge: Surge) -> Held {
        self.power.fail();
        self.crash_with(surge)
    }

    /// The power fails at one of the next writes or syncs.
    pub(super) fn fuse(&mut self) -> Held {
        if self.process.is_none() {
            return Ok(());
        }
        let steps = self.draw.below(60);
        self.step(|| format!("the power fails after {steps} more writes and syncs"));
        self.power.fail_after(steps);
        Ok(())
    }

    /// The process ended in the middle of what it did.
    pub(super) fn crash(&mut self) -> Held {
        let surge = self.draw.pick(&[Surge::Keeps, Surge::Loses, Surge::Tears, Surge::Tears]);
        self.crash_with(surge)
    }

    fn crash_with(&mut self, surge: Surge) -> Held {
        self.counts.crashes += 1;
        self.step(|| format!("crash: what was not synced is {surge:?}"));
        // Whoever was answered before the end holds the answer.
        self.answers()?;
        if let Some(process) = self.process.take() {
            self.doubt(process);
        }
        self.life += 1;
        self.restore(surge)?;
        let long = self.draw.chance(200) && !self.is_calm;
        let away = self.draw.wait(Duration::from_secs(if long { 5_400 } else { 5 }));
        if self.draw.chance(300) {
            self.step(|| "the machine boots anew".into());
            self.hands.reboot(Duration::from_millis(1));
        }
        self.note(away, Happening::Start);
        Ok(())
    }

    fn restore(&mut self, surge: Surge) -> Held {
        let (power, draw) = (self.power.clone(), &mut self.draw);
        power.restore(surge, |below| draw.below(below)).map_err(|cause| Broken(format!("cannot restore the files: {cause}")))
    }

    /// What was told and asked and not answered may be on disk or not.
    fn doubt(&mut self, process: Process) {
        let Process { asked, told, .. } = process;
        self.doubts.told.extend(told);
        for asked in asked {
            self.doubts.changes += asked.what.rows_max();
            self.doubts.hooks.extend(asked.what.hook());
            match asked.what {
                Question::Delivery(key, _) => drop(self.book.deliveries.get_mut(&key).map(|known| known.is_doubted = true)),
                Question::Recover(_, what, found) => self.doubt_recovered(what, found),
                Question::Purge(no, newest) => self.book.may_end(no, newest),
                Question::Delete(no) => self.book.may_end(no, self.book.newest),
                Question::Sync(_) => self.doubts.hooks.extend(self.book.hooks.keys().copied()),
                _ => {}
            }
        }
        // A test whose caller went away with the process may end without its attempt.
        self.book.tests_may_end();
    }

    /// The next life of the service. The power may fail again before it is open.
    pub(super) fn start(&mut self) -> Held {
        let stepped = loop {
            self.check_sometimes()?;
            if self.draw.chance(250) && !self.is_calm {
                let steps = self.draw.below(50);
                self.step(|| format!("the power fails {steps} writes and syncs after the start"));
                self.power.fail_after(steps);
            }
            let (options, seed) = (self.options(), self.draw.bits());
            match Stepped::open(&options, seed) {
                Ok(stepped) => break stepped,
                Err(error) => {
                    law!(self.power.is_off(), "the store does not open: {error}");
                    self.step(|| "the power failed while the store was opened".into());
                    let surge = self.draw.pick(&[Surge::Keeps, Surge::Loses, Surge::Tears]);
                    self.restore(surge)?;
                }
            }
        };
        self.step(|| "starts".into());
        let (findings, now) = (stepped.store.findings(), stepped.store.now());
        law!(findings.is_empty(), "the start found something wrong: {}", findings[0]);
        law!(now >= self.book.latest, "time went back from {} to {now} with a start", self.book.latest);
        self.book.turned = now;
        self.process = Some(Process {
            running: BTreeMap::new(),
            postponed: Vec::new(),
            asked: Vec::new(),
            told: Vec::new(),
            queues: Queues::new(self.queue_limits),
            limits: self.queue_limits,
            commits: 0,
            stepped,
        });
        self.is_fresh = true;
        self.set_disk_low(self.is_disk_low);
        self.look_at_unanswered_rows()?;
        self.sync();
        self.turn()
    }

    /// What a crash left passes every check, most times before the service mends anything of it.
    fn check_sometimes(&mut self) -> Held {
        if !self.path().exists() || !self.draw.chance(350) {
            return Ok(());
        }
        self.check()
    }

    pub(super) fn check(&mut self) -> Held {
        let report = store::check(&self.path())?;
        law!(report.is_clean(), "a check of the closed store finds: {report}");
        Ok(())
    }
}

//! What time it is for a service whose wall clock may be wrong.
//!
//! The service has a time of its own. It goes on with the clock that counts since the machine was booted, which never jumps and
//! counts while the machine sleeps, and it follows the wall clock as long as that one moves no farther than such a clock can:
//!
//! ```text
//!   wall clock    ───────┐   ┌──── put right         a jump is in doubt for 24 h, or until the operator says that the wall clock
//!                        └───┘                       is right: meanwhile nothing is deleted for its age
//!   service's     ─────────────────                  never goes back, so that what waits goes on waiting as long as it should
//! ```
//!
//! Everything that is stored bears the service's time. What is signed bears [`TimeKeeper::signed`], which receivers compare with
//! their own clocks.

use std::time::Duration;

use super::Timestamp;

/// Both clocks, read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) wall: Timestamp,
    /// Since the machine was booted, its sleep included; in whole microseconds, or each look would lose a part of one.
    pub(crate) boot: Duration,
}

/// The service's time, and what is thought of the wall clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeKeeper {
    last: Reading,
    now: Timestamp,
    /// How far the service's time is ahead of a wall clock that is held to be right. It melts away.
    lead: Duration,
    /// How far the wall clock may still move against the other one before that is a jump.
    slack: Duration,
    doubt: Option<Doubt>,
}

/// Why the wall clock is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) why: Why,
    /// By how much the wall clock was off when it was looked at last.
    pub(crate) off: Duration,
    /// Since when, counted by the other clock.
    pub(crate) held: Duration,
}

/// What is wrong with the wall clock, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It jumped forward.
    Ahead,
    /// It jumped back.
    Behind,
    /// At a start after a boot it was earlier than what the store knows: any later time may be right.
    Early,
    /// At a start after a boot it was more than a day later than what the store knows: the service was away, or it is wrong.
    Away,
}

/// What a look at the clocks brought that people should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Doubted(Doubt),
    /// The wall clock is where it should be again.
    Right,
    /// The doubt lasted for [`DOUBT`], so the wall clock is held to be right.
    Believed(Doubt),
}

/// What the store keeps of it, to go on from after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Which boot of the machine [`Reading::boot`] counts from.
    pub(crate) boot_id: u64,
    pub(crate) last: Reading,
    pub(crate) now: Timestamp,
    pub(crate) lead: Duration,
    pub(crate) doubt: Option<Doubt>,
}

impl TimeKeeper {
    /// Trusts the wall clock, as nothing is known that speaks against it.
    pub(crate) fn trusting(reading: Reading) -> Self {
        Self { last: reading, now: reading.wall, lead: Duration::ZERO, slack: JUMP, doubt: None }
    }

    /// Begins from the newest time that anything in the store bears.
    pub(crate) fn since(newest: Timestamp, reading: Reading) -> Self {
        let mut keeper = Self::trusting(reading);
        keeper.not_before(newest);
        keeper
    }

    /// Goes on from what was kept.
    pub(crate) fn resume(kept: Kept, reading: Reading, boot_id: u64) -> Self {
        let Kept { last, now, lead, doubt, .. } = kept;
        if kept.boot_id == boot_id && last.boot <= reading.boot {
            return Self { last, now, lead, slack: JUMP, doubt };
        }
        Self::after_boot(kept, reading)
    }

    /// Looks at the clocks and moves to what they say.
    pub(crate) fn look(&mut self, reading: Reading) -> Option<News> {
        let passed = reading.boot.saturating_sub(self.last.boot);
        let expected = self.now + passed;
        self.slack = JUMP.min(self.slack + passed / DRIFT);
        self.last = Reading { boot: reading.boot.max(self.last.boot), ..reading };
        match self.doubt {
            Some(doubt) if doubt.why != Why::Away => self.look_again(doubt, expected, passed),
            Some(doubt) => self.look_after_absence(doubt, expected, passed),
            None => self.follow(expected, passed),
        }
    }

    /// The operator says that the wall clock is right; false when nobody doubted that.
    pub(crate) fn accept(&mut self) -> bool {
        let doubted = self.doubt.take();
        if doubted.is_some() {
            self.lead = self.now.since(self.last.wall);
            self.now = self.now.max(self.last.wall);
            self.slack = JUMP;
        }
        doubted.is_some()
    }

    /// The time that everything stored bears and all waiting is measured by. It never goes back.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// What receivers are told: the wall clock, unless it is earlier than what was known and nobody called that right.
    pub(crate) fn signed(&self) -> Timestamp {
        match self.doubt {
            Some(Doubt { why: Why::Ahead, .. }) => self.last.wall,
            _ => self.now - self.lead,
        }
    }

    /// The boot clock at the last look.
    pub(crate) fn looked_at(&self) -> Duration {
        self.last.boot
    }

    pub(crate) fn doubt(&self) -> Option<Doubt> {
        self.doubt
    }

    pub(crate) fn kept(&self, boot_id: u64) -> Kept {
        Kept { boot_id, last: self.last, now: self.now, lead: self.lead, doubt: self.doubt }
    }

    /// After a boot nobody knows how long the machine was off: the wall clock is believed where it can be right.
    fn after_boot(kept: Kept, reading: Reading) -> Self {
        let mut keeper = Self { lead: kept.lead, ..Self::trusting(reading) };
        let went_on = reading.wall.since(kept.last.wall);
        match kept.doubt {
            Some(doubt) if is_still_off(kept, doubt, reading.wall) => {
                keeper.now = kept.now + went_on;
                keeper.doubt = Some(doubt);
            }
            _ if kept.now - kept.lead <= reading.wall => {
                keeper.now = reading.wall.max(kept.now);
                keeper.lead = keeper.now.since(reading.wall);
                keeper.doubt = absence(reading.wall.since(kept.now));
            }
            _ => keeper.not_before(kept.now),
        }
        keeper
    }

    fn not_before(&mut self, known: Timestamp) {
        let off = known.since(self.last.wall);
        self.now = self.now.max(known);
        if off <= JUMP {
            self.lead = off;
        } else {
            self.doubt = Some(Doubt { why: Why::Early, off, held: Duration::ZERO });
        }
    }

    /// The wall clock was right the last time.
    fn follow(&mut self, expected: Timestamp, passed: Duration) -> Option<News> {
        let wall = self.last.wall;
        let (ahead, behind) = (wall.since(expected), expected.since(wall));
        let moved = ahead.max(behind.saturating_sub(self.lead));
        if moved > self.slack {
            let why = if ahead > Duration::ZERO { Why::Ahead } else { Why::Behind };
            self.now = expected;
            return Some(self.doubt_it(why, ahead.max(behind)));
        }
        self.slack -= moved;
        // Never back: where the wall clock is behind, the service's time goes more slowly until they meet.
        self.now = wall.max(expected - behind.min(passed / MELT));
        self.lead = self.now.since(wall);
        None
    }

    fn look_again(&mut self, doubt: Doubt, expected: Timestamp, passed: Duration) -> Option<News> {
        self.now = expected;
        let wall = self.last.wall;
        let (ahead, behind) = (wall.since(expected), expected.since(wall));
        if ahead <= JUMP && behind.saturating_sub(self.lead) <= JUMP {
            return Some(self.trust_again());
        }
        if doubt.why == Why::Early && ahead > JUMP {
            return Some(self.came_late(ahead));
        }
        let why = match doubt.why {
            Why::Early => Why::Early,
            _ if ahead > Duration::ZERO => Why::Ahead,
            _ => Why::Behind,
        };
        if why != doubt.why {
            return Some(self.doubt_it(why, ahead.max(behind)));
        }
        self.go_on(Doubt { off: ahead.max(behind), ..doubt }, passed)
    }

    fn look_after_absence(&mut self, doubt: Doubt, expected: Timestamp, passed: Duration) -> Option<News> {
        self.doubt = None;
        self.follow(expected, passed).or_else(|| self.go_on(doubt, passed))
    }

    fn go_on(&mut self, doubt: Doubt, passed: Duration) -> Option<News> {
        let doubt = Doubt { held: doubt.held + passed, ..doubt };
        self.doubt = Some(doubt);
        (doubt.held >= DOUBT).then(|| {
            self.accept();
            News::Believed(doubt)
        })
    }

    fn doubt_it(&mut self, why: Why, off: Duration) -> News {
        let doubt = Doubt { why, off, held: Duration::ZERO };
        self.doubt = Some(doubt);
        News::Doubted(doubt)
    }

    fn trust_again(&mut self) -> News {
        self.doubt = None;
        self.slack = JUMP;
        self.now = self.now.max(self.last.wall);
        self.lead = self.now.since(self.last.wall);
        News::Right
    }

    /// What was known was only the least that it could be.
    fn came_late(&mut self, by: Duration) -> News {
        self.trust_again();
        self.doubt = absence(by);
        self.doubt.map_or(News::Right, News::Doubted)
    }
}

impl Doubt {
    /// How long nothing is deleted for its age, unless the operator calls the wall clock right.
    pub(crate) fn left(&self) -> Duration {
        DOUBT.saturating_sub(self.held)
    }
}

impl Why {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Behind => "behind",
            Self::Early => "early",
            Self::Away => "away",
        }
    }
}

/// Whether a wall clock that was off before a boot goes on where it was.
fn is_still_off(kept: Kept, doubt: Doubt, wall: Timestamp) -> bool {
    let went_on = kept.last.wall <= wall;
    match doubt.why {
        Why::Ahead => went_on,
        Why::Behind | Why::Early => went_on && wall + JUMP < kept.now,
        Why::Away => went_on,
    }
}

fn absence(by: Duration) -> Option<Doubt> {
    (by > ABSENCE).then_some(Doubt { why: Why::Away, off: by, held: Duration::ZERO })
}

/// How far a wall clock may move against one that counts: NTP steps by less, and what is set by hand moves farther.
pub(crate) const JUMP: Duration = Duration::from_secs(60);

/// How long a jump is in doubt: long enough for people to see it and set the clock right.
pub(crate) const DOUBT: Duration = Duration::from_secs(24 * 3600);

/// A service that was away for longer may have been, or its clock is wrong.
const ABSENCE: Duration = Duration::from_secs(24 * 3600);

/// What of the time that passes a wall clock may drift: a minute an hour, where the worst crystals drift by two seconds.
const DRIFT: u32 = 60;

/// What of the time that passes is left out until a wall clock that is behind has caught up.
const MELT: u32 = 10;

#[cfg(test)]
mod tests;

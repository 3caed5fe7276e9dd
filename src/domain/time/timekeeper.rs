//! The time of a service whose wall clock may be wrong.
//!
//! The service has a time of its own. It goes on with the clock that counts since the machine was booted, which never jumps and
//! counts while the machine sleeps. It follows the wall clock as long as that moves no farther than a good wall clock can:
//!
//! ```text
//!   wall clock    ───────┐   ┌──── put right         a jump is in doubt for 24 h, or until the operator says that the wall clock
//!                        └───┘                       is right: meanwhile nothing is deleted for its age
//!   service's     ─────────────────                  never goes back, so that what waits goes on waiting as long as it should
//! ```
//!
//! Everything that is stored has the service's time. Signatures have [`TimeKeeper::signed`], which receivers compare with their
//! own clocks.

use std::time::Duration;

use super::Timestamp;

/// Both clocks, read at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) wall: Timestamp,
    /// The time since the machine was booted, including its sleep. It is in whole microseconds, since otherwise each look would
    /// lose a part of one.
    pub(crate) boot: Duration,
}

/// The service's time, and whether the wall clock is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeKeeper {
    last: Reading,
    now: Timestamp,
    /// How far the service's time is ahead of a wall clock that is trusted. It shrinks as time passes.
    lead: Duration,
    /// How far the wall clock may still move against the boot clock before that counts as a jump.
    slack: Duration,
    doubt: Option<Doubt>,
}

/// Why the wall clock is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) why: Why,
    /// How far the wall clock was off at the last look.
    pub(crate) off: Duration,
    /// How long the wall clock has been in doubt, by the boot clock.
    pub(crate) held: Duration,
}

/// What is wrong with the wall clock, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It jumped forward.
    Ahead,
    /// It jumped back.
    Behind,
    /// At a start after a boot it was earlier than times that the store knows. Any later time may be right.
    Early,
    /// At a start after a boot it was more than a day later than the times that the store knows. Either the service was away, or
    /// the clock is wrong.
    Away,
}

/// What a look at the clocks found that people should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Doubted(Doubt),
    /// The wall clock is back where it should be.
    Right,
    /// The doubt has lasted for [`DOUBT`], so the wall clock is trusted again.
    Believed(Doubt),
}

/// What the store keeps, so that the next start can go on from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The id of the boot that [`Reading::boot`] counts from.
    pub(crate) boot_id: u64,
    pub(crate) last: Reading,
    pub(crate) now: Timestamp,
    pub(crate) lead: Duration,
    pub(crate) doubt: Option<Doubt>,
}

impl TimeKeeper {
    /// Trusts the wall clock, since nothing is known that speaks against it.
    pub(crate) fn trusting(reading: Reading) -> Self {
        Self { last: reading, now: reading.wall, lead: Duration::ZERO, slack: JUMP, doubt: None }
    }

    /// Begins from the newest time in the store.
    pub(crate) fn since(newest: Timestamp, reading: Reading) -> Self {
        let mut keeper = Self::trusting(reading);
        keeper.not_before(newest);
        keeper
    }

    /// Goes on from what the store kept.
    pub(crate) fn resume(kept: Kept, reading: Reading, boot_id: u64) -> Self {
        let Kept { last, now, lead, doubt, .. } = kept;
        if kept.boot_id == boot_id && last.boot <= reading.boot {
            return Self { last, now, lead, slack: JUMP, doubt };
        }
        Self::after_boot(kept, reading)
    }

    /// Looks at the clocks and moves the service's time on. Returns what people should know.
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

    /// Trusts the wall clock because the operator says that it is right. Returns false when it was not in doubt.
    pub(crate) fn accept(&mut self) -> bool {
        let doubted = self.doubt.take();
        if doubted.is_some() {
            self.lead = self.now.since(self.last.wall);
            self.now = self.now.max(self.last.wall);
            self.slack = JUMP;
        }
        doubted.is_some()
    }

    /// The service's time. Everything stored has it, and every wait is measured by it. It never goes back.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// The time that receivers are told: the wall clock, or a later time that was known before, unless the operator has accepted
    /// the wall clock.
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

    /// Goes on after a boot. Nobody knows how long the machine was off, so the wall clock is believed where it can be right.
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

    /// Follows a wall clock that is trusted, unless it has jumped.
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
        // The service's time never goes back. When the wall clock is behind, the service's time goes more slowly until they meet.
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

    /// Ends a doubt of an early clock that has moved forward. The time known before was only a lower bound, so the new time may
    /// be right.
    fn came_late(&mut self, by: Duration) -> News {
        self.trust_again();
        self.doubt = absence(by);
        self.doubt.map_or(News::Right, News::Doubted)
    }
}

impl Doubt {
    /// For how long nothing is deleted for its age, unless the operator accepts the wall clock.
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

/// Whether a wall clock that was off before a boot goes on from where it was.
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

/// How far a wall clock may move against the boot clock without a doubt. NTP steps by less, and a clock set by hand moves
/// farther.
pub(crate) const JUMP: Duration = Duration::from_secs(60);

/// How long a jump stays in doubt: long enough for people to see it and set the clock right.
pub(crate) const DOUBT: Duration = Duration::from_secs(24 * 3600);

/// After a longer absence the wall clock is in doubt: the service was away, or the clock is wrong.
const ABSENCE: Duration = Duration::from_secs(24 * 3600);

/// A wall clock may drift by one part in so many of the time that passes: a minute an hour, while the worst crystals drift by two
/// seconds.
const DRIFT: u32 = 60;

/// While the wall clock is behind, the service's time leaves out one part in so many of the time that passes.
const MELT: u32 = 10;

#[cfg(test)]
mod tests;

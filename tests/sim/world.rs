//! The world of one seed: virtual time, what happens in it, and one life of the service after the other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use super::audit::{Doubts, TIGHT_BYTES};
use super::book::Book;
use super::dialects::dialects;
use super::draw::Draw;
use super::process::{NewHook, Process};
use super::receivers::Mood;
use crate::clock::{Clock, Hands};
use crate::deliver::queues;
use crate::domain::dialect::Dialect;
use crate::domain::id::EndpointNo;
use crate::domain::time::Timestamp;
use crate::store::{self, Limits, Machine, Medium, Options, Power};

/// A law that was broken, or what kept the simulation from going on.
pub(super) struct Broken(pub(super) String);

pub(super) type Held<T = ()> = Result<T, Broken>;

impl From<store::Error> for Broken {
    fn from(error: store::Error) -> Self {
        Self(format!("the store broke: {error}"))
    }
}

/// Checks a law.
macro_rules! law {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err($crate::sim::world::Broken(format!($($text)+)));
        }
    };
}
pub(super) use law;

pub(super) struct World {
    pub(super) draw: Draw,
    pub(super) hands: Arc<Hands>,
    pub(super) power: Arc<Power>,
    pub(super) folder: TempDir,
    pub(super) limits: Limits,
    pub(super) queue_limits: queues::Limits,
    pub(super) dialects: Vec<Arc<Dialect>>,
    pub(super) book: Book,
    /// What the config file says of webhooks.
    pub(super) file: Vec<NewHook>,
    pub(super) moods: BTreeMap<EndpointNo, Mood>,
    pub(super) process: Option<Process>,
    /// What happens when; of two at one time the first that was noted comes first.
    agenda: BTreeMap<(Duration, u64), Happening>,
    noted: u64,
    /// How many processes there were; what is noted for one is nothing to the next.
    pub(super) life: u64,
    pub(super) attempts: u64,
    /// From here on no fault comes, and all receivers answer well.
    pub(super) is_calm: bool,
    /// Some events go to very many webhooks.
    pub(super) is_wide: bool,
    pub(super) pace: Pace,
    pub(super) trace: Trace,
    pub(super) counts: Counts,
    /// The right time when it began.
    pub(super) began: Timestamp,
    pub(super) doubts: Doubts,
    /// Webhooks to look at after the turn.
    pub(super) touched: BTreeSet<EndpointNo>,
    /// The process has not turned yet.
    pub(super) is_fresh: bool,
    /// Webhooks were changed in this turn, before or after what was published in it.
    pub(super) is_mixed: bool,
    /// Turns of the writer since anything else happened.
    pub(super) in_a_row: u32,
    /// When to see again whether all is quiet.
    pub(super) next_look: Duration,
}

/// How often things happen, which differs from seed to seed.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) publish: Duration,
    pub(super) command: Duration,
    pub(super) crash: Duration,
    pub(super) jump: Duration,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) published: u64,
    pub(super) attempts: u64,
    pub(super) crashes: u64,
    pub(super) turns: u64,
    pub(super) disabled: u64,
}

/// Something that happens at a time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    Publish,
    Command,
    Mood(EndpointNo),
    Jump,
    /// The process is killed now.
    Kill,
    /// The service is stopped.
    Stop,
    /// The power fails at one of the next writes or syncs.
    Fuse,
    Start,
    Audit,
    /// Of a life of the service.
    Turn(u64),
    Checkpoint(u64),
    Send(u64, u64),
    End(u64, u64),
    Retake(u64),
}

/// The last steps, for whoever looks into a broken law, and a sum over all of them.
#[derive(Clone, Default)]
pub(super) struct Trace(Arc<Mutex<Steps>>);

#[derive(Default)]
struct Steps {
    last: VecDeque<String>,
    sum: DefaultHasher,
}

impl Trace {
    pub(super) fn step(&self, line: String) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        line.hash(&mut steps.sum);
        if steps.last.len() == LAST {
            steps.last.pop_front();
        }
        steps.last.push_back(line);
    }

    pub(super) fn last(&self) -> String {
        let steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        steps.last.iter().fold(String::new(), |text, line| text + "  " + line + "\n")
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sum.finish()
    }
}

impl World {
    pub(super) fn new(seed: u64, trace: Trace) -> Self {
        let mut draw = Draw::new(seed);
        let hours = |draw: &mut Draw, of: &[u64]| Duration::from_secs(draw.pick(of) * 3_600);
        let limits = Limits {
            retention: hours(&mut draw, &[2, 6, 24 * 30]),
            max_bytes: draw.pick(&[1 << 40, 1 << 40, 1 << 40, 1 << 40, 1 << 40, TIGHT_BYTES]),
            memory: 256 << 20,
            connection_idle: Duration::from_secs(3_600),
        };
        let per_endpoint = draw.pick(&[1, 2, 8]);
        let queue_limits = queues::Limits { in_flight: draw.pick(&[4, 16, 64]), per_endpoint, kept: 0 };
        let minutes = |draw: &mut Draw, from, to| Duration::from_secs(60 * draw.between(from, to));
        let pace = Pace {
            publish: minutes(&mut draw, 8, 40),
            command: minutes(&mut draw, 15, 90),
            crash: minutes(&mut draw, 150, 700),
            jump: minutes(&mut draw, 300, 2_000),
        };
        let wall = Timestamp::from_secs(1_780_000_000 + draw.below(1 << 20));
        let mut world = Self {
            draw,
            hands: Hands::at(wall),
            power: Arc::default(),
            folder: folder(),
            limits,
            queue_limits,
            dialects: dialects(),
            book: Book::default(),
            file: Vec::new(),
            moods: BTreeMap::new(),
            process: None,
            agenda: BTreeMap::new(),
            noted: 0,
            life: 0,
            attempts: 0,
            is_calm: false,
            is_wide: false,
            pace,
            trace,
            counts: Counts::default(),
            began: wall,
            doubts: Doubts::default(),
            touched: BTreeSet::new(),
            is_fresh: true,
            is_mixed: false,
            in_a_row: 0,
            next_look: Duration::ZERO,
        };
        world.is_wide = seed % WIDE_EVERY == WIDE_EVERY / 2;
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.draw_file();
        self.note(Duration::ZERO, Happening::Start);
        for (mean, happening) in [
            (self.pace.publish, Happening::Publish),
            (self.pace.command, Happening::Command),
            (self.pace.crash, Happening::Kill),
            (self.pace.crash, Happening::Fuse),
            (self.pace.crash, Happening::Stop),
            (self.pace.jump, Happening::Jump),
            (AUDITS, Happening::Audit),
        ] {
            let wait = self.draw.wait(mean);
            self.note(wait, happening);
        }
    }

    /// Lets something happen after a while.
    pub(super) fn note(&mut self, after: Duration, happening: Happening) {
        self.noted += 1;
        self.agenda.insert((self.hands.elapsed() + after, self.noted), happening);
    }

    pub(super) fn step(&self, line: impl FnOnce() -> String) {
        let now = self.hands.elapsed();
        self.trace.step(format!("{}.{:06} {}", now.as_secs(), now.subsec_micros(), line()));
    }

    /// A day of faults, then calm until nothing is left to do.
    pub(super) fn run(&mut self) -> Held {
        while self.hands.elapsed() < DAY {
            self.go_on()?;
        }
        self.calm_down()?;
        let end = self.hands.elapsed() + CALM_MAX;
        while !self.is_quiet()? {
            law!(self.hands.elapsed() < end, "not all ends though every receiver is good: {}", self.stuck());
            self.go_on()?;
        }
        self.close()
    }

    /// The next thing that happens, or that the writer has to do by itself.
    fn go_on(&mut self) -> Held {
        let now = self.hands.elapsed();
        let wakes = self.process.as_ref().map(|process| {
            let clock = Clock::of(self.hands.clone());
            now + process.stepped.wake_at().saturating_duration_since(clock.steady())
        });
        let first = self.agenda.first_key_value().map(|((at, _), _)| *at);
        match (first, wakes) {
            (Some(at), wakes) if wakes.is_none_or(|wakes| at <= wakes) => {
                let (_, happening) = self.agenda.pop_first().expect("it was looked at");
                self.hands.advance(at.saturating_sub(now));
                self.in_a_row = 0;
                self.happen(happening)
            }
            (_, Some(wakes)) => {
                self.hands.advance(wakes.saturating_sub(now));
                self.turn()
            }
            (_, None) => Err(Broken("nothing happens any more".into())),
        }
    }

    fn happen(&mut self, happening: Happening) -> Held {
        let life = self.life;
        match happening {
            Happening::Turn(of) if of == life && self.process.is_some() => self.turn(),
            Happening::Checkpoint(of) if of == life && self.process.is_some() => self.checkpoint(),
            Happening::Send(of, attempt) if of == life && self.process.is_some() => self.send(attempt),
            Happening::End(of, attempt) if of == life && self.process.is_some() => self.end(attempt),
            Happening::Retake(of) if of == life && self.process.is_some() => self.retake(),
            Happening::Turn(_) | Happening::Checkpoint(_) | Happening::Send(..) | Happening::End(..) | Happening::Retake(_) => {
                Ok(())
            }
            Happening::Start => self.start(),
            Happening::Publish => self.again(self.pace.publish, happening, Self::publish),
            Happening::Command => self.again(self.pace.command, happening, Self::command),
            Happening::Jump => self.again(self.pace.jump, happening, Self::jump),
            Happening::Kill => self.again(self.pace.crash, happening, Self::kill),
            Happening::Stop => self.again(self.pace.crash, happening, Self::stop),
            Happening::Fuse => self.again(self.pace.crash, happening, Self::fuse),
            Happening::Audit => {
                self.note(AUDITS, happening);
                self.audit()
            }
            Happening::Mood(no) => {
                self.change_mood(no);
                Ok(())
            }
        }
    }

    /// What comes again and again until the calm.
    fn again(&mut self, mean: Duration, happening: Happening, act: impl FnOnce(&mut Self) -> Held) -> Held {
        if self.is_calm {
            return Ok(());
        }
        let wait = self.draw.wait(mean);
        self.note(wait, happening);
        act(self)
    }

    fn calm_down(&mut self) -> Held {
        self.step(|| "calm".into());
        self.is_calm = true;
        self.moods.values_mut().for_each(|mood| *mood = Mood::Good);
        // A fuse that was lit does not burn any more.
        if self.process.is_some() { self.kill_with(store::Surge::Keeps) } else { Ok(()) }
    }

    pub(super) fn change_mood(&mut self, no: EndpointNo) {
        let mood = if self.is_calm { Mood::Good } else { Mood::draw(&mut self.draw) };
        self.step(|| format!("receiver {no} is {mood:?}"));
        self.moods.insert(no, mood);
        if !self.is_calm {
            let lasts = mood.lasts(&mut self.draw);
            self.note(lasts, Happening::Mood(no));
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(super) fn options(&self) -> Options {
        let clock = Clock::of(self.hands.clone());
        let machine = Machine { clock, medium: Medium::powered_by(self.power.clone()) };
        Options { path: self.path(), credentials: None, limits: self.limits, standard: self.dialects[0].clone(), machine }
    }
}

/// In memory where the system has such a place: what a crash leaves, the power supply says.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("there is room for temporary files")
}

/// One seed of so many has events for very many webhooks.
const WIDE_EVERY: u64 = 200;

/// Steps that are shown of a run that broke a law.
const LAST: usize = 60;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How long the last deliveries may take: the longest schedule, and what receivers asked for.
const CALM_MAX: Duration = Duration::from_secs(12 * 3_600);

/// Between two looks at everything.
const AUDITS: Duration = Duration::from_secs(3 * 3_600);

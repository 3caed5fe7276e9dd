//! The simulated world of one seed: its virtual time, the list of what happens when, and the service, which is killed and
//! started again many times.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use super::audit::{Doubts, TIGHT_BYTES};
use super::book::Book;
use super::dialects::dialects;
use super::disk;
use super::draw::Draw;
use super::process::{NewHook, Process};
use super::receivers::Mood;
use crate::clock::{Clock, Hands};
use crate::deliver::queues;
use crate::domain::dialect::Dialect;
use crate::domain::id::EndpointNo;
use crate::domain::time::Timestamp;
use crate::store::{self, Limits, Machine, Medium, Options, Power};

/// Why a simulation stopped early: a law was broken, or the simulation itself could not go on.
pub(super) struct Broken(pub(super) String);

pub(super) type Held<T = ()> = Result<T, Broken>;

impl From<store::Error> for Broken {
    fn from(error: store::Error) -> Self {
        Self(format!("the store broke: {error}"))
    }
}

/// Ends the function with [`Broken`] and the message when the condition is false.
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
    /// The webhooks that the config file lists.
    pub(super) file: Vec<NewHook>,
    pub(super) moods: BTreeMap<EndpointNo, Mood>,
    pub(super) process: Option<Process>,
    /// What will happen, by its time and then by the order in which it was added.
    agenda: BTreeMap<(Duration, u64), Happening>,
    /// How many entries were ever added to `agenda`.
    noted: u64,
    /// How many processes of the service were started. Entries of `agenda` that belong to an earlier process are skipped.
    pub(super) life: u64,
    pub(super) attempts: u64,
    /// Whether the last phase has begun, in which no fault happens and every receiver answers with success.
    pub(super) is_calm: bool,
    /// Whether the disk is nearly full.
    pub(super) is_disk_low: bool,
    /// Whether this seed has events that go to more webhooks than one batch of the writer takes.
    pub(super) is_wide: bool,
    pub(super) pace: Pace,
    pub(super) trace: Trace,
    pub(super) counts: Counts,
    /// The true time at which the simulation began.
    pub(super) began: Timestamp,
    pub(super) doubts: Doubts,
    /// The webhooks that the present turn changed. They are checked after the turn.
    pub(super) touched: BTreeSet<EndpointNo>,
    /// Whether the process was started and its writer has not had a turn since.
    pub(super) is_fresh: bool,
    /// Whether the present turn both changed webhooks and published events, so that the order of the two is not known.
    pub(super) is_mixed: bool,
    /// How many turns the writer has had in a row, without another entry of `agenda` in between.
    pub(super) in_a_row: u32,
    /// The time of the next check whether all deliveries have ended.
    pub(super) next_look: Duration,
}

/// The mean times between two publications, commands, crashes and jumps of the clock. They differ from seed to seed.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) publish: Duration,
    pub(super) command: Duration,
    pub(super) crash: Duration,
    pub(super) jump: Duration,
}

/// How often each thing happened in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) published: u64,
    pub(super) attempts: u64,
    pub(super) crashes: u64,
    pub(super) turns: u64,
    pub(super) disabled: u64,
}

/// An entry of the agenda. The numbers are those of a process and of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    Publish,
    Command,
    Mood(EndpointNo),
    Jump,
    /// The process of the service is killed at once.
    Kill,
    /// The service is stopped in order, as by SIGTERM.
    Stop,
    /// The power fails at one of the next writes or syncs.
    Fuse,
    /// The disk becomes nearly full, or has room again.
    Disk,
    Start,
    Audit,
    /// A turn of the writer of the process with this number, as are the entries below.
    Turn(u64),
    Checkpoint(u64),
    Send(u64, u64),
    End(u64, u64),
    Retake(u64),
}

/// The last steps of a run, which are printed when a law is broken, and a hash over all steps, which tells whether two runs were
/// the same.
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
            audit_retention: Duration::from_secs(90 * 24 * 3_600),
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
            is_disk_low: false,
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
            (disk::WITH_ROOM, Happening::Disk),
            (AUDITS, Happening::Audit),
        ] {
            let wait = self.draw.wait(mean);
            self.note(wait, happening);
        }
    }

    /// Adds to the agenda what happens when `after` has passed.
    pub(super) fn note(&mut self, after: Duration, happening: Happening) {
        self.noted += 1;
        self.agenda.insert((self.hands.elapsed() + after, self.noted), happening);
    }

    pub(super) fn step(&self, line: impl FnOnce() -> String) {
        let now = self.hands.elapsed();
        self.trace.step(format!("{}.{:06} {}", now.as_secs(), now.subsec_micros(), line()));
    }

    /// Runs a day with faults, then goes on without faults until all deliveries have ended.
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

    /// Moves time on to the next entry of the agenda or to the time at which the writer wakes, whichever is first, and lets it
    /// happen.
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
            Happening::Disk => {
                self.change_disk();
                Ok(())
            }
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

    /// Does `act`, and adds the same entry to the agenda again after a random time around `mean`. In the calm phase it does nothing.
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
        self.set_disk_low(false);
        // The process is killed so that a failure of power that was already under way cannot happen in the calm phase.
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

/// Makes the folder of the store, in memory where the system offers that. It need not be durable, since the simulated power
/// supply decides what a crash leaves.
pub(super) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("there is room for temporary files")
}

/// One of so many seeds has events that go to very many webhooks.
const WIDE_EVERY: u64 = 200;

/// How many of its last steps a run shows when it breaks a law.
const LAST: usize = 60;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The most time that the calm phase may take. The longest retry schedule and the longest `Retry-After` end within it.
const CALM_MAX: Duration = Duration::from_secs(12 * 3_600);

/// The mean time between two checks of the whole store.
const AUDITS: Duration = Duration::from_secs(3 * 3_600);

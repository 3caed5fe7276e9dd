use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const START: Timestamp = Timestamp::from_secs(1_780_000_000);
const BOOT: u64 = 1;

/// A machine whose clocks the test moves.
struct Machine {
    keeper: TimeKeeper,
    reading: Reading,
}

impl Machine {
    fn new() -> Self {
        let reading = Reading { wall: START, boot: DAY };
        Self { keeper: TimeKeeper::trusting(reading), reading }
    }

    /// Lets time pass, in steps as long as the service's looks.
    fn pass(&mut self, by: Duration) -> Vec<News> {
        let (mut left, mut news) = (by, Vec::new());
        while left > Duration::ZERO {
            let step = left.min(10 * MINUTE);
            left -= step;
            self.reading = Reading { wall: self.reading.wall + step, boot: self.reading.boot + step };
            news.extend(self.keeper.look(self.reading));
        }
        news
    }

    fn forward(&mut self, by: Duration) -> Option<News> {
        self.reading.wall = self.reading.wall + by;
        self.keeper.look(self.reading)
    }

    fn back(&mut self, by: Duration) -> Option<News> {
        self.reading.wall = self.reading.wall - by;
        self.keeper.look(self.reading)
    }

    fn restart(&mut self, boot_id: u64) -> Option<News> {
        self.keeper = TimeKeeper::resume(self.keeper.kept(BOOT), self.reading, boot_id);
        self.keeper.look(self.reading)
    }

    /// Boots the machine at the time `wall`. The boot clock begins anew.
    fn boot(&mut self, wall: Timestamp) -> Option<News> {
        self.reading = Reading { wall, boot: MINUTE };
        self.restart(BOOT + 1)
    }

    fn why(&self) -> Option<Why> {
        self.keeper.doubt().map(|doubt| doubt.why)
    }

    fn since_start(&self) -> Duration {
        self.keeper.now().since(START)
    }
}

#[test]
fn a_clock_that_is_right_is_followed() {
    let mut machine = Machine::new();
    assert_eq!(machine.pass(3 * DAY), []);
    assert_eq!((machine.since_start(), machine.keeper.signed(), machine.why()), (3 * DAY, machine.reading.wall, None));
}

#[test]
fn a_jump_forward_changes_no_waiting_time_and_is_told_once() {
    let mut machine = Machine::new();
    machine.pass(HOUR);
    let off = 30 * DAY;
    assert_eq!(machine.forward(off), Some(News::Doubted(Doubt { why: Why::Ahead, off, held: Duration::ZERO })));
    assert_eq!(machine.pass(HOUR), []);
    assert_eq!((machine.since_start(), machine.why()), (2 * HOUR, Some(Why::Ahead)));
    assert_eq!(
        machine.keeper.signed(),
        machine.reading.wall,
        "after a pause of a virtual machine it is the wall clock that is right"
    );
}

#[test]
fn a_clock_that_is_put_right_leaves_everything_as_it_was() {
    for forward in [true, false] {
        let mut machine = Machine::new();
        let jump = |machine: &mut Machine, forward| if forward { machine.forward(30 * DAY) } else { machine.back(30 * DAY) };
        jump(&mut machine, forward);
        machine.pass(HOUR);
        assert_eq!(jump(&mut machine, !forward), Some(News::Right));
        assert_eq!((machine.since_start(), machine.why(), machine.keeper.signed()), (HOUR, None, machine.reading.wall));
    }
}

#[test]
fn nothing_is_signed_with_a_time_that_jumped_back() {
    let mut machine = Machine::new();
    assert!(matches!(machine.back(30 * DAY), Some(News::Doubted(Doubt { why: Why::Behind, .. }))));
    machine.pass(HOUR);
    assert_eq!((machine.since_start(), machine.keeper.signed()), (HOUR, START + HOUR));
}

#[test]
fn after_a_day_in_doubt_the_wall_clock_is_believed() {
    let mut machine = Machine::new();
    machine.forward(30 * DAY);
    assert_eq!(machine.pass(DAY - HOUR), []);
    assert_eq!(machine.since_start(), DAY - HOUR);
    assert!(matches!(machine.pass(2 * HOUR)[..], [News::Believed(Doubt { why: Why::Ahead, .. })]));
    assert_eq!((machine.keeper.now(), machine.why()), (machine.reading.wall, None));
}

#[test]
fn an_operator_who_accepts_the_clock_is_believed_at_once() {
    let mut machine = Machine::new();
    assert!(!machine.keeper.accept(), "nobody doubts it");
    machine.forward(30 * DAY);
    assert!(machine.keeper.accept());
    assert_eq!((machine.keeper.now(), machine.keeper.signed()), (machine.reading.wall, machine.reading.wall));
    assert_eq!(machine.pass(HOUR), []);
}

#[test]
fn an_accepted_clock_that_went_back_is_caught_up_with() {
    let mut machine = Machine::new();
    machine.back(HOUR);
    assert!(machine.keeper.accept());
    assert_eq!((machine.since_start(), machine.keeper.signed()), (Duration::ZERO, machine.reading.wall));
    let news = machine.pass(5 * HOUR);
    assert_eq!((news, machine.since_start(), machine.keeper.signed()), (vec![], 5 * HOUR - HOUR / 2, machine.reading.wall));
    machine.pass(6 * HOUR);
    assert_eq!(machine.keeper.now(), machine.reading.wall, "they met");
}

#[test]
fn small_steps_are_followed_and_time_never_goes_back() {
    let mut machine = Machine::new();
    assert_eq!(machine.forward(30 * SECOND), None);
    assert_eq!(machine.since_start(), 30 * SECOND);
    machine.pass(HOUR);
    let before = machine.keeper.now();
    assert_eq!(machine.back(30 * SECOND), None);
    assert_eq!(machine.keeper.now(), before);
    machine.pass(MINUTE);
    assert_eq!(machine.keeper.now(), before + 54 * SECOND);
    machine.pass(HOUR);
    assert_eq!((machine.keeper.now(), machine.why()), (machine.reading.wall, None));
}

#[test]
fn steps_of_less_than_a_minute_do_not_add_up_to_a_jump_unseen() {
    let mut machine = Machine::new();
    let news: Vec<News> = (0..10).filter_map(|_| machine.forward(50 * SECOND)).collect();
    assert!(matches!(news[..], [News::Doubted(Doubt { why: Why::Ahead, .. })]), "{news:?}");
    assert!(machine.since_start() <= MINUTE);
}

#[test]
fn a_clock_that_drifts_slowly_is_followed() {
    let mut machine = Machine::new();
    for _ in 0..24 * 30 {
        assert_eq!(machine.pass(HOUR), []);
        assert_eq!(machine.forward(2 * SECOND), None);
    }
    assert_eq!(machine.keeper.now(), machine.reading.wall);
    for _ in 0..24 * 30 {
        assert_eq!(machine.pass(HOUR), []);
        assert_eq!(machine.back(2 * SECOND), None);
    }
    assert!(machine.keeper.now().since(machine.reading.wall) <= 2 * SECOND);
}

/// Both clocks went on while nobody looked.
#[test]
fn a_machine_that_slept_has_no_jump() {
    let mut machine = Machine::new();
    machine.reading = Reading { wall: START + 8 * HOUR, boot: machine.reading.boot + 8 * HOUR };
    assert_eq!(machine.keeper.look(machine.reading), None);
    assert_eq!(machine.since_start(), 8 * HOUR);
}

#[test]
fn a_restart_in_the_middle_of_a_jump_changes_nothing() {
    let mut machine = Machine::new();
    machine.forward(30 * DAY);
    machine.pass(20 * HOUR);
    assert_eq!(machine.restart(BOOT), None);
    assert_eq!((machine.since_start(), machine.why()), (20 * HOUR, Some(Why::Ahead)));
    assert!(matches!(machine.pass(5 * HOUR)[..], [News::Believed(_)]), "the hours before the restart count");
}

#[test]
fn a_jump_while_the_service_was_stopped_is_seen_at_its_start() {
    let mut machine = Machine::new();
    machine.reading = Reading { wall: START + 30 * DAY, boot: machine.reading.boot + HOUR };
    assert!(matches!(machine.restart(BOOT), Some(News::Doubted(Doubt { why: Why::Ahead, .. }))));
    assert_eq!(machine.since_start(), HOUR);
}

#[test]
fn a_boot_in_the_middle_of_a_jump_leaves_it_in_doubt() {
    let mut machine = Machine::new();
    machine.forward(30 * DAY);
    machine.pass(HOUR);
    machine.boot(machine.reading.wall + 5 * MINUTE);
    assert_eq!((machine.since_start(), machine.why()), (HOUR + 5 * MINUTE, Some(Why::Ahead)));
}

#[test]
fn a_clock_put_right_by_a_boot_is_followed() {
    let mut machine = Machine::new();
    machine.forward(30 * DAY);
    machine.pass(HOUR);
    machine.boot(START + HOUR + 5 * MINUTE);
    assert_eq!((machine.since_start(), machine.why()), (HOUR + 5 * MINUTE, None));
}

#[test]
fn a_boot_with_the_clock_of_1970_goes_on_from_the_newest_time_known() {
    let mut machine = Machine::new();
    machine.pass(HOUR);
    machine.boot(Timestamp::from_secs(60));
    assert_eq!(machine.why(), Some(Why::Early));
    machine.pass(MINUTE);
    assert_eq!((machine.since_start(), machine.keeper.signed()), (HOUR + MINUTE, START + HOUR + MINUTE));
    // The time service sets the clock. Nobody knows how long the machine was off.
    machine.reading.wall = START + 3 * HOUR;
    assert_eq!(machine.keeper.look(machine.reading), Some(News::Right));
    assert_eq!((machine.since_start(), machine.keeper.signed(), machine.why()), (3 * HOUR, machine.reading.wall, None));
}

#[test]
fn a_store_without_a_kept_time_begins_from_its_newest_event() {
    let (newest, boot) = (START, DAY);
    let early = TimeKeeper::since(newest, Reading { wall: Timestamp::EPOCH, boot });
    assert_eq!((early.now(), early.signed(), early.doubt().map(|doubt| doubt.why)), (newest, newest, Some(Why::Early)));
    let later = TimeKeeper::since(newest, Reading { wall: START + 30 * DAY, boot });
    assert_eq!((later.now(), later.doubt()), (START + 30 * DAY, None));
}

#[test]
fn a_long_absence_deletes_nothing_for_a_day() {
    let mut machine = Machine::new();
    machine.boot(START + 30 * DAY);
    assert_eq!((machine.keeper.now(), machine.why()), (START + 30 * DAY, Some(Why::Away)));
    machine.pass(DAY - HOUR);
    assert_eq!((machine.keeper.now(), machine.why()), (machine.reading.wall, Some(Why::Away)));
    machine.pass(HOUR);
    assert_eq!(machine.why(), None);
    machine.boot(machine.reading.wall + HOUR);
    assert_eq!(machine.why(), None);
}

#[test]
fn a_clock_behind_before_a_boot_is_doubted_until_it_reaches_what_was_known() {
    let mut machine = Machine::new();
    machine.pass(HOUR);
    machine.back(30 * DAY);
    machine.boot(START - 29 * DAY);
    assert_eq!(machine.why(), Some(Why::Behind), "the clock went on from where it was");
    assert_eq!(machine.since_start(), DAY, "so much has passed by that clock while the machine was off");
    machine.boot(START + DAY + HOUR);
    assert_eq!((machine.why(), machine.since_start()), (None, DAY + HOUR), "the clock is later than all that was known");
}

#[test]
fn a_doubt_tells_its_name_and_how_long_it_lasts() {
    let mut machine = Machine::new();
    machine.forward(30 * DAY);
    machine.pass(HOUR);
    let doubt = machine.keeper.doubt().expect("the clock jumped");
    assert_eq!((doubt.left(), doubt.why.name()), (23 * HOUR, "ahead"));
    assert_eq!(Doubt { held: 2 * DAY, ..doubt }.left(), Duration::ZERO);
    assert_eq!([Why::Behind, Why::Early, Why::Away].map(Why::name), ["behind", "early", "away"]);
    assert_eq!(machine.keeper.looked_at(), machine.reading.boot);
}

proptest! {
    /// Whatever the wall clock does, the service's time goes on, by no more than the time that has passed and the steps that it
    /// may follow.
    #[test]
    fn the_time_never_goes_back_and_never_leaps(moves in prop::collection::vec((0..7_200_u64, -100_000_000..100_000_000_i64), 1..60)) {
        let mut machine = Machine::new();
        for (passed, step) in moves {
            let (before, was) = (machine.keeper.now(), machine.keeper.doubt());
            let passed = Duration::from_secs(passed);
            let wall = machine.reading.wall + passed;
            let by = Duration::from_secs(step.unsigned_abs());
            let wall = if step < 0 { wall - by } else { wall + by };
            machine.reading = Reading { wall, boot: machine.reading.boot + passed };
            let believed = matches!(machine.keeper.look(machine.reading), Some(News::Believed(_)));
            prop_assert!(machine.keeper.now() >= before);
            prop_assert!(believed || machine.keeper.now() <= before + passed + JUMP, "{was:?}");
        }
    }

    /// A clock that goes wrong and is put right within a day changes nothing.
    #[test]
    fn a_clock_put_right_in_time_changes_nothing(
        moves in prop::collection::vec((0..3_600_u64, 61..100_000_000_i64, any::<bool>()), 1..20),
        boots in any::<bool>(),
    ) {
        let mut machine = Machine::new();
        let mut passed = Duration::ZERO;
        for (secs, step, back) in moves {
            let by = Duration::from_secs(secs);
            passed += by;
            machine.pass(by);
            let off = Duration::from_secs(step.unsigned_abs());
            let right = START + passed;
            machine.reading.wall = if back { right - off } else { right + off };
            machine.keeper.look(machine.reading);
        }
        if boots {
            machine.restart(BOOT);
        }
        machine.reading.wall = START + passed;
        machine.keeper.look(machine.reading);
        prop_assert_eq!((machine.since_start(), machine.why()), (passed, None));
        prop_assert_eq!(machine.keeper.signed(), START + passed);
    }
}

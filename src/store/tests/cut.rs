//! Starts that lose their power: at each write and sync of one, and whatever becomes of what was not synced.

use super::*;
use crate::store::redb::medium::{Medium, Power, Surge};

/// Opens a store without a writer; the power fails after so many writes and syncs. Whether it was open before that.
fn opened(folder: &TempDir, steps: u64, surge: Surge) -> bool {
    let power = Arc::new(Power::default());
    power.fail_after(steps);
    let machine = Machine { medium: Medium::powered_by(power.clone()), ..Machine::default() };
    let opened = Store::open(&Options { machine, ..options(&path(folder.path())) });
    let was_open = opened.map(|(store, _)| assert!(store.findings().is_empty(), "{}", store.findings()[0])).is_ok();
    let mut draws = 0;
    power
        .restore(surge, |below| {
            draws += 1;
            draws % below
        })
        .unwrap();
    was_open
}

/// A start that follows a crash after which nothing was journaled, with a journal that an earlier run has left.
#[test]
fn a_start_that_is_cut_at_any_step_leaves_nothing_wrong() {
    for surge in [Surge::Keeps, Surge::Loses, Surge::Tears] {
        let lab = Lab::new();
        let published = lab.publish_each(3);
        let folder = lab.killed().write();
        drop(lab);
        assert!(opened(&folder, 1_000, Surge::Keeps));
        let mut steps = 0;
        while !opened(&folder, steps, surge) {
            steps += 1;
        }
        assert!(steps > 10, "a start has more steps than {steps}");
        let (store, _unstarted) = look(&folder).unwrap();
        assert!(store.findings().is_empty(), "{}", store.findings()[0]);
        assert_eq!(events(&store), published);
    }
}

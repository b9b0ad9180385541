//! `loopbox run` of short programs on a machine whose processor is busy with others.

use std::process::{Child, Command};

use crate::cases::clean::traces;
use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};

cases![short_runs_end_well_and_leave_nothing_mounted];

/// What loopbox starts beside a program may come later than the program's end in any of them.
const RUNS: usize = 40;
/// The machine has one processor, of which each of these wants all.
const SPINNING: usize = 2;

/// Processes that do nothing, as fast as they can.
struct Spinning([Child; SPINNING]);

impl Spinning {
    fn start() -> Spinning {
        let spin = || Command::new("sh").args(["-c", "while :; do :; done"]).spawn();
        Spinning(std::array::from_fn(|_| spin().expect("a shell can be started")))
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Both fail only if it is dead already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn short_runs_end_well_and_leave_nothing_mounted(place: &Place) {
    let loopbox = Loopbox::at(place);
    let _spinning = Spinning::start();
    for run in 0..RUNS {
        let ran = loopbox.run(["run", "--with", "true", "--", "true"]);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "run {run}");
        traces::assert_none(&loopbox);
    }
}

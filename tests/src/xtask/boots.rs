//! Boots of the virtual machine, some at a time: each runs a set of cases or a suite.

use std::ffi::OsString;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::demo::Workload;
use crate::demo::ways::machine;
use crate::lab::{Lab, say};
use crate::tally::Tally;
use crate::vm::{Output, Vm};

/// How many machines run at once: each has one CPU and up to 4 GiB. More than a small machine has CPUs, as the first does
/// little but wait, and others wait at times.
const MACHINES: usize = 4;

/// Sets whose cases build: their machine has the demonstration's store.
const WITH_STORE: [&str; 6] = ["graph", "hide", "hold", "shell", "backends", VERIFY];

/// Its machine has little memory, in MiB, so that writing more than that takes seconds.
const VERIFY: &str = "verify";
const LITTLE_MEMORY: u32 = 512;

/// Runs a command, each time with other arguments, in a machine of its own that is killed after `limit`.
pub fn run(lab: &Lab, command: &[OsString], all: &[&[&str]], limit: Duration) -> Tally {
    say(&format!(
        "cases in the virtual machine, {MACHINES} at a time; the results of each come when it has ended"
    ));
    let queue = Mutex::new(all.iter());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    let work = || {
        let mut tally = Tally::default();
        while let Some(arguments) = next() {
            tally.add(boot(lab, command, arguments, limit));
        }
        tally
    };
    thread::scope(|scope| {
        let machines: Vec<_> = (0..MACHINES).map(|_| scope.spawn(work)).collect();
        machines.into_iter().map(|machine| machine.join().unwrap_or(Tally::one(false))).sum()
    })
}

/// One boot; its output comes out whole when it has ended.
fn boot(lab: &Lab, command: &[OsString], arguments: &[&str], limit: Duration) -> Tally {
    say(&format!("starting a machine for {}", arguments.join(" ").replace("__vm-", "")));
    let mut words = command.to_vec();
    words.extend(arguments.iter().map(OsString::from));
    let run = |vm: Vm| Vm { timeout: limit, ..vm }.run(lab, &words, Output::Capture);
    match machine_for(lab, arguments).and_then(run) {
        Ok(finished) => {
            let text = String::from_utf8_lossy(&finished.stdout);
            print!("{text}{}", String::from_utf8_lossy(&finished.stderr));
            let counted = text.lines().rev().find_map(Tally::parse);
            counted.filter(|tally| finished.status == 0 || tally.failed > 0).unwrap_or(Tally::one(false))
        }
        Err(error) => {
            println!("{arguments:?}: {error:#}");
            Tally::one(false)
        }
    }
}

/// The machine that these arguments need.
fn machine_for(lab: &Lab, arguments: &[&str]) -> Result<Vm> {
    let vm = if arguments.iter().any(|word| WITH_STORE.contains(word)) {
        machine(&Workload::prepare(lab)?)
    } else {
        Vm::default()
    };
    let memory = if arguments.contains(&VERIFY) { LITTLE_MEMORY } else { vm.memory };
    Ok(Vm { memory, ..vm })
}

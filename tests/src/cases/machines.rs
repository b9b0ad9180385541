//! The demonstration's graph, built by two machines for a third one, which loses one of them.

use std::time::{Duration, Instant};

use super::loopbox::{Ran, ran};
use super::nix::machines::{Machine, Machines};
use super::nix::store::Store;
use super::{Place, cases};
use crate::demo::Workload;
use crate::lab::Lab;

cases![what_one_machine_has_not_built_when_it_is_lost_the_other_builds];

/// How long they may take until both have built something.
const PATIENCE: Duration = Duration::from_secs(300);

/// How many builds the second machine begins before it is lost.
const BEFORE: usize = 2;

fn what_one_machine_has_not_built_when_it_is_lost_the_other_builds(place: &Place) {
    let lab = Lab::open().expect("the checkout is there");
    let workload = Workload::prepare(&lab).expect("the store was prepared outside");
    let store = Store::of_machine(place, "substituters =\n");
    let mut machines = Machines::start(place, store);
    let graph = ["--quiet".as_ref(), workload.graph.as_os_str()];
    let derivations = machines.store.ask("nix-instantiate", graph);
    let derivations: Vec<&str> = derivations.lines().collect();
    let mut build = machines.realise(&derivations).spawn().expect("Nix can be started");
    let began = Instant::now();
    while machines.builders[1].builds() < BEFORE || machines.builders[0].builds() == 0 {
        let logs = || machines.builders.iter().map(Machine::logs).collect::<String>();
        assert!(build.try_wait().expect("it can be asked for").is_none(), "{}", logs());
        assert!(began.elapsed() < PATIENCE, "{}", logs());
        std::thread::sleep(Duration::from_millis(100));
    }
    machines.builders[1].lose();
    let first = Ran::from(build.wait_with_output().expect("it ends"));
    let again = ran(&mut machines.realise(&derivations));
    assert_eq!(again.status, 0, "{}\n{}", first.stderr, again.stderr);
    let counts: Vec<usize> = machines.builders.iter().map(Machine::builds).collect();
    assert!(counts.iter().sum::<usize>() >= derivations.len(), "{counts:?}");
    // What each build asked for in vain is in the log of the machine that plans.
    let told = [&first, &again].map(|ran| ran.stderr.matches("not in its view").count());
    assert!(told.iter().sum::<usize>() > 0, "{}\n{}", first.stderr, again.stderr);
    eprintln!("the machines began {counts:?} builds, and {told:?} of them told what they asked for in vain");
}

//! A build, and what cleans up after one, killed at each change that they make to a file, and refused each of them.

pub mod power;

use std::process::{Command, Stdio};
use std::{fs, io};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::store::Store;
use super::traces;
use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};
use crate::tracer::{self, Counted, Fate, Traced};

cases![
    a_build_killed_at_any_change_leaves_all_of_it_or_nothing,
    a_build_killed_at_any_call_of_registration_leaves_all_of_it_or_nothing,
    a_build_that_is_refused_any_change_leaves_all_of_it_or_nothing,
    cleaning_up_can_be_killed_at_any_change,
];

/// Two outputs with what has to be made canonical: modes, times, links. They refer to each other's file system and to an input.
const SCRIPT: &str = "mkdir $out $dev; echo $PATH > $out/input; echo x > $dev/x; chmod 755 $dev/x; \
                      ln $dev/x $dev/y; ln -s x $dev/z";
const ATTRIBUTES: &str = "outputs = [ \"out\" \"dev\" ];";
const OUTPUTS: usize = 2;
/// Of so many changes one is tried, another one in each run; with `LOOPBOX_CHANGES` all are.
const STRIDE: usize = 12;
/// The same of system calls.
const CALLS_STRIDE: usize = 60;
const ALL: &str = "LOOPBOX_CHANGES";

/// What Nix's database says instead of what the system says.
const DATABASE: [&str; 2] = ["database or disk is full", "disk I/O error"];

/// Whether somebody has asked for all of them.
pub fn tries_all() -> bool {
    std::env::var_os(ALL).is_some()
}

/// The changes that are tried: one in so many, unless all are.
fn tried(stride: usize) -> impl Iterator<Item = usize> {
    let stride = if tries_all() { 1 } else { stride };
    let first = 1 + std::process::id() as usize % stride;
    println!("from change {first} on, one in {stride}; {ALL}=1 tries all");
    (first..).step_by(stride)
}

fn a_build_killed_at_any_change_leaves_all_of_it_or_nothing(place: &Place) {
    let check = |traced: &Traced| assert_eq!(traced.status, None, "it goes on");
    at_changes(place, Counted::Changes, tried(STRIDE), Fate::Killed, check);
}

/// Also where nothing on a disk becomes different: a lock may be held, a thread wait, Nix's database be read.
fn a_build_killed_at_any_call_of_registration_leaves_all_of_it_or_nothing(place: &Place) {
    let check = |traced: &Traced| assert_eq!(traced.status, None, "it goes on");
    at_changes(place, Counted::CallsOfRegistration, tried(CALLS_STRIDE), Fate::Killed, check);
}

fn a_build_that_is_refused_any_change_leaves_all_of_it_or_nothing(place: &Place) {
    at_changes(place, Counted::Changes, tried(STRIDE), Fate::Refused, |traced| {
        let change = traced.hit.as_ref().expect("one was refused");
        assert!(traced.status.is_some(), "it was killed");
        let own = io::Error::from(change.errno).to_string();
        let told = [own.as_str()].iter().chain(&DATABASE).any(|words| traced.stderr.contains(words));
        let matters = traced.status != Some(0) || change.name.contains("/log/");
        assert!(!matters || told, "what went wrong is not told:\n{}", traced.stderr);
        if change.call == "unlink" && change.name.ends_with(".lock") {
            // Nix leaves them too, and its collector removes them.
            assert!(traced.stderr.contains(&change.name), "{}", traced.stderr);
            fs::remove_file(&change.name).expect("the lock file is there");
        }
    });
}

/// Builds with each of the changes having this fate, and looks what is left.
fn at_changes(
    place: &Place,
    counted: Counted,
    tried: impl Iterator<Item = usize>,
    fate: Fate,
    check: impl Fn(&Traced),
) {
    let loopbox = Loopbox::at(place);
    let mut store = Store::make(place);
    let build = store.plain_script(place, SCRIPT, ATTRIBUTES);
    store.keep();
    let (mut hit, mut whole) = (0, 0);
    for at in tried {
        let traced = tracer::run(&build, counted, at, fate).expect("the build can be traced");
        let Some(change) = &traced.hit else {
            assert_eq!(traced.status, Some(0), "{}", traced.stderr);
            assert_eq!(left(&loopbox, &store), OUTPUTS);
            break;
        };
        // A failure is shown with the change that led to it.
        println!("{at}: {} {:?}, then status {:?}", change.call, change.name, traced.status);
        check(&traced);
        hit += 1;
        let outputs = left(&loopbox, &store);
        assert!([0, OUTPUTS].contains(&outputs), "{outputs} of {OUTPUTS} outputs");
        assert!(traced.status != Some(0) || outputs == OUTPUTS, "it said that all was well");
        whole += usize::from(outputs == OUTPUTS);
    }
    println!("{hit} changes, after {whole} of which the outputs were there");
    assert!(hit > 0);
    store.verify();
}

/// How many outputs there are, when the next command has cleaned up.
fn left(loopbox: &Loopbox, store: &Store) -> usize {
    traces::wait_until_gone(&store.users);
    loopbox.good(["clean"]);
    traces::assert_none(loopbox);
    store.assert_unchanged()
}

fn cleaning_up_can_be_killed_at_any_change(place: &Place) {
    let loopbox = Loopbox::at(place);
    let mut store = Store::make(place);
    let mut build = store.plain_script(place, "sleep 1000", "");
    build.args(["--backend", "hardlink"]);
    store.keep();
    let clean = loopbox.command(["clean"]);
    let mut hit = 0;
    for at in tried(STRIDE) {
        leave_everything(&mut build, &store);
        let traced =
            tracer::run(&clean, Counted::Changes, at, Fate::Killed).expect("cleaning up can be traced");
        let outputs = left(&loopbox, &store);
        assert_eq!(outputs, 0);
        let Some(change) = &traced.hit else { break };
        println!("{at}: {} {:?}", change.call, change.name);
        hit += 1;
    }
    println!("{hit} changes");
    assert!(hit > 0);
    store.verify();
}

/// Kills a build together with all that would have cleaned up after it.
fn leave_everything(build: &mut Command, store: &Store) {
    let mut child = build.stderr(Stdio::null()).spawn().expect("loopbox can be started");
    let mut ended = || child.try_wait().is_ok_and(|status| status.is_some());
    assert!(traces::wait_for(&store.users, "sleep", &mut ended).is_some(), "the builder does not run");
    for pid in [child.id()].into_iter().chain(traces::jailers(child.id())) {
        // It may have ended by itself.
        let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
    }
    traces::wait_for_end(&mut child, &store.users);
    traces::wait_until_gone(&store.users);
}

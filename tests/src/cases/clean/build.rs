//! `loopbox build` of a graph, ended at random moments by SIGINT, SIGTERM and SIGKILL.

use std::process::Stdio;
use std::thread;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::moments::Moments;
use super::store::Store;
use super::traces;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::{Place, cases};

cases![builds_ended_at_random_moments_leave_nothing, builds_whose_supervisors_die_too_leave_nothing,];

/// How often a build is ended.
const TRIES: usize = 50;
/// How often it is killed with all its children: supervisors, and programs of Nix.
const TRIES_WITH_SUPERVISORS: usize = 12;
/// One after the other. A kill leaves the most to the next loopbox.
const SIGNALS: [Signal; 4] = [Signal::SIGKILL, Signal::SIGINT, Signal::SIGKILL, Signal::SIGTERM];

fn builds_ended_at_random_moments_leave_nothing(place: &Place) {
    let loopbox = Loopbox::at(place);
    let store = Store::make(place);
    let start = Instant::now();
    assert_eq!(build(&store, &loopbox), 5);
    let whole = start.elapsed();
    let mut moments = Moments::new();
    let mut finished = 0;
    for number in 0..TRIES {
        let (signal, after) = (SIGNALS[number % SIGNALS.len()], moments.within(whole));
        // A failure is shown with the moments that led to it.
        println!("{signal} after {} ms of {}", after.as_millis(), whole.as_millis());
        let mut child =
            store.build(&loopbox).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a build");
        thread::sleep(after);
        let _ = kill(Pid::from_raw(child.id() as i32), signal);
        let status = traces::wait_for_end(&mut child, &store.users);
        // None: killed, or too early for loopbox to have noticed. Zero: finished by then.
        assert!(
            [None, Some(0), Some(128 + signal as i32)].contains(&status),
            "loopbox ended with {status:?}"
        );
        traces::wait_until_gone(&store.users);
        loopbox.good(["clean"]);
        traces::assert_none(&loopbox);
        finished += store.assert_unchanged();
    }
    println!("{TRIES} builds ended, with {finished} outputs finished before");
    assert_eq!(build(&store, &loopbox), 5);
    store.verify();
}

/// Nobody takes anything down then but the next loopbox.
fn builds_whose_supervisors_die_too_leave_nothing(place: &Place) {
    let loopbox = Loopbox::at(place);
    let store = Store::make(place);
    let start = Instant::now();
    assert_eq!(build(&store, &loopbox), 5);
    let whole = start.elapsed();
    let mut moments = Moments::new();
    for _ in 0..TRIES_WITH_SUPERVISORS {
        let after = moments.within(whole);
        println!("everything killed after {} ms of {}", after.as_millis(), whole.as_millis());
        let mut child =
            store.build(&loopbox).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a build");
        thread::sleep(after);
        let supervisors = traces::children(child.id());
        for pid in [child.id()].into_iter().chain(supervisors) {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
        }
        traces::wait_for_end(&mut child, &store.users);
        loopbox.good(["clean"]);
        traces::wait_until_gone(&store.users);
        loopbox.good(["clean"]);
        traces::assert_none(&loopbox);
        store.assert_unchanged();
    }
    assert_eq!(build(&store, &loopbox), 5);
    store.verify();
}

/// Builds all of it; the answer is how many outputs there were.
fn build(store: &Store, loopbox: &Loopbox) -> usize {
    let built: Ran = store.build(loopbox).output().expect("loopbox can be started").into();
    assert_eq!(built.status, 0, "{}", built.stderr);
    traces::assert_none(loopbox);
    store.assert_unchanged()
}

//! `loopbox build` of a graph, ended at random moments by SIGINT, SIGTERM and SIGKILL.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::moments::Moments;
use super::store::Store;
use super::traces;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::{Place, cases};

cases![
    interrupted_builds_leave_nothing,
    terminated_builds_leave_nothing,
    killed_builds_leave_nothing,
    builds_whose_supervisors_die_too_leave_nothing,
    builds_of_which_any_process_is_killed_leave_nothing,
    killed_builds_of_links_leave_the_store_as_it_was,
    killed_builds_of_links_give_back_what_is_written_to,
];

/// How often a build is asked to end, by each of the two signals.
const ASKED: usize = 13;
/// How often it is killed, which leaves the most to the next loopbox.
const KILLED: usize = 24;
/// How often it is killed with all its children and theirs: supervisors, and programs of Nix.
const KILLED_WITH_SUPERVISORS: usize = 8;
/// How often any one process of it is killed; `LOOPBOX_KILLS` says another number.
const KILLED_ANYWHERE: usize = 8;
/// How often it is killed when its view is made of hard links to the store; `LOOPBOX_KILLS` says another number.
const KILLED_WITH_LINKS: usize = 6;
const KILLS: &str = "LOOPBOX_KILLS";
/// How long loopbox may take to end when a process of its own was killed.
const ENDS: Duration = Duration::from_secs(30);
/// How many outputs the graph has.
const OUTPUTS: usize = 5;

fn more_kills() -> Option<usize> {
    std::env::var(KILLS).ok().map(|number| number.parse().expect("LOOPBOX_KILLS is a number"))
}

/// How much longer than usual the cases may take, if somebody has asked for more: some seconds for each, on a slow machine.
pub fn time_for_more() -> Duration {
    let changes = if super::changes::tries_all() { 1000 } else { 0 };
    Duration::from_secs(20) * more_kills().map_or(0, |kills| kills.try_into().unwrap_or(u32::MAX))
        + Duration::from_secs(changes)
}

fn interrupted_builds_leave_nothing(place: &Place) {
    try_to_end(place, ASKED, Signal::SIGINT);
}

fn terminated_builds_leave_nothing(place: &Place) {
    try_to_end(place, ASKED, Signal::SIGTERM);
}

fn killed_builds_leave_nothing(place: &Place) {
    try_to_end(place, KILLED, Signal::SIGKILL);
}

/// The links are the store's own files, so that a wrong way to remove them would show there; the listing that is
/// compared has their link counts.
fn killed_builds_of_links_leave_the_store_as_it_was(place: &Place) {
    kill_builds_of_links(place, &["--backend", "hardlink"]);
}

/// What the build writes to is in the farm, and has to be back where it came from.
fn killed_builds_of_links_give_back_what_is_written_to(place: &Place) {
    kill_builds_of_links(place, &["--backend", "hardlink", "--scratch", "farm"]);
}

fn kill_builds_of_links(place: &Place, words: &[&str]) {
    let loopbox = Loopbox::at(place);
    try_at_moments(place, words, more_kills().unwrap_or(KILLED_WITH_LINKS), |child, store| {
        let all = [child.id()].into_iter().chain(traces::jailers(child.id()));
        for pid in all.filter(|_| child.id() % 2 == 0).chain([child.id()]) {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
        }
        traces::wait_for_end(child, &store.users);
        traces::wait_until_gone(&store.users);
        loopbox.good(["clean"]);
    });
}

/// loopbox itself, what forks its processes, a server, a supervisor, or a program in a view: whichever dies, the others end.
fn builds_of_which_any_process_is_killed_leave_nothing(place: &Place) {
    let choice = RefCell::new(Moments::new());
    let killed = RefCell::new(BTreeMap::<String, usize>::new());
    try_at_moments(place, &[], more_kills().unwrap_or(KILLED_ANYWHERE), |child, store| {
        let own = [child.id()].into_iter().chain(traces::jailers(child.id()));
        let all: Vec<u32> = own.chain(traces::of_users(&store.users)).collect();
        let one = all[choice.borrow_mut().below(all.len())];
        let name = std::fs::read_to_string(format!("/proc/{one}/comm")).unwrap_or_default();
        println!("killed: {one} {}", name.trim());
        *killed.borrow_mut().entry(name.trim().to_owned()).or_default() += 1;
        // It may have ended by itself.
        let _ = kill(Pid::from_raw(one.cast_signed()), Signal::SIGKILL);
        let killed = Instant::now();
        traces::wait_for_end(child, &store.users);
        assert!(killed.elapsed() < ENDS, "{name} was killed, and loopbox ended after {:?}", killed.elapsed());
        traces::wait_until_gone(&store.users);
    });
    println!("killed: {:?}", killed.into_inner());
}

fn try_to_end(place: &Place, tries: usize, signal: Signal) {
    try_at_moments(place, &[], tries, |child, store| {
        let _ = kill(Pid::from_raw(child.id() as i32), signal);
        let status = traces::wait_for_end(child, &store.users);
        // None: killed, or too early for loopbox to have noticed. Zero: finished by then.
        assert!(
            [None, Some(0), Some(128 + signal as i32)].contains(&status),
            "loopbox ended with {status:?}"
        );
        traces::wait_until_gone(&store.users);
    });
}

/// Nobody takes anything down then but the next loopbox.
fn builds_whose_supervisors_die_too_leave_nothing(place: &Place) {
    let loopbox = Loopbox::at(place);
    try_at_moments(place, &[], KILLED_WITH_SUPERVISORS, |child, store| {
        for pid in [child.id()].into_iter().chain(traces::jailers(child.id())) {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
        }
        traces::wait_for_end(child, &store.users);
        loopbox.good(["clean"]);
        traces::wait_until_gone(&store.users);
    });
}

/// Builds the graph so many times, ends that at a moment within the time that it takes, and looks what is left.
fn try_at_moments(place: &Place, words: &[&str], tries: usize, end: impl Fn(&mut Child, &Store)) {
    let loopbox = Loopbox::at(place);
    let store = Store::make(place);
    let start = Instant::now();
    assert_eq!(build(&store, &loopbox, words), OUTPUTS);
    let whole = start.elapsed();
    let mut moments = Moments::new();
    let mut finished = 0;
    for _ in 0..tries {
        let after = moments.within(whole);
        // A failure is shown with the moments that led to it.
        println!("after {} ms of {}", after.as_millis(), whole.as_millis());
        let mut build = store.build(&loopbox);
        let mut child = build
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("loopbox can be started");
        thread::sleep(after);
        end(&mut child, &store);
        loopbox.good(["clean"]);
        traces::assert_none(&loopbox);
        finished += store.assert_unchanged();
    }
    println!("{tries} builds ended, with {finished} outputs finished before");
    assert_eq!(build(&store, &loopbox, words), OUTPUTS);
    store.verify();
}

/// Builds all of it; the answer is how many outputs there were.
fn build(store: &Store, loopbox: &Loopbox, words: &[&str]) -> usize {
    let built: Ran = store.build(loopbox).args(words).output().expect("loopbox can be started").into();
    assert_eq!(built.status, 0, "{}", built.stderr);
    traces::assert_none(loopbox);
    store.assert_unchanged()
}

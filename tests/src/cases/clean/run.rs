//! `loopbox run` of a command that writes without end, ended in every way.

use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::moments::Moments;
use super::traces;
use crate::cases::loopbox::Loopbox;
use crate::cases::place::USER;
use crate::cases::{Place, cases};

cases![
    loopbox_interrupted,
    loopbox_terminated,
    loopbox_killed,
    the_supervisor_killed,
    the_server_killed,
    the_server_and_the_supervisor_killed,
    the_server_stopped_and_killed,
    what_forks_supervisors_killed,
    loopbox_stopped_and_killed,
    loopbox_and_its_supervisor_killed,
];

/// Writes the same file over and over, so that there always is something to write back.
const WRITER: &str = "while :; do dd if=/dev/zero of=/tmp/file bs=1M count=100 conv=notrunc; done";
/// The command writes for at most this long before something happens to loopbox.
const WRITES: Duration = Duration::from_millis(1500);
/// How long a stopped loopbox answers nothing: its command has to wait for it by then.
const STOPPED: Duration = Duration::from_secs(2);
/// How long the rest of the machine may be held up by what was not written.
const SYNC: Duration = Duration::from_secs(10);

/// A command in a view, and who is behind it.
struct Writing {
    loopbox: Loopbox,
    child: Child,
}

impl Writing {
    fn start(place: &Place) -> Writing {
        let loopbox = Loopbox::at(place);
        let user = USER.to_string();
        let words = ["run", "--with", "sh", "--with", "dd", "--uid", &user, "--", "sh", "-c", WRITER];
        let mut child = loopbox.command(words).stderr(Stdio::null()).spawn().expect("loopbox can be started");
        let ended = || child.try_wait().is_ok_and(|status| status.is_some());
        assert!(traces::wait_for(&[USER], "dd if=", ended).is_some(), "the command did not run");
        thread::sleep(Moments::new().within(WRITES));
        Writing { loopbox, child }
    }

    fn loopbox(&self) -> u32 {
        self.child.id()
    }

    fn process(&self, name: &str) -> u32 {
        traces::jailer(self.child.id(), name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// Nothing is left after the next loopbox, and nothing hangs.
    fn ends_with(mut self, status: Option<i32>) {
        assert_eq!(traces::wait_for_end(&mut self.child, &[USER]), status);
        traces::wait_until_gone(&[USER]);
        self.loopbox.good(["clean"]);
        traces::assert_none(&self.loopbox);
        let start = Instant::now();
        nix::unistd::sync();
        assert!(start.elapsed() < SYNC, "sync took {} s", start.elapsed().as_secs());
    }
}

fn send(signal: Signal, pid: u32) {
    kill(Pid::from_raw(pid as i32), signal).expect("it runs");
}

fn loopbox_interrupted(place: &Place) {
    let writing = Writing::start(place);
    send(Signal::SIGINT, writing.loopbox());
    writing.ends_with(Some(130));
}

fn loopbox_terminated(place: &Place) {
    let writing = Writing::start(place);
    send(Signal::SIGTERM, writing.loopbox());
    writing.ends_with(Some(143));
}

fn loopbox_killed(place: &Place) {
    let writing = Writing::start(place);
    send(Signal::SIGKILL, writing.loopbox());
    writing.ends_with(None);
}

fn the_supervisor_killed(place: &Place) {
    let writing = Writing::start(place);
    send(Signal::SIGKILL, writing.process(traces::SUPERVISOR));
    writing.ends_with(Some(125));
}

/// What asks it is killed too, and nothing waits for an answer.
fn the_server_killed(place: &Place) {
    let writing = Writing::start(place);
    send(Signal::SIGKILL, writing.process(traces::SERVER));
    writing.ends_with(Some(125));
}

/// Nobody is left to answer, nor to end the client.
fn the_server_and_the_supervisor_killed(place: &Place) {
    let writing = Writing::start(place);
    let (server, supervisor) = (writing.process(traces::SERVER), writing.process(traces::SUPERVISOR));
    send(Signal::SIGKILL, server);
    send(Signal::SIGKILL, supervisor);
    writing.ends_with(Some(125));
}

/// It does not answer for a while, and then never again.
fn the_server_stopped_and_killed(place: &Place) {
    let writing = Writing::start(place);
    send(Signal::SIGSTOP, writing.process(traces::SERVER));
    thread::sleep(STOPPED);
    send(Signal::SIGKILL, writing.process(traces::SERVER));
    writing.ends_with(Some(125));
}

/// What runs does so without it.
fn what_forks_supervisors_killed(place: &Place) {
    let mut writing = Writing::start(place);
    send(Signal::SIGKILL, writing.process(traces::FORK_SERVER));
    thread::sleep(STOPPED);
    assert!(writing.child.try_wait().is_ok_and(|status| status.is_none()), "it goes on");
    send(Signal::SIGTERM, writing.loopbox());
    writing.ends_with(Some(143));
}

fn loopbox_stopped_and_killed(place: &Place) {
    let writing = Writing::start(place);
    send(Signal::SIGSTOP, writing.loopbox());
    thread::sleep(STOPPED);
    send(Signal::SIGKILL, writing.loopbox());
    writing.ends_with(None);
}

/// Nobody is left to abort the calls of the command but the next loopbox.
fn loopbox_and_its_supervisor_killed(place: &Place) {
    let mut writing = Writing::start(place);
    let supervisor = writing.process(traces::SUPERVISOR);
    send(Signal::SIGKILL, writing.loopbox());
    send(Signal::SIGKILL, supervisor);
    traces::wait_for_end(&mut writing.child, &[]);
    writing.loopbox.good(["clean"]);
    writing.ends_with(None);
}

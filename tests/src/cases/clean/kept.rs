//! Files of a view that somebody outside keeps open beyond its end: they are of no use any more, and hold nobody up.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::traces;
use crate::cases::loopbox::Loopbox;
use crate::cases::place::USER;
use crate::cases::{Place, cases};

cases![a_file_that_outlives_its_run_holds_up_no_sync, a_file_that_outlives_a_killed_run_holds_up_no_sync,];

/// Ends when its file `go` is there.
const PROGRAM: &str = "echo old > /work/file; until test -e /work/go; do sleep 0.05; done";
/// How long what nobody answers any more may hold up whoever uses it; a call that nobody ends would take a minute.
const ENDS: Duration = Duration::from_secs(10);

/// A run, and a file of its view that this process has open: nobody may keep a program from passing one on.
fn kept(place: &Place) -> (Loopbox, Child, File) {
    let loopbox = Loopbox::at(place);
    let work = format!("{}:/work", place.directory("work").display());
    let user = USER.to_string();
    std::os::unix::fs::chown(place.path("work"), Some(USER), Some(USER)).expect("root can give it away");
    let words = ["run", "--with", "sh", "--with", "sleep", "--with", "test", "--rw", &work, "--uid", &user];
    let mut command = loopbox.command(words.into_iter().chain(["--", "sh", "-c", PROGRAM]));
    let mut child = command.stderr(Stdio::null()).spawn().expect("loopbox can be started");
    let mut file = None;
    while file.is_none() {
        assert_eq!(child.try_wait().expect("it can be waited for"), None, "the run has ended");
        thread::sleep(Duration::from_millis(20));
        // The shell has made it by now, or not yet.
        file = traces::find(&[USER], "sh -c echo old")
            .and_then(|shell| File::options().write(true).open(format!("/proc/{shell}/root/work/file")).ok());
    }
    (loopbox, child, file.expect("it is open"))
}

/// What is written now has nowhere to go, and whoever waits for it is told so.
fn assert_useless(file: &File) {
    let start = Instant::now();
    // In the client's memory, or refused at once.
    let written = file.write_all_at(b"new", 0).and_then(|()| file.sync_all());
    assert!(written.is_err(), "what was written went somewhere");
    nix::unistd::sync();
    assert!(start.elapsed() < ENDS, "sync took {} s", start.elapsed().as_secs());
}

fn a_file_that_outlives_its_run_holds_up_no_sync(place: &Place) {
    let (loopbox, mut child, file) = kept(place);
    place.file("work/go", "");
    assert_eq!(traces::wait_for_end(&mut child, &[USER]), Some(0));
    assert_useless(&file);
    traces::assert_none(&loopbox);
    assert_eq!(std::fs::read_to_string(place.path("work/file")).expect("it is there"), "old\n");
}

fn a_file_that_outlives_a_killed_run_holds_up_no_sync(place: &Place) {
    let (loopbox, mut child, file) = kept(place);
    let both = traces::jailers(child.id()).into_iter().chain([child.id()]);
    for pid in both.collect::<Vec<_>>() {
        kill(Pid::from_raw(pid as i32), Signal::SIGKILL).expect("it runs");
    }
    traces::wait_for_end(&mut child, &[]);
    assert_useless(&file);
    drop(file);
    loopbox.good(["clean"]);
    traces::wait_until_gone(&[USER]);
    traces::assert_none(&loopbox);
}

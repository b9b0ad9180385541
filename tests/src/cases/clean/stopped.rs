//! A loopbox that answers nothing for a while, as on a machine that was suspended or is starved: whoever asks waits.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::traces;
use crate::cases::loopbox::Loopbox;
use crate::cases::place::USER;
use crate::cases::{Place, cases};

cases![what_is_there_is_found_after_a_minute_without_answers];

/// Longer than a client that is not hard waits by default: a minute and the time until its timer looks (nfs(5), `timeo`
/// and `retrans`).
const STOPPED: Duration = Duration::from_secs(75);

/// The client's timers are looked at when the processor wakes for something else (they are deferrable), so it has to.
const WAKES: Duration = Duration::from_millis(50);

/// Reads a line before it looks for a file that nobody has asked for yet, and writes one.
const PROGRAM: &str = "echo ready; read line; if [ -e /shown/input ]; then echo found; else echo missing; fi
    echo written > /work/file || echo lost";

fn what_is_there_is_found_after_a_minute_without_answers(place: &Place) {
    place.directory("shown");
    place.file("shown/input", "input");
    std::os::unix::fs::chown(place.directory("work"), Some(USER), Some(USER)).expect("root can give it away");
    let show = |name: &str| format!("{}:/{name}", place.path(name).display());
    let loopbox = Loopbox::at(place);
    let (shown, work, user) = (show("shown"), show("work"), USER.to_string());
    let words =
        ["run", "--with", "sh", "--ro", &shown, "--rw", &work, "--uid", &user, "--", "sh", "-c", PROGRAM];
    let mut child = loopbox
        .command(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("loopbox can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
    let mut hear = || lines.next().map(|line| line.expect("it can be read"));
    assert_eq!(hear().as_deref(), Some("ready"));
    let loopbox_itself = Pid::from_raw(child.id() as i32);
    kill(loopbox_itself, Signal::SIGSTOP).expect("it runs");
    child.stdin.take().expect("it is a pipe").write_all(b"go\n").expect("the program reads it");
    let start = Instant::now();
    while start.elapsed() < STOPPED {
        thread::sleep(WAKES);
    }
    kill(loopbox_itself, Signal::SIGCONT).expect("it is stopped");
    assert_eq!([hear(), hear()], [Some("found".to_owned()), None]);
    assert_eq!(traces::wait_for_end(&mut child, &[USER]), Some(0));
    assert_eq!(std::fs::read_to_string(place.path("work/file")).expect("it is there"), "written\n");
    traces::assert_none(&loopbox);
}

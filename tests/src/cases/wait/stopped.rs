//! A loopbox that answers nothing for a while, as on a machine that was suspended or is starved: whoever asks waits.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cases::clean::store::Store;
use crate::cases::clean::traces;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::place::USER;
use crate::cases::{Place, cases};

cases![what_is_there_is_found_after_a_minute_without_answers, a_build_goes_on_after_a_minute_without_answers];

/// Longer than a client that is not hard waits by default: a minute and the time until its timer looks (nfs(5), `timeo`
/// and `retrans`).
const STOPPED: Duration = Duration::from_secs(75);

/// The client's timers are looked at when the processor wakes for something else (they are deferrable), so it has to.
const WAKES: Duration = Duration::from_millis(50);

/// Reads a line before it looks for a file that nobody has asked for yet, and writes one.
const PROGRAM: &str = "echo ready; read line; if [ -e /shown/input ]; then echo found; else echo missing; fi
    echo written > /work/file || echo lost";

/// A loopbox that does not run, nor anything of it that is not in a jail.
struct Stopped(Vec<u32>);

impl Stopped {
    fn stop(loopbox: u32) -> Stopped {
        let all = traces::outside_jails(loopbox);
        all.iter().for_each(|pid| send(*pid, Signal::SIGSTOP));
        Stopped(all)
    }

    /// Lets it go on after more than a minute; `users` are those who wait for it.
    fn wait(self, users: &[u32]) {
        wait();
        assert!(traces::is_held_up(users), "nobody waits for an answer");
        self.0.iter().for_each(|pid| send(*pid, Signal::SIGCONT));
    }
}

fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).expect("it is there");
}

/// Until whoever waits no longer than a client does by default has given up.
pub fn wait() {
    let start = Instant::now();
    while start.elapsed() < STOPPED {
        thread::sleep(WAKES);
    }
}

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
    let stopped = Stopped::stop(child.id());
    child.stdin.take().expect("it is a pipe").write_all(b"go\n").expect("the program reads it");
    stopped.wait(&[USER]);
    assert_eq!([hear(), hear()], [Some("found".to_owned()), None]);
    assert_eq!(traces::wait_for_end(&mut child, &[USER]), Some(0));
    assert_eq!(fs::read_to_string(place.path("work/file")).expect("it is there"), "written\n");
    traces::assert_none(&loopbox);
}

fn a_build_goes_on_after_a_minute_without_answers(place: &Place) {
    let mut store = Store::make(place);
    build_held_up(place, &mut store, |loopbox, users| Stopped::stop(loopbox).wait(users));
}

/// A build that `hold` holds up, which is given the process of loopbox and the users that builders run as. Two seconds
/// later the builder looks for an input that nobody has asked for yet, and copies it; what sleeps is read before.
pub fn build_held_up(place: &Place, store: &mut Store, hold: impl FnOnce(u32, &[u32])) {
    place.directory("input");
    place.file("input/file", "the input's\n");
    let input = store.ask("nix-store", ["--add", &place.path("input").to_string_lossy()]);
    let attributes = format!("input = \"${{builtins.storePath {input}}}\";");
    let script = "sleep 0; echo ready; sleep 2; [ -e $input/file ] && cat $input/file > $out";
    let mut build = store.script(place, script, &attributes);
    build.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = build.spawn().expect("loopbox can be started");
    let mut told = BufReader::new(child.stderr.take().expect("it is a pipe")).lines().map_while(Result::ok);
    assert!(told.any(|line| line == "ready"), "the builder starts");
    hold(child.id(), &store.users);
    let told: Vec<String> = told.collect();
    let ran = Ran::from(child.wait_with_output().expect("it can be waited for"));
    assert_eq!(ran.status, 0, "{told:#?}");
    assert!(!told.iter().any(|line| line.starts_with("Hint: ")), "{told:#?}");
    assert_eq!(fs::read_to_string(&ran.stdout).expect("it was built"), "the input's\n");
    store.verify();
    traces::assert_none(&Loopbox::at(place));
}

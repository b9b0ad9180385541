//! Trees deeper than any path is long, and than loopbox may have descriptors or stack: removed like others.

use std::process::Stdio;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::store::{Store, program};
use super::traces;
use crate::cases::loopbox::Loopbox;
use crate::cases::place::USER;
use crate::cases::{Place, cases};

cases![
    a_deep_tree_of_a_run_is_removed,
    a_deep_tree_of_a_killed_run_is_removed_by_the_next_loopbox,
    deep_trees_of_builds_are_removed,
    a_deep_output_fails_its_own_build_alone,
];

/// Levels. A recursion that holds something on the stack for each of them needs more than [`STACK`].
const DEEP: &str = "30000";
/// What a program's first thread may have as its stack, in bytes: a fourth of what is usual, which spares making a tree
/// that is deeper still.
const STACK: u64 = 2 << 20;
/// Descriptors that loopbox may have then, so that its stack would be used up before them.
const MANY: u64 = 100_000;
/// Levels that are more than it may have descriptors otherwise.
const DEEP_ENOUGH: &str = "3000";
/// What a process may have where nobody has changed that.
const USUAL: u64 = 1024;
/// The words of `loopbox run` that make a deep tree in a view, and then do something else.
fn run(then: &str) -> Vec<String> {
    let script = format!("{} __other deep /tmp {DEEP} && {then}", program());
    let user = USER.to_string();
    let words =
        ["run", "--with", &program(), "--with", "sh", "--with", "sleep", "--uid", &user, "--", "sh", "-c"];
    words.iter().map(|word| (*word).to_owned()).chain([script]).collect()
}

fn allow_descriptors(number: u64) {
    setrlimit(Resource::RLIMIT_NOFILE, number, MANY).expect("root may have as many as it wants");
}

/// Of this process, and of those that it starts.
fn with_little_stack(action: impl FnOnce()) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_STACK).expect("there is a limit");
    setrlimit(Resource::RLIMIT_STACK, STACK, hard).expect("it is lowered");
    action();
    setrlimit(Resource::RLIMIT_STACK, soft, hard).expect("it was as high before");
}

fn a_deep_tree_of_a_run_is_removed(place: &Place) {
    allow_descriptors(MANY);
    let loopbox = Loopbox::at(place);
    with_little_stack(|| drop(loopbox.good(run("true"))));
    traces::assert_none(&loopbox);
}

fn a_deep_tree_of_a_killed_run_is_removed_by_the_next_loopbox(place: &Place) {
    allow_descriptors(MANY);
    let loopbox = Loopbox::at(place);
    let child = loopbox.command(run("exec sleep 1000")).stderr(Stdio::null()).spawn();
    let mut child = child.expect("loopbox can be started");
    let ended = || child.try_wait().is_ok_and(|status| status.is_some());
    assert!(traces::wait_for(&[USER], "sleep 1000", ended).is_some(), "the command did not run");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL).expect("it runs");
    traces::wait_for_end(&mut child, &[USER]);
    traces::wait_until_gone(&[USER]);
    with_little_stack(|| drop(loopbox.good(["clean"])));
    traces::assert_none(&loopbox);
}

fn deep_trees_of_builds_are_removed(place: &Place) {
    allow_descriptors(USUAL);
    let mut store = Store::make(place);
    for (number, backend) in ["nfs", "bind"].iter().enumerate() {
        let script = format!(
            "/program __other deep /build {DEEP_ENOUGH}; /program __other deep /tmp {DEEP_ENOUGH}; echo {number} > $out"
        );
        let ran = store.build_script(place, &script, "", &["--backend", backend]);
        assert_eq!(ran.status, 0, "{backend}: {}", ran.stderr);
        traces::assert_none(&Loopbox::at(place));
        assert_eq!(traces::names("/nix/var/nix/builds".as_ref()), [""; 0], "{backend}: build directories");
        let beside = traces::names("/nix/store".as_ref());
        assert!(!beside.iter().any(|name| name.ends_with(".chroot")), "{backend}: {beside:?}");
    }
}

fn a_deep_output_fails_its_own_build_alone(place: &Place) {
    allow_descriptors(USUAL);
    let mut store = Store::make(place);
    for backend in ["nfs", "bind"] {
        let script = format!("mkdir $out; /program __other deep $out {DEEP_ENOUGH}; echo {backend}");
        let ran = store.build_script(place, &script, "", &["--backend", backend]);
        assert_eq!(ran.status, 1, "{backend}: {}", ran.stderr);
        assert!(ran.stderr.contains("exceeds maximum NAR directory depth of 64"), "{}", ran.stderr);
        traces::assert_none(&Loopbox::at(place));
        let beside = traces::names("/nix/store".as_ref());
        assert!(!beside.iter().any(|name| name.ends_with(".chroot")), "{backend}: {beside:?}");
    }
}

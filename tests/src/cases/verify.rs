//! `loopbox doctor --verify`: what loopbox counts on holds on this machine, and nothing is left of trying.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};

cases![
    all_that_applies_passes_and_nothing_is_left,
    what_takes_long_can_be_left_out,
    what_cannot_be_had_fails_and_says_so,
    an_interrupted_one_leaves_nothing,
];

/// A directory on the machine's disk, which has room for more than the memory.
const DISK: &str = "/nix";

fn all_that_applies_passes_and_nothing_is_left(place: &Place) {
    let loopbox = Loopbox::at(place);
    let before = names(Path::new(DISK));
    let report = loopbox.good(["doctor", "--verify", "--json", "--dir", DISK]);
    let report: Value = serde_json::from_str(&report).expect("the report is JSON");
    let items = report["items"].as_array().expect("it lists what was tried");
    let of = |state: &str| -> Vec<&str> {
        let found = items.iter().filter(|item| item["state"] == state);
        found.filter_map(|item| item["name"].as_str()).collect()
    };
    assert_eq!(of("failed"), Vec::<&str>::new(), "{report:#}");
    // Each of these is of macOS; all others apply to every system.
    let not_here = [
        "signed programs start from the mount",
        "way in: chroot",
        "way in: chroot with the system's disk image",
        "way in: chroot with a shared cache of its own",
        "a shell of the system's starts below another root",
        "way in: sandbox profile",
        "a profile closes the server's port",
    ];
    assert_eq!(of("notHere"), not_here, "{report:#}");
    assert_eq!(of("passed").len() + not_here.len(), items.len());
    assert_eq!(names(Path::new(DISK)), before);
    assert_eq!(names(&loopbox.state), Vec::<String>::new());
    let mounts = fs::read_to_string("/proc/self/mounts").expect("there is a table of mounts");
    assert!(!mounts.contains("loopbox-verify"), "{mounts}");
}

fn what_takes_long_can_be_left_out(place: &Place) {
    let text = Loopbox::at(place).good(["doctor", "--verify", "--quick", "--dir", DISK]);
    let large = text.lines().find(|line| line.contains("more is written than the memory holds"));
    assert!(large.is_some_and(|line| line.starts_with("- ") && line.contains("--quick")), "{text}");
}

fn what_cannot_be_had_fails_and_says_so(place: &Place) {
    let ran = Loopbox::at(place).run(["doctor", "--verify", "--dir", "/proc"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    let first = ran.stdout.lines().nth(1).unwrap_or_default();
    assert!(first.starts_with("FAILED  a view is mounted: cannot make a directory"), "{ran:?}");
}

/// In the middle of what takes longest.
fn an_interrupted_one_leaves_nothing(place: &Place) {
    let loopbox = Loopbox::at(place);
    let before = names(Path::new(DISK));
    let mut verify = loopbox.command(["doctor", "--verify", "--dir", DISK]);
    let mut verify = verify.stdout(Stdio::null()).spawn().expect("loopbox can be started");
    let large =
        || names(Path::new(DISK)).iter().any(|name| Path::new(DISK).join(name).join("work/large").exists());
    while !large() {
        assert_eq!(verify.try_wait().expect("it can be waited for"), None, "it wrote nothing large");
        thread::sleep(Duration::from_millis(5));
    }
    kill(Pid::from_raw(verify.id() as i32), Signal::SIGINT).expect("it runs");
    let status = verify.wait().expect("it can be waited for");
    assert_eq!(status.code(), Some(128 + Signal::SIGINT as i32));
    assert_eq!(names(Path::new(DISK)), before);
    assert_eq!(names(&loopbox.state), Vec::<String>::new());
    let mounts = fs::read_to_string("/proc/self/mounts").expect("there is a table of mounts");
    assert!(!mounts.contains("loopbox-verify"), "{mounts}");
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory can be listed").flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

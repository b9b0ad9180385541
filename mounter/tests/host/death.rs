//! Who dies first: nothing that was inside a jail may be left, whoever it is.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::support::{Place, SPAWNER, USER, spawn};
use mounter::jail::ExitOutcome;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Everything here takes milliseconds; this long only if something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

const FOREVER: &str = "sleep 1000 & sleep 1000 & touch /tmp/ready; while :; do sleep 1000; done";

#[test]
fn a_killed_jail_leaves_no_process() {
    let place = Place::new();
    let jail = spawn(&place.spec(FOREVER)).unwrap();
    wait_until_ready(&place);
    jail.killer().kill();
    assert_eq!(jail.wait().unwrap(), ExitOutcome::Signaled(libc::SIGKILL));
    assert_eq!(processes_in(place.root()), 0);
}

#[test]
fn a_dropped_jail_leaves_no_process() {
    let place = Place::new();
    let jail = spawn(&place.spec(FOREVER)).unwrap();
    wait_until_ready(&place);
    drop(jail);
    assert_eq!(processes_in(place.root()), 0);
}

#[test]
fn what_the_program_leaves_running_is_killed_when_it_ends() {
    let place = Place::new();
    let jail = spawn(&place.spec("sleep 1000 & sleep 1000 & exit 3")).unwrap();
    assert_eq!(jail.wait().unwrap(), ExitOutcome::Exited(3));
    assert_eq!(processes_in(place.root()), 0);
}

#[test]
fn a_killed_supervisor_takes_everything_with_it() {
    let place = Place::new();
    let jail = spawn(&place.spec(FOREVER)).unwrap();
    wait_until_ready(&place);
    for supervisor in children_of(std::process::id()).into_iter().flat_map(|forks| children_of(forks as u32))
    {
        if is_supervisor_of(supervisor, place.root()) {
            kill(Pid::from_raw(supervisor), Signal::SIGKILL).unwrap();
        }
    }
    assert_eq!(
        jail.wait().unwrap_err().to_string(),
        "the supervisor of the jail died; everything inside was killed with it"
    );
    assert_eq!(processes_in(place.root()), 0);
}

#[test]
fn a_killer_that_outlives_its_jail_does_nothing() {
    let place = Place::new();
    let jail = spawn(&place.spec("exit 0")).unwrap();
    let killer = jail.killer();
    assert_eq!(jail.wait().unwrap(), ExitOutcome::Exited(0));
    killer.kill();
}

#[test]
fn all_processes_of_a_user_are_killed() {
    let mut spec_user = USER;
    spec_user.uid = 30077;
    let place = Place::new();
    let mut spec = place.spec(FOREVER);
    spec.user = spec_user;
    let jail = spawn(&spec).unwrap();
    wait_until_ready(&place);
    SPAWNER.kill_user(30077).unwrap();
    assert_eq!(jail.wait().unwrap(), ExitOutcome::Signaled(libc::SIGKILL));
}

#[test]
fn root_s_processes_are_not_killed() {
    assert_eq!(SPAWNER.kill_user(0).unwrap_err().to_string(), "refusing to kill all processes of root");
}

fn wait_until_ready(place: &Place) {
    wait_for(|| place.root().join("tmp/ready").exists());
}

fn wait_for(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "nothing happened for {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Processes whose root is this directory. A jail's root is a mount of its own, which /proc shows as "/" from
/// outside; what tells is where its programs are.
fn processes_in(root: &Path) -> usize {
    let sleep = root.join("bin/sleep").metadata().unwrap();
    let shell = root.join("bin/sh").metadata().unwrap();
    all_processes().filter(|pid| is_running_one_of(*pid, &[&sleep, &shell])).count()
}

fn is_running_one_of(pid: i32, programs: &[&fs::Metadata]) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(format!("/proc/{pid}/exe")).is_ok_and(|exe| {
        programs.iter().any(|program| (exe.dev(), exe.ino()) == (program.dev(), program.ino()))
    })
}

fn is_supervisor_of(pid: i32, root: &Path) -> bool {
    let shell = root.join("bin/sh").metadata().unwrap();
    children_of(pid as u32).into_iter().any(|child| is_running_one_of(child, &[&shell]))
}

fn children_of(pid: u32) -> Vec<i32> {
    let parent_of = |child: i32| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse::<u32>().ok()
    };
    all_processes().filter(|child| parent_of(*child) == Some(pid)).collect()
}

fn all_processes() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

//! The control group of each session.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::runs::Lent;
use super::{END, signal};
use crate::cases::clean::traces;
use crate::cases::loopbox::Ran;
use crate::cases::{Place, cases};
use crate::vm::service::{GROUP, OWN_GROUP};

cases![
    what_a_session_starts_is_in_its_control_group,
    a_control_group_that_was_left_is_removed,
    a_fork_server_that_was_killed_is_replaced_in_the_group,
];

/// What runs for a session whose program is busybox: its attendant, the jail's supervisor and its process 1, the view's server,
/// and what guards its mount.
const ALL: [&str; 6] =
    ["busybox", "loopbox-attend", "loopbox-jail", "loopbox-jail", "loopbox-server", "nfs-guard"];

/// A command, started as systemd would start it.
pub fn as_a_service(command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-ec", "echo $$ > $0/cgroup.procs; exec \"$@\"", OWN_GROUP]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// The groups of sessions that there are.
fn sessions() -> BTreeSet<String> {
    let names = traces::names(Path::new(GROUP)).into_iter();
    names.filter(|name| name.starts_with("session-")).collect()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < END, "{what}: {:?}", sessions());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A session that says which group it sees itself in, and goes on until it is told to end.
fn waiting(lent: &Lent<'_>) -> Child {
    let script = "read group < /proc/self/cgroup; echo $group; read line";
    let mut command = lent.run(&["--with", "/bin/busybox", "--", "/bin/busybox", "sh", "-c", script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("loopbox can be started");
    let mut said = [0; 5];
    child.stdout.as_mut().expect("it is a pipe").read_exact(&mut said).expect("it runs in its view");
    assert_eq!(&said, b"0::/\n");
    child
}

fn end(mut session: Child) {
    session.stdin.take().expect("it is a pipe").write_all(b"end\n").expect("it reads");
    let ended: Ran = session.wait_with_output().expect("it ends").into();
    assert_eq!(ended.status, 0, "{ended:?}");
}

/// The command lines of the processes that are in a group.
fn processes(session: &str) -> Vec<String> {
    let members =
        fs::read_to_string(Path::new(GROUP).join(session).join("cgroup.procs")).expect("it is a group");
    let line =
        |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).expect("it runs").trim().to_owned();
    let mut names: Vec<String> = members.lines().map(line).collect();
    names.sort_unstable();
    names
}

/// The kernel shares the processors between the groups, and so do not more than these count for one session.
fn what_a_session_starts_is_in_its_control_group(place: &Place) {
    let lent = Lent::start(place);
    let two = [waiting(&lent), waiting(&lent)];
    let groups = sessions();
    assert_eq!(groups.len(), 2);
    for group in &groups {
        assert_eq!(processes(group), ALL, "{group}");
        assert_eq!(
            fs::read_to_string(Path::new(GROUP).join(group).join("cpu.weight")).expect("it has one"),
            "100\n"
        );
    }
    two.into_iter().for_each(end);
    until("those of ended sessions are removed", || sessions().is_empty());
    lent.assert_nothing_left();
}

/// The daemon dies, and its sessions go on; the next daemon removes what these have left.
fn a_control_group_that_was_left_is_removed(place: &Place) {
    let mut lent = Lent::start(place);
    let session = waiting(&lent);
    let left = sessions();
    signal(lent.daemon.0.id(), Signal::SIGKILL);
    lent.daemon.0.wait().expect("it can be waited for");
    end(session);
    lent.assert_nothing_left();
    assert_eq!((left.len(), sessions()), (1, left));
    lent = Lent::start(place);
    until("the next daemon removes it", || sessions().is_empty());
    end(waiting(&lent));
}

fn a_fork_server_that_was_killed_is_replaced_in_the_group(place: &Place) {
    let lent = Lent::start(place);
    end(waiting(&lent));
    let [fork_server] = traces::named("loopbox-fork")[..] else { panic!("there is one") };
    signal(fork_server, Signal::SIGKILL);
    let session = waiting(&lent);
    let groups = sessions();
    assert_eq!(groups.len(), 1);
    end(session);
    lent.assert_nothing_left();
}

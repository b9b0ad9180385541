//! The control group of each session.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::runs::Lent;
use super::{END, begin, signal};
use crate::cases::clean::traces;
use crate::cases::hold::outside::by_shell;
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

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A command, started as systemd would start it.
pub fn as_a_service(command: &Command) -> Command {
    by_shell(command, &format!("echo $$ > {OWN_GROUP}/cgroup.procs"))
}

/// The groups of sessions that there are.
fn sessions() -> BTreeSet<String> {
    let names = traces::names(Path::new(GROUP)).into_iter();
    names.filter(|name| name.starts_with("session-")).collect()
}

fn assert_removed() {
    let began = Instant::now();
    while !sessions().is_empty() {
        assert!(began.elapsed() < END, "{:?}", sessions());
        std::thread::sleep(LOOK);
    }
}

/// A session that says which group it sees itself in, and goes on until it is told to end.
fn waiting(lent: &Lent<'_>) -> Child {
    begin(lent, "read group < /proc/self/cgroup; echo $group; read line", "0::/\n")
}

fn end(mut session: Child) {
    session.stdin.take().expect("it is a pipe").write_all(b"end\n").expect("it reads");
    let ended: Ran = session.wait_with_output().expect("it ends").into();
    assert_eq!(ended.status, 0, "{ended:?}");
}

/// All that runs for a session is in its group, soon: a process has the name of the one that forked it until it gives itself its own.
fn assert_complete(session: &str) {
    let began = Instant::now();
    while processes(session) != ALL {
        assert!(began.elapsed() < END, "{session}: {:?}", processes(session));
        std::thread::sleep(LOOK);
    }
}

/// The names of the processes that are in a group.
fn processes(session: &str) -> Vec<String> {
    let members = Path::new(GROUP).join(session).join("cgroup.procs");
    let members = fs::read_to_string(members).expect("it is a group");
    let name = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let mut names: Vec<String> = members.lines().map(|pid| name(pid).trim().to_owned()).collect();
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
        assert_complete(group);
        assert_eq!(
            fs::read_to_string(Path::new(GROUP).join(group).join("cpu.weight")).expect("it has one"),
            "100\n"
        );
    }
    two.into_iter().for_each(end);
    assert_removed();
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
    assert_removed();
    end(waiting(&lent));
}

fn a_fork_server_that_was_killed_is_replaced_in_the_group(place: &Place) {
    let lent = Lent::start(place);
    end(waiting(&lent));
    assert_removed();
    let [fork_server] = traces::named("loopbox-fork")[..] else { panic!("there is one") };
    signal(fork_server, Signal::SIGKILL);
    let session = waiting(&lent);
    let groups: Vec<String> = sessions().into_iter().collect();
    assert_eq!(groups.len(), 1);
    assert_complete(&groups[0]);
    end(session);
    lent.assert_nothing_left();
}

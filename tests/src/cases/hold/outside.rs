//! Nothing of the host beyond the view can be reached, whatever namespaces a program makes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::host::{Host, USERS, assert_held};
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::{Place, cases};

cases![
    files_and_processes_of_the_host_are_out_of_reach,
    namespaces_lead_nowhere,
    files_that_loopbox_has_open_are_not_inherited,
    the_callers_control_group_is_out_of_reach,
];

const ESCAPES: usize = 20;
const NAMESPACES: usize = 9;

fn held(place: &Place, kind: &str, attempts: usize, more: &[&str]) {
    for user in USERS {
        let place = Place::new(place.directory(format!("{user}{}", more.concat())), place.ground);
        let mut host = Host::new(&place, user);
        let before = host.tree();
        assert_held(&host.attacked(&place, kind, user, more), attempts);
        assert_eq!(host.tree(), before);
        assert!(host.process_lives());
    }
}

fn files_and_processes_of_the_host_are_out_of_reach(place: &Place) {
    held(place, "escape", ESCAPES, &[]);
    held(place, "escape", ESCAPES, &["--net"]);
}

fn namespaces_lead_nowhere(place: &Place) {
    held(place, "namespaces", NAMESPACES, &[]);
}

/// A caller that forgot to close a directory would otherwise give it to the program.
fn files_that_loopbox_has_open_are_not_inherited(place: &Place) {
    let host = Host::new(place, 0);
    let words = host.view(0).into_iter().chain(["--".into()]).chain(host.attack("escape"));
    let loopbox = Loopbox::at(place);
    assert_held(&through_shell(&loopbox.command(words), "exec 7< /"), ESCAPES);
}

/// What is said by a command that a shell starts, which does something first.
pub fn through_shell(command: &Command, first: &str) -> Ran {
    by_shell(command, first).output().expect("a shell can be started").into()
}

/// A command that is started by a shell, which does something first.
pub fn by_shell(command: &Command, first: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &format!("{first}; exec \"$@\""), "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Whoever can write to loopbox's own control group can stop and kill what else is in it.
fn the_callers_control_group_is_out_of_reach(place: &Place) {
    let group = PathBuf::from("/sys/fs/cgroup").join(place.dir().file_name().expect("it has a name"));
    fs::create_dir(&group).expect("a control group can be made");
    for user in USERS {
        let place = Place::new(place.directory(user.to_string()), place.ground);
        let host = Host::new(&place, user);
        let attack = host.attack("namespaces").into_iter().chain(["--one".into(), "control groups".into()]);
        let command =
            Loopbox::at(&place).command(host.view(user).into_iter().chain(["--".into()]).chain(attack));
        let ran = through_shell(&command, &format!("echo $$ > {}/cgroup.procs", group.display()));
        assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
    }
    fs::remove_dir(&group).expect("nobody is left in it");
}

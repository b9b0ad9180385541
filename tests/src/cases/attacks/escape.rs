//! Reaching files and processes of the machine from inside a view.

use super::{Outcome, USER, World, attacks};

/// As the build's user.
fn user(world: &World, name: &str) -> Outcome {
    world.attempt(USER, "escape", name, &[])
}

/// As user 0.
fn root(world: &World, name: &str) -> Outcome {
    world.attempt(0, "escape", name, &[])
}

attacks! {
    path, "a path of the machine", [Root], |world| user(world, "the path itself");
    up_from_the_root, "`..` from the root", [Root], |world| user(world, ".. from the root");
    up_from_a_graft, "`..` from a directory of the machine", [Root], |world| user(world, ".. from the graft");
    up_from_a_scratch, "`..` from `/tmp`", [Root], |world| user(world, ".. from the scratch");
    absolute_link, "an absolute symbolic link of its own", [Root], |world| user(world, "an absolute link");
    relative_link, "a relative symbolic link of its own", [Root], |world| user(world, "a relative link");
    hosts_link, "a symbolic link of the machine's that leads out", [Root], |world| user(world, "the host's own link");
    roots_of_processes, "`/proc/PID/root`", [ProcessNamespace, UserNamespace], |world| root(world, "the root of any process");
    directories_of_processes, "`/proc/PID/cwd`", [ProcessNamespace, UserNamespace],
        |world| root(world, "the directory of any process");
    descriptors, "a directory that the caller left open", [Descriptors], inherited;
    chroot, "leaving a chroot of its own", [DetachedTree, UserNamespace], |world| root(world, "out of a chroot");
    signal, "a signal to a process of the machine", [ProcessNamespace],
        |world| root(world, "a signal to a process of the host");
    trace, "tracing a process of the machine", [ProcessNamespace, UserNamespace],
        |world| root(world, "tracing a process of the host");
    memory, "the memory of a process of the machine", [ProcessNamespace, UserNamespace],
        |world| root(world, "the memory of a process of the host");
    core_dumps, "the program for core dumps", [Proc], |world| root(world, "the program for core dumps");
    modules, "the program that loads modules", [Proc], |world| root(world, "the program for modules");
    magic_key, "the magic key", [Proc], |world| root(world, "the magic key");
    proc, "any setting in `/proc`", [Proc], |world| root(world, "any file of /proc but a process's");
    secrets_of_proc, "what only root may read in `/proc`", [Proc], |world| root(world, "what only root may read in /proc");
    handle, "a file by its handle", [UserNamespace], |world| root(world, "a file by its handle");
}

/// loopbox is started by a shell that has opened the machine's root.
fn inherited(world: &World) -> Outcome {
    let host = super::Host::new(&world.place, USER);
    let attack = host.attack("escape").into_iter().chain(["--one".into(), "inherited descriptors".into()]);
    let words = host.view(USER).into_iter().chain(["--".into()]).chain(attack);
    World::judge(&crate::cases::hold::outside::through_shell(&world.loopbox.command(words), "exec 7< /"))
}

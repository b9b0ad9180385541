//! Using mounts and namespaces to that end.

use super::{Outcome, World, attacks};

fn root(world: &World, name: &str) -> Outcome {
    world.attempt(0, "namespaces", name, &[])
}

attacks! {
    mount, "mounting a file system", [UserNamespace], |world| root(world, "mount a file system");
    unmount, "unmounting one", [UserNamespace], |world| root(world, "unmount");
    bind, "mounting the root elsewhere", [UserNamespace], |world| root(world, "bind the root");
    first_process, "the namespaces of process 1", [ProcessNamespace, UserNamespace],
        |world| root(world, "the namespaces of process 1");
    power, "power over the mounts of a namespace of its own", [UserNamespace],
        |world| root(world, "power over the mounts");
    new_proc, "a `/proc` of its own, with the machine's settings", [UserNamespace],
        |world| root(world, "new process information");
    control_groups, "the control group that loopbox is in", [MountNamespaces], |world| root(world, "control groups");
}

//! Changing what a view shows read-only, as the owner of all of it.

use super::{Outcome, USER, World, attacks};

fn user(world: &World, name: &str) -> Outcome {
    world.attempt(USER, "graft", name, &[])
}

attacks! {
    open, "opening a file to write", [ReadOnlyGrafts], |world| user(world, "open for writing");
    open_for_both, "opening one to read and write", [ReadOnlyGrafts], |world| user(world, "open for both");
    append, "opening one to append", [ReadOnlyGrafts], |world| user(world, "open to append");
    open_and_truncate, "opening one and truncating it", [ReadOnlyGrafts],
        |world| user(world, "open and truncate");
    create, "making a file", [ReadOnlyGrafts], |world| user(world, "create");
    mkdir, "making a directory", [ReadOnlyGrafts], |world| user(world, "mkdir");
    symlink, "making a symbolic link", [ReadOnlyGrafts], |world| user(world, "symlink");
    mkfifo, "making a pipe", [ReadOnlyGrafts], |world| user(world, "mkfifo");
    unlink, "removing a file", [ReadOnlyGrafts], |world| user(world, "unlink");
    unlink_link, "removing a symbolic link", [ReadOnlyGrafts], |world| user(world, "unlink a link");
    rmdir, "removing a directory", [ReadOnlyGrafts], |world| user(world, "rmdir");
    rename, "renaming a file", [ReadOnlyGrafts], |world| user(world, "rename");
    rename_over, "renaming one over another", [ReadOnlyGrafts], |world| user(world, "rename over");
    rename_directory, "renaming a directory", [ReadOnlyGrafts], |world| user(world, "rename a directory");
    link, "another name for a file", [ReadOnlyGrafts], |world| user(world, "link");
    truncate, "truncating a file", [ReadOnlyGrafts], |world| user(world, "truncate");
    chmod, "changing a mode", [ReadOnlyGrafts], |world| user(world, "chmod");
    fchmod, "changing a mode by a descriptor", [ReadOnlyGrafts], |world| user(world, "fchmod");
    chown, "giving a file away", [ReadOnlyGrafts], |world| user(world, "chown");
    utimes, "changing times", [ReadOnlyGrafts], |world| user(world, "utimes");
}

//! Making programs that run as somebody else.

use super::{Outcome, USER, World, attacks};

fn served(world: &World, name: &str) -> Outcome {
    world.attempt(USER, "set-id", name, &["--scratch", "nfs"])
}

attacks! {
    chmod, "setting a file's user bit", [SetIdBits], |world| served(world, "chmod 4755");
    chmod_group, "setting a file's group bit", [SetIdBits], |world| served(world, "chmod 2755");
    fchmod, "setting both by a descriptor", [SetIdBits], |world| served(world, "fchmod 6711");
    chmod_directory, "setting a directory's group bit", [SetIdBits], |world| served(world, "chmod 2755 of a directory");
    open, "making a file with the user bit", [SetIdBits], |world| served(world, "open with 4755");
    pipe, "making a pipe with the user bit", [SetIdBits], |world| served(world, "a pipe with 4755");
}

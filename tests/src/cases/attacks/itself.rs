//! Changing loopbox's own file, as user 0, by way of a process that has it open.

use super::{Outcome, World, attacks};
use crate::cases::hold::itself::Attack;

/// The command is a script for `/proc/self/exe`, which is loopbox until then.
fn script(world: &World, name: &str) -> Outcome {
    let attack = Attack::new(&world.place, 0);
    World::judge(&attack.run(&world.loopbox.command(attack.words("nfs", 0, &["--one", name]))))
}

attacks! {
    set_id, "making loopbox's file set-id", [OwnProgram], |world| script(world, "making it set-id");
    chown, "giving it away", [OwnProgram], |world| script(world, "giving it away");
    times, "changing its times", [OwnProgram], |world| script(world, "changing its times");
}

//! What `loopbox daemon` does.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use sandbox::daemon::{Listening, Policy, attend, serve};
use sandbox::inherited;
use sandbox::jail::Spawner;
use sandbox::recovery::StateDir;

use super::Arguments;
use crate::commands::need_root;
use crate::error::CommandResult;
use crate::exit::Status;
use crate::globals::Globals;
use crate::itself;
use crate::signals::Interrupt;

/// The first descriptor that a service manager passes on (`sd_listen_fds(3)`).
const PASSED: i32 = 3;

/// Listens, and starts attendants, until it is asked to stop. What they do goes on then.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    need_root()?;
    let state = StateDir::open(&globals.state_dir)?;
    if arguments.attend {
        return attend_to_input(&state);
    }
    let policy = Policy::read(&arguments.policy)?;
    let interrupt = Interrupt::watch()?;
    state.sweep()?;
    let listening = match passed_on() {
        true => Listening::on(inherited(PASSED)?),
        false => Listening::at(&globals.socket)?,
    };
    let loopbox = itself::program()?;
    serve(&listening, &policy, || attendant(&loopbox, &globals.state_dir), interrupt.cancel())?;
    // A service that is asked to stop, and does, has not failed.
    Ok(Status::Done)
}

fn attend_to_input(state: &StateDir) -> CommandResult {
    let connection = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    attend(&connection, state, &Spawner::new(itself::program()?))?;
    Ok(Status::Done)
}

fn attendant(loopbox: &Path, state_dir: &Path) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(loopbox);
    command.arg0("loopbox").arg("--state-dir").arg(state_dir).args(["daemon", "--attend"]);
    // What a terminal's keys end is the daemon alone.
    command.process_group(0).current_dir("/");
    command.env_remove("LISTEN_FDS").env_remove("LISTEN_PID");
    command
}

/// Whether a service manager listens, and has started this process because somebody connects.
fn passed_on() -> bool {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u32>().ok());
    number("LISTEN_PID") == Some(std::process::id()) && number("LISTEN_FDS") == Some(1)
}
